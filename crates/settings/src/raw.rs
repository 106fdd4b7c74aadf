//! Unchecked values with their byte ranges.

use crate::check::{Fault, FaultKind};
use crate::secret::masked;
use crate::toml_faults::explain;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What an integer is that 64 bits cannot hold.
pub(crate) const TOO_LARGE: &str = "a whole number that is too large";

/// A TOML file.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The file.
    pub text: String,
    /// What could be read.
    pub root: RawTable,
    /// Where it is not well formed. There is one fault for a line.
    pub faults: Vec<Fault>,
}

/// A value and its place. Values are equal wherever they stand.
#[derive(Debug, Clone)]
pub struct Raw {
    /// The value.
    pub value: RawValue,
    /// Its place in bytes.
    pub span: Range<usize>,
}

/// A value as it is written. Its `Debug` masks texts that look like secrets.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum RawValue {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Raw>),
    /// A table.
    Table(RawTable),
    /// Something that no key takes, by its name with its article, such as `a date`.
    Other(&'static str),
}

/// The entries of a table, by their keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawTable(pub BTreeMap<String, RawEntry>);

/// A key and its value. Entries are equal wherever they stand.
#[derive(Debug, Clone)]
pub struct RawEntry {
    /// The place of the key.
    pub key_span: Range<usize>,
    /// What it is set to.
    pub raw: Raw,
}

impl Document {
    /// Reads a text. Where it is not well formed, reading goes on behind the fault.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut faults = Vec::new();
        let mut last_line = usize::MAX;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let before = text.as_bytes().get(..span.start).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count();
            // The parser finds several faults in a broken line, its author made one.
            if std::mem::replace(&mut last_line, line) == line {
                continue;
            }
            let (span, message, help) = explain(text, error.message(), span);
            faults.push(Fault {
                kind: FaultKind::Malformed,
                key: String::new(),
                span,
                message,
                help,
            });
        }
        Self {
            text: text.to_owned(),
            root: RawTable::of(root.get_ref()),
            faults,
        }
    }
}

impl RawTable {
    fn of(table: &DeTable<'_>) -> Self {
        let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &_)| {
            let entry = RawEntry {
                key_span: key.span(),
                raw: Raw::of(value),
            };
            (key.get_ref().to_string(), entry)
        };
        Self(table.iter().map(entry).collect())
    }

    /// Sets a key that stands in no file.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<RawValue>) {
        let entry = RawEntry {
            key_span: 0..0,
            raw: Raw::from(value.into()),
        };
        self.0.insert(key.into(), entry);
    }

    /// What a key is set to.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RawEntry> {
        self.0.get(key)
    }
}

/// A table that stands in no file, as in tests: all places are 0.
impl<K: Into<String>, V: Into<RawValue>> FromIterator<(K, V)> for RawTable {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut table = Self::default();
        table.extend(pairs);
        table
    }
}

impl<K: Into<String>, V: Into<RawValue>> Extend<(K, V)> for RawTable {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.set(key, value);
        }
    }
}

impl Raw {
    fn of(value: &toml::Spanned<DeValue<'_>>) -> Self {
        Self {
            span: value.span(),
            value: match value.get_ref() {
                DeValue::String(text) => RawValue::Text(text.to_string()),
                DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                    .map_or(RawValue::Other(TOO_LARGE), RawValue::Integer),
                DeValue::Float(number) => number
                    .as_str()
                    .parse()
                    .map_or(RawValue::Other("a number"), RawValue::Real),
                DeValue::Boolean(value) => RawValue::Boolean(*value),
                DeValue::Datetime(_) => RawValue::Other("a date"),
                DeValue::Array(items) => RawValue::List(items.iter().map(Self::of).collect()),
                DeValue::Table(table) => RawValue::Table(RawTable::of(table)),
            },
        }
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for RawEntry {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl fmt::Debug for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", masked(text)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Table(table) => table.fmt(f),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<RawValue> for Raw {
    fn from(value: RawValue) -> Self {
        Self { value, span: 0..0 }
    }
}

impl From<&str> for RawValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for RawValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for RawValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for RawValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl<V: Into<RawValue>> From<Vec<V>> for RawValue {
    fn from(items: Vec<V>) -> Self {
        Self::List(items.into_iter().map(|item| item.into().into()).collect())
    }
}

impl RawValue {
    /// What it is, with its article.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Real(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}
