//! A store with events and what delivers them.

use chrono::{DateTime, TimeDelta, Utc};
use dsm::Mapping;
use pipeline::deliver::{Deliverer, DeliveryOptions, Route, Step};
use pipeline::destination::{
    Confirm, DeadLetters, Framing, Header, SyslogDestination, SyslogOptions, Transport,
};
use pipeline::format::{Format, Limit, LogSource};
use pipeline::metrics::{DestinationMetrics, RouteMetrics};
use pipeline::store::{Limits, Store};
use std::net::SocketAddr;
use std::sync::Arc;

/// So many events are sent at once.
pub(crate) const BATCH: usize = 500;
/// So many steps may find nothing to do. Each waits a tenth of a second at most.
const MOST_WAITS: usize = 5_000;

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

/// A store with events, and what is needed to deliver them.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    mapping: Mapping,
    pub(crate) metrics: Arc<DestinationMetrics>,
    pub(crate) events: usize,
}

impl Bench {
    /// So many events of so many bytes; each begins with its number.
    pub(crate) fn new(events: usize, bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            spool: 1 << 30,
            free: 0,
            ..Limits::default()
        };
        let store = Arc::new(Store::open(dir.path(), limits).unwrap());
        let source = store.source("alpha").unwrap();
        store.position(source, "out").unwrap();
        let bench = Self {
            dir,
            store,
            mapping: Mapping::generic(),
            metrics: Arc::default(),
            events,
        };
        bench.add(events, bytes);
        bench
    }

    /// As many events more.
    pub(crate) fn add(&self, events: usize, bytes: usize) {
        let source = self.store.source("alpha").unwrap();
        let payloads: Vec<String> = (0..events)
            .map(|number| {
                let start = format!("event {number} ");
                let padding = bytes.saturating_sub(start.len());
                start + &"x".repeat(padding)
            })
            .collect();
        for page in payloads.chunks(1000) {
            self.store.accept(source, "", page, None, at(0)).unwrap();
        }
    }

    pub(crate) fn deliverer(&self, address: SocketAddr) -> Deliverer<'_> {
        self.deliverer_with(address, Confirm::Close)
    }

    pub(crate) fn deliverer_with(&self, address: SocketAddr, confirm: Confirm) -> Deliverer<'_> {
        self.deliverer_over(address, Transport::Tcp(Framing::Newline), confirm)
    }

    pub(crate) fn deliverer_over(
        &self,
        address: SocketAddr,
        transport: Transport,
        confirm: Confirm,
    ) -> Deliverer<'_> {
        let destination = SyslogDestination::new(SyslogOptions {
            address: address.to_string(),
            transport,
            header: Header::None,
            priority: 13,
            host: None,
            confirm,
        });
        let route = Route {
            source: self.store.source("alpha").unwrap(),
            log_source: LogSource {
                identifier: "alpha".to_owned(),
                credibility: 5,
                store_payload: true,
            },
            mapping: &self.mapping,
            limit: Limit::default(),
            eps: None,
            coalescing: false,
            metrics: Arc::new(RouteMetrics::default()),
        };
        let options = DeliveryOptions {
            name: "out".to_owned(),
            format: Format::Raw,
            batch_events: BATCH,
            batch_bytes: 1 << 20,
            threads: 1,
            labels: None,
        };
        let mut deliverer = Deliverer::new(
            Arc::clone(&self.store),
            options,
            Box::new(destination),
            DeadLetters::new(self.dir.path().join("dead-letters.ndjson")),
            vec![route],
            Arc::clone(&self.metrics),
        )
        .unwrap();
        // Nothing more comes: what is on its way is to be confirmed as soon as everything is.
        deliverer.close_windows();
        deliverer
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.store.look().unwrap().waiting[0].events
    }
}

/// Steps until something holds. Pauses after faults take no time.
pub(crate) fn step_until(deliverer: &mut Deliverer<'_>, mut is_so: impl FnMut(&Step) -> bool) {
    let mut waits = 0;
    let mut now = at(1);
    loop {
        let step = deliverer.step(now);
        if is_so(&step) {
            return;
        }
        match step {
            Step::Again => {}
            Step::Closed(reason) => panic!("{reason}"),
            Step::Idle | Step::Wait(_) => {
                waits += 1;
                assert!(waits < MOST_WAITS, "{step:?}");
                if let Step::Wait(until) = step {
                    now = until.max(now) + TimeDelta::milliseconds(1);
                }
            }
        }
    }
}

/// Steps until everything is delivered.
pub(crate) fn deliver_all(deliverer: &mut Deliverer<'_>) {
    let mut waits = 0;
    let mut now = at(1);
    while !deliverer.is_done().unwrap() {
        if let Step::Wait(until) = deliverer.step(now) {
            waits += 1;
            assert!(waits < MOST_WAITS);
            now = until.max(now) + TimeDelta::milliseconds(1);
        }
    }
}

/// The number of the event in a line.
pub(crate) fn number(line: &str) -> usize {
    let number = line.strip_prefix("event ").unwrap();
    number.split(' ').next().unwrap().parse().unwrap()
}
