//! A log source on one side, the simulator on the other, real connections between them, and the simulator's time.

use chrono::{DateTime, TimeDelta, Utc};
use protocol::clock::{Clock, Stop};
use protocol::driver::LaneDriver;
use protocol::http::UreqTransport;
use protocol::secret::GivenSecrets;
use protocol::status::LaneStatus;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use settings::{RawTable, RawValue};
use simulator::{
    Client, Comparison, Feed, Pace, Rule, Scenario, Service, Simulator, Stamp, key_of,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The three protocols of Microsoft, with the interface that each of them speaks to.
pub(crate) const PROTOCOLS: [(&str, Service); 3] = [
    ("microsoft-defender-endpoint-siem", Service::SiemApi),
    ("microsoft-defender-endpoint", Service::MdeApi),
    ("microsoft-graph-security", Service::Graph),
];

/// A scenario of this interface, in stepped time: 130 alerts beforehand, 110 more in 75 minutes.
pub(crate) fn scenario(service: Service) -> Scenario {
    let hour = Duration::from_secs(3600);
    let feed = match service {
        Service::MdeApi => Feed::mde(),
        Service::Graph => Feed::graph(),
        _ => Feed::siem("eu"),
    };
    Scenario {
        start: Stamp::parse("2026-03-02T08:00:00Z"),
        pace: Pace::Stepped,
        feeds: vec![Feed {
            per_hour: 90,
            limit: Some(240),
            ..feed.backlog(130, hour)
        }],
        ..Scenario::default()
    }
}

/// The same with faults.
pub(crate) fn failing(service: Service, faults: Vec<Rule>) -> Scenario {
    Scenario {
        faults,
        ..scenario(service)
    }
}

/// The simulator's clock, as collectors see it.
#[derive(Debug)]
struct SimulatedClock<'a>(&'a simulator::Clock);

impl Clock for SimulatedClock<'_> {
    fn now(&self) -> DateTime<Utc> {
        self.0.now().time()
    }

    fn wait(&self, until: DateTime<Utc>, _: &Stop) {
        self.0
            .advance((until - self.now()).to_std().unwrap_or_default());
    }
}

/// Keeps what it is given.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) payloads: Vec<Box<[u8]>>,
    pub(crate) cursors: BTreeMap<LaneId, Cursor>,
    /// So many pages are refused first.
    pub(crate) full: u32,
}

impl Sink for Memory {
    fn accept(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full > 0 {
            self.full -= 1;
            return Err(SinkError::Full);
        }
        self.payloads.extend(page.payloads.iter().cloned());
        self.cursors.insert(lane.clone(), page.cursor.clone());
        Ok(())
    }
}

pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    protocol: &'static str,
    parameters: RawTable,
    drivers: Vec<LaneDriver>,
    pub(crate) sink: Memory,
}

fn text(value: &str) -> RawValue {
    RawValue::Text(value.to_owned())
}

impl Rig {
    /// A log source of this protocol that collects from this scenario.
    pub(crate) fn new(protocol: &'static str, scenario: Scenario) -> Self {
        let regions: Vec<RawValue> = scenario
            .feeds
            .iter()
            .filter(|feed| !feed.region.is_empty())
            .map(|feed| text(&feed.region))
            .collect();
        let simulator = Simulator::start(scenario).unwrap();
        let client = Client::default();
        let secret = RawTable::from_iter([("env".to_owned(), text("CLIENT_SECRET"))]);
        let mut parameters = RawTable::from_iter([
            ("client_id".to_owned(), text(&client.id)),
            ("client_secret".to_owned(), RawValue::Table(secret)),
            ("endpoint_override".to_owned(), text(&simulator.url())),
            ("recurrence".to_owned(), text("5M")),
            ("initial_lookback".to_owned(), text("2H")),
        ]);
        if protocol == "microsoft-graph-security" {
            parameters.set("tenant_id", text(&client.tenant));
        } else {
            let version = if regions.is_empty() { "/v2.0" } else { "" };
            let server = format!(
                "https://login.microsoftonline.com/{}/oauth2{version}/token",
                client.tenant
            );
            parameters.set("authorization_server_url", text(&server));
        }
        if !regions.is_empty() {
            parameters.set("region", RawValue::from(regions));
        }
        let mut rig = Self {
            simulator,
            protocol,
            parameters,
            drivers: Vec::new(),
            sink: Memory::default(),
        };
        rig.restart();
        rig
    }

    /// Sets a parameter and opens the log source anew.
    pub(crate) fn with(mut self, name: &str, value: RawValue) -> Self {
        self.parameters.set(name, value);
        self.restart();
        self
    }

    /// What a crash leaves: the cursors in the sink, and nothing else.
    pub(crate) fn restart(&mut self) {
        let protocol = protocol::protocols::find(self.protocol).unwrap();
        let parameters = protocol.validate(&self.parameters).unwrap();
        let secrets = GivenSecrets::default().with("CLIENT_SECRET", &Client::default().secret);
        let Source::Polling(lanes) = protocol.open("source", &parameters, &secrets).unwrap() else {
            panic!("{} does not poll", self.protocol);
        };
        self.drivers = lanes
            .into_iter()
            .enumerate()
            .map(|(seed, lane)| {
                let transport = Arc::new(UreqTransport::new(lane.http.clone()).unwrap());
                let id = LaneId {
                    log_source: "source".to_owned(),
                    lane: lane.name.clone(),
                };
                let cursor = self.sink.cursors.get(&id).cloned().unwrap_or(Cursor::START);
                LaneDriver::new("source", lane, transport, cursor, seed as u64)
            })
            .collect();
    }

    /// Collects for so long in the simulator's time.
    pub(crate) fn run(&mut self, minutes: i64) {
        self.run_for(TimeDelta::minutes(minutes));
    }

    pub(crate) fn run_for(&mut self, time: TimeDelta) {
        let clock = SimulatedClock(self.simulator.clock());
        let end = clock.now() + time;
        while clock.now() < end {
            let mut next = end;
            let mut idle = true;
            for driver in &mut self.drivers {
                match driver.step(&clock, &mut self.sink) {
                    Step::Again => idle = false,
                    Step::Wait(until) => next = next.min(until),
                    Step::Finished => {}
                }
            }
            if idle {
                clock.wait(next, &Stop::new());
            }
        }
    }

    pub(crate) fn status(&self, lane: usize) -> &LaneStatus {
        self.drivers[lane].status()
    }

    /// What was collected beside what there was.
    pub(crate) fn compare(&self) -> Comparison {
        let key = |payload: &[u8]| {
            key_of(payload).unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned())
        };
        self.simulator
            .ledger()
            .compare(self.sink.payloads.iter().map(|payload| key(payload)))
    }

    /// Asserts that every alert there was is here, once.
    pub(crate) fn assert_exact(&self) {
        let comparison = self.compare();
        assert!(
            comparison.is_exact(),
            "{}: {comparison}; {:?}",
            self.protocol,
            self.status(0)
        );
        assert!(comparison.expected >= 240, "{comparison}");
    }
}
