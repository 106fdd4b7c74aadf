//! Which element stands in which, and what an end tag ends.

use super::attributes::Attributes;
use super::parse::{Element, Open, Parser};
use super::{NAMESPACE, PatternType};
use crate::diagnostic::{Code, Diagnostic, suggest};
use quick_xml::events::BytesStart;
use std::ops::Range;

impl Parser<'_> {
    pub(super) fn start(&mut self, tag: &BytesStart<'_>, span: Range<usize>) -> Option<Element> {
        let full = tag.name();
        let full: &str = full.as_ref();
        if !full.starts_with(|c: char| c.is_alphabetic() || c == '_') || full.contains('<') {
            self.stray_angle(&span);
            return None;
        }
        let local = tag.local_name();
        let name: &str = local.as_ref();
        if matches!(name, "pattern" | "match-group")
            && let Some(Open::Pattern(_)) = self.open.last().map(|element| &element.open)
            && let Some(mut element) = self.open.pop()
        {
            if let Open::Pattern(pattern) = &mut element.open {
                // The line break before the next element is not its own.
                let end = pattern.body.text.trim_end().len();
                pattern.body.text.truncate(end);
            }
            // No regex holds such an element: the end of the pattern was forgotten.
            self.malformed(
                element.span.clone(),
                format!("`<{}>` is not closed", element.name),
                "",
                format!("add </{}> after the text", element.name),
            );
            self.close(element);
        }
        if let Some(Open::Pattern(_)) = self.open.last().map(|element| &element.open) {
            return Some(Element {
                name: full.to_owned(),
                span,
                open: Open::InPattern,
            });
        }
        let mut attributes = Attributes::read(self, tag, &span);
        if let Some((prefix, _)) = full.split_once(':')
            && !self.declared(prefix)
        {
            self.malformed(
                span.start + 1..span.start + 1 + prefix.len(),
                format!("prefix `{prefix}` is not declared"),
                "",
                format!("add xmlns:{prefix}=\"{NAMESPACE}\" to the root element"),
            );
        }
        let open = self.meaning(name, &span, &mut attributes);
        match open {
            Some(open) => {
                attributes.report_rest(self, name);
                Some(open)
            }
            None => {
                self.mention(attributes, name);
                Some(Open::Skipped)
            }
        }
        .map(|open| Element {
            name: full.to_owned(),
            span,
            open,
        })
    }

    /// What an element is by its name and its place; nothing if it has no business there.
    fn meaning(
        &mut self,
        name: &str,
        span: &Range<usize>,
        attributes: &mut Attributes,
    ) -> Option<Open> {
        let matcher = PatternType::ELEMENTS
            .iter()
            .position(|element| *element == name)
            .map(|index| PatternType::ALL[index]);
        if matcher.is_some() || name.starts_with("event-match") {
            self.end_leaf(span.start);
        }
        let parent = self.open.last().map(|element| &element.open);
        let (message, help) = match (parent, name, matcher) {
            (None, ..) => {
                let open = self.root(name, span.clone());
                // Its other attributes concern nobody.
                attributes.forget();
                return Some(open);
            }
            (Some(Open::Skipped | Open::InPattern | Open::Pattern(_)), ..) => return None,
            (Some(Open::Root), "pattern", _) => return Some(self.pattern(attributes)),
            (Some(Open::Root), "match-group", _) => return Some(self.group(attributes)),
            (Some(Open::Group(_)), "event-match-single", _) => {
                return Some(self.single(attributes));
            }
            (Some(Open::Group(_)), "event-match-multiple", _) => {
                return Some(self.multiple(attributes));
            }
            (Some(Open::Group(_)), _, Some(matcher)) => {
                return Some(self.matcher(matcher, attributes));
            }
            (Some(Open::Root), ..) if matcher.is_some() || name.starts_with("event-match") => (
                format!("element `{name}` stands outside a match-group"),
                "move it into a match-group".to_owned(),
            ),
            (Some(Open::Group(_)), "pattern", _) => (
                "element `pattern` stands inside a match-group".to_owned(),
                "move it before the match-group".to_owned(),
            ),
            (Some(Open::Group(_)), "match-group", _) => (
                "a match-group stands inside a match-group".to_owned(),
                "close the outer one with </match-group> first".to_owned(),
            ),
            (Some(Open::Root), ..) => (
                format!("element `{name}` has no meaning here"),
                suggest(
                    name,
                    "elements that may stand here",
                    &["pattern", "match-group"],
                ),
            ),
            (Some(Open::Group(_)), ..) => {
                let known: Vec<&str> = PatternType::ELEMENTS
                    .iter()
                    .copied()
                    .chain(["event-match-single", "event-match-multiple"])
                    .collect();
                (
                    format!("element `{name}` has no meaning here"),
                    suggest(name, "elements that may stand here", &known),
                )
            }
            (Some(Open::Leaf), ..) => (
                format!("element `{name}` stands inside a matcher or modifier"),
                "remove it; matchers and modifiers have attributes only".to_owned(),
            ),
        };
        self.out
            .push(Diagnostic::new(Code::ElementUnknown, message, help).at(
                self.file,
                span.clone(),
                "",
            ));
        None
    }

    /// Ends a matcher before the next one where its end was forgotten: no end tag of it comes in the group.
    fn end_leaf(&mut self, at: usize) {
        let Some(last) = self.open.last() else {
            return;
        };
        if !matches!(last.open, Open::Leaf) {
            return;
        }
        let text = self.file.text.as_str();
        let group = self.end_tags.next(text, "match-group", at);
        if self.end_tags.next(text, &last.name, at) < group {
            return;
        }
        let (name, span) = (last.name.clone(), last.span.clone());
        self.malformed(
            span,
            format!("`<{name}>` is not closed"),
            "",
            "end the tag with />",
        );
        self.open.pop();
    }

    /// Remembers what an element says that is not read, so that nothing it names is called unused.
    fn mention(&mut self, attributes: Attributes, name: &str) {
        let pattern = name == "pattern";
        for (name, value) in attributes.into_values() {
            if pattern && name == "id" {
                self.document.misplaced.insert(value);
            } else {
                self.document.mentioned.insert(value);
            }
        }
    }

    /// A `<` that begins no element.
    fn stray_angle(&mut self, span: &Range<usize>) {
        self.malformed(
            span.start..span.start + 1,
            "`<` begins no element here",
            "",
            "write &lt;, or wrap the pattern in CDATA",
        );
        let swallowed = self.file.text.get(span.clone()).unwrap_or_default();
        if let Some(Open::Pattern(pattern)) = self.open.last_mut().map(|e| &mut e.open) {
            pattern.body.unread = true;
            if swallowed.contains("</") {
                if let Some(element) = self.open.pop() {
                    self.close(element);
                }
                return;
            }
        }
        self.document.unread = true;
    }

    fn root(&mut self, name: &str, span: Range<usize>) -> Open {
        if self.seen_root {
            self.malformed(
                span,
                format!("a second root element `{name}`"),
                "",
                "an XML document has one root element; remove the second",
            );
            return Open::Skipped;
        }
        self.seen_root = true;
        self.document.root = span.clone();
        if name != "device-extension" {
            self.out.push(
                Diagnostic::new(
                    Code::NotAnExtension,
                    format!("the root element is `{name}`"),
                    format!("the root element of a log source extension is <device-extension xmlns=\"{NAMESPACE}\">"),
                )
                .at(self.file, span, "expected device-extension"),
            );
            return Open::Skipped;
        }
        let tag = self
            .file
            .text
            .get(span.start + 1..span.end)
            .unwrap_or_default();
        let prefix = tag
            .split_once(':')
            .map(|(prefix, _)| prefix)
            .filter(|prefix| prefix.bytes().all(|b| b.is_ascii_alphanumeric()))
            .unwrap_or_default();
        let namespace = self.namespaces.get(prefix);
        let written = if prefix.is_empty() {
            format!("xmlns=\"{NAMESPACE}\"")
        } else {
            format!("xmlns:{prefix}=\"{NAMESPACE}\"")
        };
        let (message, place) = match namespace {
            Some((uri, _)) if uri == NAMESPACE => return Open::Root,
            Some((uri, place)) => (
                format!("`{uri}` is not the namespace of log source extensions"),
                place.clone(),
            ),
            // Reported as a prefix that is not declared.
            None if !prefix.is_empty() => return Open::Root,
            None => ("the root element has no namespace".to_owned(), span),
        };
        self.out.push(
            Diagnostic::new(Code::NamespaceWrong, message, format!("write {written}"))
                .at(self.file, place, ""),
        );
        Open::Root
    }

    /// Whether a prefix is declared; `xml` always is.
    pub(super) fn declared(&self, prefix: &str) -> bool {
        matches!(prefix, "xml" | "xmlns") || self.namespaces.get(prefix).is_some()
    }

    pub(super) fn end(&mut self, name: &str, span: Range<usize>) {
        let Some(last) = self.open.last() else {
            self.malformed(span, format!("`</{name}>` closes nothing"), "", "remove it");
            return;
        };
        if last.name == name {
            if let Some(element) = self.open.pop() {
                self.close(element);
            }
            return;
        }
        let in_pattern = matches!(last.open, Open::InPattern);
        crate::steps::count(self.open.len());
        let known = self.open.iter().any(|element| element.name == name);
        let (expected, opened) = (last.name.clone(), last.span.clone());
        if !in_pattern {
            let (message, help) = if known {
                (
                    format!("`<{expected}>` is not closed before `</{name}>`"),
                    format!("add </{expected}>, or end the tag with />"),
                )
            } else {
                (
                    format!("`</{name}>` does not close `<{expected}>`"),
                    format!("write </{expected}>"),
                )
            };
            self.out.push(
                Diagnostic::new(Code::XmlMalformed, message, help)
                    .at(self.file, span, "")
                    .at(self.file, opened, "opened here"),
            );
        }
        // With a name that is open further out, what is open inside ends too; else it is a misspelling.
        while let Some(element) = self.open.pop() {
            let found = element.name == name || !known;
            if matches!(element.open, Open::InPattern) {
                self.unclosed_in_pattern(&element);
            } else {
                self.close(element);
            }
            if found {
                break;
            }
        }
    }

    /// `<` in the text of a pattern, such as that of a named group, that was read as the start of an element.
    fn unclosed_in_pattern(&mut self, element: &Element) {
        let name = &element.name;
        self.malformed(
            element.span.clone(),
            format!("`<{name}>` in the text of a pattern is read as an element"),
            "",
            "wrap the pattern in CDATA: <![CDATA[...]]>",
        );
        if let Some(Open::Pattern(pattern)) = self.open.last_mut().map(|e| &mut e.open) {
            pattern.body.unread = true;
        }
    }

    pub(super) fn close(&mut self, element: Element) {
        match element.open {
            Open::Pattern(pattern) => self.document.patterns.push(*pattern),
            Open::Group(group) => self.document.groups.push(*group),
            Open::InPattern => {
                self.out.push(
                    Diagnostic::new(
                        Code::ElementUnknown,
                        format!("element `{}` stands in the text of a pattern", element.name),
                        "remove it, or wrap the pattern in CDATA if `<` belongs to it",
                    )
                    .at(self.file, element.span, ""),
                );
                if let Some(Open::Pattern(pattern)) = self.open.last_mut().map(|e| &mut e.open) {
                    pattern.body.unread = true;
                }
            }
            Open::Root | Open::Leaf | Open::Skipped => {}
        }
    }
}
