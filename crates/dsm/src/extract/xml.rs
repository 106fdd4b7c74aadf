//! Reading an XML document found anywhere in a text.

use super::Span;
use crate::keypath::XmlPath;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting and most elements that are kept; what lies beyond is not addressable.
const MAX_DEPTH: usize = 256;
const MAX_ELEMENTS: usize = 100_000;

/// A document as a flat list of elements.
#[derive(Debug, Default)]
pub struct Document {
    elements: Vec<Element>,
    /// How many elements of a name a parent has so far, by full and by local name.
    siblings: HashMap<(Option<usize>, String), usize>,
}

#[derive(Debug)]
struct Element {
    name: String,
    parent: Option<usize>,
    /// Position among the siblings of the same name, and of the same name without prefix.
    positions: (usize, usize),
    attributes: Vec<(String, String)>,
    text: String,
    /// The start tag, and what stands between the first and the last text of the element.
    tag: Span,
    span: Option<Span>,
}

/// A value of a document and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<'d> {
    /// The path.
    pub key: String,
    /// The names on the way, outermost first.
    pub names: Vec<&'d str>,
    /// The value.
    pub text: &'d str,
    /// It is that of an attribute.
    pub is_attribute: bool,
}

/// Finds the first element of the text that is closed again, and reads it.
///
/// Entities other than XML's own stay as they are written; nothing is expanded.
pub fn read(text: &str) -> Option<Document> {
    let mut from = 0;
    for _ in 0..64 {
        let start = from + memchr::memchr(b'<', text.get(from..)?.as_bytes())?;
        // A syslog priority such as <13> is not an element.
        let next = text[start + 1..].chars().next();
        if next.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '?')) {
            let mut document = Document::default();
            if document.read(text, start).is_some() {
                return Some(document);
            }
            // What is inside a document that was cut off or breaks is not its root.
            if !document.elements.is_empty() {
                return None;
            }
        }
        from = start + 1;
    }
    None
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

