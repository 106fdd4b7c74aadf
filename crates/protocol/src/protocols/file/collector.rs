//! Reads files on and on, over rotations and restarts.

use super::Reading;
use super::followed::Followed;
use super::paths::shown;
use super::place::{Identity, Place, Position, Stored};
use super::survey::Folders;
use super::turn::{Building, Outcome, Turn};
use crate::Cursor;
use crate::clock::Clock;
use crate::cursor::CursorError;
use crate::source::{Collector, LaneId, Page, Progress, Sink, Step};
use crate::status::{GapReason, LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use framing::{FaultKind, Framing};
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Result};
use std::mem::Discriminant;
use std::path::{Path, PathBuf};
use tracing::warn;

/// Version of the cursor. Version 1 knew one file, and only the beginning of it.
const VERSION: u32 = 2;

/// How often the end of a file is looked at.
const IDLE: TimeDelta = TimeDelta::seconds(1);

/// How long to wait after a fault.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// What keeps a file from being read is no obstacle before it has lasted so long: a file that is being rotated is missing
/// for a moment, and a line that is being written has no end.
const OBSTACLE: TimeDelta = TimeDelta::seconds(5);

/// How often files that fit a pattern are searched for, and how often where the search looks at many names.
const SEARCH: TimeDelta = TimeDelta::seconds(5);
const LONG_SEARCH: TimeDelta = TimeDelta::seconds(60);
const MANY_NAMES: usize = 20_000;

/// How long a file is remembered that is gone, as long as there is room.
const FORGET: TimeDelta = TimeDelta::hours(24);

/// How long a gap is shown as the state of the lane.
const WARNING: TimeDelta = TimeDelta::hours(1);

/// Files that are at their end are closed when more than this are open.
const MAX_OPEN: usize = 256;

/// Bytes of unfinished payloads that are kept. What is forgotten is read again when more of it has come.
const MAX_KEPT: usize = 64 << 20;

/// Turns in one step; a step is to come to its end soon.
const MAX_TURNS: usize = 64;

/// A cursor that would become longer leaves out generations that are done with.
const LONG_CURSOR: usize = Cursor::MAX_BYTES / 10 * 9;

/// So many bytes of paths leave enough room in the cursor for the positions.
const MAX_PATHS: usize = Cursor::MAX_BYTES / 2;

#[derive(Debug)]
pub(super) struct FileCollector {
    reading: Reading,
    id: LaneId,
    files: Vec<Slot>,
    /// The paths of `files`.
    names: BTreeSet<PathBuf>,
    /// Positions of files that are not followed under the same path any more.
    orphans: Vec<Place>,
    /// Which file has the next turn.
    turn: usize,
    /// When to search for files that fit the pattern; before the first search `None`.
    searched: Option<(DateTime<Utc>, TimeDelta)>,
    /// The second of the first search of all.
    first_search: Option<i64>,
    /// Nothing has ever been read, so `start` decides where to begin.
    is_new: bool,
    /// Files that fit the pattern and are too many.
    left_out: usize,
    /// A buffer for what is read.
    scratch: Vec<u8>,
    offered: Option<Page>,
    /// The last gap, and when it was found.
    warning: Option<(DateTime<Utc>, String)>,
    /// When a fault of a kind was last logged.
    logged: Vec<(Discriminant<FaultKind>, DateTime<Utc>)>,
    finished: bool,
    /// The most bytes that unfinished payloads have ever taken.
    #[cfg(test)]
    most_kept: usize,
    progress: Progress,
    /// Since when something keeps what is there from being read whole.
    stuck_since: Option<DateTime<Utc>>,
    status: LaneStatus,
}

/// A file, and what keeps it from being read.
#[derive(Debug)]
struct Slot {
    file: Followed,
    fault: Option<(DateTime<Utc>, Error)>,
    gone_since: Option<DateTime<Utc>>,
}

impl Slot {
    fn new(file: Followed) -> Self {
        Self {
            file,
            fault: None,
            gone_since: None,
        }
    }
}

