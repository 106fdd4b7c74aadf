//! One test for each scenario file, found at run time and named after it.
//!
//! A scenario is a log source and, lane by lane, the requests that are expected and the answers that are given, in
//! virtual time. `README.md` beside this file describes the format. While they run, everything that is logged, shown
//! or stored is searched for secrets: each secret of a scenario contains the word SECRET.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod logged;

use chrono::{DateTime, TimeDelta, Utc};
use libtest_mimic::{Arguments, Failed, Trial};
use protocol::clock::{Clock, VirtualClock};
use protocol::driver::LaneDriver;
use protocol::http::{Request, Response, Transport, TransportError};
use protocol::secret::GivenSecrets;
use protocol::status::{LaneStatus, RetryReason};
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use serde::Deserialize;
use settings::Document;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The word that every secret of a scenario contains.
const MARK: &str = "SECRET";

/// What the variable CLIENT_SECRET holds in every scenario.
const CLIENT_SECRET: &str = "SECRET~of+the/client=";

/// A scenario that needs more steps than this does not come to an end.
const MAX_STEPS: usize = 100_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it shows, in a sentence.
    about: String,
    protocol: String,
    /// When the first step is done.
    start: String,
    /// How many seconds the scenario lasts.
    seconds: f64,
    #[serde(default)]
    parameters: toml::Table,
    /// Cursors that were stored before, by lane.
    #[serde(default)]
    cursors: BTreeMap<String, String>,
    /// From when to when the sink is full.
    full: Option<[f64; 2]>,
    #[serde(default, rename = "exchange")]
    exchanges: Vec<Exchange>,
    expect: BTreeMap<String, Expected>,
}

/// A request that is expected, and the answer that is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    lane: Option<String>,
    /// When, in seconds from the start: exactly, or from and to.
    at: Option<Moment>,
    /// Method and address; `token` stands for the request for a token.
    request: String,
    /// The token that the request carries.
    bearer: Option<String>,
    /// Headers that the request carries, among others.
    #[serde(default)]
    carries: BTreeMap<String, String>,
    /// Seconds that the answer takes.
    #[serde(default)]
    takes: f64,
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    /// A body made of this element so many times.
    repeat: Option<(String, usize)>,
    /// The token that is granted, and its life in seconds.
    token: Option<(String, i64)>,
    /// There is no answer, for this reason.
    fails: Option<Failure>,
}

