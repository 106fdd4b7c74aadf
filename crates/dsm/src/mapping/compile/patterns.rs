//! Patterns: read the way their matchers read them.

use super::text::{EffectiveText, key_fault};
use super::{Compiler, regex_fault};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::extract::json;
use crate::keypath::{self, JsonPath, PathError, Piece, Step};
use crate::lsx::{self, Hits, PatternType};
use crate::mapping::pattern::{self, Compiled, JsonValue, Kind};
use crate::mapping::{BranchKind, Group, Pairs};
use crate::options::{ArrayFanOut, BareKeySubstitution};
use java_regex::{Flags, JavaRegex, RegexSet, SyntaxError};
use std::collections::BTreeSet;
use std::sync::Arc;

impl<'a> Compiler<'a> {
    pub(super) fn matcher_pattern(&mut self, matcher: &lsx::Matcher) -> Option<usize> {
        let index = self.declared(&matcher.pattern_id)?;
        self.declared_late(index, &matcher.pattern_id);
        let declared = &self.document.patterns[index];
        if let Some(kind) = &declared.declared_type
            && kind.value != matcher.element
        {
            self.reported.insert((index, Code::PatternTypeMismatch));
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
        if matcher.element == PatternType::JavaPattern && declared.declared_type.is_none() {
            self.key_path_as_regex(index, matcher);
        }
        let options = &self.manifest.options;
        let delimiters = match matcher.element {
            PatternType::NameValuePairKey => {
                let pair = matcher
                    .delimiter
                    .as_ref()
                    .map_or(&options.pair_delimiter, |written| &written.value);
                let name_value = matcher
                    .name_value_delimiter
                    .as_ref()
                    .map_or(&options.name_value_delimiter, |written| &written.value);
                format!("{pair}\u{0}{name_value}")
            }
            PatternType::GenericListKey => matcher
                .delimiter
                .as_ref()
                .map_or(&options.list_delimiter, |written| &written.value)
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
        let format = matcher.element != PatternType::JavaPattern
            && body.contains('{')
            && !body.trim_start().starts_with("/\"");
        if format && !substitutions && self.reported.insert((index, Code::TemplateWithoutFlag)) {
            self.out.push(
                Diagnostic::new(
                    Code::TemplateWithoutFlag,
                    format!("pattern `{}` is a format with braces", declared.id.value),
                    format!(
                        "add enable-substitutions=\"true\" to the {}",
                        matcher.element.element()
                    ),
                )
                .because("without the flag the text should be one key; IBM's own examples forget it, so the braces are honoured")
                .at(&self.file, matcher.span.clone(), "without enable-substitutions")
                .at(&self.file, declared.body_span.clone(), "the format"),
            );
        }
        self.compile_pattern(index, matcher.element, &delimiters)
    }

    /// Whether a pattern holds nothing; that is reported.
    fn is_empty(&mut self, index: usize, kind: PatternType, text: &EffectiveText) -> bool {
        let declared = &self.document.patterns[index];
        let regex = kind == PatternType::JavaPattern;
        let empty = if regex {
            text.text.is_empty()
        } else {
            text.text.trim().is_empty()
        };
        if empty && self.reported.insert((index, Code::PatternEmpty)) {
            let mut finding = Diagnostic::new(
                Code::PatternEmpty,
                format!("pattern `{}` is empty", declared.id.value),
                "write the pattern between the tags, or remove it and its matchers",
            )
            .at(&self.file, declared.span.clone(), "");
            if regex {
                finding = finding.with_severity(Severity::Warning).because(
                    "an empty regular expression matches every payload and finds nothing in it",
                );
            }
            self.out.push(finding);
        }
        empty && !regex
    }

    /// A key path whose type was forgotten compiles as a regular expression, and finds nothing.
    fn key_path_as_regex(&mut self, index: usize, matcher: &lsx::Matcher) {
        let declared = &self.document.patterns[index];
        let text = declared.body.text.trim();
        if !text.starts_with("/\"") || keypath::json_path(text).is_err() {
            return;
        }
        self.reported.insert((index, Code::PatternTypeMismatch));
        self.out.push(
            Diagnostic::new(
                Code::PatternTypeMismatch,
                format!(
                    "pattern `{}` is a key path but matcher reads it as a regular expression",
                    declared.id.value
                ),
                "write type=\"JsonKeypath\" on the pattern and use json-matcher (or XmlKey and xml-matcher)",
            )
            .at(&self.file, matcher.pattern_id.span.clone(), "")
            .at(&self.file, declared.body_span.clone(), "a pattern without a type is a JavaPattern"),
        );
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

    pub(super) fn compile_pattern(
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
        if declared.body.unread {
            return None;
        }
        let doc = match &declared.within {
            Some(within) => self.within(index, within)?,
            None => 0,
        };
        let text = EffectiveText::of(declared, self.manifest.options.trim_whitespace);
        if self.is_empty(index, kind, &text) {
            return None;
        }
        let keys_only = !matches!(
            kind,
            PatternType::JavaPattern | PatternType::JsonKeypath | PatternType::XmlKey
        );
        if keys_only && let Some(error) = key_fault(&text.text) {
            self.path_error(index, &text, &error);
            return None;
        }
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
                match JavaRegex::new_in(&mut self.room, &text.text, flags) {
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
                let (pair, name_value) = delimiters.split_once('\u{0}').unwrap_or((delimiters, ""));
                let delimiters = (pair.to_owned(), name_value.to_owned());
                let list = &mut self.docs[doc].pairs;
                let key = (doc, format!("{}\u{0}{}", delimiters.0, delimiters.1));
                let position = *self.pairs_of.entry(key).or_insert_with(|| {
                    list.push(Pairs {
                        delimiters,
                        ..Pairs::default()
                    });
                    list.len() - 1
                });
                let pieces = pattern::keys(&text.text)
                    .into_iter()
                    .map(|piece| match piece {
                        Piece::Literal(literal) => Piece::Literal(literal),
                        Piece::Path(name) => Piece::Path(list[position].slot(name)),
                    });
                Kind::Pairs(pieces.collect(), position)
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
                                        span: text
                                            .text
                                            .find(position.as_str())
                                            .map_or(0..text.text.len(), |at| {
                                                at..at + position.len()
                                            }),
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
        let mut joined = false;
        let mut values = Vec::new();
        for piece in pieces {
            values.push(match piece {
                Piece::Literal(literal) => Piece::Literal(literal),
                Piece::Path(mut path) => {
                    let hits = self.hits(index, text, &mut path)?;
                    joined |= hits == Hits::Joined;
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
                            .as_ref()
                            .map_or_else(|| ", ".to_owned(), |written| written.value.clone()),
                    })
                }
            });
        }
        if let Some(separator) = &declared.separator
            && !joined
            && self.reported.insert((index, Code::AttributeMisleading))
        {
            self.out.push(
                Diagnostic::new(
                    Code::AttributeMisleading,
                    format!(
                        "dsmith:separator on pattern `{}`, whose hits are not joined",
                        declared.id.value
                    ),
                    "write dsmith:hits=\"joined\", or remove the separator",
                )
                .because("one hit alone is used, so there is nothing to separate")
                .at(&self.file, separator.span.clone(), ""),
            );
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
            // A bare name, or names with dots as other languages write them.
            let text = declared.body.text.trim();
            let names: Vec<&str> = text.trim_start_matches(['$', '.']).split('.').collect();
            let plain = names.iter().all(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'@'))
            });
            let path: String = names.iter().map(|name| format!("/\"{name}\"")).collect();
            let example = if plain {
                format!(": {path}")
            } else {
                String::new()
            };
            self.report(
                Code::PathInvalid,
                &span,
                format!("pattern `{}` holds no path", declared.id.value),
                format!("write {what}, which begins with `/`{example}"),
            );
        }
    }

    pub(super) fn path_error(&mut self, index: usize, text: &EffectiveText, error: &PathError) {
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

    pub(super) fn regex_error(&mut self, index: usize, text: &EffectiveText, error: &SyntaxError) {
        let declared = &self.document.patterns[index];
        let (code, help) = regex_fault(error);
        if self.reported.insert((index, code)) {
            let span = declared.body.file_span(&text.back(&error.span));
            self.report(
                code,
                &span,
                format!("pattern `{}`: {}", declared.id.value, error.message),
                help,
            );
        }
    }

    /// Whether a pattern is a JSON key path over the payload that leads to one value.
    pub(super) fn is_direct(&self, pattern: usize) -> bool {
        let pattern = &self.patterns[pattern];
        match &pattern.kind {
            Kind::Json(pieces) if pattern.doc == 0 => {
                matches!(pieces.as_slice(), [Piece::Path(value)] if value.hits == Hits::First)
            }
            _ => false,
        }
    }

    /// A pattern, or the one that the patterns it runs within run over the payload.
    fn root_of(&self, mut pattern: usize) -> usize {
        while let Some(base) = self.docs[self.patterns[pattern].doc].base {
            pattern = base;
        }
        pattern
    }

    /// The regular expression over the payload that has to match before a pattern can yield anything.
    pub(super) fn regex_of(&self, pattern: usize) -> Option<usize> {
        let root = self.root_of(pattern);
        matches!(self.patterns[root].kind, Kind::Regex(_)).then_some(root)
    }

    /// All regular expressions over the payload that matchers need.
    pub(super) fn regexes(&self, groups: &[Group]) -> RegexSet {
        let targets = groups
            .iter()
            .flat_map(|group| group.targets.iter().chain([&group.event_name]));
        let used: BTreeSet<usize> = targets
            .flat_map(|candidates| &candidates.matchers)
            .filter_map(|matcher| matcher.expects)
            .collect();
        RegexSet::new(
            used.into_iter()
                .filter_map(|pattern| match &self.patterns[pattern].kind {
                    Kind::Regex(regex) => Some((pattern, regex)),
                    _ => None,
                }),
        )
    }

    /// The slot of the JSON value that a pattern reads, or that the patterns it runs within read first.
    pub(super) fn requires(&self, pattern: usize) -> Option<json::SlotIx> {
        match &self.patterns[self.root_of(pattern)].kind {
            Kind::Json(pieces) => match pieces.as_slice() {
                [Piece::Path(value)] => Some(value.slot),
                _ => None,
            },
            _ => None,
        }
    }
}
