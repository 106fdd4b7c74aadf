//! The driver: it runs one lane of a polling source.
//!
//! A round begins with every recurrence and reads page after page until there is no more. Between two steps nothing is
//! held open: token, cursor, and a page that a full sink has not taken are all there is. Each lane has a driver and a
//! token of its own, so that a lane in trouble delays no other one.

mod backoff;
mod trouble;

pub(crate) use trouble::{Action, Trouble};

use crate::Cursor;
use crate::clock::Clock;
use crate::http::{Request, Response, Transport, TransportError};
use crate::oauth::Token;
use crate::source::{Collector, Lane, LaneId, Page, Sink, Step};
use crate::status::{LaneStatus, RetryReason, State};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;
use std::sync::Arc;
use tracing::{debug, info, warn};

/// More pages than this in one round are left for the next one.
const MAX_PAGES: u32 = 1000;

/// Rounds do not follow each other faster, whatever the recurrence.
const SHORTEST_RECURRENCE: TimeDelta = TimeDelta::seconds(1);

/// A full sink is asked again after this time.
const SINK_WAIT: TimeDelta = TimeDelta::seconds(1);

/// The renewal of a token that is still good is tried again after this time.
const RENEWAL_WAIT: TimeDelta = TimeDelta::seconds(30);

/// So many failures in a row are an error, even if each by itself would pass.
const MANY_FAILURES: u32 = 6;

/// Runs one lane.
#[derive(Debug)]
pub struct LaneDriver {
    id: LaneId,
    lane: Lane,
    transport: Arc<dyn Transport>,
    /// Where the next request begins.
    cursor: Cursor,
    /// What the sink has.
    stored: Cursor,
    random: fastrand::Rng,
    token: Option<Token>,
    /// Whether the token has been sent at least once. A token that ends at once is used once, or none ever would be.
    token_used: bool,
    /// Whether a token was refused since the last page.
    reauthenticated: bool,
    /// Whether the result was begun again in this round.
    rewound: bool,
    /// A page that the sink has not taken yet.
    offered: Option<Page>,
    /// When to do something again; `None` before the first step.
    due: Option<DateTime<Utc>>,
    /// How far the machine's clock had been set when we last asked.
    ahead: TimeDelta,
    round: Option<Round>,
    /// When the last requests were sent, as far back as the limits reach.
    sent: VecDeque<DateTime<Utc>>,
    status: LaneStatus,
}

#[derive(Debug, Clone, Copy)]
struct Round {
    began: DateTime<Utc>,
    pages: u32,
    payloads: u64,
    /// It goes on within a result that was asked for earlier, and so does not see what came since.
    resumes: bool,
}

impl LaneDriver {
    /// A driver that goes on at a cursor. The seed makes the waits of lanes differ.
    pub fn new(
        log_source: &str,
        lane: Lane,
        transport: Arc<dyn Transport>,
        cursor: Cursor,
        seed: u64,
    ) -> Self {
        Self {
            id: LaneId {
                log_source: log_source.to_owned(),
                lane: lane.name.clone(),
            },
            lane,
            transport,
            stored: cursor.clone(),
            cursor,
            random: fastrand::Rng::with_seed(seed),
            token: None,
            token_used: false,
            reauthenticated: false,
            rewound: false,
            offered: None,
            due: None,
            ahead: TimeDelta::zero(),
            round: None,
            sent: VecDeque::new(),
            status: LaneStatus::default(),
        }
    }

    /// The cursor of the last page that the sink took, or the one that the driver began with.
    pub fn stored_cursor(&self) -> &Cursor {
        &self.stored
    }

