//! What servers, senders and disks give.

use crate::input::{byte, parts, pieces, text};
use chrono::{DateTime, TimeDelta, Utc};
use pipeline::store::{Limits, MemoryLimits, Store};
use protocol::clock::{Clock, VirtualClock};
use protocol::driver::LaneDriver;
use protocol::fuzzing::{syslog_messages, unwrap_envelope};
use protocol::http::{Method, Request, Response, Transport, TransportError};
use protocol::secret::GivenSecrets;
use protocol::{Collector, Cursor, Lane, LaneId, Page, Sink, SinkError, Source, Step, protocols};
use settings::{RawTable, RawValue};
use std::sync::{Arc, Mutex};

/// The secret of every log source here, which may be shown nowhere.
const SECRET: &str = "s3cr3t-of-the-client";
const TOKEN: &str = "t0ken-of-the-client";

/// The lane of a log source of one of the three protocols that ask for alerts.
fn lane(which: u8) -> Lane {
    const TENANT: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    let text = |text: &str| RawValue::Text(text.to_owned());
    let secret = RawValue::Table(RawTable::from_iter([("env", text("S"))]));
    let client = text("bbbbbbbb-0000-4000-8000-000000000002");
    let (name, values) = match which % 3 {
        0 => (
            "microsoft-graph-security",
            vec![("tenant_id", text(TENANT))],
        ),
        1 => {
            let server = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
            (
                "microsoft-defender-endpoint",
                vec![("authorization_server_url", text(&server))],
            )
        }
        _ => {
            let server = format!("https://login.microsoftonline.com/{TENANT}/oauth2/token");
            (
                "microsoft-defender-endpoint-siem",
                vec![
                    ("authorization_server_url", text(&server)),
                    ("resource", text("https://graph.windows.net")),
                    ("region", RawValue::from(vec![text("eu")])),
                ],
            )
        }
    };
    let mut values = RawTable::from_iter(values);
    values.set("client_id", client);
    values.set("client_secret", secret);
    let protocol = protocols::find(name).expect("it is one of the protocols");
    let parameters = protocol.validate(&values).expect("these values are valid");
    let secrets = GivenSecrets::default().with("S", SECRET);
    match protocol
        .open("x", &parameters, &secrets)
        .expect("these values can be used")
    {
        Source::Polling(mut lanes) => lanes.remove(0),
        Source::Stream(_) => panic!("{name} polls"),
    }
}

/// A server that answers what it is told to, and then nothing new. It echoes what it was asked where an answer has `%`.
#[derive(Debug)]
struct Script {
    answers: Mutex<Vec<Vec<u8>>>,
    bodies: Mutex<Vec<u8>>,
}

impl Transport for Script {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        if request.method == Method::Get {
            let is_at_home = request.url.starts_with("https://");
            assert!(is_at_home, "no request goes anywhere else: {}", request.url);
        }
        let mut answers = self.answers.lock().expect("nobody panics with it");
        let Some(answer) = answers.pop() else {
            let body = match request.method {
                Method::Post => format!(r#"{{"access_token":"{TOKEN}","expires_in":3599}}"#),
                _ => r#"{"value":[]}"#.to_owned(),
            };
            return Ok(response(200, body.into_bytes()));
        };
        let (status, body) = byte(&answer);
        let status = match status {
            0..=127 => 200,
            other => [400, 401, 403, 404, 410, 413, 429, 500, 503, 302][usize::from(other) % 10],
        };
        let mut body = body.to_vec();
        if request.method == Method::Post && status == 200 && body.first() != Some(&b'{') {
            body = format!(r#"{{"access_token":"{TOKEN}","expires_in":3599}}"#).into_bytes();
        }
        if let Some(at) = body.iter().position(|byte| *byte == b'%') {
            body.splice(
                at..=at,
                format!("Authorization: Bearer {TOKEN} {SECRET}").into_bytes(),
            );
        }
        self.bodies
            .lock()
            .expect("nobody panics with it")
            .extend(&body);
        Ok(response(status, body))
    }
}

fn response(status: u16, body: Vec<u8>) -> Response {
    Response {
        status,
        headers: vec![("retry-after".to_owned(), text(&body[..body.len().min(12)]))],
        body,
    }
}

#[derive(Debug, Default)]
struct Pages(Vec<Page>);

impl Sink for Pages {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        self.0.push(page.clone());
        Ok(())
    }
}