impl FileCollector {
    pub(super) fn new(
        reading: Reading,
        id: LaneId,
        cursor: &Cursor,
    ) -> std::result::Result<Self, CursorError> {
        let stored: Option<Stored> = cursor.decode(VERSION)?;
        let mut collector = Self {
            id,
            files: Vec::new(),
            names: BTreeSet::new(),
            orphans: Vec::new(),
            turn: 0,
            searched: None,
            first_search: None,
            is_new: stored.is_none(),
            left_out: 0,
            scratch: Vec::new(),
            offered: None,
            warning: None,
            logged: Vec::new(),
            finished: false,
            #[cfg(test)]
            most_kept: 0,
            progress: Progress::Behind,
            stuck_since: None,
            status: LaneStatus::default(),
            reading,
        };
        match stored {
            Some(Stored::Files(position)) => {
                collector.first_search = position.searched;
                for entry in position.files {
                    let place = entry.place.clone();
                    let file = Followed::stored(entry);
                    if collector.reading.is_meant(&file.path) {
                        collector.names.insert(file.path.clone());
                        collector.files.push(Slot::new(file));
                    } else {
                        collector.orphans.extend(place);
                    }
                }
            }
            Some(Stored::File(place)) if collector.reading.pattern.is_none() => {
                collector.follow_path(Some(place));
            }
            Some(Stored::File(place)) => collector.orphans.push(place),
            None => {}
        }
        if collector.reading.pattern.is_none() && collector.files.is_empty() {
            let place = collector.orphans.pop();
            collector.follow_path(place);
        }
        Ok(collector)
    }

    /// Follows the one file.
    fn follow_path(&mut self, place: Option<Place>) {
        let path = self.reading.path.clone();
        self.names.insert(path.clone());
        let file = match place {
            Some(place) => Followed::at_place(path, place),
            None => Followed::new(path, self.reading.from_end),
        };
        self.files.push(Slot::new(file));
    }

