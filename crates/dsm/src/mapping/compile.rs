//! From a read extension and manifest to a [`Mapping`], with every finding on the way.

use super::pattern::{self, Capture, Compiled, Doc, JsonValue, Kind, TemplatePart};
use super::{
    Branch, BranchIx, BranchKind, Candidates, CustomProperty, EventMatch, Group, Mapping, Matcher,
    Recogniser, Source, Target,
};
use crate::device_time::{DateFormat, Dialect};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, suggest};
use crate::extract::json;
use crate::field::{Field, Kind as FieldKind};
use crate::java_regex::{Flags, JavaRegex, SyntaxError, SyntaxErrorKind};
use crate::keypath::{self, JsonPath, PathError, Piece, Step};
use crate::lsx::{self, Document, Hits, PatternType, Spanned};
use crate::manifest::{self, Manifest, PropertyType};
use crate::options::{ArrayFanOut, BareKeySubstitution, Options, TrimWhitespace};
use crate::qidmap::QidMap;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// More matchers than any real file has; beyond this a file is an attack or an accident.
const MAX_MATCHERS: usize = 20_000;

pub(super) fn folder(source: &Source) -> (Option<Mapping>, Diagnostics) {
    let (manifest, mut out) = manifest::parse(&source.manifest);
    let (document, found) = lsx::parse(&source.extension);
    out.append(found);
    let mut compiler = Compiler::new(&document, &manifest, Some(source), out);
    let mut mapping = compiler.mapping(&source.slug);
    let found = mapping.set_qid_map(&source.qidmap, &source.event_mappings);
    compiler.out.append(found);
    finish(mapping, compiler.out)
}

pub(super) fn bare(name: &str, extension: &Arc<SourceFile>) -> (Option<Mapping>, Diagnostics) {
    bare_with(name, extension, Options::default())
}

