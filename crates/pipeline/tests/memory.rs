//! What waits in memory because its remote keeps it: nothing is acknowledged before every destination has it, nothing is
//! lost when the process dies, and no more is held than was allowed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, TimeDelta, Utc};
use dsm::Mapping;
use dsm::diagnostic::SourceFile;
use leef::WriterOptions;
use pipeline::collect::StoreSink;
use pipeline::deliver::{Deliverer, DeliveryOptions, Route, Step};
use pipeline::destination::{Batch, DeadLetters, Destination, Outcome, Refusal};
use pipeline::format::{Format, Limit, LogSource};
use pipeline::store::{Limits, MemoryLimits, SourceId, Store};
use protocol::clock::{Clock, VirtualClock};
use protocol::{Keeps, LaneId, Page, Run, Sink, SinkError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_790_000_000_000 + millis).unwrap()
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

/// A destination that is there or not, and refuses lines with a word for good. It outlives the process.
#[derive(Debug, Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Debug, Default)]
struct Received {
    lines: Vec<String>,
    is_away: bool,
    /// It says that it is away after it has taken the first so many events of a batch.
    breaks_off: Option<usize>,
}

impl Receiver {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().lines.clone()
    }

    fn set_away(&self, is_away: bool) {
        self.0.lock().unwrap().is_away = is_away;
    }
}

impl Destination for Receiver {
    fn send(&mut self, batch: &Batch, _now: DateTime<Utc>) -> Outcome {
        let mut received = self.0.lock().unwrap();
        if received.is_away {
            return Outcome::Unavailable("away".to_owned());
        }
        let taken = received.breaks_off.take();
        let mut refused = Vec::new();
        for (index, record) in batch.records.iter().enumerate() {
            if taken == Some(index) {
                return Outcome::Unavailable("it broke off".to_owned());
            }
            let line = String::from_utf8(batch.line(record).to_vec()).unwrap();
            if line.contains("poison") {
                let reason = "it is poisoned".to_owned();
                refused.push(Refusal { index, reason });
            } else {
                received.lines.push(line);
            }
        }
        Outcome::Accepted(refused)
    }
}

/// One process with log sources in memory.
struct Process {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    clock: VirtualClock,
    mapping: Mapping,
}

const LIMITS: MemoryLimits = MemoryLimits {
    bytes: 20_000,
    events: 100,
};

#[derive(Clone, Copy)]
struct Setup {
    coalescing: bool,
    batch_events: usize,
    eps: Option<u32>,
}

const PLAIN: Setup = Setup {
    coalescing: false,
    batch_events: 10,
    eps: None,
};

const COALESCING: Setup = Setup {
    coalescing: true,
    ..PLAIN
};

impl Process {
    /// A process whose log sources `alpha` and those given go to these destinations.
    fn new(behind: &[&str], destinations: &[&str], clock: &VirtualClock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            free: 0,
            memory: LIMITS,
            ..Limits::default()
        };
        let store = Arc::new(Store::open(dir.path(), limits).unwrap());
        let process = Self {
            dir,
            store,
            clock: clock.clone(),
            mapping: mapping(),
        };
        process.configure(behind, destinations);
        process
    }

    fn configure(&self, behind: &[&str], destinations: &[&str]) {
        let all = || ["alpha"].into_iter().chain(behind.iter().copied());
        let kept = all().map(|identifier| (identifier, Keeps::Remote));
        self.store.configure(kept).unwrap();
        for identifier in all() {
            for destination in destinations {
                let source = self.store.source(identifier).unwrap();
                self.store.position(source, destination).unwrap();
            }
        }
    }

    fn alpha(&self) -> SourceId {
        self.store.source("alpha").unwrap()
    }

    /// The sink of a lane that begins.
    fn sink(&self) -> StoreSink {
        self.store.begin(self.alpha(), "all");
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        StoreSink::new(Arc::clone(&self.store), self.alpha(), clock)
    }

    fn route(&self, identifier: &str, setup: Setup) -> Route<'_> {
        Route {
            source: self.store.source(identifier).unwrap(),
            log_source: LogSource {
                identifier: identifier.to_owned(),
                credibility: 5,
                store_payload: true,
            },
            mapping: &self.mapping,
            limit: Limit::default(),
            eps: setup.eps,
            coalescing: setup.coalescing,
            metrics: Arc::default(),
        }
    }

    fn deliverer(
        &self,
        name: &str,
        identifiers: &[&str],
        setup: Setup,
        receiver: &Receiver,
    ) -> Deliverer<'_> {
        let options = DeliveryOptions {
            name: name.to_owned(),
            format: match setup.coalescing {
                true => Format::Leef(WriterOptions::default()),
                false => Format::Raw,
            },
            batch_events: setup.batch_events,
            batch_bytes: 1 << 20,
            threads: 1,
            labels: None,
        };
        Deliverer::new(
            Arc::clone(&self.store),
            options,
            Box::new(receiver.clone()),
            DeadLetters::new(self.dead_letters(name)),
            identifiers
                .iter()
                .map(|identifier| self.route(identifier, setup))
                .collect(),
            Arc::default(),
        )
        .unwrap()
    }

    fn dead_letters(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{name}.ndjson"))
    }

    fn held(&self) -> u64 {
        self.store.look().unwrap().memory_bytes
    }
}

