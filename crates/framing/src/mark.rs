//! Where a splitter stands, so that another one can go on there.

use super::machine::State;
use super::{Array, Framing, Splitter};

const OPEN: u8 = 1;
const BROKEN: u8 = 2;
const IN_ENVELOPE: u8 = 4;
const BEHIND_VALUE: u8 = 8;
const WITHIN_LINE: u8 = 16;
const LONG_LINE: u8 = 32;
const LEFT_OUT: u8 = 64;

/// A place between two payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Offset in the input.
    pub offset: u64,
    /// What is known there of what came before. 0 at the beginning of the input, and where a line begins that is in no
    /// array. Its meaning does not change, so it can be stored.
    pub state: u8,
}

impl Mark {
    /// The state in an array of payloads that is in no envelope.
    pub const IN_ARRAY: u8 = OPEN | WITHIN_LINE;
}

impl Splitter {
    /// The present place, if it is one.
    pub fn mark(&self) -> Option<Mark> {
        let kind = match self.state {
            State::Start | State::Between { .. } => 0,
            // In other framings it is known of a line that it is no JSON.
            State::Line { .. } if matches!(self.framing, Framing::Lines | Framing::JsonLines) => 0,
            State::LongLine { at: 0 } => LONG_LINE,
            State::SkipAll => LEFT_OUT,
            _ => return None,
        };
        let offset = self.offset();
        // Within these bytes it is known what follows, and that is not noted.
        if offset < self.read_twice || self.region.is_some_and(|region| offset < region.end) {
            return None;
        }
        let array = match self.array {
            Array::None => 0,
            Array::Open => OPEN,
            Array::Broken => BROKEN,
        };
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let state = kind
            | array
            | flag(self.in_envelope, IN_ENVELOPE)
            | flag(self.behind_value, BEHIND_VALUE)
            | flag(!self.at_line_start, WITHIN_LINE);
        Some(Mark { offset, state })
    }

    /// A splitter that begins at a mark. It is to be fed with the bytes behind it.
    pub fn resume(framing: Framing, limit: usize, mark: Mark) -> Self {
        let has = |flag: u8| mark.state & flag != 0;
        let state = if has(LEFT_OUT) {
            State::SkipAll
        } else if has(LONG_LINE) {
            State::LongLine { at: 0 }
        } else if mark.offset == 0 {
            State::Start
        } else {
            State::BETWEEN
        };
        let array = match mark.state & (OPEN | BROKEN) {
            0 => Array::None,
            OPEN => Array::Open,
            _ => Array::Broken,
        };
        Self {
            base: mark.offset,
            state,
            array,
            in_envelope: has(IN_ENVELOPE),
            behind_value: has(BEHIND_VALUE),
            at_line_start: !has(WITHIN_LINE),
            ..Self::new(framing, limit)
        }
    }
}
