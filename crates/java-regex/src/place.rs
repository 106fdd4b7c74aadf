//! What the matchers ask of the text: characters, distances, assertions, repeated groups.
//!
//! Java counts in UTF-16 units, and in some places steps into the middle of a surrogate pair. A position is a byte offset
//! here, and the middle of a character of four bytes is its third byte, which is no boundary of a character in UTF-8. Half
//! a pair is a code point of its own there, as it is in Java.

use super::backtrack::{BudgetExceeded, Machine};
use super::charset::{CharSet, Fold, fold, to_lower};
use super::syntax::Assertion;
use super::{grapheme, property, work};

/// So many bytes that are looked at cost a step.
const BYTES_A_STEP: u64 = 8;

/// Whether a position is in the middle of a surrogate pair.
#[inline]
pub(crate) fn is_inside_pair(bytes: &[u8], pos: usize) -> bool {
    bytes.get(pos).is_some_and(|byte| byte & 0xC0 == 0x80)
}

/// The code point that starts at a position; the lower half of a pair in the middle of one.
#[inline]
pub(crate) fn code_at(text: &str, pos: usize) -> Option<u32> {
    work::look(4);
    let &byte = text.as_bytes().get(pos)?;
    if byte < 0x80 {
        return Some(u32::from(byte));
    }
    if byte & 0xC0 == 0x80 {
        let c = text.get(pos.checked_sub(2)?..)?.chars().next()?;
        return Some(0xDC00 | (u32::from(c) & 0x3FF));
    }
    text.get(pos..)?.chars().next().map(u32::from)
}

/// The code point that ends at a position; the upper half of a pair in the middle of one.
#[inline]
pub(crate) fn code_before(text: &str, pos: usize) -> Option<u32> {
    work::look(4);
    if is_inside_pair(text.as_bytes(), pos) {
        let c = text.get(pos.checked_sub(2)?..)?.chars().next()?;
        return Some(0xD800 | ((u32::from(c) - 0x10000) >> 10));
    }
    text.get(..pos)?.chars().next_back().map(u32::from)
}

/// The length in bytes of what [`code_at`] and [`code_before`] tell.
#[inline]
pub(crate) fn width(c: u32) -> usize {
    match c {
        0..0x80 => 1,
        0x80..0x800 | 0xD800..0xE000 => 2,
        0x800..0x1_0000 => 3,
        _ => 4,
    }
}

/// The UTF-16 unit that starts at a position.
fn unit_at(text: &str, pos: usize) -> Option<u32> {
    code_at(text, pos).map(|c| match c {
        0x1_0000.. => 0xD800 | ((c - 0x10000) >> 10),
        _ => c,
    })
}

/// The position one UTF-16 unit further on.
fn next_unit(text: &str, pos: usize) -> Option<usize> {
    code_at(text, pos).map(|c| pos + if c >= 0x1_0000 { 2 } else { width(c) })
}

/// The position one UTF-16 unit before.
fn unit_before(text: &str, pos: usize) -> Option<usize> {
    code_before(text, pos).map(|c| pos - if c >= 0x1_0000 { 2 } else { width(c) })
}

