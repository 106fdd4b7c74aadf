//! Characters that no event may carry in LEEF, or in any other format with one event a line.
//!
//! They end a line for some reader, or make a terminal or an editor show another text than there is: the control
//! characters U+0000 to U+001F and U+007F to U+009F, the line breaks U+2028 and U+2029, and the marks that change the
//! direction of writing (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).

use std::ops::Range;
use wide::u8x16;

/// Whether a character is one of them.
#[must_use]
pub fn is_control(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// The bytes with which one of them can begin.
pub(crate) const fn is_lead(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | 0x7f | 0xc2 | 0xd8 | 0xe2)
}

/// The length of the control character that a text begins with, or 0.
pub(crate) fn length(text: &[u8]) -> usize {
    match text {
        [0..=0x1f | 0x7f, ..] => 1,
        [0xc2, 0x80..=0x9f, ..] | [0xd8, 0x9c, ..] => 2,
        [0xe2, 0x80, 0x8e | 0x8f | 0xa8..=0xae, ..] | [0xe2, 0x81, 0xa6..=0xa9, ..] => 3,
        _ => 0,
    }
}

/// The place of the first one at or after `from`, which is the beginning of a character.
#[must_use]
pub fn find(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        // Most texts are ASCII without any of them.
        while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
            if flags(u8x16::new(*block)).to_bitmask() != 0 {
                break;
            }
            at += 16;
        }
        let rest = bytes.get(at..)?;
        let near = &rest[..rest.len().min(16)];
        match near.iter().position(|byte| is_lead(*byte)) {
            None if near.len() < 16 => return None,
            None => at += 16,
            Some(lead) => match length(&rest[lead..]) {
                0 => at += lead + 1,
                length => return Some(at + lead..at + lead + length),
            },
        }
    }
}

/// Tells of each of sixteen bytes by its highest bit whether a control character can begin with it; that of every byte
/// beyond ASCII is set.
#[inline(always)]
pub(crate) fn flags(block: u8x16) -> u8x16 {
    // One more than DEL has the bit, and one more than 0xff has not, which has it itself.
    block | (block + u8x16::splat(1)) | block.simd_eq(block.min(u8x16::splat(0x1f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_agree() {
        for character in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let text = character.encode_utf8(&mut buffer);
            let expected = if is_control(character) { text.len() } else { 0 };
            assert_eq!(length(text.as_bytes()), expected, "{character:?}");
            assert!(
                expected == 0 || is_lead(text.as_bytes()[0]),
                "{character:?}"
            );
        }
    }

    #[test]
    fn the_first_one_is_found_wherever_it_is() {
        for control in [
            '\0', '\t', '\u{7f}', '\u{9b}', '\u{61c}', '\u{202e}', '\u{2069}',
        ] {
            for filler in ['x', 'é', 'ش', '’', '\u{1F600}'] {
                for before in 0..40 {
                    let filled = filler.to_string().repeat(before);
                    let text = format!("{filled}{control}{filled}\n");
                    let start = filled.len();
                    assert_eq!(find(&text, 0), Some(start..start + control.len_utf8()));
                    let end = start + control.len_utf8();
                    let next = end + filled.len();
                    assert_eq!(find(&text, end), Some(next..next + 1), "{text:?}");
                    assert_eq!(find(&filled, 0), None);
                    assert_eq!(find(&filled, filled.len()), None);
                }
            }
        }
    }
}
