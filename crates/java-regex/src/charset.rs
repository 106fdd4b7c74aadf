//! Sets of code points, and Java's rules for upper and lower case.

use std::sync::{Arc, OnceLock};

/// The highest code point.
pub(crate) const MAX: u32 = 0x10_FFFF;

/// A set of code points: sorted ranges that neither touch nor overlap, and a bitmap for the ASCII part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CharSet {
    ranges: Vec<(u32, u32)>,
    ascii: [u64; 2],
}

impl CharSet {
    /// The set of the given ranges, in any order.
    pub(crate) fn new(mut ranges: Vec<(u32, u32)>) -> CharSet {
        super::work::make(1 + ranges.len());
        ranges.retain(|(low, high)| low <= high);
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match joined.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => joined.push((low, high)),
            }
        }
        let mut ascii = [0u64; 2];
        for &(low, high) in &joined {
            for c in low..=high.min(127) {
                ascii[(c >> 6) as usize] |= 1 << (c & 63);
            }
        }
        CharSet {
            ranges: joined,
            ascii,
        }
    }

    pub(crate) fn empty() -> CharSet {
        CharSet::new(Vec::new())
    }

    pub(crate) fn all() -> CharSet {
        CharSet::range(0, MAX)
    }

    pub(crate) fn one(c: u32) -> CharSet {
        CharSet::range(c, c)
    }

    pub(crate) fn range(low: u32, high: u32) -> CharSet {
        CharSet::new(vec![(low, high)])
    }

    /// The set of the characters of `chars`.
    pub(crate) fn of(chars: &str) -> CharSet {
        CharSet::new(chars.chars().map(|c| (c as u32, c as u32)).collect())
    }

    pub(crate) fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    #[inline]
    pub(crate) fn contains_ascii(&self, byte: u8) -> bool {
        self.ascii[usize::from(byte >> 6) & 1] >> (byte & 63) & 1 == 1
    }

    #[inline]
    pub(crate) fn contains(&self, c: u32) -> bool {
        if c < 128 {
            return self.contains_ascii(c as u8);
        }
        let after = self.ranges.partition_point(|&(low, _)| low <= c);
        after > 0 && self.ranges[after - 1].1 >= c
    }

    /// The only member, if there is only one.
    pub(crate) fn single(&self) -> Option<u32> {
        match self.ranges[..] {
            [(low, high)] if low == high => Some(low),
            _ => None,
        }
    }

    pub(crate) fn negate(&self) -> CharSet {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;
        for &(low, high) in &self.ranges {
            if low > next {
                ranges.push((next, low - 1));
            }
            next = high + 1;
        }
        if next <= MAX {
            ranges.push((next, MAX));
        }
        CharSet::new(ranges)
    }

    pub(crate) fn union(&self, other: &CharSet) -> CharSet {
        CharSet::new(self.ranges.iter().chain(&other.ranges).copied().collect())
    }

    pub(crate) fn intersect(&self, other: &CharSet) -> CharSet {
        let (mut ranges, mut a, mut b) = (Vec::new(), 0, 0);
        while let (Some(&left), Some(&right)) = (self.ranges.get(a), other.ranges.get(b)) {
            ranges.push((left.0.max(right.0), left.1.min(right.1)));
            if left.1 < right.1 { a += 1 } else { b += 1 }
        }
        CharSet::new(ranges)
    }

    pub(crate) fn minus(&self, other: &CharSet) -> CharSet {
        self.intersect(&other.negate())
    }
}

/// How letters of different case compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fold {
    /// `A` and `a` differ.
    Exact,
    /// Java's `CASE_INSENSITIVE`: only ASCII letters fold.
    Ascii,
    /// Java's `CASE_INSENSITIVE | UNICODE_CASE`.
    Unicode,
}

fn ascii_other_case(c: u32) -> u32 {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii_alphabetic() => u32::from(byte ^ 0x20),
        _ => c,
    }
}

/// `Character.toUpperCase`: the simple mapping, one code point to one.
pub(crate) fn to_upper(c: u32) -> u32 {
    if c < 128 {
        return u32::from((c as u8).to_ascii_uppercase());
    }
    // The simple mappings of the Greek letters with iota subscript are not the full ones that `char` knows.
    match c {
        0x1F80..=0x1F87 | 0x1F90..=0x1F97 | 0x1FA0..=0x1FA7 => return c + 8,
        0x1FB3 | 0x1FC3 | 0x1FF3 => return c + 9,
        _ => {}
    }
    if !in_java_unicode(c) {
        return c;
    }
    simple(c, char::from_u32(c).map(char::to_uppercase))
}

/// `Character.toLowerCase`: the simple mapping, one code point to one.
pub(crate) fn to_lower(c: u32) -> u32 {
    if c < 128 {
        return u32::from((c as u8).to_ascii_lowercase());
    }
    if c == 0x130 {
        return 0x69;
    }
    if !in_java_unicode(c) {
        return c;
    }
    simple(c, char::from_u32(c).map(char::to_lowercase))
}

