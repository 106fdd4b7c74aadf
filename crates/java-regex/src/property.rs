//! Java's names for sets of characters: `\p{…}` and the predefined classes.

use std::sync::{Arc, OnceLock};

use regex_syntax::hir::{Class, HirKind};

use super::blocks;
use super::charset::{CharSet, shared};

/// What became of a property name.
pub(crate) enum Property {
    Set(CharSet),
    /// Java knows no such property.
    Unknown,
}

/// The characters of a property in `regex_syntax`'s own naming, straight from its tables (Unicode 16).
pub(crate) fn table(name: &str) -> Option<CharSet> {
    let hir = regex_syntax::parse(&format!(r"\p{{{name}}}")).ok()?;
    Some(match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => CharSet::new(
            class
                .ranges()
                .iter()
                .map(|r| (r.start() as u32, r.end() as u32))
                .collect(),
        ),
        HirKind::Class(Class::Bytes(class)) => CharSet::new(
            class
                .ranges()
                .iter()
                .map(|r| (u32::from(r.start()), u32::from(r.end())))
                .collect(),
        ),
        HirKind::Literal(literal) => CharSet::of(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Empty => CharSet::empty(),
        _ => return None,
    })
}

/// The code points that Unicode 13 assigns, which is what JDK 17 holds.
pub(crate) fn assigned() -> CharSet {
    static SET: OnceLock<Arc<CharSet>> = OnceLock::new();
    CharSet::clone(&shared(&SET, || {
        let known = table("Age:13.0").unwrap_or_else(CharSet::empty);
        known
            .minus(&table("Noncharacter_Code_Point").unwrap_or_else(CharSet::empty))
            .union(&surrogates())
    }))
}

fn surrogates() -> CharSet {
    CharSet::range(0xD800, 0xDFFF)
}

/// A property as JDK 17 sees it: without the characters that came later, and without what changed since.
fn known(name: &str) -> CharSet {
    let set = table(name)
        .map(|set| set.intersect(&assigned()))
        .unwrap_or_else(CharSet::empty);
    let change = |ranges: &[(u32, u32)]| CharSet::new(ranges.to_vec());
    match name {
        "gc=Mn" => set.union(&change(&[(0x1734, 0x1734), (0x1171e, 0x1171e)])),
        "gc=Mc" => set.minus(&change(&[(0x1734, 0x1734), (0x1171e, 0x1171e)])),
        "Alphabetic" => set.minus(&change(&[
            (0x363, 0x36f),
            (0xc04, 0xc04),
            (0xf82, 0xf83),
            (0x1dd3, 0x1de6),
            (0x11080, 0x11081),
        ])),
        "Lowercase" => set.minus(&change(&[(0x10fc, 0x10fc), (0xab69, 0xab69)])),
        "Other_ID_Continue" => set.minus(&change(&[(0x30fb, 0x30fb), (0xff65, 0xff65)])),
        "sc=Han" => set.minus(&change(&[(0x16fe2, 0x16fe3)])),
        "sc=Common" => set.union(&change(&[(0x16fe2, 0x16fe3)])),
        _ => set,
    }
}

pub(crate) fn category(name: &str) -> CharSet {
    match name {
        "Cs" => surrogates(),
        "Cn" => assigned().negate(),
        // The rest of `C`: our tables leave the surrogates out.
        "C" => ["Cc", "Cf", "Co", "Cs", "Cn"]
            .map(category)
            .iter()
            .fold(CharSet::empty(), |all, one| all.union(one)),
        _ => known(&format!("gc={name}")),
    }
}

pub(crate) fn categories(names: &[&str]) -> CharSet {
    names
        .iter()
        .fold(CharSet::empty(), |all, name| all.union(&category(name)))
}

const CATEGORIES: &[&str] = &[
    "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Me", "Mc", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc",
    "Cf", "Co", "Cs", "Pd", "Ps", "Pe", "Pc", "Po", "Sm", "Sc", "Sk", "So", "Pi", "Pf", "L", "M",
    "N", "Z", "C", "P", "S",
];

