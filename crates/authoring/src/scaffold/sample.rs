//! What a payload is written in, and the values that it names.

use crate::census::keys;
use dsm::extract::cef::{self, Cef};
use dsm::extract::{delimited, xml};
use serde_json::Value as Json;

/// How a payload is written. Each shape gets a match group, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Json,
    Leef,
    Cef,
    Xml,
    /// `name=value`, with what stands between two pairs.
    Pairs(&'static str),
    Text,
}

impl Shape {
    /// The name of the folder of its fixtures.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Leef => "leef",
            Self::Cef => "cef",
            Self::Xml => "xml",
            Self::Pairs(_) => "name-value-pairs",
            Self::Text => "text",
        }
    }

    /// What the match group says about itself.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Leef => "LEEF",
            Self::Cef => "CEF",
            Self::Xml => "XML",
            Self::Pairs(_) => "name-value pairs",
            Self::Text => "text",
        }
    }
}

/// A value with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The text of a pattern that finds it.
    pub(super) key: String,
    /// The names that lead to it, outermost first.
    pub(super) path: Vec<String>,
    /// The value as it was written.
    pub(super) text: String,
}

/// A payload that was looked into.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) shape: Shape,
    pub(super) values: Vec<Value>,
}

/// A payload with more names than this is no record that a person maps by hand.
const MOST_VALUES: usize = 500;
/// Objects within objects.
const DEEPEST: usize = 12;

/// Finds out what a payload is written in.
pub(super) fn read(text: &str) -> Read {
    if let Some(object) = object(text) {
        let mut values = Vec::new();
        members(&object, "", &mut Vec::new(), &mut values);
        return Read {
            shape: Shape::Json,
            values,
        };
    }
    if leef::find(text).is_some() && leef::read(text, leef::Mode::Lenient).is_ok() {
        return Read {
            shape: Shape::Leef,
            values: named(text, |_, value| Some(value.to_owned())),
        };
    }
    let mut message = Cef::default();
    if Cef::read(text, &mut message) {
        let value = |key: &str, _: &str| {
            let (span, is_header) = message.get(text, key)?;
            Some(cef::unescape(span.of(text), is_header).into_owned())
        };
        return Read {
            shape: Shape::Cef,
            values: named(text, value),
        };
    }
    if let Some(values) = elements(text) {
        return Read {
            shape: Shape::Xml,
            values,
        };
    }
    pairs(text).unwrap_or(Read {
        shape: Shape::Text,
        values: Vec::new(),
    })
}

fn named(text: &str, value: impl Fn(&str, &str) -> Option<String>) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for (key, range) in keys::of(text) {
        let Some(text) = value(key, &text[range]).filter(|_| is_name(key)) else {
            continue;
        };
        add(
            &mut values,
            Value {
                key: key.to_owned(),
                path: vec![key.to_owned()],
                text,
            },
        );
    }
    values
}

/// Empty texts say nothing, and of equal names the first counts.
fn add(values: &mut Vec<Value>, value: Value) {
    if !value.text.trim().is_empty()
        && values.len() < MOST_VALUES
        && !values.iter().any(|other| other.key == value.key)
    {
        values.push(value);
    }
}

/// The first JSON object of a text; something may stand before and behind it.
fn object(text: &str) -> Option<Json> {
    let braces = text.match_indices('{').take(8);
    braces
        .filter_map(|(at, _)| {
            let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter();
            match stream.next() {
                Some(Ok(Json::Object(object))) if !object.is_empty() => Some(Json::Object(object)),
                _ => None,
            }
        })
        .next()
}

