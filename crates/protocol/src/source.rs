//! What a protocol is, what it opens, and what comes out of it.

use crate::clock::Clock;
use crate::cursor::{Cursor, CursorError};
use crate::http::{Endpoint, HttpSettings, Request, Response};
use crate::oauth::ClientCredentials;
use crate::probe::Probe;
use crate::secret::{SecretError, Secrets};
use crate::status::LaneStatus;
use chrono::{DateTime, TimeDelta, Utc};
use settings::{Fault, FaultKind, Key, RawTable, Reader, Settings};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A log source protocol.
pub trait Protocol: Send + Sync + fmt::Debug {
    /// Its name in configuration, in kebab-case.
    fn name(&self) -> &'static str;

    /// Its name in QRadar.
    fn title(&self) -> &'static str;

    /// What it collects, in a sentence or two.
    fn description(&self) -> &'static str;

    /// Its parameters, in the order in which they are shown.
    fn parameters(&self) -> &'static [Key];

    /// Who keeps what its log sources have read until it is delivered.
    fn keeps(&self) -> Keeps {
        Keeps::Here
    }

    /// Whether its log sources are asked again and again ([`Source::Polling`]) from a cursor with which any machine can go
    /// on, so that processes can divide them among themselves.
    fn is_portable(&self) -> bool {
        false
    }

    /// Set where a protocol should no longer be used.
    fn deprecation(&self) -> Option<&'static Deprecation> {
        None
    }

    /// Faults that lie between parameters and that no rule of the declaration expresses.
    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let _ = parameters;
        Vec::new()
    }

    /// Makes the source of a log source. Nothing is sent or read yet, secrets excepted.
    fn open(
        &self,
        identifier: &str,
        parameters: &Settings,
        secrets: &dyn Secrets,
    ) -> Result<Source, OpenError>;
}

impl dyn Protocol {
    /// Reads the parameters of a log source, and reports every fault at once. `title` is what they are called in messages.
    /// With a fault there are none.
    pub fn read(
        &self,
        reader: &mut Reader,
        title: &str,
        raw: &RawTable,
        span: Range<usize>,
    ) -> Option<Settings> {
        let before = reader.faults.len();
        let settings = reader.table(self.parameters(), title, raw, span);
        // The value of a renamed parameter is read.
        let is_right = |reader: &Reader| {
            let mut faults = reader.faults[before..].iter();
            faults.all(|fault| fault.kind == FaultKind::Renamed)
        };
        // A contradiction between values that are wrong by themselves would only confuse.
        if settings.is_complete() && is_right(reader) {
            reader.faults.extend(self.contradictions(&settings));
        }
        (settings.is_complete() && is_right(reader)).then_some(settings)
    }

    /// Checks parameters that stand in no file.
    ///
    /// # Errors
    /// Every fault.
    pub fn validate(&self, raw: &RawTable) -> Result<Settings, Vec<Fault>> {
        let mut reader = Reader::default();
        let settings = self.read(&mut reader, "[parameters]", raw, 0..0);
        settings.ok_or(reader.faults)
    }
}

/// Longest log source identifier that QRadar takes, in bytes.
const MAX_IDENTIFIER: usize = 255;

/// What is wrong with a log source identifier.
pub fn check_identifier(identifier: &str) -> Option<&'static str> {
    if identifier.trim().is_empty() {
        Some("is empty")
    } else if identifier.len() > MAX_IDENTIFIER {
        Some("has more than 255 bytes")
    } else if identifier.contains(char::is_control) {
        Some("holds control characters or several lines")
    } else if identifier.trim() != identifier {
        Some("begins or ends with white space")
    } else {
        None
    }
}

/// Who keeps what was read until it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeps {
    /// We do: a page and its cursor are made durable together, and what comes after that is not the collector's business.
    #[default]
    Here,
    /// The remote does, and gives it again until it is told that it was delivered, as a broker does with what is behind a
    /// committed offset. Nothing is stored here. The collector asks [`Sink::delivered`] and tells the remote. Its cursor
    /// is not stored either: it always starts at [`Cursor::START`]. It counts a round in its status whenever it has read
    /// everything that there was.
    Remote,
}

