//! The simulator at work: a listener on loopback, a thread for each connection, one state behind them.

use crate::clock::Clock;
use crate::entra::{self, Tokens};
use crate::fault::{Counted, Fault, RetryAfter};
use crate::feed::{Entry, Running};
use crate::http::{Connection, Manner, Next, Reply, Request};
use crate::ledger::{Ledger, Record};
use crate::locked;
use crate::scenario::{Scenario, ScenarioError, Service, parse_duration};
use crate::service::{self, Page, Refusal};
use crate::stamp::Stamp;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many requests are remembered.
const REMEMBERED: usize = 100_000;

/// A request and what was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// What the clock showed.
    pub at: Stamp,
    /// The interface.
    pub service: Service,
    /// The region; empty for all but the SIEM API.
    pub region: String,
    /// Counted from 1 for each interface and region.
    pub number: u64,
    /// As sent.
    pub target: String,
    /// Whether the request held an `authorization` header.
    pub authorized: bool,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// How many alerts were in it.
    pub alerts: usize,
    /// Whether it was sent to its end.
    pub whole: bool,
    /// Whether a fault of the scenario befell it.
    pub spoilt: bool,
}

/// How far the feeds have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Alerts, with all their versions, that were shown so far.
    pub shown: u64,
    /// Those that nobody has asked for yet.
    pub unserved: u64,
    /// Whether nothing more will be made.
    pub exhausted: bool,
}

#[derive(Debug)]
struct World {
    feeds: Vec<Running>,
    tokens: Tokens,
    counts: BTreeMap<(Service, String), u64>,
    recent: BTreeMap<Service, VecDeque<Stamp>>,
    log: VecDeque<Answered>,
}

#[derive(Debug)]
struct Shared {
    scenario: Scenario,
    clock: Clock,
    world: Mutex<World>,
    stop: AtomicBool,
}

/// Microsoft's side, on a port of this machine, until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

/// Why the simulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The scenario cannot be played.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The address is taken, or is not one of this machine.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

impl Simulator {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If the scenario has a fault or there is no port.
    pub fn start(scenario: Scenario) -> Result<Self, StartError> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), scenario)
    }

    /// Starts on this address.
    ///
    /// # Errors
    /// If the scenario has a fault or the address cannot be had.
    pub fn start_on(address: SocketAddr, scenario: Scenario) -> Result<Self, StartError> {
        scenario.check()?;
        let failed = |error| StartError::Listen(address, error);
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(scenario));
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.listen(&listener))
        };
        Ok(Self {
            shared,
            address,
            listener: Some(thread),
        })
    }

    /// Starts without a port: requests come through [`Simulator::ask`] only.
    ///
    /// # Errors
    /// If the scenario has a fault.
    pub fn offline(scenario: Scenario) -> Result<Self, StartError> {
        scenario.check()?;
        Ok(Self {
            shared: Arc::new(Shared::new(scenario)),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            listener: None,
        })
    }

    /// Answers a request without a connection; the target is path and query.
    pub fn ask(
        &self,
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Exchanged {
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body,
        };
        self.shared.ask(&request)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of all its interfaces, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its time.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Makes alerts now, all with the time stamp of now. Nothing happens where there is no such feed.
    pub fn publish(&self, service: Service, region: &str, alerts: u64) {
        self.shared.publish(service, region, alerts);
    }

    /// All alerts that were shown until now, and how often each was served.
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger()
    }

    /// How far the feeds have come.
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }

    /// The last requests, the oldest first; at most 100,000.
    pub fn requests(&self) -> Vec<Answered> {
        locked(&self.shared.world).log.iter().cloned().collect()
    }

    /// How many requests there were to the token endpoint and the interfaces.
    pub fn request_count(&self) -> u64 {
        locked(&self.shared.world).counts.values().sum()
    }

    /// The regions of the feeds of an interface. Those without regions have an empty one.
    pub fn regions(&self, service: Service) -> Vec<String> {
        let feeds = self.shared.scenario.feeds.iter();
        feeds
            .filter(|feed| feed.service == service)
            .map(|feed| feed.region.clone())
            .collect()
    }

    /// Every token that was given out, for a search in logs.
    pub fn tokens(&self) -> Vec<String> {
        locked(&self.shared.world).tokens.all()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if self.listener.is_none() {
            return;
        }
        // The listener waits for a connection, so it gets one.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(thread) = self.listener.take() {
            let _ = thread.join();
        }
    }
}

