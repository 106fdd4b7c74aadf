//! JSON as bytes: what a protocol needs of it without changing any of it.
//!
//! A payload is the text of an element as it was received. So an answer is not decoded: its brackets are counted, its
//! elements are cut out, and single members are read.

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Deeper nesting than in any alert; as deep as the engine reads.
pub(crate) const MAX_DEPTH: usize = 512;

/// More elements than an answer of the largest size has, if they are alerts.
const MAX_ELEMENTS: usize = 250_000;

/// Why a text cannot be cut into elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    /// It ends within a value.
    #[error("it ends in the middle")]
    Truncated,
    /// Brackets do not fit, or a value does not begin like one.
    #[error("it is not JSON at byte {0}")]
    Malformed(usize),
    /// An array has more elements than any answer.
    #[error("a list in it has more than {MAX_ELEMENTS} elements")]
    TooMany,
    /// It nests deeper than we follow.
    #[error("it nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// The outermost value of a text, and what stands in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outline<'a> {
    /// Nothing but white space.
    Empty,
    /// An array, by its elements.
    Array(Vec<&'a [u8]>),
    /// An object, whole.
    Object(&'a [u8]),
    /// A text, a number, or a word such as `null`.
    Scalar(&'a [u8]),
}

/// Cuts the outermost value of a text. All brackets have to fit, but scalars are not looked at: one that is wrong is
/// the fault of its element alone.
pub(crate) fn outline(text: &[u8]) -> Result<Outline<'_>, SplitError> {
    let mut scanner = Scanner { text, at: 0 };
    if text.starts_with(b"\xef\xbb\xbf") {
        scanner.at = 3;
    }
    scanner.skip_white();
    let outline = match scanner.peek() {
        None => return Ok(Outline::Empty),
        Some(b'[') => Outline::Array(scanner.elements()?),
        Some(first) => {
            let value = &text[scanner.value()?];
            if first == b'{' {
                Outline::Object(value)
            } else {
                Outline::Scalar(value)
            }
        }
    };
    scanner.skip_white();
    if scanner.at < text.len() {
        return Err(SplitError::Malformed(scanner.at));
    }
    Ok(outline)
}

/// Where the value ends that a text begins with.
pub(crate) fn end_of_value(text: &[u8]) -> Result<usize, SplitError> {
    Ok(Scanner { text, at: 0 }.value()?.end)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The elements of the array that begins here.
    fn elements(&mut self) -> Result<Vec<&'a [u8]>, SplitError> {
        let mut elements = Vec::new();
        self.at += 1;
        self.skip_white();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(elements);
        }
        loop {
            self.skip_white();
            if elements.len() == MAX_ELEMENTS {
                return Err(SplitError::TooMany);
            }
            elements.push(&self.text[self.value()?]);
            self.skip_white();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(elements);
                }
                Some(_) => return Err(SplitError::Malformed(self.at)),
                None => return Err(SplitError::Truncated),
            }
        }
    }

    /// The value that begins here, up to its end.
    fn value(&mut self) -> Result<Range<usize>, SplitError> {
        let begin = self.at;
        let mut open: Vec<u8> = Vec::new();
        loop {
            let Some(byte) = self.peek() else {
                return Err(SplitError::Truncated);
            };
            match byte {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    if open.len() == MAX_DEPTH {
                        return Err(SplitError::TooDeep);
                    }
                    // The bracket that closes it stands two places behind it in ASCII.
                    open.push(byte + 2);
                    self.at += 1;
                }
                b'}' | b']' => {
                    if open.pop() != Some(byte) {
                        return Err(SplitError::Malformed(self.at));
                    }
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if !open.is_empty() => self.at += 1,
                _ => self.word()?,
            }
            if open.is_empty() {
                return Ok(begin..self.at);
            }
        }
    }

    /// A string; it begins here.
    fn string(&mut self) -> Result<(), SplitError> {
        self.at += 1;
        while let Some(rest) = self.text.get(self.at..)
            && let Some(found) = memchr::memchr2(b'"', b'\\', rest)
        {
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(());
            }
            // What is escaped ends nothing.
            self.at += 1;
        }
        self.at = self.text.len();
        Err(SplitError::Truncated)
    }

    /// A number or a word such as `null`: everything up to the next sign of JSON.
    fn word(&mut self) -> Result<(), SplitError> {
        let begin = self.at;
        while let Some(byte) = self.peek() {
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'-' | b'.') {
                break;
            }
            self.at += 1;
        }
        if self.at == begin {
            return Err(SplitError::Malformed(begin));
        }
        Ok(())
    }
}