    fn next(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step {
        let now = clock.now();
        // A wait that is longer than any comes from a clock that was set back.
        let longest = self.lane.recurrence.max(trouble::LONG_PAUSE);
        if let Some(due) = self.due.filter(|due| now < *due && *due - now <= longest) {
            return self.pause_until(due);
        }
        self.due = Some(now);
        if self.offered.is_some() {
            return self.offer(now, sink);
        }
        if self.round.is_none() {
            let within = self.lane.poll.rewind(&self.cursor);
            self.round = Some(Round {
                began: now,
                pages: 0,
                payloads: 0,
                resumes: matches!(within, Ok(Some(_))),
            });
            if self.cursor == Cursor::START {
                // From here on the start stands still, however long the first page takes.
                self.cursor = self.lane.poll.begin(clock.wall());
            }
        }
        if let Some(until) = self.limited_until(now) {
            return self.pause_until(until);
        }
        if self.needs_token(now) {
            return self.authenticate(clock);
        }
        self.ask(clock)
    }

    fn pause_until(&mut self, until: DateTime<Utc>) -> Step {
        self.due = Some(until);
        Step::Wait(until)
    }

    /// When the limits of the server let us ask again, if they do not now.
    fn limited_until(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = self
            .lane
            .limits
            .iter()
            .filter_map(|limit| {
                let oldest = self.sent.len().checked_sub(limit.requests)?;
                let free = *self.sent.get(oldest)? + TimeDelta::seconds(limit.seconds);
                (free > now).then_some(free)
            })
            .max();
        let longest = self
            .lane
            .limits
            .iter()
            .map(|limit| limit.requests)
            .max()
            .unwrap_or(0);
        while self.sent.len() > longest {
            self.sent.pop_front();
        }
        until
    }

    fn needs_token(&self, now: DateTime<Utc>) -> bool {
        let fresh = self
            .token
            .as_ref()
            .is_some_and(|token| !self.token_used || now < token.refresh_at);
        self.lane.credentials.is_some() && !fresh
    }

    fn authenticate(&mut self, clock: &dyn Clock) -> Step {
        let asked = clock.now();
        let Some(credentials) = &self.lane.credentials else {
            return Step::Again;
        };
        self.status.requests += 1;
        let answer = self.transport.send(&credentials.request());
        let now = clock.now();
        let asked = match &answer {
            // A refusal may say until when, by the clock on the wall; a token says how long.
            Ok(response) if response.status != 200 => asked + clock.set_by(),
            _ => asked,
        };
        let trouble = match answer {
            Ok(response) => match credentials.read(&response, asked) {
                Ok(token) => {
                    debug!(lane = %self.id, "got a token");
                    self.token = Some(token);
                    self.token_used = false;
                    return Step::Again;
                }
                Err(refusal) => Trouble::of_refusal(&refusal),
            },
            Err(TransportError::TooLarge { limit }) => Trouble::of_transport(
                &TransportError::Protocol(format!("a token of more than {limit} bytes")),
            ),
            Err(error) => Trouble::of_transport(&error),
        };
        // The old token is good for a while yet: it was to be renewed early.
        if let (Action::Retry(reason, wait), Some(token)) = (trouble.action, &mut self.token)
            && now < token.expires_at
        {
            self.status.count_retry(reason);
            let again = now + wait.unwrap_or(RENEWAL_WAIT);
            token.refresh_at = again.min(token.expires_at);
            warn!(lane = %self.id, "{}; the old token is used on", trouble.message);
            return Step::Again;
        }
        self.token = None;
        self.suffer(trouble, now)
    }

    /// Sends a request and reads the response.
    fn ask(&mut self, clock: &dyn Clock) -> Step {
        let asked = clock.now();
        self.ahead = clock.set_by();
        let mut request = match self.lane.poll.request(&self.cursor, asked + self.ahead) {
            Ok(request) => request,
            Err(error) => return self.suffer(Trouble::of_reading(&error.into()), asked),
        };
        if !self.lane.endpoint.is_origin_of(&request.url) {
            let message = "the next request would lead to another server, so it is not sent";
            let trouble = Trouble::new(Action::Rewind, State::Error, message, None);
            return self.suffer(trouble, asked);
        }
        if let Some(token) = &self.token {
            request.bearer = Some(token.access.clone());
            self.token_used = true;
        }
        self.sent.push_back(asked);
        self.status.requests += 1;
        let answer = self.transport.send(&request);
        let now = clock.now();
        let response = match answer {
            Ok(response) => response,
            Err(error) => return self.suffer(Trouble::of_transport(&error), now),
        };
        self.log(&request, &response);
        if !(200..300).contains(&response.status) {
            let wall = clock.wall();
            let mut trouble = Trouble::of_status(&response, self.lane.poll.permission(), wall);
            trouble.message = self.mask(&trouble.message);
            return self.suffer(trouble, now);
        }
        let asked = asked + self.ahead;
        match self.lane.poll.read(&response, &self.cursor, asked) {
            Ok(page) => self.turn(page, now),
            Err(error) => {
                let mut trouble = Trouble::of_reading(&error);
                trouble.message = self.mask(&trouble.message);
                self.suffer(trouble, now)
            }
        }
    }

    fn log(&self, request: &Request, response: &Response) {
        debug!(
            lane = %self.id,
            method = request.method.as_str(),
            status = response.status,
            bytes = response.body.len(),
            "answered"
        );
    }

    /// Others' words without our secrets.
    fn mask(&self, text: &str) -> String {
        let token = self.token.as_ref().map(|token| &token.access);
        let secret = self
            .lane
            .credentials
            .as_ref()
            .map(|credentials| &credentials.client_secret);
        [token, secret]
            .into_iter()
            .flatten()
            .fold(text.to_owned(), |text, secret| secret.mask(&text))
    }

    /// Takes a page that was read.
    fn turn(&mut self, mut page: Page, now: DateTime<Utc>) -> Step {
        self.reauthenticated = false;
        if page.more && page.payloads.is_empty() && page.cursor == self.cursor {
            warn!(lane = %self.id, "the server offers a next page that leads nowhere");
            page.more = false;
        }
        if page.payloads.is_empty() && page.cursor == self.stored {
            self.cursor = page.cursor.clone();
            self.taken(&page, now)
        } else {
            self.offered = Some(page);
            Step::Again
        }
    }

    fn offer(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> Step {
        let Some(page) = self.offered.take() else {
            return Step::Again;
        };
        match sink.accept(&self.id, &page) {
            Ok(()) => {
                self.cursor = page.cursor.clone();
                self.stored = page.cursor.clone();
                self.taken(&page, now)
            }
            Err(error) => {
                self.status.refused(&self.id, &error, now);
                self.offered = Some(page);
                self.pause_until(now + SINK_WAIT)
            }
        }
    }

    /// A page is durable.
    fn taken(&mut self, page: &Page, now: DateTime<Utc>) -> Step {
        let count = page.payloads.len() as u64;
        self.status.taken(page, now);
        let status = &mut self.status;
        let Some(round) = &mut self.round else {
            return Step::Again;
        };
        round.pages += 1;
        round.payloads += count;
        debug!(lane = %self.id, payloads = count, duplicates = page.duplicates, more = page.more, "page");
        let round = *round;
        if let Some(obstacle) = &page.obstacle {
            let remedy = "check whether a proxy changes answers; the rest is asked for again with the next round";
            let trouble = Trouble::new(
                Action::GiveUp(trouble::PAUSE),
                State::Error,
                obstacle.as_str(),
                Some(remedy),
            );
            return self.suffer(trouble, now);
        }
        if page.more && round.pages < MAX_PAGES {
            status.set(
                now,
                State::Ok,
                format!("collecting: {} so far", payloads(round.payloads)),
                None,
            );
            return Step::Again;
        }
        if page.more {
            let message = format!(
                "{} pages in one round; the rest follows with the next one",
                round.pages
            );
            warn!(lane = %self.id, "{message}");
            status.set(now, State::Warn, message, None);
        } else if round.resumes {
            self.round = None;
            return Step::Again;
        } else {
            status.rounds += 1;
            if status.state != State::Ok {
                info!(lane = %self.id, "collecting");
            }
            status.set(
                now,
                State::Ok,
                format!("{} in the last round", payloads(round.payloads)),
                None,
            );
        }
        self.end_round(now, TimeDelta::zero())
    }

    /// The next round begins with a multiple of the recurrence, counted from the beginning of this one, and not before
    /// the pause is over.
    fn end_round(&mut self, now: DateTime<Utc>, pause: TimeDelta) -> Step {
        self.rewound = false;
        let began = self.round.take().map_or(now, |round| round.began);
        let recurrence = self.lane.recurrence.max(SHORTEST_RECURRENCE);
        let times = (now - began).num_milliseconds() / recurrence.num_milliseconds() + 1;
        let next = recurrence * i32::try_from(times).unwrap_or(i32::MAX);
        self.pause_until((began + next).max(now + pause))
    }

    fn suffer(&mut self, mut trouble: Trouble, now: DateTime<Utc>) -> Step {
        match trouble.action {
            Action::Reauthenticate if !self.reauthenticated => {
                self.reauthenticated = true;
                self.token = None;
                self.status.count_retry(RetryReason::Unauthorized);
                info!(lane = %self.id, "the token was refused, asking for another one");
                return Step::Again;
            }
            Action::Narrow | Action::Rewind => match self.retreat(trouble.action, now) {
                Ok(true) => {
                    warn!(lane = %self.id, "{}; asking differently", trouble.message);
                    return Step::Again;
                }
                Ok(false) => {}
                Err(error) => trouble = Trouble::of_reading(&error.into()),
            },
            _ => {}
        }
        self.status.failures = self.status.failures.saturating_add(1);
        if self.status.failures >= MANY_FAILURES {
            trouble.state = State::Error;
        }
        if self.status.message != trouble.message {
            warn!(lane = %self.id, remedy = trouble.remedy.as_deref(), "{}", trouble.message);
        }
        self.status
            .set(now, trouble.state, trouble.message, trouble.remedy);
        match trouble.action {
            Action::Retry(reason, wait) => {
                self.status.count_retry(reason);
                let failures = self.status.failures;
                let wait = match wait {
                    Some(wait) => backoff::ordered(wait, failures),
                    None => backoff::after(failures, &mut self.random),
                };
                self.pause_until(now + wait)
            }
            Action::GiveUp(pause) => self.give_up(now, pause),
            Action::Reauthenticate => {
                self.token = None;
                self.give_up(now, trouble::PAUSE)
            }
            Action::Narrow | Action::Rewind => self.give_up(now, trouble::PAUSE),
        }
    }

    fn give_up(&mut self, now: DateTime<Utc>, pause: TimeDelta) -> Step {
        self.status.rounds_failed += 1;
        self.reauthenticated = false;
        self.end_round(now, pause)
    }

    /// Asks for less, or begins the result again; tells whether that is possible.
    fn retreat(
        &mut self,
        action: Action,
        now: DateTime<Utc>,
    ) -> Result<bool, crate::cursor::CursorError> {
        let cursor = if action == Action::Narrow {
            self.lane.poll.narrow(&self.cursor, now + self.ahead)?
        } else if self.rewound {
            None
        } else {
            self.lane.poll.rewind(&self.cursor)?
        };
        let Some(cursor) = cursor else {
            return Ok(false);
        };
        if action == Action::Narrow {
            self.status.count_retry(RetryReason::TooLarge);
        } else {
            self.rewound = true;
            self.status.count_retry(RetryReason::Unreadable);
        }
        if let Some(round) = &mut self.round {
            // A result that is asked for anew has all that came since.
            round.resumes &= self.lane.poll.rewind(&cursor)?.is_some();
        }
        self.cursor = cursor;
        Ok(true)
    }
}

impl Collector for LaneDriver {
    fn id(&self) -> &LaneId {
        &self.id
    }

    fn step(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step {
        let step = self.next(clock, sink);
        self.status.next_step = match step {
            Step::Again => Some(clock.now()),
            Step::Wait(until) => Some(until),
            Step::Finished => None,
        };
        step
    }

    fn status(&self) -> &LaneStatus {
        &self.status
    }
}

fn payloads(count: u64) -> String {
    if count == 1 {
        "1 payload".to_owned()
    } else {
        format!("{count} payloads")
    }
}
