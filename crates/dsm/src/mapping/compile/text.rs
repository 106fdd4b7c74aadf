//! The text of a pattern as it is read, and the faults of texts that are keys.

use crate::keypath::PathError;
use crate::lsx;
use crate::options::TrimWhitespace;
use std::ops::Range;

/// The text of a pattern after trim-whitespace, and the way back to the written one.
pub(super) struct EffectiveText {
    pub(super) text: String,
    /// For each byte of `text`, its offset in the written text; empty when nothing was removed.
    origin: Vec<usize>,
}

impl EffectiveText {
    pub(super) fn of(pattern: &lsx::Pattern, rule: TrimWhitespace) -> Self {
        let written = pattern.body.text.as_str();
        if !pattern.trim_whitespace {
            return Self {
                text: written.to_owned(),
                origin: Vec::new(),
            };
        }
        let keep = |at: usize, c: char| match rule {
            TrimWhitespace::All => !c.is_whitespace(),
            TrimWhitespace::LineBreaks => {
                if !c.is_whitespace() {
                    return true;
                }
                // A blank stays if the run of white space that it belongs to lies inside one line.
                let before = written[..at].trim_end().len();
                let after = written.len() - written[at..].trim_start().len();
                before > 0
                    && after < written.len()
                    && !written[before..after].contains(['\n', '\r'])
            }
        };
        let mut text = String::new();
        let mut origin = Vec::new();
        for (at, c) in written.char_indices() {
            if keep(at, c) {
                text.push(c);
                origin.extend((0..c.len_utf8()).map(|i| at + i));
            }
        }
        origin.push(written.trim_end().len());
        Self { text, origin }
    }

    pub(super) fn back(&self, range: &Range<usize>) -> Range<usize> {
        if self.origin.is_empty() {
            return range.clone();
        }
        let place = |offset: usize| self.origin.get(offset).copied().unwrap_or_default();
        let start = place(range.start);
        let end = if range.is_empty() {
            start
        } else {
            place(range.end - 1) + 1
        };
        start..end
    }
}

/// What is wrong with a text that is a key, or keys in braces; keys have no syntax of their own.
pub(super) fn key_fault(text: &str) -> Option<PathError> {
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|i| at + i) {
        let Some(close) = text[open..].find('}').map(|i| open + i) else {
            return Some(PathError {
                span: open..text.len(),
                message: "a `{` without its `}`".to_owned(),
                help: "close the braces around the key".to_owned(),
            });
        };
        if text[open + 1..close].trim().is_empty() {
            return Some(PathError {
                span: open..close + 1,
                message: "the braces hold no key".to_owned(),
                help: "write the key between the braces".to_owned(),
            });
        }
        at = close + 1;
    }
    None
}

/// What is wrong with a date format in the notation of C, whose letters mean something else in Java's.
pub(super) fn strftime_fault(format: &str) -> Option<PathError> {
    let (at, _) = format
        .match_indices('%')
        .find(|(at, _)| format[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()))?;
    Some(PathError {
        span: at..at + 2,
        message: "`%` and a letter is the notation of strftime".to_owned(),
        help: "write Java's letters without %, for example yyyy-MM-dd HH:mm:ss".to_owned(),
    })
}
