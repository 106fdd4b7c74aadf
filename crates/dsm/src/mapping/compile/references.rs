//! Who names which pattern, by `pattern-id` and by `dsmith:within`.

use super::Compiler;
use super::text::{EffectiveText, key_fault};
use crate::diagnostic::{Code, Diagnostic};
use crate::keypath;
use crate::lsx::{self, PatternType, Spanned};
use crate::mapping::pattern::Doc;
use java_regex::{Flags, JavaRegex};
use std::collections::HashMap;
use std::rc::Rc;

impl<'a> Compiler<'a> {
    /// The declaration that an identifier names; marks it as used.
    pub(super) fn declared(&mut self, id: &Spanned<String>) -> Option<usize> {
        if let Some(&index) = self.by_id.get(id.value.as_str()) {
            self.used.insert(index);
            return Some(index);
        }
        let document = self.document;
        // Where the declaration may have been lost to another fault, that fault is enough.
        if id.value.is_empty() || document.unread || document.misplaced.contains(&id.value) {
            return None;
        }
        let known = Rc::clone(&self.known_patterns);
        let near = self.suggester.nearest(&id.value, &known);
        if near.is_none() && self.chains.has_nameless {
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
        match self.chains.of(index) {
            Chain::Ends(_) => {}
            Chain::TooLong(at) => {
                self.too_long(at);
                return None;
            }
            Chain::Circle(circle) => {
                let members = Rc::clone(&self.chains.circles[circle]);
                self.circle(&members);
                return None;
            }
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

    /// However many patterns lead into a chain that is too long, it is told once.
    fn too_long(&mut self, at: usize) {
        let Some(within) = &self.document.patterns[at].within else {
            return;
        };
        if self.reported.insert((at, Code::WithinInvalid)) {
            self.report(
                Code::WithinInvalid,
                &within.span,
                format!("more than {MAX_WITHIN} patterns run within each other"),
                "read the value with fewer patterns",
            );
        }
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
        let more = members.len().saturating_sub(MAX_SHOWN);
        let members = &members[..members.len() - more];
        let mut ids: Vec<String> = members.iter().map(|p| p.id.value.clone()).collect();
        if more > 0 {
            ids.push(format!("{more} more"));
        }
        ids.extend(members.first().map(|pattern| pattern.id.value.clone()));
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

/// How many patterns run within each other. JSON in JSON in JSON needs two.
const MAX_WITHIN: usize = 16;

/// How many patterns of a circle are named.
const MAX_SHOWN: usize = 16;

/// What a pattern runs within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// So many patterns, the last of which runs over the payload.
    Ends(usize),
    /// More patterns than may be: [`MAX_WITHIN`] in a row from this one on.
    TooLong(usize),
    /// Patterns that run within each other in a circle, by its place in [`Chains::circles`].
    Circle(usize),
}

/// The chain of each pattern, by `dsmith:within`.
#[derive(Debug, Default)]
pub(super) struct Chains {
    of: Vec<Chain>,
    /// The members of each circle, each of which runs within the next.
    circles: Vec<Rc<[usize]>>,
    /// Whether a pattern has no identifier, so that it may be the one that is meant.
    has_nameless: bool,
}

impl Chains {
    pub(super) fn new(patterns: &[lsx::Pattern], by_id: &HashMap<&str, usize>) -> Self {
        let base = |index: usize| {
            let within = patterns[index].within.as_ref()?;
            by_id.get(within.value.as_str()).copied()
        };
        let mut of: Vec<Option<Chain>> = vec![None; patterns.len()];
        let mut circles: Vec<Rc<[usize]>> = Vec::new();
        // The place of a pattern on the way that is followed at the moment.
        let mut on_way: HashMap<usize, usize> = HashMap::new();
        for first in 0..patterns.len() {
            let mut way = Vec::new();
            let mut next = Some(first);
            let mut chain = loop {
                crate::steps::count(1);
                // Outside the file's patterns there is the payload.
                let Some(at) = next else {
                    break None;
                };
                if let Some(known) = of[at] {
                    break Some(known);
                }
                if let Some(&start) = on_way.get(&at) {
                    circles.push(way[start..].into());
                    break Some(Chain::Circle(circles.len() - 1));
                }
                on_way.insert(at, way.len());
                way.push(at);
                next = base(at);
            };
            for &at in way.iter().rev() {
                let this = match chain {
                    None => Chain::Ends(0),
                    Some(Chain::Ends(MAX_WITHIN)) => Chain::TooLong(at),
                    Some(Chain::Ends(count)) => Chain::Ends(count + 1),
                    Some(other) => other,
                };
                of[at] = Some(this);
                chain = Some(this);
            }
            on_way.clear();
        }
        Self {
            of: of
                .into_iter()
                .map(|chain| chain.unwrap_or(Chain::Ends(0)))
                .collect(),
            circles,
            has_nameless: patterns.iter().any(|pattern| pattern.id.value.is_empty()),
        }
    }

    fn of(&self, pattern: usize) -> Chain {
        self.of.get(pattern).copied().unwrap_or(Chain::Ends(0))
    }
}
