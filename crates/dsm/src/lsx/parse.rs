//! From XML to [`Document`].

use super::attributes::Attributes;
use super::{Document, Group, Pattern, PatternType};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, suggest};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::ops::Range;
use std::sync::Arc;

/// Reads an extension. Findings about the XML and about single elements come back beside what could be read.
pub fn parse(file: &Arc<SourceFile>) -> (Document, Diagnostics) {
    let mut parser = Parser {
        file,
        out: Diagnostics::new(),
        document: Document {
            file: Arc::clone(file),
            patterns: Vec::new(),
            groups: Vec::new(),
            root: 0..0,
        },
        open: Vec::new(),
        prefixes: Vec::new(),
        seen_root: false,
    };
    parser.run();
    (parser.document, parser.out)
}

/// An element whose end tag has not come yet.
pub(super) enum Open {
    Root,
    Pattern(Box<Pattern>),
    Group(Box<Group>),
    /// A matcher or modifier: has no content of interest.
    Leaf,
    /// Faulty or unknown: whatever is inside is passed over in silence, one finding is enough.
    Skipped,
}

pub(super) struct Parser<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) out: Diagnostics,
    document: Document,
    pub(super) open: Vec<Open>,
    /// Prefixes bound to our namespace.
    pub(super) prefixes: Vec<String>,
    seen_root: bool,
}