/// Shows each member of an object: its name and the text of its value. As in an outline, scalars are not looked at.
pub(crate) fn visit_members<'a, E: From<SplitError>>(
    object: &'a [u8],
    mut visit: impl FnMut(Cow<'a, str>, &'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut scanner = Scanner {
        text: object,
        at: 1,
    };
    loop {
        scanner.skip_white();
        match scanner.peek() {
            Some(b'}') => return Ok(()),
            Some(b',') => scanner.at += 1,
            Some(b'"') => {
                let at = scanner.at;
                let key = string(&object[scanner.value()?]).ok_or(SplitError::Malformed(at))?;
                scanner.skip_white();
                if scanner.peek() != Some(b':') {
                    return Err(SplitError::Malformed(scanner.at).into());
                }
                scanner.at += 1;
                scanner.skip_white();
                visit(key, &object[scanner.value()?])?;
            }
            // What belongs to no member, such as the rest of a number that is none, is passed over.
            Some(_) => {
                scanner.value()?;
            }
            None => return Err(SplitError::Truncated.into()),
        }
    }
}

/// The elements of the lists that are members of this name, where the text is an object and has such members: the
/// quickest way through an envelope. `None` says nothing about what is wrong, or what the text is instead.
pub(crate) fn lists<'a>(text: &'a [u8], name: &str) -> Option<Vec<&'a [u8]>> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_white();
    if scanner.peek()? != b'{' {
        return None;
    }
    scanner.at += 1;
    let mut lists: Option<Vec<&[u8]>> = None;
    loop {
        scanner.skip_white();
        match scanner.peek()? {
            b'}' => break,
            b',' => scanner.at += 1,
            b'"' => {
                let key = string(&text[scanner.value().ok()?])?;
                scanner.skip_white();
                if scanner.peek()? != b':' {
                    return None;
                }
                scanner.at += 1;
                scanner.skip_white();
                match scanner.peek()? {
                    b'[' if key == name => {
                        let elements = scanner.elements().ok()?;
                        lists.get_or_insert_default().extend(elements);
                    }
                    _ if key == name => return None,
                    _ => {
                        scanner.value().ok()?;
                    }
                }
            }
            _ => return None,
        }
    }
    scanner.at += 1;
    scanner.skip_white();
    lists.filter(|_| scanner.at == text.len())
}

/// The payload in an element: the element itself, without the white space between its parts if it spans lines.
pub(crate) fn payload(element: &[u8]) -> Box<[u8]> {
    if !element.contains(&b'\n') && !element.contains(&b'\r') {
        return element.into();
    }
    let mut compact = Vec::with_capacity(element.len());
    let mut in_string = false;
    let mut escaped = false;
    for &byte in element {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact.into_boxed_slice()
}

/// The members of an object with these names, the last one where a name is there twice. `None` where the text is no
/// valid object.
pub(crate) fn members<'a, const N: usize>(
    object: &'a [u8],
    names: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let mut json = serde_json::Deserializer::from_slice(object);
    let found = Members(names).deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(found)
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(key) = map.next_key_seed(Key)? {
            match self.0.iter().position(|name| *name == key) {
                Some(index) => {
                    let value: &'de RawValue = map.next_value()?;
                    let place = found
                        .get_mut(index)
                        .ok_or_else(|| A::Error::custom("no such place"))?;
                    *place = Some(value);
                }
                None => {
                    let _: IgnoredAny = map.next_value()?;
                }
            }
        }
        Ok(found)
    }
}

/// A key, borrowed where it holds no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }
}

/// The text of a JSON string; `None` for anything else.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    text_of(value.get())
}

/// The text of a JSON string that nobody has checked; `None` for anything else.
pub(crate) fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    text_of(std::str::from_utf8(value).ok()?)
}

fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    // Most strings hold no escapes.
    if let Some(inner) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'))
        && !inner.contains(['\\', '"'])
        && raw.len() > 1
    {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// A whole number, written as a number or as a text.
pub(crate) fn whole_number(value: &RawValue) -> Option<i64> {
    value.get().trim_matches('"').trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<String> {
        match outline(text.as_bytes()) {
            Ok(Outline::Array(elements)) => elements
                .into_iter()
                .map(|element| String::from_utf8(element.to_vec()).unwrap())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn elements_are_cut_out_as_they_are() {
        assert_eq!(
            elements("\u{feff}[ {\"a\" : \"]}\\\"\"} ,\n{\"b\":[1,{}]}, 5, null,\"x\"]\r\n"),
            [
                "{\"a\" : \"]}\\\"\"}",
                "{\"b\":[1,{}]}",
                "5",
                "null",
                "\"x\""
            ]
        );
        assert_eq!(elements("[]"), [""; 0]);
        assert_eq!(elements(" [ \n ] "), [""; 0]);
    }

    #[test]
    fn a_wrong_scalar_is_the_fault_of_its_element_alone() {
        assert_eq!(
            elements(r#"[{"a":tru},{"b":1},{"c" 2 3}]"#),
            [r#"{"a":tru}"#, r#"{"b":1}"#, r#"{"c" 2 3}"#]
        );
    }

    #[test]
    fn every_cut_of_a_text_is_truncated_and_never_taken_for_whole() {
        let text = br#" [{"a":"x\"y"},{"b":[1,2,{"c":null}]},"z"] "#;
        for length in 2..text.len() - 1 {
            assert_eq!(
                outline(&text[..length]),
                Err(SplitError::Truncated),
                "{length}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "<html></html>",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1}",
            "[{]}",
            "{}{}",
            "[] x",
            "[\"a\"",
            "]",
            "\u{0}",
        ] {
            assert!(outline(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(outline(b"  "), Ok(Outline::Empty));
        assert_eq!(outline(b"null"), Ok(Outline::Scalar(b"null")));
    }

    #[test]
    fn members_are_shown_one_by_one_and_a_broken_one_is_passed_over() {
        let mut seen = Vec::new();
        let object = br#"{ "a" : 1x y , "b":{"c":[2]},"d" : "e" }"#;
        visit_members::<SplitError>(object, |key, value| {
            seen.push(format!("{key}={}", String::from_utf8_lossy(value)));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, ["a=1x", r#"b={"c":[2]}"#, r#"d="e""#]);
        for broken in ["{\"a\" 1}", "{\"a\":}", "{:}"] {
            let result = visit_members::<SplitError>(broken.as_bytes(), |_, _| Ok(()));
            assert!(result.is_err(), "{broken}");
        }
        assert_eq!(visit_members::<SplitError>(b"{ }", |_, _| panic!()), Ok(()));
    }

    #[test]
    fn lists_have_a_bounded_number_of_elements() {
        let list = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        assert!(outline(list(MAX_ELEMENTS).as_bytes()).is_ok());
        assert_eq!(
            outline(list(MAX_ELEMENTS + 1).as_bytes()),
            Err(SplitError::TooMany)
        );
    }

    #[test]
    fn nesting_is_bounded_whatever_closes_it() {
        let deep = |depth: usize| format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert!(outline(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(
            outline(deep(MAX_DEPTH + 1).as_bytes()),
            Err(SplitError::TooDeep)
        );
        assert_eq!(
            outline("[".repeat(1_000_000).as_bytes()),
            Err(SplitError::TooDeep)
        );
    }

    #[test]
    fn a_payload_over_several_lines_becomes_one_and_keeps_its_order() {
        assert_eq!(&*payload(br#"{"b" : 1, "a": 2}"#), br#"{"b" : 1, "a": 2}"#);
        let lines = b"{\r\n  \"b\" : \"x  \\\" y\",\n\t\"a\": [ 1, 1 ] }";
        assert_eq!(&*payload(lines), br#"{"b":"x  \" y","a":[1,1]}"#);
    }

    #[test]
    fn members_are_found_by_name_and_only_in_objects() {
        let names = ["id", "n", "gone"];
        let [id, n, gone] = members(
            br#"{"x":[{"id":"no"}],"\u0069d":"a\tb","n":"7","n":8}"#,
            names,
        )
        .unwrap();
        assert_eq!(text(id.unwrap()).as_deref(), Some("a\tb"));
        assert_eq!(whole_number(n.unwrap()), Some(8));
        assert!(gone.is_none());
        for text in ["[\"a\",1,2]", "5", "null", "{\"id\":}", "{} {}", ""] {
            assert!(members(text.as_bytes(), names).is_none(), "{text}");
        }
        let deep = format!(
            "{{\"x\":{}{},\"id\":\"a\"}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(members(deep.as_bytes(), names).unwrap()[0].is_some());
    }
}
