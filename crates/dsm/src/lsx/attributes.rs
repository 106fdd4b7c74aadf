//! The attributes of one element.

use super::parse::{MAX_ATTRIBUTES, Parser};
use super::{DSMITH_NAMESPACE, Spanned, schema};
use crate::diagnostic::{Code, Diagnostic, nearest, suggest};
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::AttrError;
use std::ops::Range;

/// The attributes of one element, taken out one by one; what remains is unknown.
pub(super) struct Attributes {
    list: Vec<Attribute>,
    pub(super) span: Range<usize>,
}

struct Attribute {
    ours: bool,
    /// The name without our prefix.
    name: String,
    name_span: Range<usize>,
    value: Spanned<String>,
}

/// The attributes of ours, as they are usually written.
const OURS: &[&str] = &["dsmith:within", "dsmith:hits", "dsmith:separator"];

impl Attributes {
    pub(super) fn read(parser: &mut Parser<'_>, tag: &BytesStart<'_>, span: &Range<usize>) -> Self {
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
        for (count, attribute) in tag.attributes().enumerate() {
            // Each is compared with those before it.
            crate::steps::count(count);
            if count == MAX_ATTRIBUTES {
                let most = format!("more than {MAX_ATTRIBUTES} attributes in one element");
                parser.exceeded(span.clone(), most);
                break;
            }
            match attribute {
                Ok(attribute) => {
                    let name: &str = attribute.key.into_inner();
                    let raw: &str = &attribute.value;
                    found.push((name.to_owned(), place(name), raw.to_owned(), place(raw)));
                }
                Err(error) => found.extend(malformed(parser, content, span.start + 1, &error)),
            }
        }
        for (name, _, raw, value_span) in &found {
            let prefix = match name.strip_prefix("xmlns:") {
                Some(prefix) => prefix,
                None if name == "xmlns" => "",
                None => continue,
            };
            parser
                .namespaces
                .declare(prefix, raw.clone(), value_span.clone());
        }
        for (name, name_span, raw, value_span) in found {
            let namespaced = name.split_once(':');
            if let Some((prefix, _)) = namespaced
                && !parser.declared(prefix)
            {
                let uri = match prefix {
                    "dsmith" => DSMITH_NAMESPACE,
                    "xsi" => "http://www.w3.org/2001/XMLSchema-instance",
                    _ => "...",
                };
                parser.malformed(
                    name_span.start..name_span.start + prefix.len(),
                    format!("prefix `{prefix}` is not declared"),
                    "",
                    format!("add xmlns:{prefix}=\"{uri}\" to the root element"),
                );
                continue;
            }
            if name == "xmlns" || matches!(namespaced, Some(("xmlns" | "xml" | "xsi", _))) {
                continue;
            }
            let value = unescape(parser, &raw, value_span.start);
            let (ours, local) = match namespaced {
                Some((prefix, local)) if parser.namespaces.is_ours(prefix) => {
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

    /// Drops what is left.
    pub(super) fn forget(&mut self) {
        self.list.clear();
    }

    /// Names and values of what is left.
    pub(super) fn into_values(self) -> impl Iterator<Item = (String, String)> {
        self.list
            .into_iter()
            .map(|attribute| (attribute.name, attribute.value.value))
    }

    fn remove(&mut self, ours: bool, name: &str) -> Option<Spanned<String>> {
        let index = self
            .list
            .iter()
            .position(|a| a.ours == ours && a.name == name)?;
        Some(self.list.remove(index).value)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Spanned<String>> {
        self.remove(false, name)
    }

    pub(super) fn take_ours(&mut self, name: &str) -> Option<Spanned<String>> {
        self.remove(true, name)
    }

    /// The value of an attribute that must be there; if it is not, that is reported and the value is empty.
    pub(super) fn required(
        &mut self,
        parser: &mut Parser<'_>,
        element: &str,
        name: &str,
    ) -> Spanned<String> {
        let value = self.take(name);
        let empty = value.is_some();
        if let Some(value) = value.filter(|value| !value.value.is_empty()) {
            return value;
        }
        let message = if empty {
            format!("`{name}` of `{element}` is empty")
        } else {
            format!("`{element}` has no `{name}`")
        };
        // A misspelling of it is reported as an unknown attribute; naming it here tells that both are one fault.
        let help = match self
            .list
            .iter()
            .find(|attribute| nearest(&attribute.name, [name]).is_some())
        {
            Some(misspelt) => format!("`{}` was probably meant; write {name}", misspelt.name),
            None => format!("add {name}=\"...\" to this element"),
        };
        parser
            .out
            .push(Diagnostic::new(Code::AttributeMissing, message, help).at(
                parser.file,
                self.span.clone(),
                "",
            ));
        Spanned::new(String::new(), self.span.clone())
    }

    pub(super) fn boolean(&mut self, parser: &mut Parser<'_>, name: &str) -> Option<Spanned<bool>> {
        let value = self.take(name)?;
        let truth = match value.value.trim() {
            "true" | "1" => true,
            "false" | "0" => false,
            other => {
                let truth = matches!(
                    other.to_ascii_lowercase().as_str(),
                    "true" | "yes" | "on" | "y"
                );
                parser.invalid(
                    &value,
                    format!("`{}` is not a value of {name}", value.value),
                    if truth {
                        "write true, in lower case".to_owned()
                    } else {
                        "write true or false, in lower case".to_owned()
                    },
                    "XML knows the truth values true, false, 1 and 0",
                );
                truth
            }
        };
        Some(Spanned::new(truth, value.span))
    }

    pub(super) fn number(&mut self, parser: &mut Parser<'_>, name: &str) -> Option<Spanned<u32>> {
        let value = self.take(name)?;
        let Ok(number) = value.value.trim().parse() else {
            let help = if name == "device-type-id-override" {
                "write the identifier of the log source type, a whole number; its name is not read"
            } else {
                "write the number of a group without a backslash"
            };
            parser.invalid(
                &value,
                format!("`{}` is not a value of {name}", value.value),
                help.to_owned(),
                "the attribute takes a whole number",
            );
            return None;
        };
        Some(Spanned::new(number, value.span))
    }

    /// An order; 0 stands for one that is missing or faulty, which is reported.
    pub(super) fn order(&mut self, parser: &mut Parser<'_>, element: &str) -> Spanned<u32> {
        let value = self.required(parser, element, "order");
        if value.value.is_empty() {
            return Spanned::new(0, value.span);
        }
        match value.value.trim().parse::<u32>() {
            Ok(order @ 1..) => Spanned::new(order, value.span),
            _ => {
                parser.out.push(
                    Diagnostic::new(
                        Code::OrderInvalid,
                        format!("order `{}` is not a positive integer", value.value),
                        "write a whole number above zero; the lowest is tried first",
                    )
                    .at(parser.file, value.span.clone(), ""),
                );
                Spanned::new(0, value.span)
            }
        }
    }

    pub(super) fn report_rest(self, parser: &mut Parser<'_>, element: &str) {
        for attribute in self.list {
            let known = schema::names(element);
            let written = parser
                .file
                .text
                .get(attribute.name_span.clone())
                .unwrap_or(&attribute.name)
                .to_owned();
            let bare = attribute.name.rsplit(':').next().unwrap_or_default();
            let of_ours = OURS
                .iter()
                .find(|name| name.strip_prefix("dsmith:") == Some(bare));
            let help = if attribute.ours && element != "pattern" {
                "remove it; dsmith's attributes stand on `pattern` only".to_owned()
            } else if attribute.ours {
                suggest(&format!("dsmith:{bare}"), "dsmith's attributes", OURS)
            } else if let Some(name) = of_ours
                && element == "pattern"
            {
                format!(
                    "write `{name}`, with xmlns:dsmith=\"{DSMITH_NAMESPACE}\" on the root element"
                )
            } else if attribute.name == "capture-group" && element.ends_with("-matcher") {
                "remove it: a key has no groups; only `matcher` takes capture-group".to_owned()
            } else {
                suggest(&attribute.name, "attributes of this element", &known)
            };
            parser.document.mentioned.insert(attribute.value.value);
            parser.out.push(
                Diagnostic::new(
                    Code::AttributeUnknown,
                    format!("`{element}` has no attribute `{written}`"),
                    help,
                )
                .at(parser.file, attribute.name_span, ""),
            );
        }
    }
}

/// A name and a value with their places.
type Raw = (String, Range<usize>, String, Range<usize>);

/// Reports an attribute that is not well formed; what it was probably meant to be is read on.
fn malformed(
    parser: &mut Parser<'_>,
    content: &str,
    offset: usize,
    error: &AttrError,
) -> Option<Raw> {
    let word = |at: usize| {
        let rest = content.get(at..).unwrap_or_default();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '=' | '/' | '>'))
            .unwrap_or(rest.len());
        (&rest[..end], offset + at..offset + at + end)
    };
    match *error {
        AttrError::Duplicated(second, first) => {
            let (name, place) = word(second);
            parser.out.push(
                Diagnostic::new(
                    Code::XmlMalformed,
                    format!("attribute `{name}` stands twice"),
                    "remove one of them",
                )
                .at(parser.file, place, "the second")
                .at(parser.file, word(first).1, "the first"),
            );
            None
        }
        AttrError::UnquotedValue(at) => {
            let (raw, place) = word(at);
            // Quotes of a word processor are none.
            const QUOTES: [char; 5] = ['“', '”', '„', '‘', '’'];
            let value = raw.trim_start_matches(QUOTES);
            let value_start = place.start + raw.len() - value.len();
            let value = value.trim_end_matches(QUOTES);
            let before = content.get(..at).unwrap_or(content).trim_end();
            let before = before.trim_end_matches('=').trim_end();
            let name = last_word(before);
            let start = before.len() - name.len();
            parser.malformed(
                place,
                format!("the value of `{name}` stands without quotes"),
                "",
                format!("write {name}=\"{value}\""),
            );
            let name_place = offset + start..offset + before.len();
            let value_place = value_start..value_start + value.len();
            Some((name.to_owned(), name_place, value.to_owned(), value_place))
        }
        AttrError::ExpectedEq(at) => {
            let before = content.get(..at).unwrap_or(content).trim_end();
            let name = last_word(before);
            let start = before.len() - name.len();
            parser.malformed(
                offset + start..offset + before.len(),
                format!("`{name}` has no value"),
                "",
                "write each attribute as name=\"value\"",
            );
            None
        }
        AttrError::ExpectedValue(at) | AttrError::ExpectedQuote(at, _) => {
            let at = offset + at.min(content.len());
            parser.malformed(
                at..at,
                "the value of an attribute is missing or not closed",
                "",
                "write each attribute as name=\"value\"",
            );
            None
        }
    }
}

/// What stands behind the last white space; white space outside ASCII is longer than a byte.
fn last_word(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or(text)
}

/// The value of an attribute with XML's escapes resolved; what is none stands for itself and is reported.
fn unescape(parser: &mut Parser<'_>, raw: &str, offset: usize) -> String {
    if let Some(at) = raw.find('<') {
        parser.malformed(
            offset + at..offset + at + 1,
            "`<` stands in the value of an attribute",
            "",
            "write &lt;",
        );
    }
    let mut value = String::new();
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        value.push_str(&rest[..at]);
        let from = &rest[at..];
        let place = offset + (raw.len() - from.len());
        let name = from[1..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '#' | '_' | '-' | '.')))
            .filter(|end| *end > 0 && from[1 + end..].starts_with(';'))
            .map(|end| &from[1..=end]);
        let Some(name) = name else {
            parser.malformed(
                place..place + 1,
                "`&` begins no entity here",
                "",
                "write &amp;",
            );
            value.push('&');
            rest = &from[1..];
            continue;
        };
        let entity = &from[..name.len() + 2];
        match quick_xml::escape::unescape(entity) {
            Ok(character) => value.push_str(&character),
            Err(_) => {
                parser.entity(name, place..place + entity.len());
                value.push_str(entity);
            }
        }
        rest = &from[entity.len()..];
    }
    value.push_str(rest);
    value
}
