//! From a read extension and manifest to a [`Mapping`], with every finding on the way.

mod groups;
#[cfg(test)]
mod growth;
mod patterns;
mod references;
mod text;

use crate::device_time::{DateFormat, Dialect};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, Suggester};
use crate::field::Field;
use crate::keypath::{self, Step};
use crate::lsx::{self, Document, Hits, PatternType, Spanned};
use crate::manifest::{self, Manifest};
use crate::mapping::pattern::{Compiled, Doc};
use crate::mapping::{
    Branch, BranchIx, BranchKind, CustomProperty, Group, Mapping, Recogniser, Rule, Source, Uses,
};
use crate::options::{Options, TrimWhitespace};
use crate::qidmap::QidMap;
use groups::LeefKeys;
use java_regex::{Flags, JavaRegex, Room, SyntaxError, SyntaxErrorKind};
use references::Chains;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use text::{EffectiveText, strftime_fault};

/// Stands for a LEEF key that cannot be one.
const UNUSABLE_KEY: leef::Key = leef::Key::from_static("custom");

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

pub(crate) fn effective_text(pattern: &lsx::Pattern, rule: TrimWhitespace) -> String {
    EffectiveText::of(pattern, rule).text
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
    suggester: Suggester,
    /// The names of system properties and of those that the manifest declares.
    known_fields: Rc<[&'a str]>,
    /// The identifiers of all patterns.
    known_patterns: Rc<[&'a str]>,
    /// What each pattern runs within.
    chains: Chains,
    used: HashSet<usize>,
    /// Declared custom properties that an element names.
    named: HashSet<usize>,
    docs: Vec<Doc>,
    patterns: Vec<Compiled>,
    /// What the regular expressions may still take.
    room: Room,
    /// Patterns already compiled, by declaration, way of reading and delimiters.
    compiled: HashMap<(usize, PatternType, String), Option<usize>>,
    /// Documents by the compiled pattern that they are the value of.
    doc_of: HashMap<usize, usize>,
    custom: Vec<CustomProperty>,
    custom_by_name: HashMap<String, usize>,
    leef_keys: LeefKeys,
    /// The entry of [`Doc::pairs`] for the delimiters of name-value pairs, by document.
    pairs_of: HashMap<(usize, String), usize>,
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
        let declared = manifest.properties.iter();
        let declared = declared.map(|property| property.name.value.as_str());
        let patterns = document.patterns.iter();
        Self {
            suggester: Suggester::default(),
            known_fields: Field::NAMES.iter().copied().chain(declared).collect(),
            known_patterns: patterns.map(|p| p.id.value.as_str()).collect(),
            chains: Chains::default(),
            document,
            manifest,
            source,
            out,
            file: Arc::clone(&document.file),
            by_id: HashMap::new(),
            used: HashSet::new(),
            named: HashSet::new(),
            docs: vec![Doc::default()],
            patterns: Vec::new(),
            room: Room::default(),
            compiled: HashMap::new(),
            doc_of: HashMap::new(),
            custom: Vec::new(),
            custom_by_name: HashMap::new(),
            leef_keys: LeefKeys::default(),
            pairs_of: HashMap::new(),
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
        self.chains = Chains::new(&self.document.patterns, &self.by_id);
        let mut order: Vec<&lsx::Group> = self.document.groups.iter().collect();
        // A stable sort: document order breaks a tie.
        order.sort_by_key(|group| group.order.value);
        self.group_orders(&order);
        let mut groups: Vec<Group> = order.into_iter().map(|group| self.group(group)).collect();
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
        self.unfilled_properties();
        let property_branches = self.property_branches();
        let recogniser = self.recogniser();
        for doc in &mut self.docs {
            doc.json.finish();
        }
        let regexes = self.regexes(&groups);
        for group in &mut groups {
            group.uses = Uses::new(&group.targets, &regexes);
        }
        let qid_branches = self.branches.len();
        Mapping {
            slug: slug.to_owned(),
            manifest_file: self.source.map(|source| Arc::clone(&source.manifest)),
            manifest: self.manifest.clone(),
            custom: std::mem::take(&mut self.custom),
            docs: std::mem::take(&mut self.docs),
            patterns: std::mem::take(&mut self.patterns),
            name_uses: Uses::new(groups.iter().map(|group| &group.event_name), &regexes),
            regexes,
            groups,
            qids: QidMap::default(),
            branches: std::mem::take(&mut self.branches),
            pattern_of: std::mem::take(&mut self.pattern_of),
            property_branches,
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

    /// A branch for each property that the manifest declares; they come first among the custom properties.
    fn property_branches(&mut self) -> (BranchIx, usize) {
        let start = self.branches.len();
        let manifest = self.manifest;
        if let Some(source) = self.source {
            for declared in &manifest.properties {
                let id = format!("property/{}", declared.name.value);
                let span = declared.name.span.clone();
                self.branch(&id, BranchKind::Property, &source.manifest, span);
            }
        }
        (start, self.branches.len() - start)
    }

    fn properties(&mut self) {
        for declared in &self.manifest.properties {
            let format = declared.datetime_format.as_ref().and_then(|format| {
                if let Some(error) = strftime_fault(&format.value) {
                    let file = self.source.map_or(&self.file, |source| &source.manifest);
                    let span = in_toml(file, format, &error.span);
                    let message = format!("datetime_format: {}", error.message);
                    self.out.push(
                        Diagnostic::new(Code::DateFormatInvalid, message, error.help)
                            .because("no value of the property could be read by it")
                            .at(file, span, ""),
                    );
                    return None;
                }
                DateFormat::new(&format.value, Dialect::SimpleDateFormat)
                    .map_err(|error| {
                        let file = self.source.map_or(&self.file, |source| &source.manifest);
                        self.out.push(
                            Diagnostic::new(
                                Code::DateFormatInvalid,
                                format!("datetime_format: {}", error.message),
                                error.help.unwrap_or_default(),
                            )
                            .because("no value of the property could be read by it")
                            .at(
                                file,
                                in_toml(file, format, &error.span),
                                "",
                            ),
                        );
                    })
                    .ok()
            });
            // One that is not valid was reported when the manifest was read, and nothing is written with it.
            let leef_key = leef::Key::new(declared.leef_key.as_str()).unwrap_or(UNUSABLE_KEY);
            self.leef_keys.take(leef_key.as_str());
            self.add_custom(CustomProperty {
                name: declared.name.value.clone(),
                kind: declared.kind,
                leef_key,
                description: declared.description.clone(),
                format,
            });
        }
    }

    /// The place of a new custom property; of two of one name the first is found.
    fn add_custom(&mut self, property: CustomProperty) -> usize {
        let index = self.custom.len();
        self.custom_by_name
            .entry(property.name.clone())
            .or_insert(index);
        self.custom.push(property);
        index
    }

    fn pattern_ids(&mut self) {
        let document = self.document;
        for (index, pattern) in document.patterns.iter().enumerate() {
            let id = &pattern.id;
            match self.by_id.get(id.value.as_str()) {
                // Reported already: a pattern without its id.
                _ if id.value.is_empty() => {}
                Some(&first) => {
                    let first = document.patterns[first].id.span.clone();
                    self.out.push(
                        Diagnostic::new(
                            Code::PatternDuplicate,
                            format!("pattern id `{}` is used twice", id.value),
                            "give this pattern an id of its own, or remove it",
                        )
                        .at(&self.file, id.span.clone(), "this one is never used")
                        .at(&self.file, first, "the first one wins"),
                    );
                    // That it is unused goes without saying.
                    self.used.insert(index);
                }
                None => {
                    self.by_id.insert(id.value.as_str(), index);
                }
            }
            self.white_space(pattern);
        }
    }

    fn white_space(&mut self, pattern: &lsx::Pattern) {
        let text = pattern.body.text.as_str();
        if pattern.body.unread || text.trim().is_empty() {
            return;
        }
        if pattern.trim_whitespace {
            // Blanks that go by every reading of the option leave no doubt.
            let kept = EffectiveText::of(pattern, TrimWhitespace::LineBreaks);
            if let Some(at) = kept.text.find([' ', '\t']) {
                let span = pattern.body.file_span(&kept.back(&(at..at + 1)));
                self.out.push(
                    Diagnostic::new(
                        Code::TrimInnerBlanks,
                        format!("pattern `{}` has blanks inside and trim-whitespace", pattern.id.value),
                        "write an inner blank as \\x20 or \\s, and set the option trim-whitespace if you know what your QRadar does",
                    )
                    .at(&self.file, span, "the first"),
                );
            }
            return;
        }
        // A blank inside CDATA next to the text is meant; a line break there, or white space around CDATA, is not.
        let edges = [
            0..text.len() - text.trim_start().len(),
            text.trim_end().len()..text.len(),
        ];
        let accidental = edges.into_iter().find(|edge| {
            text[edge.clone()].contains(['\n', '\r', '\t'])
                || (pattern.body.outside_cdata_blank && !edge.is_empty())
        });
        if let Some(edge) = accidental {
            let (verb, end) = if edge.start == 0 {
                ("begins", "before the text")
            } else {
                ("ends", "after the text")
            };
            let what = if text[edge.clone()].contains(['\n', '\r']) {
                "a line break"
            } else {
                "white space"
            };
            self.out.push(
                Diagnostic::new(
                    Code::PatternBlankEdges,
                    format!("pattern `{}` {verb} with {what}", pattern.id.value),
                    "close the gap between the tags and the text, or set trim-whitespace=\"true\"",
                )
                .at(
                    &self.file,
                    pattern.body.file_span(&edge),
                    format!("{what} {end}"),
                ),
            );
        }
    }

    fn unused_patterns(&mut self) {
        let document = self.document;
        // Whatever becomes of the matcher that runs it, a pattern that another one runs within is used.
        for within in document.patterns.iter().filter_map(|p| p.within.as_ref()) {
            self.used.extend(self.by_id.get(within.value.as_str()));
        }
        // A matcher without its pattern-id may be the one that should use it.
        let open = document
            .groups
            .iter()
            .any(|group| group.matchers.iter().any(|m| m.pattern_id.value.is_empty()));
        for (index, pattern) in document.patterns.iter().enumerate() {
            if self.used.contains(&index) {
                continue;
            }
            self.check_unused(index);
            let id = &pattern.id.value;
            // After some faults nobody can know what uses a pattern.
            let known = !document.unread
                && !open
                && !document.groups.is_empty()
                && !document.mentioned.contains(id)
                && !id.is_empty();
            if known {
                self.report(
                    Code::PatternUnused,
                    &pattern.span,
                    format!("pattern `{id}` is used by nothing"),
                    "remove it, or name it in a matcher's pattern-id",
                );
            }
        }
    }

    fn unfilled_properties(&mut self) {
        let Some(source) = self.source else {
            return;
        };
        if self.document.unread || self.document.groups.is_empty() {
            return;
        }
        for (index, declared) in self.manifest.properties.iter().enumerate() {
            let name = &declared.name;
            if !self.named.contains(&index) && !self.document.mentioned.contains(&name.value) {
                self.out.push(
                    Diagnostic::new(
                        Code::PropertyUnfilled,
                        format!("no matcher fills `{}`", name.value),
                        format!(
                            "add a matcher with field=\"{}\" to extension.xml, or remove the property",
                            name.value
                        ),
                    )
                    .at(&source.manifest, name.span.clone(), ""),
                );
            }
        }
    }

    fn recogniser(&mut self) -> Recogniser {
        let mut recogniser = Recogniser::default();
        let Some(source) = self.source else {
            return recogniser;
        };
        // What a plan takes for the document depends on whether it looks for an object only, so the rules keep their own
        // for payloads in which the mapping finds something else.
        let mut is_shared = !self.docs[0].json.is_empty();
        for declared in &self.manifest.rules {
            let mut rule = Rule::default();
            for text in &declared.keypaths {
                match keypath::json_path(&text.value) {
                    Ok(path) => {
                        rule.slots.push(recogniser.plan.add(&path, Hits::First));
                        if matches!(path.steps.first(), Some(Step::Member(_))) && is_shared {
                            let slot = self.docs[0].json.add(&path, Hits::First);
                            rule.shared.push(slot);
                        } else {
                            is_shared = false;
                        }
                    }
                    Err(error) => self.out.push(
                        Diagnostic::new(
                            Code::PathInvalid,
                            format!("autodetection key path: {}", error.message),
                            error.help,
                        )
                        .at(
                            &source.manifest,
                            in_toml(&source.manifest, text, &error.span),
                            "",
                        ),
                    ),
                }
            }
            for text in &declared.patterns {
                match JavaRegex::new(&text.value, Flags::default()) {
                    Ok(regex) => rule.patterns.push(regex),
                    Err(error) => {
                        let (code, help) = regex_fault(&error);
                        let span = in_toml(&source.manifest, text, &error.span);
                        self.out.push(
                            Diagnostic::new(
                                code,
                                format!("autodetection pattern: {}", error.message),
                                help,
                            )
                            .at(&source.manifest, span, ""),
                        );
                    }
                }
            }
            recogniser.rules.push(rule);
        }
        recogniser.is_shared = is_shared && !recogniser.plan.is_empty();
        recogniser.plan.finish();
        recogniser
    }
}

/// The place of a part of a TOML string; the whole string where escapes make offsets differ.
fn in_toml(file: &SourceFile, text: &Spanned<String>, part: &Range<usize>) -> Range<usize> {
    let inner = text.span.start + 1..text.span.end.saturating_sub(1);
    if file.text.get(inner.clone()) == Some(text.value.as_str()) {
        inner.start + part.start..inner.start + part.end
    } else {
        text.span.clone()
    }
}

/// The code of a fault in a regular expression, and what to do about it.
fn regex_fault(error: &SyntaxError) -> (Code, String) {
    let (code, help) = match error.kind {
        SyntaxErrorKind::Unsupported => (
            Code::RegexUnsupported,
            "write the pattern without this construct",
        ),
        _ => (
            Code::RegexInvalid,
            "mend the regular expression; its flavour is Java's",
        ),
    };
    (code, error.help.clone().unwrap_or_else(|| help.to_owned()))
}
