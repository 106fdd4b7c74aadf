//! What a protocol is, what it opens, and what comes out of it.

use crate::clock::Clock;
use crate::cursor::{Cursor, CursorError};
use crate::http::{Endpoint, HttpSettings, Request, Response};
use crate::oauth::ClientCredentials;
use crate::parameter::{Parameter, ParameterFault, Parameters, Value};
use crate::probe::Probe;
use crate::secret::{SecretError, Secrets};
use crate::status::LaneStatus;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::fmt;

/// A log source protocol.
pub trait Protocol: Send + Sync + fmt::Debug {
    /// Its name in configuration, in kebab-case.
    fn name(&self) -> &'static str;

    /// Its name in QRadar.
    fn title(&self) -> &'static str;

    /// What it collects, in a sentence or two.
    fn description(&self) -> &'static str;

    /// Its parameters, in the order in which they are shown.
    fn parameters(&self) -> &'static [Parameter];

    /// Set where a protocol should no longer be used.
    fn deprecation(&self) -> Option<&'static Deprecation> {
        None
    }

    /// Faults that lie between parameters and that no rule of the declaration expresses.
    fn contradictions(&self, parameters: &Parameters) -> Vec<ParameterFault> {
        let _ = parameters;
        Vec::new()
    }

    /// Makes the source of a log source. Nothing is sent or read yet, secrets excepted.
    fn open(
        &self,
        identifier: &str,
        parameters: &Parameters,
        secrets: &dyn Secrets,
    ) -> Result<Source, OpenError>;
}

impl dyn Protocol {
    /// Checks the values of a log source and reports every fault at once.
    pub fn validate(
        &self,
        values: &BTreeMap<String, Value>,
    ) -> Result<Parameters, Vec<ParameterFault>> {
        let (parameters, mut faults) = crate::parameter::validate(self.parameters(), values);
        // A contradiction between values that are wrong by themselves would only confuse.
        if faults.is_empty() {
            faults = self.contradictions(&parameters);
        }
        if faults.is_empty() {
            Ok(parameters)
        } else {
            Err(faults)
        }
    }
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

    /// A cursor that gives up the place within a result of several pages and begins the result again, after the server
    /// has refused to go on there; `None` where the cursor is at no such place.
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
    /// How many payloads were dropped because they had been read before.
    pub duplicates: u64,
    /// How many payloads are not what the source promises; they are among `payloads` as they are.
    pub malformed: u64,
    /// The newest time stamp that the source has shown, where it shows any.
    pub position: Option<DateTime<Utc>>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("payloads", &self.payloads.len())
            .field("more", &self.more)
            .field("obstacle", &self.obstacle)
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
    /// Makes the payloads and the cursor of a page durable, both or neither, before it returns.
    fn accept(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError>;
}

/// A page was not taken. The lane keeps it and offers it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// There is no room; collection pauses until there is.
    #[error("the spool is full")]
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

    /// Stops taking anything in, and hands over what has been received and cannot be had again.
    fn close(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) {
        let _ = (clock, sink);
    }
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