fn lane() -> LaneId {
    LaneId {
        log_source: "alpha".to_owned(),
        lane: "all".to_owned(),
    }
}

fn page<T: AsRef<str>>(payloads: &[T]) -> Page {
    Page {
        payloads: payloads
            .iter()
            .map(|payload| payload.as_ref().as_bytes().into())
            .collect(),
        ..Page::default()
    }
}

fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("event {n:06}")).collect()
}

fn run(deliverer: &mut Deliverer<'_>, now: DateTime<Utc>) -> Step {
    loop {
        match deliverer.step(now) {
            Step::Again => {}
            step => return step,
        }
    }
}

#[test]
fn a_page_is_delivered_when_all_destinations_have_accepted_all_of_it() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["quick", "slow"], &clock);
    let (quick, slow) = (Receiver::default(), Receiver::default());
    let mut sink = process.sink();
    sink.accept(&lane(), &page(&numbered(0..25))).unwrap();
    sink.accept(&lane(), &page(&numbered(25..30))).unwrap();
    assert_eq!(sink.delivered(&lane()), 0);

    let mut to_quick = process.deliverer("quick", &["alpha"], PLAIN, &quick);
    let mut to_slow = process.deliverer("slow", &["alpha"], PLAIN, &slow);
    run(&mut to_quick, at(0));
    assert_eq!(quick.lines(), numbered(0..30));
    assert_eq!(sink.delivered(&lane()), 0, "the other one has nothing yet");

    slow.set_away(true);
    to_slow.step(at(0));
    assert_eq!(sink.delivered(&lane()), 0, "it was not accepted");
    slow.set_away(false);
    // Two batches of ten are accepted; the page has 25 events.
    to_slow.step(at(5000));
    to_slow.step(at(5000));
    assert_eq!(slow.lines().len(), 20);
    assert_eq!(sink.delivered(&lane()), 0, "a part of it is missing");
    to_slow.step(at(5000));
    assert_eq!(sink.delivered(&lane()), 2);
    assert_eq!(slow.lines(), numbered(0..30));
    assert_eq!(process.held(), 0);

    // An empty page is delivered when those before it are.
    sink.accept(&lane(), &page(&numbered(30..31))).unwrap();
    sink.accept(&lane(), &Page::default()).unwrap();
    assert_eq!(sink.delivered(&lane()), 2);
    run(&mut to_quick, at(5000));
    run(&mut to_slow, at(5000));
    assert_eq!(sink.delivered(&lane()), 4);
}

#[test]
fn an_open_window_holds_back_the_pages_with_its_events() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    let mut deliverer = process.deliverer("out", &["alpha"], COALESCING, &receiver);
    sink.accept(&lane(), &page(&["login bad for eve"; 3]))
        .unwrap();
    sink.accept(&lane(), &page(&["login bad for eve"; 4]))
        .unwrap();
    sink.accept(&lane(), &page(&["login bad for bob"; 2]))
        .unwrap();
    assert_eq!(run(&mut deliverer, at(1)), Step::Wait(at(10_000)));
    assert_eq!(sink.delivered(&lane()), 1, "the second page is in a window");
    assert_eq!(receiver.lines().len(), 3 + 2);
    run(&mut deliverer, at(10_000));
    assert_eq!(sink.delivered(&lane()), 3);
    assert!(receiver.lines()[5].contains("eventCount=4"));
}

