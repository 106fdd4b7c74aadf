//! From XML to [`Document`].

use super::{DSMITH_NAMESPACE, Document, Group, NAMESPACE, Pattern};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile};
use quick_xml::Reader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::{BytesDecl, Event};
use std::collections::{BTreeSet, HashMap, HashSet};
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
            unread: false,
            mentioned: BTreeSet::new(),
            misplaced: BTreeSet::new(),
        },
        open: Vec::new(),
        namespaces: Namespaces::default(),
        seen_root: false,
        dashes: Vec::new(),
        counts: Counts::default(),
        end_tags: EndTags::default(),
        is_stopped: false,
    };
    parser.run();
    (parser.document, parser.out)
}

/// An element whose end tag has not come yet.
pub(super) struct Element {
    /// The name as it is written, prefix included.
    pub(super) name: String,
    /// The start tag.
    pub(super) span: Range<usize>,
    pub(super) open: Open,
}

pub(super) enum Open {
    Root,
    Pattern(Box<Pattern>),
    Group(Box<Group>),
    /// A matcher or modifier: has no content of interest.
    Leaf,
    /// Stands in the text of a pattern: an element by mistake, or a `<` of the pattern that was not meant as one.
    InPattern,
    /// Unknown: whatever is inside is passed over in silence, one finding is enough.
    Skipped,
}

pub(super) struct Parser<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) out: Diagnostics,
    pub(super) document: Document,
    pub(super) open: Vec<Element>,
    pub(super) namespaces: Namespaces,
    pub(super) seen_root: bool,
    /// The `-` that a browser's tree view puts before an element.
    dashes: Vec<Range<usize>>,
    counts: Counts,
    pub(super) end_tags: EndTags,
    /// A limit is exceeded: nothing more is read.
    pub(super) is_stopped: bool,
}

/// How deep elements nest; an extension needs 3.
const MAX_OPEN: usize = 256;

/// How many attributes an element has; the schema knows 9.
pub(super) const MAX_ATTRIBUTES: usize = 256;

/// What was read so far of each kind that there may be 20,000 of.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) patterns: usize,
    pub(super) groups: usize,
    /// Matchers and modifiers.
    pub(super) matchers: usize,
}

/// How many patterns, match groups, and matchers with modifiers an extension has. The largest that IBM ships have some
/// hundreds.
pub(super) const MAX_ELEMENTS: usize = 20_000;

/// The declared prefixes. Where they are declared does not matter.
#[derive(Default)]
pub(super) struct Namespaces {
    /// The first namespace of each prefix, with its place; the default one has no prefix.
    first: HashMap<String, (String, Range<usize>)>,
    /// The prefixes of the attributes that QRadar does not have.
    ours: HashSet<String>,
}

impl Namespaces {
    pub(super) fn declare(&mut self, prefix: &str, uri: String, span: Range<usize>) {
        if uri == DSMITH_NAMESPACE {
            self.ours.insert(prefix.to_owned());
        }
        self.first.entry(prefix.to_owned()).or_insert((uri, span));
    }

    pub(super) fn get(&self, prefix: &str) -> Option<&(String, Range<usize>)> {
        self.first.get(prefix)
    }

    pub(super) fn is_ours(&self, prefix: &str) -> bool {
        self.ours.contains(prefix)
    }
}

/// Where the end tags of the file stand, by name: the file is searched once, when somebody asks.
#[derive(Default)]
pub(super) struct EndTags(Option<HashMap<String, Vec<usize>>>);

impl EndTags {
    /// The next end tag of a name from an offset on; the end of the file if there is none.
    pub(super) fn next(&mut self, file: &str, name: &str, from: usize) -> usize {
        let all = self.0.get_or_insert_with(|| {
            let mut all: HashMap<String, Vec<usize>> = HashMap::new();
            crate::steps::count(file.len());
            for (at, _) in file.match_indices("</") {
                let rest = &file[at + 2..];
                let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '/');
                let name = &rest[..rest.find(ends).unwrap_or(rest.len())];
                all.entry(name.to_owned()).or_default().push(at);
            }
            all
        });
        let places = all.get(name).map_or(&[][..], Vec::as_slice);
        let next = places.partition_point(|place| *place < from);
        places.get(next).copied().unwrap_or(file.len())
    }
}

