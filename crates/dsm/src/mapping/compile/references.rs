//! Who names which pattern, by `pattern-id` and by `dsmith:within`.

use super::Compiler;
use super::text::{EffectiveText, key_fault};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::java_regex::{Flags, JavaRegex};
use crate::keypath;
use crate::lsx::{self, PatternType, Spanned};
use crate::mapping::pattern::Doc;

impl<'a> Compiler<'a> {
    /// The declaration that an identifier names; marks it as used.
    pub(super) fn declared(&mut self, id: &Spanned<String>) -> Option<usize> {
        if let Some(&index) = self.by_id.get(id.value.as_str()) {
            self.used.insert(index);
            return Some(index);
        }
        let document = self.document;
        let patterns = &document.patterns;
        // Where the declaration may have been lost to another fault, that fault is enough.
        if id.value.is_empty() || document.unread || document.misplaced.contains(&id.value) {
            return None;
        }
        let known: Vec<&str> = patterns.iter().map(|p| p.id.value.as_str()).collect();
        let near = nearest(&id.value, known.iter().copied());
        if near.is_none() && patterns.iter().any(|pattern| pattern.id.value.is_empty()) {
            return None;
        }
        // The pattern that was meant is not unused.
        self.used
            .extend(near.and_then(|name| self.by_id.get(name)).copied());
        let shown = known
            .iter()
            .take(12)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = match known.len().saturating_sub(12) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let help = match near {
            Some(name) if name.eq_ignore_ascii_case(&id.value) => {
                format!("did you mean `{name}`? identifiers are compared with case")
            }
            Some(name) => format!("did you mean `{name}`? declared patterns: {shown}{more}"),
            None if known.is_empty() => "declare the pattern; the file declares none".to_owned(),
            None => format!("declare the pattern, or name one of {shown}{more}"),
        };
        self.report(
            Code::PatternUnknown,
            &id.span,
            format!("no pattern has the id `{}`", id.value),
            help,
        );
        None
    }

    /// IBM reads the file from top to bottom.
    pub(super) fn declared_late(&mut self, index: usize, user: &Spanned<String>) {
        let declared = &self.document.patterns[index].id;
        if declared.span.start > user.span.start
            && self.reported.insert((index, Code::PatternDeclaredLate))
        {
            self.out.push(
                Diagnostic::new(
                    Code::PatternDeclaredLate,
                    format!("pattern `{}` is declared after its use", declared.value),
                    "move the pattern before the match groups",
                )
                .at(&self.file, declared.span.clone(), "declared here")
                .at(&self.file, user.span.clone(), "used here"),
            );
        }
    }

    /// The faults of a pattern that nothing compiles: who mends its use wants to know them too.
    pub(super) fn check_unused(&mut self, index: usize) {
        let declared = &self.document.patterns[index];
        if declared.body.unread {
            return;
        }
        let text = EffectiveText::of(declared, self.manifest.options.trim_whitespace);
        let kind = declared.declared_type.as_ref().map(|kind| kind.value);
        let error = match kind {
            Some(PatternType::JsonKeypath) => keypath::json_format(&text.text).err(),
            Some(PatternType::XmlKey) => keypath::xml_format(&text.text).err(),
            // A text without a type may be any of them, whatever should have used it.
            None if text.text.trim_start().starts_with(['/', '{']) => None,
            None | Some(PatternType::JavaPattern) => {
                if let Err(error) = JavaRegex::new(&text.text, Flags::default()) {
                    self.regex_error(index, &text, &error);
                }
                None
            }
            Some(_) => key_fault(&text.text),
        };
        if let Some(error) = error {
            self.path_error(index, &text, &error);
        }
    }

    /// The document made by the value of the pattern that `within` names.
    pub(super) fn within(&mut self, index: usize, within: &'a Spanned<String>) -> Option<usize> {
        let base = self.declared(within)?;
        let patterns = &self.document.patterns;
        let mut chain = vec![index];
        let mut next = Some(base);
        while let Some(at) = next {
            if let Some(start) = chain.iter().position(|known| *known == at) {
                self.circle(&chain[start..]);
                return None;
            }
            chain.push(at);
            next = patterns[at]
                .within
                .as_ref()
                .and_then(|within| self.by_id.get(within.value.as_str()))
                .copied();
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
            base_slot: self.requires(compiled).filter(|_| self.is_direct(compiled)),
            ..Doc::default()
        });
        self.doc_of.insert(compiled, self.docs.len() - 1);
        Some(self.docs.len() - 1)
    }

    /// Patterns each of which runs within the next, and the last within the first.
    fn circle(&mut self, members: &[usize]) {
        // Whichever pattern leads into it, the circle is told from its first pattern in the file, and once.
        let first = members.iter().enumerate().min_by_key(|(_, index)| **index);
        let Some((at, &first)) = first else {
            return;
        };
        if !self.reported.insert((first, Code::WithinInvalid)) {
            return;
        }
        let patterns = &self.document.patterns;
        let members: Vec<&lsx::Pattern> = members[at..]
            .iter()
            .chain(&members[..at])
            .map(|index| &patterns[*index])
            .collect();
        let ids: Vec<&str> = members
            .iter()
            .chain(members.first())
            .map(|pattern| pattern.id.value.as_str())
            .collect();
        let (message, help) = match ids.as_slice() {
            [id, _] => (
                format!("pattern `{id}` runs within itself"),
                "name another pattern, or remove dsmith:within to run over the payload",
            ),
            _ => (
                format!(
                    "patterns run within each other in a circle: {}",
                    ids.join(" -> ")
                ),
                "let one of them run over the payload: remove its dsmith:within",
            ),
        };
        let mut finding = Diagnostic::new(Code::WithinInvalid, message, help);
        for within in members.iter().filter_map(|pattern| pattern.within.as_ref()) {
            finding = finding.at(&self.file, within.span.clone(), "");
        }
        self.out.push(finding);
    }
}