#[test]
fn a_window_does_not_wait_for_its_end_when_somebody_waits_for_delivery() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    let mut deliverer = process.deliverer("out", &["alpha"], COALESCING, &receiver);
    sink.accept(&lane(), &page(&["login bad for eve"; 9]))
        .unwrap();
    assert_eq!(run(&mut deliverer, at(1)), Step::Wait(at(10_000)));
    sink.hasten(&lane());
    assert_eq!(run(&mut deliverer, at(1)), Step::Idle);
    assert_eq!(sink.delivered(&lane()), 1);
    assert!(receiver.lines()[3].contains("eventCount=6"));

    // It goes for what was there; what comes later has windows again.
    sink.accept(&lane(), &page(&["login bad for eve"; 9]))
        .unwrap();
    assert_eq!(run(&mut deliverer, at(2)), Step::Wait(at(10_000)));
    assert_eq!(sink.delivered(&lane()), 1);
}

#[test]
fn what_the_remote_has_not_confirmed_counts_against_the_events_that_may_come_again() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    let mut deliverer = process.deliverer("out", &["alpha"], PLAIN, &receiver);
    sink.acknowledged(&lane(), 0);
    for from in [0, 40] {
        sink.accept(&lane(), &page(&numbered(from..from + 40)))
            .unwrap();
    }
    run(&mut deliverer, at(0));
    assert_eq!(sink.delivered(&lane()), 2);
    let next = page(&numbered(80..120));
    let full = Err(SinkError::Full);
    assert_eq!(sink.accept(&lane(), &next), full, "80 would come again");
    sink.acknowledged(&lane(), 1);
    sink.accept(&lane(), &next).unwrap();
    sink.acknowledged(&lane(), 0);
    assert_eq!(sink.accept(&lane(), &next), full, "it never goes down");
    run(&mut deliverer, at(0));
    sink.acknowledged(&lane(), 3);
    sink.accept(&lane(), &page(&numbered(120..220))).unwrap();
}

#[test]
fn a_full_memory_refuses_pages_until_something_was_delivered() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    let mut deliverer = process.deliverer("out", &["alpha"], PLAIN, &receiver);
    receiver.set_away(true);
    sink.accept(&lane(), &page(&numbered(0..60))).unwrap();
    let next = page(&numbered(60..101));
    assert_eq!(
        sink.accept(&lane(), &next),
        Err(SinkError::Full),
        "101 events"
    );
    run(&mut deliverer, at(0));
    assert_eq!(sink.accept(&lane(), &next), Err(SinkError::Full));
    assert_eq!(sink.delivered(&lane()), 0);
    receiver.set_away(false);
    run(&mut deliverer, at(60_000));
    sink.accept(&lane(), &next).unwrap();
    run(&mut deliverer, at(60_000));
    assert_eq!(sink.delivered(&lane()), 2);
    assert_eq!(receiver.lines(), numbered(0..101));

    // Bytes count too, and what is larger than all is taken when nothing else waits.
    let large = page(&["x".repeat(15_000)]);
    sink.accept(&lane(), &large).unwrap();
    assert_eq!(sink.accept(&lane(), &large), Err(SinkError::Full));
    run(&mut deliverer, at(60_000));
    let huge = page(&["x".repeat(50_000)]);
    sink.accept(&lane(), &huge).unwrap();
    assert_eq!(process.held(), 50_000);
}

#[test]
fn windows_make_room_when_memory_is_full() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    let mut deliverer = process.deliverer("out", &["alpha"], COALESCING, &receiver);
    let equal = page(&["login bad for eve"; 60]);
    sink.accept(&lane(), &equal).unwrap();
    assert_eq!(run(&mut deliverer, at(1)), Step::Wait(at(10_000)));
    assert_eq!(sink.accept(&lane(), &equal), Err(SinkError::Full));
    // Without it collection would stand still until the window is over.
    run(&mut deliverer, at(2));
    sink.accept(&lane(), &equal).unwrap();
    assert_eq!(sink.delivered(&lane()), 1);
}

