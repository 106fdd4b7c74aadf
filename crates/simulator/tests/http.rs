//! The simulator from outside, over real connections on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of tests are tests too"
)]

use serde_json::Value;
use simulator::{
    Client, Fault, Feed, Pace, RetryAfter, Rule, Scenario, Service, Simulator, Stamp, key_of,
};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SIEM: &str = "https://graph.windows.net";
const MDE: &str = "https://api.securitycenter.microsoft.com";
const GRAPH: &str = "https://graph.microsoft.com";

fn scenario() -> Scenario {
    let hour = Duration::from_secs(3600);
    Scenario {
        start: Stamp::parse("2026-03-02T08:00:00Z"),
        pace: Pace::Stepped,
        feeds: vec![
            Feed::siem("eu").backlog(120, hour),
            Feed::siem("us").backlog(30, hour),
            Feed::mde().backlog(250, hour),
            Feed::graph().backlog(250, hour),
        ],
        ..Scenario::default()
    }
}

fn with(faults: Vec<Rule>) -> Simulator {
    start(Scenario {
        faults,
        ..scenario()
    })
}

fn start(scenario: Scenario) -> Simulator {
    Simulator::start(scenario).unwrap()
}

#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// Whether there was as much as the header promised.
    complete: bool,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (other, value) = line.split_once(": ")?;
            other.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn alerts(&self) -> Vec<Value> {
        match self.json() {
            Value::Array(alerts) => alerts,
            mut envelope => envelope["value"].as_array_mut().unwrap().split_off(0),
        }
    }

    fn keys(&self) -> Vec<String> {
        let key = |alert: &Value| key_of(alert.to_string().as_bytes()).unwrap();
        self.alerts().iter().map(key).collect()
    }
}

fn request(simulator: &Simulator, text: &str) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(simulator.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(text.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut response = Response {
        status: head[9..12].parse().unwrap(),
        head,
        body: bytes[end + 4..].to_vec(),
        complete: true,
    };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = unchunked(&response.body);
    } else {
        let promised: usize = response.header("content-length").unwrap().parse().unwrap();
        response.complete = response.body.len() == promised;
    }
    Ok(response)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\r').unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
}

fn get(simulator: &Simulator, target: &str, token: &str, more: &str) -> Response {
    try_get(simulator, target, token, more).unwrap()
}

fn try_get(
    simulator: &Simulator,
    target: &str,
    token: &str,
    more: &str,
) -> std::io::Result<Response> {
    let host = simulator.address();
    request(
        simulator,
        &format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        ),
    )
}

fn post(simulator: &Simulator, target: &str, body: &str) -> Response {
    let text = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    request(simulator, &text).unwrap()
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn credentials() -> String {
    let client = Client::default();
    format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        client.id,
        encode(&client.secret)
    )
}

fn sign_in(simulator: &Simulator, more: &str, version: u8) -> Response {
    let path = if version == 1 { "token" } else { "v2.0/token" };
    post(
        simulator,
        &format!("/{}/oauth2/{path}", Client::default().tenant),
        &format!("{}&{more}", credentials()),
    )
}

fn token(simulator: &Simulator, resource: &str) -> String {
    let response = sign_in(simulator, &format!("resource={}", encode(resource)), 1);
    response.json()["access_token"].as_str().unwrap().to_owned()
}

/// The first code in an error of Entra ID.
fn entra(response: &Response) -> u64 {
    let body = response.json();
    let text = body["error_description"].as_str().unwrap();
    let code = body["error_codes"][0].as_u64().unwrap();
    assert!(text.starts_with(&format!("AADSTS{code}: ")), "{text}");
    code
}

#[test]
fn version_1_writes_numbers_as_strings_and_version_2_as_numbers() {
    let simulator = with(vec![]);
    let first = sign_in(&simulator, &format!("resource={}", encode(SIEM)), 1).json();
    assert_eq!(first["expires_in"], "3599");
    assert_eq!(first["expires_on"], "1772441999");
    let scope = encode(&format!("{GRAPH}/.default"));
    let second = sign_in(&simulator, &format!("scope={scope}"), 2).json();
    assert_eq!(second["expires_in"], 3599);
    assert_eq!(simulator.tokens().len(), 2);
}