impl Machine<'_> {
    #[inline]
    pub(crate) fn one(&self, set: &CharSet, pos: u32) -> Option<u32> {
        work::look(1);
        let &byte = self.bytes.get(pos as usize)?;
        if byte < 0x80 {
            return set.contains_ascii(byte).then_some(pos + 1);
        }
        let c = code_at(self.text, pos as usize)?;
        set.contains(c).then(|| pos + width(c) as u32)
    }

    /// The position one code point before.
    pub(crate) fn back_char(&self, pos: u32) -> u32 {
        pos - code_before(self.text, pos as usize).map_or(0, |c| width(c) as u32)
    }

    /// The position one UTF-16 unit before.
    pub(crate) fn back_unit(&self, pos: u32) -> u32 {
        unit_before(self.text, pos as usize).map_or(0, |pos| pos as u32)
    }

    /// Pays for bytes that are looked at.
    pub(crate) fn spend_on(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.spend(bytes as u64 / BYTES_A_STEP)
    }

    /// The position so many UTF-16 units before, unless the text starts later.
    fn units_before(&mut self, pos: u32, units: u32) -> Result<Option<u32>, BudgetExceeded> {
        if self.ascii {
            return Ok(pos.checked_sub(units));
        }
        let mut at = pos as usize;
        for _ in 0..units {
            match unit_before(self.text, at) {
                Some(before) => at = before,
                None => {
                    self.spend(u64::from(pos))?;
                    return Ok(None);
                }
            }
        }
        self.spend(u64::from(units))?;
        Ok(Some(at as u32))
    }

    /// The position so many UTF-16 units before; there are as many.
    pub(crate) fn back_units(&mut self, pos: u32, units: u32) -> Result<u32, BudgetExceeded> {
        Ok(self.units_before(pos, units)?.unwrap_or(0))
    }

    pub(crate) fn utf16(&mut self, from: u32, to: u32) -> Result<u32, BudgetExceeded> {
        if self.ascii {
            return Ok(to - from);
        }
        self.spend(u64::from(to - from))?;
        let (mut at, mut units) = (from as usize, 0);
        while at < to as usize
            && let Some(next) = next_unit(self.text, at)
        {
            at = next;
            units += 1;
        }
        Ok(units)
    }

    /// Where the body of a look-behind may start: the nearest place and the farthest, by Java's arithmetic. A length that
    /// has overflowed lets the body start anywhere or nowhere.
    pub(crate) fn starts_behind(
        &mut self,
        reach: (i32, i32),
        by_chars: bool,
        pos: u32,
    ) -> Result<Option<(u32, u32)>, BudgetExceeded> {
        let Ok(least) = u32::try_from(reach.0) else {
            return Ok(None);
        };
        let (nearest, farthest) = match u32::try_from(reach.1) {
            Ok(most) if by_chars => (
                Some(self.chars_before(pos, least)?),
                Some(self.chars_before(pos, most)?),
            ),
            Ok(most) => (
                self.units_before(pos, least)?,
                Some(self.units_before(pos, most.min(pos))?.unwrap_or(0)),
            ),
            Err(_) => {
                let needed = i64::from(i32::MAX) + 1 + i64::from(reach.1);
                let is_far = i64::from(pos) >= needed
                    && self
                        .units_before(pos, u32::try_from(needed).unwrap_or(0))?
                        .is_some();
                (self.units_before(pos, least)?, is_far.then_some(0))
            }
        };
        Ok(nearest
            .zip(farthest)
            .filter(|(nearest, farthest)| nearest >= farthest))
    }

    /// The position so many code points before, or the start of the text.
    fn chars_before(&mut self, pos: u32, chars: u32) -> Result<u32, BudgetExceeded> {
        if self.ascii {
            return Ok(pos.saturating_sub(chars));
        }
        let mut at = pos;
        for _ in 0..chars.min(pos) {
            at = self.back_char(at);
            if at == 0 {
                break;
            }
        }
        self.spend(u64::from(pos - at))?;
        Ok(at)
    }

    /// Where the text of a group ends if it is repeated at `pos`.
    pub(crate) fn repeat_of(
        &mut self,
        group: usize,
        how: Fold,
        pos: u32,
    ) -> Result<Option<u32>, BudgetExceeded> {
        let Some((start, end)) = self.memory.get(group) else {
            return Ok(None);
        };
        let pos = pos as usize;
        let has_halves = [start, end, pos]
            .iter()
            .any(|&at| is_inside_pair(self.bytes, at));
        if how == Fold::Exact && !has_halves {
            self.spend_on(end - start)?;
            let text = &self.bytes[start..end];
            work::look(text.len());
            let is_same = self.bytes[pos..].starts_with(text);
            return Ok(is_same.then(|| (pos + text.len()) as u32));
        }
        let units = self.utf16(start as u32, end as u32)?;
        self.spend(u64::from(units))?;
        // The search for letters of another case takes some time.
        if how == Fold::Unicode {
            self.spend(u64::from(units))?;
        }
        let (text, mut theirs, mut ours) = (self.text, start, pos);
        let mut after = pos;
        for _ in 0..units {
            if how == Fold::Exact {
                if unit_at(text, theirs) != unit_at(text, ours) {
                    return Ok(None);
                }
                let next = next_unit(text, theirs).zip(next_unit(text, ours));
                let Some(next) = next else { return Ok(None) };
                (theirs, ours) = next;
            } else {
                // Java compares as many characters as the group has UTF-16 units, so it reads on behind a pair.
                let codes = code_at(text, theirs).zip(code_at(text, ours));
                let Some((a, b)) = codes.filter(|&(a, b)| a == b || same(a, b, how)) else {
                    return Ok(None);
                };
                (theirs, ours) = (theirs + width(a), ours + width(b));
            }
            match next_unit(text, after) {
                Some(next) => after = next,
                None => return Ok(None),
            }
        }
        Ok(Some(after as u32))
    }

    /// Where the grapheme cluster that starts at `pos` ends.
    pub(crate) fn cluster_end(&mut self, pos: u32) -> Result<Option<u32>, BudgetExceeded> {
        let end = grapheme::next_boundary(self.text, pos as usize);
        if let Some(end) = end {
            self.spend((end - pos as usize) as u64)?;
        }
        Ok(end.map(|end| end as u32))
    }

    pub(crate) fn holds(&mut self, what: Assertion, pos: u32) -> Result<bool, BudgetExceeded> {
        if what == Assertion::Cluster {
            let end = self.bytes.len() as u32;
            if pos == 0 || pos == end {
                return Ok(true);
            }
            // Java looks at the cluster where its matcher was last, which is the start of the text in most patterns.
            let last = self.last;
            return Ok(!is_inside_pair(self.bytes, pos as usize)
                && self.cluster_end(last)?.is_none_or(|end| end <= pos));
        }
        let holds = holds(what, self.text, pos as usize, &mut self.marks);
        let looked = self.marks.looked();
        self.spend(looked)?;
        Ok(holds)
    }
}

