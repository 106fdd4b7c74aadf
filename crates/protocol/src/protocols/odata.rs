//! Collections of alerts in OData: pages that follow each other, ordered by nothing that we rely on.
//!
//! A sweep asks for everything since the bookmark and follows its pages to the end; only then does the bookmark move.
//! No order is asked for. Both interfaces show the newest first unless told otherwise, so an alert that changes in the
//! middle of a sweep moves to the front and pushes others back: they come twice, and the second time they are dropped.
//! In the opposite order it would move to the end, and the one that takes its place would be missed.

use crate::Cursor;
use crate::cursor::CursorError;
use crate::http::{Endpoint, Request, Response};
use crate::json;
use crate::protocols::list;
use crate::protocols::position::{Key, OVERLAP, Position};
use crate::source::{Page, Poll, ReadError};
use crate::stamp;
use chrono::{DateTime, TimeDelta, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// Version of the cursor.
const VERSION: u32 = 1;

/// What may stand in the value of a query as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/');

/// Longer links than any interface gives would only fill the cursor.
const MAX_LINK: usize = 16 * 1024;

/// What differs between the interfaces.
#[derive(Debug)]
pub(crate) struct Collection {
    /// The server, which a next link has to stay with.
    pub(crate) endpoint: Endpoint,
    /// The path of the collection below it.
    pub(crate) path: &'static str,
    /// The member with the identity of an alert.
    pub(crate) id: &'static str,
    /// The member with the time of its last change.
    pub(crate) stamp: &'static str,
    /// A condition besides that on the time.
    pub(crate) filter: Option<String>,
    /// Further options of the query, encoded.
    pub(crate) options: &'static str,
    /// Further headers.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The size of a page.
    pub(crate) top: u32,
    /// Whether a full page without a next link is followed by `$skip`.
    pub(crate) skips: bool,
    /// How far back a new log source reaches.
    pub(crate) lookback: TimeDelta,
    /// What to do about 403.
    pub(crate) permission: &'static str,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    position: Position,
    /// The next page of a sweep that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// Where a next link leads on: how many alerts the request that it belongs to skips, and how many of those it asked
    /// for the pages have shown.
    #[serde(default, skip_serializing_if = "Window::is_none")]
    window: Window,
    /// The size of a page, where it is smaller than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top: Option<u32>,
}

/// The alerts that one request asks for with `$top` and `$skip`, however many pages the server makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    skipped: u64,
    shown: u64,
}

impl Window {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    Link(String),
    Skip(u64),
}

