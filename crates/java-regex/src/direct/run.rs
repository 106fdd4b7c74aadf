//! Matching.

use super::first::{Lead, is_inside};
use super::memo::{Known, Memo};
use super::{Class, Direct, Id, Run, Start, Step};
use crate::place::{self, Marks, code_before, width};
use crate::syntax::{Assertion, UNBOUNDED};
use crate::work;

/// A position that is not set.
const NONE: u32 = u32::MAX;

/// Steps for a text of any length, and for each of its bytes.
pub(crate) const ALLOWANCE: (usize, usize) = (2048, 4);

/// The same for a search with a memo, which no other engine could do in linear time.
pub(crate) const MEMO_ALLOWANCE: (usize, usize) = (1 << 14, 64);

/// A beginning that patterns share and that can end in more places is no help.
const MAX_ENDS: usize = 8;

/// The most frames that a search may stack up: a megabyte. With a memo it may be more, because there is no other engine
/// that could do it.
const FRAMES: usize = 1 << 16;
const MEMO_FRAMES: usize = 1 << 21;

/// So many frames are kept from one search to the next; more are given back.
const KEPT_FRAMES: usize = 1 << 11;

/// So many bytes of a run or of a text cost a step.
const RUN_BYTES: usize = 16;

/// The same where the text behind a run, or its beginning, may be compared at each of them.
const TEXT_BYTES: usize = 4;

/// So many characters that are compared one by one cost a step.
const EACH_CHARS: usize = 4;

/// The working memory; reuse it from one search to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Both ends of each group.
    saved: Vec<u32>,
    stack: Vec<Frame>,
    memo: Memo,
    /// By look-around, where it was looked from last.
    looked_from: Vec<u32>,
}

impl Memory {
    pub(crate) fn release(&mut self) {
        self.stack = Vec::new();
        self.memo = Memo::default();
    }

    /// The bytes of working memory that are kept.
    pub(crate) fn kept(&self) -> usize {
        self.stack.capacity() * size_of::<Frame>() + self.memo.kept()
    }

    /// Where a group of the last match is.
    pub(crate) fn group(&self, group: usize) -> Option<(usize, usize)> {
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
pub(crate) enum Outcome {
    Found,
    Absent,
    /// It takes too many steps.
    GivenUp,
}

impl Direct {
    /// The first match; `groups` counts group 0.
    pub(crate) fn find(&self, text: &str, groups: usize, memory: &mut Memory) -> Outcome {
        memory.saved.clear();
        memory.saved.resize(2 * groups, NONE);
        if self.has_looks() && has_pairs(text) {
            return Outcome::GivenUp;
        }
        let mut search = self.search(text, memory);
        let found = search.find::<false>();
        search.end();
        found.unwrap_or(Outcome::GivenUp)
    }

    /// The same with a memo: in linear time, and slower where that is not needed. `by_chars`: Java looks for a match at
    /// whole characters only.
    pub(crate) fn find_with_memo(
        &self,
        text: &str,
        by_chars: bool,
        groups: usize,
        memory: &mut Memory,
    ) -> Outcome {
        memory.saved.clear();
        memory.saved.resize(2 * groups, NONE);
        let is_other = (self.has_looks() || !by_chars) && has_pairs(text);
        if is_other || !memory.memo.prepare(self.row_count, text.len()) {
            return Outcome::GivenUp;
        }
        memory.looked_from.clear();
        memory.looked_from.resize(self.looks.len(), 0);
        let mut search = self.search(text, memory);
        search.left = MEMO_ALLOWANCE.0 + MEMO_ALLOWANCE.1 * text.len();
        let mut found = search.find::<true>();
        if let Ok(Outcome::Found) = found
            && search.capture_looks().is_err()
        {
            found = Err(Exhausted);
        }
        search.end();
        memory.memo.give_back();
        found.unwrap_or(Outcome::GivenUp)
    }

    /// The first match of a pattern of which this is the rest: what comes before leads from the start of the text to
    /// one of some places, the better ones first.
    pub(crate) fn find_behind(
        &self,
        text: &str,
        places: &[u32],
        groups: usize,
        memory: &mut Memory,
    ) -> Outcome {
        memory.saved.clear();
        memory.saved.resize(2 * groups, NONE);
        let mut search = self.search(text, memory);
        let found = places.iter().find_map(|&place| {
            let end = search.attempt::<false>(place as usize);
            end.transpose()
        });
        let outcome = match found {
            Some(Ok(end)) => {
                search.found(0, end);
                Outcome::Found
            }
            Some(Err(Exhausted)) => Outcome::GivenUp,
            None => Outcome::Absent,
        };
        search.end();
        outcome
    }

    /// Adds all places where a match that begins at `start` can end, those first that would be found first, except for
    /// those that are known. Tells whether these are all.
    pub(crate) fn ends(
        &self,
        text: &str,
        start: u32,
        memory: &mut Memory,
        ends: &mut Vec<u32>,
    ) -> bool {
        memory.saved.clear();
        let mut search = self.search(text, memory);
        let are_all = search.ends(start as usize, ends).is_ok();
        search.end();
        are_all
    }

    fn search<'a>(&'a self, text: &'a str, memory: &'a mut Memory) -> Search<'a> {
        Search {
            direct: self,
            text,
            bytes: text.as_bytes(),
            memory,
            left: ALLOWANCE.0 + ALLOWANCE.1 * text.len(),
            floor: 0,
            marks: Marks::new(),
        }
    }
}

