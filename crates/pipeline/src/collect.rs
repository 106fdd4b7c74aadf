//! Collecting into the store: a log source is opened, and its lanes step until they are told to stop.

use crate::config::LogSourceConfig;
use crate::group::Ledger;
use crate::metrics::Board;
use crate::store::{SourceId, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use protocol::clock::{Clock, Stop};
use protocol::cursor::CursorError;
use protocol::driver::LaneDriver;
use protocol::http::{HttpSettings, Transport, TransportError, UreqTransport};
use protocol::secret::Secrets;
use protocol::status::{LaneStatus, State};
use protocol::{
    Collector, Cursor, Keeps, LaneId, OpenError, Page, Progress, Sink, SinkError, Source, Step,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a lane that ends waits until what it has fetched is delivered.
const GOODBYE: Duration = Duration::from_secs(10);

/// Puts pages into the store.
#[derive(Debug)]
pub struct StoreSink {
    store: Arc<Store>,
    source: SourceId,
    clock: Arc<dyn Clock>,
    /// Whether it has been said that the store takes nothing, so that it is said once.
    paused: bool,
    /// How many pages of the lane the store has counted before the first of this sink.
    first: u64,
    ledger: Option<Arc<Ledger>>,
}

impl StoreSink {
    /// A sink for the pages of one log source.
    pub fn new(store: Arc<Store>, source: SourceId, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            source,
            clock,
            paused: false,
            first: 0,
            ledger: None,
        }
    }

    /// A page whose remote keeps it. A part of it that belongs to a log source that is configured goes there.
    fn take(&self, lane: &LaneId, page: &Page) -> Result<(), StoreError> {
        let owner = |identifier: &str| self.store.find(identifier);
        let parts = page.parts();
        let parts: Vec<_> = parts
            .map(|(identifier, part)| (identifier.and_then(owner).unwrap_or(self.source), part))
            .collect();
        self.store
            .take(self.source, &lane.lane, &parts, self.clock.wall())
    }
}

impl Sink for StoreSink {
    fn accept(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError> {
        let accepted = match self.source.keeps() {
            Keeps::Here => self.store.accept(
                self.source,
                &lane.lane,
                &page.payloads,
                page.cursor.as_text(),
                self.clock.wall(),
            ),
            Keeps::Remote => self.take(lane, page),
        };
        match accepted {
            Ok(()) => {
                if let Some(ledger) = &self.ledger {
                    ledger.accepted(page.cursor.clone());
                }
                if std::mem::take(&mut self.paused) {
                    tracing::info!(lane = %lane, "there is room again: collection goes on");
                }
                Ok(())
            }
            Err(error) if error.is_pause() => {
                if !std::mem::replace(&mut self.paused, true) {
                    tracing::warn!(lane = %lane, "{error}");
                }
                Err(SinkError::Full)
            }
            Err(error) => Err(SinkError::Failed(error.to_string())),
        }
    }

    fn accept_last(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.source.keeps() == Keeps::Remote {
            return self.accept(lane, page);
        }
        let now = self.clock.wall();
        self.store
            .accept_last(self.source, &lane.lane, &page.payloads, now)
            .map_err(|error| SinkError::Failed(error.to_string()))
    }

    fn delivered(&mut self, lane: &LaneId) -> u64 {
        let pages = self.store.delivered(self.source, &lane.lane);
        pages.saturating_sub(self.first)
    }

    fn acknowledged(&mut self, lane: &LaneId, pages: u64) {
        let pages = pages + self.first;
        self.store.acknowledged(self.source, &lane.lane, pages);
    }

    fn hasten(&mut self, _lane: &LaneId) {
        self.store.hasten(self.source);
    }
}

/// A log source cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The configuration names no protocol that exists.
    #[error("there is no such protocol")]
    Protocol,
    /// The protocol refuses.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stored position is of no use.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There can be no connections.
    #[error("no connections can be made: {0}")]
    Transport(#[from] TransportError),
    /// Two lanes would have one cursor.
    #[error(
        "it has two lanes with the name `{0}`, which would share a cursor: name each region once"
    )]
    LaneTwice(String),
}