impl Collection {
    fn state(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<State, CursorError> {
        let state = cursor.decode(VERSION)?.unwrap_or_else(|| self.start(now));
        if !state.position.is_sound() || state.top == Some(0) {
            return Err(CursorError::Damaged(
                "a value in it makes no sense".to_owned(),
            ));
        }
        Ok(state)
    }

    fn start(&self, now: DateTime<Utc>) -> State {
        State {
            position: Position::starting_at(now - self.lookback),
            next: None,
            window: Window::default(),
            top: None,
        }
    }

    fn url(&self, state: &State) -> String {
        let since = stamp::format(state.position.since(OVERLAP));
        let mut filter = format!("{} ge {since}", self.stamp);
        if let Some(condition) = &self.filter {
            filter += &format!(" and ({condition})");
        }
        let mut url = self.endpoint.join(&format!(
            "{}?$filter={}{}&$top={}",
            self.path,
            utf8_percent_encode(&filter, QUERY),
            self.options,
            state.top.unwrap_or(self.top)
        ));
        if let Some(Next::Skip(count)) = state.next {
            url += &format!("&$skip={count}");
        }
        url
    }

    fn key(&self, element: &[u8]) -> Option<Key> {
        let [id, changed] = json::members(element, [self.id, self.stamp])?;
        let text = |value| json::text(value).filter(|text| !text.is_empty());
        let changed = changed.and_then(text);
        // An alert comes again whenever it changes, and then it is news.
        let identity = id
            .and_then(text)
            .map(|id| format!("{id} {}", changed.as_deref().unwrap_or_default()));
        Some(Key {
            identity: identity.filter(|_| changed.is_some()),
            stamp: changed.and_then(|text| stamp::parse(&text)),
        })
    }

    /// How far the request has come with this page.
    fn window(&self, list: &list::List<'_>, state: &State) -> Window {
        let before = match state.next {
            Some(Next::Link(_)) => state.window,
            Some(Next::Skip(skipped)) => Window { skipped, shown: 0 },
            None => Window::default(),
        };
        Window {
            shown: before.shown + list.elements.len() as u64,
            ..before
        }
    }

    /// Where the sweep goes on: `Ok(None)` at its end.
    fn follow(&self, list: &list::List<'_>, state: &State) -> Result<Option<Next>, String> {
        let Some(link) = &list.next else {
            // A server that cuts pages itself ends its links where `$top` is reached, not where the alerts end.
            let Window { skipped, shown } = self.window(list, state);
            let full = shown >= u64::from(state.top.unwrap_or(self.top));
            return Ok((self.skips && full).then_some(Next::Skip(skipped + shown)));
        };
        let next = Next::Link(link.clone().into_owned());
        if !self.endpoint.is_origin_of(link) {
            return Err(
                "the link to the next page leads to another server, so it is not followed"
                    .to_owned(),
            );
        }
        if link.len() > MAX_LINK {
            return Err(format!(
                "the link to the next page has more than {MAX_LINK} bytes, so it is not followed"
            ));
        }
        if state.next.as_ref() == Some(&next) {
            return Err(
                "the link to the next page leads to the same page again, so it is not followed"
                    .to_owned(),
            );
        }
        Ok(Some(next))
    }
}

impl Poll for Collection {
    fn begin(&self, now: DateTime<Utc>) -> Cursor {
        Cursor::encode(VERSION, &self.start(now))
    }

    fn request(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Request, CursorError> {
        let state = self.state(cursor, now)?;
        let url = match &state.next {
            Some(Next::Link(link)) => link.clone(),
            _ => self.url(&state),
        };
        let request = Request::get(url);
        Ok(self.headers.iter().fold(request, |request, (name, value)| {
            request.header(name, *value)
        }))
    }

    fn read(
        &mut self,
        response: &Response,
        cursor: &Cursor,
        now: DateTime<Utc>,
    ) -> Result<Page, ReadError> {
        let mut state = self.state(cursor, now)?;
        let list = list::read(&response.body)?;
        let taken = state
            .position
            .take(&list.elements, now, |element| self.key(element));
        let (next, obstacle) = match self.follow(&list, &state) {
            Ok(next) => (next, None),
            Err(obstacle) => (None, Some(obstacle)),
        };
        state.window = match next {
            Some(Next::Link(_)) => self.window(&list, &state),
            _ => Window::default(),
        };
        state.next = next;
        if state.next.is_none() && obstacle.is_none() {
            state.position.finish(None, now);
            state.top = state
                .top
                .map(|top| top.saturating_mul(2))
                .filter(|top| *top < self.top);
        }
        Ok(Page {
            payloads: taken.payloads,
            more: state.next.is_some(),
            obstacle,
            duplicates: taken.duplicates,
            malformed: taken.malformed,
            position: Some(state.position.bookmark()),
            cursor: Cursor::encode(VERSION, &state),
            ..Page::default()
        })
    }

    fn permission(&self) -> Option<&'static str> {
        Some(self.permission)
    }

    fn narrow(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<Option<Cursor>, CursorError> {
        let mut state = self.state(cursor, now)?;
        let half = state.top.unwrap_or(self.top) / 2;
        if half == 0 {
            return Ok(None);
        }
        state.top = Some(half);
        // The size of a page is part of a link, so the sweep begins again.
        state.next = state.next.filter(|next| matches!(next, Next::Skip(_)));
        Ok(Some(Cursor::encode(VERSION, &state)))
    }

    fn rewind(&self, cursor: &Cursor) -> Result<Option<Cursor>, CursorError> {
        let mut state = self.state(cursor, DateTime::UNIX_EPOCH)?;
        Ok(state.next.take().map(|_| Cursor::encode(VERSION, &state)))
    }
}
