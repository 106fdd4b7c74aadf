//! Which matchers of a group are worth trying on a payload.
//!
//! A mapping for many shapes has hundreds of matchers, most of which read JSON values that a given payload does not have.
//! Instead of asking each matcher whether its value is there, the values that are there name their matchers.

use super::Candidates;
use crate::extract::json::{Found, SlotIx};

/// More matchers of one property than a mask has bits are all tried.
const MASK_BITS: usize = u64::BITS as usize;

/// By JSON value, the matchers of a group that need it.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// For each slot its part of the list.
    parts: Vec<(u32, u32)>,
    /// The place of a property among those of the group, and a mask of its matchers.
    list: Vec<(u32, u64)>,
    /// For each property the matchers that need no JSON value of the payload.
    always: Vec<u64>,
}

impl Uses {
    /// For some properties, such as those of a group.
    pub(crate) fn new<'c>(targets: impl IntoIterator<Item = &'c Candidates>) -> Self {
        let mut uses: Vec<(SlotIx, usize, u64)> = Vec::new();
        let mut always = Vec::new();
        for (place, candidates) in targets.into_iter().enumerate() {
            always.push(0);
            if candidates.matchers.len() > MASK_BITS {
                always[place] = u64::MAX;
                continue;
            }
            for (index, matcher) in candidates.matchers.iter().enumerate() {
                match matcher.requires {
                    Some(slot) => uses.push((slot, place, 1 << index)),
                    None => always[place] |= 1 << index,
                }
            }
        }
        uses.sort_unstable();
        let slots = uses.last().map_or(0, |(slot, ..)| slot + 1);
        // There are fewer matchers than that in a mapping.
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let before = |slot: SlotIx| uses.partition_point(|(used, ..)| *used < slot);
        Self {
            parts: (0..slots)
                .map(|slot| (small(before(slot)), small(before(slot + 1))))
                .collect(),
            list: uses
                .iter()
                .map(|&(_, place, mask)| (small(place), mask))
                .collect(),
            always,
        }
    }

    /// Writes for each property the mask of the matchers that may yield a value; no other can.
    pub(crate) fn live(&self, found: &Found, live: &mut Vec<u64>) {
        live.clear();
        live.extend_from_slice(&self.always);
        for &slot in found.filled() {
            if let Some(&(start, end)) = self.parts.get(slot) {
                for &(place, mask) in &self.list[start as usize..end as usize] {
                    live[place as usize] |= mask;
                }
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