pub(super) fn bare_with(
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

pub(super) fn generic() -> Mapping {
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

    fn group_orders(&mut self, order: &[&lsx::Group]) {
        for pair in order.windows(2) {
            if pair[0].order.value == pair[1].order.value {
                self.out.push(
                    Diagnostic::new(
                        Code::GroupOrderDuplicate,
                        format!("two match groups have order {}", pair[1].order.value),
                        "give each group an order of its own",
                    )
                    .at(&self.file, pair[1].order.span.clone(), "tried second")
                    .at(&self.file, pair[0].order.span.clone(), "tried first"),
                );
            }
        }
    }

    fn group(&mut self, group: &lsx::Group) -> Group {
        let file = Arc::clone(&self.file);
        let prefix = format!("group/{}", group.order.value);
        let branch = self.branch(&prefix, BranchKind::Group, &file, group.span.clone());
        let prefix = self.branches[branch].id.clone();
        let mut by_target: BTreeMap<Target, Vec<(u32, Matcher)>> = BTreeMap::new();
        let mut orders: HashMap<(Target, u32), Range<usize>> = HashMap::new();
        for matcher in &group.matchers {
            if self.branches.len() > MAX_MATCHERS {
                break;
            }
            let target = self.target(&matcher.field);
            let pattern = self.matcher_pattern(matcher);
            let (Some(target), Some(pattern)) = (target, pattern) else {
                continue;
            };
            let order = matcher.order.value;
            if let Some(first) = orders.get(&(target, order)) {
                self.out.push(
                    Diagnostic::new(
                        Code::MatcherShadowed,
                        format!("two matchers of {} have order {order}", matcher.field.value),
                        "give each its own order",
                    )
                    .at(&self.file, matcher.order.span.clone(), "tried second")
                    .at(&self.file, first.clone(), "tried first"),
                );
            } else {
                orders.insert((target, order), matcher.order.span.clone());
            }
            let id = format!("{prefix}/{}/{order}", matcher.field.value);
            let branch = self.branch(&id, BranchKind::Matcher, &file, matcher.span.clone());
            self.pattern_of.insert(branch, pattern);
            let capture = self.capture(matcher, pattern);
            let format = self.ext_data(matcher, target);
            by_target.entry(target).or_default().push((
                order,
                Matcher {
                    branch,
                    requires: self.requires(pattern),
                    direct: self.is_direct(pattern),
                    pattern,
                    capture,
                    format,
                },
            ));
        }
        let name = Target::Field(Field::EventName);
        let mut targets: Vec<Candidates> = Vec::new();
        let mut event_name = Candidates::new(name, FieldKind::Text, Vec::new());
        for (target, mut matchers) in by_target {
            matchers.sort_by_key(|(order, _)| *order);
            let matchers = matchers.into_iter().map(|(_, matcher)| matcher).collect();
            let candidates = Candidates::new(target, self.kind(target), matchers);
            if target == name {
                event_name = candidates;
            } else {
                targets.push(candidates);
            }
        }
        if event_name.matchers.is_empty()
            && !group.matchers.iter().any(|m| m.field.value == "EventName")
        {
            self.report(
                Code::EventNameMissing,
                &group.span,
                format!("match group {} has no matcher for EventName", group.order.value),
                "add one; a constant is written as a pattern that matches and a capture-group without \\1",
            );
        }
        let singles = self.singles(group, &prefix, &event_name.matchers);
        let multiples = self.multiples(group, &prefix);
        Group {
            branch,
            type_override: group.type_override.as_ref().map(|id| id.value),
            event_name,
            targets,
            singles,
            multiples,
        }
    }

    fn target(&mut self, field: &Spanned<String>) -> Option<Target> {
        if let Some(field) = Field::from_name(&field.value) {
            return Some(Target::Field(field));
        }
        if let Some(index) = self
            .custom
            .iter()
            .position(|property| property.name == field.value)
        {
            return Some(Target::Custom(index));
        }
        let custom: Vec<&str> = self
            .custom
            .iter()
            .map(|property| property.name.as_str())
            .collect();
        let known: Vec<&str> = Field::NAMES.iter().copied().chain(custom).collect();
        let bare = self.source.is_none();
        let help = if bare {
            format!(
                "{}; it is kept as a custom property here",
                suggest(&field.value, "system properties", Field::NAMES)
            )
        } else {
            suggest(&field.value, "system and custom properties", &known)
        };
        let mut finding = Diagnostic::new(
            Code::FieldUnknown,
            format!("`{}` is not a property", field.value),
            help,
        )
        .at(&self.file, field.span.clone(), "");
        if bare {
            finding = finding.with_severity(Severity::Warning);
        }
        self.out.push(finding);
        if !bare {
            return None;
        }
        let leef_key = self.free_leef_key(&field.value);
        self.custom.push(CustomProperty {
            name: field.value.clone(),
            kind: PropertyType::String,
            leef_key,
            description: String::new(),
            format: None,
        });
        Some(Target::Custom(self.custom.len() - 1))
    }

    /// A LEEF key made from a name, not taken by another property or by LEEF itself.
    fn free_leef_key(&self, name: &str) -> String {
        let mut key: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
            key.insert_str(0, "custom");
        }
        while leef::attribute::predefined_ignoring_case(&key).is_some()
            || crate::output::leef::RESERVED_KEYS.contains(&key.as_str())
            || self.custom.iter().any(|property| property.leef_key == key)
        {
            key.push_str("Custom");
        }
        key
    }

    fn matcher_pattern(&mut self, matcher: &lsx::Matcher) -> Option<usize> {
        let index = self.declared(&matcher.pattern_id)?;
        let declared = &self.document.patterns[index];
        if let Some(kind) = &declared.declared_type
            && kind.value != matcher.element
        {
            self.out.push(
                Diagnostic::new(
                    Code::PatternTypeMismatch,
                    format!(
                        "pattern `{}` is of type {} but {} reads it as {}",
                        declared.id.value,
                        kind.value.name(),
                        matcher.element.element(),
                        matcher.element.name()
                    ),
                    format!(
                        "use {}, or change the type of the pattern",
                        kind.value.element()
                    ),
                )
                .at(&self.file, matcher.pattern_id.span.clone(), "")
                .at(&self.file, kind.span.clone(), "declared here"),
            );
        }
        let options = &self.manifest.options;
        let delimiters = match matcher.element {
            PatternType::NameValuePairKey => {
                let pair = matcher
                    .delimiter
                    .as_ref()
                    .unwrap_or(&options.pair_delimiter);
                let name_value = matcher
                    .name_value_delimiter
                    .as_ref()
                    .unwrap_or(&options.name_value_delimiter);
                let default = if matcher.delimiter.is_none() { "?" } else { "" };
                format!("{pair}\u{0}{name_value}\u{0}{default}")
            }
            PatternType::GenericListKey => matcher
                .delimiter
                .as_ref()
                .unwrap_or(&options.list_delimiter)
                .clone(),
            _ => String::new(),
        };
        let substitutions = matcher
            .enable_substitutions
            .as_ref()
            .is_some_and(|flag| flag.value);
        let body = declared.body.text.as_str();
        if matcher.element != PatternType::JavaPattern && substitutions && !body.contains('{') {
            if matcher.element != PatternType::JsonKeypath && matcher.element != PatternType::XmlKey
                || body.trim_start().starts_with('/')
            {
                let span = matcher
                    .enable_substitutions
                    .as_ref()
                    .map_or(0..0, |flag| flag.span.clone());
                self.report(
                    Code::BareKeySubstitution,
                    &span,
                    format!(
                        "pattern `{}` is a bare key, nothing to substitute",
                        declared.id.value
                    ),
                    "remove enable-substitutions, or write the key in braces",
                );
            }
            if options.bare_key_substitution == BareKeySubstitution::Constant {
                let constant = Kind::Constant(body.trim().to_owned());
                return Some(self.push_pattern(&declared.id.value, 0, constant));
            }
        }
        self.compile_pattern(index, matcher.element, &delimiters)
    }

    /// The declaration that an identifier names; marks it as used.
    fn declared(&mut self, id: &Spanned<String>) -> Option<usize> {
        if let Some(&index) = self.by_id.get(id.value.as_str()) {
            self.used.insert(index);
            return Some(index);
        }
        let known: Vec<&str> = self
            .document
            .patterns
            .iter()
            .map(|p| p.id.value.as_str())
            .collect();
        let help = match crate::diagnostic::nearest(&id.value, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`? identifiers are compared with case"),
            None => format!("declare the pattern; the file has {} others", known.len()),
        };
        self.report(
            Code::PatternUnknown,
            &id.span,
            format!("no pattern has the id `{}`", id.value),
            help,
        );
        None
    }

    fn push_pattern(&mut self, id: &str, doc: usize, kind: Kind) -> usize {
        self.patterns.push(Compiled {
            id: id.into(),
            doc,
            kind,
            filters: Vec::new(),
        });
        self.patterns.len() - 1
    }

    fn compile_pattern(
        &mut self,
        index: usize,
        kind: PatternType,
        delimiters: &str,
    ) -> Option<usize> {
        let key = (index, kind, delimiters.to_owned());
        if let Some(done) = self.compiled.get(&key) {
            return *done;
        }
        // Set before going on, so that a circle of `within` ends.
        self.compiled.insert(key.clone(), None);
        let compiled = self.compile_fresh(index, kind, delimiters);
        self.compiled.insert(key, compiled);
        compiled
    }

    fn compile_fresh(
        &mut self,
        index: usize,
        kind: PatternType,
        delimiters: &str,
    ) -> Option<usize> {
        let declared = &self.document.patterns[index];
        let doc = match &declared.within {
            Some(within) => self.within(index, within)?,
            None => 0,
        };
        let text = EffectiveText::of(declared, self.manifest.options.trim_whitespace);
        let first_filter = self.branches.len();
        let compiled = match kind {
            PatternType::JavaPattern => {
                if declared.body.outside_cdata
                    && self.reported.insert((index, Code::RegexOutsideCdata))
                {
                    self.report(
                        Code::RegexOutsideCdata,
                        &declared.body_span,
                        format!("pattern `{}` stands outside CDATA", declared.id.value),
                        "wrap it: <![CDATA[...]]>",
                    );
                }
                let flags = Flags {
                    case_insensitive: declared.case_insensitive,
                    ..Flags::default()
                };
                match JavaRegex::new(&text.text, flags) {
                    Ok(regex) => Kind::Regex(regex),
                    Err(error) => {
                        self.regex_error(index, &text, &error);
                        return None;
                    }
                }
            }
            PatternType::JsonKeypath => Kind::Json(self.json(index, doc, &text)?),
            PatternType::XmlKey => match keypath::xml_format(&text.text) {
                Ok(pieces) if pieces.iter().any(|p| matches!(p, Piece::Path(_))) => {
                    Kind::Xml(pieces)
                }
                Ok(_) => {
                    self.no_path(index, "an XML path");
                    return None;
                }
                Err(error) => {
                    self.path_error(index, &text, &error);
                    return None;
                }
            },
            PatternType::LeefKey => Kind::Leef(pattern::keys(&text.text)),
            PatternType::CefKey => Kind::Cef(pattern::keys(&text.text)),
            PatternType::NameValuePairKey => {
                let mut parts = delimiters.split('\u{0}');
                let pair = parts.next().unwrap_or_default().to_owned();
                let name_value = parts.next().unwrap_or_default().to_owned();
                // A default pair delimiter gives way to TAB where the payload uses it.
                let pair = if parts.next() == Some("?") {
                    format!("?{pair}")
                } else {
                    pair
                };
                let list = &mut self.docs[doc].delimiters;
                let entry = (pair, name_value);
                let position = list
                    .iter()
                    .position(|known| *known == entry)
                    .unwrap_or_else(|| {
                        list.push(entry);
                        list.len() - 1
                    });
                Kind::Pairs(pattern::keys(&text.text), position)
            }
            PatternType::GenericListKey => {
                let mut pieces = Vec::new();
                for piece in pattern::keys(&text.text) {
                    pieces.push(match piece {
                        Piece::Literal(literal) => Piece::Literal(literal),
                        Piece::Path(position) => {
                            let Some(position) =
                                position.strip_prefix('$').and_then(|p| p.parse().ok())
                            else {
                                self.path_error(
                                    index,
                                    &text,
                                    &PathError {
                                        span: 0..text.text.len(),
                                        message: format!(
                                            "`{position}` is not a position in a list"
                                        ),
                                        help: "write $0 for the first item, $1 for the second"
                                            .to_owned(),
                                    },
                                );
                                return None;
                            };
                            Piece::Path(position)
                        }
                    });
                }
                Kind::List(pieces, delimiters.to_owned())
            }
        };
        let pattern = self.push_pattern(&declared.id.value, doc, compiled);
        self.patterns[pattern].filters = (first_filter..self.branches.len()).collect();
        Some(pattern)
    }

    /// The document made by the value of the pattern that `within` names.
    fn within(&mut self, index: usize, within: &'a Spanned<String>) -> Option<usize> {
        let base = self.declared(within)?;
        let mut at = base;
        let mut steps = 0;
        while let Some(next) = &self.document.patterns[at].within {
            steps += 1;
            let circle = at == index || steps > self.document.patterns.len();
            match self.by_id.get(next.value.as_str()) {
                Some(&next) if !circle => at = next,
                _ if circle => break,
                _ => break,
            }
        }
        if at == index || steps > self.document.patterns.len() {
            if self.reported.insert((index, Code::WithinInvalid)) {
                let id = &self.document.patterns[index].id.value;
                self.report(
                    Code::WithinInvalid,
                    &within.span,
                    format!("pattern `{id}` runs within itself"),
                    "let one of the patterns in the circle run over the payload",
                );
            }
            return None;
        }
        let declared = &self.document.patterns[base];
        let kind = declared
            .declared_type
            .as_ref()
            .map_or(PatternType::JavaPattern, |t| t.value);
        let options = &self.manifest.options;
        let delimiters = match kind {
            PatternType::NameValuePairKey => {
                format!(
                    "{}\u{0}{}\u{0}?",
                    options.pair_delimiter, options.name_value_delimiter
                )
            }
            PatternType::GenericListKey => options.list_delimiter.clone(),
            _ => String::new(),
        };
        let compiled = self.compile_pattern(base, kind, &delimiters)?;
        if let Some(&doc) = self.doc_of.get(&compiled) {
            return Some(doc);
        }
        self.docs.push(Doc {
            base: Some(compiled),
            ..Doc::default()
        });
        self.doc_of.insert(compiled, self.docs.len() - 1);
        Some(self.docs.len() - 1)
    }

    fn json(
        &mut self,
        index: usize,
        doc: usize,
        text: &EffectiveText,
    ) -> Option<Vec<Piece<JsonValue>>> {
        let declared = &self.document.patterns[index];
        let pieces = match keypath::json_format(&text.text) {
            Ok(pieces) => pieces,
            Err(error) => {
                self.path_error(index, text, &error);
                return None;
            }
        };
        if !pieces.iter().any(|piece| matches!(piece, Piece::Path(_))) {
            self.no_path(index, "a JSON key path");
            return None;
        }
        let mut filters = 0;
        let mut values = Vec::new();
        for piece in pieces {
            values.push(match piece {
                Piece::Literal(literal) => Piece::Literal(literal),
                Piece::Path(mut path) => {
                    let hits = self.hits(index, text, &mut path)?;
                    for condition in path.filters() {
                        filters += 1;
                        let id = format!("pattern/{}/filter/{filters}", declared.id.value);
                        let span = declared.body.file_span(&text.back(&condition.span));
                        let file = Arc::clone(&self.file);
                        self.branch(&id, BranchKind::Filter, &file, span);
                    }
                    Piece::Path(JsonValue {
                        slot: self.docs[doc].json.add(&path, hits),
                        hits,
                        separator: declared
                            .separator
                            .clone()
                            .unwrap_or_else(|| ", ".to_owned()),
                    })
                }
            });
        }
        Some(values)
    }

    /// What several hits of a path mean; the path is adjusted to it.
    fn hits(&mut self, index: usize, text: &EffectiveText, path: &mut JsonPath) -> Option<Hits> {
        let declared = &self.document.patterns[index];
        if let Some(hits) = &declared.hits {
            if path.whole_array {
                path.steps.push(Step::Each);
                path.whole_array = false;
            }
            return Some(hits.value);
        }
        if let Some(condition) = path.filters().next() {
            let span = declared.body.file_span(&text.back(&condition.span));
            self.report(
                Code::FilterUndeclared,
                &span,
                format!("pattern `{}` filters but does not say so", declared.id.value),
                "add dsmith:hits=\"first\" (or \"joined\") to the pattern, with xmlns:dsmith=\"urn:dsmith:lsx:1\" on the root element",
            );
            return None;
        }
        if !path.fans_out() {
            return Some(Hits::First);
        }
        match self.manifest.options.array_fan_out {
            ArrayFanOut::Joined => Some(Hits::Joined),
            ArrayFanOut::First => Some(Hits::First),
            ArrayFanOut::NoData => {
                // An impossible position: the path is kept, and never finds anything.
                for step in &mut path.steps {
                    if *step == Step::Each {
                        *step = Step::Index(usize::MAX);
                    }
                }
                Some(Hits::First)
            }
        }
    }

    fn no_path(&mut self, index: usize, what: &str) {
        let declared = &self.document.patterns[index];
        if self.reported.insert((index, Code::PathInvalid)) {
            let span = declared.body_span.clone();
            self.report(
                Code::PathInvalid,
                &span,
                format!("pattern `{}` holds no path", declared.id.value),
                format!("write {what}, which begins with `/`"),
            );
        }
    }

    fn path_error(&mut self, index: usize, text: &EffectiveText, error: &PathError) {
        let declared = &self.document.patterns[index];
        if self.reported.insert((index, Code::PathInvalid)) {
            let span = declared.body.file_span(&text.back(&error.span));
            self.report(
                Code::PathInvalid,
                &span,
                format!("pattern `{}`: {}", declared.id.value, error.message),
                error.help.clone(),
            );
        }
    }

    fn regex_error(&mut self, index: usize, text: &EffectiveText, error: &SyntaxError) {
        let declared = &self.document.patterns[index];
        let code = match error.kind {
            SyntaxErrorKind::Unsupported => Code::RegexUnsupported,
            _ => Code::RegexInvalid,
        };
        if self.reported.insert((index, code)) {
            let span = declared.body.file_span(&text.back(&error.span));
            let help = error
                .help
                .clone()
                .unwrap_or_else(|| "mend the regular expression; its flavour is Java's".to_owned());
            self.report(
                code,
                &span,
                format!("pattern `{}`: {}", declared.id.value, error.message),
                help,
            );
        }
    }

    fn kind(&self, target: Target) -> FieldKind {
        match target {
            Target::Field(field) => field.kind(),
            Target::Custom(index) => self.custom[index].kind.kind(),
        }
    }

    /// Whether a pattern is a JSON key path over the payload that leads to one value.
    fn is_direct(&self, pattern: usize) -> bool {
        let pattern = &self.patterns[pattern];
        match &pattern.kind {
            Kind::Json(pieces) if pattern.doc == 0 => {
                matches!(pieces.as_slice(), [Piece::Path(value)] if value.hits == Hits::First)
            }
            _ => false,
        }
    }

    /// The slot of the JSON value that a pattern reads, or that the patterns it runs within read first.
    fn requires(&self, pattern: usize) -> Option<json::SlotIx> {
        let mut pattern = &self.patterns[pattern];
        while let Some(base) = self.docs[pattern.doc].base {
            pattern = &self.patterns[base];
        }
        match &pattern.kind {
            Kind::Json(pieces) => match pieces.as_slice() {
                [Piece::Path(value)] => Some(value.slot),
                _ => None,
            },
            _ => None,
        }
    }

    fn capture(&mut self, matcher: &lsx::Matcher, compiled: usize) -> Capture {
        let groups = match &self.patterns[compiled].kind {
            Kind::Regex(regex) => regex.group_count(),
            _ => return Capture::Group(0),
        };
        let Some(text) = &matcher.capture_group else {
            return Capture::Group(0);
        };
        let substitutions = matcher
            .enable_substitutions
            .as_ref()
            .is_some_and(|flag| flag.value);
        let missing = |this: &mut Self, group: usize| {
            this.report(
                Code::CaptureGroupMissing,
                &text.span,
                format!(
                    "group {group} does not exist: pattern `{}` has {groups}",
                    matcher.pattern_id.value
                ),
                "count the opening parentheses; (?:...) does not count",
            );
        };
        if !substitutions && let Ok(group) = text.value.trim().parse::<usize>() {
            if group > groups {
                missing(self, group);
                return Capture::Group(0);
            }
            return Capture::Group(group);
        }
        if !substitutions {
            self.report(
                Code::TemplateWithoutFlag,
                &text.span,
                format!("capture-group `{}` is a template", text.value),
                "add enable-substitutions=\"true\"",
            );
        }
        let parts = pattern::template(&text.value);
        for (at, part) in parts.iter().enumerate() {
            let TemplatePart::Group(group) = part else {
                continue;
            };
            if *group > groups {
                missing(self, *group);
            }
            if let Some(TemplatePart::Literal(next)) = parts.get(at + 1)
                && next.starts_with(|c: char| c.is_ascii_digit())
            {
                self.report(
                    Code::TemplateGroupAboveNine,
                    &text.span,
                    format!("`\\{group}{}` is group {group} followed by a digit", &next[..1]),
                    "use non-capturing groups (?:...) so that the group you need is among the first nine",
                );
            }
        }
        Capture::Template(parts)
    }

    fn ext_data(&mut self, matcher: &lsx::Matcher, target: Target) -> Option<DateFormat> {
        let text = matcher.ext_data.as_ref()?;
        if self.kind(target) != FieldKind::Time {
            self.report(
                Code::ExtDataMisplaced,
                &text.span,
                format!("ext-data on {}", matcher.field.value),
                "remove it, or move it to the matcher for DeviceTime",
            );
            return None;
        }
        match DateFormat::new(&text.value, Dialect::Joda) {
            Ok(format) => Some(format),
            Err(error) => {
                let start = text.span.start + error.span.start;
                let end = (text.span.start + error.span.end).min(text.span.end);
                self.report(
                    Code::DateFormatInvalid,
                    &(start..end),
                    error.message,
                    error.help.unwrap_or_default(),
                );
                None
            }
        }
    }

    fn singles(
        &mut self,
        group: &lsx::Group,
        prefix: &str,
        event_name: &[Matcher],
    ) -> Vec<EventMatch<String>> {
        let constants: Option<Vec<&str>> =
            event_name.iter().map(|m| constant(&m.capture)).collect();
        let constants: Option<Vec<String>> =
            constants.map(|list| list.into_iter().map(str::to_owned).collect());
        let file = Arc::clone(&self.file);
        let mut singles = Vec::new();
        for single in &group.singles {
            let name = &single.value.event_name;
            if let Some(constants) = &constants
                && !constants.is_empty()
                && !constants.contains(&name.value)
            {
                self.report(
                    Code::EventMatchUnreachable,
                    &name.span,
                    format!(
                        "no matcher of this group yields the event name `{}`",
                        name.value
                    ),
                    format!("names that this group yields: {}", constants.join(", ")),
                );
            }
            let id = format!("{prefix}/event-match-single/{}", name.value);
            let branch = self.branch(&id, BranchKind::EventMatch, &file, single.span.clone());
            singles.push(EventMatch {
                branch,
                on: name.value.clone(),
                modifiers: single.value.modifiers.clone(),
            });
        }
        singles
    }

    fn multiples(&mut self, group: &lsx::Group, prefix: &str) -> Vec<EventMatch<(usize, usize)>> {
        let file = Arc::clone(&self.file);
        let mut multiples = Vec::new();
        for multiple in &group.multiples {
            let id = &multiple.value.pattern_id;
            let Some(index) = self.declared(id) else {
                continue;
            };
            if let Some(kind) = &self.document.patterns[index].declared_type
                && kind.value != PatternType::JavaPattern
            {
                self.report(
                    Code::PatternTypeMismatch,
                    &id.span,
                    format!(
                        "event-match-multiple runs pattern `{}` as a regular expression",
                        id.value
                    ),
                    "name a pattern of type JavaPattern; it is matched against the event name",
                );
            }
            let Some(compiled) = self.compile_pattern(index, PatternType::JavaPattern, "") else {
                continue;
            };
            let capture = multiple
                .value
                .capture_group
                .as_ref()
                .map_or(0, |group| group.value as usize);
            if let Kind::Regex(regex) = &self.patterns[compiled].kind
                && capture > regex.group_count()
            {
                let groups = regex.group_count();
                let span = multiple
                    .value
                    .capture_group
                    .as_ref()
                    .map_or(0..0, |g| g.span.clone());
                self.report(
                    Code::CaptureGroupMissing,
                    &span,
                    format!(
                        "group {capture} does not exist: pattern `{}` has {groups}",
                        id.value
                    ),
                    "count the opening parentheses; (?:...) does not count",
                );
                continue;
            }
            let name = format!("{prefix}/event-match-multiple/{}", id.value);
            let branch = self.branch(&name, BranchKind::EventMatch, &file, multiple.span.clone());
            multiples.push(EventMatch {
                branch,
                on: (compiled, capture),
                modifiers: multiple.value.modifiers.clone(),
            });
        }
        multiples
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

/// The text of a template without groups.
fn constant(capture: &Capture) -> Option<&str> {
    match capture {
        Capture::Template(parts) => match parts.as_slice() {
            [TemplatePart::Literal(text)] => Some(text),
            _ => None,
        },
        Capture::Group(_) => None,
    }
}

/// The text of a pattern after trim-whitespace, and the way back to the written one.
struct EffectiveText {
    text: String,
    /// For each byte of `text`, its offset in the written text; empty when nothing was removed.
    origin: Vec<usize>,
}

impl EffectiveText {
    fn of(pattern: &lsx::Pattern, rule: TrimWhitespace) -> Self {
        let written = pattern.body.text.as_str();
        if !pattern.trim_whitespace {
            return Self {
                text: written.to_owned(),
                origin: Vec::new(),
            };
        }
        let keep = |at: usize, c: char| match rule {
            TrimWhitespace::All => !c.is_whitespace(),
            TrimWhitespace::LineBreaks => {
                if !c.is_whitespace() {
                    return true;
                }
                // A blank stays if the run of white space that it belongs to lies inside one line.
                let before = written[..at].trim_end().len();
                let after = written.len() - written[at..].trim_start().len();
                before > 0
                    && after < written.len()
                    && !written[before..after].contains(['\n', '\r'])
            }
        };
        let mut text = String::new();
        let mut origin = Vec::new();
        for (at, c) in written.char_indices() {
            if keep(at, c) {
                text.push(c);
                origin.extend((0..c.len_utf8()).map(|i| at + i));
            }
        }
        origin.push(written.trim_end().len());
        Self { text, origin }
    }

    fn back(&self, range: &Range<usize>) -> Range<usize> {
        if self.origin.is_empty() {
            return range.clone();
        }
        let place = |offset: usize| self.origin.get(offset).copied().unwrap_or_default();
        let start = place(range.start);
        let end = if range.is_empty() {
            start
        } else {
            place(range.end - 1) + 1
        };
        start..end
    }
}