/// What a request is for.
enum Route<'a> {
    Token { tenant: &'a str, version: u8 },
    Alerts(Service, &'a str),
    Control(&'a str),
    Nothing,
}

fn route<'a>(request: &'a Request) -> Route<'a> {
    let parts: Vec<&str> = request
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    match (request.method.as_str(), &parts[..]) {
        ("POST", [tenant, "oauth2", "token"]) => Route::Token { tenant, version: 1 },
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => Route::Token { tenant, version: 2 },
        ("GET", ["api", "alerts"] | ["api", "v1.0", "alerts"]) => {
            Route::Alerts(Service::MdeApi, "")
        }
        ("GET", ["v1.0", "security", "alerts_v2"]) => Route::Alerts(Service::Graph, ""),
        ("GET", [region, "api", "alerts"]) => Route::Alerts(Service::SiemApi, region),
        (_, ["_simulator", what]) => Route::Control(what),
        _ => Route::Nothing,
    }
}

/// An answer, and which entries of which feed are in it.
struct Prepared {
    reply: Reply,
    feed: usize,
    entries: Vec<usize>,
}

impl From<Reply> for Prepared {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            feed: 0,
            entries: Vec::new(),
        }
    }
}

/// An answer that was prepared for a request, and what has to be noted once it is sent.
struct Call<'a> {
    request: &'a Request,
    service: Service,
    region: &'a str,
    number: u64,
    now: Stamp,
    spoilt: bool,
    /// Of the body before a fault spoilt it.
    length: usize,
    feed: usize,
    entries: Vec<usize>,
}

/// What became of a request that came without a connection.
#[derive(Debug, Clone, Default)]
pub struct Exchanged {
    /// The status; 0 where there is no answer or it breaks off.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How much white space stands before the body.
    pub padding: u64,
    /// The keys of the alerts in it, if it is whole.
    pub keys: Vec<String>,
}

impl Shared {
    fn new(scenario: Scenario) -> Self {
        let clock = Clock::new(scenario.start.unwrap_or_else(Stamp::now), scenario.pace);
        let feeds = scenario
            .feeds
            .iter()
            .map(|feed| Running::new(feed.clone(), scenario.seed, clock.start()))
            .collect();
        Self {
            clock,
            world: Mutex::new(World {
                feeds,
                tokens: Tokens::default(),
                counts: BTreeMap::new(),
                recent: BTreeMap::new(),
                log: VecDeque::new(),
            }),
            stop: AtomicBool::new(false),
            scenario,
        }
    }

    fn ask(&self, request: &Request) -> Exchanged {
        let (reply, call) = match route(request) {
            Route::Token { tenant, version } => {
                self.prepare(request, Service::Token, "", (tenant, version))
            }
            Route::Alerts(service, region) => self.prepare(request, service, region, ("", 0)),
            Route::Control(_) | Route::Nothing => {
                return Exchanged {
                    status: 404,
                    ..Exchanged::default()
                };
            }
        };
        let whole = matches!(reply.manner, Manner::Whole | Manner::Slow { .. });
        let is_served = whole && reply.body.len() == call.length;
        let (feed, entries) = (call.feed, call.entries.clone());
        self.note(&call, whole, &reply);
        if !whole {
            return Exchanged::default();
        }
        let keys = if is_served {
            let world = locked(&self.world);
            world.feeds.get(feed).map_or_else(Vec::new, |feed| {
                let key = |at: &usize| feed.entries[*at].key(feed.spec.service);
                entries.iter().map(key).collect()
            })
        } else {
            Vec::new()
        };
        Exchanged {
            status: reply.status,
            headers: reply
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            body: reply.body,
            padding: reply.padding,
            keys,
        }
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections: Vec<JoinHandle<()>> = Vec::new();
        for stream in listener.incoming() {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(self);
            connections.retain(|connection| !connection.is_finished());
            connections.push(std::thread::spawn(move || {
                // A connection that breaks is the client's affair.
                let _ = shared.serve(stream);
            }));
        }
        for connection in connections {
            let _ = connection.join();
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream, &self.stop)?;
        loop {
            let request = match connection.next()? {
                Next::Request(request) => request,
                Next::Refused(status) => {
                    let reply = service::error(
                        Service::MdeApi,
                        status,
                        "the request cannot be read",
                        self.clock.now(),
                    )
                    .header("connection", "close");
                    connection.send(&reply)?;
                    connection.finish();
                    return Ok(());
                }
                Next::Closed => return Ok(()),
            };
            let close = request
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let whole = match route(&request) {
                Route::Token { tenant, version } => {
                    let tenant = (tenant, version);
                    self.answer(&mut connection, &request, Service::Token, "", tenant)?
                }
                Route::Alerts(service, region) => {
                    self.answer(&mut connection, &request, service, region, ("", 0))?
                }
                Route::Control(what) => connection.send(&self.control(what, &request))?,
                Route::Nothing => connection.send(&service::error(
                    Service::MdeApi,
                    404,
                    "there is no such interface",
                    self.clock.now(),
                ))?,
            };
            if close || !whole {
                return Ok(());
            }
        }
    }

