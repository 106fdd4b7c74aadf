//! Generations that were read to their ends. Whoever writes to one may not know yet that another file has its name.

use super::{Followed, GRACE, damaged, is_settled};
use crate::protocols::file::opened::Opened;
use crate::protocols::file::paths::shown;
use crate::protocols::file::place::{Place, Stamp};
use crate::protocols::file::reader::{Read, Reader};
use crate::protocols::file::survey::Survey;
use crate::protocols::file::turn::Turn;
use crate::status::GapReason;
use chrono::{DateTime, TimeDelta, Utc};
use std::io::Result;

/// How long a file that was read to its end stays open after another one has taken its name: who writes it may learn of
/// that later.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// So many finished generations are remembered, besides those that fit a pattern.
pub(super) const DONE: usize = 8;

/// A generation that was read to its end.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) place: Place,
    /// The file, as long as it may still be written to.
    pub(super) opened: Option<Opened>,
    pub(super) reader: Reader,
    /// When something was last written to it, or it was finished.
    active: DateTime<Utc>,
    pub(super) seen: Option<Stamp>,
    /// Since when it ends with an unfinished line.
    pub(super) rest_since: Option<DateTime<Utc>>,
    /// It fits the pattern, and is not to be taken for a new file.
    pub(super) is_held: bool,
}

impl Finished {
    pub(super) fn known(place: Place) -> Self {
        Self {
            place,
            opened: None,
            reader: Reader::default(),
            active: DateTime::UNIX_EPOCH,
            seen: None,
            rest_since: None,
            is_held: false,
        }
    }
}

impl Followed {
    /// Reads what was written to finished files after others had taken their name. Says whether there was something.
    pub(super) fn read_late(&mut self, turn: &mut Turn<'_>) -> Result<bool> {
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
            let (stamp, is_packed) = (opened.stamp()?, opened.is_packed());
            let reader = &mut finished.reader;
            let read = match reader.read_on(opened, &mut finished.place, turn, flushes) {
                Err(error) if is_packed => {
                    if !is_settled(stamp, turn.now) {
                        return Err(error);
                    }
                    let path = shown(&opened.path);
                    turn.gap(GapReason::Unreadable, damaged(&path, &error));
                    finished.place.is_end = true;
                    finished.opened = None;
                    continue;
                }
                read => read?,
            };
            match read {
                Read::Took => {
                    finished.active = turn.now;
                    finished.rest_since = None;
                    return Ok(true);
                }
                Read::Full => {}
                Read::AtEnd { rest, stamp } => {
                    finished.seen = Some(stamp);
                    let is_waiting = rest && !flushes;
                    finished.rest_since =
                        is_waiting.then(|| finished.rest_since.unwrap_or(turn.now));
                }
                // What is written over it belongs to another generation.
                Read::Changed => finished.opened = None,
            }
        }
        Ok(false)
    }

    pub(super) fn is_waiting_for_late(&self) -> bool {
        self.done
            .iter()
            .any(|finished| finished.opened.is_some() && finished.rest_since.is_some())
    }

    /// Opens the finished files that have grown since, also those that were compressed then.
    pub(super) fn open_late(&mut self, survey: &Survey, turn: &Turn<'_>) {
        for finished in &mut self.done {
            if finished.opened.is_some() {
                continue;
            }
            let place = &finished.place;
            let grown = survey.candidates.iter().find(|candidate| {
                !candidate.is_named
                    && !candidate.is_foreign
                    && candidate.is_at(place)
                    && candidate.goes_on_behind(place)
            });
            finished.opened = grown.and_then(|candidate| candidate.open().ok());
            finished.seen = None;
            finished.active = turn.now;
        }
    }

    /// Whether finished files have grown and were not read since.
    pub(super) fn has_late(&self) -> bool {
        let mut late = self.done.iter();
        late.any(|finished| finished.opened.is_some() && finished.seen.is_none())
    }

    /// The file is done with, and stays open for a while.
    pub(super) fn finish(&mut self, turn: &mut Turn<'_>) {
        let Some(place) = self.place.take() else {
            return;
        };
        self.done.push(Finished {
            opened: self.current.take().filter(|opened| !opened.is_packed()),
            reader: std::mem::take(&mut self.reader),
            active: turn.now,
            seen: self.seen,
            ..Finished::known(place)
        });
        turn.page.is_dirty = true;
    }
}