impl CollectError {
    /// Whether the check of the configuration finds it too.
    pub(crate) const fn is_of_configuration(&self) -> bool {
        match self {
            Self::Protocol | Self::Open(_) | Self::Transport(_) | Self::LaneTwice(_) => true,
            Self::Cursor(_) | Self::Store(_) => false,
        }
    }
}

/// A lane or a stream of a log source.
#[derive(Debug)]
pub struct Lane {
    /// What is stepped.
    pub collector: Box<dyn Collector>,
    /// Where its pages go.
    pub sink: StoreSink,
    /// How far it has been delivered, where processes divide log sources among themselves.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

/// What it takes to open log sources.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Where pages go and cursors are.
    pub store: &'a Arc<Store>,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Who knows the secrets.
    pub secrets: &'a dyn Secrets,
    /// Makes the waits of lanes differ.
    pub seed: u64,
    /// Makes a way to servers.
    pub transport: &'a dyn Fn(HttpSettings) -> Result<Arc<dyn Transport>, TransportError>,
}

impl std::fmt::Debug for Opener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

/// Connections of this machine.
///
/// # Errors
/// A certificate file cannot be read.
pub fn connections(settings: HttpSettings) -> Result<Arc<dyn Transport>, TransportError> {
    Ok(Arc::new(UreqTransport::new(settings)?))
}

impl Opener<'_> {
    /// The lanes of a log source, each at its stored cursor.
    ///
    /// # Errors
    /// A parameter, a secret, the stored position or the state cannot be used.
    pub fn open(&self, config: &LogSourceConfig) -> Result<Vec<Lane>, CollectError> {
        self.open_at(config, &|_| None)
    }

    /// The lanes of a log source that processes divide among themselves, each at the cursor up to which it has been
    /// delivered. Where nobody knows of any, it goes on from the one that was stored when this process collected alone.
    ///
    /// # Errors
    /// As with [`Self::open`].
    pub fn open_at(
        &self,
        config: &LogSourceConfig,
        position: &dyn Fn(&LaneId) -> Option<Cursor>,
    ) -> Result<Vec<Lane>, CollectError> {
        let identifier = &config.identifier.value;
        let source = self.store.source(identifier)?;
        let protocol = config.protocol.ok_or(CollectError::Protocol)?;
        let id = |lane: &str| LaneId {
            log_source: identifier.clone(),
            lane: lane.to_owned(),
        };
        let known = |id: &LaneId| -> Result<Cursor, StoreError> {
            if let Some(cursor) = position(id) {
                return Ok(cursor);
            }
            let stored = self.store.stored_cursor(identifier, &id.lane)?;
            Ok(stored.map_or(Cursor::START, Cursor::from_text))
        };
        let sink = |id: &LaneId| {
            let (store, clock) = (Arc::clone(self.store), Arc::clone(self.clock));
            let mut sink = StoreSink::new(store, source, clock);
            sink.first = self.store.begin(source, &id.lane);
            sink
        };
        match protocol.open(identifier, &config.parameters, self.secrets)? {
            Source::Polling(polled) => {
                let mut lanes: Vec<Lane> = Vec::new();
                check_names(&polled)?;
                for (seed, polled) in (self.seed..).zip(polled) {
                    let transport = (self.transport)(polled.http.clone())?;
                    let id = id(&polled.name);
                    let mut cursor = known(&id)?;
                    let mut sink = sink(&id);
                    if config.is_shared {
                        if cursor == Cursor::START {
                            cursor = polled.poll.begin(self.clock.wall());
                        }
                        let store = Arc::clone(self.store);
                        let first = sink.first;
                        let ledger = Ledger::begin(store, source, id, first, cursor.clone());
                        sink.ledger = Some(Arc::new(ledger));
                    }
                    let driver = LaneDriver::new(identifier, polled, transport, cursor, seed);
                    lanes.push(Lane {
                        collector: Box::new(driver),
                        ledger: sink.ledger.clone(),
                        sink,
                    });
                }
                Ok(lanes)
            }
            Source::Stream(stream) => {
                let id = id(stream.lane());
                let cursor = match source.keeps() {
                    Keeps::Here => known(&id)?,
                    Keeps::Remote => Cursor::START,
                };
                let sink = sink(&id);
                Ok(vec![Lane {
                    collector: stream.start(id, cursor)?,
                    sink,
                    ledger: None,
                }])
            }
        }
    }
}

