//! The names of characters for `\N{…}`, as `Character.codePointOf` of JDK 17 takes them.

use super::{blocks, property};

/// The longest name has 83 characters.
const LONGEST: usize = 128;

/// The code point of a name; case and blanks around it do not matter.
pub(crate) fn code_point(name: &str) -> Option<u32> {
    let name = name.trim_matches(|c: char| c <= ' ');
    if name.len() > LONGEST || !name.is_ascii() {
        return None;
    }
    let name = name.to_ascii_uppercase();
    if let Some(&(c, _)) = CONTROLS.iter().find(|(_, control)| *control == name) {
        return Some(c);
    }
    unnamed(&name).or_else(|| {
        let c = unicode_names2::character(&name)?;
        // The search overlooks hyphens and knows aliases; Java wants the name itself.
        let is_exact = unicode_names2::name(c)?.to_string() == name;
        let is_known = property::assigned().contains(u32::from(c)) && has_name(u32::from(c));
        (is_exact && is_known).then_some(u32::from(c))
    })
}

/// A character that has no name but the one that Java makes of its block and its code point, as in
/// `CJK UNIFIED IDEOGRAPHS 4E00`.
fn unnamed(name: &str) -> Option<u32> {
    let (title, digits) = name.rsplit_once(' ')?;
    let c = u32::from_str_radix(digits, 16).ok()?;
    let is_written = format!("{c:X}") == digits;
    let block = blocks::of(c).filter(|block| block.title() == title);
    let is_unnamed = property::assigned().contains(c) && !has_name(c);
    (is_written && is_unnamed && block.is_some()).then_some(c)
}

/// Whether a character has a name of its own. The ideographs and syllables that Unicode names by a rule have none in Java.
fn has_name(c: u32) -> bool {
    let is_unnamed = matches!(
        c,
        0x84 | 0x3400..=0x4DBF
            | 0x4E00..=0x9FFF
            // Syllables, halves of pairs, private use.
            | 0xAC00..=0xD7A3
            | 0xD800..0xF900
            | 0x1_7000..=0x1_87F7
            | 0x1_8D00..=0x1_8D08
            | 0x2_0000..=0x2_A6DF
            | 0x2_A700..=0x2_EBE0
            | 0x3_0000..=0x3_134A
    );
    !is_unnamed && c < 0xF_0000
}

