//! Reads a file on and on, over rotations and restarts.

use super::Reading;
use super::framing::{Framing, Front};
use super::opened::{Opened, Place, find};
use crate::Cursor;
use crate::clock::Clock;
use crate::cursor::CursorError;
use crate::source::{Collector, LaneId, Page, Progress, Sink, Step};
use crate::status::{LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use tracing::{info, warn};

/// Version of the cursor.
const VERSION: u32 = 1;

/// How often the end of a file is looked at.
const IDLE: TimeDelta = TimeDelta::seconds(1);

/// How long a file is still read after another one has taken its name: who writes it learns of that a little later.
const GRACE: TimeDelta = TimeDelta::seconds(5);

/// How long to wait after a fault.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// Most payloads and bytes in a page.
const PAGE_PAYLOADS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// How much is read at a time.
const PIECE: u64 = 256 * 1024;

#[derive(Debug)]
pub(super) struct FileCollector {
    reading: Reading,
    id: LaneId,
    /// What the sink has: where to go on after a fault or a restart. `None` at the beginning of a file.
    place: Option<Place>,
    opened: Option<Opened>,
    framing: Framing,
    /// Since when the file has another name, or none.
    renamed: Option<DateTime<Utc>>,
    /// Nothing has ever been read, so `start` decides where to begin.
    is_new: bool,
    finished: bool,
    offered: Option<Offered>,
    progress: Progress,
    /// Since when there has been nothing to read, or only a fault.
    quiet: Option<DateTime<Utc>>,
    status: LaneStatus,
}

/// A page that the sink has not taken yet.
#[derive(Debug)]
struct Offered {
    page: Page,
    place: Place,
    /// How many bytes of the buffer are in it.
    taken: usize,
}

impl FileCollector {
    pub(super) fn new(reading: Reading, id: LaneId, cursor: &Cursor) -> Result<Self, CursorError> {
        let place: Option<Place> = cursor.decode(VERSION)?;
        Ok(Self {
            framing: Framing::new(
                reading.format,
                reading.max_payload,
                place.as_ref().is_some_and(|place| place.in_list),
            ),
            reading,
            id,
            is_new: place.is_none(),
            place,
            opened: None,
            renamed: None,
            finished: false,
            offered: None,
            progress: Progress::Behind,
            quiet: None,
            status: LaneStatus::default(),
        })
    }

    fn next(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> std::io::Result<Step> {
        if self.offered.is_some() {
            return self.offer(now, sink);
        }
        if self.finished {
            return Ok(Step::Finished);
        }
        if self.opened.is_none() {
            self.open()?;
        }
        let Some(opened) = &mut self.opened else {
            return Ok(Step::Again);
        };
        // A rest that is too short for a payload stays in the buffer, which therefore stays small.
        let is_end = opened.read(PIECE)? == 0;
        if is_end {
            return self.at_end(now);
        }
        self.renamed = None;
        self.quiet = None;
        self.collect(false)?;
        Ok(Step::Again)
    }

    /// Opens the file to go on with: the one that was read last under whatever name, else the one with the name.
    fn open(&mut self) -> std::io::Result<()> {
        let path = &self.reading.path;
        self.framing.restart(false);
        if let Some(place) = &self.place {
            if let Some(mut opened) = find(path, place) {
                opened.seek(place.offset)?;
                self.framing.restart(place.in_list);
                self.opened = Some(opened);
                return Ok(());
            }
            let mut opened = Opened::open(path)?;
            opened.seek(0)?;
            warn!(
                lane = %self.id,
                "the file that was read last is gone or has been overwritten: reading {} from its beginning",
                path.display()
            );
            self.opened = Some(opened);
            return Ok(());
        }
        let from_end = std::mem::take(&mut self.is_new) && self.reading.from_end;
        let mut opened = Opened::open(path)?;
        if from_end {
            let end = opened.len()?;
            opened.seek(end)?;
            // From here on it is where it is, even if nothing ever comes.
            self.make_page(&mut opened, Page::default(), 0)?;
        }
        self.opened = Some(opened);
        Ok(())
    }

    /// Puts payloads from the buffer into a page. `is_end` says that nothing follows.
    fn collect(&mut self, is_end: bool) -> std::io::Result<()> {
        let Some(mut opened) = self.opened.take() else {
            return Ok(());
        };
        let mut page = Page::default();
        let (mut taken, mut size) = (0, 0);
        while taken < opened.buffer.len()
            && page.payloads.len() < PAGE_PAYLOADS
            && size < PAGE_BYTES
        {
            match self.framing.front(&opened.buffer[taken..], is_end) {
                Front::Unfinished => break,
                Front::Payloads {
                    payloads,
                    bytes,
                    malformed,
                } => {
                    taken += bytes;
                    size += bytes;
                    page.malformed += malformed;
                    page.payloads.extend(payloads);
                }
            }
        }
        if taken > 0 {
            self.make_page(&mut opened, page, taken)?;
        }
        self.opened = Some(opened);
        Ok(())
    }

    /// Makes a page ready that takes so many bytes.
    fn make_page(&mut self, opened: &mut Opened, page: Page, taken: usize) -> std::io::Result<()> {
        let place = opened.place(taken, self.framing.in_list)?;
        let page = Page {
            cursor: Cursor::encode(VERSION, &place),
            more: taken < opened.buffer.len(),
            ..page
        };
        self.offered = Some(Offered { page, place, taken });
        Ok(())
    }

    fn offer(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> std::io::Result<Step> {
        let Some(offered) = self.offered.take() else {
            return Ok(Step::Again);
        };
        if let Err(error) = sink.accept(&self.id, &offered.page) {
            self.status.refused(&self.id, &error, now);
            self.offered = Some(offered);
            return Ok(Step::Wait(now + IDLE));
        }
        if let Some(opened) = &mut self.opened {
            opened.buffer.drain(..offered.taken);
            opened.offset += offered.taken as u64;
        }
        self.place = Some(offered.place);
        self.status.taken(&offered.page, now);
        self.set_reading(now);
        if offered.page.more {
            self.collect(false)?;
        }
        Ok(Step::Again)
    }

    fn set_reading(&mut self, now: DateTime<Utc>) {
        let message = format!("reading {}", self.reading.path.display());
        self.status.set(now, State::Ok, message, None);
    }

    /// There is nothing more to read for now.
    fn at_end(&mut self, now: DateTime<Utc>) -> std::io::Result<Step> {
        let Some(opened) = &self.opened else {
            return Ok(Step::Again);
        };
        if opened.was_truncated()? {
            warn!(lane = %self.id, "the file has become shorter: reading it from its beginning");
            self.opened = None;
            self.place = None;
            return Ok(Step::Again);
        }
        let is_named = opened.is_named(&self.reading.path);
        let is_over = if self.reading.once {
            // A file that was rotated away during the last run is followed by the one with the name.
            true
        } else if is_named {
            self.renamed = None;
            false
        } else {
            let since = *self.renamed.get_or_insert(now);
            now - since >= GRACE && self.reading.path.exists()
        };
        if !is_over {
            let has_rest = !opened.buffer.is_empty();
            let is_quiet = now - *self.quiet.get_or_insert(now) >= GRACE;
            if has_rest && is_quiet {
                self.progress = Progress::Blocked(format!(
                    "{} bytes at the end of {} are no event yet, because no line end follows them",
                    opened.buffer.len(),
                    self.reading.path.display()
                ));
            } else if !has_rest && (is_named || is_quiet) {
                self.progress = Progress::CaughtUp;
            }
            self.set_reading(now);
            self.status.failures = 0;
            self.status.last_success = Some(now);
            return Ok(Step::Wait(now + IDLE));
        }
        if !opened.buffer.is_empty() {
            self.collect(true)?;
            return Ok(Step::Again);
        }
        self.opened = None;
        self.place = None;
        self.renamed = None;
        if is_named || (self.reading.once && !self.reading.path.exists()) {
            self.finished = true;
            self.progress = Progress::CaughtUp;
            self.status.rounds += 1;
            self.status.set(
                now,
                State::Ok,
                format!("{} has been read to its end", self.reading.path.display()),
                None,
            );
        } else {
            info!(lane = %self.id, "another file has the name now: reading it");
        }
        Ok(Step::Again)
    }

    fn fail(&mut self, error: &std::io::Error, now: DateTime<Utc>) -> Step {
        let message = format!("{} cannot be read: {error}", self.reading.path.display());
        // A file that is being rotated is missing for a moment.
        if now - *self.quiet.get_or_insert(now) >= GRACE {
            self.progress = Progress::Blocked(message.clone());
        }
        if self.status.message != message {
            warn!(lane = %self.id, "{message}");
        }
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let (state, remedy) = if is_missing && !self.reading.once {
            (
                State::Warn,
                "none needed if it is still to be made; else check the parameter path",
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
        self.opened = None;
        Step::Wait(now + PAUSE)
    }
}

impl Collector for FileCollector {
    fn id(&self) -> &LaneId {
        &self.id
    }

    fn step(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step {
        let now = clock.now();
        let step = match self.next(now, sink) {
            Ok(step) => step,
            Err(error) => self.fail(&error, now),
        };
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
