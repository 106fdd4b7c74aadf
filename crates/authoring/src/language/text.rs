//! Places in a text: as editors count them, and after the text was changed.

use std::ops::Range;

/// A text with the places where its lines begin. Lines end as editors see it: with `\n`, `\r\n` or `\r`.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Looks for the lines.
    pub fn new(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| {
            **byte == b'\n' || **byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')
        });
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
        Self {
            text,
            starts: starts.collect(),
        }
    }

    /// Line and column, both from 0, the column in units of UTF-16. A place within a character is that of the character;
    /// one behind the text is its end.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        let before = &self.text[self.starts[line]..offset];
        let column = before.encode_utf16().count();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column))
    }

    /// The byte at a line and column; the end of the line where it is shorter, the end of the text where it has fewer
    /// lines.
    pub fn offset(&self, line: u32, column: u32) -> usize {
        let Some(&start) = self.starts.get(line as usize) else {
            return self.text.len();
        };
        let end = self.starts.get(line as usize + 1).copied();
        let rest = self.text[start..end.unwrap_or(self.text.len())].trim_end_matches(['\r', '\n']);
        let mut units = 0;
        for (at, c) in rest.char_indices() {
            units += c.len_utf16();
            if units > column as usize {
                return start + at;
            }
        }
        start + rest.len()
    }
}

/// What is between two versions of a text: one piece in the middle, everything around it is the same.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Where the piece begins, in both.
    start: usize,
    /// Where it ends in the old text.
    old_end: usize,
    /// Where it ends in the new one.
    new_end: usize,
}

impl Change {
    /// Compares two texts.
    pub fn between(old: &str, new: &str) -> Self {
        let (old, new) = (old.as_bytes(), new.as_bytes());
        let same = old.iter().zip(new).take_while(|(a, b)| a == b);
        let start = same.count();
        let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
        let tail = rest.take_while(|(a, b)| a == b).count();
        Self {
            start,
            old_end: old.len() - tail,
            new_end: new.len() - tail,
        }
    }

    /// Where a place of the old text is in the new one; nothing if the change touches it.
    pub fn carry(&self, span: &Range<usize>) -> Option<Range<usize>> {
        if span.end <= self.start {
            return Some(span.clone());
        }
        let moved = |at: usize| at - self.old_end + self.new_end;
        (span.start >= self.old_end).then(|| moved(span.start)..moved(span.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_editors_do() {
        let text = "a\n🔒é\"x\r\ny\rz";
        let lines = Lines::new(text);
        for (at, place) in [
            (0, (0, 0)),
            (2, (1, 0)),
            (6, (1, 2)),
            (8, (1, 3)),
            (10, (1, 5)),
            (12, (2, 0)),
            (14, (3, 0)),
            (15, (3, 1)),
        ] {
            assert_eq!(lines.position(at), place, "{at}");
            assert_eq!(lines.offset(place.0, place.1), at, "{place:?}");
        }
    }

    #[test]
    fn places_that_are_none_lead_to_the_nearest_one() {
        let lines = Lines::new("a\n🔒é\"x\r\n");
        assert_eq!(lines.offset(1, 99), 10, "the end of the line");
        assert_eq!(lines.offset(99, 0), 12, "the end of the text");
        assert_eq!(lines.offset(1, 1), 2, "within a pair of surrogates");
        assert_eq!(lines.position(4), (1, 0), "within a character");
        assert_eq!(lines.position(99), (2, 0));
        assert_eq!(Lines::new("").position(0), (0, 0));
    }

    #[test]
    fn a_place_moves_with_the_text_around_it() {
        let change = Change::between("one two three", "one 2 and three");
        assert_eq!(change.carry(&(0..3)), Some(0..3));
        assert_eq!(change.carry(&(8..13)), Some(10..15));
        assert_eq!(change.carry(&(4..7)), None);
        assert_eq!(change.carry(&(0..13)), None);
        let same = Change::between("aaa", "aaa");
        assert_eq!(same.carry(&(0..3)), Some(0..3));
        let twice = Change::between("aa", "aaaa");
        assert_eq!(twice.carry(&(0..2)), Some(0..2));
        assert_eq!(twice.carry(&(2..2)), Some(2..2));
    }
}
