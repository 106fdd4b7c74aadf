//! Matching.

use super::first::{Lead, is_inside};
use super::{Class, Direct, Id, Run, Start, Step};
use crate::java_regex::place;
use crate::java_regex::syntax::{Assertion, UNBOUNDED};

/// A position that is not set.
const NONE: u32 = u32::MAX;

/// Steps for a text of any length, and for each of its bytes.
const ALLOWANCE: (usize, usize) = (2048, 4);

/// A beginning that patterns share and that can end in more places is no help.
const MAX_ENDS: usize = 8;

/// The most frames that a search may stack up: a megabyte.
const FRAMES: usize = 1 << 16;

/// So many bytes of a run cost a step.
const RUN_BYTES: usize = 16;

/// The working memory; reuse it from one search to the next.
#[derive(Debug, Default)]
pub(in crate::java_regex) struct Memory {
    /// Both ends of each group.
    saved: Vec<u32>,
    stack: Vec<Frame>,
}

impl Memory {
    /// Where a group of the last match is.
    pub(in crate::java_regex) fn group(&self, group: usize) -> Option<(usize, usize)> {
        match self.saved.get(2 * group..2 * group + 2)? {
            &[start, end] if end != NONE => Some((start as usize, end as usize)),
            _ => None,
        }
    }
}

/// What to do when what was tried has failed.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Go on at another step.
    Resume { step: Id, pos: u32 },
    /// A greedy run can give back down to `low`.
    Back { step: Id, pos: u32, low: u32 },
    /// A lazy run, which has so many characters, can take more.
    More { step: Id, pos: u32, count: u32 },
    /// Put the end of a group back.
    Saved { slot: u32, old: u32 },
}

/// What a search found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::java_regex) enum Outcome {
    Found,
    Absent,
    /// It takes too many steps.
    GivenUp,
}

impl Direct {
    /// The first match; `groups` counts group 0.
    pub(in crate::java_regex) fn find(
        &self,
        text: &str,
        groups: usize,
        memory: &mut Memory,
    ) -> Outcome {
        memory.saved.clear();
        memory.saved.resize(2 * groups, NONE);
        self.search(text, memory).find().unwrap_or(Outcome::GivenUp)
    }

    /// The first match of a pattern of which this is the rest: what comes before leads from the start of the text to
    /// one of some places, the better ones first.
    pub(in crate::java_regex) fn find_behind(
        &self,
        text: &str,
        places: &[u32],
        groups: usize,
        memory: &mut Memory,
    ) -> Outcome {
        memory.saved.clear();
        memory.saved.resize(2 * groups, NONE);
        let mut search = self.search(text, memory);
        for &place in places {
            match search.attempt(place as usize) {
                Ok(Some(end)) => {
                    search.found(0, end);
                    return Outcome::Found;
                }
                Ok(None) => {}
                Err(Exhausted) => return Outcome::GivenUp,
            }
        }
        Outcome::Absent
    }

    /// Adds all places where a match that begins at `start` can end, those first that would be found first, except for
    /// those that are known. Tells whether these are all.
    pub(in crate::java_regex) fn ends(
        &self,
        text: &str,
        start: u32,
        memory: &mut Memory,
        ends: &mut Vec<u32>,
    ) -> bool {
        memory.saved.clear();
        let mut search = self.search(text, memory);
        search.ends(start as usize, ends).is_ok()
    }

    fn search<'a>(&'a self, text: &'a str, memory: &'a mut Memory) -> Search<'a> {
        Search {
            direct: self,
            text,
            bytes: text.as_bytes(),
            memory,
            left: ALLOWANCE.0 + ALLOWANCE.1 * text.len(),
        }
    }
}

/// It takes too many steps.
struct Exhausted;

struct Search<'a> {
    direct: &'a Direct,
    text: &'a str,
    bytes: &'a [u8],
    memory: &'a mut Memory,
    left: usize,
}

impl<'a> Search<'a> {
    fn find(&mut self) -> Result<Outcome, Exhausted> {
        let mut from = 0;
        loop {
            let rest = self.bytes.get(from..).unwrap_or_default();
            let start = match &self.direct.start {
                Start::Text if from > 0 => None,
                Start::Text => Some(0),
                Start::Literal(finder) => finder.find(rest).map(|skip| from + skip),
                Start::First(first) => {
                    let skip = rest.iter().position(|&byte| first.has(byte));
                    skip.map(|skip| from + skip)
                }
                Start::Anywhere => {
                    (from..=self.bytes.len()).find(|&at| self.text.is_char_boundary(at))
                }
            };
            let Some(start) = start else {
                return Ok(Outcome::Absent);
            };
            if let Some(end) = self.attempt(start)? {
                self.found(start, end);
                return Ok(Outcome::Found);
            }
            from = start + 1;
        }
    }

    /// Notes where the whole match is.
    fn found(&mut self, start: usize, end: usize) {
        if let [first, last, ..] = self.memory.saved.as_mut_slice() {
            (*first, *last) = (start as u32, end as u32);
        }
    }