fn ascii(ranges: &[(char, char)]) -> CharSet {
    CharSet::new(
        ranges
            .iter()
            .map(|&(low, high)| (low as u32, high as u32))
            .collect(),
    )
}

fn lower_case() -> CharSet {
    known("Lowercase")
}

fn upper_case() -> CharSet {
    known("Uppercase")
}

fn any_case() -> CharSet {
    lower_case().union(&upper_case()).union(&category("Lt"))
}

fn letters_cased() -> CharSet {
    categories(&["Lu", "Ll", "Lt"])
}

fn letter_or_digit() -> CharSet {
    categories(&["L", "Nd"])
}

fn ignorable() -> CharSet {
    ascii(&[('\0', '\u{8}'), ('\u{e}', '\u{1b}'), ('\u{7f}', '\u{9f}')]).union(&category("Cf"))
}

/// What `\b` takes for a word character on JDK 17 without `(?U)`.
pub(crate) fn boundary_word() -> Arc<CharSet> {
    static SET: OnceLock<Arc<CharSet>> = OnceLock::new();
    shared(&SET, || letter_or_digit().union(&CharSet::one('_' as u32)))
}

/// What may carry a combining mark for `\b`.
pub(crate) fn boundary_base() -> Arc<CharSet> {
    static SET: OnceLock<Arc<CharSet>> = OnceLock::new();
    shared(&SET, letter_or_digit)
}

/// The combining marks that `\b` looks through.
pub(crate) fn nonspacing_mark() -> Arc<CharSet> {
    static SET: OnceLock<Arc<CharSet>> = OnceLock::new();
    shared(&SET, || category("Mn"))
}