    /// Answers, and notes what was answered.
    fn answer(
        &self,
        connection: &mut Connection<'_>,
        request: &Request,
        service: Service,
        region: &str,
        tenant: (&str, u8),
    ) -> io::Result<bool> {
        let (reply, call) = self.prepare(request, service, region, tenant);
        let sent = connection.send(&reply);
        self.note(&call, matches!(sent, Ok(true)), &reply);
        sent
    }

    fn prepare<'a>(
        &self,
        request: &'a Request,
        service: Service,
        region: &'a str,
        tenant: (&str, u8),
    ) -> (Reply, Call<'a>) {
        let now = self.clock.now();
        let number = {
            let mut world = locked(&self.world);
            let count = world
                .counts
                .entry((service, region.to_owned()))
                .or_default();
            *count += 1;
            *count
        };
        let counted = Counted {
            service,
            region,
            number,
            passed: now.since(self.clock.start()),
            is_link: request.target.contains("skiptoken"),
        };
        let fault = self
            .scenario
            .faults
            .iter()
            .find(|rule| rule.fits(&counted, self.scenario.seed))
            .map(|rule| &rule.fault);
        let prepared = match fault.and_then(|fault| instead(fault, service, now)) {
            Some(reply) => reply.into(),
            None if service == Service::Token => self.token(request, tenant, now).into(),
            None => self.alerts(request, service, region, fault, (number, now)),
        };
        let Prepared {
            reply,
            feed,
            entries,
        } = prepared;
        let length = reply.body.len();
        let mut reply = match fault {
            Some(fault) => spoilt(fault, reply),
            None => reply,
        };
        if self.scenario.date {
            let ahead = Duration::from_secs(self.scenario.date_ahead.unsigned_abs());
            let date = if self.scenario.date_ahead < 0 {
                now - ahead
            } else {
                now + ahead
            };
            reply.headers.push(("date", date.http_date()));
        }
        let call = Call {
            request,
            service,
            region,
            number,
            now,
            spoilt: fault.is_some(),
            length,
            feed,
            entries,
        };
        (reply, call)
    }

    /// Notes what became of an answer.
    fn note(&self, call: &Call<'_>, whole: bool, reply: &Reply) {
        let silent = matches!(reply.manner, Manner::Silence | Manner::Reset);
        let mut world = locked(&self.world);
        // Half of the JSON, sent to its end, serves nobody.
        if whole
            && reply.body.len() == call.length
            && let Some(feed) = world.feeds.get_mut(call.feed)
        {
            for at in &call.entries {
                feed.entries[*at].served += 1;
            }
        }
        if world.log.len() == REMEMBERED {
            world.log.pop_front();
        }
        world.log.push_back(Answered {
            at: call.now,
            service: call.service,
            region: call.region.to_owned(),
            number: call.number,
            target: call.request.target.clone(),
            authorized: call.request.header("authorization").is_some(),
            status: if silent { 0 } else { reply.status },
            alerts: call.entries.len(),
            whole,
            spoilt: call.spoilt,
        });
    }

    fn token(&self, request: &Request, (tenant, version): (&str, u8), now: Stamp) -> Reply {
        let call = entra::Call {
            tenant,
            version,
            now,
            lifetime: self.scenario.token_lifetime,
            seed: self.scenario.seed,
        };
        locked(&self.world)
            .tokens
            .answer(request, &call, &self.scenario.clients)
    }

    /// One page of alerts, or why there is none.
    fn alerts(
        &self,
        request: &Request,
        service: Service,
        region: &str,
        fault: Option<&Fault>,
        (number, now): (u64, Stamp),
    ) -> Prepared {
        let mut world = locked(&self.world);
        if fault == Some(&Fault::TokensExpire) {
            world.tokens.expire(now);
        }
        if let Err(why) = world.tokens.admit(request, service, now) {
            return service::error(service, 401, why, now).into();
        }
        if let Some(wait) = self.over_limit(&mut world, service, now) {
            return throttled(service, &RetryAfter::Seconds(wait), now).into();
        }
        let place = world
            .feeds
            .iter()
            .position(|feed| feed.spec.service == service && feed.spec.region == region);
        let Some(place) = place else {
            return service::error(service, 404, "there is no such region", now).into();
        };
        let feed = &mut world.feeds[place];
        feed.advance(now);
        let mut page = match service::page(feed, request, &self.scenario, (number, now)) {
            Ok(page) => page,
            Err(Refusal(status, text)) => {
                return service::error(service, status, &text, now).into();
            }
        };
        let entries: Vec<Entry> = page.entries.iter().map(|at| feed.entries[*at]).collect();
        // Writing alerts takes its time, and others wait.
        drop(world);
        if let Some(Fault::NextLink(address)) = fault {
            page.next = Some(address.clone());
        }
        let twice = fault == Some(&Fault::Twice);
        let root = request.root();
        let mut reply = Reply::json(200, service::body(service, &root, &page, &entries, twice));
        reply.chunked = service == Service::Graph;
        let Page { entries, .. } = page;
        Prepared {
            reply,
            feed: place,
            entries,
        }
    }

    /// How many seconds to wait, if there were too many requests in the last minute.
    fn over_limit(&self, world: &mut World, service: Service, now: Stamp) -> Option<u32> {
        let limit = self.scenario.requests_per_minute? as usize;
        let minute = Duration::from_secs(60);
        let recent = world.recent.entry(service).or_default();
        while recent.front().is_some_and(|first| *first + minute <= now) {
            recent.pop_front();
        }
        if recent.len() < limit {
            recent.push_back(now);
            return None;
        }
        let free = *recent.front()? + minute;
        u32::try_from(free.since(now).as_secs() + 1).ok()
    }

    fn publish(&self, service: Service, region: &str, alerts: u64) {
        let now = self.clock.now();
        let mut world = locked(&self.world);
        let feed = world
            .feeds
            .iter_mut()
            .find(|feed| feed.spec.service == service && feed.spec.region == region);
        if let Some(feed) = feed {
            feed.advance(now);
            feed.publish(alerts, now);
        }
    }

    fn ledger(&self) -> Ledger {
        let now = self.clock.now();
        let mut world = locked(&self.world);
        let mut records = Vec::new();
        for feed in &mut world.feeds {
            feed.advance(now);
            let service = feed.spec.service;
            let shown = feed.entries.iter().filter(|entry| entry.visible <= now);
            records.extend(shown.map(|entry| Record {
                key: entry.key(service),
                service,
                region: feed.spec.region.clone(),
                updated: entry.updated,
                visible: entry.visible,
                superseded: entry.superseded.filter(|superseded| *superseded <= now),
                served: entry.served,
            }));
        }
        Ledger {
            records,
            at: Some(now),
        }
    }

    fn progress(&self) -> Progress {
        let now = self.clock.now();
        let mut world = locked(&self.world);
        let mut progress = Progress {
            shown: 0,
            unserved: 0,
            exhausted: true,
        };
        for feed in &mut world.feeds {
            feed.advance(now);
            for entry in &feed.entries {
                progress.exhausted &= entry.visible <= now;
                progress.shown += u64::from(entry.visible <= now);
                progress.unserved += u64::from(entry.is_shown_at(now) && entry.served == 0);
            }
            progress.exhausted &= feed.is_exhausted();
        }
        progress
    }

    /// What a person asks with `curl`: `/_simulator/ledger`, `requests`, `progress`, `advance?by=5m`,
    /// `publish?service=siem-api&region=eu&alerts=10`.
    fn control(&self, what: &str, request: &Request) -> Reply {
        fn lines<T: Serialize>(items: impl Iterator<Item = T>) -> Reply {
            let mut body = Vec::new();
            for item in items {
                // Plain data into memory.
                let _ = serde_json::to_writer(&mut body, &item);
                body.push(b'\n');
            }
            let mut reply = Reply::json(200, body);
            reply.headers = vec![("content-type", "application/x-ndjson".to_owned())];
            reply
        }
        let query: BTreeMap<String, String> = request.query().into_iter().collect();
        let wrong = |text| service::error(Service::MdeApi, 400, text, self.clock.now());
        match (request.method.as_str(), what) {
            ("GET", "ledger") => lines(self.ledger().records.iter()),
            ("GET", "requests") => lines(locked(&self.world).log.iter()),
            ("GET", "progress") => lines(std::iter::once(self.progress())),
            ("POST", "advance") => match query.get("by").and_then(|by| parse_duration(by)) {
                Some(by) => {
                    self.clock.advance(by);
                    lines(std::iter::once(self.progress()))
                }
                None => wrong("give a time, as in ?by=5m"),
            },
            ("POST", "publish") => {
                let text = |name: &str| query.get(name).map_or("", String::as_str);
                let service = serde_json::from_value(text("service").into());
                match (service, text("alerts").parse()) {
                    (Ok(service), Ok(alerts)) => {
                        self.publish(service, text("region"), alerts);
                        lines(std::iter::once(self.progress()))
                    }
                    _ => wrong("give ?service=siem-api&region=eu&alerts=10"),
                }
            }
            _ => service::error(
                Service::MdeApi,
                404,
                "there are ledger, requests, progress, advance, publish",
                self.clock.now(),
            ),
        }
    }
}