    fn ends(&mut self, start: usize, ends: &mut Vec<u32>) -> Result<(), Exhausted> {
        let mut end = self.attempt(start)?;
        while let Some(place) = end {
            let place = place as u32;
            if !ends.contains(&place) {
                if ends.len() == MAX_ENDS {
                    return Err(Exhausted);
                }
                ends.push(place);
            }
            end = match self.back()? {
                Some((id, pos)) => self.go_on(id, pos)?,
                None => None,
            };
        }
        Ok(())
    }

    #[inline]
    fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    #[inline]
    fn push(&mut self, frame: Frame) -> Result<(), Exhausted> {
        if self.memory.stack.len() >= FRAMES {
            return Err(Exhausted);
        }
        self.memory.stack.push(frame);
        Ok(())
    }

    /// The end of the match that begins at a place.
    fn attempt(&mut self, start: usize) -> Result<Option<usize>, Exhausted> {
        self.memory.stack.clear();
        self.go_on(self.direct.entry, start)
    }

    fn go_on(&mut self, mut id: Id, mut pos: usize) -> Result<Option<usize>, Exhausted> {
        // Every step forward takes something of the text or is one of a few in a row, so that it is soon enough to pay
        // for them when they have led nowhere.
        let mut taken = 0;
        let steps = self.direct.steps.as_slice();
        loop {
            taken += 1;
            let reached = match &steps[id as usize] {
                Step::Match => {
                    self.spend(taken)?;
                    return Ok(Some(pos));
                }
                Step::Byte { byte, next } => {
                    (self.bytes.get(pos) == Some(byte)).then_some((*next, pos + 1))
                }
                Step::Literal { text, next } => {
                    let found = self.bytes[pos..].starts_with(text);
                    found.then(|| (*next, pos + text.len()))
                }
                Step::Each { classes, next } => {
                    let each = &self.direct.classes;
                    let after = classes
                        .iter()
                        .try_fold(pos, |pos, &class| self.one(&each[class], pos));
                    after.map(|after| (*next, after))
                }
                Step::Run(run) => self.run(id, run, pos)?,
                Step::Either {
                    first,
                    second,
                    begins,
                } => {
                    let byte = self.bytes.get(pos).copied();
                    match (begins.0.admits(byte), begins.1.admits(byte)) {
                        (true, true) => {
                            self.push(Frame::Resume {
                                step: *second,
                                pos: pos as u32,
                            })?;
                            Some((*first, pos))
                        }
                        (true, false) => Some((*first, pos)),
                        (false, true) => Some((*second, pos)),
                        (false, false) => None,
                    }
                }
                Step::Save { slot, next } => {
                    let old = std::mem::replace(&mut self.memory.saved[*slot], pos as u32);
                    self.push(Frame::Saved {
                        slot: *slot as u32,
                        old,
                    })?;
                    Some((*next, pos))
                }
                Step::Assert { what, next } => self.holds(*what, pos)?.then_some((*next, pos)),
            };
            let next = match reached {
                Some(next) => Some(next),
                None => {
                    self.spend(std::mem::take(&mut taken))?;
                    self.back()?
                }
            };
            let Some(next) = next else { return Ok(None) };
            (id, pos) = next;
        }
    }

    fn holds(&self, what: Assertion, pos: usize) -> Result<bool, Exhausted> {
        match what {
            Assertion::TextStart => Ok(pos == 0),
            Assertion::TextEnd => Ok(pos == self.bytes.len()),
            // Whether a combining mark is part of a word may depend on much that stands before it.
            Assertion::Word { .. } if !self.is_in_ascii(pos) => Err(Exhausted),
            _ => Ok(place::holds(what, self.text, pos)),
        }
    }

    /// Whether what stands before a place and behind it is ASCII.
    fn is_in_ascii(&self, pos: usize) -> bool {
        let around = &self.bytes[pos.saturating_sub(1)..self.bytes.len().min(pos + 1)];
        around.is_ascii()
    }

    /// The character of the class at a place: where it ends.
    #[inline(always)]
    fn one(&self, class: &Class, pos: usize) -> Option<usize> {
        let &byte = self.bytes.get(pos)?;
        match class.leads[usize::from(byte)] {
            Lead::Out => None,
            Lead::In if byte < 0x80 => Some(pos + 1),
            _ => self.one_of_several_bytes(class, pos),
        }
    }

    #[cold]
    fn one_of_several_bytes(&self, class: &Class, pos: usize) -> Option<usize> {
        let c = self.text.get(pos..)?.chars().next()?;
        let is_member = class.set.contains(u32::from(c));
        is_member.then(|| pos + c.len_utf8())
    }

    /// Where a run from `at` on has to end, if it may be of any length.
    #[inline(never)]
    fn end_of(&self, class: &Class, mut at: usize) -> usize {
        loop {
            let rest = &self.bytes[at..];
            let is_end = |&byte: &u8| class.leads[usize::from(byte)] != Lead::In;
            let skip = match *class.stops {
                [] => rest.iter().position(is_end),
                [a] => memchr::memchr(a, rest),
                [a, b] => memchr::memchr2(a, b, rest),
                [a, b, c] => memchr::memchr3(a, b, c, rest),
                [a, b, c, d, ..] => {
                    let first = memchr::memchr2(a, b, rest);
                    memchr::memchr2(c, d, &rest[..first.unwrap_or(rest.len())]).or(first)
                }
            };
            let Some(skip) = skip else {
                return self.bytes.len();
            };
            at += skip;
            match self.one(class, at) {
                Some(after) => at = after,
                None => return at,
            }
        }
    }