#[test]
fn what_is_wrong_with_a_sign_in_is_told_with_the_code_of_entra_id() {
    let simulator = with(vec![]);
    let tenant = Client::default().tenant;
    let at = |path: &str, body: &str| entra(&post(&simulator, path, body));
    let v1 = format!("/{tenant}/oauth2/token");
    let v2 = format!("/{tenant}/oauth2/v2.0/token");
    let good = credentials();
    let resource = format!("&resource={}", encode(SIEM));
    assert_eq!(at("/nonsense/oauth2/token", &good), 900_023);
    let other = "/aaaaaaaa-0000-4000-a000-aaaaaaaaaaaa/oauth2/token";
    assert_eq!(at(other, &good), 90_002);
    assert_eq!(at(&v1, ""), 900_144);
    assert_eq!(at(&v1, &good), 900_144);
    assert_eq!(at(&v1, "grant_type=password&client_id=x"), 70_003);
    assert_eq!(
        at(&v1, "grant_type=client_credentials&client_id=x"),
        700_016
    );
    let id = Client::default().id;
    let bare = format!("grant_type=client_credentials&client_id={id}");
    assert_eq!(at(&v1, &bare), 7_000_218);
    assert_eq!(
        at(&v1, &format!("{bare}&client_secret=wrong{resource}")),
        7_000_215
    );
    assert_eq!(
        at(&v1, &format!("{good}&resource=https://example.com")),
        500_011
    );
    assert_eq!(at(&v2, &format!("{good}{resource}")), 901_002);
    assert_eq!(at(&v2, &format!("{good}&scope=user.read")), 70_011);
    let expired = start(Scenario {
        clients: vec![Client {
            secret_expired: true,
            ..Client::default()
        }],
        ..scenario()
    });
    let response = sign_in(&expired, &format!("resource={}", encode(SIEM)), 1);
    assert_eq!((response.status, entra(&response)), (401, 7_000_222));
}

#[test]
fn a_token_is_refused_when_it_is_missing_foreign_or_too_old() {
    let simulator = with(vec![]);
    let siem = token(&simulator, SIEM);
    assert_eq!(get(&simulator, "/eu/api/alerts", &siem, "").status, 200);
    assert_eq!(get(&simulator, "/eu/api/alerts", "made-up", "").status, 401);
    assert_eq!(get(&simulator, "/api/alerts", &siem, "").status, 401);
    let response = get(&simulator, "/v1.0/security/alerts_v2", &siem, "");
    assert_eq!(
        response.json()["error"]["code"],
        "InvalidAuthenticationToken"
    );
    let bare = "GET /eu/api/alerts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(request(&simulator, bare).unwrap().status, 401);
    simulator.clock().advance(Duration::from_secs(3598));
    assert_eq!(get(&simulator, "/eu/api/alerts", &siem, "").status, 200);
    simulator.clock().advance(Duration::from_secs(1));
    assert_eq!(get(&simulator, "/eu/api/alerts", &siem, "").status, 401);
}

#[test]
fn regions_are_apart_and_unknown_ones_are_not_there() {
    let simulator = with(vec![]);
    let siem = token(&simulator, SIEM);
    let eu = get(&simulator, "/eu/api/alerts", &siem, "").keys();
    let us = get(&simulator, "/us/api/alerts/", &siem, "").keys();
    assert_eq!((eu.len(), us.len()), (120, 30));
    assert!(us.iter().all(|key| !eu.contains(key)));
    assert_eq!(get(&simulator, "/uk/api/alerts", &siem, "").status, 404);
}

#[test]
fn the_siem_api_serves_ranges_and_with_a_limit_the_newest() {
    let simulator = with(vec![]);
    let siem = token(&simulator, SIEM);
    let eu = |query: &str| get(&simulator, &format!("/eu/api/alerts?{query}"), &siem, "");
    let times = |response: &Response| -> Vec<Stamp> {
        let time =
            |alert: &Value| Stamp::parse(alert["LastProcessedTimeUtc"].as_str().unwrap()).unwrap();
        let mut times: Vec<Stamp> = response.alerts().iter().map(time).collect();
        times.sort();
        times
    };
    let all = times(&eu(""));
    assert_eq!(all.len(), 120);
    let middle = all[60];
    let since = times(&eu(&format!("sinceTimeUtc={middle}")));
    assert_eq!(since[0], middle, "the bound is part of the range");
    let until = times(&eu(&format!("untilTimeUtc={middle}")));
    assert_eq!(*until.last().unwrap(), middle);
    assert!(since.len() + until.len() > 120);
    let newest = times(&eu("limit=7"));
    assert_eq!(newest, all[113..]);
    let recent = times(&eu("ago=PT10M"));
    assert!(!recent.is_empty() && recent.len() < 40, "{}", recent.len());
    assert_eq!(eu("sinceTimeUtc=yesterday").status, 401);
    // Without a bound there are two hours.
    simulator.clock().advance(Duration::from_secs(3599 - 60));
    assert_eq!(eu("").alerts().len(), 120);
    simulator.clock().advance(Duration::from_secs(30));
    let siem = token(&simulator, SIEM);
    simulator.clock().advance(Duration::from_secs(1800));
    let later = get(&simulator, "/eu/api/alerts", &siem, "").alerts().len();
    assert!((50..70).contains(&later), "{later}");
}

