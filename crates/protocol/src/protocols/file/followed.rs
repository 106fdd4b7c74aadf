//! A file that is followed by its name, over its rotations.

use super::Reading;
use super::framing::{Framing, Front};
use super::names::Packing;
use super::opened::Opened;
use super::place::{Entry, Identity, Place, Stamp, digest, second};
use super::survey::{Candidate, Folders, Located, Survey, WEAK, Wanted, stem};
use crate::source::{LaneId, Page};
use crate::status::{GapReason, LaneStatus};
use chrono::{DateTime, TimeDelta, Utc};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// Most payloads and bytes in a page.
const PAGE_PAYLOADS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// How much is read at a time, unless a payload is longer.
const PIECE: usize = 256 * 1024;

/// How long an unfinished line at the end of a rotated file waits for its end.
const GRACE: TimeDelta = TimeDelta::seconds(5);

/// How long a file that was read to its end stays open after another one has taken its name: who writes it may learn of
/// that later.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// While no file has the name, newer generations are looked for this often.
const SEARCH: TimeDelta = TimeDelta::seconds(5);

/// A compressed file that breaks off may not be whole yet when it was changed within so many seconds. Whatever compresses
/// sets the time back to that of the source when it is done.
const FRESH: i64 = 60;

/// So many finished generations are remembered, besides those that fit a pattern.
const DONE: usize = 8;
const DONE_OF_MANY: usize = 2;

/// Bytes of paths that stay as they are in a cursor.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The page that is being put together.
#[derive(Debug, Default)]
pub(super) struct Building {
    pub(super) page: Page,
    size: usize,
    /// Whether a position has changed.
    pub(super) is_dirty: bool,
}

impl Building {
    pub(super) fn is_full(&self) -> bool {
        self.page.payloads.len() >= PAGE_PAYLOADS || self.size >= PAGE_BYTES
    }
}

/// Bytes of the file that was read last, from some place on.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    owner: Option<Identity>,
    start: u64,
    bytes: Vec<u8>,
    /// Whether the file ended there.
    is_end: bool,
    stamp: Option<Stamp>,
}

impl Scratch {
    /// Whether it has bytes behind a place of a file.
    fn reaches(&self, identity: Identity, place: &Place) -> bool {
        self.owner == Some(identity)
            && self.start <= place.checked_from()
            && self.start + self.bytes.len() as u64 > place.offset
    }

    pub(super) fn forget(&mut self) {
        self.owner = None;
        if self.bytes.capacity() > 4 * PIECE {
            self.bytes = Vec::new();
        }
    }
}

/// What a file needs to go on.
pub(super) struct Turn<'a> {
    pub(super) now: DateTime<Utc>,
    pub(super) reading: &'a Reading,
    pub(super) lane: &'a LaneId,
    pub(super) status: &'a mut LaneStatus,
    pub(super) page: &'a mut Building,
    pub(super) scratch: &'a mut Scratch,
    pub(super) folders: &'a mut Folders,
    /// The names of all files that are followed.
    pub(super) names: &'a BTreeSet<PathBuf>,
    /// The last gap, and when it was found.
    pub(super) warning: &'a mut Option<(DateTime<Utc>, String)>,
}

impl Turn<'_> {
    pub(super) fn gap(&mut self, reason: GapReason, message: String) {
        warn!(lane = %self.lane, reason = reason.as_str(), "{message}");
        self.status.count_gap(reason, &message);
        self.page.is_dirty = true;
        *self.warning = Some((self.now, message));
    }
}

/// What came of a turn.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There may be more at once.
    More,
    /// The page is full.
    Full,
    /// Everything was read that there is. An unfinished line of a rotated file may still be waited for.
    Rest { is_waiting: bool },
    /// The file is not there.
    Missing(Error),
    /// It was to be read once, and was.
    Over,
}

/// What came of reading on.
enum Read {
    Took,
    Full,
    AtEnd {
        rest: bool,
        stamp: Stamp,
    },
    /// What was read is not in the file any more.
    Changed,
}

/// A generation that was read to its end.
#[derive(Debug)]
struct Finished {
    place: Place,
    /// The file, as long as it may still be written to.
    opened: Option<Opened>,
    /// When something was last written to it, or it was finished.
    active: DateTime<Utc>,
    seen: Option<Stamp>,
    /// Since when it ends with an unfinished line.
    rest_since: Option<DateTime<Utc>>,
    /// It fits the pattern, and is not to be taken for a new file.
    is_held: bool,
}

