//! Patterns, compiled for the element that reads them.

use crate::extract::json;
use crate::keypath::{Piece, XmlPath};
use crate::lsx::Hits;
use java_regex::JavaRegex;
use std::collections::HashMap;
use std::sync::Arc;

/// A text that patterns run over: the payload, or the value that another pattern found in one.
#[derive(Debug, Default)]
pub(crate) struct Doc {
    /// The pattern whose value it is; none for the payload.
    pub(crate) base: Option<usize>,
    /// Where that value is among those of the payload's JSON, if it is one of them as it stands there.
    pub(crate) base_slot: Option<json::SlotIx>,
    /// All JSON key paths over this text.
    pub(crate) json: json::Plan,
    /// How name-value patterns read this text.
    pub(crate) pairs: Vec<Pairs>,
}

/// Name-value pairs that are made by the same delimiters.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Between pairs, and between a name and its value.
    pub(crate) delimiters: (String, String),
    /// The names that patterns ask for, and the slot of the value of each.
    pub(crate) slots: HashMap<String, usize, foldhash::fast::FixedState>,
}

impl Pairs {
    /// The slot of a name.
    pub(crate) fn slot(&mut self, name: String) -> usize {
        let next = self.slots.len();
        *self.slots.entry(name).or_insert(next)
    }
}

/// A pattern as one kind of matcher reads it.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) id: Arc<str>,
    pub(crate) doc: usize,
    pub(crate) kind: Kind,
    /// The branches of the filters in its key paths.
    pub(crate) filters: Vec<super::BranchIx>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Regex(JavaRegex),
    Json(Vec<Piece<JsonValue>>),
    Xml(Vec<Piece<XmlPath>>),
    Leef(Vec<KeyPart>),
    Cef(Vec<KeyPart>),
    /// Slots of names, in this entry of [`Doc::pairs`].
    Pairs(Vec<Piece<usize>>, usize),
    /// Positions as texts, and the delimiter.
    List(Vec<Piece<usize>>, String),
    Constant(String),
}

pub(crate) type KeyPart = Piece<String>;

/// What a JSON path leads to.
#[derive(Debug, Clone)]
pub(crate) struct JsonValue {
    pub(crate) slot: json::SlotIx,
    pub(crate) hits: Hits,
    pub(crate) separator: String,
}

/// Which part of a match is the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Capture {
    /// The value of a key or path, or the group of a regular expression.
    Group(usize),
    /// A text with groups in it.
    Template(Vec<TemplatePart>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplatePart {
    Literal(String),
    Group(usize),
}

/// Reads `\1@\2`. There is no escape for a backslash: one that no digit from 1 to 9 follows stands for itself.
pub(crate) fn template(text: &str) -> Vec<TemplatePart> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let group = match (c, chars.peek()) {
            ('\\', Some(digit @ '1'..='9')) => digit.to_digit(10),
            _ => None,
        };
        match group {
            Some(group) => {
                chars.next();
                if !literal.is_empty() {
                    parts.push(TemplatePart::Literal(std::mem::take(&mut literal)));
                }
                parts.push(TemplatePart::Group(group as usize));
            }
            None => literal.push(c),
        }
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(TemplatePart::Literal(literal));
    }
    parts
}

/// Keys with text around them: `{src}:{spt}`. Without braces the whole text is the key.
pub(crate) fn keys(text: &str) -> Vec<KeyPart> {
    let text = text.trim();
    if !text.contains('{') {
        return vec![Piece::Path(text.to_owned())];
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((key, tail)) = after.split_once('}') else {
            break;
        };
        if !literal.is_empty() {
            parts.push(Piece::Literal(literal.to_owned()));
        }
        parts.push(Piece::Path(key.trim().to_owned()));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Piece::Literal(rest.to_owned()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_mixes_groups_and_text() {
        assert_eq!(
            template(r"\1_\2@\1\x"),
            [
                TemplatePart::Group(1),
                TemplatePart::Literal("_".into()),
                TemplatePart::Group(2),
                TemplatePart::Literal("@".into()),
                TemplatePart::Group(1),
                TemplatePart::Literal(r"\x".into()),
            ]
        );
        assert_eq!(template("TCP"), [TemplatePart::Literal("TCP".into())]);
        assert_eq!(
            template(r"\10"),
            [TemplatePart::Group(1), TemplatePart::Literal("0".into())]
        );
    }

    #[test]
    fn keys_stand_alone_or_in_braces() {
        assert_eq!(keys(" src "), [Piece::Path("src".into())]);
        assert_eq!(
            keys("{src}:{spt}"),
            [
                Piece::Path("src".into()),
                Piece::Literal(":".into()),
                Piece::Path("spt".into())
            ]
        );
    }
}