/// Whether Java could look into the middle of a surrogate pair.
fn has_pairs(text: &str) -> bool {
    !text.is_ascii() && text.bytes().any(|byte| byte >= 0xF0)
}

/// It takes too many steps.
struct Exhausted;

struct Search<'a> {
    direct: &'a Direct,
    text: &'a str,
    bytes: &'a [u8],
    memory: &'a mut Memory,
    left: usize,
    /// The frames below belong to what is around the look-around at hand.
    floor: usize,
    marks: Marks,
}

impl Search<'_> {
    /// Gives back what the search needed beyond the usual.
    fn end(&mut self) {
        self.memory.stack.clear();
        self.memory.stack.shrink_to(KEPT_FRAMES);
    }

    fn find<const MEMO: bool>(&mut self) -> Result<Outcome, Exhausted> {
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
            work::look(start - from);
            if let Some(end) = self.attempt::<MEMO>(start)? {
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
        let mut end = self.attempt::<false>(start)?;
        while let Some(place) = end {
            let place = place as u32;
            if !ends.contains(&place) {
                if ends.len() == MAX_ENDS {
                    return Err(Exhausted);
                }
                ends.push(place);
            }
            end = self.other_end()?;
        }
        Ok(())
    }

    /// Where what has ended somewhere can end too.
    fn other_end(&mut self) -> Result<Option<usize>, Exhausted> {
        match self.back::<false>()? {
            Some((id, pos)) => self.go_on::<false>(id, pos),
            None => Ok(None),
        }
    }

    #[inline]
    fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.left = self.left.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }

    #[inline]
    fn push<const MEMO: bool>(&mut self, frame: Frame) -> Result<(), Exhausted> {
        if self.memory.stack.len() >= if MEMO { MEMO_FRAMES } else { FRAMES } {
            return Err(Exhausted);
        }
        self.memory.stack.push(frame);
        if MEMO {
            self.memory.memo.push_frame();
        }
        Ok(())
    }

    /// The end of the match that begins at a place.
    fn attempt<const MEMO: bool>(&mut self, start: usize) -> Result<Option<usize>, Exhausted> {
        self.memory.stack.clear();
        if MEMO {
            self.memory.memo.rewind((0, 0));
        }
        self.go_on::<MEMO>(self.direct.entry, start)
    }

    fn go_on<const MEMO: bool>(
        &mut self,
        mut id: Id,
        mut pos: usize,
    ) -> Result<Option<usize>, Exhausted> {
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
                    work::look(1);
                    (self.bytes.get(pos) == Some(byte)).then_some((*next, pos + 1))
                }
                Step::Literal { text, next } => {
                    work::look(text.len());
                    taken += text.len() / RUN_BYTES;
                    let found = self.bytes[pos..].starts_with(text);
                    found.then(|| (*next, pos + text.len()))
                }
                Step::Each { classes, next } => {
                    taken += classes.len() / EACH_CHARS;
                    let each = &self.direct.classes;
                    let after = classes
                        .iter()
                        .try_fold(pos, |pos, &class| self.one(&each[class], pos));
                    after.map(|after| (*next, after))
                }
                Step::Run(run) => match self.run::<MEMO>(id, run, pos)? {
                    Reached::At(next, pos) => Some((next, pos)),
                    Reached::Nothing => None,
                    Reached::End => {
                        self.spend(taken)?;
                        return Ok(Some(pos));
                    }
                },
                Step::Either {
                    first,
                    second,
                    begins,
                } => {
                    let known = if MEMO {
                        self.known(id, pos)
                    } else {
                        Known::New
                    };
                    if known == Known::Succeeds {
                        self.spend(taken)?;
                        return Ok(Some(pos));
                    }
                    let byte = self.bytes.get(pos).copied();
                    match (begins.0.admits(byte), begins.1.admits(byte)) {
                        _ if known == Known::Fails => None,
                        (true, true) => {
                            self.push::<MEMO>(Frame::Resume {
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
                    self.push::<MEMO>(Frame::Saved {
                        slot: *slot as u32,
                        old,
                    })?;
                    Some((*next, pos))
                }
                Step::Assert { what, next } => {
                    self.holds::<MEMO>(*what, pos)?.then_some((*next, pos))
                }
                Step::Look { look, next } => {
                    self.spend(std::mem::take(&mut taken))?;
                    self.looks::<MEMO>(*look, pos)?.then_some((*next, pos))
                }
            };
            let next = match reached {
                Some(next) => Some(next),
                None => {
                    self.spend(std::mem::take(&mut taken))?;
                    self.back::<MEMO>()?
                }
            };
            let Some(next) = next else { return Ok(None) };
            (id, pos) = next;
        }
    }

    /// What is known of a fork at a place, which counts as tried from now on.
    fn known(&mut self, id: Id, pos: usize) -> Known {
        let row = self.direct.rows[id as usize];
        let known = self.memory.memo.enter(row, pos);
        if known == Known::New {
            self.memory.memo.begin(row, pos, pos);
        }
        known
    }

    /// Whether a look-around holds at a place.
    #[inline(never)]
    fn looks<const MEMO: bool>(&mut self, index: usize, pos: usize) -> Result<bool, Exhausted> {
        let look = &self.direct.looks[index];
        let floor = std::mem::replace(&mut self.floor, self.memory.stack.len());
        let found = match look.behind {
            None if MEMO => {
                let mark = self.memory.memo.mark();
                let found = self.go_on::<true>(look.entry, pos)?.is_some();
                if found {
                    self.memory.memo.succeed(mark);
                }
                self.memory.memo.rewind(mark);
                self.memory.looked_from[index] = pos as u32;
                found
            }
            None => self.go_on::<false>(look.entry, pos)?.is_some(),
            Some((least, most)) => self.looks_behind(look.entry, least, most, pos)?,
        };
        self.memory.stack.truncate(self.floor);
        self.floor = floor;
        Ok(found != look.negated)
    }

    /// Whether the body of a look-behind matches up to a place. What it does depends on where it has to end, so that it has
    /// no memo.
    fn looks_behind(
        &mut self,
        entry: Id,
        least: u32,
        most: u32,
        pos: usize,
    ) -> Result<bool, Exhausted> {
        let mut start = pos;
        for chars in 0..=most {
            if chars >= least {
                let mut end = self.go_on::<false>(entry, start)?;
                while end.is_some() {
                    if end == Some(pos) {
                        return Ok(true);
                    }
                    end = self.other_end()?;
                }
            }
            let Some(before) = code_before(self.text, start) else {
                break;
            };
            start -= width(before);
            self.spend(1)?;
        }
        Ok(false)
    }

    /// Finds the groups inside look-arounds. A search with a memo only finds out whether they hold.
    fn capture_looks(&mut self) -> Result<(), Exhausted> {
        for index in 0..self.direct.looks.len() {
            if self.direct.looks[index].captures {
                self.memory.stack.clear();
                self.memory.memo.forget();
                let start = self.memory.looked_from[index] as usize;
                self.go_on::<true>(self.direct.looks[index].entry, start)?;
            }
        }
        Ok(())
    }

    fn holds<const MEMO: bool>(&mut self, what: Assertion, pos: usize) -> Result<bool, Exhausted> {
        match what {
            Assertion::TextStart => Ok(pos == 0),
            Assertion::TextEnd => Ok(pos == self.bytes.len()),
            // Whether a combining mark is part of a word may depend on much that stands before it.
            Assertion::Word { .. } if !MEMO && !self.is_in_ascii(pos) => Err(Exhausted),
            _ => {
                let holds = place::holds(what, self.text, pos, &mut self.marks);
                let looked = self.marks.looked();
                self.spend(looked as usize)?;
                Ok(holds)
            }
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
        work::look(1);
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
            work::look(skip.unwrap_or(rest.len()));
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
        work::look(run.text.as_ref().map_or(1, |text| text.len()));
        run.follow.admits(rest.first().copied())
            && run.text.as_ref().is_none_or(|text| rest.starts_with(text))
    }

    /// The highest place from `low` to below `high` where what comes after a run can begin.
    fn lower(&self, run: &Run, low: usize, high: usize) -> Option<usize> {
        if let Some(text) = &run.text {
            let mut end = high;
            loop {
                let skip = memchr::memrchr(text[0], &self.bytes[low..end]);
                work::look(end - low - skip.unwrap_or(0) + text.len());
                let skip = skip?;
                if self.bytes[low + skip..].starts_with(text) {
                    return Some(low + skip);
                }
                end = low + skip;
            }
        }
        // Inside a character nothing begins.
        let begins = |&byte: &u8| run.follow.has(byte) && !is_inside(byte);
        let skip = self.bytes[low..high].iter().rposition(begins);
        work::look(high - low - skip.unwrap_or(0));
        skip.map(|skip| low + skip)
    }

    fn run<const MEMO: bool>(
        &mut self,
        id: Id,
        run: &Run,
        pos: usize,
    ) -> Result<Reached, Exhausted> {
        let class = &self.direct.classes[run.class];
        let (mut low, mut count) = (pos, 0);
        while count < run.min {
            let Some(after) = self.one(class, low) else {
                self.spend((low - pos) / RUN_BYTES)?;
                return Ok(Reached::Nothing);
            };
            low = after;
            count += 1;
        }
        if MEMO && run.max < UNBOUNDED {
            match self.known(id, pos) {
                Known::New => {}
                Known::Fails => return Ok(Reached::Nothing),
                Known::Succeeds => return Ok(Reached::End),
            }
        }
        if run.lazy {
            self.spend((low - pos) / RUN_BYTES)?;
            return self.more::<MEMO>(id, run, low, count);
        }
        let end = if MEMO && run.max >= UNBOUNDED {
            match self.new_end_of(id, run, low)? {
                Ok(end) => end,
                Err(reached) => return Ok(reached),
            }
        } else if run.max >= UNBOUNDED {
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
            self.begin_at::<MEMO>(id, run, low, end);
            return Ok(Reached::At(run.next, end));
        }
        if self.fits(run, end) {
            self.push::<MEMO>(Frame::Back {
                step: id,
                pos: end as u32,
                low: low as u32,
            })?;
            self.begin_at::<MEMO>(id, run, low, end);
            return Ok(Reached::At(run.next, end));
        }
        self.give_back::<MEMO>(id, run, low, end)
    }

    /// Where a greedy run of any length ends that begins at a place, but for what is known already: a run is the same as
    /// one that begins further on in it. All the places count as tried from now on.
    fn new_end_of(
        &mut self,
        id: Id,
        run: &Run,
        low: usize,
    ) -> Result<Result<usize, Reached>, Exhausted> {
        let class = &self.direct.classes[run.class];
        let row = self.direct.rows[id as usize];
        let (mut end, mut next) = (None, Some(low));
        while let Some(at) = next {
            let known = self.memory.memo.enter(row, at);
            match (known, end) {
                (Known::New, _) => end = Some(at),
                (Known::Succeeds, _) => {
                    // And so do the places that lead here.
                    self.memory.memo.begin(row, low, at);
                    return Ok(Err(Reached::End));
                }
                // To the end and from there back to here it was tried.
                (Known::Fails, None) => return Ok(Err(Reached::Nothing)),
                (Known::Fails, Some(_)) if run.is_sharp => return Ok(Err(Reached::Nothing)),
                (Known::Fails, Some(_)) => break,
            }
            next = self.one(class, at);
        }
        let end = end.unwrap_or(low);
        self.spend((end - low) / TEXT_BYTES)?;
        Ok(Ok(end))
    }

    /// A greedy run of any length is tried with an end: all places in between lead to it too.
    #[inline]
    fn begin_at<const MEMO: bool>(&mut self, id: Id, run: &Run, low: usize, end: usize) {
        if MEMO && run.max >= UNBOUNDED {
            let row = self.direct.rows[id as usize];
            self.memory.memo.begin(row, low, end);
        }
    }

    /// Lets a greedy run that ended at `high` end earlier.
    fn give_back<const MEMO: bool>(
        &mut self,
        id: Id,
        run: &Run,
        low: usize,
        high: usize,
    ) -> Result<Reached, Exhausted> {
        let Some(at) = self.lower(run, low, high) else {
            self.spend((high - low) / TEXT_BYTES)?;
            return Ok(Reached::Nothing);
        };
        self.spend((high - at) / TEXT_BYTES)?;
        if at > low {
            self.push::<MEMO>(Frame::Back {
                step: id,
                pos: at as u32,
                low: low as u32,
            })?;
        }
        self.begin_at::<MEMO>(id, run, low, at);
        Ok(Reached::At(run.next, at))
    }

    /// Lets a lazy run that has so many characters take more, up to where what comes next can begin.
    fn more<const MEMO: bool>(
        &mut self,
        id: Id,
        run: &Run,
        pos: usize,
        mut count: u32,
    ) -> Result<Reached, Exhausted> {
        let class = &self.direct.classes[run.class];
        let row = self.direct.rows[id as usize];
        let mut at = pos;
        loop {
            // From here on it is the same as a run that came by here before.
            if MEMO && run.max >= UNBOUNDED {
                let known = self.memory.memo.enter(row, at);
                if known != Known::New {
                    self.spend((at - pos) / TEXT_BYTES)?;
                    if known == Known::Fails {
                        return Ok(Reached::Nothing);
                    }
                    self.memory.memo.begin(row, pos, at);
                    return Ok(Reached::End);
                }
            }
            if self.fits(run, at) {
                if MEMO && run.max >= UNBOUNDED {
                    self.memory.memo.begin(row, pos, at);
                }
                if count < run.max && at < self.bytes.len() {
                    self.push::<MEMO>(Frame::More {
                        step: id,
                        pos: at as u32,
                        count,
                    })?;
                }
                self.spend((at - pos) / TEXT_BYTES)?;
                return Ok(Reached::At(run.next, at));
            }
            match self.one(class, at) {
                Some(after) if count < run.max => at = after,
                _ => {
                    self.spend((at - pos) / TEXT_BYTES)?;
                    return Ok(Reached::Nothing);
                }
            }
            // Runs of any length are not counted, and there may be more characters than fit.
            count = count.saturating_add(1);
        }
    }

    /// Where to go on after a failure, if anything is left to try.
    fn back<const MEMO: bool>(&mut self) -> Result<Option<(Id, usize)>, Exhausted> {
        while self.memory.stack.len() > self.floor
            && let Some(frame) = self.memory.stack.pop()
        {
            if MEMO {
                self.memory.memo.pop_frame();
            }
            let reached = match frame {
                Frame::Resume { step, pos } => return Ok(Some((step, pos as usize))),
                Frame::Saved { slot, old } => {
                    self.memory.saved[slot as usize] = old;
                    continue;
                }
                Frame::Back { step, pos, low } => {
                    let Step::Run(run) = &self.direct.steps[step as usize] else {
                        continue;
                    };
                    self.give_back::<MEMO>(step, run, low as usize, pos as usize)?
                }
                Frame::More { step, pos, count } => {
                    let Step::Run(run) = &self.direct.steps[step as usize] else {
                        continue;
                    };
                    let class = &self.direct.classes[run.class];
                    match self.one(class, pos as usize) {
                        Some(after) => self.more::<MEMO>(step, run, after, count + 1)?,
                        None => Reached::Nothing,
                    }
                }
            };
            match reached {
                Reached::At(step, pos) => return Ok(Some((step, pos))),
                // The end of the look-around that all this stands in.
                Reached::End => return Ok(Some((0, pos_of(frame)))),
                Reached::Nothing => {}
            }
        }
        Ok(None)
    }
}

/// Where a run or a fork leads.
enum Reached {
    At(Id, usize),
    Nothing,
    /// To the end of the look-around, as is known already.
    End,
}

/// A place that is as good as any, where only the fact counts.
fn pos_of(frame: Frame) -> usize {
    match frame {
        Frame::Resume { pos, .. } | Frame::Back { pos, .. } | Frame::More { pos, .. } => {
            pos as usize
        }
        Frame::Saved { .. } => 0,
    }
}