    fn next(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> Result<Step> {
        if self.offered.is_some() {
            return Ok(self.offer(now, sink));
        }
        if self.finished {
            return Ok(Step::Finished);
        }
        let mut building = Building::default();
        self.search(now, &mut building)?;
        let is_at_rest = self.take_turns(now, &mut building);
        if building.is_dirty || building.page.malformed > 0 {
            self.offered = Some(Page {
                cursor: self.cursor(),
                more: !is_at_rest,
                ..building.page
            });
            return Ok(Step::Again);
        }
        if !is_at_rest {
            return Ok(self.end_of_round(now).unwrap_or(Step::Again));
        }
        Ok(self.rest(now))
    }

    /// Lets files read until the page is full. Says whether there is nothing more to read for now.
    fn take_turns(&mut self, now: DateTime<Utc>, building: &mut Building) -> bool {
        let mut folders = Folders::default();
        let mut turns = 0;
        let mut kept = self.files.iter().map(|slot| slot.file.memory()).sum();
        kept = self.forget_largest(kept);
        for _ in 0..self.files.len() {
            let index = self.turn % self.files.len();
            let slot = &mut self.files[index];
            let held = slot.file.memory();
            if let Some((since, _)) = &slot.fault
                && (now - *since).abs() < PAUSE
            {
                self.turn = index + 1;
                continue;
            }
            loop {
                let mut turn = Turn {
                    now,
                    reading: &self.reading,
                    lane: &self.id,
                    status: &mut self.status,
                    page: building,
                    scratch: &mut self.scratch,
                    folders: &mut folders,
                    names: &self.names,
                    warning: &mut self.warning,
                    logged: &mut self.logged,
                };
                let outcome = slot.file.turn(&mut turn);
                let had_fault = slot.fault.take();
                match outcome {
                    Ok(Outcome::More) => {
                        turns += 1;
                        if building.is_full() || turns >= MAX_TURNS {
                            self.turn = index + usize::from(self.files.len() > 1);
                            return false;
                        }
                    }
                    Ok(Outcome::Full) => {
                        self.turn = index;
                        return false;
                    }
                    Ok(Outcome::Rest { is_waiting }) => {
                        let is_whole = slot.file.unfinished().is_none();
                        slot.file.has_caught_up |= !is_waiting && is_whole;
                        slot.gone_since = None;
                        break;
                    }
                    Ok(Outcome::Over) => {
                        slot.file.has_caught_up = true;
                        break;
                    }
                    // Files that fit a pattern come and go.
                    Ok(Outcome::Missing(_)) if self.reading.pattern.is_some() => {
                        slot.file.has_caught_up = true;
                        break;
                    }
                    Ok(Outcome::Missing(error)) | Err(error) => {
                        let message = error.to_string();
                        if had_fault.is_none_or(|(_, known)| known.to_string() != message) {
                            let path = shown(&slot.file.path);
                            warn!(lane = %self.id, "{path} cannot be read: {message}");
                        }
                        slot.fault = Some((now, error));
                        break;
                    }
                }
            }
            kept = (kept + slot.file.memory()).saturating_sub(held);
            #[cfg(test)]
            {
                self.most_kept = self.most_kept.max(kept);
            }
            kept = self.forget_largest(kept);
            self.turn = index + 1;
        }
        true
    }

    /// Searches for files that fit the pattern, when it is time.
    fn search(&mut self, now: DateTime<Utc>, building: &mut Building) -> Result<()> {
        let is_due = match self.searched {
            Some((searched, pause)) => (now - searched).abs() >= pause,
            None => true,
        };
        let Some(pattern) = self.reading.pattern.clone().filter(|_| is_due) else {
            if self.searched.is_none() {
                self.begin_round();
                self.searched = Some((now, SEARCH));
            }
            return Ok(());
        };
        let is_first = self.searched.is_none();
        // A file that was there before and is remembered no more was gone for long.
        let forgotten = (now - FORGET).timestamp();
        let absent_at = self.first_search.map(|first| first.max(forgotten));
        let names = &self.names;
        let at_most = self.reading.max_files + names.len();
        let matches = pattern.search(at_most, &|path| {
            let base = super::pattern::base_of(path, &|base| {
                pattern.matches(base) && (names.contains(base) || base.is_file())
            });
            names.contains(path) || base.is_none()
        })?;
        let pause = if matches.names > MANY_NAMES {
            LONG_SEARCH
        } else {
            SEARCH
        };
        self.searched = Some((now, pause));
        let mut there = BTreeSet::new();
        let mut left_out = matches.more;
        for path in &matches.paths {
            let Ok(metadata) = std::fs::metadata(path) else {
                continue;
            };
            let identity = Identity::of(&metadata);
            there.insert((identity.device, identity.inode));
            if self.names.contains(path) {
                continue;
            }
            // A file that was renamed, or has two names, is not another one.
            if self.files.iter().any(|slot| slot.file.knows(&identity)) {
                continue;
            }
            if !self.has_room_for(path) {
                left_out += 1;
                continue;
            }
            let orphan = self
                .orphans
                .iter()
                .position(|place| place.identity().is(&identity));
            let file = match orphan {
                Some(orphan) => {
                    let place = self.orphans.swap_remove(orphan);
                    Followed::at_place(path.clone(), place)
                }
                None if is_first && self.is_new => {
                    Followed::new(path.clone(), self.reading.from_end)
                }
                None => Followed::appeared(path.clone(), absent_at),
            };
            self.names.insert(path.clone());
            self.files.push(Slot::new(file));
        }
        for slot in &mut self.files {
            slot.file.hold(&there);
        }
        if left_out > self.left_out {
            let message = format!(
                "{} fits {left_out} files more than max_files = {} lets be read: they are not read; raise max_files, or \
                 narrow the pattern",
                self.reading.path.display(),
                self.reading.max_files
            );
            warn!(lane = %self.id, "{message}");
            self.status.count_gap(GapReason::TooMany, &message);
        }
        self.left_out = left_out;
        self.first_search.get_or_insert(now.timestamp());
        // From here on it is known what was there, even if it was nothing.
        building.is_dirty |= is_first && self.is_new;
        self.forget(now, building);
        if is_first {
            self.begin_round();
        }
        Ok(())
    }

    /// Whether one more file may be followed. One that is gone makes room.
    fn has_room_for(&mut self, path: &Path) -> bool {
        let bytes = |path: &Path| path.as_os_str().len() * 3;
        let paths: usize = self.names.iter().map(|path| bytes(path)).sum();
        if self.files.len() < self.reading.max_files && paths + bytes(path) < MAX_PATHS {
            return true;
        }
        let gone = self.files.iter().filter(|slot| slot.file.is_gone());
        let Some(path) = gone
            .filter_map(|slot| slot.gone_since.map(|since| (since, slot.file.path.clone())))
            .min()
            .map(|(_, path)| path)
        else {
            return false;
        };
        self.drop_file(&path);
        true
    }

    /// Forgets files that have been gone for long.
    fn forget(&mut self, now: DateTime<Utc>, building: &mut Building) {
        let mut old = Vec::new();
        for slot in &mut self.files {
            if !slot.file.is_gone() {
                slot.gone_since = None;
            } else if now - *slot.gone_since.get_or_insert(now) > FORGET {
                old.push(slot.file.path.clone());
            }
        }
        for path in old {
            building.is_dirty = true;
            self.drop_file(&path);
        }
    }

    fn drop_file(&mut self, path: &Path) {
        self.names.remove(path);
        self.files.retain(|slot| slot.file.path != path);
    }

    fn begin_round(&mut self) {
        for slot in &mut self.files {
            slot.file.begin_round();
        }
    }

    /// The round ends when everything was read that was there when it began, and the sink has it.
    fn end_of_round(&mut self, now: DateTime<Utc>) -> Option<Step> {
        let is_over = self
            .files
            .iter()
            .all(|slot| slot.file.is_read() || slot.fault.is_some());
        if !is_over {
            return None;
        }
        self.count_round();
        Some(Step::Wait(now))
    }

    fn count_round(&mut self) {
        let is_whole = !self.files.is_empty() && self.files.iter().all(|slot| slot.fault.is_none());
        if is_whole {
            self.status.rounds += 1;
            self.progress = Progress::CaughtUp;
            self.stuck_since = None;
        } else {
            self.status.rounds_failed += 1;
        }
        self.begin_round();
    }

    /// There is nothing more to read for now.
    fn rest(&mut self, now: DateTime<Utc>) -> Step {
        let is_over = self
            .files
            .iter()
            .all(|slot| slot.file.is_read() || slot.fault.is_some());
        if is_over {
            self.count_round();
        }
        self.close_some();
        self.scratch = Vec::new();
        let faults = self
            .files
            .iter()
            .filter(|slot| slot.fault.is_some())
            .count();
        if faults == 0 && !self.files.is_empty() {
            self.status.failures = 0;
            self.status.last_success = Some(now);
            if self.reading.once && is_over {
                self.finished = true;
                let message = format!("{} has been read to its end", self.reading.path.display());
                self.status.set(now, State::Ok, message, None);
                return Step::Again;
            }
        }
        self.set_state(now);
        self.find_obstacle(now, faults > 0 || self.files.is_empty());
        Step::Wait(
            now + if faults == self.files.len() {
                PAUSE
            } else {
                IDLE
            },
        )
    }

    /// Says what keeps everything from being read, if that lasts.
    fn find_obstacle(&mut self, now: DateTime<Utc>, has_fault: bool) {
        let mut rests = self.files.iter().filter_map(|slot| slot.file.unfinished());
        let reason = if has_fault {
            Some(self.status.message.clone())
        } else {
            rests.next().map(|path| {
                let path = shown(path);
                match self.reading.format {
                    Framing::Json => {
                        format!("the last value of {path} is no event yet, because it has no end")
                    }
                    _ => format!(
                        "the last line of {path} is no event yet, because no line end follows it"
                    ),
                }
            })
        };
        match reason {
            None => self.stuck_since = None,
            Some(reason) => {
                let since = *self.stuck_since.get_or_insert(now);
                if (now - since).abs() >= OBSTACLE && self.progress != Progress::CaughtUp {
                    self.progress = Progress::Blocked(reason);
                }
            }
        }
    }

    /// Forgets the largest unfinished payloads until the others, of this many bytes with them, are not too much. Says how
    /// many bytes are kept.
    fn forget_largest(&mut self, mut kept: usize) -> usize {
        while kept > MAX_KEPT {
            let readers = self.files.iter_mut().flat_map(|slot| slot.file.readers());
            let Some(largest) = readers.max_by_key(|reader| reader.memory()) else {
                break;
            };
            kept = kept.saturating_sub(largest.memory());
            largest.forget();
        }
        kept
    }

    fn close_some(&mut self) {
        let open: usize = self.files.iter().map(|slot| slot.file.open_files()).sum();
        if open > MAX_OPEN {
            for slot in &mut self.files {
                slot.file.close();
            }
        }
    }

    fn set_state(&mut self, now: DateTime<Utc>) {
        let path = self.reading.path.display().to_string();
        let faults = self.files.iter().filter_map(|slot| {
            slot.fault
                .as_ref()
                .map(|(_, error)| (&slot.file.path, error))
        });
        let faults: Vec<(String, ErrorKind, String)> = faults
            .map(|(path, error)| (shown(path), error.kind(), error.to_string()))
            .collect();
        if let Some((file, kind, error)) = faults.first() {
            let message = match faults.len() {
                1 => format!("{file} cannot be read: {error}"),
                count => format!("{count} files cannot be read, {file} among them: {error}"),
            };
            return self.fail(*kind, message, now);
        }
        if self.files.is_empty() {
            return self.fail(ErrorKind::NotFound, format!("no file fits {path}"), now);
        }
        if self.left_out > 0 {
            let message = format!(
                "reading {} files of {path}; {} more are not read",
                self.files.len(),
                self.left_out
            );
            let remedy = "raise max_files, or narrow the pattern";
            return self
                .status
                .set(now, State::Warn, message, Some(remedy.to_owned()));
        }
        let message = match (&self.reading.pattern, self.files.len()) {
            (Some(_), 1) => format!("reading 1 file of {path}"),
            (Some(_), count) => format!("reading {count} files of {path}"),
            (None, _) => format!("reading {path}"),
        };
        match &self.warning {
            Some((time, gap)) if (now - *time).abs() < WARNING => {
                let message = format!("{message}; {gap}");
                self.status.set(now, State::Warn, message, None);
            }
            _ => self.status.set(now, State::Ok, message, None),
        }
    }

    fn fail(&mut self, kind: ErrorKind, message: String, now: DateTime<Utc>) {
        let is_missing = kind == ErrorKind::NotFound;
        let (state, remedy) = if is_missing && !self.reading.once {
            (
                State::Warn,
                "ignore this if the file will be created later; else check the parameter path",
            )
        } else {
            (
                State::Error,
                "check the parameter path and who may read the file",
            )
        };
        self.status.failures = self.status.failures.saturating_add(1);
        self.status
            .set(now, state, message, Some(remedy.to_owned()));
    }

    fn cursor(&self) -> Cursor {
        let encode = |most_done: usize| {
            let files = self.files.iter();
            let position = Position {
                searched: self.first_search,
                files: files
                    .filter_map(|slot| slot.file.entry(most_done))
                    .collect(),
            };
            Cursor::encode(VERSION, &position)
        };
        let is_long = |cursor: &Cursor| {
            let text = cursor.as_text();
            text.is_some_and(|text| text.len() > LONG_CURSOR)
        };
        let mut cursor = encode(usize::MAX);
        for most_done in [2, 0] {
            if is_long(&cursor) {
                cursor = encode(most_done);
            }
        }
        cursor
    }

    fn offer(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> Step {
        let Some(page) = self.offered.take() else {
            return Step::Again;
        };
        if let Err(error) = sink.accept(&self.id, &page) {
            self.status.refused(&self.id, &error, now);
            self.offered = Some(page);
            return Step::Wait(now + IDLE);
        }
        self.status.taken(&page, now);
        self.set_state(now);
        self.end_of_round(now).unwrap_or(Step::Again)
    }
}

impl Collector for FileCollector {
    fn id(&self) -> &LaneId {
        &self.id
    }

    fn step(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step {
        let now = clock.now();
        let step = self.next(now, sink).unwrap_or_else(|error| {
            let path = self.reading.path.display();
            let message = format!("{path} cannot be searched: {error}");
            if self.status.message != message {
                warn!(lane = %self.id, "{message}");
            }
            self.status.rounds_failed += 1;
            self.fail(error.kind(), message, now);
            self.find_obstacle(now, true);
            Step::Wait(now + PAUSE)
        });
        self.status.next_step = match step {
            Step::Again => Some(now),
            Step::Wait(until) => Some(until),
            Step::Finished => None,
        };
        step
    }

    fn status(&self) -> &LaneStatus {
        &self.status
    }

    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::protocols::file::pattern::Pattern;
    use std::fs::OpenOptions;

    struct Taken(u64);

    impl Sink for Taken {
        fn accept(&mut self, _: &LaneId, page: &Page) -> std::result::Result<(), crate::SinkError> {
            self.0 += page.payloads.len() as u64;
            Ok(())
        }
    }

    fn rest(collector: &mut FileCollector, clock: &VirtualClock, sink: &mut Taken, seconds: i64) {
        let end = clock.now() + TimeDelta::seconds(seconds);
        for _ in 0..10_000 {
            match collector.step(clock, sink) {
                Step::Again => {}
                Step::Wait(until) if until <= end => clock.advance_to(until),
                _ => return,
            }
        }
        panic!("it does not come to rest");
    }

    #[test]
    fn unfinished_payloads_of_many_files_take_no_more_memory_than_they_may() {
        const FILES: usize = 80;
        const LENGTH: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        // Enough that the files are told from each other.
        let lines = "a line\n".repeat(2000);
        let paths = (0..FILES).map(|number| folder.path().join(format!("{number:02}.txt")));
        let paths: Vec<PathBuf> = paths.collect();
        for path in &paths {
            std::fs::write(path, &lines).unwrap();
        }
        let pattern = folder.path().join("*.txt");
        let reading = Reading {
            path: pattern.clone(),
            pattern: Pattern::of(&pattern),
            rotated_to: None,
            max_files: 100,
            format: Framing::Lines,
            once: false,
            from_end: false,
            max_payload: 2 << 20,
        };
        let id = LaneId {
            log_source: "x".to_owned(),
            lane: "file".to_owned(),
        };
        let mut collector = FileCollector::new(reading, id, &Cursor::START).unwrap();
        let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
        let mut sink = Taken(0);
        rest(&mut collector, &clock, &mut sink, 2);
        assert_eq!(sink.0, FILES as u64 * 2000);
        // All of them grow at once, and are looked at one after the other.
        for path in &paths {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(lines.len() as u64 + LENGTH).unwrap();
        }
        rest(&mut collector, &clock, &mut sink, 2);
        let one = 3 * LENGTH as usize;
        let most = collector.most_kept;
        assert!(most <= MAX_KEPT + one, "{most} bytes");
        let kept: usize = collector.files.iter().map(|slot| slot.file.memory()).sum();
        assert!(
            (MAX_KEPT - one..=MAX_KEPT).contains(&kept),
            "{kept} bytes are kept"
        );
        for path in &paths {
            use std::io::Write;
            let mut file = OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(b"\n").unwrap();
        }
        rest(&mut collector, &clock, &mut sink, 2);
        assert_eq!(sink.0, FILES as u64 * 2001);
    }
}