/// Why a protocol should no longer be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deprecation {
    /// What ends, and when.
    pub message: &'static str,
    /// The names of the protocols to use instead.
    pub successors: &'static [&'static str],
}

/// A source cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A secret cannot be had.
    #[error("parameter {key}: {error}")]
    Secret {
        /// The parameter.
        key: &'static str,
        /// Why not.
        error: SecretError,
    },
    /// This program was built without what it takes.
    #[error(
        "this program was built without the feature `{feature}`, which the protocol needs: build it with \
         `cargo build --release --features {feature}`"
    )]
    NotBuilt {
        /// The feature of the program.
        feature: &'static str,
    },
    /// A parameter has a value that only shows to be wrong when it is used.
    #[error("parameter {key}: {reason}")]
    Parameter {
        /// The parameter.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a protocol opens.
#[derive(Debug)]
pub enum Source {
    /// Lanes that are asked again and again, each with a cursor of its own; each is run by a driver.
    Polling(Vec<Lane>),
    /// A source that reads by itself.
    Stream(Box<dyn Stream>),
}

/// One independent sequence of requests, such as the alerts of one region.
#[derive(Debug)]
pub struct Lane {
    /// Its name within the log source, such as `eu`.
    pub name: String,
    /// Makes requests and reads responses.
    pub poll: Box<dyn Poll>,
    /// The server that may see the token.
    pub endpoint: Endpoint,
    /// Where tokens come from.
    pub credentials: Option<ClientCredentials>,
    /// The time from one round to the next.
    pub recurrence: TimeDelta,
    /// How often the server lets itself be asked.
    pub limits: &'static [RateLimit],
    /// How the servers are reached.
    pub http: HttpSettings,
}

/// At most so many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests.
    pub requests: usize,
    /// Seconds.
    pub seconds: i64,
}

/// The part of a polling protocol that knows the server: it makes requests and reads responses, and does nothing else.
pub trait Poll: Send + fmt::Debug {
    /// The position of a lane that has collected nothing yet.
    fn begin(&self, now: DateTime<Utc>) -> Cursor;

    /// The next request. The driver adds the token.
    fn request(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Request, CursorError>;

    /// Reads a response with a status of 200 to 299.
    fn read(
        &mut self,
        response: &Response,
        cursor: &Cursor,
        now: DateTime<Utc>,
    ) -> Result<Page, ReadError>;

    /// What to do when the server refuses access (403), such as which permission to grant.
    fn permission(&self) -> Option<&'static str> {
        None
    }

    /// A cursor that asks for less, after a response was too large; `None` where less cannot be asked for.
    fn narrow(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Option<Cursor>, CursorError> {
        let _ = (cursor, now);
        Ok(None)
    }

    /// A cursor that goes on differently, after the server has refused to go on within a result of several pages; `None`
    /// where the cursor is at no such place. It has to come to an end: no more than a few times for each page.
    fn rewind(&self, cursor: &Cursor) -> Result<Option<Cursor>, CursorError> {
        let _ = cursor;
        Ok(None)
    }
}

/// What was read in one step: payloads, and the position behind them. Its `Debug` shows no payload.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The payloads, each as it was received.
    pub payloads: Vec<Box<[u8]>>,
    /// The position behind them.
    pub cursor: Cursor,
    /// Whether there is more to read at once.
    pub more: bool,
    /// Why it does not go on from here, although there is more. The payloads are good, and the cursor stands where the
    /// rest is asked for again.
    pub obstacle: Option<String>,
    /// What somebody should know, although collection goes on.
    pub notice: Option<Notice>,
    /// How many payloads were dropped because they had been read before.
    pub duplicates: u64,
    /// How many payloads are not what the source promises; they are among `payloads` as they are.
    pub malformed: u64,
    /// How many elements were dropped because they say only that the sender is there.
    pub heartbeats: u64,
    /// How many elements were dropped because the log source does not want them.
    pub filtered: u64,
    /// The newest time stamp that the source has shown, where it shows any.
    pub position: Option<DateTime<Utc>>,
    /// Which payloads belong to other log sources, in gateway use: in the order of the payloads. See [`Page::parts`].
    pub runs: Vec<Run>,
}

