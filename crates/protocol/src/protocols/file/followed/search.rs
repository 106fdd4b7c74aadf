//! Finds the generation that was being read, and the one that comes next.

use super::Followed;
use super::late::{DONE, Finished};
use crate::protocols::file::names::Packing;
use crate::protocols::file::opened::Opened;
use crate::protocols::file::paths::shown;
use crate::protocols::file::place::{Place, Stamp, second};
use crate::protocols::file::survey::{Candidate, Located, Survey, WEAK, Wanted, stem};
use crate::protocols::file::turn::{Outcome, Turn};
use crate::protocols::file::vanished::Sought;
use crate::status::GapReason;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use tracing::warn;

impl Followed {
    pub(super) fn survey(&mut self, turn: &mut Turn<'_>) -> Result<Survey> {
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
    pub(super) fn survey_for(
        &mut self,
        place: &Place,
        turn: &mut Turn<'_>,
    ) -> Result<(Survey, Located)> {
        let mut survey = self.survey(turn)?;
        let mut located = self.locate(&survey, place, turn);
        if located == Located::Nowhere {
            turn.folders.forget();
            survey = self.survey(turn)?;
            located = self.locate(&survey, place, turn);
        }
        Ok((survey, located))
    }

    pub(super) fn locate(
        &mut self,
        survey: &Survey,
        place: &Place,
        turn: &mut Turn<'_>,
    ) -> Located {
        let is_whole = |opened: &Option<Opened>, seen: Option<Stamp>| {
            let stamp = opened.as_ref().and_then(|opened| opened.stamp().ok());
            stamp.is_some() && stamp == seen
        };
        let current = Sought {
            place,
            whole: is_whole(&self.current, self.seen) && !self.has_rest,
        };
        let done = self.done.iter_mut().map(|finished| Sought {
            whole: is_whole(&finished.opened, finished.seen) && finished.rest_since.is_none(),
            place: &mut finished.place,
        });
        let done = done.filter(|sought| *sought.place != *place).collect();
        let assigned = survey.assign(done, current);
        for (index, offset) in assigned.doubtful {
            let candidate = &survey.candidates[index];
            if self.doubted.replace(candidate.identity) == Some(candidate.identity) {
                continue;
            }
            turn.gap(
                GapReason::Missing,
                format!(
                    "it cannot be told whether {} is the file that was read as {} up to byte {offset}: if that was removed, \
                     what followed in it is lost",
                    shown(&candidate.path),
                    self.shown(),
                ),
            );
        }
        self.open_late(survey, turn);
        let others = self.done.iter().map(|finished| &finished.place);
        let others: Vec<&Place> = others.filter(|other| *other != place).collect();
        survey.locate(place, &others, assigned.current)
    }

    /// Opens the file to go on with.
    pub(super) fn open(&mut self, turn: &mut Turn<'_>) -> Result<Outcome> {
        self.reader.forget();
        if self.is_new {
            return self.first_look(turn);
        }
        let Some(mut place) = self.place.clone() else {
            return self.open_next(turn);
        };
        if !std::mem::take(&mut self.looks_back)
            && place.reached() >= WEAK
            && let Ok(mut opened) = Opened::open(&self.path)
            && opened.identity.is(&place.identity())
            && opened.has(&place)?
        {
            self.resume(opened, place);
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
                            place.reached()
                        ),
                    );
                }
                if !candidate.identity.is(&place.identity()) {
                    place = place.moved_to(candidate.identity, candidate.stamp);
                    turn.page.is_dirty = true;
                }
                self.resume(opened, place);
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
                    place.reached()
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
        self.resume(opened, next);
        turn.page.is_dirty = true;
        Ok(Outcome::More)
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
        for candidate in &old[old.len().saturating_sub(DONE)..] {
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
            self.resume(opened, end);
        }
        self.is_new = false;
        // From here on it is where it is, even if nothing ever comes.
        turn.page.is_dirty = true;
        Ok(Outcome::More)
    }

    /// The first file that comes after one that was read to its end, and was found here. Without one, `missing` is said.
    pub(super) fn next(
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
            let done = self
                .done
                .iter()
                .position(|finished| candidate.is_at(&finished.place));
            let has_grown =
                done.is_some_and(|done| candidate.goes_on_behind(&self.done[done].place));
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

    /// A file that still has its name may have been truncated when so little was read of it. If a compressed file came
    /// meanwhile that cannot be read, it has the rest.
    pub(super) fn find_unreadable_copies(
        &mut self,
        survey: &Survey,
        place: &Place,
        turn: &mut Turn<'_>,
    ) {
        let Some(time) = place.modified_second().filter(|_| place.reached() < WEAK) else {
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
}

fn unreadable(path: &Path, ending: &str) -> String {
    format!(
        "{} is not read, because it is compressed with {ending}: let files be compressed with gzip, or one rotation later",
        shown(path)
    )
}
