//! The account of how an event was made.

use crate::extract::json::JsonError;
use crate::field::Kind;
use crate::mapping::{BranchIx, Target};
use std::fmt;
use std::sync::Arc;

/// Every matcher that was tried, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The attempts.
    pub attempts: Vec<Attempt>,
}

/// A matcher that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The property it was tried for.
    pub target: Target,
    /// The matcher.
    pub branch: BranchIx,
    /// Why it yielded nothing; nothing if it yielded the value.
    pub failed: Option<NoData>,
}

/// Why a matcher yielded nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NoData {
    /// The pattern does not match.
    NoMatch,
    /// The pattern used up its budget of steps.
    BudgetExceeded,
    /// The group took no part in the match.
    GroupAbsent(usize),
    /// The value is empty.
    Empty,
    /// The key, path or position is not there.
    Absent,
    /// The value is JSON null.
    Null,
    /// The text holds no JSON that can be read.
    Json(JsonError),
    /// The text holds no message of this format.
    NoMessage(&'static str),
    /// The pattern runs within another one, which found nothing.
    NoBase(Arc<str>),
    /// A part of a template has no value.
    PartAbsent,
    /// The value is not of the type of the property. Said in detail only where attempts are noted.
    Invalid(Option<Box<Invalid>>),
}

/// A value that is not of the type of its property.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid {
    /// The type.
    pub kind: Kind,
    /// The beginning of the value.
    pub text: String,
    /// More about it.
    pub detail: Option<String>,
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch => f.write_str("the pattern does not match"),
            Self::BudgetExceeded => f.write_str("no match, budget exceeded"),
            Self::GroupAbsent(group) => write!(f, "group {group} took no part in the match"),
            Self::Empty => f.write_str("the value is empty"),
            Self::Absent => f.write_str("not in the payload"),
            Self::Null => f.write_str("the value is null"),
            Self::Json(error) => error.fmt(f),
            Self::NoMessage(format) => write!(f, "no {format} message in the text"),
            Self::NoBase(id) => write!(f, "pattern `{id}`, which it runs within, found nothing"),
            Self::PartAbsent => f.write_str("a part of the template has no value"),
            Self::Invalid(None) => f.write_str("the value is not of the type of the property"),
            Self::Invalid(Some(invalid)) => {
                let Invalid { kind, text, detail } = invalid.as_ref();
                write!(f, "`{text}` is not {}", kind.describe())?;
                match detail {
                    Some(detail) => write!(f, ": {detail}"),
                    None => Ok(()),
                }
            }
        }
    }
}