#[test]
fn an_exclusive_bound_leaves_its_alerts_out() {
    let simulator = start(Scenario {
        since_is_inclusive: false,
        ..scenario()
    });
    simulator.publish(Service::SiemApi, "eu", 5);
    let siem = token(&simulator, SIEM);
    let target = format!("/eu/api/alerts?sinceTimeUtc={}", simulator.clock().now());
    assert_eq!(get(&simulator, &target, &siem, "").alerts().len(), 0);
}

/// Follows next links to the end.
fn follow(simulator: &Simulator, target: &str, token: &str) -> (Vec<String>, usize) {
    let (mut keys, mut pages, mut next) = (Vec::new(), 0, Some(target.to_owned()));
    while let Some(target) = next.take() {
        let response = get(simulator, &target, token, "");
        assert_eq!(response.status, 200, "{target}");
        keys.extend(response.keys());
        pages += 1;
        next = response.json()["@odata.nextLink"].as_str().map(|link| {
            link.strip_prefix(&simulator.url())
                .expect("the link stays on the host")
                .to_owned()
        });
    }
    (keys, pages)
}

#[test]
fn next_links_lead_through_every_alert_once_while_new_ones_arrive() {
    let simulator = with(vec![]);
    let graph = token(&simulator, GRAPH);
    let target = "/v1.0/security/alerts_v2?$top=100";
    let first = get(&simulator, target, &graph, "");
    simulator.publish(Service::Graph, "", 40);
    let next = first.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let (rest, pages) = follow(
        &simulator,
        next.strip_prefix(&simulator.url()).unwrap(),
        &graph,
    );
    assert_eq!(pages, 2);
    let all: BTreeSet<String> = first.keys().into_iter().chain(rest).collect();
    assert_eq!(all.len(), 250);
}

#[test]
fn pages_are_cut_from_what_there_is_when_they_are_asked_for() {
    let pages = |frozen_results| {
        let simulator = start(Scenario {
            frozen_results,
            ..scenario()
        });
        let graph = token(&simulator, GRAPH);
        let first = get(&simulator, "/v1.0/security/alerts_v2?$top=100", &graph, "");
        simulator.clock().advance(Duration::from_secs(1));
        simulator.publish(Service::Graph, "", 40);
        let next = first.json()["@odata.nextLink"].as_str().unwrap().to_owned();
        let next = next.strip_prefix(&simulator.url()).unwrap().to_owned();
        let second = get(&simulator, &next, &graph, "");
        let seen: BTreeSet<String> = first.keys().into_iter().collect();
        second
            .keys()
            .iter()
            .filter(|key| seen.contains(*key))
            .count()
    };
    assert_eq!(pages(true), 0);
    assert_eq!(
        pages(false),
        40,
        "what was on the first page has moved to the second"
    );
}

#[test]
fn the_defender_api_pages_by_skip_and_links_where_it_cuts_a_page_itself() {
    let simulator = start(Scenario {
        mde_page: 60,
        ..scenario()
    });
    let mde = token(&simulator, MDE);
    let count = |query: &str| {
        get(&simulator, &format!("/api/alerts?{query}"), &mde, "")
            .alerts()
            .len()
    };
    assert_eq!(count("$top=50&$skip=240"), 10);
    assert_eq!(count("$top=50&$skip=500"), 0);
    let (keys, pages) = follow(&simulator, "/api/alerts?$top=200&$skip=100", &mde);
    assert_eq!((keys.len(), pages), (150, 3));
    let (keys, pages) = follow(&simulator, "/api/v1.0/alerts?$top=60", &mde);
    assert_eq!((keys.len(), pages), (60, 1));
    for wrong in [
        "$top=10001",
        "$top=x",
        "$orderby=id",
        "$filter=title eq 'x'",
    ] {
        let response = get(
            &simulator,
            &format!("/api/alerts?{}", wrong.replace(' ', "%20")),
            &mde,
            "",
        );
        assert_eq!(response.status, 400, "{wrong}");
        assert_eq!(response.json()["error"]["code"], "BadRequest");
    }
}

