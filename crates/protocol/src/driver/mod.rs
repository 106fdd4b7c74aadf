//! The driver: it runs one lane of a polling source.
//!
//! A round begins with every recurrence and reads page after page until there is no more. Between two steps nothing is
//! held open: token, cursor, and a page that a full sink has not taken are all there is. Each lane has a driver and a
//! token of its own, so that a lane in trouble delays no other one.
//!
//! Waits, the life of a token and the limits of the server go by [`Clock::elapsed`], which nobody sets. The time of day
//! is for the eyes of people, and for the begin of a lane that has collected nothing yet.

mod backoff;
mod trouble;

pub(crate) use trouble::{Action, Trouble};

use crate::Cursor;
use crate::clock::Clock;
use crate::http::{Request, Response, Transport, TransportError};
use crate::secret::{self, Secret};
use crate::source::{Collector, Lane, LaneId, Notice, Page, Sink, Step};
use crate::status::{LaneStatus, RetryReason, State};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

/// More pages than this in one round are left for the next one.
const MAX_PAGES: u32 = 1000;

/// Rounds do not follow each other faster, whatever the recurrence.
const SHORTEST_RECURRENCE: TimeDelta = TimeDelta::seconds(1);

/// A full sink is asked again after this time.
const SINK_WAIT: TimeDelta = TimeDelta::seconds(1);

/// The renewal of a token that is still good is tried again after this time.
const RENEWAL_WAIT: TimeDelta = TimeDelta::seconds(30);

/// The server's refusals to go on within a result that are answered by asking differently, in one round.
const MAX_REWINDS: u32 = 100;

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
    /// How often the server has refused to go on within a result in this round.
    rewinds: u32,
    /// A page that the sink has not taken yet.
    offered: Option<Page>,
    /// When to do something again.
    due: Duration,
    round: Option<Round>,
    /// When the last requests were sent, as far back as the limits reach.
    sent: VecDeque<Duration>,
    status: LaneStatus,
}

/// An access token, when to renew it, and when it expires.
#[derive(Debug)]
struct Token {
    access: Secret,
    /// From here on another one is asked for.
    refresh_at: Duration,
    /// From here on the server no longer takes it.
    expires_at: Duration,
}

/// The moment of a step.
#[derive(Debug, Clone, Copy)]
struct Now {
    /// The time of day, by the machine's clock, which somebody may set: for requests.
    day: DateTime<Utc>,
    /// The time by which is waited, and which the status is in.
    at: DateTime<Utc>,
    /// The same as a length.
    elapsed: Duration,
}

impl Now {
    fn of(clock: &dyn Clock) -> Self {
        Self {
            day: clock.wall(),
            at: clock.now(),
            elapsed: clock.elapsed(),
        }
    }
}

