//! A day in virtual time, with bursts, outages, a throttle, a spool that fills up, and crashes: every event once and in
//! order, and memory that stays flat.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, TimeDelta, Utc};
use dsm::Mapping;
use pipeline::collect::StoreSink;
use pipeline::deliver::{self, Deliverer, DeliveryOptions, Route};
use pipeline::destination::{Batch, DeadLetters, Destination, Outcome};
use pipeline::format::{Format, Limit, LogSource};
use pipeline::store::{Limits, Store};
use protocol::clock::{Clock, VirtualClock};
use protocol::{Cursor, LaneId, Page, Sink, SinkError};
use std::path::Path;
use std::sync::{Arc, Mutex};

const SPOOL: u64 = 150_000;
const EPS: u32 = 40;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

/// A source with a counter for a cursor: 20 events a minute, 4,000 at once every three hours.
#[derive(Debug)]
struct Source {
    minute: i64,
    next: u64,
    /// What the store was too full to take.
    offered: Option<Page>,
    pauses: u32,
}

impl Source {
    fn at(cursor: Option<&str>) -> Self {
        let (minute, next) = match cursor {
            Some(text) => {
                let (minute, next) = text.split_once(' ').unwrap();
                (minute.parse().unwrap(), next.parse().unwrap())
            }
            None => (0, 0),
        };
        Self {
            minute,
            next,
            offered: None,
            pauses: 0,
        }
    }

    fn step(&mut self, sink: &mut StoreSink, now: DateTime<Utc>) -> DateTime<Utc> {
        let due = start() + TimeDelta::minutes(self.minute);
        if self.offered.is_none() {
            if now < due {
                return due;
            }
            let count = if self.minute % 180 == 90 { 4000 } else { 20 };
            let payloads = (self.next..self.next + count)
                .map(|number| format!("event {number:08} of a day").into_bytes().into())
                .collect();
            self.next += count;
            self.minute += 1;
            self.offered = Some(Page {
                payloads,
                cursor: Cursor::from_text(format!("{} {}", self.minute, self.next)),
                ..Page::default()
            });
        }
        let lane = LaneId {
            log_source: "alpha".to_owned(),
            lane: "all".to_owned(),
        };
        let page = self.offered.take().unwrap();
        match sink.accept(&lane, &page) {
            Ok(()) => now,
            Err(error) => {
                assert_eq!(error, SinkError::Full);
                self.offered = Some(page);
                self.pauses += 1;
                now + TimeDelta::seconds(30)
            }
        }
    }
}

/// Numbers of the events that arrived, and how often it was not there.
#[derive(Debug, Default)]
struct Arrived {
    numbers: Vec<u64>,
    refusals: u32,
}

/// A destination that is away twice, for three quarters of an hour and for four hours, and stumbles besides.
#[derive(Debug)]
struct Shaky(Arc<Mutex<Arrived>>);

impl Destination for Shaky {
    fn send(&mut self, batch: &Batch, now: DateTime<Utc>) -> Outcome {
        let mut arrived = self.0.lock().unwrap();
        let minute = (now - start()).num_minutes();
        let stumbles = arrived.numbers.len() % 7 == 3 && arrived.refusals.is_multiple_of(2);
        if (120..165).contains(&minute) || (600..840).contains(&minute) || stumbles {
            arrived.refusals += 1;
            return Outcome::Unavailable("away".to_owned());
        }
        for record in &batch.records {
            let line = String::from_utf8(batch.line(record).to_vec()).unwrap();
            arrived.numbers.push(line[6..14].parse().unwrap());
        }
        arrived.refusals += u32::from(arrived.refusals % 2 == 1);
        Outcome::Accepted(Vec::new())
    }
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Runs until a time, from what is in the directory, as a process that is then killed; returns how often collection
/// paused, and what the process leaves behind.
fn life(
    dir: &Path,
    clock: &VirtualClock,
    until: DateTime<Utc>,
    arrived: &Arc<Mutex<Arrived>>,
) -> (u32, tempfile::TempDir) {
    let limits = Limits {
        spool: SPOOL,
        free: 0,
        ..Limits::default()
    };
    let store = Arc::new(Store::open(dir, limits).unwrap());
    let source = store.source("alpha").unwrap();
    let mapping = Mapping::generic();
    let route = Route {
        source,
        log_source: LogSource {
            identifier: "alpha".to_owned(),
            credibility: 5,
            store_payload: true,
        },
        mapping: &mapping,
        limit: Limit::default(),
        eps: Some(EPS),
        coalescing: false,
        metrics: Arc::default(),
    };
    let options = DeliveryOptions {
        name: "out".to_owned(),
        format: Format::Raw,
        batch_events: 500,
        batch_bytes: 1 << 20,
        threads: 1,
        labels: None,
    };
    let mut deliverer = Deliverer::new(
        Arc::clone(&store),
        options,
        Box::new(Shaky(Arc::clone(arrived))),
        DeadLetters::new(dir.join("dead.ndjson")),
        vec![route],
        Arc::default(),
    )
    .unwrap();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let mut sink = StoreSink::new(Arc::clone(&store), source, shared);
    let mut collecting = Source::at(store.cursor(source, "all").unwrap().as_deref());
    while clock.now() < until {
        let now = clock.now();
        let next_page = collecting.step(&mut sink, now);
        // The largest page may come into a spool that was empty.
        assert!(store.bytes() < SPOOL + 4000 * 40, "{} bytes", store.bytes());
        let next_batch = match deliverer.step(now) {
            deliver::Step::Again => now,
            deliver::Step::Wait(until) => until,
            deliver::Step::Idle => until,
            deliver::Step::Closed(reason) => panic!("{reason}"),
        };
        clock.advance_to(next_page.min(next_batch));
    }
    let image = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // Room that is set aside holds nothing.
        if !path.ends_with("reserve") {
            std::fs::copy(&path, image.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    (collecting.pauses, image)
}

#[test]
fn a_day_with_bursts_outages_and_crashes_delivers_every_event_once_and_in_order() {
    let clock = VirtualClock::new(start());
    let arrived = Arc::new(Mutex::new(Arrived::default()));
    let mut dir = tempfile::tempdir().unwrap();
    let mut pauses = 0;
    let mut resident_early = 0;
    // A life ends in the middle of something, at no round time.
    for hours in [5, 11, 12, 19, 24] {
        let until = start() + TimeDelta::hours(hours) + TimeDelta::milliseconds(hours * 137);
        let (paused, image) = life(dir.path(), &clock, until, &arrived);
        pauses += paused;
        dir = image;
        if hours == 5 {
            resident_early = resident();
        }
    }
    // What the day has left behind in the spool is delivered in the night.
    let fetched = 24 * 60 * 20 + 8 * 3980;
    life(dir.path(), &clock, start() + TimeDelta::hours(25), &arrived);
    let arrived = arrived.lock().unwrap();
    let before_night: Vec<u64> = arrived.numbers.iter().copied().take(fetched).collect();
    let expected: Vec<u64> = (0..fetched as u64).collect();
    assert!(before_night == expected, "lost, repeated or out of order");
    assert!(pauses > 50, "the spool was never full: {pauses}");
    assert!(arrived.refusals > 100, "the destination was always there");
    let growth = resident().saturating_sub(resident_early);
    assert!(growth < 16 << 20, "{growth} bytes more than in the morning");
}
