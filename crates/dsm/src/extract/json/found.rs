//! What a scan finds, and why it may find nothing.

use super::MAX_DEPTH;
use super::plan::{Plan, SlotIx};
use super::select::Class;
use super::shape::Shape;
use crate::extract::Span;
use crate::options::{BrokenJson, DuplicateJsonKey};

/// The options that matter here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Which of two members of the same name wins.
    pub duplicates: DuplicateJsonKey,
    /// What a broken document gives.
    pub broken: BrokenJson,
}

/// A value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Where it stands; quotes belong to a string.
    pub span: Span,
    /// What it is, as far as reading it depends on it.
    pub form: Form,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string whose text is what stands between the quotes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// `null`.
    Null,
    /// A number, a boolean, an object or an array.
    Other,
}

/// What [`Hit::scalar`] tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar {
    /// There is no value.
    Nothing,
    /// The value stands here as it is.
    Text(Span),
    /// It stands here with its escapes; it is not empty.
    Escaped(Span),
    /// It is an object or an array.
    Other,
}

impl Hit {
    pub(super) const NONE: Self = Self {
        span: Span::NONE,
        form: Form::Other,
    };

    pub(super) fn is_some(self) -> bool {
        self.span.is_some()
    }

    /// What the value is to somebody who wants a scalar, where null and the empty string are none.
    #[inline]
    pub(crate) fn scalar(self, text: &str) -> Scalar {
        let inside = Span {
            start: self.span.start + 1,
            end: self.span.end - 1,
        };
        match self.form {
            Form::Plain if inside.end > inside.start => Scalar::Text(inside),
            Form::Plain | Form::Null => Scalar::Nothing,
            Form::Escaped => Scalar::Escaped(inside),
            Form::Other => match text.as_bytes().get(self.span.start as usize) {
                Some(b'{' | b'[') | None => Scalar::Other,
                _ => Scalar::Text(self.span),
            },
        }
    }

    /// Neither null nor the empty string.
    pub(super) fn is_data(self) -> bool {
        match self.form {
            Form::Null => false,
            Form::Plain => self.span.end - self.span.start > 2,
            Form::Escaped | Form::Other => true,
        }
    }
}

/// The ranges found by a scan, reusable between texts. With another plan it begins anew.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) first: Vec<Hit>,
    pub(super) more: Vec<(SlotIx, Hit)>,
    /// Slots of the document that are filled, so that emptying them costs no more than filling them did.
    pub(super) filled: Vec<SlotIx>,
    /// The same of slots that belong to the elements at hand.
    pub(super) in_element: Vec<SlotIx>,
    /// Hits of one element on their way out of it.
    pub(super) passing: Vec<(SlotIx, Hit)>,
    /// By node, what objects looked like so far.
    pub(super) shapes: Vec<Option<Box<Shape>>>,
    /// The plan that the shapes belong to.
    plan: u64,
    /// What conditions have learnt of the element at hand.
    pub(super) classes: Vec<Class>,
}

impl Found {
    /// Makes room for what a plan finds.
    pub(super) fn clear(&mut self, plan: &Plan) {
        let slots = plan.slots.len();
        if self.plan != plan.fingerprint || self.shapes.len() != plan.nodes.len() {
            self.plan = plan.fingerprint;
            self.shapes.clear();
            self.shapes.resize_with(plan.nodes.len(), || None);
        }
        self.classes.resize(plan.tested.len(), Class::Unknown);
        if self.first.len() == slots {
            for slots in [&self.filled, &self.in_element] {
                for &slot in slots {
                    self.first[slot] = Hit::NONE;
                }
            }
        } else {
            self.first.clear();
            self.first.resize(slots, Hit::NONE);
        }
        self.filled.clear();
        self.in_element.clear();
        self.more.clear();
        self.passing.clear();
    }

    /// The first (for most paths the only) value, as it stands in the text.
    #[inline]
    pub fn get(&self, slot: SlotIx) -> Option<Hit> {
        self.first.get(slot).copied().filter(|hit| hit.is_some())
    }

    /// The slots of the document that were filled. Where members repeat, one may stand here twice, or be empty again.
    pub(crate) fn filled(&self) -> &[SlotIx] {
        &self.filled
    }

    /// All values of a slot in document order.
    pub fn all(&self, slot: SlotIx) -> impl Iterator<Item = Hit> + '_ {
        let more = self
            .more
            .iter()
            .filter(move |(s, _)| *s == slot)
            .map(|(_, hit)| *hit);
        self.get(slot).into_iter().chain(more)
    }

    #[inline]
    pub(super) fn set(&mut self, slot: SlotIx, hit: Hit) {
        if !self.first[slot].is_some() {
            self.filled.push(slot);
        }
        self.first[slot] = hit;
    }

    #[inline]
    pub(super) fn set_in_element(&mut self, slot: SlotIx, hit: Hit) {
        if !self.first[slot].is_some() {
            self.in_element.push(slot);
        }
        self.first[slot] = hit;
    }

    pub(super) fn push(&mut self, slot: SlotIx, hit: Hit, in_element: bool) {
        if self.first[slot].is_some() {
            self.more.push((slot, hit));
        } else if in_element {
            self.set_in_element(slot, hit);
        } else {
            self.set(slot, hit);
        }
    }
}

/// Why no value could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong there.
    pub kind: JsonErrorKind,
}

/// What is wrong with the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// There is none.
    Absent,
    /// It ends in the middle.
    Truncated,
    /// It breaks the grammar.
    Syntax,
    /// It nests deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.at;
        match self.kind {
            JsonErrorKind::Absent => f.write_str("no JSON object in the text"),
            JsonErrorKind::Truncated => write!(f, "the JSON object is truncated at byte {at}"),
            JsonErrorKind::Syntax => write!(f, "the JSON object is not valid at byte {at}"),
            JsonErrorKind::TooDeep => {
                write!(
                    f,
                    "the JSON object nests deeper than {MAX_DEPTH} levels at byte {at}"
                )
            }
        }
    }
}
