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
    /// For each slot, where its part of the list begins; one entry more than there are slots.
    starts: Vec<usize>,
    /// The place of a property among those of the group, and a mask of its matchers.
    list: Vec<(usize, u64)>,
    /// For each property the matchers that need no JSON value of the payload.
    always: Vec<u64>,
}

impl Uses {
    /// For the properties of a group.
    pub(crate) fn new(targets: &[Candidates]) -> Self {
        let mut uses: Vec<(SlotIx, usize, u64)> = Vec::new();
        let mut always = vec![0; targets.len()];
        for (place, candidates) in targets.iter().enumerate() {
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
        let starts = (0..=slots).map(|slot| uses.partition_point(|(used, ..)| *used < slot));
        Self {
            starts: starts.collect(),
            list: uses.iter().map(|&(_, place, mask)| (place, mask)).collect(),
            always,
        }
    }

    /// Writes for each property the mask of the matchers that can yield a value.
    pub(crate) fn live(&self, found: &Found, live: &mut Vec<u64>) {
        live.clear();
        live.extend_from_slice(&self.always);
        for slot in found.filled() {
            if let Some(&[start, end]) = self.starts.get(slot..).and_then(<[_]>::first_chunk) {
                for &(place, mask) in &self.list[start..end] {
                    live[place] |= mask;
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
