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
        let mut text = String::new();
        let mut origin = Vec::new();
        let mut at = 0;
        while at < written.len() {
            let rest = &written[at..];
            // A word, and the white space that follows it.
            let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(length);
            let blanks = &behind[..behind.len() - behind.trim_start().len()];
            crate::steps::count(word.len() + blanks.len());
            text.push_str(word);
            origin.extend(at..at + length);
            at += length + blanks.len();
            // White space stays if it lies inside one line.
            let is_inside = !text.is_empty() && at < written.len();
            if rule == TrimWhitespace::LineBreaks && is_inside && !blanks.contains(['\n', '\r']) {
                text.push_str(blanks);
                origin.extend(at - blanks.len()..at);
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