/// The set of the escape `\d`, `\w`, `\s`, `\h` or `\v`.
pub(crate) fn escape(letter: char, unicode: bool) -> Arc<CharSet> {
    static DIGIT: OnceLock<Arc<CharSet>> = OnceLock::new();
    static WORD: OnceLock<Arc<CharSet>> = OnceLock::new();
    static SPACE: OnceLock<Arc<CharSet>> = OnceLock::new();
    match (letter, unicode) {
        ('d', true) => shared(&DIGIT, || category("Nd")),
        ('d', false) => Arc::new(ascii(&[('0', '9')])),
        ('w', true) => word(),
        ('w', false) => shared(&WORD, || {
            ascii(&[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')])
        }),
        ('s', true) => shared(&SPACE, || known("White_Space")),
        ('s', false) => Arc::new(ascii(&[('\t', '\r'), (' ', ' ')])),
        ('h', _) => Arc::new(
            CharSet::of("\t \u{a0}\u{1680}\u{180e}\u{202f}\u{205f}\u{3000}")
                .union(&CharSet::range(0x2000, 0x200a)),
        ),
        _ => Arc::new(CharSet::of("\n\u{b}\u{c}\r\u{85}\u{2028}\u{2029}")),
    }
}

/// `\w` under `(?U)`.
pub(crate) fn word() -> Arc<CharSet> {
    static SET: OnceLock<Arc<CharSet>> = OnceLock::new();
    shared(&SET, || {
        known("Alphabetic")
            .union(&categories(&["M", "Nd", "Pc"]))
            .union(&known("Join_Control"))
    })
}

/// The set of `\p{name}`. `insensitive`: the flag `i` is on. `unicode`: the flag `U` is on.
pub(crate) fn lookup(name: &str, insensitive: bool, unicode: bool) -> Property {
    if let Some((key, value)) = name.split_once('=') {
        return match key.to_lowercase().as_str() {
            "sc" | "script" => script(value),
            "blk" | "block" => block(value),
            "gc" | "general_category" => found(general(value, insensitive)),
            _ => Property::Unknown,
        };
    }
    if let Some(name) = name.strip_prefix("In") {
        return block(name);
    }
    if let Some(short) = name.strip_prefix("Is") {
        return match binary(short, insensitive)
            .or_else(|| posix_unicode(short, insensitive))
            .or_else(|| general(short, insensitive))
        {
            Some(set) => Property::Set(set),
            None => script(short),
        };
    }
    let wide = if unicode {
        posix_unicode(name, insensitive)
    } else {
        None
    };
    found(wide.or_else(|| general(name, insensitive)))
}

fn found(set: Option<CharSet>) -> Property {
    set.map_or(Property::Unknown, Property::Set)
}

fn block(name: &str) -> Property {
    // A name that Java kept from an earlier Unicode, for a block that no character is in any more.
    if name.eq_ignore_ascii_case("SURROGATES_AREA") {
        return Property::Set(CharSet::empty());
    }
    found(blocks::named(name).map(|block| CharSet::range(block.0, block.1)))
}

/// Whether Java looks up the property, which is not negated, by single UTF-16 units. `unicode`: the flag `U` is on.
pub(crate) fn is_bmp(name: &str, unicode: bool) -> bool {
    let posix = [
        "Alnum", "Alpha", "Blank", "Cntrl", "Digit", "Graph", "Lower", "Print", "Punct", "Space",
        "Upper", "XDigit",
    ];
    let plain = name.strip_prefix("Is").unwrap_or(name);
    (posix.contains(&name) && !unicode) || matches!(plain, "ASCII" | "L1")
}

fn script(name: &str) -> Property {
    let upper = name.to_ascii_uppercase();
    if upper == "UNKNOWN" || upper == "ZZZZ" {
        return Property::Set(
            assigned()
                .minus(&category("Co"))
                .minus(&surrogates())
                .negate(),
        );
    }
    let listed = |names: &[&str]| names.iter().any(|one| one.eq_ignore_ascii_case(name));
    // `regex_syntax` overlooks blanks, hyphens, underscores and a leading `is`. Java wants the name as it is.
    let joined: String = name.chars().filter(|&c| c != '_').collect();
    let parted = |one: &&str| one.replace('_', "").eq_ignore_ascii_case(&joined);
    let loose = joined.chars().any(|c| !c.is_ascii_alphanumeric())
        || upper.starts_with("IS")
        || (!listed(SCRIPTS_OF_WORDS) && (joined != name || SCRIPTS_OF_WORDS.iter().any(parted)));
    if loose || listed(SCRIPTS_NOT_IN_JAVA) || table(&format!("sc={name}")).is_none() {
        return Property::Unknown;
    }
    Property::Set(match upper.as_str() {
        "HAN" | "HANI" => known("sc=Han"),
        "COMMON" | "ZYYY" => known("sc=Common"),
        _ => known(&format!("sc={name}")),
    })
}

/// The scripts whose names have several words.
const SCRIPTS_OF_WORDS: &[&str] = &[
    "Anatolian_Hieroglyphs",
    "Bassa_Vah",
    "Canadian_Aboriginal",
    "Caucasian_Albanian",
    "Egyptian_Hieroglyphs",
    "Gunjala_Gondi",
    "Hanifi_Rohingya",
    "Imperial_Aramaic",
    "Inscriptional_Pahlavi",
    "Inscriptional_Parthian",
    "Kayah_Li",
    "Khitan_Small_Script",
    "Linear_A",
    "Linear_B",
    "Masaram_Gondi",
    "Meetei_Mayek",
    "Mende_Kikakui",
    "Meroitic_Cursive",
    "Meroitic_Hieroglyphs",
    "New_Tai_Lue",
    "Nyiakeng_Puachue_Hmong",
    "Ol_Chiki",
    "Old_Hungarian",
    "Old_Italic",
    "Old_North_Arabian",
    "Old_Permic",
    "Old_Persian",
    "Old_Sogdian",
    "Old_South_Arabian",
    "Old_Turkic",
    "Pahawh_Hmong",
    "Pau_Cin_Hau",
    "Phags_Pa",
    "Psalter_Pahlavi",
    "Sora_Sompeng",
    "Syloti_Nagri",
    "Tai_Le",
    "Tai_Tham",
    "Tai_Viet",
    "Zanabazar_Square",
];

/// Scripts that came after Unicode 13, and names that `regex_syntax` takes and Java does not.
const SCRIPTS_NOT_IN_JAVA: &[&str] = &[
    "Cypro_Minoan",
    "Cpmn",
    "Old_Uyghur",
    "Ougr",
    "Tangsa",
    "Tnsa",
    "Toto",
    "Vithkuqi",
    "Vith",
    "Kawi",
    "Nag_Mundari",
    "Nagm",
    "Garay",
    "Gara",
    "Gurung_Khema",
    "Gukh",
    "Kirat_Rai",
    "Krai",
    "Ol_Onal",
    "Onao",
    "Sunuwar",
    "Sunu",
    "Todhri",
    "Todr",
    "Tulu_Tigalari",
    "Tutg",
    "Qaai",
    "Qaac",
];

/// The properties of `\p{IsName}`; Java folds the case of the name.
fn binary(name: &str, insensitive: bool) -> Option<CharSet> {
    Some(match name.to_uppercase().as_str() {
        "ALPHABETIC" => known("Alphabetic"),
        "LETTER" => category("L"),
        "IDEOGRAPHIC" => known("Ideographic"),
        "LOWERCASE" | "UPPERCASE" | "TITLECASE" if insensitive => any_case(),
        "LOWERCASE" => lower_case(),
        "UPPERCASE" => upper_case(),
        "TITLECASE" => category("Lt"),
        "WHITE_SPACE" | "WHITESPACE" => known("White_Space"),
        "CONTROL" => category("Cc"),
        "PUNCTUATION" => category("P"),
        "HEX_DIGIT" | "HEXDIGIT" => hex_digit(),
        "ASSIGNED" => assigned(),
        "NONCHARACTER_CODE_POINT" | "NONCHARACTERCODEPOINT" => table("Noncharacter_Code_Point")?,
        "DIGIT" => category("Nd"),
        "ALNUM" => known("Alphabetic").union(&category("Nd")),
        "BLANK" => category("Zs").union(&CharSet::one(9)),
        "GRAPH" => graph(),
        "PRINT" => graph()
            .union(&category("Zs").union(&CharSet::one(9)))
            .minus(&category("Cc")),
        "WORD" => CharSet::clone(&word()),
        "JOIN_CONTROL" | "JOINCONTROL" => known("Join_Control"),
        _ => return None,
    })
}

fn hex_digit() -> CharSet {
    category("Nd").union(&known("Hex_Digit"))
}

fn graph() -> CharSet {
    categories(&["Zs", "Zl", "Zp", "Cc", "Cs", "Cn"]).negate()
}

/// The POSIX names under `(?U)`; Java folds the case of the name.
fn posix_unicode(name: &str, insensitive: bool) -> Option<CharSet> {
    let property = match name.to_uppercase().as_str() {
        "ALPHA" => "ALPHABETIC",
        "LOWER" => "LOWERCASE",
        "UPPER" => "UPPERCASE",
        "SPACE" => "WHITE_SPACE",
        "PUNCT" => "PUNCTUATION",
        "XDIGIT" => "HEX_DIGIT",
        "ALNUM" => "ALNUM",
        "CNTRL" => "CONTROL",
        "DIGIT" => "DIGIT",
        "BLANK" => "BLANK",
        "GRAPH" => "GRAPH",
        "PRINT" => "PRINT",
        _ => return None,
    };
    binary(property, insensitive)
}

/// General categories, POSIX classes and the `java…` methods.
fn general(name: &str, insensitive: bool) -> Option<CharSet> {
    if CATEGORIES.contains(&name) {
        let cased = insensitive && matches!(name, "Lu" | "Ll" | "Lt");
        return Some(if cased {
            letters_cased()
        } else {
            category(name)
        });
    }
    Some(match name {
        "LC" => letters_cased(),
        "LD" | "javaLetterOrDigit" => letter_or_digit(),
        "L1" => CharSet::range(0, 0xFF),
        "all" => CharSet::all(),
        "ASCII" => CharSet::range(0, 0x7F),
        "Alnum" => ascii(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "Alpha" => ascii(&[('A', 'Z'), ('a', 'z')]),
        "Blank" => CharSet::of(" \t"),
        "Cntrl" => ascii(&[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')]),
        "Digit" => ascii(&[('0', '9')]),
        "Graph" => ascii(&[('!', '~')]),
        "Lower" | "Upper" if insensitive => ascii(&[('A', 'Z'), ('a', 'z')]),
        "Lower" => ascii(&[('a', 'z')]),
        "Upper" => ascii(&[('A', 'Z')]),
        "Print" => ascii(&[(' ', '~')]),
        "Punct" => ascii(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "Space" => ascii(&[('\t', '\r'), (' ', ' ')]),
        "XDigit" => ascii(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        "javaLowerCase" | "javaUpperCase" | "javaTitleCase" if insensitive => any_case(),
        "javaLowerCase" => lower_case(),
        "javaUpperCase" => upper_case(),
        "javaTitleCase" => category("Lt"),
        "javaAlphabetic" => known("Alphabetic"),
        "javaIdeographic" => known("Ideographic"),
        "javaDigit" => category("Nd"),
        "javaDefined" => category("Cn").negate(),
        "javaLetter" => category("L"),
        "javaJavaIdentifierStart" => categories(&["L", "Nl", "Sc", "Pc"]),
        "javaJavaIdentifierPart" => {
            categories(&["L", "Nl", "Sc", "Pc", "Nd", "Mc", "Mn"]).union(&ignorable())
        }
        "javaUnicodeIdentifierStart" => categories(&["L", "Nl"]).union(&known("Other_ID_Start")),
        "javaUnicodeIdentifierPart" => categories(&["L", "Nl", "Pc", "Nd", "Mc", "Mn"])
            .union(&known("Other_ID_Start"))
            .union(&known("Other_ID_Continue"))
            .union(&ignorable()),
        "javaIdentifierIgnorable" => ignorable(),
        "javaSpaceChar" => category("Z"),
        "javaWhitespace" => category("Z")
            .minus(&CharSet::of("\u{a0}\u{2007}\u{202f}"))
            .union(&ascii(&[('\t', '\r'), ('\u{1c}', '\u{1f}')])),
        "javaMirrored" => CharSet::new(MIRRORED.to_vec()),
        "javaISOControl" => ascii(&[('\0', '\u{1f}'), ('\u{7f}', '\u{9f}')]),
        _ => return None,
    })
}

/// `Character.isMirrored` of JDK 17.
#[rustfmt::skip]
const MIRRORED: &[(u32, u32)] = &[
    (0x28, 0x29), (0x3c, 0x3c), (0x3e, 0x3e), (0x5b, 0x5b), (0x5d, 0x5d), (0x7b, 0x7b), (0x7d, 0x7d), (0xab, 0xab),
    (0xbb, 0xbb), (0xf3a, 0xf3d), (0x169b, 0x169c), (0x2039, 0x203a), (0x2045, 0x2046), (0x207d, 0x207e),
    (0x208d, 0x208e), (0x2140, 0x2140), (0x2201, 0x2204), (0x2208, 0x220d), (0x2211, 0x2211), (0x2215, 0x2216),
    (0x221a, 0x221d), (0x221f, 0x2222), (0x2224, 0x2224), (0x2226, 0x2226), (0x222b, 0x2233), (0x2239, 0x2239),
    (0x223b, 0x224c), (0x2252, 0x2255), (0x225f, 0x2260), (0x2262, 0x2262), (0x2264, 0x226b), (0x226e, 0x228c),
    (0x228f, 0x2292), (0x2298, 0x2298), (0x22a2, 0x22a3), (0x22a6, 0x22b8), (0x22be, 0x22bf), (0x22c9, 0x22cd),
    (0x22d0, 0x22d1), (0x22d6, 0x22ed), (0x22f0, 0x22ff), (0x2308, 0x230b), (0x2320, 0x2321), (0x2329, 0x232a),
    (0x2768, 0x2775), (0x27c0, 0x27c0), (0x27c3, 0x27c6), (0x27c8, 0x27c9), (0x27cb, 0x27cd), (0x27d3, 0x27d6),
    (0x27dc, 0x27de), (0x27e2, 0x27ef), (0x2983, 0x2998), (0x299b, 0x29a0), (0x29a2, 0x29af), (0x29b8, 0x29b8),
    (0x29c0, 0x29c5), (0x29c9, 0x29c9), (0x29ce, 0x29d2), (0x29d4, 0x29d5), (0x29d8, 0x29dc), (0x29e1, 0x29e1),
    (0x29e3, 0x29e5), (0x29e8, 0x29e9), (0x29f4, 0x29f9), (0x29fc, 0x29fd), (0x2a0a, 0x2a1c), (0x2a1e, 0x2a21),
    (0x2a24, 0x2a24), (0x2a26, 0x2a26), (0x2a29, 0x2a29), (0x2a2b, 0x2a2e), (0x2a34, 0x2a35), (0x2a3c, 0x2a3e),
    (0x2a57, 0x2a58), (0x2a64, 0x2a65), (0x2a6a, 0x2a6d), (0x2a6f, 0x2a70), (0x2a73, 0x2a74), (0x2a79, 0x2aa3),
    (0x2aa6, 0x2aad), (0x2aaf, 0x2ad6), (0x2adc, 0x2adc), (0x2ade, 0x2ade), (0x2ae2, 0x2ae6), (0x2aec, 0x2aee),
    (0x2af3, 0x2af3), (0x2af7, 0x2afb), (0x2afd, 0x2afd), (0x2bfe, 0x2bfe), (0x2e02, 0x2e05), (0x2e09, 0x2e0a),
    (0x2e0c, 0x2e0d), (0x2e1c, 0x2e1d), (0x2e20, 0x2e29), (0x3008, 0x3011), (0x3014, 0x301b), (0xfe59, 0xfe5e),
    (0xfe64, 0xfe65), (0xff08, 0xff09), (0xff1c, 0xff1c), (0xff1e, 0xff1e), (0xff3b, 0xff3b), (0xff3d, 0xff3d),
    (0xff5b, 0xff5b), (0xff5d, 0xff5d), (0xff5f, 0xff60), (0xff62, 0xff63), (0x1d6db, 0x1d6db), (0x1d715, 0x1d715),
    (0x1d74f, 0x1d74f), (0x1d789, 0x1d789), (0x1d7c3, 0x1d7c3),
];

#[cfg(test)]
mod tests {
    use crate::syntax::Node;
    use crate::{Flags, parser};

    /// What `sum = 31 * sum + c` does over `n` code points from `low` on: `sum * .0 + low * .1 + .2`.
    fn horner(n: u32) -> (u32, u32, u32) {
        if n == 0 {
            return (1, 0, 0);
        }
        let (times, lows, rest) = horner(n / 2);
        let twice = (
            times.wrapping_mul(times),
            times.wrapping_mul(lows).wrapping_add(lows),
            times
                .wrapping_mul(rest)
                .wrapping_add(lows.wrapping_mul(n / 2))
                .wrapping_add(rest),
        );
        if n.is_multiple_of(2) {
            return twice;
        }
        let (times, lows, rest) = twice;
        (
            times.wrapping_mul(31),
            lows.wrapping_mul(31).wrapping_add(1),
            rest.wrapping_mul(31).wrapping_add(n - 1),
        )
    }

    /// The sets of all properties, of folded letters and of folded ranges, as JDK 17 has them. A line of the file holds a
    /// pattern for one character, flags, and a checksum over all code points that `RegexOracle sets` has tried.
    #[test]
    fn the_sets_are_those_of_the_jdk() {
        for line in include_str!("../tests/java/regex-sets.tsv").lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let has = |letter| fields[1].contains(letter);
            let flags = Flags {
                case_insensitive: has('i'),
                unicode_case: has('u'),
                unicode_character_class: has('U'),
                ..Flags::default()
            };
            let ours = match parser::parse(fields[0], flags) {
                Err(_) => "error".to_owned(),
                Ok(tree) => {
                    let Node::Set(set) = &tree.root else {
                        panic!("{line}: not a set")
                    };
                    let set = set.minus(&super::surrogates());
                    let sum = set.ranges().iter().fold(0u32, |sum, &(low, high)| {
                        let (times, lows, rest) = horner(high - low + 1);
                        let added = lows.wrapping_mul(low).wrapping_add(rest);
                        sum.wrapping_mul(times).wrapping_add(added)
                    });
                    format!("{sum:08x}")
                }
            };
            assert_eq!(ours, fields[2], "{line}");
        }
    }
}
