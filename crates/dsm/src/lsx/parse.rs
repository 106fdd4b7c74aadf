//! From XML to [`Document`].

use super::{
    Body, DSMITH_NAMESPACE, Document, EventMatchMultiple, EventMatchSingle, Group, Hits, Matcher,
    Modifiers, Pattern, PatternType, SendIdentity, Spanned,
};
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
enum Open {
    Root,
    Pattern(Box<Pattern>),
    Group(Box<Group>),
    /// A matcher or modifier: has no content of interest.
    Leaf,
    /// Faulty or unknown: whatever is inside is passed over in silence, one finding is enough.
    Skipped,
}

struct Parser<'a> {
    file: &'a Arc<SourceFile>,
    out: Diagnostics,
    document: Document,
    open: Vec<Open>,
    /// Prefixes bound to our namespace.
    prefixes: Vec<String>,
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

    fn pattern(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let id = attributes.required(self, "pattern", "id");
        let declared_type = attributes.take("type").and_then(|value| {
            match PatternType::NAMES
                .iter()
                .position(|name| *name == value.value)
            {
                Some(index) => Some(Spanned::new(PatternType::ALL[index], value.span)),
                None => {
                    self.invalid(
                        &value,
                        format!("`{}` is not a type of pattern", value.value),
                        suggest(&value.value, "types", PatternType::NAMES),
                    );
                    None
                }
            }
        });
        let hits = attributes.take_ours("hits").and_then(|value| {
            let hits = match value.value.as_str() {
                "first" => Hits::First,
                "joined" => Hits::Joined,
                _ => {
                    self.invalid(
                        &value,
                        format!("`{}` is not a choice of hits", value.value),
                        "write first (the first hit with a value) or joined (all of them)"
                            .to_owned(),
                    );
                    return None;
                }
            };
            Some(Spanned::new(hits, value.span))
        });
        let pattern = Pattern {
            declared_type,
            case_insensitive: attributes
                .boolean(self, "case-insensitive")
                .is_some_and(|b| b.value),
            trim_whitespace: attributes
                .boolean(self, "trim-whitespace")
                .is_some_and(|b| b.value),
            use_default_pattern: attributes
                .boolean(self, "use-default-pattern")
                .is_some_and(|b| b.value),
            body: Body::default(),
            body_span: attributes.span.clone(),
            within: attributes.take_ours("within"),
            hits,
            separator: attributes.take_ours("separator").map(|value| value.value),
            span: attributes.span.clone(),
            id: id?,
        };
        Some(Open::Pattern(Box::new(pattern)))
    }

    fn group(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let order = attributes.order(self, "match-group");
        let group = Group {
            description: attributes
                .take("description")
                .map(|v| v.value)
                .unwrap_or_default(),
            type_override: attributes.number(self, "device-type-id-override"),
            matchers: Vec::new(),
            singles: Vec::new(),
            multiples: Vec::new(),
            span: attributes.span.clone(),
            order: order?,
        };
        Some(Open::Group(Box::new(group)))
    }

    fn matcher(&mut self, element: PatternType, attributes: &mut Attributes) -> Option<Open> {
        let name = element.element();
        let field = attributes.required(self, name, "field");
        let pattern_id = attributes.required(self, name, "pattern-id");
        let order = attributes.order(self, name);
        let take = |attributes: &mut Attributes, only: PatternType, name: &str| {
            (element == only).then(|| attributes.take(name)).flatten()
        };
        let capture_group = take(attributes, PatternType::JavaPattern, "capture-group");
        let delimiter = take(attributes, PatternType::NameValuePairKey, "delimiter-pair")
            .or_else(|| take(attributes, PatternType::GenericListKey, "delimiter"))
            .map(|v| v.value);
        let name_value_delimiter = take(
            attributes,
            PatternType::NameValuePairKey,
            "delimiter-namevalue",
        )
        .map(|v| v.value);
        let matcher = Matcher {
            element,
            capture_group,
            enable_substitutions: attributes.boolean(self, "enable-substitutions"),
            ext_data: attributes.take("ext-data"),
            delimiter,
            name_value_delimiter,
            span: attributes.span.clone(),
            field: field?,
            pattern_id: pattern_id?,
            order: order?,
        };
        if let Some(Open::Group(group)) = self.open.last_mut() {
            group.matchers.push(matcher);
        }
        Some(Open::Leaf)
    }

    fn single(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let event_name = attributes.required(self, "event-match-single", "event-name");
        let modifiers = self.modifiers(attributes);
        let single = EventMatchSingle {
            event_name: event_name?,
            modifiers,
        };
        if let Some(Open::Group(group)) = self.open.last_mut() {
            group
                .singles
                .push(Spanned::new(single, attributes.span.clone()));
        }
        Some(Open::Leaf)
    }

    fn multiple(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let pattern_id = attributes.required(self, "event-match-multiple", "pattern-id");
        let capture_group = attributes.number(self, "capture-group-index");
        let modifiers = self.modifiers(attributes);
        let multiple = EventMatchMultiple {
            pattern_id: pattern_id?,
            capture_group,
            modifiers,
        };
        if let Some(Open::Group(group)) = self.open.last_mut() {
            group
                .multiples
                .push(Spanned::new(multiple, attributes.span.clone()));
        }
        Some(Open::Leaf)
    }

    fn modifiers(&mut self, attributes: &mut Attributes) -> Modifiers {
        let severity =
            attributes
                .take("severity")
                .map(|value| match value.value.trim().parse::<u8>() {
                    Ok(severity @ 1..=10) => severity,
                    _ => {
                        self.out.push(
                            Diagnostic::new(
                                Code::SeverityOutOfRange,
                                format!("severity `{}` lies outside 1 to 10", value.value),
                                "write a whole number from 1 (lowest) to 10",
                            )
                            .at(self.file, value.span, "5 is used"),
                        );
                        5
                    }
                });
        let send_identity = attributes.take("send-identity").map(|value| {
            let known = SendIdentity::NAMES
                .iter()
                .find(|(name, _)| *name == value.value);
            if known.is_none() {
                let names: Vec<&str> = SendIdentity::NAMES.iter().map(|(name, _)| *name).collect();
                self.invalid(
                    &value,
                    format!("`{}` is not a value of send-identity", value.value),
                    suggest(&value.value, "values", &names),
                );
            }
            known.map(|(_, value)| *value).unwrap_or_default()
        });
        Modifiers {
            category: attributes.take("device-event-category").map(|v| v.value),
            severity,
            send_identity: send_identity.unwrap_or_default(),
            force_lookup: attributes
                .boolean(self, "force-qidmap-lookup-on-fixup")
                .is_some_and(|b| b.value),
        }
    }

    fn invalid(&mut self, value: &Spanned<String>, message: String, help: String) {
        self.out
            .push(Diagnostic::new(Code::ValueInvalid, message, help).at(
                self.file,
                value.span.clone(),
                "",
            ));
    }
}

