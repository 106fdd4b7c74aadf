//! Collections of alerts in OData: windows of time, each small enough for one answer.
//!
//! An answer without a next link holds the whole window as it was at one moment, in whatever order. One with a next link
//! does not, and what the link leads to is cut from a result that has changed since. So the window is narrowed until it
//! fits; what an answer brought meanwhile is kept.
//!
//! Links are followed in two cases. Some servers put a link behind the last page too, so a link is followed once to see
//! whether there is more behind it. And a window of a single tick cannot be narrowed. What takes several pages is read
//! until two readings in a row have shown the same alerts. That is a proof, if the server keeps to an order: an alert that
//! was pushed over the edge of a page was so because another one left, and the reading before has shown that one.

use crate::Cursor;
use crate::cursor::CursorError;
use crate::http::{Endpoint, Request, Response};
use crate::json;
use crate::protocols::list;
use crate::protocols::position::{Crowd, Key, Mended, Moment, Position, Reach, Version1};
use crate::source::{Notice, Page, Poll, ReadError};
use crate::stamp;
use chrono::{DateTime, TimeDelta, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// Version of the cursor.
const VERSION: u32 = 2;

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

/// How often the pages of a window are read while they show something else each time. Then the sweep goes on, and the next
/// one begins before the window.
const MAX_PASSES: u32 = 8;

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
    /// Whether a full page without a next link can have a next one all the same.
    pub(crate) skips: bool,
    /// How far back a new log source reaches.
    pub(crate) lookback: TimeDelta,
    /// How much later than its time stamp says an alert may show up.
    pub(crate) overlap: TimeDelta,
    /// What to do about 403.
    pub(crate) permission: &'static str,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    position: Position,
    /// Where the pass goes on; absent at its first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    #[serde(default, skip_serializing_if = "Pass::is_none")]
    pass: Pass,
    /// The size of a page, where it is smaller than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top: Option<u32>,
    /// Where the server cuts pages by itself, once that has shown in this sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<u64>,
    /// The server has refused a link of this sweep, so `$skip` is used in the place of links.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    refuses_links: bool,
    /// The server has refused that too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    refuses_skips: bool,
    /// A window of this sweep could not be read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_behind: Option<String>,
}

/// One reading of a window, page by page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Pass {
    /// Pages that were read.
    pages: u64,
    /// Alerts on the first page.
    first: u64,
    /// Alerts on all pages.
    shown: u64,
    /// How many of these come before those that the present request and its links show.
    skipped: u64,
    /// The sum of the fingerprints of these.
    digest: u64,
    /// How often the window was read before.
    passes: u32,
    /// What the reading before this one has shown: how many alerts, and the sum of their fingerprints.
    before: Option<(u64, u64)>,
}

impl Pass {
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

/// What is read of a cursor of version 1. A page within a result is not gone on from: the result begins again.
#[derive(Debug, Deserialize)]
struct StateVersion1 {
    #[serde(flatten)]
    position: Version1,
    top: Option<u32>,
}

impl State {
    fn at(position: Position, top: Option<u32>) -> Self {
        Self {
            position,
            next: None,
            pass: Pass::default(),
            top,
            cut: None,
            refuses_links: false,
            refuses_skips: false,
            left_behind: None,
        }
    }

    /// Begins another reading of the window that the position asks for.
    fn restart(&mut self) {
        self.next = None;
        self.pass = Pass::default();
    }
}

impl Collection {
    fn reach(&self) -> Reach {
        Reach {
            overlap: self.overlap,
            inclusive: true,
            shortest: 0,
        }
    }

    fn state(&self, cursor: &Cursor, now: DateTime<Utc>) -> Result<State, CursorError> {
        let state = match cursor.version()? {
            None => None,
            Some(1) => cursor
                .decode::<StateVersion1>(VERSION)?
                .map(|old| State::at(old.position.into(), old.top)),
            Some(_) => cursor.decode(VERSION)?,
        };
        let state = state.unwrap_or_else(|| self.start(now));
        if state.top == Some(0) {
            return Err(CursorError::Damaged(
                "a value in it makes no sense".to_owned(),
            ));
        }
        Ok(state)
    }

    fn start(&self, now: DateTime<Utc>) -> State {
        State::at(
            Position::starting_at(now - self.lookback, self.overlap),
            None,
        )
    }

    fn top(&self, state: &State) -> u64 {
        u64::from(state.top.unwrap_or(self.top))
    }

    /// How many alerts an answer holds at most.
    fn page(&self, state: &State) -> usize {
        state.cut.unwrap_or(u64::MAX).min(self.top(state)) as usize
    }

    /// Asks for a shorter window, if there is one.
    fn shorten(&self, state: &mut State) -> bool {
        let page = self.page(state);
        state.position.narrow(Some(page), None, &self.reach())
    }