/// Refuses lanes with the same name.
///
/// # Errors
/// There are two.
pub(crate) fn check_names(lanes: &[protocol::Lane]) -> Result<(), CollectError> {
    let mut names = std::collections::BTreeSet::new();
    match lanes.iter().find(|lane| !names.insert(&lane.name)) {
        Some(twice) => Err(CollectError::LaneTwice(twice.name.clone())),
        None => Ok(()),
    }
}

impl Lane {
    /// Does the next thing.
    pub fn step(&mut self, clock: &dyn Clock) -> Step {
        self.collector.step(clock, &mut self.sink)
    }

    /// Whether it takes what others send and so never comes to an end.
    pub fn is_endless(&self) -> bool {
        self.collector.progress() == Progress::Endless
    }

    /// Steps until it is told to stop or the source has ended. With `once` it ends too when everything was read that was
    /// there, or when it has got no further for so long. Then it hands over what it has received, and waits for a moment
    /// for what the remote is still to be told.
    pub fn run(
        mut self,
        clock: &dyn Clock,
        stop: &Stop,
        once: Option<TimeDelta>,
        board: &Board,
    ) -> LaneEnd {
        let mut patience = once.map(|limit| Patience::new(limit, clock.now()));
        let end = loop {
            if stop.is_set() {
                break LaneEnd::Stopped;
            }
            let step = self.step(clock);
            self.publish(clock, board);
            if let Some(patience) = &mut patience {
                match self.collector.progress() {
                    Progress::CaughtUp => break LaneEnd::CaughtUp,
                    Progress::Blocked(reason) => break LaneEnd::Behind(reason),
                    Progress::Behind | Progress::Endless => {
                        let status = self.collector.status();
                        if let Some(reason) = patience.judge(status, step, clock.now()) {
                            break LaneEnd::Behind(reason);
                        }
                    }
                }
            }
            match step {
                Step::Again => {}
                Step::Finished => {
                    break match self.collector.progress() {
                        Progress::Blocked(reason) => LaneEnd::Behind(reason),
                        _ => LaneEnd::CaughtUp,
                    };
                }
                Step::Wait(until) => clock.wait(until, stop),
            }
        };
        let id = self.collector.id().clone();
        self.sink.hasten(&id);
        self.collector.close(clock, &mut self.sink);
        self.settle();
        // Where it was told to stop, the board may have forgotten it.
        if !stop.is_set() {
            self.publish(clock, board);
        }
        end
    }

    /// Shows how the lane is doing, in the time of the machine's clock.
    fn publish(&self, clock: &dyn Clock, board: &Board) {
        let (id, status) = (self.collector.id(), self.collector.status());
        let by = clock.set_by();
        // A listener polls nobody: as long as it listens, it succeeds.
        let is_listening = status.state == State::Ok && self.is_endless();
        if by.is_zero() && !is_listening {
            board.set_lane(id, status);
            return;
        }
        let mut status = status.moved_by(by);
        if is_listening {
            status.last_success = Some(clock.wall());
        }
        board.set_lane(id, &status);
    }