pub(super) fn answers(input: &[u8]) {
    let (which, input) = byte(input);
    let mut answers: Vec<Vec<u8>> = parts(input).map(<[u8]>::to_vec).collect();
    answers.reverse();
    let count = answers.len();
    let server = Arc::new(Script {
        answers: Mutex::new(answers),
        bodies: Mutex::default(),
    });
    let transport: Arc<dyn Transport> = Arc::clone(&server) as _;
    let mut driver = LaneDriver::new("x", lane(which), transport, Cursor::START, 1);
    let start: DateTime<Utc> = super::payload::RECEIVED;
    let clock = VirtualClock::new(start);
    let mut pages = Pages::default();
    let mut steps = 0;
    while steps < 100 + 10 * count && clock.now() < start + TimeDelta::days(2) {
        steps += 1;
        match driver.step(&clock, &mut pages) {
            Step::Again => {}
            Step::Wait(until) => clock.advance_to(until),
            Step::Finished => panic!("it polls for ever"),
        }
        let shown = format!("{:?}", driver.status());
        for secret in [SECRET, TOKEN] {
            assert!(!shown.contains(secret), "a secret is shown: {shown}");
        }
    }
    let bodies = server.bodies.lock().expect("nobody panics with it");
    for page in &pages.0 {
        for payload in &page.payloads {
            // White space goes from elements that span lines; all else is as it was received.
            let is_piece = payload.is_empty() || contains(&bodies, payload);
            assert!(is_piece || bodies.contains(&b'\n') || bodies.contains(&b'\r'));
        }
        let text = page.cursor.as_text().unwrap_or_default();
        assert!(text.len() <= Cursor::MAX_BYTES, "a cursor stays small");
        for secret in [SECRET, TOKEN] {
            // What a server says may stand in a link; the secret may not, whoever says it.
            assert!(
                !text.contains(secret)
                    || bodies
                        .windows(secret.len())
                        .any(|at| at == secret.as_bytes())
            );
        }
    }
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|at| at == piece)
}

pub(super) fn cursor(input: &[u8]) {
    let (which, input) = byte(input);
    let mut lane = lane(which);
    let cursor = Cursor::from_text(text(input));
    let now = super::payload::RECEIVED;
    let request = lane.poll.request(&cursor, now);
    let answer = response(
        200,
        br#"{"value":[{"id":"1","lastUpdateDateTime":"2026-11-20T11:00:00Z"}]}"#.to_vec(),
    );
    if let Ok(page) = lane.poll.read(&answer, &cursor, now) {
        assert!(
            request.is_ok(),
            "a cursor can be used for both or for neither"
        );
        lane.poll
            .request(&page.cursor, now)
            .expect("what it wrote itself it can use");
    }
    let _ = lane.poll.narrow(&cursor, now);
    let _ = lane.poll.rewind(&cursor);
}

pub(super) fn syslog(input: &[u8]) {
    let (how, input) = byte(input);
    let max_payload = if how & 4 == 0 { 8192 } else { 16 };
    let whole = syslog_messages([input], how & 3, max_payload);
    let cut = syslog_messages(pieces(input, how >> 3), how & 3, max_payload);
    assert_eq!(whole, cut, "the same bytes in other pieces");
    for message in whole.iter().flatten() {
        assert!(message.len() <= max_payload, "longer than the limit");
        assert!(
            contains(input, message),
            "a message is a piece of the input"
        );
    }
}

pub(super) fn envelope(input: &[u8]) {
    let payloads = unwrap_envelope(input);
    let has_lines = input.contains(&b'\n') || input.contains(&b'\r');
    for payload in payloads {
        assert!(
            payload.is_empty() || has_lines || contains(input, &payload),
            "an event is a piece of the body"
        );
    }
}

pub(super) fn state(input: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (how, input) = byte(input);
    let mut parts = parts_at(input, how);
    std::fs::write(
        folder.path().join("state.db"),
        parts.next().unwrap_or_default(),
    )
    .expect("there is room for a file");
    if let Some(log) = parts.next() {
        std::fs::write(folder.path().join("state.db-wal"), log).expect("there is room for a file");
    }
    let limits = Limits {
        spool: 1 << 20,
        free: 0,
        memory: MemoryLimits {
            bytes: 1 << 16,
            events: 100,
        },
    };
    let Ok(store) = Store::open(folder.path(), limits) else {
        return;
    };
    for name in ["alpha", "contoso", "x"] {
        let Ok(source) = store.source(name) else {
            continue;
        };
        let _ = store.cursor(source, "eu");
        let Ok(position) = store.position(source, "file") else {
            continue;
        };
        let _ = store.waiting(source, position.next);
        if let Ok(batch) = store.read(source, position.next, 100, 1 << 20) {
            let _ = batch.iter().count();
        }
        let _ = store.accept(
            source,
            "eu",
            &["a payload"],
            Some("cursor"),
            super::payload::RECEIVED,
        );
    }
}

/// The input as one file, or cut into two at a place that the number names.
fn parts_at(input: &[u8], how: u8) -> impl Iterator<Item = &[u8]> {
    let at = match how {
        0..=127 => input.len(),
        other => input.len() * usize::from(other - 128) / 128,
    };
    let (first, second) = input.split_at(at);
    [first, second]
        .into_iter()
        .filter(move |part| at == input.len() || !part.is_empty())
        .take(if at == input.len() { 1 } else { 2 })
}

#[path = "../../../../crates/dsmith/src/lsp/wire.rs"]
#[allow(
    dead_code,
    reason = "it is a module of the program, which is no library"
)]
mod lsp_wire;

pub(super) fn lsp(input: &[u8]) {
    let mut from = input;
    let mut before = usize::MAX;
    while let Ok(Some(_)) = lsp_wire::read(&mut from) {
        assert!(from.len() < before, "each message takes something");
        before = from.len();
    }
}
