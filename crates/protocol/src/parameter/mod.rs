//! Parameters of protocols: one declaration, from which validation, the JSON Schema, the reference page and the help
//! text come. The model is that of QRadar's protocol types.

mod describe;
mod interval;
mod schema;
mod validate;

pub use describe::Description;
pub use interval::{format_interval, parse_interval};
pub use schema::{schema, secret_schema};
pub use validate::{check_identifier, check_secret, validate};
pub(crate) use validate::{did_you_mean, nearest};

use crate::secret::SecretRef;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The declaration of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The key in configuration, in snake_case.
    pub name: &'static str,
    /// QRadar's label, or ours where QRadar has no such parameter.
    pub label: &'static str,
    /// What it means, in whole sentences.
    pub description: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it has to be given, while it is available.
    pub required: bool,
    /// The value where none is given, written as in configuration without quotes.
    pub default: Option<&'static str>,
    /// A regular expression that the whole text has to match.
    pub pattern: Option<Pattern>,
    /// The only values, where there is a fixed set.
    pub allowed: &'static [Allowed],
    /// When it is available or required, depending on others.
    pub rules: &'static [Rule],
    /// Whether QRadar has this parameter too.
    pub origin: Origin,
    /// Whether capitals are taken for small letters.
    pub any_case: bool,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One line of text with at most so many bytes.
    String {
        /// The limit.
        max_length: usize,
    },
    /// A list of texts. A text with commas is a list too.
    List {
        /// The limit of each element.
        max_length: usize,
    },
    /// A whole number in a range.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// A number of minutes, hours or days, such as `5M`, in a range of seconds.
    Interval {
        /// The shortest.
        min: i64,
        /// The longest.
        max: i64,
    },
    /// A host name or an address.
    Host,
    /// A path of the file system.
    Path,
    /// A reference to a secret.
    Password,
}

/// A regular expression and what to say where it does not match.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// The expression, anchored at both ends; it is also a valid one in JSON Schema.
    pub regex: &'static str,
    /// What is expected, completing "it must be …".
    pub expected: &'static str,
}

/// A value of a fixed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The value in configuration.
    pub value: &'static str,
    /// Its name in QRadar.
    pub label: &'static str,
}

/// What depends on another parameter.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The other parameter.
    pub parameter: &'static str,
    /// When the rule applies.
    pub when: When,
    /// What it does. Of several rules that apply, the last one decides.
    pub effect: Effect,
}

/// When a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The other parameter has this value, given or by default.
    Is(&'static str),
    /// The other parameter has another value, or none.
    IsNot(&'static str),
    /// The other parameter has a value, given or by default, and is available.
    Given,
    /// The other parameter has no value.
    Absent,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The parameter may not be given.
    Unavailable,
    /// The parameter has to be given.
    Required,
    /// The parameter need not be given.
    Optional,
}

/// Where a parameter is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// QRadar's protocol has it.
    Qradar,
    /// It is ours: QRadar decides this elsewhere.
    Dsmith,
    /// It is ours, and for tests only.
    Test,
}

impl Parameter {
    /// A parameter with nothing but these; the rest follows by the other functions.
    pub const fn new(
        name: &'static str,
        label: &'static str,
        kind: Kind,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            label,
            description,
            kind,
            required: false,
            default: None,
            pattern: None,
            allowed: &[],
            rules: &[],
            origin: Origin::Qradar,
            any_case: false,
        }
    }

    /// It has to be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Its value where none is given.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// What its text has to look like.
    #[must_use]
    pub const fn pattern(mut self, regex: &'static str, expected: &'static str) -> Self {
        self.pattern = Some(Pattern { regex, expected });
        self
    }

    /// Its only values.
    #[must_use]
    pub const fn allowed(mut self, values: &'static [Allowed]) -> Self {
        self.allowed = values;
        self
    }

    /// Capitals are taken for small letters.
    #[must_use]
    pub const fn any_case(mut self) -> Self {
        self.any_case = true;
        self
    }

    /// What it depends on.
    #[must_use]
    pub const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// It is not one of QRadar's.
    #[must_use]
    pub const fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }
}

/// The value of a parameter as it stands in configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Value>),
    /// A table, such as `{ env = "NAME" }`.
    Table(BTreeMap<String, Value>),
    /// Something else, by its name, such as `date`.
    Other(&'static str),
}

impl Value {
    /// What it is, with its article, for messages.
    pub const fn kind(&self) -> &'static str {
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

/// A fault in the parameters of a log source. No message repeats the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterFault {
    /// The parameter, as it is written.
    pub key: String,
    /// Which element of a list, counted from 0.
    pub index: Option<usize>,
    /// What kind of fault.
    pub code: FaultCode,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultCode {
    /// No such parameter.
    Unknown,
    /// A required one is not there.
    Missing,
    /// The value has the wrong type.
    Type,
    /// The number, interval or length lies outside the range.
    OutOfRange,
    /// The text does not look as it must.
    Pattern,
    /// The value is not one of the allowed ones.
    NotAllowed,
    /// It may not be given, because of the value of another one.
    Unavailable,
    /// Two parameters contradict each other.
    Contradiction,
    /// A secret is written into the configuration.
    SecretInline,
}

/// Checked parameters, defaults included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(BTreeMap<&'static str, Checked>);

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    Text(String),
    Path(PathBuf),
    List(Vec<String>),
    Integer(i64),
    Boolean(bool),
    Interval(TimeDelta),
    Secret(SecretRef),
}

impl Parameters {
    /// Makes relative paths begin at a folder, those to files with secrets included.
    pub fn begin_paths_at(&mut self, base: &Path) {
        for value in self.0.values_mut() {
            if let Checked::Path(path) | Checked::Secret(SecretRef::File(path)) = value {
                *path = base.join(&*path);
            }
        }
    }

    /// The value of a path.
    pub fn path(&self, name: &str) -> Option<&Path> {
        match self.0.get(name) {
            Some(Checked::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// The value of a text or host; `None` where there is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Checked::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; none where it was not given.
    pub fn list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(Checked::List(list)) => list,
            _ => &[],
        }
    }

    /// The value of a whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Checked::Integer(integer)) => Some(*integer),
            _ => None,
        }
    }

    /// Whether a boolean is set.
    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Checked::Boolean(true)))
    }

    /// The value of an interval.
    pub fn interval(&self, name: &str) -> Option<TimeDelta> {
        match self.0.get(name) {
            Some(Checked::Interval(interval)) => Some(*interval),
            _ => None,
        }
    }

    /// Where a secret is.
    pub fn secret(&self, name: &str) -> Option<&SecretRef> {
        match self.0.get(name) {
            Some(Checked::Secret(reference)) => Some(reference),
            _ => None,
        }
    }

    /// Whether a parameter has a value, given or by default.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