    /// Whether what comes after a run can begin at a place.
    #[inline]
    fn fits(&self, run: &Run, at: usize) -> bool {
        let rest = &self.bytes[at..];
        run.follow.admits(rest.first().copied())
            && run.text.as_ref().is_none_or(|text| rest.starts_with(text))
    }

    /// The highest place from `low` to below `high` where what comes after a run can begin.
    fn lower(&self, run: &Run, low: usize, high: usize) -> Option<usize> {
        if let Some(text) = &run.text {
            let mut end = high;
            loop {
                let skip = memchr::memrchr(text[0], &self.bytes[low..end])?;
                if self.bytes[low + skip..].starts_with(text) {
                    return Some(low + skip);
                }
                end = low + skip;
            }
        }
        // Inside a character nothing begins.
        let begins = |&byte: &u8| run.follow.has(byte) && !is_inside(byte);
        let skip = self.bytes[low..high].iter().rposition(begins);
        skip.map(|skip| low + skip)
    }

    fn run(&mut self, id: Id, run: &Run, pos: usize) -> Result<Option<(Id, usize)>, Exhausted> {
        let class = &self.direct.classes[run.class];
        let (mut low, mut count) = (pos, 0);
        while count < run.min {
            let Some(after) = self.one(class, low) else {
                self.spend((low - pos) / RUN_BYTES)?;
                return Ok(None);
            };
            low = after;
            count += 1;
        }
        if run.lazy {
            self.spend((low - pos) / RUN_BYTES)?;
            return self.more(id, run, low, count);
        }
        let end = if run.max >= UNBOUNDED {
            self.end_of(class, low)
        } else {
            let mut end = low;
            while count < run.max
                && let Some(after) = self.one(class, end)
            {
                end = after;
                count += 1;
            }
            end
        };
        self.spend((end - pos) / RUN_BYTES)?;
        if run.is_sharp || end == low {
            return Ok(Some((run.next, end)));
        }
        if self.fits(run, end) {
            self.push(Frame::Back {
                step: id,
                pos: end as u32,
                low: low as u32,
            })?;
            return Ok(Some((run.next, end)));
        }
        self.give_back(id, run, low, end)
    }

    /// Lets a greedy run that ended at `high` end earlier.
    fn give_back(
        &mut self,
        id: Id,
        run: &Run,
        low: usize,
        high: usize,
    ) -> Result<Option<(Id, usize)>, Exhausted> {
        let Some(at) = self.lower(run, low, high) else {
            self.spend((high - low) / RUN_BYTES)?;
            return Ok(None);
        };
        self.spend((high - at) / RUN_BYTES)?;
        if at > low {
            self.push(Frame::Back {
                step: id,
                pos: at as u32,
                low: low as u32,
            })?;
        }
        Ok(Some((run.next, at)))
    }

    /// Lets a lazy run that has so many characters take more, up to where what comes next can begin.
    fn more(
        &mut self,
        id: Id,
        run: &Run,
        pos: usize,
        mut count: u32,
    ) -> Result<Option<(Id, usize)>, Exhausted> {
        let class = &self.direct.classes[run.class];
        let mut at = pos;
        loop {
            if self.fits(run, at) {
                if count < run.max && at < self.bytes.len() {
                    self.push(Frame::More {
                        step: id,
                        pos: at as u32,
                        count,
                    })?;
                }
                self.spend((at - pos) / RUN_BYTES)?;
                return Ok(Some((run.next, at)));
            }
            match self.one(class, at) {
                Some(after) if count < run.max => at = after,
                _ => {
                    self.spend((at - pos) / RUN_BYTES)?;
                    return Ok(None);
                }
            }
            count += 1;
        }
    }

    /// Where to go on after a failure, if anything is left to try.
    fn back(&mut self) -> Result<Option<(Id, usize)>, Exhausted> {
        while let Some(frame) = self.memory.stack.pop() {
            match frame {
                Frame::Resume { step, pos } => return Ok(Some((step, pos as usize))),
                Frame::Saved { slot, old } => self.memory.saved[slot as usize] = old,
                Frame::Back { step, pos, low } => {
                    let Step::Run(run) = &self.direct.steps[step as usize] else {
                        continue;
                    };
                    if let Some(next) = self.give_back(step, run, low as usize, pos as usize)? {
                        return Ok(Some(next));
                    }
                }
                Frame::More { step, pos, count } => {
                    let Step::Run(run) = &self.direct.steps[step as usize] else {
                        continue;
                    };
                    let class = &self.direct.classes[run.class];
                    if let Some(after) = self.one(class, pos as usize)
                        && let Some(next) = self.more(step, run, after, count + 1)?
                    {
                        return Ok(Some(next));
                    }
                }
            }
        }
        Ok(None)
    }
}
