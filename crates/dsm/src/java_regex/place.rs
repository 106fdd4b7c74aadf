//! What the backtracking matcher asks of the text: characters, distances, assertions, repeated groups.

use super::backtrack::Machine;
use super::charset::{CharSet, Fold, fold, to_lower};
use super::property;
use super::syntax::Assertion;

impl Machine<'_> {
    #[inline]
    pub(super) fn one(&self, set: &CharSet, pos: u32) -> Option<u32> {
        let &byte = self.bytes.get(pos as usize)?;
        if byte < 0x80 {
            return set.contains_ascii(byte).then_some(pos + 1);
        }
        let c = self.char_at(pos as usize)?;
        set.contains(c as u32).then(|| pos + c.len_utf8() as u32)
    }

    fn char_at(&self, pos: usize) -> Option<char> {
        self.text.get(pos..)?.chars().next()
    }

    fn char_before(&self, pos: usize) -> Option<char> {
        self.text.get(..pos)?.chars().next_back()
    }

    pub(super) fn back_char(&self, pos: u32) -> u32 {
        pos - self
            .char_before(pos as usize)
            .map_or(0, |c| c.len_utf8() as u32)
    }

    pub(super) fn back_chars(&self, pos: u32, chars: u32) -> Option<u32> {
        if chars > pos {
            return None;
        }
        if self.ascii {
            return Some(pos - chars);
        }
        let mut pos = pos;
        for _ in 0..chars {
            if pos == 0 {
                return None;
            }
            pos = self.back_char(pos);
        }
        Some(pos)
    }

    /// The position so many UTF-16 units before.
    pub(super) fn back_units(&self, pos: u32, units: u32) -> u32 {
        if self.ascii {
            return pos - units;
        }
        let (mut pos, mut units) = (pos, units as usize);
        while let Some(c) = self.char_before(pos as usize) {
            if units == 0 {
                break;
            }
            units = units.saturating_sub(c.len_utf16());
            pos -= c.len_utf8() as u32;
        }
        pos
    }

    pub(super) fn utf16(&self, from: u32, to: u32) -> u32 {
        if self.ascii {
            return to - from;
        }
        self.text
            .get(from as usize..to as usize)
            .map_or(0, |text| text.chars().map(|c| c.len_utf16() as u32).sum())
    }

    /// The first place where the body of a look-behind may start, by Java's arithmetic: a length that has overflowed lets
    /// the body start anywhere or nowhere.
    pub(super) fn farthest(&self, most: i32, pos: u32) -> Option<u32> {
        if most >= 0 {
            return Some(self.back_chars(pos, most as u32).unwrap_or(0));
        }
        let needed = i64::from(i32::MAX) + 1 + i64::from(most);
        let mut units = 0;
        if i64::from(pos) < needed {
            return None;
        }
        for c in self.text.get(..pos as usize)?.chars() {
            if units >= needed {
                break;
            }
            units += c.len_utf16() as i64;
        }
        (units >= needed).then_some(0)
    }

    /// Where the text of a group ends if it is repeated at `pos`.
    pub(super) fn repeat_of(&self, group: usize, how: Fold, pos: u32) -> Option<u32> {
        let (start, end) = self.memory.get(group)?;
        if how == Fold::Exact {
            let text = &self.bytes[start..end];
            return self.bytes[pos as usize..]
                .starts_with(text)
                .then(|| pos + text.len() as u32);
        }
        // Java compares as many characters as the group has UTF-16 units, so it reads on behind a surrogate pair.
        let units: usize = self
            .text
            .get(start..end)?
            .chars()
            .map(char::len_utf16)
            .sum();
        let (mut theirs, mut ours) = (
            self.text.get(start..)?.chars(),
            self.text.get(pos as usize..)?.chars(),
        );
        for _ in 0..units {
            let (a, b) = (theirs.next()?, ours.next()?);
            if a != b && !same(a as u32, b as u32, how) {
                return None;
            }
        }
        let (mut units, mut after) = (units, pos);
        for c in self.text.get(pos as usize..)?.chars() {
            if units == 0 {
                break;
            }
            units = units.checked_sub(c.len_utf16())?;
            after += c.len_utf8() as u32;
        }
        (units == 0).then_some(after)
    }
}

/// Whether an assertion holds at a place of a text.
pub(super) fn holds(what: Assertion, text: &str, pos: usize) -> bool {
    let bytes = text.as_bytes();
    let before = text.get(..pos).and_then(|text| text.chars().next_back());
    let after = text.get(pos..).and_then(|text| text.chars().next());
    match what {
        Assertion::TextStart | Assertion::SearchStart => pos == 0,
        Assertion::TextEnd => after.is_none(),
        Assertion::LineStart { unix } => match (before, after) {
            (_, None) => false,
            (None, _) => true,
            (Some('\r'), Some('\n')) if !unix => false,
            (Some(before), _) => ends_line(before, unix),
        },
        Assertion::LineEnd { unix, multiline } => {
            let Some(after) = after else { return true };
            let rest = bytes.len() - pos;
            let last = rest == after.len_utf8() || (!unix && &bytes[pos..] == b"\r\n");
            let inside = !unix && before == Some('\r') && after == '\n';
            ends_line(after, unix) && !inside && (multiline || last)
        }
        Assertion::Word { negated, unicode } => {
            let (before, after) = if is_ascii(before) && is_ascii(after) {
                let is = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                (is(before), is(after))
            } else {
                let word = if unicode {
                    property::word()
                } else {
                    property::boundary_word()
                };
                let is = |c: Option<char>| c.is_some_and(|c| word.contains(c as u32));
                (
                    is(before) || marks(text, before, pos, false),
                    is(after) || marks(text, after, pos, true),
                )
            };
            (before != after) != negated
        }
    }
}

fn is_ascii(c: Option<char>) -> bool {
    c.is_none_or(|c| c.is_ascii())
}

/// Whether `c`, which stands before `pos` or after it, is a combining mark on a letter or digit. Java walks back by
/// UTF-16 units and so stops at a surrogate pair.
fn marks(text: &str, c: Option<char>, pos: usize, after: bool) -> bool {
    let (marks, bases) = (property::nonspacing_mark(), property::boundary_base());
    let Some(c) = c.filter(|&c| marks.contains(c as u32)) else {
        return false;
    };
    if !after && c.len_utf16() == 2 {
        return false;
    }
    for c in text.get(..pos).unwrap_or_default().chars().rev() {
        if c.len_utf16() == 2 {
            return false;
        }
        if !marks.contains(c as u32) {
            return bases.contains(c as u32);
        }
    }
    false
}

fn same(a: u32, b: u32, how: Fold) -> bool {
    match how {
        Fold::Exact => a == b,
        Fold::Ascii => a < 128 && b < 128 && to_lower(a) == to_lower(b),
        Fold::Unicode => fold(a) == fold(b),
    }
}

fn ends_line(c: char, unix: bool) -> bool {
    c == '\n' || (!unix && matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
}
