//! Elements of arrays that paths fan out over, and the filters that decide which of them count.
//!
//! What a path finds in an element goes into a slot of its own. At the end of the element the commits of each slot that
//! was filled say where the value goes on to, and under which conditions. The values that conditions compare are looked
//! up once for each element.

use super::found::{Form, Found, Hit};
use super::names::Names;
use super::plan::{NodeIx, Select, SlotIx};
use super::scan::Scanner;
use super::text::text_of;
use super::token::{Outcome, Text};
use crate::lsx::Hits as HitsMode;
use std::collections::BTreeMap;

/// Index of a [`Tested`].
pub(super) type TestedIx = usize;

/// A value of an element that conditions compare with texts.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) slot: SlotIx,
    /// The texts.
    pub(super) texts: Names,
    /// The index of the empty text, which a missing value is, among them.
    pub(super) empty: Option<usize>,
}

/// What a path found in an element goes on to a slot further out.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) conditions: Vec<Test>,
    pub(super) to: SlotIx,
}

/// The commits of a slot. Most of them ask one value (such as `@odata.type`, or the table of a record) for one text.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pub(super) all: Vec<Commit>,
    /// That value, and for each of its texts the commits that ask for it, without this condition.
    by_text: Option<(TestedIx, Vec<Vec<Commit>>)>,
    /// The commits that have to be looked at in any case.
    always: Vec<Commit>,
}

impl Commits {
    /// To be called once after the last commit was added.
    pub(super) fn finish(&mut self, tested: &[Tested]) {
        let key = |commit: &Commit| commit.conditions.iter().find(|test| test.equal).cloned();
        let mut counts: BTreeMap<TestedIx, usize> = BTreeMap::new();
        for test in self.all.iter().filter_map(key) {
            *counts.entry(test.tested).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let asked = most.map(|(tested, _)| tested);
        let mut by_text = asked.map(|ix| (ix, vec![Vec::new(); tested[ix].texts.len()]));
        self.always.clear();
        for commit in &self.all {
            let mut rest = commit.clone();
            let mut conditions = commit.conditions.iter();
            let test = conditions.position(|test| test.equal && Some(test.tested) == asked);
            match (test, &mut by_text) {
                (Some(index), Some((_, lists))) => {
                    let test = rest.conditions.remove(index);
                    lists[test.text].push(rest);
                }
                _ => self.always.push(rest),
            }
        }
        self.by_text = by_text;
    }
}

/// A condition.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) tested: TestedIx,
    pub(super) equal: bool,
    /// Index in [`Tested::texts`].
    pub(super) text: usize,
}

/// What is known of a tested value of the element at hand.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// It is this one of the texts, or none of them.
    Text(Option<usize>),
    /// It is a list, which may hold several of them.
    List,
}