/// The attributes of one element, taken out one by one; what remains is unknown.
struct Attributes {
    list: Vec<Attribute>,
    span: Range<usize>,
}

struct Attribute {
    ours: bool,
    name: String,
    name_span: Range<usize>,
    value: Spanned<String>,
}

impl Attributes {
    fn read(parser: &mut Parser<'_>, tag: &BytesStart<'_>, span: &Range<usize>) -> Self {
        let mut this = Self {
            list: Vec::new(),
            span: span.clone(),
        };
        let content: &str = tag;
        // The content of the tag begins after `<`; attributes borrow from it, so pointers tell their place.
        let place = |part: &str| {
            let start =
                span.start + 1 + (part.as_ptr() as usize).wrapping_sub(content.as_ptr() as usize);
            start..start + part.len()
        };
        let mut found = Vec::new();
        for attribute in tag.attributes() {
            match attribute {
                Ok(attribute) => {
                    let name: &str = attribute.key.into_inner();
                    let raw: &str = &attribute.value;
                    found.push((name.to_owned(), place(name), raw.to_owned(), place(raw)));
                }
                Err(error) => parser.out.push(
                    Diagnostic::new(
                        Code::XmlMalformed,
                        format!("{error}"),
                        "write each attribute once, as name=\"value\"",
                    )
                    .at(parser.file, span.clone(), "in this element"),
                ),
            }
        }
        for (name, _, raw, _) in &found {
            if let Some(prefix) = name.strip_prefix("xmlns:")
                && raw == DSMITH_NAMESPACE
            {
                parser.prefixes.push(prefix.to_owned());
            }
        }
        for (name, name_span, raw, value_span) in found {
            if name == "xmlns"
                || name.starts_with("xmlns:")
                || name.starts_with("xml:")
                || name.starts_with("xsi:")
            {
                continue;
            }
            let value = match quick_xml::escape::unescape(&raw) {
                Ok(value) => value.into_owned(),
                Err(error) => {
                    parser.out.push(
                        Diagnostic::new(
                            Code::DtdRefused,
                            format!("{error}"),
                            "only &lt; &gt; &amp; &quot; &apos; and character numbers are known",
                        )
                        .at(parser.file, value_span.clone(), ""),
                    );
                    raw
                }
            };
            let (ours, local) = match name.split_once(':') {
                Some((prefix, local)) if parser.prefixes.iter().any(|p| p == prefix) => {
                    (true, local.to_owned())
                }
                _ => (false, name),
            };
            this.list.push(Attribute {
                ours,
                name: local,
                name_span,
                value: Spanned::new(value, value_span),
            });
        }
        this
    }