/// Something worth a warning that does not stop collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is.
    pub message: String,
    /// What somebody can do about it.
    pub remedy: &'static str,
}

/// Consecutive payloads of a page that belong to another log source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which payloads.
    pub payloads: Range<usize>,
    /// Identifier of the log source. Where there is none of that identifier, they belong to the one that collects.
    pub identifier: Arc<str>,
}

impl Page {
    /// All payloads in order, cut where the log source changes, each part with the identifier of the log source it
    /// belongs to; without one it belongs to the log source that collects. A run that is not in order, or goes beyond the
    /// payloads, is taken as far as it makes sense.
    pub fn parts(&self) -> impl Iterator<Item = (Option<&str>, &[Box<[u8]>])> {
        let mut at = 0;
        let mut runs = self.runs.iter();
        let mut pending: Option<&Run> = None;
        std::iter::from_fn(move || {
            let run = loop {
                match pending.take().or_else(|| runs.next()) {
                    Some(run)
                        if run.payloads.end.min(self.payloads.len())
                            <= run.payloads.start.max(at) => {}
                    run => break run,
                }
            };
            let start = run.map_or(self.payloads.len(), |run| run.payloads.start.max(at));
            let (identifier, end) = match run {
                Some(run) if start <= at => (Some(&*run.identifier), run.payloads.end),
                _ => {
                    pending = run;
                    (None, start)
                }
            };
            let part = self.payloads.get(at..end.min(self.payloads.len()))?;
            at += part.len();
            (!part.is_empty()).then_some((identifier, part))
        })
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("payloads", &self.payloads.len())
            .field("more", &self.more)
            .field("obstacle", &self.obstacle)
            .field("notice", &self.notice)
            .field("duplicates", &self.duplicates)
            .field("malformed", &self.malformed)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// A response cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It ends in the middle: the same request is sent again.
    #[error("the answer is truncated after {bytes} bytes")]
    Truncated {
        /// How many bytes there are.
        bytes: usize,
    },
    /// It is not what was asked for: the same request is sent again, in case it was a passing fault.
    #[error("the answer is not what was asked for: {0}")]
    Unexpected(String),
    /// The stored position is of no use.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// Names a lane among all log sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// The log source identifier.
    pub log_source: String,
    /// The name of the lane within it.
    pub lane: String,
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.log_source, self.lane)
    }
}

/// Where pages go.
pub trait Sink {
    /// Makes the payloads and the cursor of a page durable, both or neither, before it returns. Of a lane whose remote
    /// keeps what is read ([`Keeps::Remote`]) it only takes the payloads over: they are safe when [`Self::delivered`] says
    /// so.
    fn accept(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError>;

    /// The same for what was received before the end and cannot be asked for again. There is no later, so limits to what
    /// may wait do not count; a disk that is full does.
    fn accept_last(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError> {
        self.accept(lane, page)
    }

    /// How many of the pages that this sink has accepted of a lane, counted from the first, are delivered: every
    /// destination has accepted all of their payloads, or refused them for good and they stand in the dead letters. It
    /// never goes down. A sink that makes pages durable answers for all of them.
    fn delivered(&mut self, lane: &LaneId) -> u64 {
        let _ = lane;
        u64::MAX
    }

    /// Tells that the remote has confirmed so many pages of a lane, counted from the first: they do not come again after a
    /// crash. It never goes down. Until then delivered events count against what may be repeated, for a lane that has ever
    /// called this; for others they count until they are delivered.
    fn acknowledged(&mut self, lane: &LaneId, pages: u64) {
        let _ = (lane, pages);
    }

    /// Asks that what was accepted of a lane be delivered soon, because somebody waits for [`Self::delivered`]: nothing of
    /// it is held back any longer to become one record with later events. It goes for what was accepted until now.
    fn hasten(&mut self, lane: &LaneId) {
        let _ = lane;
    }
}

/// A page was not taken. The lane keeps it and offers it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// There is no room; collection pauses until there is.
    #[error("no more may wait for delivery")]
    Full,
    /// It cannot be written.
    #[error("the spool cannot be written: {0}")]
    Failed(String),
}

/// A source that is not asked but reads by itself: a file, a listener.
pub trait Stream: Send + fmt::Debug {
    /// The name of its only lane.
    fn lane(&self) -> &str;