/// Whether an assertion holds at a place of a text. A cluster's place depends on the matcher, and is not for this.
pub(crate) fn holds(what: Assertion, text: &str, pos: usize, marks: &mut Marks) -> bool {
    let bytes = text.as_bytes();
    match what {
        Assertion::TextStart | Assertion::SearchStart => pos == 0,
        Assertion::TextEnd => pos >= bytes.len(),
        Assertion::Cluster => false,
        Assertion::LineStart { unix } => match (code_before(text, pos), code_at(text, pos)) {
            (_, None) => false,
            (None, _) => true,
            (Some(CR), Some(LF)) if !unix => false,
            (Some(before), _) => ends_line(before, unix),
        },
        Assertion::LineEnd { unix, multiline } => {
            let Some(after) = code_at(text, pos) else {
                return true;
            };
            if !ends_line(after, unix) {
                return false;
            }
            let rest = bytes.len() - pos;
            let last = rest == width(after) || (!unix && &bytes[pos..] == b"\r\n");
            let inside = !unix && code_before(text, pos) == Some(CR) && after == LF;
            !inside && (multiline || last)
        }
        Assertion::Word { negated, unicode } => {
            let (before, after) = (code_before(text, pos), code_at(text, pos));
            let is_ascii = |c: Option<u32>| c.is_none_or(|c| c < 0x80);
            let (before, after) = if is_ascii(before) && is_ascii(after) {
                let is = |c: Option<u32>| {
                    let c = c.and_then(|c| u8::try_from(c).ok());
                    c.is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
                };
                (is(before), is(after))
            } else {
                let word = if unicode {
                    property::word()
                } else {
                    property::boundary_word()
                };
                let is = |c: Option<u32>| c.is_some_and(|c| word.contains(c));
                (
                    // Java walks back by UTF-16 units and so stops at a surrogate pair.
                    is(before)
                        || before.is_some_and(|c| c < 0x1_0000 && is_mark(c))
                            && marks.are_on_base(text, pos),
                    is(after) || after.is_some_and(is_mark) && marks.are_on_base(text, pos),
                )
            };
            (before != after) != negated
        }
    }
}

const CR: u32 = 13;
const LF: u32 = 10;

fn is_mark(c: u32) -> bool {
    property::nonspacing_mark().contains(c)
}

/// The run of combining marks that was looked at last. Whether it stands on a letter or digit is found out once, so that
/// a long run is not walked back from each of its marks.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The bytes of the run; what is said of it holds at both ends too.
    start: usize,
    end: usize,
    on_base: bool,
    looked: u64,
}

impl Marks {
    pub(crate) fn new() -> Marks {
        Marks {
            start: 1,
            end: 0,
            on_base: false,
            looked: 0,
        }
    }

    /// How many characters were looked at since this was asked last.
    pub(crate) fn looked(&mut self) -> u64 {
        std::mem::take(&mut self.looked)
    }

    /// Whether what comes before a place, but for combining marks, is a letter or a digit.
    fn are_on_base(&mut self, text: &str, pos: usize) -> bool {
        if self.start <= pos && pos <= self.end {
            return self.on_base;
        }
        let mut at = pos;
        self.on_base = loop {
            self.looked += 1;
            match code_before(text, at) {
                Some(c) if c < 0x1_0000 && is_mark(c) => at -= width(c),
                c => {
                    break c.is_some_and(|c| c < 0x1_0000 && property::boundary_base().contains(c));
                }
            }
            if at == self.end && self.start <= at {
                // Here the run begins that is known.
                self.end = pos;
                return self.on_base;
            }
        };
        (self.start, self.end) = (at, pos);
        self.on_base
    }
}

fn same(a: u32, b: u32, how: Fold) -> bool {
    match how {
        Fold::Exact => a == b,
        Fold::Ascii => a < 128 && b < 128 && to_lower(a) == to_lower(b),
        Fold::Unicode => fold(a) == fold(b),
    }
}

fn ends_line(c: u32, unix: bool) -> bool {
    c == LF || (!unix && matches!(c, CR | 0x85 | 0x2028 | 0x2029))
}
