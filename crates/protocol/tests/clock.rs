//! The clock of the machine is set at any moment, by any amount: polls come as if nobody had touched it, and requests ask
//! by the clock as it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, TimeDelta, Utc};
use protocol::clock::{Clock, VirtualClock};
use protocol::driver::LaneDriver;
use protocol::http::{Method, Request, Response, Transport, TransportError};
use protocol::secret::GivenSecrets;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use settings::{RawTable, RawValue};
use std::sync::{Arc, Mutex};

/// A server without alerts that fails now and then; it notes when it was asked.
#[derive(Debug)]
struct Quiet {
    clock: VirtualClock,
    random: Mutex<fastrand::Rng>,
    polls: Mutex<Vec<DateTime<Utc>>>,
    tokens: Mutex<u64>,
}

impl Transport for Quiet {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let (status, body) = if request.method == Method::Post {
            *self.tokens.lock().unwrap() += 1;
            (200, r#"{"access_token":"SECRET","expires_in":3599}"#)
        } else {
            self.polls.lock().unwrap().push(self.clock.now());
            match self.random.lock().unwrap().u8(..20) {
                0 => (503, ""),
                1 => (429, ""),
                _ => (200, r#"{"value":[]}"#),
            }
        };
        let retry_after = (status == 429).then(|| ("retry-after".to_owned(), "90".to_owned()));
        Ok(Response {
            status,
            headers: retry_after.into_iter().collect(),
            body: body.into(),
        })
    }
}

struct Nothing;

impl Sink for Nothing {
    fn accept(&mut self, _: &LaneId, _: &Page) -> Result<(), SinkError> {
        Ok(())
    }
}

/// When a lane polls in twelve hours, and how many tokens it asks for, where the clock is set as `set` says.
fn polls(seed: u64, set: impl Fn(&mut fastrand::Rng) -> TimeDelta) -> (Vec<DateTime<Utc>>, u64) {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let id = "aaaaaaaa-0000-4000-8000-000000000001";
    let values = RawTable::from_iter([
        ("tenant_id".to_owned(), text(id)),
        ("client_id".to_owned(), text(id)),
        (
            "client_secret".to_owned(),
            RawValue::Table(RawTable::from_iter([("env".to_owned(), text("S"))])),
        ),
        ("recurrence".to_owned(), text("5M")),
    ]);
    let protocol = protocol::protocols::find("microsoft-graph-security").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let secrets = GivenSecrets::default().with("S", "the-secret");
    let Source::Polling(mut lanes) = protocol.open("x", &parameters, &secrets).unwrap() else {
        panic!("it polls");
    };
    let begin: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let clock = VirtualClock::new(begin);
    let server = Arc::new(Quiet {
        clock: clock.clone(),
        random: Mutex::new(fastrand::Rng::with_seed(seed)),
        polls: Mutex::default(),
        tokens: Mutex::default(),
    });
    let transport: Arc<dyn Transport> = Arc::clone(&server) as _;
    let mut driver = LaneDriver::new("x", lanes.remove(0), transport, Cursor::START, seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let stop = protocol::clock::Stop::new();
    while clock.now() < begin + TimeDelta::hours(12) {
        match driver.step(&clock, &mut Nothing) {
            Step::Again => {}
            Step::Wait(until) => clock.wait(until, &stop),
            Step::Finished => panic!("it polls for ever"),
        }
        // Between any two steps, so also while it waits, between a token and its use, and between a failure and a retry.
        let by = set(&mut random);
        clock.set(by);
    }
    let polls = server.polls.lock().unwrap().clone();
    let tokens = *server.tokens.lock().unwrap();
    (polls, tokens)
}

#[test]
fn a_lane_polls_as_if_nobody_had_set_the_clock() {
    for seed in 0..50 {
        let (even, tokens) = polls(seed, |_| TimeDelta::zero());
        assert!(even.len() > 140, "{}", even.len());
        let (set, again) = polls(seed, |random| match random.u8(..4) {
            0 => TimeDelta::seconds(random.i64(-5_000_000..5_000_000)),
            1 => TimeDelta::seconds(random.i64(-4000..4000)),
            _ => TimeDelta::zero(),
        });
        assert_eq!(set, even, "seed {seed}");
        assert_eq!(again, tokens, "seed {seed}");
    }
}