    fn url(&self, state: &State) -> String {
        let window = state.position.window();
        let mut filter = format!("{} ge {}", self.stamp, stamp::format(window.since));
        if let Some(until) = window.until {
            filter += &format!(" and {} le {}", self.stamp, stamp::format(until));
        }
        if let Some(condition) = &self.filter {
            filter += &format!(" and ({condition})");
        }
        let mut url = self.endpoint.join(&format!(
            "{}?$filter={}{}&$top={}",
            self.path,
            utf8_percent_encode(&filter, QUERY),
            self.options,
            self.top(state)
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

    /// Where the pass goes on, with this page already counted: `Ok(None)` at its end.
    fn follow(&self, list: &list::List<'_>, state: &State) -> Result<Option<Next>, String> {
        let Some(link) = &list.next else {
            // A server that cuts pages itself ends its links where `$top` is reached, not where the alerts end.
            let Pass { shown, skipped, .. } = state.pass;
            let is_full = shown - skipped >= self.top(state);
            return Ok((self.skips && is_full).then_some(Next::Skip(shown)));
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

    /// Takes account of a page and decides what is asked for next; tells whether the sweep is over.
    fn advance(&self, list: &list::List<'_>, state: &mut State) -> Result<bool, String> {
        let reach = self.reach();
        let count = list.elements.len() as u64;
        let is_first = state.pass.pages == 0;
        let is_bounded = state.position.window().until.is_some();
        if let Some(Next::Skip(skipped)) = state.next {
            state.pass.skipped = skipped;
        }
        state.pass.pages += 1;
        state.pass.shown += count;
        if is_first {
            state.pass.first = count;
            // It does not cut where a page was longer.
            state.cut = state.cut.map(|cut| cut.max(count));
        } else if state.pass.pages == 2 {
            let first = state.pass.first;
            if count == 0 && state.cut == Some(first) {
                state.cut = None;
            } else if count > 0 && first > 0 && is_bounded {
                // Without an end, what is on the second page may have come in the meantime.
                state.cut = Some(first);
            }
        }
        let mut next = self.follow(list, state)?;
        if state.refuses_links && matches!(next, Some(Next::Link(_))) {
            next = (count > 0).then_some(Next::Skip(state.pass.shown));
        }
        let is_more = if is_first {
            // A page as full as can be ends because it is full; of another one a look at the next tells.
            let is_full = count >= self.page(state) as u64;
            next.is_some() && (is_full || state.refuses_skips)
        } else {
            count > 0
        };
        if is_more && self.shorten(state) {
            state.restart();
            return Ok(false);
        }
        if next.is_some() {
            state.next = next;
            return Ok(false);
        }
        let Pass {
            pages,
            passes,
            shown,
            digest,
            before,
            ..
        } = state.pass;
        state.restart();
        if state.position.is_crowded() {
            // What was read of the window is not remembered, so another reading would repeat it.
            if pages > 1 {
                state.position.settle_window();
            }
        } else if pages > 1 && before != Some((shown, digest)) {
            if passes + 1 == MAX_PASSES {
                state.position.leave_behind(&reach);
                return Ok(!state.position.has_begun());
            }
            state.pass.passes = passes + 1;
            state.pass.before = Some((shown, digest));
            state.position.again();
            return Ok(false);
        }
        let page = self.page(state);
        let goes_on = state
            .position
            .complete(shown as usize, Some(page), None, &reach);
        Ok(!goes_on)
    }

    fn notice(
        &self,
        state: &State,
        crowded: Option<Crowd>,
        mended: Option<Mended>,
    ) -> Option<Notice> {
        if let Some(stamp) = &state.left_behind {
            return Some(Notice {
                message: format!(
                    "the server refuses to show all alerts with the time stamp {stamp}: those behind the first page are \
                     asked for again with the next round"
                ),
                remedy: "if it lasts, report it to the vendor; what comes after that time stamp is collected",
            });
        }
        if let Some(notice) = mended.and_then(|mended| mended.notice(self.lookback)) {
            return Some(notice);
        }
        if let Some(crowded) = crowded {
            return Some(crowded.notice());
        }
        state.refuses_links.then(|| Notice {
            message: "the server refuses its own links to next pages, so it is asked for shorter ranges of time".to_owned(),
            remedy: "none needed; collection takes more requests",
        })
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
        let moment = Moment::of(response, now);
        let mended = state.position.mend(moment, self.lookback, &self.reach());
        let taken = state
            .position
            .take(&list.elements, moment, |element| self.key(element));
        state.pass.digest = state.pass.digest.wrapping_add(taken.digest);
        let (is_over, obstacle) = if mended.is_some() {
            // The answer is not to what the position asks for now.
            state.restart();
            state.position.again();
            (false, None)
        } else {
            match self.advance(&list, &mut state) {
                Ok(is_over) => (is_over, None),
                Err(obstacle) => {
                    state.restart();
                    state.position.again();
                    (false, Some(obstacle))
                }
            }
        };
        let notice = self.notice(&state, taken.crowded, mended);
        if is_over {
            state.cut = None;
            state.refuses_links = false;
            state.refuses_skips = false;
            state.left_behind = None;
            state.top = state
                .top
                .map(|top| top.saturating_mul(2))
                .filter(|top| *top < self.top);
        }
        Ok(Page {
            payloads: taken.payloads,
            more: !is_over && obstacle.is_none(),
            obstacle,
            notice,
            duplicates: taken.duplicates,
            malformed: taken.malformed,
            position: Some(state.position.newest()),
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
        // The size of a page is part of a link.
        state.restart();
        state.position.again();
        Ok(Some(Cursor::encode(VERSION, &state)))
    }

    fn rewind(&self, cursor: &Cursor) -> Result<Option<Cursor>, CursorError> {
        let reach = self.reach();
        let mut state = self.state(cursor, DateTime::UNIX_EPOCH)?;
        match state.next {
            None => return Ok(None),
            Some(Next::Link(_)) => {
                state.refuses_links = true;
                state.next = Some(Next::Skip(state.pass.shown));
            }
            Some(Next::Skip(_)) => {
                state.refuses_skips = true;
                let window = state.position.window();
                if !self.shorten(&mut state) {
                    state.left_behind = Some(stamp::format(window.since));
                    state.position.leave_behind(&reach);
                }
                state.restart();
            }
        }
        Ok(Some(Cursor::encode(VERSION, &state)))
    }
}
