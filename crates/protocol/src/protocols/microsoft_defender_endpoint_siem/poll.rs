//! Requests to the SIEM interface, and its answers.

use crate::Cursor;
use crate::cursor::CursorError;
use crate::http::{Request, Response};
use crate::json;
use crate::protocols::list;
use crate::protocols::position::{Crowd, Key, Moment, Position, Reach, Version1};
use crate::source::{Page, Poll, ReadError};
use crate::stamp;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Version of the cursor.
const VERSION: u32 = 2;

/// The shortest range that is asked for: a second.
const SHORTEST: i64 = 10_000_000;

#[derive(Debug)]
pub(super) struct SiemPoll {
    url: String,
    lookback: TimeDelta,
    overlap: TimeDelta,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    position: Position,
}

/// What is read of a cursor of version 1.
#[derive(Debug, Deserialize)]
struct StateVersion1 {
    #[serde(flatten)]
    position: Version1,
}

impl SiemPoll {
    pub(super) fn new(url: String, lookback: TimeDelta, overlap: TimeDelta) -> Self {
        Self {
            url,
            lookback,
            overlap,
        }
    }

    fn reach(&self) -> Reach {
        Reach {
            overlap: self.overlap,
            // Microsoft does not say.
            inclusive: false,
            shortest: SHORTEST,
        }
    }

    fn state(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<State, CursorError> {
        let state = match cursor.version()? {
            None => None,
            Some(1) => cursor.decode::<StateVersion1>(VERSION)?.map(|old| State {
                position: old.position.into(),
            }),
            Some(_) => cursor.decode(VERSION)?,
        };
        Ok(state.unwrap_or_else(|| self.start(now)))
    }

    fn start(&self, now: DateTime<Utc>) -> State {
        State {
            position: Position::starting_at(now - self.lookback, self.overlap),
        }
    }
}

impl Poll for SiemPoll {
    fn begin(&self, now: DateTime<Utc>) -> Cursor {
        Cursor::encode(VERSION, &self.start(now))
    }

    fn request(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Request, CursorError> {
        let window = self.state(cursor, now)?.position.window();
        let mut url = format!("{}?sinceTimeUtc={}", self.url, stamp::format(window.since));
        if let Some(until) = window.until {
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
        let reach = self.reach();
        let list = list::read(&response.body)?;
        let moment = Moment::of(response, now);
        let mended = state.position.mend(moment, self.lookback, &reach);
        let taken = state.position.take(&list.elements, moment, key);
        // After a correction the answer is not to what the position asks for now.
        let more = if mended.is_some() {
            state.position.again();
            true
        } else {
            let count = list.elements.len();
            state.position.complete(count, None, Some(moment), &reach)
        };
        let notice = taken.crowded.map(Crowd::notice);
        Ok(Page {
            payloads: taken.payloads,
            more,
            notice: mended
                .and_then(|mended| mended.notice(self.lookback))
                .or(notice),
            duplicates: taken.duplicates,
            malformed: taken.malformed,
            position: Some(state.position.newest()),
            cursor: Cursor::encode(VERSION, &state),
            ..Page::default()
        })
    }

    fn narrow(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Option<Cursor>, CursorError> {
        let mut state = self.state(cursor, now)?;
        let narrowed = state.position.narrow(None, Some(now), &self.reach());
        Ok(narrowed.then(|| Cursor::encode(VERSION, &state)))
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
