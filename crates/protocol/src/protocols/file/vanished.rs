//! Places whose files are gone, and which compressed files have their content.

use super::names::Packing;
use super::place::Place;
use super::survey::{Candidate, Survey, WEAK};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A place whose file may be gone.
#[derive(Clone, Copy)]
pub(super) struct Sought<P> {
    pub(super) place: P,
    /// The file is still open, and nothing follows the place in it.
    pub(super) whole: bool,
}

/// What was found of places whose files are gone.
#[derive(Debug, Default)]
pub(super) struct Assigned {
    /// The candidate that has what was read of the current file.
    pub(super) current: Option<usize>,
    /// Candidates that may be other files than those that were read, and how much of these was read: the files that were
    /// read may have been removed.
    pub(super) doubtful: Vec<(usize, u64)>,
}

impl Survey {
    /// Which compressed files have what was read of files that are there no more. The places in `done` are set to them.
    /// The one of `current` is returned, if its file is gone too, or was truncated.
    ///
    /// Files begin alike, and a file may have been written to before it was compressed. So no file is taken for two
    /// places, and the place with the most content decides first. Where the content is the same, the file counts that was
    /// changed last when the place says; then the older file is that of the older place. Of a place that is `whole` it is
    /// known that nothing follows it: its file is still open.
    pub(super) fn assign(
        &self,
        mut done: Vec<Sought<&mut Place>>,
        current: Sought<&Place>,
    ) -> Assigned {
        let is_there = |place: &Place| {
            let mut candidates = self.candidates.iter();
            candidates.any(|candidate| candidate.identity.is(&place.identity()))
        };
        let is_known = |candidate: &Candidate| {
            let mut sought = done.iter();
            sought.any(|sought| candidate.identity.is(&sought.place.identity()))
        };
        let suspects: Vec<(usize, &Candidate)> = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| {
                candidate.packing == Packing::Gzip && !candidate.is_named && !is_known(candidate)
            })
            .collect();
        let mut assigned = Assigned::default();
        if suspects.is_empty() {
            return assigned;
        }
        // The file of each place that is certain.
        let mut certain = Vec::new();
        for (number, sought) in done.iter().enumerate() {
            let identity = sought.place.identity();
            let is_its = |candidate: &Candidate| candidate.identity.is(&identity);
            certain.extend(
                self.candidates
                    .iter()
                    .position(is_its)
                    .map(|index| (number, index)),
            );
        }
        let is_vanished =
            |place: &Place| place.reached() > 0 && !place.head.is_empty() && !is_there(place);
        let mut pairs = Vec::new();
        let mut compare = |number: usize, place: &Place, whole: bool| {
            for (index, candidate) in &suspects {
                if !candidate.is_since(place) {
                    continue;
                }
                let ends = candidate.open().and_then(|mut opened| {
                    Ok(opened.has(place)?.then_some(opened.ends_at(place)?))
                });
                if let Ok(Some(ends)) = ends
                    && (ends || !whole)
                {
                    let is_old = ends && candidate.is_as_old_as(place);
                    let offset = Reverse(place.reached());
                    pairs.push((offset, Reverse(is_old), number, *index, ends));
                }
            }
        };
        for (number, sought) in done.iter().enumerate() {
            if is_vanished(sought.place) {
                compare(number, sought.place, sought.whole);
            }
        }
        let of_current = done.len();
        if !self
            .candidates
            .iter()
            .any(|candidate| candidate.is_at(current.place))
        {
            compare(of_current, current.place, current.whole);
        }
        pairs.sort_unstable();
        let mut settled = BTreeSet::new();
        let mut used = BTreeSet::new();
        for (Reverse(offset), Reverse(is_old), number, index, ends) in pairs {
            if settled.contains(&number) || !used.insert(index) {
                continue;
            }
            settled.insert(number);
            let sought = done.get(number);
            let place = sought.map_or(current.place, |sought| &*sought.place);
            // The oldest files are removed first. So the one of a place is there if an older one is.
            let has_older = self.candidates[..index]
                .iter()
                .any(|older| !older.is_since(place))
                || certain.iter().any(|(one, at)| *one < number && *at < index);
            if offset < WEAK && !is_old && !has_older {
                assigned.doubtful.push((index, offset));
            } else {
                certain.push((number, index));
            }
            match done.get_mut(number) {
                None => assigned.current = Some(index),
                Some(Sought { place, .. }) => {
                    let candidate = &self.candidates[index];
                    place.set_identity(candidate.identity);
                    place.modified = Some(candidate.stamp.modified);
                    place.is_end = ends;
                }
            }
        }
        assigned
    }
}
