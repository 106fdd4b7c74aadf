//! Which characters the format cannot carry, decided byte by byte.

use crate::control;
use crate::delimiter::Delimiter;
use wide::u8x16;

const HEADER: u8 = 1;
const VALUE: u8 = 2;

/// Where a text stands; the rules differ by one character each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Header,
    Value,
}

impl Place {
    fn mask(self) -> u8 {
        match self {
            Self::Header => HEADER,
            Self::Value => VALUE,
        }
    }
}

/// The characters that cannot be written, as a table over bytes.
///
/// These are those of [`control`]; in a header also `|`; in a value also the
/// delimiter. A byte is flagged if such a character can begin with
/// it, so an unflagged text needs no further look, and a flagged lead byte of
/// UTF-8 needs a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Charset {
    table: [u8; 256],
    delimiter: [u8; 4],
    delimiter_len: usize,
    /// Its first byte, side by side.
    delimiters: [u8; 16],
}

impl Charset {
    pub(crate) fn new(delimiter: Delimiter) -> Self {
        Self::with_separator(delimiter.as_char())
    }

    pub(crate) fn with_separator(separator: char) -> Self {
        let mut buffer = [0; 4];
        let delimiter_len = separator.encode_utf8(&mut buffer).len();
        let mut table = [0; 256];
        for (byte, class) in (0..=u8::MAX).zip(table.iter_mut()) {
            *class = match byte {
                byte if control::is_lead(byte) => HEADER | VALUE,
                b'|' => HEADER,
                _ => 0,
            };
            if byte == buffer[0] {
                *class |= VALUE;
            }
        }
        Self {
            table,
            delimiter: buffer,
            delimiter_len,
            delimiters: [buffer[0]; 16],
        }
    }

    pub(crate) fn delimiter(&self) -> &[u8] {
        &self.delimiter[..self.delimiter_len]
    }

    /// Whether a value can be written as it is: ASCII, no control character, not the delimiter. May say no where
    /// [`next_bad`](Self::next_bad) finds nothing, never the other way round.
    ///
    /// There is no early end: values that have to be changed are rare, and short.
    #[inline(always)]
    pub(crate) fn is_plain_value(&self, text: &[u8]) -> bool {
        let Some(last) = text.last_chunk::<16>() else {
            return self.is_plain_short(text);
        };
        // The last block may overlap the one before it.
        let all = text
            .as_chunks::<16>()
            .0
            .iter()
            .fold(self.flags(last), |all, block| all | self.flags(block));
        all.to_bitmask() == 0
    }

    /// The same for a text of less than sixteen bytes, which fills a block by being repeated.
    #[inline(always)]
    fn is_plain_short(&self, text: &[u8]) -> bool {
        let (low, high) = if let Some((first, last)) = ends::<8>(text) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let Some((first, last)) = ends::<4>(text) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            let both = u64::from(first) | u64::from(last) << 32;
            (both, both)
        } else {
            let table = |&byte: &u8| self.table[usize::from(byte)] & VALUE == 0;
            return text.iter().all(table);
        };
        let mut block = [0; 16];
        block[..8].copy_from_slice(&low.to_le_bytes());
        block[8..].copy_from_slice(&high.to_le_bytes());
        self.flags(&block).to_bitmask() == 0
    }

    /// Tells of each of sixteen bytes by its highest bit whether it can be flagged for a value. That of a byte beyond
    /// ASCII is set as it is.
    #[inline(always)]
    fn flags(&self, block: &[u8; 16]) -> u8x16 {
        let block = u8x16::new(*block);
        let delimiter = block.simd_eq(u8x16::new(self.delimiters));
        delimiter | control::flags(block)
    }

    /// The first character at or after `from` that cannot be written: where
    /// it begins and how many bytes it has.
    #[inline]
    pub(crate) fn next_bad(
        &self,
        text: &[u8],
        from: usize,
        place: Place,
    ) -> Option<(usize, usize)> {
        let mask = place.mask();
        let mut at = from;
        loop {
            while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                let classes = block
                    .iter()
                    .fold(0, |sum, &b| sum | self.table[usize::from(b)]);
                if classes & mask != 0 {
                    break;
                }
                at += 8;
            }
            at += text
                .get(at..)?
                .iter()
                .position(|&b| self.table[usize::from(b)] & mask != 0)?;
            match self.bad_at(&text[at..], place) {
                0 => at += 1,
                len => return Some((at, len)),
            }
        }
    }

    /// The length of the unwritable character that `text` begins with, or 0.
    pub(crate) fn bad_at(&self, text: &[u8], place: Place) -> usize {
        match text {
            [b'|', ..] if place == Place::Header => 1,
            _ if place == Place::Value && text.starts_with(self.delimiter()) => self.delimiter_len,
            _ => control::length(text),
        }
    }
}

/// The first and the last bytes of a text, which may overlap.
#[inline(always)]
fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((text.first_chunk()?, text.last_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(delimiter: char, place: Place, text: &str) -> Vec<(usize, usize)> {
        let set = Charset::with_separator(delimiter);
        let mut found = Vec::new();
        let mut at = 0;
        while let Some((begin, len)) = set.next_bad(text.as_bytes(), at, place) {
            found.push((begin, len));
            at = begin + len;
        }
        found
    }

    #[test]
    fn places_differ_by_pipe_and_delimiter() {
        assert_eq!(bad('^', Place::Header, "a|b^c"), [(1, 1)]);
        assert_eq!(bad('^', Place::Value, "a|b^c"), [(3, 1)]);
    }

    #[test]
    fn line_breaks_beyond_ascii_are_found_whole() {
        let text = "é\u{85}\u{2028}\u{2029}\u{2027}’";
        assert_eq!(bad('\t', Place::Value, text), [(2, 2), (4, 3), (7, 3)]);
    }

    #[test]
    fn a_delimiter_of_two_bytes_is_not_confused_with_its_neighbours() {
        assert_eq!(bad('¦', Place::Value, "¥¦§"), [(2, 2)]);
        assert_eq!(bad('¦', Place::Header, "¥¦§"), []);
    }

    #[test]
    fn blocks_do_not_hide_anything() {
        for at in 0..70 {
            let mut text = "x".repeat(70);
            text.replace_range(at..=at, "\n");
            assert_eq!(bad('\t', Place::Value, &text), [(at, 1)]);
        }
    }

    #[test]
    fn what_is_called_plain_has_nothing_bad_in_it_at_any_length_and_place() {
        for (delimiter, bad_ones) in [
            ('\t', ["\t", "\u{7f}", "\u{85}"]),
            ('^', ["^", "\0", "\u{202e}"]),
        ] {
            let set = Charset::with_separator(delimiter);
            for length in 0..70 {
                let clean = "x".repeat(length);
                assert!(set.is_plain_value(clean.as_bytes()), "{length}");
                for (at, bad) in (0..length).flat_map(|at| bad_ones.map(|bad| (at, bad))) {
                    let mut text = clean.clone();
                    text.replace_range(at..=at, bad);
                    assert!(!set.is_plain_value(text.as_bytes()), "{text:?}");
                }
            }
        }
    }
}