impl Document {
    fn read(&mut self, text: &str, start: usize) -> Option<()> {
        let mut reader = Reader::from_str(&text[start..]);
        // Devices forget to escape ampersands.
        reader.config_mut().allow_dangling_amp = true;
        let place = |position: u64| start + usize::try_from(position).unwrap_or(usize::MAX);
        // Elements that are open; those beyond the limits are counted but not kept.
        let mut open: Vec<Option<usize>> = Vec::new();
        loop {
            let before = place(reader.buffer_position());
            let event = reader.read_event().ok()?;
            let span = Span::new(before, place(reader.buffer_position()));
            match event {
                Event::Start(tag) => {
                    let kept = self.push(&tag, &open, span);
                    open.push(kept);
                }
                Event::Empty(tag) => {
                    self.push(&tag, &open, span);
                }
                Event::End(_) => {
                    open.pop();
                }
                Event::Text(piece) => self.text(&open, &piece, span),
                Event::CData(piece) => {
                    let inner = Span {
                        start: span.start + 9,
                        end: span.end - 3,
                    };
                    self.text(&open, &piece, inner);
                }
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().ok().flatten();
                    let resolved: Cow<'_, str> = match (character, &*reference) {
                        (Some(c), _) => c.to_string().into(),
                        (None, "lt") => "<".into(),
                        (None, "gt") => ">".into(),
                        (None, "amp") => "&".into(),
                        (None, "apos") => "'".into(),
                        (None, "quot") => "\"".into(),
                        (None, name) => format!("&{name};").into(),
                    };
                    self.text(&open, &resolved, span);
                }
                Event::Eof => return None,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
            if open.is_empty() && !self.elements.is_empty() {
                return Some(());
            }
        }
    }

    /// Keeps an element, unless it lies beyond the limits or in an element that does.
    fn push(&mut self, tag: &BytesStart<'_>, open: &[Option<usize>], span: Span) -> Option<usize> {
        let parent = match open.last() {
            Some(parent) => Some((*parent)?),
            None => None,
        };
        if self.elements.len() == MAX_ELEMENTS || open.len() == MAX_DEPTH {
            return None;
        }
        let name = tag.name().into_inner().to_owned();
        let mut count = |name: &str| {
            let count = self.siblings.entry((parent, name.to_owned())).or_default();
            *count += 1;
            *count - 1
        };
        // An unprefixed name is its own local name and must be counted once.
        let with_prefix = count(&name);
        let without = if local(&name) == name {
            with_prefix
        } else {
            count(&format!("*:{}", local(&name)))
        };
        let mut attributes: Vec<(String, String)> = Vec::new();
        for attribute in tag.attributes().with_checks(false).flatten() {
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_or_else(|_| attribute.value.to_string(), Cow::into_owned);
            attributes.push((attribute.key.into_inner().to_owned(), value));
        }
        self.elements.push(Element {
            name,
            parent,
            positions: (with_prefix, without),
            attributes,
            text: String::new(),
            tag: span,
            span: None,
        });
        Some(self.elements.len() - 1)
    }

    fn text(&mut self, open: &[Option<usize>], text: &str, span: Span) {
        let Some(Some(index)) = open.last() else {
            return;
        };
        let element = &mut self.elements[*index];
        element.text.push_str(text);
        let hull = element.span.map_or(span, |known| Span {
            start: known.start,
            end: span.end,
        });
        element.span = Some(hull);
    }

    /// Every text and attribute with its path, as [`xml_path`](crate::keypath::xml_path) reads it, in the order of the
    /// document; white space around a text does not count.
    pub fn values(&self) -> Vec<Value<'_>> {
        let mut paths: Vec<(String, Vec<&str>)> = Vec::with_capacity(self.elements.len());
        let mut values = Vec::new();
        for element in &self.elements {
            let (mut key, mut names) = match element.parent {
                Some(parent) => paths[parent].clone(),
                None => Default::default(),
            };
            key.push_str(&format!("/\"{}\"", element.name));
            if element.positions.0 > 0 {
                key.push_str(&format!("[{}]", element.positions.0));
            }
            names.push(&element.name);
            for (name, text) in &element.attributes {
                let mut names = names.clone();
                names.push(name);
                values.push(Value {
                    key: format!("{key}.{name}"),
                    names,
                    text,
                    is_attribute: true,
                });
            }
            values.push(Value {
                key: key.clone(),
                names: names.clone(),
                text: element.text.trim(),
                is_attribute: false,
            });
            paths.push((key, names));
        }
        values
    }

    /// The value of a path and where it stands: an attribute (in its tag), or the text of an element without white space
    /// around it.
    ///
    /// Names are compared as they are written, then without their prefix.
    pub fn get(&self, path: &XmlPath) -> Option<(&str, Span)> {
        let mut at: Option<usize> = None;
        for (depth, (name, position)) in path.elements.iter().enumerate() {
            let children = || {
                self.elements
                    .iter()
                    .enumerate()
                    .filter(move |(index, element)| {
                        (depth > 0 || *index == 0) && element.parent == at
                    })
            };
            let exact = children()
                .find(|(_, element)| element.positions.0 == *position && element.name == *name);
            let (index, _) = exact.or_else(|| {
                children().find(|(_, element)| {
                    element.positions.1 == *position && local(&element.name) == name
                })
            })?;
            at = Some(index);
        }
        let element = &self.elements[at?];
        match &path.attribute {
            Some(wanted) => {
                let exact = element.attributes.iter().find(|(name, _)| name == wanted);
                let found = exact.or_else(|| {
                    element
                        .attributes
                        .iter()
                        .find(|(name, _)| local(name) == wanted)
                });
                found.map(|(_, value)| (value.as_str(), element.tag))
            }
            None => Some((element.text.trim(), element.span.unwrap_or(element.tag))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypath::xml_path;

    const TEXT: &str = r#"<29>Nov 23 host <?xml version="1.0"?><e:Event xmlns:e="u" id="7"><Machine><Name>A &amp; B</Name><Name at="x">C</Name><Ip/></Machine></e:Event> tail"#;

    fn get(path: &str) -> Option<String> {
        read(TEXT)?
            .get(&xml_path(path).unwrap())
            .map(|(text, _)| text.to_owned())
    }

    #[test]
    fn elements_attributes_and_siblings_are_addressed() {
        assert_eq!(
            get(r#"/"Event"/"Machine"/"Name""#).as_deref(),
            Some("A & B")
        );
        assert_eq!(
            get(r#"/"e:Event"/"Machine"/"Name"[1]"#).as_deref(),
            Some("C")
        );
        assert_eq!(
            get(r#"/"Event"/"Machine"/"Name"[1].at"#).as_deref(),
            Some("x")
        );
        assert_eq!(get(r#"/"Event".id"#).as_deref(), Some("7"));
        assert_eq!(get(r#"/"Event"/"Machine"/"Ip""#).as_deref(), Some(""));
        assert_eq!(get(r#"/"Machine""#), None);
        assert_eq!(get(r#"/"Event"/"Machine"/"Name"[2]"#), None);
    }

    #[test]
    fn every_value_is_found_by_the_path_it_is_told_with() {
        let document = read(TEXT).unwrap();
        let values = document.values();
        for value in &values {
            let path = xml_path(&value.key).unwrap();
            assert_eq!(
                document.get(&path).map(|(text, _)| text),
                Some(value.text),
                "{value:?}"
            );
        }
        let keys: Vec<&str> = values.iter().map(|value| value.key.as_str()).collect();
        assert!(
            keys.contains(&r#"/"e:Event"/"Machine"/"Name"[1].at"#),
            "{keys:?}"
        );
    }

    #[test]
    fn an_unclosed_document_is_none() {
        assert!(read("<a><b></b>").is_none());
        assert!(read("<<<<< no xml <13>").is_none());
        assert!(read(&"<a>".repeat(1000)).is_none());
    }

    fn value(text: &str, path: &str) -> Option<String> {
        read(text)?
            .get(&xml_path(path).unwrap())
            .map(|(text, _)| text.to_owned())
    }

    #[test]
    fn a_value_can_say_where_it_stands() {
        let document = read(TEXT).unwrap();
        let (text, span) = document
            .get(&xml_path(r#"/"Event"/"Machine"/"Name""#).unwrap())
            .unwrap();
        assert_eq!((text, span.of(TEXT)), ("A & B", "A &amp; B"));
    }

    #[test]
    fn a_name_as_it_is_written_comes_before_one_with_another_prefix() {
        let text = "<r><x:Name>prefixed</x:Name><Name>plain</Name></r>";
        assert_eq!(value(text, r#"/"r"/"Name""#).as_deref(), Some("plain"));
        assert_eq!(value(text, r#"/"r"/"x:Name""#).as_deref(), Some("prefixed"));
        let text = "<r><a:N>1</a:N><b:N>2</b:N></r>";
        assert_eq!(value(text, r#"/"r"/"N"[1]"#).as_deref(), Some("2"));
    }

    #[test]
    fn what_devices_get_wrong_costs_neither_the_document_nor_its_root() {
        assert_eq!(
            value("<r><m>R & D</m><n>x</n></r>", r#"/"r"/"n""#).as_deref(),
            Some("x")
        );
        let twice = r#"<a x="1" x="2"><b><c>inner</c></b></a>"#;
        assert_eq!(value(twice, r#"/"b"/"c""#), None);
        assert_eq!(value(twice, r#"/"a".x"#).as_deref(), Some("1"));
        let many = format!("<a><b>v</b>{}<c>end</c></a>", "<i/>".repeat(MAX_ELEMENTS));
        assert_eq!(value(&many, r#"/"a"/"b""#).as_deref(), Some("v"));
        assert_eq!(value(&many, r#"/"a"/"c""#), None);
        let deep = format!("<a><b>v</b>{}{}</a>", "<d>".repeat(300), "</d>".repeat(300));
        assert_eq!(value(&deep, r#"/"a"/"b""#).as_deref(), Some("v"));
    }
}
