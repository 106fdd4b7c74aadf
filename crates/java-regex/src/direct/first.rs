//! What a text can go on with.

use crate::charset::CharSet;

/// The bytes that a part of a pattern can begin with, and whether it can stand at the end of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    bytes: [u64; 4],
    pub(super) end: bool,
}

impl First {
    pub(crate) const ANYTHING: First = First {
        bytes: [u64::MAX; 4],
        end: true,
    };
    pub(crate) const NOTHING: First = First {
        bytes: [0; 4],
        end: false,
    };
    /// The end of the text.
    pub(super) const END: First = First {
        bytes: [0; 4],
        end: true,
    };

    #[inline]
    pub(super) fn admits(&self, next: Option<u8>) -> bool {
        match next {
            Some(byte) => self.has(byte),
            None => self.end,
        }
    }

    #[inline]
    pub(super) fn has(&self, byte: u8) -> bool {
        self.bytes[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn add(&mut self, byte: u8) {
        self.bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn or(mut self, other: First) -> First {
        for (mine, theirs) in self.bytes.iter_mut().zip(other.bytes) {
            *mine |= theirs;
        }
        self.end |= other.end;
        self
    }

    pub(super) fn and(mut self, other: First) -> First {
        for (mine, theirs) in self.bytes.iter_mut().zip(other.bytes) {
            *mine &= theirs;
        }
        self.end &= other.end;
        self
    }

    pub(super) fn byte(byte: u8) -> First {
        let mut first = First::NOTHING;
        first.add(byte);
        first
    }

    pub(super) fn of(set: &CharSet) -> First {
        let mut first = First::NOTHING;
        for &(low, high) in set.ranges() {
            (first_byte(low)..=first_byte(high))
                .filter(|byte| !is_inside(*byte))
                .for_each(|byte| first.add(byte));
        }
        first
    }
}

/// As for `.`: both line breaks of ASCII, and the first bytes of the others.
const MAX_STOPS: usize = 4;

/// What the first byte of a character says about its membership in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    Out,
    In,
    /// Some characters that begin like this are members and some are not.
    Ask,
}

/// By first byte. Bytes inside a character count as members: a run comes to them only behind the first byte of a member.
pub(super) fn leads(set: &CharSet) -> [Lead; 256] {
    let mut leads = [Lead::Out; 256];
    for &(low, high) in set.ranges() {
        for byte in first_byte(low)..=first_byte(high) {
            leads[usize::from(byte)] = Lead::Ask;
        }
        for byte in first_byte(low)..=first_byte(high) {
            let (least, most) = characters(byte);
            if low <= least && most <= high {
                leads[usize::from(byte)] = Lead::In;
            }
        }
    }
    leads[0x80..0xC0].fill(Lead::In);
    leads
}

/// The bytes at which a run can end, if they are so few that searching for them is quicker than looking at each byte.
pub(super) fn stops(leads: &[Lead; 256]) -> Box<[u8]> {
    // No text holds the other bytes.
    let bytes = (0..=0xF4u8).filter(|byte| !matches!(byte, 0xC0 | 0xC1));
    let stops: Vec<u8> = bytes
        .filter(|&byte| leads[usize::from(byte)] != Lead::In)
        .collect();
    if stops.len() <= MAX_STOPS {
        stops.into()
    } else {
        Box::default()
    }
}

/// Whether a byte is one of a character but not its first.
pub(super) fn is_inside(byte: u8) -> bool {
    (0x80..0xC0).contains(&byte)
}

/// The first byte of the UTF-8 form.
fn first_byte(c: u32) -> u8 {
    match c {
        0..0x80 => c as u8,
        0x80..0x800 => 0xC0 | (c >> 6) as u8,
        0x800..0x1_0000 => 0xE0 | (c >> 12) as u8,
        _ => 0xF0 | (c >> 18) as u8,
    }
}

/// The least and the greatest character that begin with a byte.
fn characters(byte: u8) -> (u32, u32) {
    let b = u32::from(byte);
    match byte {
        0..0x80 => (b, b),
        0x80..0xC2 => (0x80, 0x10_FFFF),
        0xC2..0xE0 => ((b & 0x1F) << 6, (b & 0x1F) << 6 | 0x3F),
        0xE0..0xF0 => (((b & 0xF) << 12).max(0x800), (b & 0xF) << 12 | 0xFFF),
        _ => (
            ((b & 7) << 18).max(0x1_0000),
            ((b & 7) << 18 | 0x3_FFFF).min(0x10_FFFF),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_of_every_character_tells_what_it_may() {
        let sets = [
            CharSet::range(0x41, 0x3FF),
            CharSet::of("\n\r\u{85}\u{2028}\u{2029}").negate(),
            CharSet::range(0x7FF, 0x1_0000),
            CharSet::of("é\u{1F600}z"),
            CharSet::all(),
            CharSet::empty(),
        ];
        for set in sets {
            let (first, leads) = (First::of(&set), leads(&set));
            assert!(!(0x80..0xC0).any(|byte| first.has(byte)));
            for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
                let byte = c.encode_utf8(&mut [0; 4]).as_bytes()[0];
                let is_member = set.contains(u32::from(c));
                assert!(first.has(byte) || !is_member, "{c:?}");
                match leads[usize::from(byte)] {
                    Lead::In => assert!(is_member, "{c:?}"),
                    Lead::Out => assert!(!is_member, "{c:?}"),
                    Lead::Ask => {}
                }
            }
        }
    }
}