#[test]
fn what_is_refused_for_good_stands_in_the_dead_letters_before_it_counts_as_delivered() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    let mut deliverer = process.deliverer("out", &["alpha"], PLAIN, &receiver);
    // A folder stands where the file should be.
    let path = process.dead_letters("out");
    std::fs::create_dir(&path).unwrap();
    sink.accept(&lane(), &page(&["good", "poison", "fine"]))
        .unwrap();
    run(&mut deliverer, at(0));
    assert_eq!(receiver.lines(), ["good", "fine"]);
    assert_eq!(sink.delivered(&lane()), 0);
    std::fs::remove_dir(&path).unwrap();
    run(&mut deliverer, at(60_000));
    assert_eq!(sink.delivered(&lane()), 1);
    assert_eq!(receiver.lines(), ["good", "fine"], "it was sent once");
    let letters = std::fs::read_to_string(&path).unwrap();
    assert_eq!(letters.lines().count(), 1);
    assert!(letters.contains("\"payload\":\"poison\""), "{letters}");
}

fn gateway_page() -> Page {
    let run = |payloads, identifier: &str| Run {
        payloads,
        identifier: Arc::from(identifier),
    };
    Page {
        runs: vec![
            run(1..3, "beta"),
            run(3..4, "unheard-of"),
            run(5..6, "beta"),
        ],
        ..page(&["a0", "b1", "b2", "u3", "a4", "b5"])
    }
}

#[test]
fn in_gateway_use_payloads_go_to_the_log_source_of_their_identifier_or_stay() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&["beta"], &["out", "other"], &clock);
    let (own, beta) = (Receiver::default(), Receiver::default());
    let mut sink = process.sink();
    sink.accept(&lane(), &gateway_page()).unwrap();
    for name in ["out", "other"] {
        run(&mut process.deliverer(name, &["alpha"], PLAIN, &own), at(0));
    }
    assert_eq!(own.lines()[..3], ["a0", "u3", "a4"]);
    assert_eq!(sink.delivered(&lane()), 0, "the part of beta is missing");
    // Its throttle lets one event pass at a time.
    let slow = Setup {
        eps: Some(1),
        ..PLAIN
    };
    run(
        &mut process.deliverer("other", &["beta"], PLAIN, &Receiver::default()),
        at(0),
    );
    let mut deliverer = process.deliverer("out", &["beta"], slow, &beta);
    for (second, lines) in [(0, 1), (1, 2)] {
        run(&mut deliverer, at(second * 1000));
        assert_eq!(beta.lines().len(), lines);
        assert_eq!(sink.delivered(&lane()), 0);
    }
    run(&mut deliverer, at(2000));
    assert_eq!(beta.lines(), ["b1", "b2", "b5"]);
    assert_eq!(sink.delivered(&lane()), 1);
    assert_eq!(process.held(), 0);
}

#[test]
fn a_gateway_holds_no_more_than_its_own_limit_for_all_log_sources_behind_it() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&["beta"], &["out"], &clock);
    let mut sink = process.sink();
    let to_beta = |count| Page {
        runs: vec![Run {
            payloads: 0..count,
            identifier: Arc::from("beta"),
        }],
        ..page(&vec!["x"; count])
    };
    sink.accept(&lane(), &to_beta(60)).unwrap();
    sink.accept(&lane(), &page(&["x"; 40])).unwrap();
    assert_eq!(sink.accept(&lane(), &to_beta(1)), Err(SinkError::Full));
    let receiver = Receiver::default();
    run(
        &mut process.deliverer("out", &["beta"], PLAIN, &receiver),
        at(0),
    );
    sink.accept(&lane(), &to_beta(60)).unwrap();
}

#[test]
fn a_log_source_behind_a_gateway_that_gets_nothing_delivered_stops_the_gateway_within_the_limit() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&["beta"], &["out"], &clock);
    let receiver = Receiver::default();
    let mut deliverer = process.deliverer("out", &["alpha"], PLAIN, &receiver);
    let mut sink = process.sink();
    let mut accepted = 0;
    // What was delivered of the gateway's own takes no memory, but it would come again after a crash.
    while sink.accept(&lane(), &gateway_page()).is_ok() {
        accepted += 6;
        run(&mut deliverer, at(0));
        assert!(accepted <= LIMITS.events, "it never stops");
    }
    assert!(accepted > LIMITS.events - 6, "{accepted}");
    assert_eq!(sink.delivered(&lane()), 0);
    run(
        &mut process.deliverer("out", &["beta"], PLAIN, &Receiver::default()),
        at(0),
    );
    sink.accept(&lane(), &gateway_page()).unwrap();
}