#[test]
fn filters_select_by_time_and_by_what_an_alert_says() {
    let simulator = with(vec![]);
    let mde = token(&simulator, MDE);
    let filter = |text: &str| {
        let target = format!("/api/alerts?$filter={}", encode(text));
        get(&simulator, &target, &mde, "").alerts()
    };
    let all = get(&simulator, "/api/alerts", &mde, "").alerts();
    let middle = all[125]["lastUpdateTime"].as_str().unwrap();
    let above = filter(&format!("lastUpdateTime gt {middle}"));
    let from = filter(&format!("lastUpdateTime ge {middle}"));
    assert!(!above.is_empty() && above.len() < from.len());
    let high = filter("severity eq 'High'");
    assert!(!high.is_empty());
    assert!(high.iter().all(|alert| alert["severity"] == "High"));
    let expected = all.iter().filter(|alert| alert["severity"] == "High");
    assert_eq!(high.len(), expected.count());
}

#[test]
fn evidence_and_new_enum_members_are_only_there_for_those_who_ask() {
    let simulator = with(vec![]);
    let mde = token(&simulator, MDE);
    let evidence = |target: &str| -> usize {
        let alerts = get(&simulator, target, &mde, "").alerts();
        alerts
            .iter()
            .map(|alert| alert["evidence"].as_array().unwrap().len())
            .sum()
    };
    assert_eq!(evidence("/api/alerts"), 0);
    assert!(evidence("/api/alerts?$expand=evidence") > 250);
    let graph = token(&simulator, GRAPH);
    let sources = |prefer: &str| -> BTreeSet<String> {
        let alerts = get(&simulator, "/v1.0/security/alerts_v2", &graph, prefer).alerts();
        let source = |alert: &Value| alert["serviceSource"].as_str().unwrap().to_owned();
        alerts.iter().map(source).collect()
    };
    assert!(sources("").contains("unknownFutureValue"));
    let named = sources("Prefer: include-unknown-enum-members\r\n");
    assert!(named.contains("microsoftDefenderForCloud"), "{named:?}");
    assert!(!named.contains("unknownFutureValue"));
}

#[test]
fn alerts_appear_with_the_clock_and_the_ledger_counts_what_was_served() {
    let simulator = start(Scenario {
        feeds: vec![Feed {
            per_hour: 3600,
            ..Feed::siem("eu")
        }],
        ..scenario()
    });
    let siem = token(&simulator, SIEM);
    let count = || get(&simulator, "/eu/api/alerts", &siem, "").alerts().len();
    assert!(count() <= 1);
    simulator.clock().advance(Duration::from_secs(100));
    assert!(simulator.progress().unserved >= 99);
    let seen = count();
    assert!((100..=101).contains(&seen), "{seen}");
    let ledger = simulator.ledger();
    assert_eq!(ledger.records.len(), seen);
    assert!(ledger.records.iter().all(|record| record.served >= 1));
    let delivered = get(&simulator, "/eu/api/alerts", &siem, "").keys();
    assert!(ledger.compare(delivered.clone()).is_exact());
    assert_eq!(
        ledger.compare(&delivered[1..]).missing,
        [delivered[0].clone()]
    );
    assert!(!simulator.progress().exhausted);
}

#[test]
fn a_fault_befalls_the_requests_that_it_is_written_for() {
    let simulator = with(vec![
        Rule::always(Fault::Status(500)).region("eu").requests(2, 3),
        Rule::always(Fault::Throttled(RetryAfter::Fraction("2.128".to_owned())))
            .service(Service::Graph)
            .requests(1, 1),
    ]);
    let siem = token(&simulator, SIEM);
    let status = |target: &str, token: &str| get(&simulator, target, token, "").status;
    let eu: Vec<u16> = (0..4).map(|_| status("/eu/api/alerts", &siem)).collect();
    assert_eq!(eu, [200, 500, 500, 200]);
    assert_eq!(status("/us/api/alerts", &siem), 200);
    let graph = token(&simulator, GRAPH);
    let throttled = get(&simulator, "/v1.0/security/alerts_v2", &graph, "");
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.header("retry-after"), Some("2.128"));
    assert_eq!(throttled.json()["error"]["code"], "TooManyRequests");
    let statuses: Vec<u16> = simulator
        .requests()
        .iter()
        .filter(|request| request.region == "eu")
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, eu);
}

