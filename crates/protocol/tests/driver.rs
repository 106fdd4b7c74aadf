//! The driver where a file of exchanges would be too long.

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
use protocol::status::{RetryReason, State};
use protocol::{Collector, Cursor, Lane, LaneId, Page, Sink, SinkError, Source, Step};
use settings::{RawTable, RawValue};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A server whose pages never end.
#[derive(Debug, Default)]
struct Endless(AtomicU64);

impl Transport for Endless {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let body = if request.method == Method::Post {
            r#"{"access_token":"SECRET","expires_in":3599}"#.to_owned()
        } else {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            format!(
                r#"{{"value":[{{"id":"{number}","lastUpdateDateTime":"2026-11-20T11:00:00Z"}}],
                "@odata.nextLink":"https://graph.microsoft.com/v1.0/security/alerts_v2?$skiptoken={number}"}}"#
            )
        };
        Ok(Response {
            status: 200,
            headers: Vec::new(),
            body: body.into_bytes(),
        })
    }
}

#[derive(Debug, Default)]
struct Seen(BTreeSet<Vec<u8>>);

impl Sink for Seen {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        for payload in &page.payloads {
            assert!(self.0.insert(payload.to_vec()), "it came before");
        }
        Ok(())
    }
}

/// The only lane of a log source of Microsoft Graph.
fn lane(recurrence: &str) -> Lane {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let values = RawTable::from_iter([
        (
            "tenant_id".to_owned(),
            text("aaaaaaaa-0000-4000-8000-000000000001"),
        ),
        (
            "client_id".to_owned(),
            text("bbbbbbbb-0000-4000-8000-000000000002"),
        ),
        (
            "client_secret".to_owned(),
            RawValue::Table(RawTable::from_iter([("env".to_owned(), text("S"))])),
        ),
        ("recurrence".to_owned(), text(recurrence)),
    ]);
    let protocol = protocol::protocols::find("microsoft-graph-security").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let secrets = GivenSecrets::default().with("S", "the-secret");
    let Source::Polling(mut lanes) = protocol.open("x", &parameters, &secrets).unwrap() else {
        panic!("it polls");
    };
    lanes.remove(0)
}

#[test]
fn pages_that_never_end_are_left_for_the_next_round_and_go_on_there() {
    let server = Arc::new(Endless::default());
    let transport: Arc<dyn Transport> = Arc::clone(&server) as _;
    let mut driver = LaneDriver::new("x", lane("1H"), transport, Cursor::START, 1);
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut sink = Seen::default();
    for round in 1..=2 {
        loop {
            match driver.step(&clock, &mut sink) {
                Step::Again => {}
                // The limits of the server make it wait within a round too.
                Step::Wait(until) => {
                    clock.advance_to(until);
                    if driver.status().state == State::Warn {
                        break;
                    }
                }
                Step::Finished => panic!("it polls for ever"),
            }
        }
        assert_eq!(server.0.load(Ordering::Relaxed), round * 1000);
        assert_eq!(sink.0.len() as u64, round * 1000);
        assert_eq!(
            driver.status().message,
            "1000 pages in one round; the rest follows with the next one"
        );
    }
}

/// A server that gives tokens for an hour, refuses those that are older, and has no alerts. It notes when it was asked.
#[derive(Debug)]
struct Strict {
    clock: VirtualClock,
    /// When the last token was given, and when alerts were asked for, in seconds that have passed.
    given: Mutex<f64>,
    asked: Mutex<Vec<f64>>,
    /// So many requests are answered with 429 and a wait of ten minutes.
    throttles: AtomicU64,
}

impl Transport for Strict {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let elapsed = self.clock.elapsed().as_secs_f64();
        let answer = |status, body: &str| {
            Ok(Response {
                status,
                headers: vec![("retry-after".to_owned(), "600".to_owned())],
                body: body.as_bytes().to_vec(),
            })
        };
        if request.method == Method::Post {
            *self.given.lock().unwrap() = elapsed;
            return answer(200, r#"{"access_token":"SECRET","expires_in":3600}"#);
        }
        if elapsed - *self.given.lock().unwrap() >= 3600.0 {
            return answer(401, "");
        }
        self.asked.lock().unwrap().push(elapsed);
        let throttles = &self.throttles;
        if throttles.load(Ordering::Relaxed) > 0 {
            throttles.fetch_sub(1, Ordering::Relaxed);
            return answer(429, "");
        }
        answer(200, r#"{"value":[]}"#)
    }
}

/// Runs a lane with a recurrence of five minutes for six hours, sets the clock by so much after `at`, and gives the times
/// between requests for alerts.
fn gaps(at: TimeDelta, by: TimeDelta, throttles: u64) -> (Vec<i64>, LaneDriver) {
    let start: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let clock = VirtualClock::new(start);
    let begun = clock.elapsed();
    let server = Arc::new(Strict {
        clock: clock.clone(),
        given: Mutex::new(0.0),
        asked: Mutex::default(),
        throttles: AtomicU64::new(throttles),
    });
    let transport: Arc<dyn Transport> = Arc::clone(&server) as _;
    let mut driver = LaneDriver::new("x", lane("5M"), transport, Cursor::START, 1);
    let mut sink = Seen::default();
    let mut set = Some(by);
    loop {
        let passed = TimeDelta::from_std(clock.elapsed() - begun).unwrap();
        if passed > TimeDelta::hours(6) {
            break;
        }
        if passed >= at
            && let Some(by) = set.take()
        {
            clock.set(by);
        }
        if let Step::Wait(until) = driver.step(&clock, &mut sink) {
            // Whoever waits wakes up now and then, whatever the clock shows.
            clock.advance((until - clock.now()).min(TimeDelta::seconds(60)));
        }
    }
    let asked = server.asked.lock().unwrap();
    let gaps = asked
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).round() as i64);
    (gaps.collect(), driver)
}

#[test]
fn a_clock_that_is_set_changes_no_wait_and_no_life_of_a_token() {
    for minutes in [-43_200, -1440, -90, -50, -4, -1, 1, 4, 50, 90, 1440, 43_200] {
        for at in [0, 30, 150, 3000] {
            let by = TimeDelta::minutes(minutes);
            let (gaps, driver) = gaps(TimeDelta::seconds(at), by, 0);
            assert!(gaps.len() >= 70, "{minutes} {at}: {gaps:?}");
            assert!(
                gaps.iter().all(|gap| *gap == 300),
                "{minutes} {at}: {gaps:?}"
            );
            let status = driver.status();
            assert_eq!(status.state, State::Ok, "{minutes} {at}");
            assert_eq!(
                status.retries(RetryReason::Unauthorized),
                0,
                "{minutes} {at}"
            );
        }
    }
}

#[test]
fn a_clock_that_is_set_changes_no_wait_that_a_server_orders() {
    for minutes in [-43_200, -90, -5, 5, 90, 43_200] {
        let (gaps, _) = gaps(TimeDelta::seconds(100), TimeDelta::minutes(minutes), 1);
        assert_eq!(gaps[0], 600, "{minutes}: {gaps:?}");
        assert!(
            gaps[1..].iter().all(|gap| *gap == 300),
            "{minutes}: {gaps:?}"
        );
    }
}