#[test]
fn payloads_for_a_log_source_that_is_kept_on_disk_are_durable_at_once() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let kept = [("alpha", Keeps::Remote), ("beta", Keeps::Here)];
    process.store.configure(kept.into_iter()).unwrap();
    let beta = process.store.source("beta").unwrap();
    process.store.position(beta, "out").unwrap();
    let mut sink = process.sink();
    sink.accept(&lane(), &gateway_page()).unwrap();
    assert_eq!(process.store.waiting(beta, 1).unwrap(), 3);
    let receiver = Receiver::default();
    run(
        &mut process.deliverer("out", &["alpha"], PLAIN, &receiver),
        at(0),
    );
    assert_eq!(sink.delivered(&lane()), 1);
    let peek = Store::peek(process.dir.path()).unwrap();
    assert_eq!(peek.waiting[0].events, 3, "as another process sees it");
}

#[test]
fn what_waits_for_a_log_source_that_is_removed_goes_to_its_gateway() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&["beta"], &["out"], &clock);
    let mut sink = process.sink();
    sink.accept(&lane(), &gateway_page()).unwrap();
    let beta = process.store.source("beta").unwrap();
    process.configure(&[], &["out"]);
    assert_eq!(process.store.forget(beta, "out").unwrap(), 3);
    let receiver = Receiver::default();
    let mut deliverer = process.deliverer("out", &["alpha"], PLAIN, &receiver);
    deliverer.step(at(0));
    run(&mut deliverer, at(0));
    assert_eq!(receiver.lines(), ["a0", "u3", "a4", "b1", "b2", "b5"]);
    assert_eq!(sink.delivered(&lane()), 1);
    assert_eq!(process.held(), 0);
    sink.accept(&lane(), &gateway_page()).unwrap();
    run(&mut deliverer, at(0));
    assert_eq!(receiver.lines().len(), 12);
    assert_eq!(sink.delivered(&lane()), 2);
}

#[test]
fn what_waits_for_a_gateway_that_is_removed_is_never_acknowledged() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&["beta"], &["out"], &clock);
    let mut sink = process.sink();
    sink.accept(&lane(), &gateway_page()).unwrap();
    process.store.forget(process.alpha(), "out").unwrap();
    let receiver = Receiver::default();
    run(
        &mut process.deliverer("out", &["beta"], PLAIN, &receiver),
        at(0),
    );
    assert_eq!(receiver.lines(), ["b1", "b2", "b5"]);
    assert_eq!(sink.delivered(&lane()), 0);
    // It comes back while its old lane has not ended yet.
    process.configure(&["beta"], &["out"]);
    assert_eq!(sink.delivered(&lane()), 0);
    assert_eq!(process.held(), 0);
    // A new lane counts from the first page.
    let mut sink = process.sink();
    sink.accept(&lane(), &page(&["again"])).unwrap();
    run(
        &mut process.deliverer("out", &["alpha"], PLAIN, &receiver),
        at(0),
    );
    assert_eq!(sink.delivered(&lane()), 1);
}

#[test]
fn a_destination_that_is_removed_holds_nothing_back_and_a_new_one_gets_what_comes() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out", "old"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    sink.accept(&lane(), &page(&numbered(0..4))).unwrap();
    run(
        &mut process.deliverer("out", &["alpha"], PLAIN, &receiver),
        at(0),
    );
    assert_eq!(sink.delivered(&lane()), 0);
    assert_eq!(process.store.forget(process.alpha(), "old").unwrap(), 4);
    assert_eq!(sink.delivered(&lane()), 1);
    assert_eq!(process.held(), 0);
    process.store.position(process.alpha(), "new").unwrap();
    sink.accept(&lane(), &page(&numbered(4..6))).unwrap();
    let new = Receiver::default();
    run(
        &mut process.deliverer("new", &["alpha"], PLAIN, &new),
        at(0),
    );
    assert_eq!(new.lines(), numbered(4..6));
}

#[test]
fn delivery_goes_on_where_it_was_when_it_is_made_anew() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut sink = process.sink();
    sink.accept(&lane(), &page(&["login bad for eve"; 15]))
        .unwrap();
    let mut first = process.deliverer("out", &["alpha"], COALESCING, &receiver);
    assert_eq!(first.step(at(0)), Step::Again);
    drop(first);
    let mut second = process.deliverer("out", &["alpha"], COALESCING, &receiver);
    run(&mut second, at(0));
    run(&mut second, at(10_000));
    let lines = receiver.lines();
    assert_eq!(lines.len(), 4);
    assert!(lines[3].contains("eventCount=12"), "{lines:?}");
    assert_eq!(sink.delivered(&lane()), 1);
}

