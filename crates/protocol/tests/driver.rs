//! The driver where a file of exchanges would be too long.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use protocol::clock::VirtualClock;
use protocol::driver::LaneDriver;
use protocol::http::{Method, Request, Response, Transport, TransportError};
use protocol::parameter::Value;
use protocol::secret::GivenSecrets;
use protocol::status::State;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

#[test]
fn pages_that_never_end_are_left_for_the_next_round_and_go_on_there() {
    let text = |text: &str| Value::Text(text.to_owned());
    let values = BTreeMap::from([
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
            Value::Table(BTreeMap::from([("env".to_owned(), text("S"))])),
        ),
        ("recurrence".to_owned(), text("1H")),
    ]);
    let protocol = protocol::protocols::find("microsoft-graph-security").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let secrets = GivenSecrets::default().with("S", "the-secret");
    let Source::Polling(mut lanes) = protocol.open("x", &parameters, &secrets).unwrap() else {
        panic!("it polls");
    };
    let server = Arc::new(Endless::default());
    let transport: Arc<dyn Transport> = Arc::clone(&server) as _;
    let mut driver = LaneDriver::new("x", lanes.remove(0), transport, Cursor::START, 1);
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
