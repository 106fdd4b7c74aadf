//! Patterns: read the way their matchers read them.

use super::*;

impl<'a> Compiler<'a> {
    pub(super) fn matcher_pattern(&mut self, matcher: &lsx::Matcher) -> Option<usize> {
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
                format!("{pair}\u{0}{name_value}")
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
    pub(super) fn declared(&mut self, id: &Spanned<String>) -> Option<usize> {
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
                let (pair, name_value) = delimiters.split_once('\u{0}').unwrap_or((delimiters, ""));
                let (pair, name_value) = (pair.to_owned(), name_value.to_owned());
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
                    "{}\u{0}{}",
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

    /// The slot of the JSON value that a pattern reads, or that the patterns it runs within read first.
    pub(super) fn requires(&self, pattern: usize) -> Option<json::SlotIx> {
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