/// A remote with a topic: it gives what is behind the acknowledged number, in order, as often as it is asked.
#[derive(Debug)]
struct Topic {
    produced: u64,
    acknowledged: u64,
    texts: fn(std::ops::Range<u64>) -> Vec<String>,
}

impl Topic {
    fn of(texts: fn(std::ops::Range<u64>) -> Vec<String>) -> Self {
        Self {
            produced: 0,
            acknowledged: 0,
            texts,
        }
    }
}

/// Who reads the topic for one process: it knows which number stands behind each page that was accepted.
struct Reader {
    next: u64,
    sink: StoreSink,
    ends: BTreeMap<u64, u64>,
    accepted: u64,
    offered: Option<Page>,
}

impl Reader {
    fn new(process: &Process, topic: &Topic) -> Self {
        Self {
            next: topic.acknowledged,
            sink: process.sink(),
            ends: BTreeMap::new(),
            accepted: 0,
            offered: None,
        }
    }

    fn step(&mut self, topic: &mut Topic, random: &mut fastrand::Rng) {
        if self.offered.is_none() {
            let end = topic.produced.min(self.next + random.u64(0..30));
            let mut payloads = page(&(topic.texts)(self.next..end));
            // Every third is of the log source behind the gateway.
            payloads.runs = (self.next..end)
                .enumerate()
                .filter(|(_, number)| number % 3 == 0)
                .map(|(index, _)| Run {
                    payloads: index..index + 1,
                    identifier: Arc::from("beta"),
                })
                .collect();
            self.next = end;
            self.offered = Some(payloads);
        }
        if let Some(page) = self.offered.take() {
            match self.sink.accept(&lane(), &page) {
                Ok(()) => {
                    self.accepted += 1;
                    self.ends.insert(self.accepted, self.next);
                }
                Err(error) => {
                    assert_eq!(error, SinkError::Full);
                    self.offered = Some(page);
                }
            }
        }
        self.acknowledge(topic);
    }

    fn acknowledge(&mut self, topic: &mut Topic) {
        let delivered = self.sink.delivered(&lane());
        if let Some((_, end)) = self.ends.range(..=delivered).next_back() {
            topic.acknowledged = topic.acknowledged.max(*end);
        }
    }
}

/// One life of a process, which ends at any moment.
fn life(
    topic: &mut Topic,
    receivers: &[Receiver; 2],
    clock: &VirtualClock,
    setup: Setup,
    random: &mut fastrand::Rng,
) {
    let process = Process::new(&["beta"], &["first", "second"], clock);
    let setup = Setup {
        batch_events: random.usize(1..25),
        eps: random.bool().then_some(200),
        ..setup
    };
    let sources = ["alpha", "beta"];
    let mut first = process.deliverer("first", &sources, setup, &receivers[0]);
    let mut second = process.deliverer("second", &sources, setup, &receivers[1]);
    let mut reader = Reader::new(&process, topic);
    for _ in 0..random.u32(0..STEPS) {
        match random.u8(0..16) {
            0..4 => reader.step(topic, random),
            4..8 => drop(first.step(clock.now())),
            8..12 => drop(second.step(clock.now())),
            12 => topic.produced += random.u64(0..60),
            13 => receivers[random.usize(0..2)].set_away(random.bool()),
            14 if !setup.coalescing => {
                let receiver = &receivers[random.usize(0..2)];
                receiver.0.lock().unwrap().breaks_off = Some(random.usize(0..10));
            }
            _ => clock.advance(TimeDelta::milliseconds(random.i64(0..2000))),
        }
        let held = process.held();
        assert!(held <= LIMITS.bytes, "{held} bytes are held");
        for receiver in receivers {
            match setup.coalescing {
                true => assert!(count(receiver) >= topic.acknowledged, "something is lost"),
                false => check(receiver, topic),
            }
        }
    }
}