fn throttled(service: Service, after: &RetryAfter, now: Stamp) -> Reply {
    let reply = service::error(service, 429, "Please retry again later.", now);
    let value = match after {
        RetryAfter::Missing => return reply,
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Fraction(text) | RetryAfter::Text(text) => text.clone(),
        RetryAfter::Date(seconds) => (now + Duration::from_secs(u64::from(*seconds))).http_date(),
    };
    reply.header("retry-after", value)
}

/// The answer that a fault puts in the place of the true one.
fn instead(fault: &Fault, service: Service, now: Stamp) -> Option<Reply> {
    let text = |kind: &str, body: &str| {
        let mut reply = Reply::json(200, body.as_bytes().to_vec());
        reply.headers = vec![("content-type", kind.to_owned())];
        reply
    };
    let silent = |manner| Reply {
        manner,
        ..Reply::default()
    };
    Some(match fault {
        Fault::Status(status) => service::error(service, *status, "The request failed.", now),
        Fault::Throttled(after) => throttled(service, after, now),
        Fault::Entra(code) if service == Service::Token => entra::error(*code, now),
        Fault::Silence => silent(Manner::Silence),
        Fault::Reset => silent(Manner::Reset),
        Fault::InvalidJson => text("application/json", "[{\"AlertId\": \"da1_1\", oops}]"),
        Fault::DeepJson(depth) => {
            let depth = *depth as usize;
            text(
                "application/json",
                &format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
            )
        }
        Fault::WebPage => text(
            "text/html",
            "<!doctype html><title>Sign in</title><p>Please sign in to use this network.</p>",
        ),
        Fault::EmptyBody => text("application/json", ""),
        Fault::Redirect(address) => Reply {
            status: 302,
            headers: vec![("location", address.clone())],
            ..Reply::default()
        },
        _ => return None,
    })
}

/// What a fault makes of the true answer.
fn spoilt(fault: &Fault, mut reply: Reply) -> Reply {
    match fault {
        Fault::Slow { piece, pause } => {
            reply.manner = Manner::Slow {
                piece: *piece,
                pause: *pause,
            };
        }
        Fault::ResetHalfway => reply.manner = Manner::ResetHalfway,
        Fault::Truncated => reply.manner = Manner::Truncated,
        Fault::HalfJson => reply.body.truncate(reply.body.len() / 2),
        Fault::Huge(bytes) => reply.padding = *bytes,
        _ => {}
    }
    reply
}