    /// Waits for a while until what was accepted is delivered, where another process goes on from there.
    fn settle(&self) {
        let deadline = Instant::now() + GOODBYE;
        let is_open = |ledger: &Arc<Ledger>| ledger.is_open();
        while self.ledger.as_ref().is_some_and(is_open) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// How a lane came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneEnd {
    /// It was told to stop.
    Stopped,
    /// Everything was read that was there.
    CaughtUp,
    /// Something that was there has not been read, for this reason.
    Behind(String),
}

/// Decides when a run with `--once` has waited long enough for a lane.
#[derive(Debug)]
struct Patience {
    limit: TimeDelta,
    /// When the lane last got further.
    since: DateTime<Utc>,
    /// How many elements it had read then.
    read: u64,
}

impl Patience {
    const fn new(limit: TimeDelta, now: DateTime<Utc>) -> Self {
        Self {
            limit,
            since: now,
            read: 0,
        }
    }

    /// Why the lane is not waited for any longer, after a step. It is given up as soon as it is clear that it will not get
    /// further in time.
    fn judge(&mut self, status: &LaneStatus, step: Step, now: DateTime<Utc>) -> Option<String> {
        let read = status.payloads + status.duplicates + status.heartbeats + status.filtered;
        // After a round that was given up, the next one may read the same again and again.
        if (read != self.read && status.rounds_failed == 0) || now < self.since {
            self.since = now;
        }
        self.read = read;
        let next = match step {
            Step::Wait(until) => until.max(now),
            Step::Again | Step::Finished => now,
        };
        if next - self.since < self.limit {
            return None;
        }
        let mut reason = match status.message.as_str() {
            "" => "nothing has been read yet".to_owned(),
            message => message.to_owned(),
        };
        if next > now {
            reason += &format!(
                "; the next attempt would be in {} s, and --once-patience is {} s",
                (next - now).num_seconds(),
                self.limit.num_seconds()
            );
        } else {
            let limit = self.limit.num_seconds();
            reason += &format!("; it got no further within the {limit} s of --once-patience");
        }
        if let Some(remedy) = &status.remedy {
            reason += &format!(": {remedy}");
        }
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::store::{Limits, Position};
    use dsm::diagnostic::SourceFile;
    use protocol::clock::VirtualClock;
    use protocol::secret::GivenSecrets;
    use std::path::Path;

    const CONFIG: &str = "state_directory = \"state\"
[[destination]]
name = \"out\"
type = \"stdout\"
[group]
name = \"collectors\"
bootstrap_server_list = [\"192.0.2.1:9092\"]
[[log_source]]
identifier = \"alpha\"
type = \"microsoft-365-defender\"
protocol = \"microsoft-defender-endpoint-siem\"
destinations = [\"out\"]
[log_source.parameters]
authorization_server_url = \"https://login.microsoftonline.com/3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10/oauth2/token\"
client_id = \"8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21\"
client_secret = { env = \"SECRET\" }
region = [\"eu\", \"us\"]
";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn lane(name: &str) -> LaneId {
        LaneId {
            log_source: "alpha".to_owned(),
            lane: name.to_owned(),
        }
    }

    /// A store whose log source `alpha` is kept by its remote, with a cursor from the time when it was kept here.
    fn store() -> (tempfile::TempDir, Arc<Store>) {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            free: 0,
            ..Limits::default()
        };
        let store = Store::open(dir.path(), limits).unwrap();
        let alpha = store.source("alpha").unwrap();
        let nothing: &[&[u8]] = &[];
        store
            .accept(alpha, "eu", nothing, Some("stored"), now())
            .unwrap();
        store
            .configure([("alpha", Keeps::Remote)].into_iter())
            .unwrap();
        let alpha = store.source("alpha").unwrap();
        store.position(alpha, "out").unwrap();
        (dir, Arc::new(store))
    }

    /// The lanes of the log source, for which the group knows this position of the lane `us`.
    fn open(store: &Arc<Store>) -> Vec<Lane> {
        let file = SourceFile::new("dsmith.toml", CONFIG);
        let (config, found) = config::read(&file, Path::new("/"));
        assert!(!found.has_errors(), "{found:?}");
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(now()));
        let opener = Opener {
            store,
            clock: &clock,
            secrets: &GivenSecrets::default().with("SECRET", "hunter2-hunter2"),
            seed: 1,
            transport: &connections,
        };
        let of_group = |id: &LaneId| (*id == lane("us")).then(|| Cursor::from_text("of the group"));
        opener.open_at(&config.log_sources[0], &of_group).unwrap()
    }

    #[test]
    fn a_shared_lane_begins_where_the_group_says_or_where_this_process_was_alone() {
        let (_dir, store) = store();
        let begun: Vec<(String, Option<Cursor>)> = open(&store)
            .iter()
            .map(|lane| {
                let ledger = lane.ledger.as_ref().unwrap();
                (ledger.lane().lane.clone(), ledger.reached())
            })
            .collect();
        let expected = [("eu", "stored"), ("us", "of the group")];
        let expected =
            expected.map(|(lane, cursor)| (lane.to_owned(), Some(Cursor::from_text(cursor))));
        assert_eq!(begun, expected);
    }

    #[test]
    fn a_shared_lane_that_begins_anew_has_reached_its_beginning_so_that_others_begin_there_too() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            free: 0,
            ..Limits::default()
        };
        let store = Arc::new(Store::open(dir.path(), limits).unwrap());
        store
            .configure([("alpha", Keeps::Remote)].into_iter())
            .unwrap();
        let reached = open(&store)[0].ledger.as_ref().unwrap().reached();
        let text = reached
            .as_ref()
            .and_then(Cursor::as_text)
            .unwrap()
            .to_owned();
        assert!(text.contains("version"), "{text}");
    }

