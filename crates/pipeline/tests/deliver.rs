//! Delivery in virtual time: everything once and in order, waiting instead of dropping, and what a crash repeats.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, TimeDelta, Utc};
use dsm::diagnostic::SourceFile;
use dsm::mapping::Source;
use dsm::{Mapping, Status};
use leef::WriterOptions;
use pipeline::deliver::{Deliverer, DeliveryOptions, Route, Step};
use pipeline::destination::{Batch, DeadLetters, Destination, KeyOf, Labels, Outcome, Refusal};
use pipeline::format::{Format, Limit, LogSource, Oversize};
use pipeline::metrics::{DestinationMetrics, DestinationState, RouteMetrics};
use pipeline::store::{Limits, Store};
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn mapping() -> Mapping {
    let extension = SourceFile::new(
        "x.xml",
        r#"<device-extension xmlns="event_parsing/device_extension">
  <pattern id="login" xmlns=""><![CDATA[login (\w+) for (\w+)]]></pattern>
  <match-group order="1" xmlns="">
    <matcher field="EventName" order="1" pattern-id="login" capture-group="1"/>
    <matcher field="UserName" order="1" pattern-id="login" capture-group="2"/>
  </match-group>
</device-extension>"#,
    );
    Mapping::from_extension("example", &extension).0.unwrap()
}

/// One that knows a QID and has the name of a device.
fn labelled() -> Mapping {
    let file = |name: &str, text: &str| SourceFile::new(name, text);
    let source = Source {
        slug: "example".to_owned(),
        manifest: file(
            "manifest.toml",
            r#"format = 1
name = "Example"
description = "logins"
log_source_type_id = 4009
[leef]
vendor = "Example"
product = "Example"
version = "1.0"
[[property]]
name = "Device Name"
type = "string"
leef_key = "deviceName"
description = "the device"
"#,
        ),
        extension: file(
            "extension.xml",
            r#"<device-extension xmlns="event_parsing/device_extension">
  <pattern id="login" xmlns=""><![CDATA[login (\w+) for (\w+)]]></pattern>
  <match-group order="1" xmlns="">
    <matcher field="EventName" order="1" pattern-id="login" capture-group="1"/>
    <matcher field="EventCategory" order="1" pattern-id="login" capture-group="Login" enable-substitutions="true"/>
    <matcher field="Device Name" order="1" pattern-id="login" capture-group="2"/>
  </match-group>
</device-extension>"#,
        ),
        qidmap: file(
            "qidmap.csv",
            "qid,name,description,severity,lowlevelcategory\n2000001,Bad Login,A login that failed,3,3045\n",
        ),
        event_mappings: file(
            "event-mappings.csv",
            "event_id,event_category,qid\nbad,Login,2000001\n",
        ),
    };
    let (mapping, findings) = Mapping::load(&source);
    assert!(!findings.has_errors(), "{findings:?}");
    mapping.unwrap()
}

type Timed = (DateTime<Utc>, String);
type Hook = Box<dyn FnMut() + Send>;

/// A destination that does what it is told, and accepts everything after that.
#[derive(Clone, Default)]
struct Scripted {
    outcomes: Arc<Mutex<VecDeque<Outcome>>>,
    /// The lines of the batches that were accepted, and when.
    lines: Arc<Mutex<Vec<Timed>>>,
    batches: Arc<Mutex<Vec<usize>>>,
    labels: Arc<Mutex<Vec<Option<Labels>>>>,
    /// Runs while a batch is sent, after the lines have arrived.
    during: Arc<Mutex<Option<Hook>>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .map(|(_, line)| line.clone())
            .collect()
    }

    fn will(&self, outcome: Outcome) {
        self.outcomes.lock().unwrap().push_back(outcome);
    }
}

impl Destination for Scripted {
    fn send(&mut self, batch: &Batch, now: DateTime<Utc>) -> Outcome {
        let outcome = self.outcomes.lock().unwrap().pop_front();
        let outcome = outcome.unwrap_or_else(|| Outcome::Accepted(Vec::new()));
        if let Outcome::Accepted(refused) = &outcome {
            self.batches.lock().unwrap().push(batch.records.len());
            let labels = batch.records.iter().map(|record| record.labels.clone());
            self.labels.lock().unwrap().extend(labels);
            for (index, record) in batch.records.iter().enumerate() {
                if refused.iter().all(|refusal| refusal.index != index) {
                    let line = String::from_utf8(batch.line(record).to_vec()).unwrap();
                    self.lines.lock().unwrap().push((now, line));
                }
            }
        }
        if let Some(during) = &mut *self.during.lock().unwrap() {
            during();
        }
        outcome
    }
}