/// The scalars of a JSON value. Of arrays the first element stands for all: others need a filter, which the author writes.
fn members(json: &Json, key: &str, path: &mut Vec<String>, values: &mut Vec<Value>) {
    match json {
        Json::Object(object) if path.len() < DEEPEST => {
            for (name, member) in object {
                if name.is_empty()
                    || name.contains(|c: char| matches!(c, '"' | '\\') || c.is_control())
                {
                    continue;
                }
                path.push(name.clone());
                members(member, &format!("{key}/\"{name}\""), path, values);
                path.pop();
            }
        }
        Json::Array(list) if !key.ends_with(']') => {
            if let Some(first) = list.first() {
                members(first, &format!("{key}[0]"), path, values);
            }
        }
        Json::Object(_) | Json::Array(_) | Json::Null => {}
        scalar => {
            let text = match scalar {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let (key, path) = (key.to_owned(), path.clone());
            add(values, Value { key, path, text });
        }
    }
}

/// The values of an XML document that is more than a word in brackets.
fn elements(text: &str) -> Option<Vec<Value>> {
    let document = xml::read(text)?;
    let mut values: Vec<Value> = Vec::new();
    // `<Data Name="User">` says by its attribute what its text is.
    let mut named: Option<(String, &str)> = None;
    for value in document.values() {
        let last = value.names.last().copied().unwrap_or_default();
        if last.starts_with("xmlns") {
            continue;
        }
        if value.is_attribute && last.eq_ignore_ascii_case("name") {
            named = Some((value.key.clone(), value.text));
        }
        let mut path: Vec<String> = value.names.iter().map(|&name| name.to_owned()).collect();
        if !value.is_attribute
            && let Some((key, name)) = named.take()
            && key.starts_with(&format!("{}.", value.key))
            && !value.text.is_empty()
        {
            values.retain(|value| value.key != key);
            path.pop();
            path.push(name.to_owned());
        }
        let (key, text) = (value.key, value.text.to_owned());
        add(&mut values, Value { key, path, text });
    }
    (values.len() >= 3).then_some(values)
}

/// What may stand between two pairs. A blank is tried last: it stands in values too.
const DELIMITERS: [&str; 6] = [";", ",", "|", "\t", "&", " "];

fn pairs(text: &str) -> Option<Read> {
    let mut best: Option<(usize, Read)> = None;
    for delimiter in DELIMITERS {
        let mut spans = Vec::new();
        delimited::pairs(text, delimiter, "=", &mut spans);
        let mut values = Vec::new();
        let mut doubtful = 0;
        for (name, value) in spans {
            let (name, value) = (name.of(text), value.of(text));
            // A value with another pair in it was not cut where it ends.
            doubtful += keys::of(value).len();
            if is_name(name) {
                let (key, path) = (name.to_owned(), vec![name.to_owned()]);
                let text = value.trim().to_owned();
                add(&mut values, Value { key, path, text });
            }
        }
        let score = values.len().saturating_sub(2 * doubtful);
        if score >= 2 && best.as_ref().is_none_or(|(other, _)| score > *other) {
            let shape = Shape::Pairs(delimiter);
            best = Some((score, Read { shape, values }));
        }
    }
    best.map(|(_, read)| read)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> (Shape, Vec<(String, String)>) {
        let read = read(text);
        let values = read.values.into_iter();
        (read.shape, values.map(|v| (v.key, v.text)).collect())
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn json_behind_a_header_gives_its_scalars_by_key_path() {
        assert_eq!(
            texts(
                r#"<13>Nov 23 gw app: {"a":{"b c":1},"d":["x","y"],"e":null,"f":"","g":[{"h":true}]} end"#
            ),
            (
                Shape::Json,
                owned(&[
                    ("/\"a\"/\"b c\"", "1"),
                    ("/\"d\"[0]", "x"),
                    ("/\"g\"[0]/\"h\"", "true")
                ])
            )
        );
    }

    #[test]
    fn the_delimiter_of_pairs_is_the_one_that_cuts_every_value() {
        let semicolon = owned(&[("action", "drop it"), ("user", "a, b"), ("note", "x")]);
        assert_eq!(
            texts("<13>Jan  1 00:00:00 fw: action=drop it;user=a, b;note=x"),
            (Shape::Pairs(";"), semicolon)
        );
        let blank = owned(&[
            ("action", "deny"),
            ("rule", "no web, no fun"),
            ("src", "192.0.2.7"),
        ]);
        assert_eq!(
            texts("<13>Jan  1 00:00:00 fw: action=deny rule=\"no web, no fun\" src=192.0.2.7"),
            (Shape::Pairs(" "), blank)
        );
        assert_eq!(texts("a=1, b=2, c=3").0, Shape::Pairs(","));
    }

    #[test]
    fn xml_gives_its_texts_and_attributes_and_names_that_stand_in_attributes() {
        assert_eq!(
            texts(
                r#"<13>Nov 23 gw <Event xmlns="u"><System><Provider Name="Security"/><EventID>4624</EventID></System><EventData><Data Name="User">alice</Data><Data Name="Ip">192.0.2.1</Data></EventData></Event>"#
            ),
            (
                Shape::Xml,
                owned(&[
                    (r#"/"Event"/"System"/"Provider".Name"#, "Security"),
                    (r#"/"Event"/"System"/"EventID""#, "4624"),
                    (r#"/"Event"/"EventData"/"Data""#, "alice"),
                    (r#"/"Event"/"EventData"/"Data"[1]"#, "192.0.2.1"),
                ])
            )
        );
        assert_eq!(texts("the <b>bold</b> one"), (Shape::Text, vec![]));
    }

    #[test]
    fn leef_and_cef_are_known_by_their_headers_and_a_sentence_is_text() {
        assert_eq!(
            texts("LEEF:1.0|Acme|Guard|1.0|logon|src=192.0.2.1\tusrName=a b"),
            (
                Shape::Leef,
                owned(&[("src", "192.0.2.1"), ("usrName", "a b")])
            )
        );
        assert_eq!(
            texts("CEF:0|Acme|Guard|1.0|100|logon|3|suser=bob smith msg=a \\= b"),
            (
                Shape::Cef,
                owned(&[("suser", "bob smith"), ("msg", "a = b")])
            )
        );
        assert_eq!(
            texts("session opened for alice, mode=x"),
            (Shape::Text, vec![])
        );
    }
}
