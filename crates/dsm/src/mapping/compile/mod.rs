//! From a read extension and manifest to a [`Mapping`], with every finding on the way.

mod groups;
mod patterns;

use crate::device_time::{DateFormat, Dialect};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::java_regex::{Flags, JavaRegex, SyntaxErrorKind};
use crate::keypath;
use crate::lsx::{self, Document, Hits, PatternType};
use crate::manifest::{self, Manifest};
use crate::mapping::pattern::{Compiled, Doc};
use crate::mapping::{
    Branch, BranchIx, BranchKind, CustomProperty, Group, Mapping, Recogniser, Source, Target,
};
use crate::options::Options;
use crate::qidmap::QidMap;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// More matchers than any real file has; beyond this a file is an attack or an accident.
const MAX_MATCHERS: usize = 20_000;

pub(in crate::mapping) fn folder(source: &Source) -> (Option<Mapping>, Diagnostics) {
    let (manifest, mut out) = manifest::parse(&source.manifest);
    let (document, found) = lsx::parse(&source.extension);
    out.append(found);
    let mut compiler = Compiler::new(&document, &manifest, Some(source), out);
    let mut mapping = compiler.mapping(&source.slug);
    let found = mapping.set_qid_map(&source.qidmap, &source.event_mappings);
    compiler.out.append(found);
    finish(mapping, compiler.out)
}

pub(in crate::mapping) fn bare(
    name: &str,
    extension: &Arc<SourceFile>,
) -> (Option<Mapping>, Diagnostics) {
    bare_with(name, extension, Options::default())
}

pub(in crate::mapping) fn bare_with(
    name: &str,
    extension: &Arc<SourceFile>,
    options: Options,
) -> (Option<Mapping>, Diagnostics) {
    let manifest = Manifest {
        name: name.to_owned(),
        vendor: "Unknown".to_owned(),
        product: name.replace(|c: char| c == '|' || c.is_control(), " "),
        version: "1.0".to_owned(),
        options,
        ..Manifest::default()
    };
    let (document, out) = lsx::parse(extension);
    let mut compiler = Compiler::new(&document, &manifest, None, out);
    let mapping = compiler.mapping(name);
    finish(mapping, compiler.out)
}

pub(in crate::mapping) fn generic() -> Mapping {
    let manifest = Manifest {
        name: "SIM Generic Log".to_owned(),
        log_source_type_id: 8,
        vendor: "Unknown".to_owned(),
        product: "SIM Generic Log".to_owned(),
        version: "1.0".to_owned(),
        ..Manifest::default()
    };
    let (document, out) = lsx::parse(&SourceFile::new("", "<device-extension/>"));
    Compiler::new(&document, &manifest, None, out).mapping("generic")
}

fn finish(mapping: Mapping, mut out: Diagnostics) -> (Option<Mapping>, Diagnostics) {
    out.sort();
    let usable = !out.has_errors();
    (usable.then_some(mapping), out)
}

struct Compiler<'a> {
    document: &'a Document,
    manifest: &'a Manifest,
    /// The folder; none for a bare extension.
    source: Option<&'a Source>,
    out: Diagnostics,
    file: Arc<SourceFile>,
    by_id: HashMap<&'a str, usize>,
    used: HashSet<usize>,
    docs: Vec<Doc>,
    patterns: Vec<Compiled>,
    /// Patterns already compiled, by declaration, way of reading and delimiters.
    compiled: HashMap<(usize, PatternType, String), Option<usize>>,
    /// Documents by the compiled pattern that they are the value of.
    doc_of: HashMap<usize, usize>,
    custom: Vec<CustomProperty>,
    branches: Vec<Branch>,
    branch_ids: HashMap<String, usize>,
    pattern_of: HashMap<BranchIx, usize>,
    /// One finding for each pattern is enough, however many matchers use it.
    reported: HashSet<(usize, Code)>,
}