impl<'a> Parser<'a> {
    fn run(&mut self) {
        let text = self.file.text.as_str();
        // A byte order mark would count as text before the root.
        let skipped = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut reader = Reader::from_str(&text[skipped..]);
        let config = reader.config_mut();
        config.trim_markup_names_in_closing_tags = true;
        // These faults do not stop the reading here: what comes after them is checked too.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        let offset = |position: u64| usize::try_from(position).unwrap_or(usize::MAX) + skipped;
        while !self.is_stopped {
            let start = offset(reader.buffer_position());
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(Event::Decl(declaration)) => {
                    let span = start..offset(reader.buffer_position());
                    self.declaration(&declaration, span, skipped);
                }
                Ok(event) => {
                    let span = start..offset(reader.buffer_position());
                    self.event(&event, span);
                }
                Err(error) => {
                    self.broken(&error, offset(reader.error_position()));
                    break;
                }
            }
        }
        self.end_of_file();
    }

    /// A fault after which nothing can be read.
    fn broken(&mut self, error: &Error, at: usize) {
        let text = self.file.text.as_str();
        let at = at.min(text.len());
        let end = text[at..].find(['\n', '>']).map_or(text.len(), |i| at + i);
        let (message, help) = match error {
            Error::Syntax(SyntaxError::UnclosedCData) => (
                "a CDATA section is not closed".to_owned(),
                "end it with `]]>`; everything after this place was not read",
            ),
            Error::Syntax(SyntaxError::UnclosedComment) => (
                "a comment is not closed".to_owned(),
                "end it with `-->`; everything after this place was not read",
            ),
            Error::Syntax(
                SyntaxError::UnclosedSingleQuotedAttributeValue
                | SyntaxError::UnclosedDoubleQuotedAttributeValue,
            ) => (
                "a quote in this tag is not closed".to_owned(),
                "write each attribute as name=\"value\"; everything after this place was not read",
            ),
            Error::Syntax(SyntaxError::UnclosedTag) => (
                "the file ends inside a tag".to_owned(),
                "close the quotes and the tag, or look for the missing rest of the file",
            ),
            _ => (
                format!("{error}"),
                "mend the XML here; everything after this place was not read",
            ),
        };
        self.malformed(at..end.max(at), message, "begins here", help);
        self.document.unread = true;
    }

    fn end_of_file(&mut self) {
        let text = self.file.text.as_str();
        if let Some(last) = self.open.last()
            && !self.document.unread
        {
            let end = text.len();
            let finding = Diagnostic::new(
                Code::XmlMalformed,
                format!("the file ends before `<{}>` is closed", last.name),
                "the file is probably truncated; add the missing end tags",
            )
            .at(self.file, end..end, "the file ends here")
            .at(self.file, last.span.clone(), "opened here");
            self.out.push(finding);
            self.document.unread = true;
        }
        while let Some(element) = self.open.pop() {
            self.close(element);
        }
        if let Some(first) = self.dashes.first() {
            let message = match self.dashes.len() {
                1 => "a `-` stands before an element".to_owned(),
                count => format!("a `-` stands before {count} elements"),
            };
            let label = match self.dashes.len() {
                1 => "",
                _ => "the first",
            };
            self.out.push(
                Diagnostic::new(
                    Code::StrayText,
                    message,
                    "remove each; save the file itself instead of copying what the browser shows",
                )
                .because("it has no effect; it comes from copying a browser's tree view")
                .at(self.file, first.clone(), label),
            );
        }
        if !self.seen_root && !self.out.has_errors() {
            self.out.push(
                Diagnostic::new(
                    Code::NotAnExtension,
                    "the file has no root element",
                    format!("an extension begins with <device-extension xmlns=\"{NAMESPACE}\">"),
                )
                .at(self.file, 0..text.len().min(1), ""),
            );
        }
    }

    /// Reports that there is more of something than is read, and reads no further.
    pub(super) fn exceeded(&mut self, span: Range<usize>, message: String) {
        if std::mem::replace(&mut self.is_stopped, true) {
            return;
        }
        self.document.unread = true;
        self.out.push(
            Diagnostic::new(
                Code::LimitExceeded,
                message,
                "split the log source type in two, or look for what made the file so large",
            )
            .at(self.file, span, "nothing from here on was read"),
        );
    }

    /// Counts an element of a kind of which there may be so many.
    pub(super) fn count(
        &mut self,
        kind: fn(&mut Counts) -> &mut usize,
        what: &str,
        span: &Range<usize>,
    ) {
        let count = kind(&mut self.counts);
        *count += 1;
        if *count > MAX_ELEMENTS {
            self.exceeded(span.clone(), format!("more than {MAX_ELEMENTS} {what}"));
        }
    }

    pub(super) fn malformed(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        self.out
            .push(Diagnostic::new(Code::XmlMalformed, message, help).at(self.file, span, label));
    }

    fn event(&mut self, event: &Event<'a>, span: Range<usize>) {
        match event {
            Event::Start(tag) => {
                if let Some(element) = self.start(tag, span) {
                    if self.open.len() == MAX_OPEN {
                        let most = format!("elements nest more than {MAX_OPEN} deep");
                        self.exceeded(element.span.clone(), most);
                    }
                    self.open.push(element);
                }
            }
            Event::Empty(tag) => {
                if let Some(element) = self.start(tag, span) {
                    self.close(element);
                }
            }
            Event::End(tag) => self.end(tag.name().as_ref(), span),
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
            Event::Comment(comment) => {
                let text: &str = comment;
                let at = text
                    .find("--")
                    .or_else(|| text.ends_with('-').then(|| text.len() - 1));
                if let Some(at) = at {
                    let at = span.start + "<!--".len() + at;
                    self.malformed(
                        at..at + 2,
                        "a comment holds `--`",
                        "",
                        "write a single hyphen; in XML two of them may only end a comment",
                    );
                }
            }
            Event::Decl(_) | Event::PI(_) | Event::Eof => {}
        }
    }

    fn declaration(&mut self, declaration: &BytesDecl<'_>, span: Range<usize>, first: usize) {
        if span.start != first {
            self.malformed(
                span.clone(),
                "the XML declaration is not the beginning of the file",
                "",
                "remove what stands before it, blank lines too",
            );
        }
        if let Some(Ok(value)) = declaration.standalone()
            && !matches!(value.as_ref(), "yes" | "no")
        {
            self.out.push(
                Diagnostic::new(
                    Code::StandaloneInvalid,
                    format!("standalone=\"{value}\" in the XML declaration"),
                    "write standalone=\"yes\" or leave it out",
                )
                .at(self.file, self.within(&span, &value), ""),
            );
        }
        if let Some(Ok(value)) = declaration.encoding()
            && !matches!(
                value.to_ascii_lowercase().as_str(),
                "utf-8" | "utf8" | "us-ascii" | "ascii"
            )
        {
            let mut finding = Diagnostic::new(
                Code::EncodingDeclared,
                format!("the file is UTF-8 but declares the encoding {value}"),
                "write encoding=\"UTF-8\"",
            )
            .at(self.file, self.within(&span, &value), "");
            if value.to_ascii_lowercase().starts_with("utf-") {
                finding = finding.with_severity(Severity::Error).because(
                    "an XML parser reads the bytes by the declared encoding, and these are not it",
                );
            }
            self.out.push(finding);
        }
    }

    /// The place of a text in a tag; the tag, if it is not there as written.
    fn within(&self, span: &Range<usize>, text: &str) -> Range<usize> {
        let tag = self.file.text.get(span.clone()).unwrap_or_default();
        match tag.rfind(text) {
            Some(at) => span.start + at..span.start + at + text.len(),
            None => span.clone(),
        }
    }

    fn text(&mut self, text: &str, span: &Range<usize>, cdata: bool) {
        // The reader hands out a `&` without its `;` as the beginning of a text.
        if !cdata && text.starts_with('&') {
            self.malformed(
                span.start..span.start + 1,
                "`&` begins no entity here",
                "",
                "write &amp;, or wrap the pattern in CDATA",
            );
        }
        if !cdata && let Some(at) = text.find("]]>") {
            let at = span.start + at;
            self.malformed(
                at..at + "]]>".len(),
                "`]]>` ends no CDATA section here",
                "",
                "remove it, or write ]]&gt;",
            );
        }
        if cdata && let Some(at) = text.find("</pattern") {
            let opening = "<![CDATA[".len();
            self.out.push(
                Diagnostic::new(
                    Code::XmlMalformed,
                    "a CDATA section is not closed before `</pattern>`",
                    "end it with `]]>`, two square brackets and `>`",
                )
                .at(self.file, span.start - opening..span.start, "opened here")
                .at(
                    self.file,
                    span.start + at..span.start + at + 9,
                    "still inside it",
                ),
            );
            self.document.unread = true;
        }
        match self.open.last_mut().map(|element| &mut element.open) {
            Some(Open::Pattern(pattern)) => {
                let body = &mut pattern.body;
                if body.pieces.is_empty() {
                    pattern.body_span = span.clone();
                }
                pattern.body_span.end = span.end;
                body.unread |= self.document.unread
                    || (!cdata && (text.starts_with('&') || text.contains("]]>")));
                body.pieces.push((body.text.len(), span.start));
                body.text.push_str(text);
                body.outside_cdata |= !cdata && !text.trim().is_empty();
                body.outside_cdata_blank |= !cdata && text.trim().len() != text.len();
            }
            Some(Open::Skipped | Open::InPattern) => {}
            open => {
                let trimmed = text.trim();
                if trimmed.is_empty() {
                    return;
                }
                let start = span.start + (text.len() - text.trim_start().len());
                let place = start..start + trimmed.len();
                let outside = open.is_none();
                if trimmed == "-" && !outside {
                    self.dashes.push(place);
                    return;
                }
                let shown: String = trimmed.chars().take(20).collect();
                if outside {
                    let side = if self.seen_root { "after" } else { "before" };
                    self.malformed(
                        place,
                        format!("text `{shown}` {side} the root element"),
                        "",
                        "remove it; only comments may stand outside the root element",
                    );
                    return;
                }
                self.out.push(
                    Diagnostic::new(
                        Code::StrayText,
                        format!("text `{shown}` between elements"),
                        "remove it, or make it a comment: <!-- ... -->",
                    )
                    .at(self.file, place, ""),
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
            self.entity(name, span.clone());
            if let Some(Open::Pattern(pattern)) = self.open.last_mut().map(|e| &mut e.open) {
                pattern.body.unread = true;
            }
            return;
        };
        if let Some(Open::Pattern(pattern)) = self.open.last_mut().map(|e| &mut e.open) {
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

    pub(super) fn entity(&mut self, name: &str, span: Range<usize>) {
        self.out.push(
            Diagnostic::new(
                Code::DtdRefused,
                format!("entity `&{name};` is not one of XML's own"),
                "write the character itself; only &lt; &gt; &amp; &quot; &apos; and character numbers such as &#9; are known",
            )
            .at(self.file, span, ""),
        );
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
            "<device-extension xmlns='event_parsing/device_extension'><pattern/><match-group order='0'/>\n<match-group order='1'><matcher field='UserName' order='1' patern-id='x'/></match-group></device-extension>",
        );
        assert_eq!(
            findings,
            [
                "x.xml:1:58: error[DSM003]: `pattern` has no `id`",
                "x.xml:1:88: error[DSM004]: order `0` is not a positive integer",
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

    #[test]
    fn what_follows_a_fault_of_the_xml_is_read_too() {
        let wrong = HAND_WRITTEN
            .replace("</pattern>", "</patern>")
            .replace("capture-group=\"1\"/>", "capture-group=\"1\">")
            .replace("\"all\"", "\"a & b\"")
            .replace("capture-group-index=\"0\"", "capture-group-index=0");
        let (document, findings) = read(&wrong);
        let places: Vec<&str> = findings
            .iter()
            .filter_map(|finding| finding.split(": error[DSM001]").next())
            .collect();
        assert_eq!(
            places,
            ["x.xml:3:53", "x.xml:4:41", "x.xml:6:65", "x.xml:5:5"],
            "{findings:#?}"
        );
        assert_eq!(document.patterns[0].body.text, r"user=(\w+)");
        let group = &document.groups[0];
        assert_eq!((group.matchers.len(), group.multiples.len()), (1, 1));
        assert_eq!(group.description, "a & b");
        assert!(!document.unread);
    }

    #[test]
    fn mutilated_files_are_read_without_a_panic() {
        for (at, c) in HAND_WRITTEN.char_indices() {
            read(&HAND_WRITTEN[..at]);
            for other in ["", "<", "&", "\"", ">", "é", "]"] {
                let rest = &HAND_WRITTEN[at + c.len_utf8()..];
                read(&format!("{}{other}{rest}", &HAND_WRITTEN[..at]));
            }
        }
    }
}
