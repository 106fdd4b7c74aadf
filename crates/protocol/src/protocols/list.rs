//! Answers that are lists: a bare array, or an object with the array in `value`.

use crate::json::{self, Outline, SplitError};
use crate::source::ReadError;
use std::borrow::Cow;

/// A list and how it goes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List<'a> {
    pub(crate) elements: Vec<&'a [u8]>,
    /// `@odata.nextLink`, as it was written.
    pub(crate) next: Option<Cow<'a, str>>,
}

/// Reads a list. Nothing at all, `null`, and an empty list are the same: a list without elements moves no position, so
/// to take them so loses nothing.
pub(crate) fn read(body: &[u8]) -> Result<List<'_>, ReadError> {
    match json::outline(body).map_err(|error| read_error(error, body))? {
        Outline::Empty | Outline::Scalar(b"null") => Ok(List::default()),
        Outline::Array(elements) => Ok(List {
            elements,
            next: None,
        }),
        Outline::Object(object) => envelope(object, body),
        Outline::Scalar(_) => Err(unexpected("it is a single value")),
    }
}

fn envelope<'a>(object: &'a [u8], body: &[u8]) -> Result<List<'a>, ReadError> {
    let mut elements = None;
    let mut next = None;
    let visited = json::visit_members(object, |name, value| {
        match name.as_ref() {
            "value" => {
                elements = Some(match json::outline(value)? {
                    Outline::Array(elements) => elements,
                    Outline::Scalar(b"null") => Vec::new(),
                    _ => return Err(Fault::Unexpected("its member `value` is no list")),
                });
            }
            "@odata.nextLink" if value != b"null" => {
                let link =
                    json::string(value).ok_or(Fault::Unexpected("its next link is no text"))?;
                next = Some(link);
            }
            _ => {}
        }
        Ok(())
    });
    visited.map_err(|fault| match fault {
        Fault::Split(error) => read_error(error, body),
        Fault::Unexpected(what) => unexpected(what),
    })?;
    let elements =
        elements.ok_or_else(|| unexpected("it is an object without the list `value`"))?;
    Ok(List { elements, next })
}

enum Fault {
    Split(SplitError),
    Unexpected(&'static str),
}

impl From<SplitError> for Fault {
    fn from(error: SplitError) -> Self {
        Self::Split(error)
    }
}

fn unexpected(what: &str) -> ReadError {
    ReadError::Unexpected(what.to_owned())
}

fn read_error(error: SplitError, body: &[u8]) -> ReadError {
    match error {
        SplitError::Truncated => ReadError::Truncated { bytes: body.len() },
        other => ReadError::Unexpected(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> usize {
        read(body.as_bytes()).unwrap().elements.len()
    }

    fn error(body: &str) -> String {
        read(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_holds_nothing_is_an_empty_list() {
        for body in [
            "",
            " \r\n",
            "null",
            "[]",
            r#"{"value":[]}"#,
            r#"{"value":null}"#,
            "\u{feff}[]",
        ] {
            assert_eq!(count(body), 0, "{body}");
        }
    }

    #[test]
    fn a_list_may_stand_bare_or_in_an_envelope() {
        assert_eq!(count(r#"[{"a":1},{"b":2}]"#), 2);
        let list = read(br#"{"@odata.context":"c","value":[{"a":1}],"@odata.nextLink":"https:\/\/h\/n?a=1\u0026b"}"#).unwrap();
        assert_eq!(list.elements, [br#"{"a":1}"#]);
        assert_eq!(list.next.as_deref(), Some("https://h/n?a=1&b"));
        assert_eq!(
            read(br#"{"value":[],"@odata.nextLink":null}"#)
                .unwrap()
                .next,
            None
        );
    }

    #[test]
    fn one_broken_element_spoils_no_envelope() {
        assert_eq!(
            count(r#"{"@odata.count": 3x,"value":[{"a":tru},{"a":1},"text"]}"#),
            3
        );
    }

    #[test]
    fn what_is_no_list_is_an_error_with_the_reason() {
        assert_eq!(
            error("{}"),
            "the answer is not what was asked for: it is an object without the list `value`"
        );
        assert_eq!(error(r#"{"error":{"code":"x"}}"#), error("{}"));
        assert_eq!(
            error(r#"{"value":{"a":1}}"#),
            "the answer is not what was asked for: its member `value` is no list"
        );
        assert_eq!(
            error(r#"{"value":[],"@odata.nextLink":5}"#),
            "the answer is not what was asked for: its next link is no text"
        );
        assert_eq!(
            error("5"),
            "the answer is not what was asked for: it is a single value"
        );
        assert_eq!(
            error("<html>"),
            "the answer is not what was asked for: it is not JSON at byte 0"
        );
        assert_eq!(
            error(r#"[{"a":1}"#),
            "the answer is truncated after 8 bytes"
        );
        assert_eq!(
            error(&"[".repeat(10_000)),
            "the answer is not what was asked for: it nests deeper than 512 levels"
        );
    }
}
