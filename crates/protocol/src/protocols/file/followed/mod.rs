//! A file that is followed by its name, over its rotations.

mod late;
mod search;

use super::opened::Opened;
use super::paths::{decoded, encoded, shown};
use super::place::{Entry, Identity, Place, Stamp, second};
use super::reader::{Read, Reader};
use super::survey::{Candidate, Located, WEAK};
use super::turn::{Outcome, Turn};
use crate::status::GapReason;
use chrono::{DateTime, TimeDelta, Utc};
use late::{DONE, Finished};
use std::collections::BTreeSet;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use tracing::info;

/// How long an unfinished line at the end of a rotated file waits for its end.
const GRACE: TimeDelta = TimeDelta::seconds(5);

/// While no file has the name, newer generations are looked for this often.
const SEARCH: TimeDelta = TimeDelta::seconds(5);

/// A compressed file that breaks off may not be whole yet when it was changed within so many seconds. Whatever compresses
/// sets the time back to that of the source when it is done.
const FRESH: i64 = 60;

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
    reader: Reader,
    /// The end was reached when the file looked like this.
    seen: Option<Stamp>,
    /// How the file looked when it was last told from others.
    known: Option<Stamp>,
    /// Whether the file ends in an unfinished payload.
    has_rest: bool,
    /// Since when another file has the name.
    renamed: Option<DateTime<Utc>>,
    searched: Option<DateTime<Utc>>,
    /// It was said that a folder may not be listed.
    is_unlisted: bool,
    /// Something may have happened that the name does not tell.
    looks_back: bool,
    /// The compressed file that may be another one than it was taken for.
    doubted: Option<Identity>,
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
    pub(super) fn new(path: PathBuf, from_end: bool) -> Self {
        Self {
            path,
            at: None,
            place: None,
            done: Vec::new(),
            current: None,
            reader: Reader::default(),
            seen: None,
            known: None,
            has_rest: false,
            renamed: None,
            searched: None,
            is_unlisted: false,
            looks_back: true,
            doubted: None,
            is_new: true,
            from_end,
            absent_at: None,
            goal: None,
            has_caught_up: false,
            is_over: false,
        }
    }

    /// One that goes on at a stored position.
    pub(super) fn stored(entry: Entry) -> Self {
        let path = decoded(&entry.path);
        let mut followed = match entry.place {
            Some(place) => Self::at_place(path, place),
            None => Self::new(path, false),
        };
        followed.at = entry.at.as_deref().map(decoded);
        followed.done = entry.done.into_iter().map(Finished::known).collect();
        followed.is_new = false;
        followed
    }

    /// One that was not there at this second.
    pub(super) fn appeared(path: PathBuf, absent_at: Option<i64>) -> Self {
        Self {
            absent_at,
            ..Self::new(path, false)
        }
    }

    /// One that goes on at a place of which nothing else is known.
    pub(super) fn at_place(path: PathBuf, place: Place) -> Self {
        let mut followed = Self::new(path, false);
        followed.is_new = false;
        followed.place = Some(place);
        followed
    }

    /// What is stored of it, with so many of the generations that are done; nothing before the first look.
    pub(super) fn entry(&self, most_done: usize) -> Option<Entry> {
        let left_out = self.done.len().saturating_sub(most_done);
        let done = self.done.iter().enumerate();
        let done = done
            .filter(|(index, finished)| *index >= left_out || (finished.is_held && most_done > 0));
        (!self.is_new).then(|| Entry {
            path: encoded(&self.path),
            at: self.at.as_deref().map(encoded),
            place: self.place.clone(),
            done: done.map(|(_, finished)| finished.place.clone()).collect(),
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

    /// Bytes of memory for unfinished payloads.
    pub(super) fn memory(&self) -> usize {
        let late = self.done.iter().map(|finished| finished.reader.memory());
        late.sum::<usize>() + self.reader.memory()
    }

    /// The readers that hold such memory.
    pub(super) fn readers(&mut self) -> impl Iterator<Item = &mut Reader> {
        let late = self.done.iter_mut().map(|finished| &mut finished.reader);
        late.chain([&mut self.reader])
            .filter(|reader| reader.memory() > 0)
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

    /// Whether everything was read that was there when the round began.
    pub(super) fn is_read(&self) -> bool {
        let has_reached_goal = match (&self.place, &self.goal) {
            (Some(place), Some((identity, length))) => {
                place.identity().is(identity) && place.reached() >= *length
            }
            _ => false,
        };
        let has_read_all = self.has_caught_up || (has_reached_goal && !self.looks_back);
        has_read_all && !self.has_late()
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
        if self.known != Some(stamp) && place.reached() < WEAK {
            // Files may begin alike: that so little is in it as before does not say that it was not truncated.
            self.known = Some(stamp);
            let place = place.clone();
            let survey = self.survey(turn)?;
            self.find_unreadable_copies(&survey, &place, turn);
            let is_another = |index: usize| {
                let candidate: &Candidate = &survey.candidates[index];
                !candidate.identity.is(&place.identity())
            };
            if self
                .locate(&survey, &place, turn)
                .index()
                .is_some_and(is_another)
            {
                self.current = None;
                self.looks_back = true;
            }
            return Ok(Outcome::More);
        }
        match self.reader.read_on(current, place, turn, false) {
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
                self.resume(opened, next);
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
        let read = self.reader.read_on(current, place, turn, true)?;
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
            Read::Took => Ok(Outcome::More),
            Read::AtEnd { stamp, .. } => {
                self.seen = Some(stamp);
                Ok(Outcome::More)
            }
        }
    }

    /// A compressed file cannot be read on.
    fn damaged(&mut self, error: Error, stamp: Stamp, turn: &mut Turn<'_>) -> Result<Outcome> {
        if !is_settled(stamp, turn.now) {
            self.current = None;
            self.seen = None;
            return Err(error);
        }
        let path = self.current.as_ref().map(|current| shown(&current.path));
        let path = path.unwrap_or_default();
        turn.gap(GapReason::Unreadable, damaged(&path, &error));
        self.has_rest = false;
        self.seen = Some(stamp);
        Ok(Outcome::More)
    }

    fn missing(&self) -> Result<Outcome> {
        Ok(match std::fs::metadata(&self.path) {
            Ok(_) => Outcome::More,
            Err(error) => Outcome::Missing(error),
        })
    }

    /// Goes on at a place of a file.
    fn resume(&mut self, opened: Opened, place: Place) {
        self.reader.forget();
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
        if let Some((_, older)) = self.done.split_last_mut() {
            // They are needed for the newest only.
            for finished in older {
                finished.place.last_bytes = Vec::new();
            }
        }
        let mut surplus = self.done.len().saturating_sub(DONE);
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

/// Whether a compressed file that breaks off was not changed for a while.
fn is_settled(stamp: Stamp, now: DateTime<Utc>) -> bool {
    (now.timestamp() - second(stamp.modified)).abs() >= FRESH
}

fn damaged(path: &str, error: &Error) -> String {
    format!("{path} is damaged ({error}): what follows in it is lost")
}