#[test]
fn waiting_is_asked_for_in_each_form() {
    for (form, expected) in [
        (RetryAfter::Missing, None),
        (RetryAfter::Seconds(30), Some("30")),
        (RetryAfter::Date(90), Some("Mon, 02 Mar 2026 08:01:30 GMT")),
        (RetryAfter::Text("soon".to_owned()), Some("soon")),
    ] {
        let simulator = with(vec![
            Rule::always(Fault::Throttled(form)).service(Service::SiemApi),
        ]);
        let siem = token(&simulator, SIEM);
        let response = get(&simulator, "/eu/api/alerts", &siem, "");
        assert_eq!(response.status, 429);
        assert_eq!(response.header("retry-after"), expected);
    }
}

#[test]
fn requests_over_the_limit_are_refused_until_a_minute_has_passed() {
    let simulator = start(Scenario {
        requests_per_minute: Some(2),
        ..scenario()
    });
    let siem = token(&simulator, SIEM);
    let get = || get(&simulator, "/eu/api/alerts", &siem, "");
    assert_eq!((get().status, get().status), (200, 200));
    let refused = get();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("61"));
    simulator.clock().advance(Duration::from_secs(61));
    assert_eq!(get().status, 200);
}

#[test]
fn tokens_can_end_in_the_middle() {
    let simulator = with(vec![
        Rule::always(Fault::TokensExpire)
            .region("eu")
            .requests(2, 2),
    ]);
    let siem = token(&simulator, SIEM);
    let status = |token: &str| get(&simulator, "/eu/api/alerts", token, "").status;
    assert_eq!(
        (status(&siem), status(&siem), status(&siem)),
        (200, 401, 401)
    );
    assert_eq!(status(&token(&simulator, SIEM)), 200);
}

#[test]
fn the_token_endpoint_fails_as_scripted() {
    let simulator = with(vec![
        Rule::always(Fault::Entra(90_033))
            .service(Service::Token)
            .requests(1, 1),
    ]);
    let response = sign_in(&simulator, &format!("resource={}", encode(SIEM)), 1);
    assert_eq!((response.status, entra(&response)), (503, 90_033));
    assert_eq!(response.json()["error"], "temporarily_unavailable");
    assert!(!token(&simulator, SIEM).is_empty());
}

fn spoilt(fault: Fault) -> (Simulator, std::io::Result<Response>) {
    let simulator = with(vec![Rule::always(fault).region("eu")]);
    let siem = token(&simulator, SIEM);
    let response = try_get(&simulator, "/eu/api/alerts", &siem, "");
    (simulator, response)
}

fn served(simulator: &Simulator) -> usize {
    let served = |record: &&simulator::Record| record.served > 0;
    simulator.ledger().records.iter().filter(served).count()
}

#[test]
fn a_body_that_ends_too_early_serves_nothing() {
    let (simulator, response) = spoilt(Fault::Truncated);
    let response = response.unwrap();
    assert!(!response.complete && !response.body.is_empty());
    assert_eq!(served(&simulator), 0);

    let (simulator, response) = spoilt(Fault::HalfJson);
    let response = response.unwrap();
    assert!(response.complete);
    assert!(serde_json::from_slice::<Value>(&response.body).is_err());
    assert_eq!(served(&simulator), 0);
}

#[test]
fn connections_are_reset_before_and_within_the_answer() {
    for fault in [Fault::Reset, Fault::ResetHalfway] {
        let (simulator, response) = spoilt(fault);
        let error = response.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(served(&simulator), 0);
    }
}

#[test]
fn a_slow_answer_takes_its_time_and_is_whole() {
    let begun = Instant::now();
    let (simulator, response) = spoilt(Fault::Slow {
        piece: 50_000,
        pause: Duration::from_millis(20),
    });
    assert_eq!(response.unwrap().alerts().len(), 120);
    assert!(begun.elapsed() >= Duration::from_millis(60));
    assert_eq!(served(&simulator), 120);
}