    #[test]
    fn a_lane_has_reached_the_cursor_of_the_last_page_of_which_all_is_delivered() {
        let (_dir, store) = store();
        let alpha = store.source("alpha").unwrap();
        let page = |payloads: &[&str], cursor: &str| Page {
            payloads: payloads.iter().map(|text| text.as_bytes().into()).collect(),
            cursor: Cursor::from_text(cursor),
            ..Page::default()
        };
        let id = lane("eu");
        let mut lanes = open(&store);
        lanes[0].sink.accept(&id, &page(&["old"], "old")).unwrap();
        // It is stopped and opened again while something of it waits.
        let mut lanes = open(&store);
        let Lane { sink, ledger, .. } = &mut lanes[0];
        let ledger = ledger.as_ref().unwrap();
        assert_eq!(ledger.reached(), Some(Cursor::from_text("stored")));
        sink.accept(&id, &page(&["a", "b"], "1")).unwrap();
        sink.accept(&id, &page(&["c"], "2")).unwrap();
        sink.accept(&id, &page(&[], "3")).unwrap();
        for (next, cursor, is_open) in [
            (1, None, true),
            (2, None, true),
            (3, None, true),
            (4, Some("1"), true),
            (5, Some("3"), false),
        ] {
            store.advance(alpha, "out", &Position::at(next)).unwrap();
            assert_eq!(ledger.is_open(), is_open, "{next}");
            assert_eq!(ledger.reached(), cursor.map(Cursor::from_text), "{next}");
        }
        // Nothing of it is on disk.
        let stored = store.stored_cursor("alpha", "eu").unwrap();
        assert_eq!(stored.as_deref(), Some("stored"));
    }

    /// A collector that follows a script: each step adds to its status and says what comes next.
    #[derive(Debug)]
    struct Scripted {
        id: LaneId,
        status: LaneStatus,
        progress: Progress,
        script: fn(u32, &mut LaneStatus) -> Option<i64>,
        steps: u32,
    }

    impl Collector for Scripted {
        fn id(&self) -> &LaneId {
            &self.id
        }

        fn step(&mut self, clock: &dyn Clock, _sink: &mut dyn Sink) -> Step {
            self.steps += 1;
            assert!(self.steps < 100_000, "it has no end");
            match (self.script)(self.steps, &mut self.status) {
                Some(seconds) => Step::Wait(clock.now() + TimeDelta::seconds(seconds)),
                None => Step::Again,
            }
        }

        fn status(&self) -> &LaneStatus {
            &self.status
        }

        fn progress(&self) -> Progress {
            match self.status.rounds {
                0 => self.progress.clone(),
                _ => Progress::CaughtUp,
            }
        }
    }