/// Control characters have no name in Unicode; Java has these.
#[rustfmt::skip]
const CONTROLS: &[(u32, &str)] = &[
    (0x00, "NULL"),
    (0x01, "START OF HEADING"),
    (0x02, "START OF TEXT"),
    (0x03, "END OF TEXT"),
    (0x04, "END OF TRANSMISSION"),
    (0x05, "ENQUIRY"),
    (0x06, "ACKNOWLEDGE"),
    (0x07, "BEL"),
    (0x08, "BACKSPACE"),
    (0x09, "CHARACTER TABULATION"),
    (0x0A, "LINE FEED (LF)"),
    (0x0B, "LINE TABULATION"),
    (0x0C, "FORM FEED (FF)"),
    (0x0D, "CARRIAGE RETURN (CR)"),
    (0x0E, "SHIFT OUT"),
    (0x0F, "SHIFT IN"),
    (0x10, "DATA LINK ESCAPE"),
    (0x11, "DEVICE CONTROL ONE"),
    (0x12, "DEVICE CONTROL TWO"),
    (0x13, "DEVICE CONTROL THREE"),
    (0x14, "DEVICE CONTROL FOUR"),
    (0x15, "NEGATIVE ACKNOWLEDGE"),
    (0x16, "SYNCHRONOUS IDLE"),
    (0x17, "END OF TRANSMISSION BLOCK"),
    (0x18, "CANCEL"),
    (0x19, "END OF MEDIUM"),
    (0x1A, "SUBSTITUTE"),
    (0x1B, "ESCAPE"),
    (0x1C, "INFORMATION SEPARATOR FOUR"),
    (0x1D, "INFORMATION SEPARATOR THREE"),
    (0x1E, "INFORMATION SEPARATOR TWO"),
    (0x1F, "INFORMATION SEPARATOR ONE"),
    (0x7F, "DELETE"),
    (0x80, "PADDING CHARACTER"),
    (0x81, "HIGH OCTET PRESET"),
    (0x82, "BREAK PERMITTED HERE"),
    (0x83, "NO BREAK HERE"),
    (0x85, "NEXT LINE (NEL)"),
    (0x86, "START OF SELECTED AREA"),
    (0x87, "END OF SELECTED AREA"),
    (0x88, "CHARACTER TABULATION SET"),
    (0x89, "CHARACTER TABULATION WITH JUSTIFICATION"),
    (0x8A, "LINE TABULATION SET"),
    (0x8B, "PARTIAL LINE FORWARD"),
    (0x8C, "PARTIAL LINE BACKWARD"),
    (0x8D, "REVERSE LINE FEED"),
    (0x8E, "SINGLE SHIFT TWO"),
    (0x8F, "SINGLE SHIFT THREE"),
    (0x90, "DEVICE CONTROL STRING"),
    (0x91, "PRIVATE USE ONE"),
    (0x92, "PRIVATE USE TWO"),
    (0x93, "SET TRANSMIT STATE"),
    (0x94, "CANCEL CHARACTER"),
    (0x95, "MESSAGE WAITING"),
    (0x96, "START OF GUARDED AREA"),
    (0x97, "END OF GUARDED AREA"),
    (0x98, "START OF STRING"),
    (0x99, "SINGLE GRAPHIC CHARACTER INTRODUCER"),
    (0x9A, "SINGLE CHARACTER INTRODUCER"),
    (0x9B, "CONTROL SEQUENCE INTRODUCER"),
    (0x9C, "STRING TERMINATOR"),
    (0x9D, "OPERATING SYSTEM COMMAND"),
    (0x9E, "PRIVACY MESSAGE"),
    (0x9F, "APPLICATION PROGRAM COMMAND"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_java() {
        for (name, c) in [
            ("latin small letter a", Some(0x61)),
            (" LATIN SMALL LETTER A ", Some(0x61)),
            ("LATIN_SMALL_LETTER_A", None),
            ("LATIN  SMALL LETTER A", None),
            ("CJK UNIFIED IDEOGRAPH-4E00", None),
            ("CJK UNIFIED IDEOGRAPHS 4E00", Some(0x4E00)),
            ("CJK UNIFIED IDEOGRAPHS EXTENSION A 3400", Some(0x3400)),
            ("CJK COMPATIBILITY IDEOGRAPH-F900", Some(0xF900)),
            ("BASIC LATIN 41", None),
            ("HANGUL SYLLABLES AC00", Some(0xAC00)),
            ("HANGUL SYLLABLE GA", None),
            ("BEL", Some(7)),
            ("BELL", Some(0x1F514)),
            ("LINE FEED", None),
            ("LINE FEED (LF)", Some(10)),
            ("LATIN 1 SUPPLEMENT 84", Some(0x84)),
            ("LATIN 1 SUPPLEMENT 80", None),
            ("HIGH SURROGATES D800", Some(0xD800)),
            ("PRIVATE USE AREA E000", Some(0xE000)),
            ("PRIVATE USE AREA e000", Some(0xE000)),
            ("TANGUT 17000", Some(0x17000)),
            ("KHITAN SMALL SCRIPT CHARACTER-18B00", Some(0x18B00)),
            ("GREEK 378", None),
            ("TIBETAN LETTER -A", Some(0xF60)),
            ("TIBETAN LETTER A", Some(0xF68)),
            ("HANGUL JUNGSEONG O-E", Some(0x1180)),
            ("GRINNING FACE", Some(0x1F600)),
            // From Unicode 14 on.
            ("MELTING FACE", None),
            ("NO SUCH NAME", None),
            ("", None),
        ] {
            assert_eq!(code_point(name), c, "{name}");
        }
    }

    /// By `Character.codePointOf(Character.getName(c))` of JDK 17: `sum = 31 * sum + c` over all that it names so.
    #[test]
    fn every_name_of_the_jdk_is_known_and_no_other() {
        let mut sum = 0u32;
        for c in 0..=0x10_FFFFu32 {
            let control = CONTROLS.iter().find(|(control, _)| *control == c);
            let name = match control {
                Some((_, name)) => Some((*name).to_owned()),
                None if !has_name(c) => {
                    blocks::of(c).map(|block| format!("{} {c:X}", block.title()))
                }
                None => char::from_u32(c)
                    .and_then(unicode_names2::name)
                    .map(|name| name.to_string()),
            };
            if let Some(name) = name
                && let Some(found) = code_point(&name)
            {
                assert_eq!(found, c, "{name}");
                sum = sum.wrapping_mul(31).wrapping_add(c);
            }
        }
        assert_eq!(sum, SUM);
    }

    const SUM: u32 = 0x9D4A_5F5D;
}