fn ok() -> u16 {
    200
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Moment {
    Exactly(f64),
    Between([f64; 2]),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Failure {
    Dns,
    Refused,
    Certificate,
    Timeout,
    Reset,
    TooLarge,
    Redirect,
    Proxy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    payloads: Option<Vec<String>>,
    count: Option<usize>,
    state: String,
    message: String,
    remedy: Option<String>,
    #[serde(default)]
    duplicates: u64,
    #[serde(default)]
    malformed: u64,
    #[serde(default)]
    retries: BTreeMap<String, u64>,
    /// A text in the stored cursor.
    cursor_holds: Option<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::from_args();
    logged::install()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(&root)? {
        let folder = folder?.path();
        if folder.is_dir() {
            for file in std::fs::read_dir(folder)? {
                files.push(file?.path());
            }
        }
    }
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    let trials = files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap_or(&file);
            let name = name.with_extension("").display().to_string();
            Trial::test(name, move || run(&file))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit()
}

fn run(file: &Path) -> Result<(), Failed> {
    let scenario: Scenario = toml::from_str(&std::fs::read_to_string(file)?)?;
    if scenario.about.trim().is_empty() {
        return Err("`about` says nothing".into());
    }
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    if *folder != *scenario.protocol {
        return Err("the folder has to be named after the protocol".into());
    }
    let lanes = open(&scenario)?;
    let names: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
    if names.len() != scenario.expect.len()
        || !names.iter().all(|name| scenario.expect.contains_key(*name))
    {
        return Err(format!("the lanes are {names:?}").into());
    }
    for lane in lanes {
        let name = lane.name.clone();
        let outcome = run_lane(&scenario, lane, file);
        let shown = logged::take();
        let found = shown.lines().find(|line| line.contains(MARK));
        if let Some(line) = found {
            let line: String = line.chars().take(2000).collect();
            return Err(format!("a secret was shown: {line}").into());
        }
        outcome.map_err(|failed| {
            let levels = ["DEBUG:", "INFO:", "WARN:"];
            let shown: Vec<&str> = shown
                .lines()
                .filter(|line| levels.iter().any(|level| line.starts_with(level)))
                .collect();
            let shown = shown.join("\n");
            format!(
                "lane {name}: {}\n--- logged\n{shown}",
                failed.message().unwrap_or_default()
            )
        })?;
    }
    Ok(())
}

fn open(scenario: &Scenario) -> Result<Vec<protocol::Lane>, Failed> {
    let protocol = protocol::protocols::find(&scenario.protocol).ok_or("no such protocol")?;
    let values = Document::parse(&scenario.parameters.to_string()).root;
    let parameters = protocol
        .validate(&values)
        .map_err(|faults| format!("{faults:#?}"))?;
    let secrets = GivenSecrets::default()
        .with("CLIENT_SECRET", CLIENT_SECRET)
        .with("PROXY_PASSWORD", "SECRET:of the proxy");
    let source = protocol.open("scenario", &parameters, &secrets)?;
    logged::show(&format!("{source:?}"));
    match source {
        Source::Polling(lanes) => Ok(lanes),
        Source::Stream(_) => Err("a stream has no scenario".into()),
    }
}

fn run_lane(scenario: &Scenario, lane: protocol::Lane, file: &Path) -> Result<(), Failed> {
    let name = lane.name.clone();
    let start: DateTime<Utc> = scenario.start.parse()?;
    let clock = VirtualClock::new(start);
    let script = Arc::new(Script {
        clock: clock.clone(),
        start,
        token_url: lane
            .credentials
            .as_ref()
            .map(|credentials| credentials.url.clone()),
        limit: lane.http.max_body,
        exchanges: Mutex::new(
            scenario
                .exchanges
                .iter()
                .filter(|exchange| exchange.lane.as_deref().is_none_or(|lane| lane == name))
                .cloned()
                .collect(),
        ),
        complaints: Mutex::new(Vec::new()),
    });
    let cursor = scenario
        .cursors
        .get(&name)
        .map_or(Cursor::START, |text| Cursor::from_text(text.as_str()));
    let mut sink = Collected {
        payloads: Vec::new(),
        clock: clock.clone(),
        full: scenario
            .full
            .map(|[from, to]| (start + seconds(from), start + seconds(to))),
    };
    let mut driver = LaneDriver::new("scenario", lane, script.clone(), cursor, 7);
    let end = start + seconds(scenario.seconds);
    for _ in 0..MAX_STEPS {
        let step = driver.step(&clock, &mut sink);
        logged::show(&format!("{driver:?}"));
        match step {
            Step::Again => {}
            Step::Wait(until) if until < end => clock.advance_to(until),
            Step::Wait(_) | Step::Finished => break,
        }
        if clock.now() >= end || !script.complaints.lock().unwrap().is_empty() {
            break;
        }
    }
    let complaints = script.complaints.lock().unwrap();
    if let Some(complaint) = complaints.first() {
        return Err(complaint.into());
    }
    if let Some(left) = script.exchanges.lock().unwrap().front() {
        return Err(format!("a request that was expected did not come: {left:#?}").into());
    }
    let expected = scenario
        .expect
        .get(&name)
        .ok_or_else(|| format!("{} expects nothing of it", file.display()))?;
    compare(
        expected,
        &sink.payloads,
        driver.status(),
        driver.stored_cursor(),
    )
}

fn compare(
    expected: &Expected,
    payloads: &[String],
    status: &LaneStatus,
    cursor: &Cursor,
) -> Result<(), Failed> {
    let same = |what: &str, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
        let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
        if found == expected {
            Ok(())
        } else {
            Err(Failed::from(format!(
                "{what}: expected {expected}, found {found}"
            )))
        }
    };
    if let Some(expected) = &expected.payloads {
        same("payloads", &payloads, &expected)?;
    }
    if let Some(count) = expected.count {
        same("count of payloads", &payloads.len(), &count)?;
    }
    if expected.payloads.is_none() && expected.count.is_none() {
        return Err("neither payloads nor their count are expected".into());
    }
    same("state", &status.state.as_str(), &expected.state.as_str())?;
    same("message", &status.message, &expected.message)?;
    same("remedy", &status.remedy, &expected.remedy)?;
    same("duplicates", &status.duplicates, &expected.duplicates)?;
    same("malformed", &status.malformed, &expected.malformed)?;
    let retries: BTreeMap<String, u64> = RetryReason::ALL
        .into_iter()
        .filter(|reason| status.retries(*reason) > 0)
        .map(|reason| (reason.as_str().to_owned(), status.retries(reason)))
        .collect();
    same("retries", &retries, &expected.retries)?;
    let cursor = cursor.as_text().unwrap_or_default();
    if let Some(text) = &expected.cursor_holds
        && !cursor.contains(text.as_str())
    {
        return Err(format!("the cursor does not hold {text}: {cursor}").into());
    }
    Ok(())
}

fn seconds(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1000.0).round() as i64)
}

