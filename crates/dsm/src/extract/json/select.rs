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

/// Index of a [`Tested`].
pub(super) type TestedIx = usize;

/// A value of an element that conditions compare with texts.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) slot: SlotIx,
    /// The texts.
    pub(super) texts: Names,
}

/// What a path found in an element goes on to a slot further out.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) conditions: Vec<Test>,
    pub(super) to: SlotIx,
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
            if !commits.is_empty() && found.first[slot].is_some() && self.owns(select, slot) {
                for commit in commits {
                    self.commit(slot, commit, more, found);
                }
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

    fn holds(&self, test: &Test, found: &mut Found) -> bool {
        let mut class = found.classes[test.tested];
        if class == Class::Unknown {
            class = self.class(test.tested, found);
            found.classes[test.tested] = class;
        }
        let equal = match class {
            Class::Text(text) => text == Some(test.text),
            _ => self.is_in_list(test, found),
        };
        equal == test.equal
    }

    /// Which of the texts a tested value is. A missing value and null are the empty text.
    fn class(&self, tested: TestedIx, found: &Found) -> Class {
        let Tested { slot, texts } = &self.plan.tested[tested];
        let Some(Hit { span, form }) = found.get(*slot) else {
            return Class::Text(texts.get(b""));
        };
        let (bytes, range) = (self.text.0, span.range());
        match form {
            Form::Plain => Class::Text(texts.get_in(bytes, range.start + 1, range.end - 1)),
            Form::Null => Class::Text(texts.get(b"")),
            Form::Other if bytes[range.start] == b'[' => Class::List,
            Form::Escaped | Form::Other => {
                let text = String::from_utf8_lossy(&bytes[range]);
                Class::Text(texts.get(text_of(&text).unwrap_or_default().as_bytes()))
            }
        }
    }

    fn is_in_list(&self, test: &Test, found: &Found) -> bool {
        let Tested { slot, texts } = &self.plan.tested[test.tested];
        let Some(hit) = found.get(*slot) else {
            return false;
        };
        let list = String::from_utf8_lossy(&self.text.0[hit.span.range()]);
        elements(&list).any(|element| {
            text_of(element).is_some_and(|text| texts.get(text.as_bytes()) == Some(test.text))
        })
    }
}

/// The elements of an array that a scan has already passed over, as they stand in the text.
fn elements(array: &str) -> impl Iterator<Item = &str> {
    let text = Text(array.as_bytes());
    let mut at = 1;
    std::iter::from_fn(move || {
        let mut start = text.blanks(at);
        if text.byte(start) == Some(b',') {
            start = text.blanks(start + 1);
        }
        at = text.skip(start, &mut false).ok()?;
        array.get(start..at)
    })
}
