//! Grapheme clusters as JDK 17 finds them for `\X` and `\b{g}`: by Unicode 13, with a few deviations of its own.

use std::sync::{Arc, OnceLock};

use super::charset::{CharSet, shared};
use super::place::{code_at, width};
use super::property;

/// What a code point is to its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Other,
    Cr,
    Lf,
    Control,
    Extend,
    Joiner,
    Regional,
    Prepend,
    SpacingMark,
    /// Hangul: a leading consonant, a vowel, a trailing consonant, and syllables of two and of three of them.
    L,
    V,
    T,
    Lv,
    Lvt,
    Pictograph,
}

/// The sets of which JDK 17 asks the general category.
struct Sets {
    control: CharSet,
    extend: CharSet,
    spacing: CharSet,
    pictograph: CharSet,
}

fn sets() -> &'static Sets {
    static SETS: OnceLock<Sets> = OnceLock::new();
    SETS.get_or_init(|| Sets {
        control: property::categories(&["Cn", "Cc", "Zl", "Zp", "Cs", "Cf"]),
        extend: property::categories(&["Mn", "Me"]),
        spacing: property::category("Mc"),
        pictograph: CharSet::clone(&pictographs()),
    })
}

fn pictographs() -> Arc<CharSet> {
    static SET: OnceLock<Arc<CharSet>> = OnceLock::new();
    shared(&SET, || {
        // Code points that are not assigned yet are among them. U+00A9 and U+00AE are the only ones below U+203C.
        property::table("Extended_Pictographic").unwrap_or_else(CharSet::empty)
    })
}

fn kind(c: u32) -> Kind {
    if c < 0x7F {
        return match c {
            13 => Kind::Cr,
            10 => Kind::Lf,
            0..32 => Kind::Control,
            _ => Kind::Other,
        };
    }
    let sets = sets();
    if sets.pictograph.contains(c) {
        return Kind::Pictograph;
    }
    if stands_alone(c) {
        return Kind::Other;
    }
    match c {
        0x200C | 0xE0020..=0xE007F | 0xFF9E | 0xFF9F | 0x1F3FB..=0x1F3FF => return Kind::Extend,
        0x200D => return Kind::Joiner,
        0x600..=0x605
        | 0x6DD
        | 0x70F
        | 0x8E2
        | 0xD4E
        | 0x110BD
        | 0x110CD
        | 0x111C2
        | 0x111C3
        | 0x1193F
        | 0x11941
        | 0x11A3A
        | 0x11A84..=0x11A89
        | 0x11D46 => return Kind::Prepend,
        0xE33 | 0xEB3 => return Kind::SpacingMark,
        0x1F1E6..=0x1F1FF => return Kind::Regional,
        0x1100..=0x115F | 0xA960..=0xA97C => return Kind::L,
        0x1160..=0x11A7 | 0xD7B0..=0xD7C6 => return Kind::V,
        0x11A8..=0x11FF | 0xD7CB..=0xD7FB => return Kind::T,
        0xAC00..=0xD7A3 if (c - 0xAC00).is_multiple_of(28) => return Kind::Lv,
        0xAC00..=0xD7A3 => return Kind::Lvt,
        _ => {}
    }
    if sets.control.contains(c) {
        Kind::Control
    } else if sets.extend.contains(c) {
        Kind::Extend
    } else if sets.spacing.contains(c) {
        Kind::SpacingMark
    } else {
        Kind::Other
    }
}

/// Marks that do not belong to what comes before them, and a code point that is not assigned and yet no control.
fn stands_alone(c: u32) -> bool {
    matches!(
        c,
        0x378
            | 0x102B
            | 0x102C
            | 0x1038
            | 0x1062..=0x1064
            | 0x1067..=0x106D
            | 0x1083
            | 0x1087..=0x108C
            | 0x108F
            | 0x109A..=0x109C
            | 0x1A61
            | 0x1A63
            | 0x1A64
            | 0xAA7B
            | 0xAA7D
    )
}

/// Whether two neighbours are of one cluster whatever comes before them.
fn are_together(left: Kind, right: Kind) -> bool {
    use Kind::{Control, Cr, Extend, Joiner, L, Lf, Lv, Lvt, Prepend, SpacingMark, T, V};
    match (left, right) {
        (Cr, Lf) => true,
        (Cr | Lf | Control, _) | (_, Cr | Lf | Control) => false,
        (Prepend, _)
        | (_, Extend | Joiner | SpacingMark)
        | (L, L | V | Lv | Lvt)
        | (V | Lv, V | T)
        | (T | Lvt, T) => true,
        _ => false,
    }
}

/// Where the cluster that starts at a position ends; nothing at the end of the text.
pub(crate) fn next_boundary(text: &str, pos: usize) -> Option<usize> {
    let first = code_at(text, pos)?;
    let mut at = pos + width(first);
    let mut left = kind(first);
    let mut regionals = u32::from(left == Kind::Regional);
    let after_pictograph = left == Kind::Pictograph;
    while let Some(c) = code_at(text, at) {
        let right = kind(c);
        let joined = after_pictograph && left == Kind::Joiner && right == Kind::Pictograph;
        let flag = regionals % 2 == 1 && left == Kind::Regional && right == Kind::Regional;
        if !joined && !flag && !are_together(left, right) {
            break;
        }
        regionals += u32::from(right == Kind::Regional);
        left = right;
        at += width(c);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_those_of_the_jdk() {
        let hash = (0..=0x10_FFFFu32).fold(0u32, |hash, c| {
            hash.wrapping_mul(31).wrapping_add(kind(c) as u32)
        });
        // `java.util.regex.Grapheme.getType` of JDK 17 over all code points.
        assert_eq!(hash, 0xEE19_F8DD);
    }
}
