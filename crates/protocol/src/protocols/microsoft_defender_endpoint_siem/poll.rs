//! Requests to the SIEM interface, and its answers.

use crate::Cursor;
use crate::cursor::CursorError;
use crate::http::{Request, Response};
use crate::json;
use crate::protocols::list;
use crate::protocols::position::{Key, OVERLAP, Position};
use crate::source::{Page, Poll, ReadError};
use crate::stamp;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Version of the cursor.
const VERSION: u32 = 1;

/// The shortest range that is asked for.
const SHORTEST: TimeDelta = TimeDelta::seconds(1);

#[derive(Debug)]
pub(super) struct SiemPoll {
    url: String,
    lookback: TimeDelta,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    position: Position,
    /// How many seconds behind the bookmark the range ends, where it is shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<i64>,
}

/// What is asked for.
struct Range {
    since: DateTime<Utc>,
    /// Absent where it reaches to the present.
    until: Option<DateTime<Utc>>,
}

impl State {
    fn range(&self, now: DateTime<Utc>) -> Range {
        // A shortened range is short on both sides of the bookmark, or it would not move on.
        let window = self.window.map(TimeDelta::seconds);
        let overlap = window.map_or(OVERLAP, |window| OVERLAP.min(window));
        Range {
            since: self.position.since(overlap),
            until: window
                .map(|window| self.position.bookmark() + window)
                .filter(|until| *until < now),
        }
    }
}

impl SiemPoll {
    pub(super) fn new(url: String, lookback: TimeDelta) -> Self {
        Self { url, lookback }
    }

    fn state(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<State, CursorError> {
        let state = cursor.decode(VERSION)?.unwrap_or_else(|| self.start(now));
        if !state.position.is_sound() || state.window.is_some_and(|window| window < 1) {
            return Err(CursorError::Damaged(
                "a time stamp in it is none".to_owned(),
            ));
        }
        Ok(state)
    }

    fn start(&self, now: DateTime<Utc>) -> State {
        State {
            position: Position::starting_at(now - self.lookback),
            window: None,
        }
    }
}

impl Poll for SiemPoll {
    fn begin(&self, now: DateTime<Utc>) -> Cursor {
        Cursor::encode(VERSION, &self.start(now))
    }

    fn request(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Request, CursorError> {
        let range = self.state(cursor, now)?.range(now);
        let mut url = format!("{}?sinceTimeUtc={}", self.url, stamp::format(range.since));
        if let Some(until) = range.until {
            url += &format!("&untilTimeUtc={}", stamp::format(until));
        }
        Ok(Request::get(url))
    }

    fn read(
        &mut self,
        response: &Response,
        cursor: &Cursor,
        now: DateTime<Utc>,
    ) -> Result<Page, ReadError> {
        let mut state = self.state(cursor, now)?;
        let range = state.range(now);
        let list = list::read(&response.body)?;
        let taken = state.position.take(&list.elements, now, key);
        // Without `untilTimeUtc` the bookmark follows the time stamps alone: whether the server is behind, we cannot know.
        state.position.finish(range.until, now);
        if let Some(window) = state.window {
            // The range grows again, until it needs no end.
            state.window = range.until.map(|_| window.saturating_mul(2));
        }
        Ok(Page {
            payloads: taken.payloads,
            more: range.until.is_some(),
            duplicates: taken.duplicates,
            malformed: taken.malformed,
            position: Some(state.position.bookmark()),
            cursor: Cursor::encode(VERSION, &state),
            ..Page::default()
        })
    }

    fn narrow(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Option<Cursor>, CursorError> {
        let mut state = self.state(cursor, now)?;
        let whole = state.range(now).until.unwrap_or(now) - state.position.bookmark();
        let half = whole.num_seconds() / 2;
        if half < SHORTEST.num_seconds() {
            return Ok(None);
        }
        state.window = Some(half);
        Ok(Some(Cursor::encode(VERSION, &state)))
    }

    fn permission(&self) -> Option<&'static str> {
        Some(
            "check that the application was enabled for the SIEM integration of Defender for Endpoint in this tenant, and that the region is the tenant's",
        )
    }
}

/// An alert is recognised by `FullId`, because one `AlertId` comes with several detections.
fn key(element: &[u8]) -> Option<Key> {
    let names = [
        "FullId",
        "LastProcessedTimeUtc",
        "AlertId",
        "AlertPart",
        "IocUniqueId",
    ];
    let [full, stamp, alert, part, ioc] = json::members(element, names)?;
    let text = |value| json::text(value).filter(|text| !text.is_empty());
    let identity = match full.and_then(text) {
        Some(full) => Some(full.into_owned()),
        None => alert.and_then(text).map(|alert| {
            let part = part.map_or("", |part| part.get());
            format!("{alert} {part} {}", ioc.and_then(text).unwrap_or_default())
        }),
    };
    Some(Key {
        identity,
        stamp: stamp.and_then(text).and_then(|text| stamp::parse(&text)),
    })
}