/// Keeps what it is given, except while it is full.
struct Collected {
    payloads: Vec<String>,
    clock: VirtualClock,
    full: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Sink for Collected {
    fn accept(&mut self, _lane: &LaneId, page: &Page) -> Result<(), SinkError> {
        let now = self.clock.now();
        if self.full.is_some_and(|(from, to)| from <= now && now < to) {
            return Err(SinkError::Full);
        }
        logged::show(page.cursor.as_text().unwrap_or_default());
        let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
        self.payloads
            .extend(page.payloads.iter().map(|payload| text(payload)));
        Ok(())
    }
}

/// Compares requests with a scenario and answers them.
struct Script {
    clock: VirtualClock,
    start: DateTime<Utc>,
    token_url: Option<String>,
    limit: usize,
    exchanges: Mutex<VecDeque<Exchange>>,
    complaints: Mutex<Vec<String>>,
}

/// The scenario is full of secrets.
impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    fn check(&self, exchange: &Exchange, request: &Request) -> Result<(), String> {
        let found = format!("{} {}", request.method.as_str(), request.url);
        let is_token = exchange.request == "token";
        let expected = if is_token {
            format!("POST {}", self.token_url.as_deref().unwrap_or_default())
        } else {
            exchange.request.clone()
        };
        let at = (self.clock.now() - self.start).num_milliseconds() as f64 / 1000.0;
        if found != expected {
            return Err(format!("at {at} s\nexpected {expected}\nfound    {found}"));
        }
        let in_time = match exchange.at {
            None => true,
            Some(Moment::Exactly(moment)) => (at - moment).abs() < 0.0015,
            Some(Moment::Between([from, to])) => (from..=to).contains(&at),
        };
        if !in_time {
            return Err(format!(
                "{found}\nexpected at {:?}, came at {at}",
                exchange.at
            ));
        }
        let bearer = request
            .bearer
            .as_ref()
            .map(protocol::secret::Secret::expose);
        if bearer != exchange.bearer.as_deref() {
            return Err(format!(
                "{found}\nexpected the token {:?}, found {bearer:?}",
                exchange.bearer
            ));
        }
        for (name, value) in &exchange.carries {
            if !request.headers.iter().any(|(n, v)| n == name && v == value) {
                return Err(format!("{found}\nthe header {name}: {value} is missing"));
            }
        }
        let has_secret = request.body.as_ref().is_some_and(|body| {
            body.expose()
                .contains("client_secret=SECRET~of%2Bthe%2Fclient%3D")
        });
        if is_token != has_secret {
            return Err(format!(
                "{found}\nthe client secret belongs into requests for a token, and only there"
            ));
        }
        Ok(())
    }
}

impl Transport for Script {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        logged::show(&format!("{request:?}"));
        let refuse = |complaint: String| {
            self.complaints.lock().unwrap().push(complaint);
            Err(TransportError::Local(
                "the scenario has gone wrong".to_owned(),
            ))
        };
        let Some(exchange) = self.exchanges.lock().unwrap().pop_front() else {
            let at = (self.clock.now() - self.start).num_milliseconds() as f64 / 1000.0;
            return refuse(format!(
                "at {at} s a request that was not expected: {} {}",
                request.method.as_str(),
                request.url
            ));
        };
        if let Err(complaint) = self.check(&exchange, request) {
            return refuse(complaint);
        }
        self.clock.advance(seconds(exchange.takes));
        let answer = answer(&exchange, self.limit);
        logged::show(&format!("{answer:?}"));
        answer
    }
}

fn answer(exchange: &Exchange, limit: usize) -> Result<Response, TransportError> {
    let host = "server.example.com".to_owned();
    match exchange.fails {
        None => {}
        Some(Failure::Dns) => return Err(TransportError::Dns(host)),
        Some(Failure::Refused) => {
            return Err(TransportError::Connect {
                host,
                reason: "connection refused".to_owned(),
            });
        }
        Some(Failure::Certificate) => {
            return Err(TransportError::Tls {
                host,
                reason: "invalid peer certificate: UnknownIssuer".to_owned(),
            });
        }
        Some(Failure::Timeout) => return Err(TransportError::Timeout("the whole answer")),
        Some(Failure::Reset) => {
            return Err(TransportError::Broken(
                "connection reset by peer".to_owned(),
            ));
        }
        Some(Failure::TooLarge) => return Err(TransportError::TooLarge { limit }),
        Some(Failure::Redirect) => {
            return Err(TransportError::Redirect("to another server".to_owned()));
        }
        Some(Failure::Proxy) => {
            return Err(TransportError::Proxy(
                "407 Proxy Authentication Required".to_owned(),
            ));
        }
    }
    let body = match (&exchange.body, &exchange.repeat, &exchange.token) {
        (Some(body), ..) => body.clone(),
        (None, Some((element, count)), _) => element.repeat(*count),
        (None, None, Some((token, life))) => {
            format!(r#"{{"token_type":"Bearer","expires_in":"{life}","access_token":"{token}"}}"#)
        }
        (None, None, None) => String::new(),
    };
    Ok(Response {
        status: exchange.status,
        headers: exchange
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect(),
        body: body.into_bytes(),
    })
}
