//! The rule by which pages used to be read, kept so that the property test can show that it finds what is wrong with it:
//! links are followed to their end, and the bookmark moves to the newest time stamp of all pages, however long they took.

use chrono::{DateTime, TimeDelta, Utc};
use protocol::cursor::CursorError;
use protocol::http::{Request, Response};
use protocol::{Cursor, Page, Poll, ReadError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const VERSION: u32 = 1;

/// Reads the alerts of an OData interface by the old rule.
#[derive(Debug)]
pub(crate) struct OldRule {
    /// The whole address of the collection.
    pub(crate) url: String,
    /// The member with the time of the last change.
    pub(crate) stamp: &'static str,
    pub(crate) overlap: TimeDelta,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    bookmark: DateTime<Utc>,
    high: Option<DateTime<Utc>>,
    seen: BTreeMap<DateTime<Utc>, Vec<String>>,
    next: Option<String>,
}

impl OldRule {
    fn state(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<State, CursorError> {
        Ok(cursor.decode(VERSION)?.unwrap_or_else(|| State {
            bookmark: now - TimeDelta::hours(2),
            high: None,
            seen: BTreeMap::new(),
            next: None,
        }))
    }
}

impl Poll for OldRule {
    fn begin(&self, now: DateTime<Utc>) -> Cursor {
        self.state(&Cursor::START, now)
            .map(|state| Cursor::encode(VERSION, &state))
            .unwrap_or_default()
    }

    fn request(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Request, CursorError> {
        let state = self.state(cursor, now)?;
        let since =
            (state.bookmark - self.overlap).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
        Ok(Request::get(state.next.unwrap_or_else(|| {
            format!(
                "{}?$filter={}%20ge%20{since}&$top=500",
                self.url, self.stamp
            )
        })))
    }

    fn read(
        &mut self,
        response: &Response,
        cursor: &Cursor,
        now: DateTime<Utc>,
    ) -> Result<Page, ReadError> {
        let mut state = self.state(cursor, now)?;
        let answer: Value = serde_json::from_slice(&response.body)
            .map_err(|error| ReadError::Unexpected(error.to_string()))?;
        let mut page = Page::default();
        for alert in answer["value"].as_array().into_iter().flatten() {
            let text = |name: &str| alert[name].as_str().unwrap_or_default();
            let stamp: DateTime<Utc> = text(self.stamp).parse().unwrap_or(now);
            let seen = state.seen.entry(stamp).or_default();
            if seen.iter().any(|id| id == text("id")) {
                page.duplicates += 1;
                continue;
            }
            seen.push(text("id").to_owned());
            state.high = state.high.max(Some(stamp));
            page.payloads.push(alert.to_string().into_bytes().into());
        }
        state.next = answer["@odata.nextLink"].as_str().map(str::to_owned);
        if state.next.is_none() {
            let newest = state
                .high
                .take()
                .map_or(state.bookmark, |high| high.min(now));
            state.bookmark = state.bookmark.max(newest);
            state.seen = state.seen.split_off(&(state.bookmark - self.overlap));
        }
        page.more = state.next.is_some();
        page.cursor = Cursor::encode(VERSION, &state);
        Ok(page)
    }

    fn rewind(&self, cursor: &Cursor) -> Result<Option<Cursor>, CursorError> {
        let mut state = self.state(cursor, DateTime::UNIX_EPOCH)?;
        Ok(state.next.take().map(|_| Cursor::encode(VERSION, &state)))
    }
}
