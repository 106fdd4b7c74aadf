//! Reading an XML document found anywhere in a text.

use crate::keypath::XmlPath;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashMap;

/// Deepest nesting and most elements that are kept; what lies beyond is not addressable.
const MAX_DEPTH: usize = 256;
const MAX_ELEMENTS: usize = 100_000;

/// A document as a flat list of elements.
#[derive(Debug, Default)]
pub struct Document {
    elements: Vec<Element>,
}

#[derive(Debug)]
struct Element {
    name: String,
    parent: Option<usize>,
    /// Position among the siblings of the same name.
    position: usize,
    attributes: Vec<(String, String)>,
    text: String,
}

/// Finds the first element of the text that is closed again, and reads it.
///
/// Entities other than XML's own stay as they are written; nothing is expanded.
pub fn read(text: &str) -> Option<Document> {
    let mut from = 0;
    for _ in 0..64 {
        let start = from + memchr::memchr(b'<', text.get(from..)?.as_bytes())?;
        let rest = &text[start..];
        // A syslog priority such as <13> is not an element.
        let element = rest[1..].starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '?'));
        if element {
            match read_from(rest) {
                Ok(document) => return Some(document),
                // What is inside a document that was cut off is not its root.
                Err(Unreadable::Truncated) => return None,
                Err(Unreadable::NotXml) => {}
            }
        }
        from = start + 1;
    }
    None
}

enum Unreadable {
    NotXml,
    Truncated,
}

fn read_from(text: &str) -> Result<Document, Unreadable> {
    let mut reader = Reader::from_str(text);
    let mut document = Document::default();
    let mut open: Vec<usize> = Vec::new();
    let mut siblings = HashMap::new();
    loop {
        match reader.read_event().map_err(|_| Unreadable::NotXml)? {
            Event::Start(tag) => {
                if open.len() == MAX_DEPTH {
                    return Err(Unreadable::Truncated);
                }
                let index = document.push(&tag, open.last().copied(), &mut siblings);
                open.push(index.ok_or(Unreadable::NotXml)?);
            }
            Event::Empty(tag) => {
                let index = document.push(&tag, open.last().copied(), &mut siblings);
                index.ok_or(Unreadable::NotXml)?;
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Text(piece) => document.text(&open, &piece),
            Event::CData(piece) => document.text(&open, &piece),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().ok().flatten();
                match (character, &*reference) {
                    (Some(c), _) => document.text(&open, c.encode_utf8(&mut [0; 4])),
                    (None, "lt") => document.text(&open, "<"),
                    (None, "gt") => document.text(&open, ">"),
                    (None, "amp") => document.text(&open, "&"),
                    (None, "apos") => document.text(&open, "'"),
                    (None, "quot") => document.text(&open, "\""),
                    (None, name) => document.text(&open, &format!("&{name};")),
                }
            }
            Event::Eof if open.is_empty() => return Err(Unreadable::NotXml),
            Event::Eof => return Err(Unreadable::Truncated),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        if open.is_empty() && !document.elements.is_empty() {
            return Ok(document);
        }
    }
}

fn same_name(written: &str, wanted: &str) -> bool {
    written == wanted || written.rsplit(':').next() == Some(wanted)
}

impl Document {
    fn push(
        &mut self,
        tag: &BytesStart<'_>,
        parent: Option<usize>,
        siblings: &mut HashMap<(Option<usize>, String), usize>,
    ) -> Option<usize> {
        if self.elements.len() == MAX_ELEMENTS {
            return None;
        }
        let name = tag.name().into_inner().to_owned();
        let count = siblings.entry((parent, name.clone())).or_default();
        let position = *count;
        *count += 1;
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.ok()?;
            let value = quick_xml::escape::unescape(&attribute.value).map_or_else(
                |_| attribute.value.to_string(),
                std::borrow::Cow::into_owned,
            );
            attributes.push((attribute.key.into_inner().to_owned(), value));
        }
        self.elements.push(Element {
            name,
            parent,
            position,
            attributes,
            text: String::new(),
        });
        Some(self.elements.len() - 1)
    }

    fn text(&mut self, open: &[usize], text: &str) {
        if let Some(&index) = open.last() {
            self.elements[index].text.push_str(text);
        }
    }

    /// The value of a path: an attribute, or the text of an element without white space around it.
    ///
    /// Element names are compared as they are written, then without their prefix.
    pub fn get(&self, path: &XmlPath) -> Option<&str> {
        let mut at: Option<usize> = None;
        for (depth, (name, position)) in path.elements.iter().enumerate() {
            let found = self
                .elements
                .iter()
                .enumerate()
                .position(|(index, element)| {
                    (depth > 0 || index == 0)
                        && element.parent == at
                        && element.position == *position
                        && same_name(&element.name, name)
                })?;
            at = Some(found);
        }
        let element = &self.elements[at?];
        match &path.attribute {
            Some(attribute) => element
                .attributes
                .iter()
                .find(|(name, _)| same_name(name, attribute))
                .map(|(_, value)| value.as_str()),
            None => Some(element.text.trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypath::xml_path;

    const TEXT: &str = r#"<29>Nov 23 host <?xml version="1.0"?><e:Event xmlns:e="u" id="7"><Machine><Name>A &amp; B</Name><Name at="x">C</Name><Ip/></Machine></e:Event> tail"#;

    fn get(path: &str) -> Option<String> {
        read(TEXT)?.get(&xml_path(path).unwrap()).map(str::to_owned)
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
    fn an_unclosed_document_is_none() {
        assert!(read("<a><b></b>").is_none());
        assert!(read("<<<<< no xml <13>").is_none());
        assert!(read(&"<a>".repeat(1000)).is_none());
    }
}