/// What is acknowledged is there.
fn check(receiver: &Receiver, topic: &Topic) {
    let received = receiver.0.lock().unwrap();
    let mut seen = vec![false; usize::try_from(topic.acknowledged).unwrap()];
    for line in &received.lines {
        let number: usize = line[6..].parse().unwrap();
        if let Some(seen) = seen.get_mut(number) {
            *seen = true;
        }
    }
    assert!(seen.iter().all(|seen| *seen), "something is lost");
}

/// How many events the records that have arrived stand for.
fn count(receiver: &Receiver) -> u64 {
    let received = receiver.0.lock().unwrap();
    let counts = received.lines.iter().map(|line| {
        let count = line.split("eventCount=").nth(1);
        count.map_or(1, |rest| rest.split('\t').next().unwrap().parse().unwrap())
    });
    counts.sum()
}

/// Several lives that end at any moment, and a last one that goes on until all is done; returns how many ended.
fn lives(
    topic: &mut Topic,
    receivers: &[Receiver; 2],
    setup: Setup,
    random: &mut fastrand::Rng,
) -> u64 {
    let clock = VirtualClock::new(at(0));
    let lives = random.u64(1..6);
    for _ in 0..lives {
        life(topic, receivers, &clock, setup, random);
    }
    let process = Process::new(&["beta"], &["first", "second"], &clock);
    let sources = ["alpha", "beta"];
    let mut reader = Reader::new(&process, topic);
    let mut deliverers = [
        process.deliverer("first", &sources, setup, &receivers[0]),
        process.deliverer("second", &sources, setup, &receivers[1]),
    ];
    receivers
        .iter()
        .for_each(|receiver| receiver.set_away(false));
    while topic.acknowledged < topic.produced {
        clock.advance(TimeDelta::seconds(60));
        reader.step(topic, random);
        deliverers.iter_mut().for_each(|deliverer| {
            run(deliverer, clock.now());
        });
    }
    lives
}

const STEPS: u32 = 250;

#[test]
fn whenever_the_process_dies_everything_arrives_and_repeats_stay_within_the_bound() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let receivers = [Receiver::default(), Receiver::default()];
        let mut topic = Topic::of(numbered);
        let lives = lives(&mut topic, &receivers, PLAIN, &mut random);
        for receiver in &receivers {
            let mut lines = receiver.lines();
            let delivered = lines.len() as u64;
            lines.sort_unstable();
            lines.dedup();
            assert_eq!(lines, numbered(0..topic.produced), "seed {seed}");
            // What memory may hold for each death, and at most ten of a batch that broke off for each time that one did.
            let repeated = delivered - topic.produced;
            let broken_off = 10 * u64::from(STEPS) * lives / 16;
            assert!(
                repeated <= lives * LIMITS.events + broken_off,
                "seed {seed}: {repeated}"
            );
        }
    }
}

#[test]
fn whenever_the_process_dies_no_event_is_missing_in_the_counts_of_coalesced_records() {
    let texts = |range: std::ops::Range<u64>| {
        range
            .map(|number| format!("login bad for user{} {number}", number % 3))
            .collect()
    };
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let receivers = [Receiver::default(), Receiver::default()];
        let mut topic = Topic::of(texts);
        let lives = lives(&mut topic, &receivers, COALESCING, &mut random);
        for receiver in &receivers {
            let counted = count(receiver);
            assert!(counted >= topic.produced, "seed {seed}: something is lost");
            let repeated = counted - topic.produced;
            assert!(repeated <= lives * LIMITS.events, "seed {seed}: {repeated}");
        }
    }
}

#[test]
fn events_of_a_log_source_arrive_in_their_order() {
    let clock = VirtualClock::new(at(0));
    let process = Process::new(&[], &["out"], &clock);
    let receiver = Receiver::default();
    let mut deliverer = process.deliverer("out", &["alpha"], PLAIN, &receiver);
    let mut topic = Topic {
        produced: 2000,
        ..Topic::of(numbered)
    };
    let mut reader = Reader::new(&process, &topic);
    let mut random = fastrand::Rng::with_seed(7);
    let mut full = 0;
    while topic.acknowledged < topic.produced {
        reader.step(&mut topic, &mut random);
        full += u32::from(reader.offered.is_some());
        if random.u8(0..4) == 0 {
            deliverer.step(clock.now());
        }
    }
    let expected = numbered(0..2000);
    // Those behind the gateway are not configured here: they stay where they are.
    assert_eq!(receiver.lines(), expected);
    assert!(full > 10, "memory was never full");
}