impl<'a> Compiler<'a> {
    fn new(
        document: &'a Document,
        manifest: &'a Manifest,
        source: Option<&'a Source>,
        out: Diagnostics,
    ) -> Self {
        Self {
            document,
            manifest,
            source,
            out,
            file: Arc::clone(&document.file),
            by_id: HashMap::new(),
            used: HashSet::new(),
            docs: vec![Doc::default()],
            patterns: Vec::new(),
            compiled: HashMap::new(),
            doc_of: HashMap::new(),
            custom: Vec::new(),
            branches: Vec::new(),
            branch_ids: HashMap::new(),
            pattern_of: HashMap::new(),
            reported: HashSet::new(),
        }
    }

    fn report(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.out
            .push(Diagnostic::new(code, message, help).at(&self.file, span.clone(), ""));
    }

    fn mapping(&mut self, slug: &str) -> Mapping {
        self.properties();
        self.pattern_ids();
        let mut order: Vec<&lsx::Group> = self.document.groups.iter().collect();
        // A stable sort: document order breaks a tie.
        order.sort_by_key(|group| group.order.value);
        self.group_orders(&order);
        let groups: Vec<Group> = order.into_iter().map(|group| self.group(group)).collect();
        if groups.is_empty() && !self.out.has_errors() {
            let root = self.document.root.clone();
            self.report(
                Code::NothingToMatch,
                &root,
                "the extension has no match-group",
                "add a match-group with a matcher for EventName",
            );
        }
        self.unused_patterns();
        self.unfilled_properties(&groups);
        let recogniser = self.recogniser();
        for doc in &mut self.docs {
            doc.json.finish();
        }
        let qid_branches = self.branches.len();
        Mapping {
            slug: slug.to_owned(),
            manifest_file: self.source.map(|source| Arc::clone(&source.manifest)),
            manifest: self.manifest.clone(),
            custom: std::mem::take(&mut self.custom),
            docs: std::mem::take(&mut self.docs),
            patterns: std::mem::take(&mut self.patterns),
            groups,
            qids: QidMap::default(),
            branches: std::mem::take(&mut self.branches),
            pattern_of: std::mem::take(&mut self.pattern_of),
            qid_branches,
            mapping_branches: qid_branches,
            recogniser,
        }
    }

    fn branch(
        &mut self,
        id: &str,
        kind: BranchKind,
        file: &Arc<SourceFile>,
        span: Range<usize>,
    ) -> BranchIx {
        let count = self.branch_ids.entry(id.to_owned()).or_default();
        *count += 1;
        let id = if *count == 1 {
            id.to_owned()
        } else {
            format!("{id}#{count}")
        };
        self.branches.push(Branch {
            id,
            kind,
            file: Arc::clone(file),
            span,
        });
        self.branches.len() - 1
    }

    fn properties(&mut self) {
        for declared in &self.manifest.properties {
            let format = declared.datetime_format.as_ref().and_then(|format| {
                DateFormat::new(&format.value, Dialect::SimpleDateFormat)
                    .map_err(|error| {
                        let file = self.source.map_or(&self.file, |source| &source.manifest);
                        self.out.push(
                            Diagnostic::new(
                                Code::DateFormatInvalid,
                                error.message,
                                error.help.unwrap_or_default(),
                            )
                            .at(file, format.span.clone(), ""),
                        );
                    })
                    .ok()
            });
            self.custom.push(CustomProperty {
                name: declared.name.value.clone(),
                kind: declared.kind,
                leef_key: declared.leef_key.clone(),
                description: declared.description.clone(),
                format,
            });
        }
    }