impl Finished {
    fn known(place: Place) -> Self {
        Self {
            place,
            opened: None,
            active: DateTime::UNIX_EPOCH,
            seen: None,
            rest_since: None,
            is_held: false,
        }
    }
}

/// A file that is followed by its name.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) path: PathBuf,
    /// Where the file that is read is, if not there.
    at: Option<PathBuf>,
    /// What the next page begins with; nothing between two files.
    place: Option<Place>,
    done: Vec<Finished>,
    current: Option<Opened>,
    framing: Framing,
    /// The end was reached when the file looked like this.
    seen: Option<Stamp>,
    /// How the file looked when it was last told from others.
    known: Option<Stamp>,
    /// Whether an unfinished payload is behind the place.
    has_rest: bool,
    /// Since when another file has the name.
    renamed: Option<DateTime<Utc>>,
    searched: Option<DateTime<Utc>>,
    /// It was said that a folder may not be listed.
    is_unlisted: bool,
    /// Something may have happened that the name does not tell.
    looks_back: bool,
    /// It was never looked at.
    is_new: bool,
    /// What is there at the first look is passed over.
    from_end: bool,
    /// It was not there at this second, so nothing that was rotated since then has been read.
    absent_at: Option<i64>,
    /// Up to where it has to be read so that everything was read that was there.
    goal: Option<(Identity, u64)>,
    pub(super) has_caught_up: bool,
    is_over: bool,
}

impl Followed {
    pub(super) fn new(path: PathBuf, reading: &Reading, from_end: bool) -> Self {
        Self {
            path,
            at: None,
            place: None,
            done: Vec::new(),
            current: None,
            framing: Framing::new(reading.format, reading.max_payload, false),
            seen: None,
            known: None,
            has_rest: false,
            renamed: None,
            searched: None,
            is_unlisted: false,
            looks_back: true,
            is_new: true,
            from_end,
            absent_at: None,
            goal: None,
            has_caught_up: false,
            is_over: false,
        }
    }

    /// One that goes on at a stored position.
    pub(super) fn stored(entry: Entry, reading: &Reading) -> Self {
        let path = decoded(&entry.path);
        let mut followed = match entry.place {
            Some(place) => Self::at_place(path, place, reading),
            None => Self::new(path, reading, false),
        };
        followed.at = entry.at.as_deref().map(decoded);
        followed.done = entry.done.into_iter().map(Finished::known).collect();
        followed.is_new = false;
        followed
    }

    /// One that was not there at this second.
    pub(super) fn appeared(path: PathBuf, reading: &Reading, absent_at: Option<i64>) -> Self {
        Self {
            absent_at,
            ..Self::new(path, reading, false)
        }
    }

    /// One that goes on at a place of which nothing else is known.
    pub(super) fn at_place(path: PathBuf, place: Place, reading: &Reading) -> Self {
        let mut followed = Self::new(path, reading, false);
        followed.is_new = false;
        followed.framing.restart(place.in_list);
        followed.place = Some(place);
        followed
    }

    /// What is stored of it; nothing before the first look.
    pub(super) fn entry(&self, with_done: bool) -> Option<Entry> {
        let done = self.done.iter().filter(|_| with_done);
        (!self.is_new).then(|| Entry {
            path: encoded(&self.path),
            at: self.at.as_deref().map(encoded),
            place: self.place.clone(),
            done: done.map(|finished| finished.place.clone()).collect(),
        })
    }

    /// Whether a file is one that it reads or has read.
    pub(super) fn knows(&self, identity: &Identity) -> bool {
        let places = self.done.iter().map(|finished| &finished.place);
        places
            .chain(&self.place)
            .any(|place| place.identity().is(identity))
    }

    /// Remembers finished generations for as long as they are among these files.
    pub(super) fn hold(&mut self, files: &BTreeSet<(u64, u64)>) {
        for finished in &mut self.done {
            finished.is_held = files.contains(&finished.place.file);
        }
    }

    /// The file, where it ends with a payload that is not finished.
    pub(super) fn unfinished(&self) -> Option<&Path> {
        (self.has_rest && !self.is_over).then_some(&self.path)
    }

    pub(super) fn open_files(&self) -> usize {
        let late = self
            .done
            .iter()
            .filter(|finished| finished.opened.is_some());
        late.count() + usize::from(self.current.is_some())
    }

    /// Closes what need not be open.
    pub(super) fn close(&mut self) {
        if self.seen.is_some() && self.renamed.is_none() {
            self.current = None;
        }
        for finished in &mut self.done {
            finished.opened = None;
        }
    }