#[derive(Debug, Clone)]
struct Round {
    began: Duration,
    pages: u32,
    payloads: u64,
    /// What was noticed last in this round.
    notice: Option<Notice>,
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
            rewinds: 0,
            offered: None,
            due: Duration::ZERO,
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
        let now = Now::of(clock);
        if now.elapsed < self.due {
            return self.wait_until(self.due, now);
        }
        self.due = now.elapsed;
        if self.offered.is_some() {
            return self.offer(now, sink);
        }
        if self.round.is_none() {
            self.round = Some(Round {
                began: now.elapsed,
                pages: 0,
                payloads: 0,
                notice: None,
            });
            if self.cursor == Cursor::START {
                // From here on the start stands still, however long the first page takes.
                self.cursor = self.lane.poll.begin(now.day);
            }
        }
        if let Some(until) = self.limited_until(now) {
            return self.wait_until(until, now);
        }
        if self.needs_token(now) {
            return self.authenticate(clock);
        }
        self.ask(clock)
    }

    fn wait_until(&mut self, until: Duration, now: Now) -> Step {
        self.due = until;
        let left = delta(until.saturating_sub(now.elapsed));
        Step::Wait(
            now.at
                .checked_add_signed(left)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        )
    }

    fn pause(&mut self, pause: TimeDelta, now: Now) -> Step {
        self.wait_until(now.elapsed.saturating_add(span(pause)), now)
    }

    /// When the limits of the server let us ask again, if they do not now.
    fn limited_until(&mut self, now: Now) -> Option<Duration> {
        let until = self
            .lane
            .limits
            .iter()
            .filter_map(|limit| {
                let oldest = self.sent.len().checked_sub(limit.requests)?;
                let free =
                    *self.sent.get(oldest)? + Duration::from_secs(limit.seconds.unsigned_abs());
                (free > now.elapsed).then_some(free)
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

    fn needs_token(&self, now: Now) -> bool {
        let fresh = self
            .token
            .as_ref()
            .is_some_and(|token| !self.token_used || now.elapsed < token.refresh_at);
        self.lane.credentials.is_some() && !fresh
    }

    fn authenticate(&mut self, clock: &dyn Clock) -> Step {
        let asked = Now::of(clock);
        let Some(credentials) = &self.lane.credentials else {
            return Step::Again;
        };
        self.status.requests += 1;
        let answer = self.transport.send(&credentials.request());
        let now = Now::of(clock);
        let trouble = match answer {
            Ok(response) => match credentials.read(&response, asked.day) {
                Ok(token) => {
                    debug!(lane = %self.id, "got a token");
                    let after = |time: DateTime<Utc>| asked.elapsed + span(time - asked.day);
                    self.token = Some(Token {
                        refresh_at: after(token.refresh_at),
                        expires_at: after(token.expires_at),
                        access: token.access,
                    });
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
        let trouble = self.masked(trouble);
        // The old token is good for a while yet: it was to be renewed early.
        if let (Action::Retry(reason, wait), Some(token)) = (trouble.action, &mut self.token)
            && now.elapsed < token.expires_at
        {
            self.status.count_retry(reason);
            let again = now.elapsed + span(wait.unwrap_or(RENEWAL_WAIT));
            token.refresh_at = again.min(token.expires_at);
            warn!(lane = %self.id, "{}; the old token is used on", trouble.message);
            return Step::Again;
        }
        self.token = None;
        self.suffer(trouble, now)
    }

    /// Sends a request and reads the response.
    fn ask(&mut self, clock: &dyn Clock) -> Step {
        let asked = Now::of(clock);
        let mut request = match self.lane.poll.request(&self.cursor, asked.day) {
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
        self.sent.push_back(asked.elapsed);
        self.status.requests += 1;
        let answer = self.transport.send(&request);
        let now = Now::of(clock);
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let trouble = self.masked(Trouble::of_transport(&error));
                return self.suffer(trouble, now);
            }
        };
        self.log(&request, &response);
        if !(200..300).contains(&response.status) {
            let trouble = Trouble::of_status(&response, self.lane.poll.permission(), now.day);
            let trouble = self.masked(trouble);
            return self.suffer(trouble, now);
        }
        match self.lane.poll.read(&response, &self.cursor, asked.day) {
            Ok(page) => self.turn(page, now),
            Err(error) => {
                let trouble = self.masked(Trouble::of_reading(&error));
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

    /// Others' words without secrets, ours first and then whatever looks like one, in one line and shortened.
    fn masked(&self, mut trouble: Trouble) -> Trouble {
        let token = self.token.as_ref().map(|token| &token.access);
        let secret = self
            .lane
            .credentials
            .as_ref()
            .map(|credentials| &credentials.client_secret);
        trouble.message = secret::presentable(&trouble.message, token.into_iter().chain(secret));
        trouble
    }

    /// Takes a page that was read.
    fn turn(&mut self, mut page: Page, now: Now) -> Step {
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

    fn offer(&mut self, now: Now, sink: &mut dyn Sink) -> Step {
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
                self.status.refused(&self.id, &error, now.at);
                self.offered = Some(page);
                self.pause(SINK_WAIT, now)
            }
        }
    }

    /// A page is durable.
    fn taken(&mut self, page: &Page, now: Now) -> Step {
        let count = page.payloads.len() as u64;
        self.status.taken(page, now.at);
        let status = &mut self.status;
        let Some(round) = &mut self.round else {
            return Step::Again;
        };
        round.pages += 1;
        round.payloads += count;
        debug!(lane = %self.id, payloads = count, duplicates = page.duplicates, more = page.more, "page");
        if let Some(notice) = &page.notice {
            if round.notice.as_ref() != Some(notice) {
                warn!(lane = %self.id, "{}", notice.message);
            }
            round.notice = Some(notice.clone());
        }
        let round = round.clone();
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
                now.at,
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
            status.set(now.at, State::Warn, message, None);
            return self.end_round(now, TimeDelta::zero());
        }
        status.rounds += 1;
        let collected = format!("{} in the last round", payloads(round.payloads));
        if let Some(notice) = round.notice {
            let message = format!("{collected}; {}", notice.message);
            status.set(now.at, State::Warn, message, Some(notice.remedy.to_owned()));
        } else {
            if status.state != State::Ok {
                info!(lane = %self.id, "collecting");
            }
            status.set(now.at, State::Ok, collected, None);
        }
        self.end_round(now, TimeDelta::zero())
    }

    /// The next round begins with a multiple of the recurrence, counted from the beginning of this one, and not before
    /// the pause is over.
    fn end_round(&mut self, now: Now, pause: TimeDelta) -> Step {
        self.rewinds = 0;
        let began = self.round.take().map_or(now.elapsed, |round| round.began);
        let recurrence = span(self.lane.recurrence.max(SHORTEST_RECURRENCE));
        let times = (now.elapsed.saturating_sub(began)).as_millis() / recurrence.as_millis() + 1;
        let next = recurrence.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX));
        let until = began.saturating_add(next);
        self.wait_until(until.max(now.elapsed + span(pause)), now)
    }

    fn suffer(&mut self, mut trouble: Trouble, now: Now) -> Step {
        match trouble.action {
            Action::Reauthenticate if !self.reauthenticated => {
                self.reauthenticated = true;
                self.token = None;
                self.status.count_retry(RetryReason::Unauthorized);
                info!(lane = %self.id, "the token was refused, asking for another one");
                return Step::Again;
            }
            Action::Narrow | Action::Rewind => match self.retreat(trouble.action, now.day) {
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
            .set(now.at, trouble.state, trouble.message, trouble.remedy);
        match trouble.action {
            Action::Retry(reason, wait) => {
                self.status.count_retry(reason);
                let failures = self.status.failures;
                let wait = match wait {
                    Some(wait) => backoff::ordered(wait, failures),
                    None => backoff::after(failures, &mut self.random),
                };
                self.pause(wait, now)
            }
            Action::GiveUp(pause) => self.give_up(now, pause),
            Action::Reauthenticate => {
                self.token = None;
                self.give_up(now, trouble::PAUSE)
            }
            Action::Narrow | Action::Rewind => self.give_up(now, trouble::PAUSE),
        }
    }

    fn give_up(&mut self, now: Now, pause: TimeDelta) -> Step {
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
            self.lane.poll.narrow(&self.cursor, now)?
        } else if self.rewinds >= MAX_REWINDS {
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
            self.rewinds += 1;
            self.status.count_retry(RetryReason::Unreadable);
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

/// A length of time as chrono has it.
fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

/// A length of time as the standard library has it; none where it is negative.
fn span(time: TimeDelta) -> Duration {
    time.to_std().unwrap_or_default()
}

fn payloads(count: u64) -> String {
    if count == 1 {
        "1 payload".to_owned()
    } else {
        format!("{count} payloads")
    }
}