    /// Runs a script with a patience of a hundred seconds: how it ended, and after how many seconds.
    fn run_once(
        progress: Progress,
        script: fn(u32, &mut LaneStatus) -> Option<i64>,
    ) -> (LaneEnd, i64) {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path(), Limits::default()).unwrap());
        let source = store.source("alpha").unwrap();
        let clock = Arc::new(VirtualClock::new(now()));
        let (board, id) = (Board::default(), lane("eu"));
        board.begin_lanes("alpha", std::slice::from_ref(&id), now());
        let lane = Lane {
            collector: Box::new(Scripted {
                id,
                status: LaneStatus::default(),
                progress,
                script,
                steps: 0,
            }),
            sink: StoreSink::new(store, source, clock.clone()),
            ledger: None,
        };
        let patience = Some(TimeDelta::seconds(100));
        let end = lane.run(&*clock, &Stop::new(), patience, &board);
        (end, (clock.now() - now()).num_seconds())
    }

    #[test]
    fn a_lane_that_gets_no_further_is_given_up_after_its_patience() {
        let (end, seconds) = run_once(Progress::Behind, |_, status| {
            "no connection".clone_into(&mut status.message);
            Some(7)
        });
        let LaneEnd::Behind(reason) = end else {
            panic!("{end:?}")
        };
        assert!(reason.starts_with("no connection; "), "{reason}");
        assert!(seconds < 100, "{seconds}");
    }

    #[test]
    fn a_lane_that_would_try_again_too_late_is_given_up_at_once() {
        let (end, seconds) = run_once(Progress::Behind, |_, _| Some(480));
        let LaneEnd::Behind(reason) = end else {
            panic!("{end:?}")
        };
        assert!(reason.contains("in 480 s"), "{reason}");
        assert_eq!(seconds, 0);
    }

    #[test]
    fn a_lane_that_gets_on_is_waited_for_however_long_it_takes() {
        let (end, seconds) = run_once(Progress::Behind, |step, status| {
            status.payloads += u64::from(step % 3 == 0);
            status.rounds += u64::from(step == 3000);
            Some(30)
        });
        assert_eq!(end, LaneEnd::CaughtUp);
        assert!(seconds > 80_000, "{seconds}");
    }

    #[test]
    fn a_lane_that_reads_the_same_again_and_again_comes_to_an_end_too() {
        // A result whose next page is always refused begins anew with each round.
        let (end, seconds) = run_once(Progress::Behind, |_, status| {
            status.payloads += 40;
            status.rounds_failed += 1;
            Some(60)
        });
        assert!(matches!(end, LaneEnd::Behind(_)), "{end:?}");
        assert!(seconds <= 100, "{seconds}");
    }

    #[test]
    fn what_no_waiting_helps_is_not_waited_for() {
        let blocked = Progress::Blocked("a byte is left".to_owned());
        let (end, seconds) = run_once(blocked, |_, _| Some(1));
        assert_eq!(end, LaneEnd::Behind("a byte is left".to_owned()));
        assert_eq!(seconds, 0);
    }

    #[test]
    fn events_have_the_time_of_the_machine_whichever_way_they_come_in() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path(), Limits::default()).unwrap());
        let source = store.source("alpha").unwrap();
        store.position(source, "file").unwrap();
        let clock = VirtualClock::new(now());
        clock.set(TimeDelta::days(1));
        let mut sink = StoreSink::new(Arc::clone(&store), source, Arc::new(clock));
        let page = Page {
            payloads: vec![b"an event".as_slice().into()],
            ..Page::default()
        };
        sink.accept(&lane("eu"), &page).unwrap();
        sink.accept_last(&lane("eu"), &page).unwrap();
        let batch = store.read(source, 1, usize::MAX, usize::MAX).unwrap();
        let received: Vec<_> = batch.iter().map(|event| event.received).collect();
        assert_eq!(received, [now() + TimeDelta::days(1); 2]);
    }
}