impl<'a> Parser<'a> {
    fn run(&mut self) {
        let text = self.file.text.as_str();
        // A byte order mark would count as text before the root.
        let skipped = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut reader = Reader::from_str(&text[skipped..]);
        reader.config_mut().trim_markup_names_in_closing_tags = true;
        let offset = |position: u64| usize::try_from(position).unwrap_or(usize::MAX) + skipped;
        loop {
            let start = offset(reader.buffer_position());
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => {
                    let span = start..offset(reader.buffer_position());
                    self.event(&event, span);
                }
                Err(error) => {
                    let at = offset(reader.error_position()).min(text.len());
                    let end = text[at..].find(['\n', '>']).map_or(text.len(), |i| at + i);
                    self.out.push(
                        Diagnostic::new(
                            Code::XmlMalformed,
                            format!("{error}"),
                            "mend the XML here; everything after this place was not read",
                        )
                        .at(
                            self.file,
                            at..end.max(at),
                            "the XML breaks here",
                        ),
                    );
                    return;
                }
            }
        }
        if !self.open.is_empty() {
            let end = text.len();
            self.out.push(
                Diagnostic::new(
                    Code::XmlMalformed,
                    "the file ends before all elements are closed",
                    "the file is probably truncated; add the missing end tags",
                )
                .at(self.file, end..end, "the file ends here"),
            );
        }
        if !self.seen_root && !self.out.has_errors() {
            self.out.push(
                Diagnostic::new(
                    Code::NotAnExtension,
                    "the file has no root element",
                    "an extension begins with <device-extension xmlns=\"event_parsing/device_extension\">",
                )
                .at(self.file, 0..text.len().min(1), ""),
            );
        }
    }

    fn event(&mut self, event: &Event<'a>, span: Range<usize>) {
        match event {
            Event::Start(tag) => {
                let open = self.start(tag, span);
                self.open.push(open);
            }
            Event::Empty(tag) => {
                let open = self.start(tag, span);
                self.close(open);
            }
            Event::End(_) => {
                if let Some(open) = self.open.pop() {
                    self.close(open);
                }
            }
            Event::Text(text) => self.text(text, &span, false),
            Event::CData(text) => {
                let inner = span.start + "<![CDATA[".len()..span.end - "]]>".len();
                self.text(text, &inner, true);
            }
            Event::GeneralRef(reference) => self.reference(reference, &span),
            Event::DocType(_) => self.out.push(
                Diagnostic::new(
                    Code::DtdRefused,
                    "the file declares a document type",
                    "remove the <!DOCTYPE ...> declaration",
                )
                .at(self.file, span, ""),
            ),
            Event::Decl(declaration) => {
                if let Some(Ok(value)) = declaration.standalone()
                    && !matches!(value.as_ref(), "yes" | "no")
                {
                    self.out.push(
                        Diagnostic::new(
                            Code::StandaloneInvalid,
                            format!("standalone=\"{value}\" in the XML declaration"),
                            "write standalone=\"yes\" or leave it out",
                        )
                        .at(self.file, span, ""),
                    );
                }
            }
            Event::Comment(_) | Event::PI(_) | Event::Eof => {}
        }
    }

    fn start(&mut self, tag: &BytesStart<'a>, span: Range<usize>) -> Open {
        let local = tag.local_name();
        let name = local.as_ref();
        let mut attributes = Attributes::read(self, tag, &span);
        let matcher = PatternType::ELEMENTS
            .iter()
            .position(|element| *element == name);
        let open = match (self.open.last(), name) {
            (None, _) => return self.root(name, span),
            (Some(Open::Skipped), _) => return Open::Skipped,
            (Some(Open::Root), "pattern") => self.pattern(&mut attributes),
            (Some(Open::Root), "match-group") => self.group(&mut attributes),
            (Some(Open::Group(_)), "event-match-single") => self.single(&mut attributes),
            (Some(Open::Group(_)), "event-match-multiple") => self.multiple(&mut attributes),
            (Some(Open::Group(_)), _) if matcher.is_some() => {
                let index = matcher.unwrap_or_default();
                self.matcher(PatternType::ALL[index], &mut attributes)
            }
            (parent, _) => {
                let known: &[&str] = match parent {
                    Some(Open::Root) => &["pattern", "match-group"],
                    Some(Open::Group(_)) => &[
                        "matcher",
                        "json-matcher",
                        "leef-matcher",
                        "cef-matcher",
                        "xml-matcher",
                        "namevaluepair-matcher",
                        "genericlist-matcher",
                        "event-match-single",
                        "event-match-multiple",
                    ],
                    _ => &[],
                };
                let help = if known.is_empty() {
                    "remove it; this element has no child elements".to_owned()
                } else {
                    suggest(name, "elements that may stand here", known)
                };
                self.out.push(
                    Diagnostic::new(
                        Code::ElementUnknown,
                        format!("element `{name}` has no meaning here"),
                        help,
                    )
                    .at(self.file, span, ""),
                );
                return Open::Skipped;
            }
        };
        attributes.report_rest(self, name);
        open.unwrap_or(Open::Skipped)
    }

    fn root(&mut self, name: &str, span: Range<usize>) -> Open {
        if self.seen_root {
            self.out.push(
                Diagnostic::new(
                    Code::XmlMalformed,
                    format!("a second root element `{name}`"),
                    "an XML document has one root element; remove the second",
                )
                .at(self.file, span, ""),
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
                    "this is not a log source extension; its root element is device-extension in the namespace event_parsing/device_extension",
                )
                .at(self.file, span, "expected device-extension"),
            );
            return Open::Skipped;
        }
        Open::Root
    }

    fn close(&mut self, open: Open) {
        match open {
            Open::Pattern(pattern) => self.document.patterns.push(*pattern),
            Open::Group(group) => self.document.groups.push(*group),
            Open::Root | Open::Leaf | Open::Skipped => {}
        }
    }

    fn text(&mut self, text: &str, span: &Range<usize>, cdata: bool) {
        match self.open.last_mut() {
            Some(Open::Pattern(pattern)) => {
                let body = &mut pattern.body;
                if body.pieces.is_empty() {
                    pattern.body_span = span.clone();
                }
                pattern.body_span.end = span.end;
                body.pieces.push((body.text.len(), span.start));
                body.text.push_str(text);
                body.outside_cdata |= !cdata && !text.trim().is_empty();
                body.outside_cdata_blank |= !cdata && text.trim().len() != text.len();
            }
            Some(Open::Skipped) => {}
            _ => {
                let trimmed = text.trim();
                if trimmed.is_empty() {
                    return;
                }
                let start = span.start + (text.len() - text.trim_start().len());
                let shown: String = trimmed.chars().take(20).collect();
                self.out.push(
                    Diagnostic::new(
                        Code::StrayText,
                        format!("text `{shown}` between elements"),
                        "remove it",
                    )
                    .at(self.file, start..start + trimmed.len(), ""),
                );
            }
        }
    }

    fn reference(&mut self, reference: &quick_xml::events::BytesRef<'_>, span: &Range<usize>) {
        let name: &str = reference;
        let resolved = match reference.resolve_char_ref() {
            Ok(Some(character)) => Some(character),
            Ok(None) => match name {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "apos" => Some('\''),
                "quot" => Some('"'),
                _ => None,
            },
            Err(_) => None,
        };
        let Some(character) = resolved else {
            self.out.push(
                Diagnostic::new(
                    Code::DtdRefused,
                    format!("entity `&{name};` is not one of XML's own"),
                    "write the character itself; only &lt; &gt; &amp; &quot; &apos; and character numbers are known",
                )
                .at(self.file, span.clone(), ""),
            );
            return;
        };
        if let Some(Open::Pattern(pattern)) = self.open.last_mut() {
            if pattern.body.pieces.is_empty() {
                pattern.body_span = span.clone();
            }
            pattern.body_span.end = span.end;
            pattern
                .body
                .pieces
                .push((pattern.body.text.len(), span.start));
            pattern.body.text.push(character);
            pattern.body.outside_cdata = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SendIdentity;
    use super::*;

    fn read(text: &str) -> (Document, Vec<String>) {
        let (document, out) = parse(&SourceFile::new("x.xml", text));
        (document, out.iter().map(ToString::to_string).collect())
    }

    const HAND_WRITTEN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<device-extension xmlns="event_parsing/device_extension">
  <pattern id="name" xmlns=""><![CDATA[user=(\w+)]]></pattern>
  <match-group order="1" description="all" xmlns="">
    <matcher field="UserName" order="1" pattern-id="name" capture-group="1"/>
    <event-match-multiple pattern-id="name" capture-group-index="0" send-identity="SendIfAbsent"/>
  </match-group>
</device-extension>"#;

    #[test]
    fn the_hand_written_style_is_read() {
        let (document, findings) = read(HAND_WRITTEN);
        assert_eq!(findings, Vec::<String>::new());
        assert_eq!(document.patterns[0].body.text, r"user=(\w+)");
        let group = &document.groups[0];
        assert_eq!(group.matchers[0].field.value, "UserName");
        assert_eq!(
            group.multiples[0].value.modifiers.send_identity,
            SendIdentity::SendIfAbsent
        );
    }

    #[test]
    fn the_editor_style_with_a_prefix_and_escaped_text_is_read_with_its_places() {
        let text = "<ns2:device-extension xmlns:ns2=\"event_parsing/device_extension\"><pattern type=\"JavaPattern\" id=\"p\">a&lt;b&#65;c</pattern></ns2:device-extension>";
        let (document, findings) = read(text);
        assert_eq!(findings, Vec::<String>::new());
        let pattern = &document.patterns[0];
        assert_eq!(pattern.body.text, "a<bAc");
        assert!(pattern.body.outside_cdata);
        let span = pattern.body.file_span(&(4..5));
        assert_eq!(&text[span], "c");
        assert_eq!(&text[pattern.body_span.clone()], "a&lt;b&#65;c");
    }

    #[test]
    fn every_fault_of_a_file_is_reported_in_one_run() {
        let (_, findings) = read(
            "<device-extension><pattern/><match-group order='0'/>\n<match-group order='1'><matcher field='UserName' order='1' patern-id='x'/></match-group></device-extension>",
        );
        assert_eq!(
            findings,
            [
                "x.xml:1:19: error[DSM003]: `pattern` has no `id`",
                "x.xml:1:49: error[DSM004]: order `0` is not a positive integer",
                "x.xml:2:24: error[DSM003]: `matcher` has no `pattern-id`",
                "x.xml:2:60: warning[DSM012]: `matcher` has no attribute `patern-id`",
            ]
        );
    }

    #[test]
    fn a_truncated_file_keeps_what_came_before() {
        let (document, findings) = read(&HAND_WRITTEN[..HAND_WRITTEN.len() - 40]);
        assert_eq!(document.patterns.len(), 1);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("DSM001"), "{findings:?}");
    }
}