    fn remove(&mut self, ours: bool, name: &str) -> Option<Spanned<String>> {
        let index = self
            .list
            .iter()
            .position(|a| a.ours == ours && a.name == name)?;
        Some(self.list.remove(index).value)
    }

    fn take(&mut self, name: &str) -> Option<Spanned<String>> {
        self.remove(false, name)
    }

    fn take_ours(&mut self, name: &str) -> Option<Spanned<String>> {
        self.remove(true, name)
    }

    fn required(
        &mut self,
        parser: &mut Parser<'_>,
        element: &str,
        name: &str,
    ) -> Option<Spanned<String>> {
        let value = self.take(name).filter(|value| !value.value.is_empty());
        if value.is_none() {
            parser.out.push(
                Diagnostic::new(
                    Code::AttributeMissing,
                    format!("`{element}` has no `{name}`"),
                    format!("add {name}=\"...\" to this element"),
                )
                .at(parser.file, self.span.clone(), ""),
            );
        }
        value
    }

    fn boolean(&mut self, parser: &mut Parser<'_>, name: &str) -> Option<Spanned<bool>> {
        let value = self.take(name)?;
        let truth = match value.value.trim() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                parser.invalid(
                    &value,
                    format!("`{}` is not a value of {name}", value.value),
                    "write true or false".to_owned(),
                );
                return None;
            }
        };
        Some(Spanned::new(truth, value.span))
    }

    fn number(&mut self, parser: &mut Parser<'_>, name: &str) -> Option<Spanned<u32>> {
        let value = self.take(name)?;
        let Ok(number) = value.value.trim().parse() else {
            parser.invalid(
                &value,
                format!("`{}` is not a value of {name}", value.value),
                "write a whole number".to_owned(),
            );
            return None;
        };
        Some(Spanned::new(number, value.span))
    }

    fn order(&mut self, parser: &mut Parser<'_>, element: &str) -> Option<Spanned<u32>> {
        let value = self.required(parser, element, "order")?;
        match value.value.trim().parse::<u32>() {
            Ok(order @ 1..) => Some(Spanned::new(order, value.span)),
            _ => {
                parser.out.push(
                    Diagnostic::new(
                        Code::OrderInvalid,
                        format!("order `{}` is not a positive integer", value.value),
                        "write a whole number above zero; the lowest is tried first",
                    )
                    .at(parser.file, value.span, ""),
                );
                None
            }
        }
    }

    fn report_rest(self, parser: &mut Parser<'_>, element: &str) {
        for attribute in self.list {
            let known = known_attributes(element);
            let (name, help) = if attribute.ours {
                let help = suggest(
                    &attribute.name,
                    "our attributes",
                    &["within", "hits", "separator"],
                );
                (format!("dsmith:{}", attribute.name), help)
            } else {
                let help = suggest(&attribute.name, "attributes of this element", known);
                (attribute.name, help)
            };
            parser.out.push(
                Diagnostic::new(
                    Code::AttributeUnknown,
                    format!("`{element}` has no attribute `{name}`"),
                    help,
                )
                .at(parser.file, attribute.name_span, ""),
            );
        }
    }
}

fn known_attributes(element: &str) -> &'static [&'static str] {
    match element {
        "pattern" => &[
            "id",
            "case-insensitive",
            "trim-whitespace",
            "use-default-pattern",
            "type",
        ],
        "match-group" => &["order", "description", "device-type-id-override"],
        "matcher" => &[
            "field",
            "pattern-id",
            "order",
            "capture-group",
            "enable-substitutions",
            "ext-data",
        ],
        "namevaluepair-matcher" => &[
            "field",
            "pattern-id",
            "order",
            "enable-substitutions",
            "ext-data",
            "delimiter-pair",
            "delimiter-namevalue",
        ],
        "genericlist-matcher" => &[
            "field",
            "pattern-id",
            "order",
            "enable-substitutions",
            "ext-data",
            "delimiter",
        ],
        "event-match-single" => &[
            "event-name",
            "device-event-category",
            "severity",
            "send-identity",
            "force-qidmap-lookup-on-fixup",
        ],
        "event-match-multiple" => &[
            "pattern-id",
            "capture-group-index",
            "device-event-category",
            "severity",
            "send-identity",
            "force-qidmap-lookup-on-fixup",
        ],
        _ => &[
            "field",
            "pattern-id",
            "order",
            "enable-substitutions",
            "ext-data",
        ],
    }
}

#[cfg(test)]
mod tests {
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