    fn pattern_ids(&mut self) {
        for (index, pattern) in self.document.patterns.iter().enumerate() {
            match self.by_id.get(pattern.id.value.as_str()) {
                Some(&first) => {
                    let first = self.document.patterns[first].id.span.clone();
                    self.out.push(
                        Diagnostic::new(
                            Code::PatternDuplicate,
                            format!("pattern id `{}` is used twice", pattern.id.value),
                            "give this pattern an id of its own, or remove it",
                        )
                        .at(
                            &self.file,
                            pattern.id.span.clone(),
                            "this one is never used",
                        )
                        .at(&self.file, first, "the first one wins"),
                    );
                    // Reported already; that it is unused goes without saying.
                    self.used.insert(index);
                }
                None => {
                    self.by_id.insert(pattern.id.value.as_str(), index);
                }
            }
            let text = pattern.body.text.as_str();
            // A blank inside CDATA next to the text is meant; a line break there, or white space around CDATA, is not.
            let edges = [
                &text[..text.len() - text.trim_start().len()],
                &text[text.trim_end().len()..],
            ];
            let accidental = edges.iter().any(|edge| edge.contains(['\n', '\r', '\t']))
                || (pattern.body.outside_cdata_blank && edges.iter().any(|edge| !edge.is_empty()));
            if accidental && !pattern.trim_whitespace {
                self.report(
                    Code::PatternBlankEdges,
                    &pattern.body_span,
                    format!(
                        "pattern `{}` begins or ends with white space",
                        pattern.id.value
                    ),
                    "close the gap between the tags and the text, or set trim-whitespace=\"true\"",
                );
            }
            if pattern.trim_whitespace && text.trim().contains([' ', '\t']) {
                self.report(
                    Code::TrimInnerBlanks,
                    &pattern.body_span,
                    format!("pattern `{}` has blanks inside and trim-whitespace", pattern.id.value),
                    "write an inner blank as \\x20 or \\s, and set the option trim-whitespace if you know what your QRadar does",
                );
            }
        }
    }

    fn unused_patterns(&mut self) {
        for (index, pattern) in self.document.patterns.iter().enumerate() {
            if !self.used.contains(&index) {
                self.report(
                    Code::PatternUnused,
                    &pattern.span,
                    format!("pattern `{}` is used by nothing", pattern.id.value),
                    "remove it, or name it in a matcher's pattern-id",
                );
            }
        }
    }

    fn unfilled_properties(&mut self, groups: &[Group]) {
        let Some(source) = self.source else {
            return;
        };
        let filled: HashSet<Target> = groups
            .iter()
            .flat_map(|group| group.targets.iter().map(|candidates| candidates.target))
            .collect();
        for (index, declared) in self.manifest.properties.iter().enumerate() {
            if !filled.contains(&Target::Custom(index)) {
                self.out.push(
                    Diagnostic::new(
                        Code::PropertyUnfilled,
                        format!("no matcher fills `{}`", declared.name.value),
                        "add a matcher with this field to extension.xml, or remove the property",
                    )
                    .at(&source.manifest, declared.name.span.clone(), ""),
                );
            }
        }
    }

    fn recogniser(&mut self) -> Recogniser {
        let mut recogniser = Recogniser::default();
        let Some(source) = self.source else {
            return recogniser;
        };
        for rule in &self.manifest.rules {
            let mut slots = Vec::new();
            for text in &rule.keypaths {
                match keypath::json_path(&text.value) {
                    Ok(path) => slots.push(recogniser.plan.add(&path, Hits::First)),
                    Err(error) => self.out.push(
                        Diagnostic::new(Code::PathInvalid, error.message, error.help).at(
                            &source.manifest,
                            text.span.clone(),
                            "",
                        ),
                    ),
                }
            }
            let mut patterns = Vec::new();
            for text in &rule.patterns {
                match JavaRegex::new(&text.value, Flags::default()) {
                    Ok(regex) => patterns.push(regex),
                    Err(error) => {
                        let code = match error.kind {
                            SyntaxErrorKind::Unsupported => Code::RegexUnsupported,
                            _ => Code::RegexInvalid,
                        };
                        self.out.push(
                            Diagnostic::new(code, error.message, error.help.unwrap_or_default())
                                .at(&source.manifest, text.span.clone(), ""),
                        );
                    }
                }
            }
            recogniser.rules.push((slots, patterns));
        }
        recogniser.plan.finish();
        recogniser
    }
}
