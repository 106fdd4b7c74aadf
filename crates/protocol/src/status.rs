//! How a lane is doing, for people and for metrics.

use crate::source::{LaneId, Page, SinkError};
use chrono::{DateTime, TimeDelta, Utc};
use tracing::warn;

/// The states that QRadar shows for a log source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum State {
    /// Nothing has been tried yet.
    #[default]
    NotAvailable,
    /// The last attempt brought what there was.
    Ok,
    /// It will get well by itself: the lane waits or tries again.
    Warn,
    /// Somebody has to do something.
    Error,
}

impl State {
    /// In one word, as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAvailable => "N/A",
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Why a request was repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// 429, or 503 with `Retry-After`.
    Throttled,
    /// 5xx or 408.
    ServerError,
    /// 401 with a token that had been good.
    Unauthorized,
    /// No connection, or it broke off.
    Connection,
    /// Too slow.
    Timeout,
    /// The body is truncated or not what was asked for.
    Unreadable,
    /// The body is larger than we take; less was asked for.
    TooLarge,
    /// The token endpoint has a transient fault.
    Token,
}

impl RetryReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Throttled,
        Self::ServerError,
        Self::Unauthorized,
        Self::Connection,
        Self::Timeout,
        Self::Unreadable,
        Self::TooLarge,
        Self::Token,
    ];

    /// The value of the label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Unauthorized => "unauthorized",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::Token => "token",
        }
    }
}

/// Why input was gone, or may have been, before it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// A file is gone that had not been read to its end, or after which other files may have come and gone.
    Missing,
    /// A file was truncated or overwritten, and no copy of its old content was found.
    Overwritten,
    /// A file was truncated after it had been copied. The copy is read; what was written between the copying and the
    /// truncation is in neither of them.
    CopyTruncated,
    /// A file is compressed in a format that is not read, or damaged.
    Unreadable,
    /// There are more files than are read.
    TooMany,
}

impl GapReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Missing,
        Self::Overwritten,
        Self::CopyTruncated,
        Self::Unreadable,
        Self::TooMany,
    ];

    /// The value of the label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Overwritten => "overwritten",
            Self::CopyTruncated => "copytruncate",
            Self::Unreadable => "unreadable",
            Self::TooMany => "too_many",
        }
    }
}

/// How a lane is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneStatus {
    /// The state.
    pub state: State,
    /// What happened last, without secrets.
    pub message: String,
    /// What somebody can do about it, where there is something.
    pub remedy: Option<String>,
    /// When the state became what it is.
    pub since: Option<DateTime<Utc>>,
    /// When a page was last read and made durable, an empty one included.
    pub last_success: Option<DateTime<Utc>>,
    /// When the last payload was made durable.
    pub last_payload: Option<DateTime<Utc>>,
    /// The newest time stamp that the source has shown, where it shows any.
    pub position: Option<DateTime<Utc>>,
    /// When the lane wants to do something again.
    pub next_step: Option<DateTime<Utc>>,
    /// Attempts in a row that failed; 0 after a success.
    pub failures: u32,
    /// Rounds that ended with everything read that there was.
    pub rounds: u64,
    /// Rounds that were given up until the next recurrence.
    pub rounds_failed: u64,
    /// Requests sent, those for tokens included.
    pub requests: u64,
    /// Payloads made durable.
    pub payloads: u64,
    /// Payloads that had been read before and were dropped.
    pub duplicates: u64,
    /// Elements that were not what the source promises; they were passed on as they are.
    pub malformed: u64,
    /// Elements that said only that the sender is there and were dropped.
    pub heartbeats: u64,
    /// Elements that the log source does not want and that were dropped.
    pub filtered: u64,
    /// The sink was full at the last attempt: collection waits.
    pub paused: bool,
    /// What the last gap was, and what is to be done about it.
    pub last_gap: Option<String>,
    retries: [u64; RetryReason::ALL.len()],
    gaps: [u64; GapReason::ALL.len()],
}

impl LaneStatus {
    /// How often a request was repeated for this reason.
    pub fn retries(&self, reason: RetryReason) -> u64 {
        self.retries[reason as usize]
    }

    /// The same with all times moved, for who reads them by another clock. The newest time stamp of the source stays.
    #[must_use]
    pub fn moved_by(&self, by: TimeDelta) -> Self {
        let moved = |time: Option<DateTime<Utc>>| time.map(|time| time + by);
        Self {
            since: moved(self.since),
            last_success: moved(self.last_success),
            last_payload: moved(self.last_payload),
            next_step: moved(self.next_step),
            ..self.clone()
        }
    }

    pub(crate) fn count_retry(&mut self, reason: RetryReason) {
        self.retries[reason as usize] += 1;
    }

    /// How often input was gone, or may have been, before it could be read, for this reason.
    pub fn gaps(&self, reason: GapReason) -> u64 {
        self.gaps[reason as usize]
    }

    /// How often input was gone, or may have been, before it could be read.
    pub fn all_gaps(&self) -> u64 {
        self.gaps.iter().sum()
    }

    pub(crate) fn count_gap(&mut self, reason: GapReason, message: &str) {
        self.gaps[reason as usize] += 1;
        self.last_gap = Some(message.to_owned());
    }

    /// The sink has taken a page.
    pub(crate) fn taken(&mut self, page: &Page, now: DateTime<Utc>) {
        let count = page.payloads.len() as u64;
        self.paused = false;
        self.failures = 0;
        self.last_success = Some(now);
        self.payloads += count;
        self.duplicates += page.duplicates;
        self.malformed += page.malformed;
        self.heartbeats += page.heartbeats;
        self.filtered += page.filtered;
        self.position = page.position.or(self.position);
        if count > 0 {
            self.last_payload = Some(now);
        }
    }

    /// The sink has not taken a page: collection pauses.
    pub(crate) fn refused(&mut self, lane: &LaneId, error: &SinkError, now: DateTime<Utc>) {
        let (state, remedy) = match error {
            SinkError::Full => (
                State::Warn,
                "none needed: collection goes on by itself once events have been delivered",
            ),
            SinkError::Failed(_) => (State::Error, "check the disk of the state directory"),
        };
        let message = format!("{error}: collection pauses");
        if !self.paused {
            warn!(%lane, "{message}");
        }
        self.paused = true;
        self.set(now, state, message, Some(remedy.to_owned()));
    }

    /// Sets state, message and remedy.
    pub(crate) fn set(
        &mut self,
        now: DateTime<Utc>,
        state: State,
        message: impl Into<String>,
        remedy: Option<String>,
    ) {
        if self.state != state {
            self.since = Some(now);
        }
        self.state = state;
        self.message = message.into();
        self.remedy = remedy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_by_itself() {
        let mut status = LaneStatus::default();
        for (index, reason) in RetryReason::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                status.count_retry(reason);
            }
        }
        for (index, reason) in RetryReason::ALL.into_iter().enumerate() {
            assert_eq!(status.retries(reason), index as u64 + 1);
        }
        for (index, reason) in GapReason::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                status.count_gap(reason, reason.as_str());
            }
            assert_eq!(status.gaps(reason), index as u64 + 1);
        }
        assert_eq!(status.all_gaps(), 15);
        assert_eq!(status.last_gap.as_deref(), Some("too_many"));
    }
}