/// A store with one log source, and what is needed to deliver it.
struct Bench {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    mapping: Mapping,
    destination: Scripted,
    metrics: Arc<RouteMetrics>,
    destination_metrics: Arc<DestinationMetrics>,
}

#[derive(Clone, Copy)]
struct Setup {
    format: Format,
    limit: Limit,
    eps: Option<u32>,
    coalescing: bool,
    batch_events: usize,
    threads: usize,
    labels: Option<KeyOf>,
}

const RAW: Setup = Setup {
    format: Format::Raw,
    limit: Limit {
        bytes: None,
        oversize: Oversize::Refuse,
    },
    eps: None,
    coalescing: false,
    batch_events: 100,
    threads: 1,
    labels: None,
};

fn open(dir: &Path) -> Arc<Store> {
    let limits = Limits {
        spool: 1 << 30,
        free: 0,
        ..Limits::default()
    };
    Arc::new(Store::open(dir, limits).unwrap())
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let source = store.source("alpha").unwrap();
        store.position(source, "out").unwrap();
        Self {
            store,
            dir,
            mapping: mapping(),
            destination: Scripted::default(),
            metrics: Arc::default(),
            destination_metrics: Arc::default(),
        }
    }

    /// The same after a crash that left this image.
    fn restarted(&self, image: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(image, dir.path());
        Self {
            store: open(dir.path()),
            dir,
            mapping: mapping(),
            destination: Scripted::default(),
            metrics: Arc::default(),
            destination_metrics: Arc::default(),
        }
    }

    fn accept<T: AsRef<[u8]>>(&self, payloads: &[T], received: DateTime<Utc>) {
        let source = self.store.source("alpha").unwrap();
        self.store
            .accept(source, "", payloads, None, received)
            .unwrap();
    }

    fn deliverer(&self, setup: Setup) -> Deliverer<'_> {
        let route = Route {
            source: self.store.source("alpha").unwrap(),
            log_source: LogSource {
                identifier: "alpha".to_owned(),
                credibility: 5,
                store_payload: true,
            },
            mapping: &self.mapping,
            limit: setup.limit,
            eps: setup.eps,
            coalescing: setup.coalescing,
            metrics: Arc::clone(&self.metrics),
        };
        let options = DeliveryOptions {
            name: "out".to_owned(),
            format: setup.format,
            batch_events: setup.batch_events,
            batch_bytes: 1 << 20,
            threads: setup.threads,
            labels: setup.labels,
        };
        Deliverer::new(
            Arc::clone(&self.store),
            options,
            Box::new(self.destination.clone()),
            DeadLetters::new(self.dead_letters()),
            vec![route],
            Arc::clone(&self.destination_metrics),
        )
        .unwrap()
    }

    fn dead_letters(&self) -> std::path::PathBuf {
        self.dir.path().join("dead-letters/out.ndjson")
    }

    fn waiting(&self) -> u64 {
        self.store.look().unwrap().waiting[0].events
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // Room that is set aside holds nothing.
        if path.is_file() && !path.ends_with("reserve") {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Steps until there is nothing to do now; tells what delivery waits for.
fn run(deliverer: &mut Deliverer<'_>, now: DateTime<Utc>) -> Step {
    loop {
        match deliverer.step(now) {
            Step::Again => {}
            step => return step,
        }
    }
}

fn payloads(range: std::ops::Range<u32>) -> Vec<String> {
    range
        .map(|n| format!("login event{} for user{n}", n % 3))
        .collect()
}

#[test]
fn every_event_is_delivered_once_and_in_order_on_any_number_of_threads() {
    for (threads, batch_events) in [(1, 1), (1, 100), (2, 64), (4, 1000), (7, 333)] {
        let bench = Bench::new();
        for page in 0..10 {
            bench.accept(&payloads(page * 300..(page + 1) * 300), at(0));
        }
        let mut deliverer = bench.deliverer(Setup {
            threads,
            batch_events,
            ..RAW
        });
        assert_eq!(run(&mut deliverer, at(1)), Step::Idle);
        assert!(bench.destination.lines() == payloads(0..3000));
        assert!(deliverer.is_done().unwrap());
        assert_eq!(bench.store.bytes(), 0);
        assert_eq!(bench.metrics.unknown.get(), 3000);
        assert_eq!(bench.metrics.records.get(), 3000);
        assert_eq!(bench.metrics.last_delivered(), Some(at(1)));
    }
}

#[test]
fn an_event_that_no_pattern_knows_is_delivered_as_stored_with_its_payload() {
    let bench = Bench::new();
    bench.accept(&["nothing we know", "\u{1}\u{2}"], at(0));
    let mut deliverer = bench.deliverer(Setup {
        format: Format::Leef(WriterOptions::default()),
        ..RAW
    });
    run(&mut deliverer, at(0));
    let lines = bench.destination.lines();
    assert!(
        lines[0].contains("|Stored|") && lines[0].contains("payload=nothing we know"),
        "{lines:?}"
    );
    assert!(lines[1].contains("leefSanitized=payload"), "{lines:?}");
    assert_eq!(bench.metrics.stored.get(), 2);
    assert_eq!(bench.metrics.repaired.get(), 1);
}

#[test]
fn an_unavailable_destination_is_tried_again_ever_more_rarely_and_loses_nothing() {
    let bench = Bench::new();
    bench.accept(&payloads(0..250), at(0));
    for _ in 0..9 {
        bench
            .destination
            .will(Outcome::Unavailable("no connection".to_owned()));
    }
    let mut deliverer = bench.deliverer(RAW);
    let mut now = at(0);
    let mut pauses = Vec::new();
    loop {
        match run(&mut deliverer, now) {
            Step::Wait(until) => {
                // Asked too early it only says when.
                assert_eq!(deliverer.step(now), Step::Wait(until));
                pauses.push((until - now).num_seconds());
                now = until;
            }
            step => {
                assert_eq!(step, Step::Idle);
                break;
            }
        }
        assert_eq!(
            bench.destination_metrics.status().state,
            DestinationState::Unavailable
        );
        assert_eq!(bench.waiting(), 250);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(bench.destination.lines(), payloads(0..250));
    let status = bench.destination_metrics.status();
    assert_eq!((status.state, status.failures), (DestinationState::Ok, 9));
}

#[test]
fn a_destination_that_is_gone_for_good_says_so_and_keeps_the_events() {
    let bench = Bench::new();
    bench.accept(&payloads(0..3), at(0));
    bench.destination.will(Outcome::Closed("gone".to_owned()));
    let mut deliverer = bench.deliverer(RAW);
    assert_eq!(run(&mut deliverer, at(0)), Step::Closed("gone".to_owned()));
    assert_eq!(bench.waiting(), 3);
}

#[test]
fn over_the_eps_throttle_events_wait_in_the_spool() {
    let bench = Bench::new();
    bench.accept(&payloads(0..1000), at(0));
    let mut deliverer = bench.deliverer(Setup {
        eps: Some(50),
        ..RAW
    });
    let mut now = at(0);
    while let Step::Wait(until) = run(&mut deliverer, now) {
        assert!(until > now);
        now = until;
    }
    assert_eq!(bench.destination.lines(), payloads(0..1000));
    let lines = bench.destination.lines.lock().unwrap();
    for second in 0..20 {
        let end = at(second) + TimeDelta::milliseconds(1);
        let count = lines.iter().filter(|(time, _)| *time <= end).count();
        let allowed = 50 * (usize::try_from(second).unwrap() + 1);
        assert!(
            count <= allowed && count + 1 >= allowed,
            "{count} after {second} seconds"
        );
    }
}

#[test]
fn a_refused_event_goes_to_the_dead_letters_and_the_others_go_on() {
    let bench = Bench::new();
    bench.accept(&payloads(0..5), at(0));
    bench.destination.will(Outcome::Accepted(vec![Refusal {
        index: 3,
        reason: "does not fit into a datagram".to_owned(),
    }]));
    let mut deliverer = bench.deliverer(RAW);
    run(&mut deliverer, at(0));
    let lines = bench.destination.lines();
    assert_eq!(lines.len(), 4);
    let letters = fs::read_to_string(bench.dead_letters()).unwrap();
    assert_eq!(letters.lines().count(), 1);
    for part in ["\"sequence\":4", "datagram", "user3"] {
        assert!(letters.contains(part), "{letters}");
    }
    assert_eq!(bench.waiting(), 0);
    assert_eq!(bench.metrics.refused.get(), 1);
}

#[test]
fn an_event_that_the_format_cannot_carry_goes_to_the_dead_letters() {
    let bench = Bench::new();
    bench.accept(&["short", "much longer than that", "small"], at(0));
    let mut deliverer = bench.deliverer(Setup {
        limit: Limit {
            bytes: Some(10),
            oversize: Oversize::Refuse,
        },
        ..RAW
    });
    run(&mut deliverer, at(0));
    assert_eq!(bench.destination.lines(), ["short", "small"]);
    let letters = fs::read_to_string(bench.dead_letters()).unwrap();
    assert!(letters.contains("the destination takes 10"), "{letters}");
    assert_eq!(bench.waiting(), 0);
}

#[test]
fn a_position_that_cannot_be_moved_is_moved_later_without_sending_again() {
    let bench = Bench::new();
    bench.accept(&payloads(0..3), at(0));
    let mut deliverer = bench.deliverer(RAW);
    let sql = |text: &str| {
        rusqlite::Connection::open(bench.dir.path().join("state.db"))
            .unwrap()
            .execute_batch(text)
            .unwrap();
    };
    sql("CREATE TRIGGER broken BEFORE UPDATE ON position BEGIN SELECT RAISE(ABORT, 'broken'); END");
    let Step::Wait(until) = run(&mut deliverer, at(0)) else {
        panic!("went on");
    };
    assert_eq!(bench.waiting(), 3);
    sql("DROP TRIGGER broken");
    assert_eq!(run(&mut deliverer, until), Step::Idle);
    assert_eq!(bench.waiting(), 0);
    assert_eq!(bench.destination.lines(), payloads(0..3));
}

const LEEF: Setup = Setup {
    format: Format::Leef(WriterOptions {
        version: leef::Version::V1_0,
        delimiter: leef::Delimiter::TAB,
        substitution: leef::Substitution::Space,
        max_bytes: None,
        mark_changes: true,
    }),
    coalescing: true,
    ..RAW
};

#[test]
fn equal_events_become_one_record_after_three_whatever_the_batches_and_crashes() {
    for crashes in [false, true] {
        let mut bench = Bench::new();
        let equal: Vec<String> = (0..1005)
            .map(|n| format!("login bad for eve {n}"))
            .collect();
        for (index, page) in equal.chunks(67).enumerate() {
            let second = i64::try_from(index).unwrap() / 2;
            bench.accept(page, at(second));
        }
        let mut delivered = Vec::new();
        if crashes {
            for _ in 0..10 {
                let mut deliverer = bench.deliverer(LEEF);
                assert_eq!(deliverer.step(at(9)), Step::Again);
                drop(deliverer);
                delivered.extend(bench.destination.lines());
                let image = tempfile::tempdir().unwrap();
                copy(bench.dir.path(), image.path());
                bench = bench.restarted(image.path());
            }
        }
        let mut deliverer = bench.deliverer(LEEF);
        assert_eq!(run(&mut deliverer, at(9)), Step::Wait(at(10)));
        assert!(!deliverer.is_done().unwrap());
        assert!(bench.store.bytes() > 0, "the payload is still needed");
        assert_eq!(run(&mut deliverer, at(10)), Step::Idle);
        assert!(deliverer.is_done().unwrap());
        delivered.extend(bench.destination.lines());
        assert_eq!(delivered.len(), 4, "{delivered:?}");
        let counts: Vec<bool> = delivered
            .iter()
            .map(|line| line.contains("eventCount=1002"))
            .collect();
        assert_eq!(counts, [false, false, false, true]);
        assert_eq!(bench.store.bytes(), 0);
    }
}

#[test]
fn a_record_has_the_payload_of_its_first_event_and_different_events_stay_apart() {
    let bench = Bench::new();
    let page: Vec<String> = (0..20)
        .map(|n| format!("login bad for {} {n}", ["eve", "bob"][n % 2]))
        .collect();
    bench.accept(&page, at(0));
    bench.accept(&["unlike anything"; 20], at(0));
    let mut deliverer = bench.deliverer(Setup {
        format: Format::Json,
        ..LEEF
    });
    run(&mut deliverer, at(0));
    run(&mut deliverer, at(10));
    let records: Vec<serde_json::Value> = bench
        .destination
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Stored events have nothing but their payload: they are never folded.
    assert_eq!(records.len(), 3 + 3 + 20 + 2);
    for (record, payload) in records[26..]
        .iter()
        .zip(["login bad for eve 6", "login bad for bob 7"])
    {
        assert_eq!(record["eventCount"], 7);
        assert_eq!(record["payload"], payload);
    }
    assert_eq!(bench.metrics.coalesced.get(), 14);
    assert_eq!(bench.metrics.events(), 40);
}

#[test]
fn at_the_end_of_a_run_records_do_not_wait_for_their_window() {
    let bench = Bench::new();
    bench.accept(&["login bad for eve"; 9], at(0));
    let mut deliverer = bench.deliverer(LEEF);
    assert_eq!(run(&mut deliverer, at(1)), Step::Wait(at(10)));
    deliverer.close_windows();
    assert_eq!(run(&mut deliverer, at(1)), Step::Idle);
    assert!(bench.destination.lines()[3].contains("eventCount=6"));
}

#[test]
fn windows_that_are_open_when_coalescing_is_switched_off_are_still_delivered() {
    let bench = Bench::new();
    bench.accept(&["login bad for eve"; 9], at(0));
    run(&mut bench.deliverer(LEEF), at(1));
    bench.accept(&["login bad for eve"; 2], at(11));
    let mut deliverer = bench.deliverer(Setup {
        coalescing: false,
        ..LEEF
    });
    run(&mut deliverer, at(11));
    let lines = bench.destination.lines();
    assert_eq!(lines.len(), 3 + 1 + 2);
    assert!(lines[3].contains("eventCount=6"), "{lines:?}");
}

#[test]
fn a_destination_that_asks_gets_status_qid_and_key_of_each_event_and_no_other_does() {
    let mut bench = Bench::new();
    bench.mapping = labelled();
    bench.accept(
        &["login bad for eve", "login odd for bob", "nothing"],
        at(0),
    );
    let mut setup = RAW;
    run(&mut bench.deliverer(setup), at(0));
    assert_eq!(
        *bench.destination.labels.lock().unwrap(),
        [None, None, None]
    );

    bench.destination = Scripted::default();
    bench.accept(
        &["login bad for eve", "login odd for bob", "nothing"],
        at(0),
    );
    setup.labels = Some(KeyOf::Device);
    run(&mut bench.deliverer(setup), at(0));
    let labels = |status, qid, key: Option<&str>| {
        Some(Labels {
            status,
            qid,
            key: key.map(Into::into),
        })
    };
    assert_eq!(
        *bench.destination.labels.lock().unwrap(),
        [
            labels(Status::Mapped, Some(2_000_001), Some("eve")),
            labels(Status::Unknown, None, Some("bob")),
            labels(Status::Stored, None, None),
        ]
    );
}

/// Where the process dies. Each row names the moment, and how many events are delivered twice at most.
const CRASHES: [(&str, Moment, usize); 5] = [
    ("before a fetched page is stored", Moment::Fetched, 0),
    ("after a page is stored", Moment::Stored, 0),
    (
        "while a batch is sent, after it has arrived",
        Moment::Sent,
        BATCH,
    ),
    ("after the position has moved", Moment::Moved, 0),
    (
        "while the next batch is already made ready",
        Moment::Ready,
        BATCH,
    ),
];

#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Fetched,
    Stored,
    Sent,
    Moved,
    Ready,
}

const BATCH: usize = 40;

#[test]
fn a_crash_at_any_moment_loses_nothing_and_repeats_at_most_one_batch() {
    for (name, moment, repeats) in CRASHES {
        // The crash comes at the first batch, in the middle, at the last.
        for at_batch in [0_usize, 3, 7] {
            let image = tempfile::tempdir().unwrap();
            let bench = Bench::new();
            let mut fetched = 0;
            let page = |n: u32| payloads(n * 40..(n + 1) * 40);
            let stop = u32::try_from(at_batch).unwrap();
            for n in 0..8 {
                if moment == Moment::Fetched && n == stop {
                    break;
                }
                bench.accept(&page(n), at(0));
                fetched = n + 1;
                if moment == Moment::Stored && n == stop {
                    break;
                }
            }
            let setup = Setup {
                batch_events: BATCH,
                threads: if moment == Moment::Ready { 2 } else { 1 },
                ..RAW
            };
            let (dir, to) = (bench.dir.path().to_owned(), image.path().to_owned());
            let mut sent = 0;
            let snap = move || {
                if matches!(moment, Moment::Sent | Moment::Ready) && sent == at_batch {
                    copy(&dir, &to);
                }
                sent += 1;
            };
            *bench.destination.during.lock().unwrap() = Some(Box::new(snap));
            let mut deliverer = bench.deliverer(setup);
            let before_crash = match moment {
                Moment::Fetched | Moment::Stored => {
                    copy(bench.dir.path(), image.path());
                    Vec::new()
                }
                Moment::Moved => {
                    for _ in 0..=at_batch {
                        assert_eq!(deliverer.step(at(1)), Step::Again);
                    }
                    copy(bench.dir.path(), image.path());
                    bench.destination.lines()
                }
                Moment::Sent | Moment::Ready => {
                    run(&mut deliverer, at(1));
                    let mut lines = bench.destination.lines();
                    lines.truncate((at_batch + 1) * BATCH);
                    lines
                }
            };
            drop(deliverer);

            let after = bench.restarted(image.path());
            // The cursor did not move over what was not stored: it is fetched again.
            for n in fetched..8 {
                after.accept(&page(n), at(2));
            }
            assert_eq!(run(&mut after.deliverer(setup), at(3)), Step::Idle);
            let mut all = before_crash.clone();
            all.extend(after.destination.lines());
            let total = all.len();
            all.sort();
            all.dedup();
            let mut expected = payloads(0..320);
            expected.sort();
            assert!(all == expected, "{name}, batch {at_batch}: events are lost");
            assert_eq!(
                total - expected.len(),
                repeats,
                "{name}, batch {at_batch}: events are repeated"
            );
        }
    }
}

#[test]
fn log_sources_get_their_turn_at_a_destination() {
    let bench = Bench::new();
    let sources: Vec<_> = ["alpha", "beta", "gamma"]
        .iter()
        .map(|name| bench.store.source(name).unwrap())
        .collect();
    let routes = sources
        .iter()
        .map(|source| {
            bench.store.position(*source, "out").unwrap();
            let route = Route {
                source: *source,
                log_source: LogSource {
                    identifier: format!("{source:?}"),
                    credibility: 5,
                    store_payload: true,
                },
                mapping: &bench.mapping,
                limit: Limit::default(),
                eps: None,
                coalescing: false,
                metrics: Arc::default(),
            };
            bench
                .store
                .accept(*source, "", &vec![format!("{source:?}"); 30], None, at(0))
                .unwrap();
            route
        })
        .collect();
    let mut deliverer = Deliverer::new(
        Arc::clone(&bench.store),
        DeliveryOptions {
            name: "out".to_owned(),
            format: Format::Raw,
            batch_events: 10,
            batch_bytes: 1 << 20,
            threads: 1,
            labels: None,
        },
        Box::new(bench.destination.clone()),
        DeadLetters::new(bench.dead_letters()),
        routes,
        Arc::default(),
    )
    .unwrap();
    run(&mut deliverer, at(0));
    let lines = bench.destination.lines();
    assert_eq!(lines.len(), 90);
    for round in lines.chunks(30) {
        for source in &sources {
            let name = format!("{source:?}");
            assert_eq!(round.iter().filter(|line| **line == name).count(), 10);
        }
    }
}

/// Events of one second, and when they were all delivered by the time that passes evenly.
#[test]
fn a_clock_that_is_set_at_any_moment_holds_nothing_back() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bench = Bench::new();
        let mut deliverer = bench.deliverer(Setup {
            coalescing: true,
            eps: Some(50),
            format: Format::Json,
            ..RAW
        });
        let mut ahead = TimeDelta::zero();
        let mut accepted = 0;
        // How many events there were, at each second.
        let mut at_second = Vec::new();
        for second in 0..120 {
            match random.u8(..8) {
                0 => ahead += TimeDelta::seconds(random.i64(-3_000_000..3_000_000)),
                1 => ahead += TimeDelta::seconds(random.i64(-30..30)),
                _ => {}
            }
            if second < 60 {
                // Many of them are equal.
                let user = random.u32(..2);
                let page = vec![format!("login event for user{user}"); random.usize(..30)];
                accepted += page.len();
                bench.accept(&page, at(second) + ahead);
            }
            at_second.push(accepted);
            while deliverer.step_at(at(second), ahead) == Step::Again {}
            let metrics = &bench.metrics;
            let passed = usize::try_from(metrics.events()).unwrap();
            // Two windows at most, and what the throttle makes wait.
            let due = usize::try_from(second - 25)
                .ok()
                .and_then(|then| at_second.get(then));
            assert!(
                passed >= due.copied().unwrap_or(0),
                "seed {seed}, second {second}"
            );
        }
        assert_eq!(bench.waiting(), 0, "seed {seed}");
        let lines = bench.destination.lines();
        let counted: u64 = lines
            .iter()
            .map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                event["eventCount"].as_u64().unwrap_or(1)
            })
            .sum();
        assert_eq!(counted, accepted as u64, "seed {seed}");
    }
}
