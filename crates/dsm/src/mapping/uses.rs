//! Which matchers of a group are worth trying on a payload.
//!
//! A mapping for many shapes has hundreds of matchers, most of which read JSON values that a given payload does not have,
//! or run patterns for other texts. Instead of asking each matcher, the values and texts that are there name their
//! matchers.

use super::{Candidates, Direct, Target};
use crate::extract::json::{Found, SlotIx};
use crate::field::Kind;
use java_regex::RegexSet;

/// More matchers of one property than a mask has bits are all tried.
pub(super) const MASK_BITS: usize = u64::BITS as usize;

/// By what the matchers of a group need, the matchers.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// By the slot of a JSON value.
    json: Index,
    /// By a regular expression over the payload.
    regexes: Index,
    /// For each property the matchers that need neither.
    always: Vec<u64>,
}

impl Uses {
    /// For some properties, such as those of a group. Of the regular expressions only those that may be ruled out count.
    pub(crate) fn new<'c>(
        targets: impl IntoIterator<Item = &'c Candidates>,
        regexes: &RegexSet,
    ) -> Self {
        let (mut json, mut patterns) = (Vec::new(), Vec::new());
        let mut always = Vec::new();
        for (place, candidates) in targets.into_iter().enumerate() {
            always.push(0);
            if candidates.matchers.len() > MASK_BITS {
                always[place] = u64::MAX;
                continue;
            }
            for (index, matcher) in candidates.matchers.iter().enumerate() {
                let expects = matcher.expects;
                let expects = expects.filter(|pattern| regexes.needs_literal(*pattern));
                match (matcher.requires, expects) {
                    (Some(slot), _) => json.push((slot, place, 1 << index)),
                    (None, Some(pattern)) => patterns.push((pattern, place, 1 << index)),
                    (None, None) => always[place] |= 1 << index,
                }
            }
        }
        Self {
            json: Index::new(json),
            regexes: Index::new(patterns),
            always,
        }
    }

    /// The properties that may have a value, each with the mask of the matchers that may yield it; no other can. `awake`
    /// are the regular expressions that may match, of those that may be ruled out. Payloads with the same values and
    /// regular expressions have the same properties, so that these are kept.
    #[inline]
    pub(crate) fn live<'k, 'c>(
        &self,
        found: &Found,
        awake: &[usize],
        known: &'k mut Known,
        candidates: impl Fn(usize) -> &'c Candidates,
    ) -> &'k [Live] {
        let filled = found.filled();
        let kept = &mut known.kept[Known::place(filled, awake)];
        if !kept.is_made || kept.filled != filled || kept.awake != awake {
            self.wake(kept, &mut known.masks, filled, awake);
            let masks = known.masks.iter().enumerate();
            let live = masks.filter(|(_, mask)| **mask != 0);
            kept.live.clear();
            kept.live
                .extend(live.map(|(place, &mask)| Live::new(place, mask, candidates(place))));
        }
        &kept.live
    }

    #[cold]
    fn wake(&self, kept: &mut Kept, masks: &mut Vec<u64>, filled: &[SlotIx], awake: &[usize]) {
        masks.clear();
        masks.extend_from_slice(&self.always);
        for &slot in filled {
            self.json.wake(slot, masks);
        }
        for &pattern in awake {
            self.regexes.wake(pattern, masks);
        }
        kept.is_made = true;
        kept.filled.clear();
        kept.filled.extend_from_slice(filled);
        kept.awake.clear();
        kept.awake.extend_from_slice(awake);
    }
}

/// A property that may have a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    /// Its place among the properties of the group.
    pub(crate) place: usize,
    /// The matchers that may yield the value.
    pub(crate) mask: u64,
    /// Where the first of them just reads a JSON value as a text: all that there is to know of it.
    pub(crate) text: Option<(Direct, Target)>,
}

impl Live {
    fn new(place: usize, mask: u64, candidates: &Candidates) -> Self {
        let first = candidates.direct.get(mask.trailing_zeros() as usize);
        let direct = first.copied().flatten();
        Self {
            place,
            mask,
            text: direct
                .filter(|_| candidates.kind == Kind::Text)
                .map(|direct| (direct, candidates.target)),
        }
    }
}

/// How many different sets of values are kept. A source has few shapes of payloads.
const KEPT: usize = 32;

/// What [`Uses::live`] said about the last payloads.
#[derive(Debug, Default)]
pub(crate) struct Known {
    kept: [Kept; KEPT],
    masks: Vec<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    is_made: bool,
    filled: Vec<SlotIx>,
    awake: Vec<usize>,
    live: Vec<Live>,
}

impl Known {
    /// Where the answer for a set of values is kept. A few of them tell most sets apart.
    #[inline]
    fn place(filled: &[SlotIx], awake: &[usize]) -> usize {
        let few = |numbers: &[usize]| {
            let count = numbers.len();
            let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
            [
                count,
                at(count / 4),
                at(count / 2),
                at(count.wrapping_sub(1)),
            ]
        };
        let mixed = [few(filled), few(awake)];
        let mixed = mixed.as_flattened().iter();
        mixed.fold(0, |sum: usize, &part| {
            sum.wrapping_mul(31).wrapping_add(part)
        }) % KEPT
    }
}

/// Matchers by the number of what they need.
#[derive(Debug, Default)]
struct Index {
    /// For each number its part of the list.
    parts: Vec<(u32, u32)>,
    /// The place of a property among those of the group, and a mask of its matchers.
    list: Vec<(u32, u64)>,
}

impl Index {
    fn new(mut uses: Vec<(usize, usize, u64)>) -> Self {
        uses.sort_unstable();
        let numbers = uses.last().map_or(0, |(number, ..)| number + 1);
        // There are fewer matchers than that in a mapping.
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let before = |number: usize| uses.partition_point(|(used, ..)| *used < number);
        Self {
            parts: (0..numbers)
                .map(|number| (small(before(number)), small(before(number + 1))))
                .collect(),
            list: uses
                .iter()
                .map(|&(_, place, mask)| (small(place), mask))
                .collect(),
        }
    }

    #[inline]
    fn wake(&self, number: usize, live: &mut [u64]) {
        if let Some(&(start, end)) = self.parts.get(number) {
            for &(place, mask) in &self.list[start as usize..end as usize] {
                live[place as usize] |= mask;
            }
        }
    }
}

/// The matchers of a property that are tried, by index.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tries {
    /// From here on to the last of so many.
    All(usize, usize),
    /// Those whose bits are set.
    Some(u64),
}

impl Tries {
    /// Every matcher.
    pub(crate) fn all(candidates: &Candidates) -> Self {
        Self::All(0, candidates.matchers.len())
    }

    /// Those of a mask that [`Uses::live`] has written.
    pub(crate) fn live(candidates: &Candidates, mask: u64) -> Self {
        if candidates.matchers.len() > MASK_BITS {
            Self::all(candidates)
        } else {
            Self::Some(mask)
        }
    }
}

impl Iterator for Tries {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        match self {
            Self::All(next, count) => {
                let index = *next;
                *next += 1;
                (index < *count).then_some(index)
            }
            Self::Some(0) => None,
            Self::Some(mask) => {
                let index = mask.trailing_zeros() as usize;
                *mask &= *mask - 1;
                Some(index)
            }
        }
    }
}