impl Scanner<'_> {
    /// One element of an array that filters apply to.
    pub(super) fn element(
        &mut self,
        select: &Select,
        walk: NodeIx,
        start: usize,
        found: &mut Found,
    ) -> Outcome {
        // What the walk fills from here on belongs to this element, or to one around it that is the same object.
        let (filled, more) = (found.in_element.len(), found.more.len());
        let end = self.value(walk, start, found)?;
        let passing = found.passing.len();
        for &tested in &select.tested {
            found.classes[tested] = Class::Unknown;
        }
        for at in filled..found.in_element.len() {
            let slot = found.in_element[at];
            let commits = self.plan.commits_from(slot);
            // A slot that a repeated member has emptied and filled again is listed twice.
            if !commits.all.is_empty() && found.first[slot].is_some() && self.owns(select, slot) {
                self.commit_all(slot, commits, more, found);
                found.first[slot] = Hit::NONE;
            }
        }
        self.forget(select, filled, more, found);
        for at in passing..found.passing.len() {
            let (slot, hit) = found.passing[at];
            if self.plan.slots[slot] == HitsMode::Joined || !found.first[slot].is_some() {
                found.push(slot, hit, self.plan.is_in_element(slot));
            }
        }
        found.passing.truncate(passing);
        Ok(end)
    }

    #[inline]
    fn owns(&self, select: &Select, slot: SlotIx) -> bool {
        select.owners.contains(&self.plan.owner[slot])
    }

    /// What belongs to the element goes; what was filled around it on the same walk stays.
    fn forget(&self, select: &Select, filled: usize, more: usize, found: &mut Found) {
        let mut kept = filled;
        for at in filled..found.in_element.len() {
            let slot = found.in_element[at];
            if self.owns(select, slot) {
                found.first[slot] = Hit::NONE;
            } else {
                found.in_element[kept] = slot;
                kept += 1;
            }
        }
        found.in_element.truncate(kept);
        let mut kept = more;
        for at in more..found.more.len() {
            if !self.owns(select, found.more[at].0) {
                found.more[kept] = found.more[at];
                kept += 1;
            }
        }
        found.more.truncate(kept);
    }

    fn commit_all(&self, from: SlotIx, commits: &Commits, more: usize, found: &mut Found) {
        let asked = match &commits.by_text {
            None => &[],
            Some((tested, lists)) => match self.class_of(*tested, found) {
                Class::Text(text) => text.map_or(&[][..], |text| lists[text].as_slice()),
                // A list may hold several of the texts; that is rare enough to be left to the slow way.
                _ => {
                    for commit in &commits.all {
                        self.commit(from, commit, more, found);
                    }
                    return;
                }
            },
        };
        for commit in asked.iter().chain(&commits.always) {
            self.commit(from, commit, more, found);
        }
    }

    /// Hands on what a path found in an element, if the conditions hold. `more` is where the further hits of this element
    /// begin.
    fn commit(&self, from: SlotIx, commit: &Commit, more: usize, found: &mut Found) {
        let all = self.plan.slots[commit.to] == HitsMode::Joined;
        if !all && found.first[commit.to].is_some() {
            return;
        }
        for test in &commit.conditions {
            if !self.holds(test, found) {
                return;
            }
        }
        let first = found.first[from];
        if first.is_data() {
            found.passing.push((commit.to, first));
            if !all {
                return;
            }
        }
        for at in more..found.more.len() {
            let (slot, hit) = found.more[at];
            if slot == from && hit.is_data() {
                found.passing.push((commit.to, hit));
                if !all {
                    return;
                }
            }
        }
    }

    #[inline]
    fn class_of(&self, tested: TestedIx, found: &mut Found) -> Class {
        if found.classes[tested] == Class::Unknown {
            found.classes[tested] = self.class(tested, found);
        }
        found.classes[tested]
    }

    fn holds(&self, test: &Test, found: &mut Found) -> bool {
        let equal = match self.class_of(test.tested, found) {
            Class::Text(text) => text == Some(test.text),
            _ => self.is_in_list(test, found),
        };
        equal == test.equal
    }

    /// Which of the texts a tested value is. A missing value and null are the empty text.
    fn class(&self, tested: TestedIx, found: &Found) -> Class {
        let Tested { slot, texts, empty } = &self.plan.tested[tested];
        let Some(Hit { span, form }) = found.get(*slot) else {
            return Class::Text(*empty);
        };
        let (bytes, range) = (self.text.bytes, span.range());
        match form {
            Form::Plain => Class::Text(texts.get_in(bytes, range.start + 1, range.end - 1)),
            Form::Null => Class::Text(*empty),
            Form::Other if bytes[range.start] == b'[' => Class::List,
            Form::Escaped | Form::Other => {
                let text = String::from_utf8_lossy(&bytes[range]);
                Class::Text(texts.get(text_of(&text).unwrap_or_default().as_bytes()))
            }
        }
    }

    fn is_in_list(&self, test: &Test, found: &Found) -> bool {
        let Tested { slot, texts, .. } = &self.plan.tested[test.tested];
        let Some(hit) = found.get(*slot) else {
            return false;
        };
        let list = String::from_utf8_lossy(&self.text.bytes[hit.span.range()]);
        elements(&list).any(|element| {
            text_of(element).is_some_and(|text| texts.get(text.as_bytes()) == Some(test.text))
        })
    }
}

/// The elements of an array that a scan has already passed over, as they stand in the text.
fn elements(array: &str) -> impl Iterator<Item = &str> {
    let text = Text {
        bytes: array.as_bytes(),
    };
    let mut at = 1;
    std::iter::from_fn(move || {
        let mut start = text.blanks(at);
        if text.byte(start) == Some(b',') {
            start = text.blanks(start + 1);
        }
        at = text.skip(start, 0, &mut false).ok()?;
        array.get(start..at)
    })
}