    /// Whether there is neither the file nor anything of it that was not read.
    pub(super) fn is_gone(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_err()
            && (self.seen.is_some() || self.place.is_none())
    }

    /// From now on everything has to be read that is there now.
    pub(super) fn begin_round(&mut self) {
        self.has_caught_up = false;
        let metadata = std::fs::metadata(&self.path).ok();
        self.goal = metadata.map(|metadata| (Identity::of(&metadata), metadata.len()));
    }

    /// Whether the place is behind what was there when the round began.
    pub(super) fn has_reached_goal(&self) -> bool {
        match (&self.place, &self.goal) {
            (Some(place), Some((identity, length))) => {
                place.identity().is(identity) && place.offset >= *length
            }
            _ => false,
        }
    }

    /// Does the next thing.
    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        if self.is_over {
            return Ok(Outcome::Over);
        }
        if turn.page.is_full() {
            return Ok(Outcome::Full);
        }
        if self.read_late(turn)? {
            return Ok(Outcome::More);
        }
        let (Some(current), Some(place)) = (&mut self.current, &mut self.place) else {
            return if self.is_unchanged() {
                Ok(Outcome::Rest { is_waiting: false })
            } else {
                self.open(turn)
            };
        };
        let stamp = current.stamp()?;
        if self.seen == Some(stamp) {
            return self.at_end(turn);
        }
        if self.known != Some(stamp) && place.offset < WEAK {
            // Files may begin alike: that so little is in it as before does not say that it was not truncated.
            self.known = Some(stamp);
            let place = place.clone();
            let survey = self.survey(turn)?;
            self.find_unreadable_copies(&survey, &place, turn);
            let is_another = |index: usize| {
                let candidate: &Candidate = &survey.candidates[index];
                !candidate.identity.is(&place.identity())
            };
            if self.locate(&survey, &place).index().is_some_and(is_another) {
                self.current = None;
                self.looks_back = true;
            }
            return Ok(Outcome::More);
        }
        match read_on(current, place, &mut self.framing, turn, false) {
            Ok(Read::Took) => {
                self.seen = None;
                Ok(Outcome::More)
            }
            Ok(Read::Full) => Ok(Outcome::Full),
            Ok(Read::AtEnd { rest, stamp }) => {
                self.seen = Some(stamp);
                self.has_rest = rest;
                self.renamed = None;
                self.at_end(turn)
            }
            Ok(Read::Changed) => {
                self.current = None;
                self.seen = None;
                self.looks_back = true;
                Ok(Outcome::More)
            }
            Err(error) if current.is_packed() => self.damaged(error, stamp, turn),
            Err(error) => Err(error),
        }
    }

    /// Whether a file that was closed at its end is still as it was.
    fn is_unchanged(&self) -> bool {
        let (Some(place), Some(seen)) = (&self.place, self.seen) else {
            return false;
        };
        std::fs::metadata(&self.path).is_ok_and(|metadata| {
            Identity::of(&metadata).is(&place.identity()) && Stamp::of(&metadata) == seen
        })
    }

    /// Reads what was written to finished files after others had taken their name. Says whether there was something.
    fn read_late(&mut self, turn: &mut Turn<'_>) -> Result<bool> {
        for finished in &mut self.done {
            let Some(opened) = &mut finished.opened else {
                continue;
            };
            let flushes = finished
                .rest_since
                .is_some_and(|since| turn.reading.once || (turn.now - since).abs() >= GRACE);
            if finished.seen == Some(opened.stamp()?) && !flushes {
                if finished.rest_since.is_none() && (finished.active - turn.now).abs() > LATE {
                    finished.opened = None;
                }
                continue;
            }
            let reading = turn.reading;
            let in_list = finished.place.in_list;
            let mut framing = Framing::new(reading.format, reading.max_payload, in_list);
            match read_on(opened, &mut finished.place, &mut framing, turn, flushes)? {
                Read::Took => {
                    finished.active = turn.now;
                    finished.rest_since = None;
                    return Ok(true);
                }
                Read::Full => {}
                Read::AtEnd { rest, stamp } => {
                    finished.seen = Some(stamp);
                    finished.rest_since = rest.then(|| finished.rest_since.unwrap_or(turn.now));
                }
                // What is written over it belongs to another generation.
                Read::Changed => finished.opened = None,
            }
        }
        Ok(false)
    }

    fn is_waiting_for_late(&self) -> bool {
        self.done
            .iter()
            .any(|finished| finished.opened.is_some() && finished.rest_since.is_some())
    }

    /// There is nothing more to read in the file for now.
    fn at_end(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        let Some(current) = &self.current else {
            return Ok(Outcome::More);
        };
        let named = std::fs::metadata(&self.path).ok();
        let named = named.map(|metadata| Identity::of(&metadata));
        let is_named = named.is_some_and(|named| named.is(&current.identity));
        let is_packed = current.is_packed();
        if self.has_rest && (turn.reading.once || !is_named) {
            let since = *self.renamed.get_or_insert(turn.now);
            if turn.reading.once || is_packed || (turn.now - since).abs() >= GRACE {
                return self.flush(turn);
            }
            return Ok(Outcome::Rest { is_waiting: true });
        }
        let rest = Outcome::Rest {
            is_waiting: self.is_waiting_for_late(),
        };
        if is_named {
            self.renamed = None;
            self.is_over = turn.reading.once;
            return Ok(if self.is_over { Outcome::Over } else { rest });
        }
        let is_early = self
            .searched
            .is_some_and(|searched| (turn.now - searched).abs() < SEARCH);
        if named.is_none() && is_early && !turn.reading.once {
            return Ok(rest);
        }
        self.searched = Some(turn.now);
        let Some(place) = self.place.clone() else {
            return Ok(Outcome::More);
        };
        let (survey, located) = self.survey_for(&place, turn)?;
        self.doubt(&survey, located, &place, turn);
        if matches!(located, Located::Replaced(_)) {
            self.current = None;
            self.looks_back = true;
            return Ok(Outcome::More);
        }
        let message = format!(
            "{} was deleted, not rotated: what was written to other files of its name since, if there were any, is lost",
            self.shown()
        );
        let missing = (GapReason::Missing, message);
        match self.next(&survey, &place, located, missing, turn)? {
            Some((opened, next)) => {
                info!(lane = %turn.lane, "{} has been read to its end: going on with {}", self.shown(), shown(&opened.path));
                self.finish(turn);
                self.resume(opened, next, turn);
                Ok(Outcome::More)
            }
            None if turn.reading.once => {
                self.is_over = true;
                Ok(Outcome::Over)
            }
            None => Ok(rest),
        }
    }

    /// Takes what is behind the place as the last payload of the file.
    fn flush(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        let (Some(current), Some(place)) = (&mut self.current, &mut self.place) else {
            return Ok(Outcome::More);
        };
        let read = read_on(current, place, &mut self.framing, turn, true)?;
        self.seen = None;
        self.has_rest = false;
        match read {
            Read::Full => {
                self.has_rest = true;
                Ok(Outcome::Full)
            }
            Read::Changed => {
                self.current = None;
                self.looks_back = true;
                Ok(Outcome::More)
            }
            Read::Took | Read::AtEnd { .. } => Ok(Outcome::More),
        }
    }

    /// A compressed file cannot be read on.
    fn damaged(&mut self, error: Error, stamp: Stamp, turn: &mut Turn<'_>) -> Result<Outcome> {
        let age = turn.now.timestamp() - second(stamp.modified);
        if age.abs() < FRESH {
            self.current = None;
            self.seen = None;
            return Err(error);
        }
        let path = self.current.as_ref().map(|current| shown(&current.path));
        let path = path.unwrap_or_default();
        turn.gap(
            GapReason::Unreadable,
            format!("{path} is damaged ({error}): what follows in it is lost"),
        );
        self.has_rest = false;
        self.seen = Some(stamp);
        Ok(Outcome::More)
    }

    fn survey(&mut self, turn: &mut Turn<'_>) -> Result<Survey> {
        let survey = self.list(turn)?;
        if let Some(folder) = &survey.unlisted
            && !std::mem::replace(&mut self.is_unlisted, true)
        {
            let folder = shown(folder);
            warn!(lane = %turn.lane, "{folder} may not be listed: rotated files in it are not found; let dsmith read the folder");
        }
        Ok(survey)
    }

    fn list(&self, turn: &mut Turn<'_>) -> Result<Survey> {
        if turn.reading.pattern.is_none() {
            turn.folders.forget();
        }
        let last = self.done.last().map(|finished| &finished.place);
        let places: Vec<&Place> = self.place.iter().chain(last).collect();
        let wanted = Wanted {
            path: &self.path,
            at: self.at.as_deref(),
            folder: turn.reading.rotated_to.as_deref(),
            places: &places,
            is_foreign: &|path| {
                let is_other = |path: &Path| path != self.path && turn.names.contains(path);
                is_other(path) || is_other(&stem(path))
            },
        };
        Survey::of(wanted, turn.folders)
    }

    /// The generations, and which of them is the one of a place. That it is nowhere is looked at twice: while names are
    /// changed one after the other, a file can slip through.
    fn survey_for(&mut self, place: &Place, turn: &mut Turn<'_>) -> Result<(Survey, Located)> {
        let survey = self.survey(turn)?;
        let located = self.locate(&survey, place);
        if located != Located::Nowhere {
            return Ok((survey, located));
        }
        turn.folders.forget();
        let survey = self.survey(turn)?;
        let located = self.locate(&survey, place);
        Ok((survey, located))
    }

    fn locate(&mut self, survey: &Survey, place: &Place) -> Located {
        let done = self.done.iter_mut().map(|finished| &mut finished.place);
        survey.adopt(done.filter(|done| **done != *place));
        let others = self.done.iter().map(|finished| &finished.place);
        let others: Vec<&Place> = others.filter(|other| *other != place).collect();
        survey.locate(place, &others)
    }

    /// Opens the file to go on with.
    fn open(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        turn.scratch.forget();
        if self.is_new {
            return self.first_look(turn);
        }
        let Some(mut place) = self.place.clone() else {
            return self.open_next(turn);
        };
        if !std::mem::take(&mut self.looks_back)
            && place.offset >= WEAK
            && let Ok(mut opened) = Opened::open(&self.path)
            && opened.identity.is(&place.identity())
            && opened.has(&place)?
        {
            self.resume(opened, place, turn);
            return Ok(Outcome::More);
        }
        let (survey, located) = match self.survey_for(&place, turn) {
            Ok(found) => found,
            Err(error) => {
                self.looks_back = true;
                return Err(error);
            }
        };
        let same = |candidate: &Candidate| candidate.identity.is(&place.identity());
        let was_overwritten = survey.candidates.iter().any(same);
        if was_overwritten
            && located
                .index()
                .is_some_and(|index| !same(&survey.candidates[index]))
        {
            turn.gap(
                GapReason::CopyTruncated,
                format!(
                    "{} was truncated: its copy is read, but what was written between the copying and the truncation, if \
                     there was anything, is lost; let the file be renamed instead of copied",
                    self.shown()
                ),
            );
        }
        self.find_unreadable_copies(&survey, &place, turn);
        self.doubt(&survey, located, &place, turn);
        match located {
            Located::At(index) | Located::Replaced(index) => {
                let candidate = &survey.candidates[index];
                let opened = match candidate.open() {
                    Ok(opened) => opened,
                    // It was renamed in this moment.
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        self.looks_back = true;
                        return Ok(Outcome::More);
                    }
                    Err(error) => return Err(error),
                };
                if matches!(located, Located::Replaced(_)) {
                    turn.gap(
                        GapReason::Overwritten,
                        format!(
                            "{} was replaced by another file with the same first {} bytes: going on behind them",
                            self.shown(),
                            place.offset
                        ),
                    );
                }
                if !candidate.identity.is(&place.identity()) {
                    place = place.moved_to(candidate.identity, candidate.stamp);
                    turn.page.is_dirty = true;
                }
                self.resume(opened, place, turn);
                self.open_late(&survey, turn);
                Ok(Outcome::More)
            }
            Located::Behind(index) => {
                let copy = &survey.candidates[index];
                let copy = Place::whole(copy.identity, copy.stamp);
                let missing = (GapReason::Overwritten, String::new());
                let next = self.next(&survey, &place, located, missing, turn)?;
                self.done.push(Finished::known(copy));
                self.go_on(next, turn)
            }
            Located::Nowhere => {
                let reason = if was_overwritten {
                    GapReason::Overwritten
                } else {
                    GapReason::Missing
                };
                let what = if was_overwritten {
                    "was truncated or overwritten, and no copy of what was in it was found"
                } else {
                    "is gone, and was not found under another name"
                };
                let message = format!(
                    "the file that was read as {} {what}: what followed byte {} in it, if there was anything, is lost",
                    self.shown(),
                    place.offset
                );
                // Where files come and go, a file that was read is removed sooner or later.
                let is_lost = turn.reading.pattern.is_some() && !place.is_end;
                let is_gone = std::fs::symlink_metadata(&self.path).is_err();
                let text = message.clone();
                let next = self.next(&survey, &place, located, (reason, message), turn)?;
                if next.is_none() {
                    self.looks_back = true;
                    if is_lost && is_gone {
                        turn.gap(reason, text);
                        let place = self.place.take();
                        self.done.extend(place.map(Finished::known));
                    }
                    return self.missing();
                }
                let place = self.place.take();
                self.done.extend(place.map(Finished::known));
                self.go_on(next, turn)
            }
        }
    }

    /// Goes on with the first file behind those that are done.
    fn open_next(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        let last = self.done.last().map(|finished| finished.place.clone());
        let next = match last {
            Some(last) => {
                let (survey, located) = self.survey_for(&last, turn)?;
                self.doubt(&survey, located, &last, turn);
                let message = format!(
                    "the file that was read last as {} is gone: what was written to others of its name since, if there \
                     were any, is lost",
                    self.shown()
                );
                self.next(&survey, &last, located, (GapReason::Missing, message), turn)?
            }
            None => {
                let survey = self.survey(turn)?;
                self.first_of(&survey, 0, None, turn)?
            }
        };
        self.go_on(next, turn)
    }

    fn go_on(&mut self, next: Option<(Opened, Place)>, turn: &mut Turn<'_>) -> Result<Outcome> {
        let Some((opened, next)) = next else {
            return self.missing();
        };
        if let Some(place) = self.place.take() {
            self.done.push(Finished::known(place));
        }
        self.resume(opened, next, turn);
        turn.page.is_dirty = true;
        Ok(Outcome::More)
    }

    fn missing(&self) -> Result<Outcome> {
        Ok(match std::fs::metadata(&self.path) {
            Ok(_) => Outcome::More,
            Err(error) => Outcome::Missing(error),
        })
    }

    /// Begins. What was rotated before is passed over, unless it fits the pattern too.
    fn first_look(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        let survey = self.survey(turn)?;
        let pattern = turn.reading.pattern.as_ref();
        let is_wanted = |old: &Candidate| {
            let is_since = |time| second(old.stamp.modified) >= time;
            !self.from_end
                && (pattern.is_some_and(|pattern| pattern.matches(&old.path))
                    || self.absent_at.is_some_and(is_since))
        };
        let old = survey
            .candidates
            .iter()
            .filter(|candidate| !candidate.is_named);
        let old: Vec<_> = old.filter(|old| !is_wanted(old)).collect();
        let most = self.most_done(turn);
        for candidate in &old[old.len().saturating_sub(most)..] {
            let whole = Place::whole(candidate.identity, candidate.stamp);
            let end = match candidate.packing {
                Packing::Plain => candidate.open().and_then(|mut opened| opened.end()),
                _ => Ok(whole.clone()),
            };
            self.done.push(Finished::known(end.unwrap_or(whole)));
        }
        if self.from_end
            && let Some(named) = survey.named()
        {
            let mut opened = named.open()?;
            let end = opened.end()?;
            self.resume(opened, end, turn);
        }
        self.is_new = false;
        // From here on it is where it is, even if nothing ever comes.
        turn.page.is_dirty = true;
        Ok(Outcome::More)
    }

    /// The first file that comes after one that was read to its end, and was found here. Without one, `missing` is said.
    fn next(
        &mut self,
        survey: &Survey,
        last: &Place,
        located: Located,
        missing: (GapReason, String),
        turn: &mut Turn<'_>,
    ) -> Result<Option<(Opened, Place)>> {
        if let Some(index) = located.index() {
            return self.first_of(survey, index + 1, None, turn);
        }
        let candidates = &survey.candidates;
        let is_done = |candidate: &Candidate| {
            let mut done = self.done.iter();
            done.any(|finished| finished.place != *last && candidate.is_at(&finished.place))
        };
        let first = match candidates.iter().rposition(is_done) {
            Some(index) => index + 1,
            None => {
                let since = candidates.iter().position(|candidate| {
                    candidate.is_named
                        || last
                            .modified_second()
                            .is_some_and(|time| second(candidate.stamp.modified) >= time)
                });
                since.unwrap_or(candidates.len())
            }
        };
        self.first_of(survey, first, Some((last, missing)), turn)
    }

    /// The first file from here on that is to be read. `missing` is said before, if there is one.
    fn first_of(
        &mut self,
        survey: &Survey,
        first: usize,
        mut missing: Option<(&Place, (GapReason, String))>,
        turn: &mut Turn<'_>,
    ) -> Result<Option<(Opened, Place)>> {
        for candidate in &survey.candidates[first..] {
            if candidate.is_foreign {
                continue;
            }
            let mut done = self
                .done
                .iter()
                .position(|finished| candidate.is_at(&finished.place));
            if done.is_none() && candidate.packing == Packing::Gzip {
                // Compressed after more was written to it.
                done = self.done.iter().position(|finished| {
                    finished.place.offset > 0 && candidate.has_grown_behind(&finished.place)
                });
                if let Some(done) = done {
                    let opened = candidate.open()?;
                    if let Some((_, (reason, message))) = missing.take() {
                        turn.gap(reason, message);
                    }
                    let place = self.done.remove(done).place;
                    return Ok(Some((
                        opened,
                        place.moved_to(candidate.identity, candidate.stamp),
                    )));
                }
            }
            let has_grown = done.is_some_and(|done| {
                candidate.packing == Packing::Plain
                    && candidate.stamp.length > self.done[done].place.offset
            });
            if done.is_some() && !has_grown && !candidate.is_named {
                continue;
            }
            if let Packing::Foreign(ending) = candidate.packing {
                if candidate.is_named {
                    return Err(Error::other(format!(
                        "it is compressed with {ending}, and only gzip is read"
                    )));
                }
                let is_read = missing
                    .take()
                    .is_some_and(|(last, _)| last.is_end && candidate.is_as_old_as(last));
                if !is_read {
                    turn.gap(GapReason::Unreadable, unreadable(&candidate.path, ending));
                }
                let place = Place::whole(candidate.identity, candidate.stamp);
                self.done.push(Finished::known(place));
                turn.page.is_dirty = true;
                continue;
            }
            let opened = match candidate.open() {
                Ok(opened) => opened,
                // It was renamed in this moment.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if let Some((_, (reason, message))) = missing.take() {
                turn.gap(reason, message);
            }
            if survey.left_out > 0 && first == 0 {
                turn.gap(
                    GapReason::TooMany,
                    format!(
                        "{} has too many rotated files: the {} oldest are not read",
                        self.shown(),
                        survey.left_out
                    ),
                );
            }
            let place = match done {
                Some(done) => self.done.remove(done).place,
                None => Place::beginning(opened.identity, candidate.stamp),
            };
            return Ok(Some((opened, place)));
        }
        Ok(None)
    }

    /// So little was read that the file may be another one, compressed: the one that was read may have been removed. Not
    /// so where an older one is still there, because the oldest are removed first.
    fn doubt(&self, survey: &Survey, located: Located, place: &Place, turn: &mut Turn<'_>) {
        let Located::At(index) = located else {
            return;
        };
        let candidate = &survey.candidates[index];
        if candidate.packing == Packing::Gzip
            && index == 0
            && place.offset < WEAK
            && place.modified != Some(candidate.stamp.modified)
            && !candidate.identity.is(&place.identity())
        {
            turn.gap(
                GapReason::Missing,
                format!(
                    "it cannot be told whether {} is the file that was read as {} up to byte {}: if that was removed, what \
                     followed in it is lost",
                    shown(&candidate.path),
                    self.shown(),
                    place.offset
                ),
            );
        }
    }

    /// A file that still has its name may have been truncated when so little was read of it. If a compressed file came
    /// meanwhile that cannot be read, it has the rest.
    fn find_unreadable_copies(&mut self, survey: &Survey, place: &Place, turn: &mut Turn<'_>) {
        let Some(time) = place.modified_second().filter(|_| place.offset < WEAK) else {
            return;
        };
        let has_name = |named: &Candidate| named.identity.is(&place.identity());
        if !survey.named().is_some_and(has_name) {
            return;
        }
        for candidate in &survey.candidates {
            let Packing::Foreign(ending) = candidate.packing else {
                continue;
            };
            let is_known = self.done.iter().any(|done| candidate.is_at(&done.place));
            if is_known || candidate.is_foreign || second(candidate.stamp.modified) <= time {
                continue;
            }
            turn.gap(GapReason::Unreadable, unreadable(&candidate.path, ending));
            let place = Place::whole(candidate.identity, candidate.stamp);
            self.done.push(Finished::known(place));
        }
    }

    /// Opens the finished files that have grown since.
    fn open_late(&mut self, survey: &Survey, turn: &Turn<'_>) {
        for finished in &mut self.done {
            let place = &finished.place;
            let grown = survey.candidates.iter().find(|candidate| {
                candidate.packing == Packing::Plain
                    && !candidate.is_named
                    && !candidate.is_foreign
                    && candidate.stamp.length > place.offset
                    && candidate.is_at(place)
            });
            finished.opened = grown.and_then(|candidate| candidate.open().ok());
            finished.active = turn.now;
        }
    }

    /// The file is done with, and stays open for a while.
    fn finish(&mut self, turn: &mut Turn<'_>) {
        let Some(place) = self.place.take() else {
            return;
        };
        self.done.push(Finished {
            opened: self.current.take().filter(|opened| !opened.is_packed()),
            active: turn.now,
            seen: self.seen,
            ..Finished::known(place)
        });
        turn.page.is_dirty = true;
    }

    fn most_done(&self, turn: &Turn<'_>) -> usize {
        if turn.reading.pattern.is_some() {
            DONE_OF_MANY
        } else {
            DONE
        }
    }

    /// Goes on at a place of a file.
    fn resume(&mut self, opened: Opened, place: Place, turn: &mut Turn<'_>) {
        turn.scratch.forget();
        self.framing.restart(place.in_list);
        let is_link = std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_symlink());
        self.at = if opened.path != self.path {
            Some(opened.path.clone())
        } else if is_link {
            std::fs::canonicalize(&self.path).ok()
        } else {
            None
        };
        self.place = Some(place);
        self.known = opened.stamp().ok();
        self.current = Some(opened);
        self.seen = None;
        self.has_rest = false;
        self.renamed = None;
        self.searched = None;
        let most = self.most_done(turn);
        let mut surplus = self.done.len().saturating_sub(most);
        self.done.retain(|finished| {
            let goes = surplus > 0 && !finished.is_held;
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// Reads payloads into the page. `flushes` says that an unfinished one at the end is one all the same.
fn read_on(
    opened: &mut Opened,
    place: &mut Place,
    framing: &mut Framing,
    turn: &mut Turn<'_>,
    flushes: bool,
) -> Result<Read> {
    if turn.page.is_full() {
        return Ok(Read::Full);
    }
    let mut wanted = PIECE;
    // What was read a while ago may not end any more where it ended then.
    let mut is_fresh = flushes;
    loop {
        let scratch = &mut *turn.scratch;
        if !scratch.reaches(opened.identity, place) || is_fresh {
            let stamp = opened.stamp()?;
            let start = place.checked_from();
            let back = (place.offset - start) as usize;
            scratch.owner = None;
            opened.read(start, back + wanted, &mut scratch.bytes)?;
            scratch.start = start;
            scratch.is_end = scratch.bytes.len() < back + wanted;
            scratch.stamp = Some(stamp);
            // Other bytes before the place: the file was written anew, and is long enough by now not to show it.
            let is_same = scratch.bytes.len() >= back
                && place
                    .tail
                    .as_ref()
                    .is_none_or(|tail| digest(&scratch.bytes[..back]) == *tail);
            if !is_same {
                return Ok(Read::Changed);
            }
            scratch.owner = Some(opened.identity);
            is_fresh = true;
        }
        let stamp = match scratch.stamp {
            Some(stamp) => stamp,
            None => opened.stamp()?,
        };
        let begin = (place.offset - scratch.start) as usize;
        let text = &scratch.bytes[begin..];
        let building = &mut *turn.page;
        let mut taken = 0;
        while taken < text.len() && !building.is_full() {
            match framing.front(&text[taken..], flushes && scratch.is_end) {
                Front::Unfinished => break,
                Front::Payloads {
                    payloads,
                    bytes,
                    malformed,
                } => {
                    taken += bytes;
                    building.size += bytes;
                    building.page.malformed += malformed;
                    building.page.payloads.extend(payloads);
                }
            }
        }
        if taken > 0 {
            place.is_end = scratch.is_end && taken == text.len();
            place.advance(&scratch.bytes[..begin + taken], scratch.start);
            place.modified = Some(stamp.modified);
            place.in_list = framing.in_list;
            building.is_dirty = true;
            return Ok(Read::Took);
        }
        if scratch.is_end && is_fresh {
            if let Some(fault) = opened.fault() {
                return Err(fault);
            }
            let rest = !text.is_empty();
            place.is_end = !rest;
            place.modified = Some(stamp.modified);
            return Ok(Read::AtEnd { rest, stamp });
        }
        if is_fresh && !text.is_empty() {
            wanted = (text.len() * 2).max(PIECE);
        }
        is_fresh = true;
    }
}

fn unreadable(path: &Path, ending: &str) -> String {
    format!(
        "{} is not read, because it is compressed with {ending}: let files be compressed with gzip, or one rotation later",
        shown(path)
    )
}

fn encoded(path: &Path) -> String {
    percent_encode(path.as_os_str().as_bytes(), ENCODED).to_string()
}

fn decoded(text: &str) -> PathBuf {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    PathBuf::from(OsStr::from_bytes(&bytes))
}

/// A path for messages. Names of files are what others make them.
pub(super) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for character in path.display().to_string().chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}