fn simple(c: u32, mapped: Option<impl Iterator<Item = char>>) -> u32 {
    let Some(mut mapped) = mapped else { return c };
    match (mapped.next(), mapped.next()) {
        (Some(one), None) if in_java_unicode(one as u32) => one as u32,
        _ => c,
    }
}

/// Whether JDK 17 knows the code point: it holds Unicode 13, our tables are newer.
fn in_java_unicode(c: u32) -> bool {
    static ASSIGNED: OnceLock<CharSet> = OnceLock::new();
    ASSIGNED.get_or_init(super::property::assigned).contains(c)
}

/// What Java compares when it ignores case by Unicode's rules.
pub(crate) fn fold(c: u32) -> u32 {
    to_lower(to_upper(c))
}

/// The code points whose upper case or lower case is another one.
struct Cased {
    /// Each with its upper case, in the order of the upper cases.
    by_upper: Vec<(u32, u32)>,
    /// Each with what it folds to, in the order of that.
    by_fold: Vec<(u32, u32)>,
}

fn cased() -> &'static Cased {
    static CASED: OnceLock<Cased> = OnceLock::new();
    CASED.get_or_init(|| {
        let cased = (0..=0x1_FFFF).filter(|&c| to_upper(c) != c || fold(c) != c);
        let cased: Vec<u32> = cased.collect();
        let sorted = |key: fn(u32) -> u32| {
            let mut pairs: Vec<(u32, u32)> = cased.iter().map(|&c| (key(c), c)).collect();
            pairs.sort_unstable();
            pairs
        };
        Cased {
            by_upper: sorted(to_upper),
            by_fold: sorted(fold),
        }
    })
}

/// The members of a sorted list whose key is in a range.
fn with_keys(pairs: &[(u32, u32)], low: u32, high: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
    let start = pairs.partition_point(|&(key, _)| key < low);
    let pairs = pairs[start..]
        .iter()
        .take_while(move |&&(key, _)| key <= high);
    pairs.map(|&(_, c)| (c, c))
}

/// What the literal `c` matches.
pub(crate) fn literal(c: u32, how: Fold) -> CharSet {
    match how {
        Fold::Exact => CharSet::one(c),
        Fold::Ascii => CharSet::new(vec![(c, c), (ascii_other_case(c), ascii_other_case(c))]),
        Fold::Unicode => {
            let upper = to_upper(c);
            let lower = to_lower(upper);
            if upper == lower {
                return CharSet::one(c);
            }
            let others = with_keys(&cased().by_fold, lower, lower);
            CharSet::new(others.chain([(lower, lower)]).collect())
        }
    }
}

/// What the literal `c` matches inside a character class, where Java keeps the code points below 256 in a bitmap: there
/// only `c` itself and its two cases count.
pub(crate) fn class_literal(c: u32, how: Fold) -> CharSet {
    if how == Fold::Unicode && (128..256).contains(&c) && !matches!(c, 0xff | 0xb5 | 0xc5 | 0xe5) {
        let (upper, lower) = (to_upper(c), to_lower(c));
        return CharSet::new(vec![(c, c), (upper, upper), (lower, lower)]);
    }
    literal(c, how)
}

/// What the range `low-high` of a character class matches.
pub(crate) fn class_range(low: u32, high: u32, how: Fold) -> CharSet {
    let inside = |c: u32| (low..=high).contains(&c);
    let plain = (low, high);
    match how {
        Fold::Exact => CharSet::new(vec![plain]),
        Fold::Ascii => CharSet::new(
            (0..128)
                .filter(|&c| inside(ascii_other_case(c)))
                .map(|c| (c, c))
                .chain([plain])
                .collect(),
        ),
        Fold::Unicode => {
            let Cased { by_upper, by_fold } = cased();
            let others = with_keys(by_upper, low, high).chain(with_keys(by_fold, low, high));
            CharSet::new(others.chain([plain]).collect())
        }
    }
}

/// A union that grows by many sets. It is put in order from time to time, so that its memory is in proportion to what the
/// union holds, and the time to what was added.
#[derive(Debug, Default)]
pub(crate) struct Union {
    ranges: Vec<(u32, u32)>,
    /// How many ranges are in order.
    ordered: usize,
}

impl Union {
    pub(crate) fn add(&mut self, set: &CharSet) {
        self.ranges.extend_from_slice(set.ranges());
        if self.ranges.len() > 2 * self.ordered + 4096 {
            self.ranges = CharSet::new(std::mem::take(&mut self.ranges)).ranges;
            self.ordered = self.ranges.len();
        }
    }

    pub(crate) fn finish(self) -> CharSet {
        CharSet::new(self.ranges)
    }
}

/// The sets that every pattern may need, built once.
pub(crate) fn shared(
    set: &'static OnceLock<Arc<CharSet>>,
    build: impl FnOnce() -> CharSet,
) -> Arc<CharSet> {
    Arc::clone(set.get_or_init(|| Arc::new(build())))
}