#[test]
fn a_silent_connection_ends_with_the_simulator() {
    let simulator = with(vec![Rule::always(Fault::Silence).region("eu")]);
    let siem = token(&simulator, SIEM);
    let mut stream = TcpStream::connect(simulator.address()).unwrap();
    let text =
        format!("GET /eu/api/alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {siem}\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(stream.read(&mut [0; 10]).is_err(), "nothing is to be said");
    drop(simulator);
    assert!(matches!(stream.read(&mut [0; 10]), Ok(0) | Err(_)));
}

#[test]
fn bodies_that_are_no_alerts_come_with_status_200() {
    let body = |fault| {
        let (_simulator, response) = spoilt(fault);
        let response = response.unwrap();
        assert_eq!(response.status, 200);
        String::from_utf8(response.body).unwrap()
    };
    assert!(serde_json::from_str::<Value>(&body(Fault::InvalidJson)).is_err());
    assert!(body(Fault::WebPage).starts_with("<!doctype html>"));
    assert_eq!(body(Fault::EmptyBody), "");
    assert_eq!(body(Fault::DeepJson(3)), "[[[]]]");
}

#[test]
fn a_huge_page_holds_the_right_alerts() {
    let (simulator, response) = spoilt(Fault::Huge(50_000_000));
    let response = response.unwrap();
    assert!(response.complete && response.body.len() > 50_000_000);
    assert_eq!(response.alerts().len(), 120);
    assert_eq!(served(&simulator), 120);
}

#[test]
fn alerts_can_stand_in_a_page_twice() {
    let (simulator, response) = spoilt(Fault::Twice);
    let keys = response.unwrap().keys();
    assert_eq!(keys.len(), 240);
    assert_eq!(simulator.ledger().compare(keys).repeats(), 120);
}

#[test]
fn links_and_redirects_can_lead_elsewhere() {
    let elsewhere = "http://elsewhere.example.net/v1.0/security/alerts_v2".to_owned();
    let simulator = with(vec![
        Rule::always(Fault::NextLink(elsewhere.clone())).service(Service::Graph),
        Rule::always(Fault::Redirect(elsewhere.clone())).region("eu"),
    ]);
    let graph = token(&simulator, GRAPH);
    let page = get(&simulator, "/v1.0/security/alerts_v2?$top=5", &graph, "");
    assert_eq!(page.json()["@odata.nextLink"], elsewhere.as_str());
    assert_eq!(page.alerts().len(), 5);
    let redirect = get(&simulator, "/eu/api/alerts", &token(&simulator, SIEM), "");
    assert_eq!(redirect.status, 302);
    assert_eq!(redirect.header("location"), Some(elsewhere.as_str()));
}

#[test]
fn a_person_can_ask_for_the_ledger_and_move_the_clock() {
    let simulator = with(vec![]);
    let progress = post(&simulator, "/_simulator/advance?by=5m", "").json();
    assert_eq!(progress["shown"], 650);
    assert_eq!(simulator.clock().now().to_string(), "2026-03-02T08:05:00Z");
    post(
        &simulator,
        "/_simulator/publish?service=siem-api&region=us&alerts=3",
        "",
    );
    let ledger = get(&simulator, "/_simulator/ledger", "", "");
    let lines = String::from_utf8(ledger.body).unwrap();
    assert_eq!(lines.lines().count(), 653);
    assert_eq!(lines.matches("\"region\":\"us\"").count(), 33);
    assert_eq!(get(&simulator, "/_simulator/nothing", "", "").status, 404);
}

#[test]
fn requests_that_are_none_are_refused() {
    let simulator = with(vec![]);
    let status = |text: &str| request(&simulator, text).unwrap().status;
    assert_eq!(status("this is no request\r\n\r\n"), 400);
    assert_eq!(
        status("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
        413
    );
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(70_000));
    assert_eq!(status(&long), 400);
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(chunked), 411);
}

#[test]
fn a_proxy_may_ask_for_the_whole_address() {
    let simulator = with(vec![]);
    let siem = token(&simulator, SIEM);
    let target = format!("{}/eu/api/alerts", simulator.url());
    assert_eq!(get(&simulator, &target, &siem, "").alerts().len(), 120);
}

#[test]
fn the_same_seed_gives_the_same_answers_and_another_others() {
    let bodies = |seed| {
        let simulator = start(Scenario { seed, ..scenario() });
        let siem = token(&simulator, SIEM);
        get(&simulator, "/eu/api/alerts", &siem, "").body
    };
    assert_eq!(bodies(1), bodies(1));
    assert_ne!(bodies(1), bodies(2));
}
