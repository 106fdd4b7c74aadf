//! The values of a table after they were checked.

use crate::check::{Fault, FaultKind};
use crate::key::{Key, Takes};
use crate::names::nearest;
use crate::raw::RawTable;
use crate::secret::SecretRef;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value and its place in a file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Range<usize>,
}

impl<T> Spanned<T> {
    /// A value and its place.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Self { value, span }
    }
}

/// The values of a table: those that are given and right, and the defaults of those that are not given.
///
/// A key that is not available has no value. Asking for a key by the wrong type is like asking for one without a value.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The place of the table.
    pub span: Range<usize>,
    pub(crate) values: BTreeMap<&'static str, Value>,
    pub(crate) written: BTreeMap<&'static str, Written>,
    /// The keys that are not declared.
    pub(crate) unknown: Vec<String>,
    /// Whether every required key has a value.
    pub(crate) is_complete: bool,
}

/// Settings are equal if their values are, wherever they stand.
impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

/// How a key is given, rightly or wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) key_span: Range<usize>,
    pub(crate) span: Range<usize>,
    /// Whether it has no fault.
    pub(crate) is_right: bool,
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Path(PathBuf),
    List(Vec<String>, Places),
    Integer(i64),
    Boolean(bool),
    Interval(Duration),
    Secret(SecretRef),
    Table(Settings),
    Tables(Vec<Settings>),
    Open(RawTable),
}

/// The places of the texts of a list. They are no part of its value.
#[derive(Debug, Clone)]
pub(crate) struct Places(pub(crate) Vec<Range<usize>>);

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Settings {
    /// The text of a key.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a key and its place, which for a default is that of the table.
    #[must_use]
    pub fn spanned(&self, name: &str) -> Option<Spanned<String>> {
        let text = self.text(name)?.to_owned();
        Some(Spanned::new(text, self.span_of(name)))
    }

    /// The path of a key.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&Path> {
        match self.values.get(name)? {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The texts of a list; none where it is not given.
    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Value::List(list, _)) => list,
            _ => &[],
        }
    }

    /// The texts of a list, each with its place.
    #[must_use]
    pub fn spanned_list(&self, name: &str) -> Vec<Spanned<String>> {
        match self.values.get(name) {
            Some(Value::List(list, Places(places))) => list
                .iter()
                .zip(places)
                .map(|(text, span)| Spanned::new(text.clone(), span.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A whole number, or a number of bytes.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A number that is never negative by its declaration.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        u64::try_from(self.integer(name)?).ok()
    }

    /// Whether a boolean is set.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Boolean(true)))
    }

    /// The length of an interval.
    #[must_use]
    pub fn interval(&self, name: &str) -> Option<Duration> {
        match self.values.get(name)? {
            Value::Interval(interval) => Some(*interval),
            _ => None,
        }
    }

    /// Where a secret is.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&SecretRef> {
        match self.values.get(name)? {
            Value::Secret(reference) => Some(reference),
            _ => None,
        }
    }

    /// A table within.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Self> {
        match self.values.get(name)? {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The tables of a list.
    #[must_use]
    pub fn tables(&self, name: &str) -> &[Self] {
        match self.values.get(name) {
            Some(Value::Tables(tables)) => tables,
            _ => &[],
        }
    }

    /// A table whose keys are declared elsewhere.
    #[must_use]
    pub fn open(&self, name: &str) -> Option<&RawTable> {
        match self.values.get(name)? {
            Value::Open(table) => Some(table),
            _ => None,
        }
    }

    /// Whether a key has a value, given or by default.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether a key is written in the file, rightly or wrongly.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.written.contains_key(name)
    }

    /// Whether a key is given and has no fault.
    #[must_use]
    pub fn is_right(&self, name: &str) -> bool {
        self.written
            .get(name)
            .is_some_and(|written| written.is_right)
    }

    /// Whether every required key has a value, and every key that is given could be read. In a file that is not well formed,
    /// neither is reported.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether a key that is not declared may be meant to be this one.
    #[must_use]
    pub fn may_be_misspelt(&self, name: &str) -> bool {
        self.unknown
            .iter()
            .any(|written| nearest(written, [name]).is_some())
    }

    /// The place of the value of a key; that of the table where it is not given.
    #[must_use]
    pub fn span_of(&self, name: &str) -> Range<usize> {
        self.written
            .get(name)
            .map_or_else(|| self.span.clone(), |written| written.span.clone())
    }

    /// A fault of the value of a key that its declaration does not express; with an index, of a text of its list.
    #[must_use]
    pub fn fault(
        &self,
        kind: FaultKind,
        key: &str,
        index: Option<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Fault {
        let place = match (self.values.get(key), index) {
            (Some(Value::List(_, Places(places))), Some(index)) => places.get(index).cloned(),
            _ => None,
        };
        Fault {
            kind,
            key: key.to_owned(),
            span: place.unwrap_or_else(|| self.span_of(key)),
            message: message.into(),
            help: help.into(),
        }
    }

    /// Makes relative paths begin at a folder, those to files with secrets included.
    pub fn begin_paths_at(&mut self, base: &Path) {
        for value in self.values.values_mut() {
            match value {
                Value::Path(path) | Value::Secret(SecretRef::File(path)) => {
                    *path = base.join(&*path);
                }
                Value::Table(table) => table.begin_paths_at(base),
                Value::Tables(tables) => {
                    tables
                        .iter_mut()
                        .for_each(|table| table.begin_paths_at(base));
                }
                _ => {}
            }
        }
    }

    /// Whether tables stand in it.
    pub(crate) fn has_tables(&self) -> bool {
        let is_table =
            |value: &Value| matches!(value, Value::Table(_) | Value::Tables(_) | Value::Open(_));
        self.values.values().any(is_table)
    }

    /// Whether a key has this value, written as in the file.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        match self.values.get(name) {
            Some(Value::Text(text)) => text == value,
            Some(Value::Boolean(boolean)) => value == if *boolean { "true" } else { "false" },
            Some(Value::Integer(number)) => value.parse() == Ok(*number),
            _ => false,
        }
    }

    /// The secrets among these keys, and where they are.
    pub fn secrets<'s>(
        &'s self,
        declared: &'static [Key],
    ) -> impl Iterator<Item = (&'static str, &'s SecretRef)> {
        declared
            .iter()
            .filter(|key| matches!(key.takes, Takes::Secret))
            .filter_map(|key| Some((key.name, self.secret(key.name)?)))
    }
}