    /// Tests what can be tested without taking anything in.
    fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }

    /// Starts at a position.
    fn start(
        self: Box<Self>,
        lane: LaneId,
        cursor: Cursor,
    ) -> Result<Box<dyn Collector>, CursorError>;
}

/// Anything that collects when it is stepped: a lane of a polling source, or a stream.
pub trait Collector: Send + fmt::Debug {
    /// Who it is.
    fn id(&self) -> &LaneId;

    /// Does the next thing: sends one request, or hands over one page, or finds that there is nothing to do.
    fn step(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step;

    /// How it is doing.
    fn status(&self) -> &LaneStatus;

    /// How far it is with what there is to read. A run with `--once` ends when every collector has caught up. By default
    /// one has when it has counted a round in its status.
    fn progress(&self) -> Progress {
        if self.status().rounds > 0 {
            Progress::CaughtUp
        } else {
            Progress::Behind
        }
    }

    /// Stops taking anything in, and hands over what has been received and cannot be had again. Where the remote keeps
    /// what is read, it waits for a bounded time until what was accepted is delivered, and tells the remote.
    fn close(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) {
        let _ = (clock, sink);
    }
}

/// How far a collector is with what there is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// There is more to read, or it is not known whether there is.
    Behind,
    /// Everything that was there has been read since the collector was started, and the sink has taken it. What arrives
    /// later does not change that.
    CaughtUp,
    /// Something that was there has not been read, and waiting does not help, for this reason.
    Blocked(String),
    /// There is no end: it takes what others send.
    Endless,
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another step at once.
    Again,
    /// Nothing to do before this time.
    Wait(DateTime<Utc>),
    /// Nothing to do ever again: the source has an end, and it was reached.
    Finished,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(payloads: usize, runs: &[(Range<usize>, &str)]) -> Vec<(Option<String>, usize)> {
        let page = Page {
            payloads: (0..payloads)
                .map(|n| n.to_string().into_bytes().into())
                .collect(),
            runs: runs
                .iter()
                .map(|(payloads, identifier)| Run {
                    payloads: payloads.clone(),
                    identifier: Arc::from(*identifier),
                })
                .collect(),
            ..Page::default()
        };
        let parts: Vec<_> = page.parts().collect();
        // Whatever the runs say, each payload is there once and in order.
        let all: Vec<_> = parts.iter().flat_map(|(_, part)| part.iter()).collect();
        assert_eq!(all, page.payloads.iter().collect::<Vec<_>>());
        let parts = parts.into_iter();
        parts
            .map(|(identifier, part)| (identifier.map(str::to_owned), part.len()))
            .collect()
    }

    #[test]
    fn the_parts_of_a_page_are_all_payloads_in_order() {
        let own = |count| (None, count);
        let of = |name: &str, count| (Some(name.to_owned()), count);
        assert_eq!(parts(0, &[]), []);
        assert_eq!(parts(3, &[]), [own(3)]);
        assert_eq!(
            parts(6, &[(1..3, "a"), (3..4, "b"), (5..6, "a")]),
            [own(1), of("a", 2), of("b", 1), own(1), of("a", 1)]
        );
        assert_eq!(parts(2, &[(0..2, "a")]), [of("a", 2)]);
    }

    #[test]
    fn runs_that_make_no_sense_lose_no_payload() {
        let of = |name: &str, count| (Some(name.to_owned()), count);
        assert_eq!(parts(3, &[(0..9, "a"), (1..2, "b")]), [of("a", 3)]);
        assert_eq!(parts(3, &[(0..0, "b"), (7..9, "a")]), [(None, 3)]);
        assert_eq!(
            parts(3, &[(0..2, "a"), (1..3, "b")]),
            [of("a", 2), of("b", 1)]
        );
        #[expect(clippy::reversed_empty_ranges, reason = "a run that makes no sense")]
        let reversed = 2..1;
        assert_eq!(parts(3, &[(reversed, "a")]), [(None, 3)]);
    }
}
