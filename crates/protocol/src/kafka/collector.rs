//! A member of a consumer group.
//!
//! Each step polls, because who does not poll is put out of the group: with a full sink too, when all partitions are
//! paused. What was read goes to the sink page by page, and what the sink has delivered is committed. A partition that
//! somebody else is to have is given up when all that was read of it is delivered and committed, or after a while:
//! what was not delivered by then the other member reads again.

use super::batch::{Batch, Record};
use super::client;
use super::context::{Context, Event, give_up, list};
use super::fault::{Fault, Subject};
use super::health::Health;
use super::offsets::{Offsets, Partition, ranges};
use super::progress::{Progress, Standing};
use super::stats::Stats;
use super::{Reading, Topics};
use crate::clock::Clock;
use crate::source::{Collector, LaneId, Sink, Step};
use crate::status::{LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How long one step waits for records.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long one step waits while the sink is full.
const FULL_PATIENCE: Duration = Duration::from_millis(50);

/// How often offsets are committed at most, and how often while there is no room for what is not committed. Event Hubs
/// takes four commits of a partition in a second.
const COMMIT: TimeDelta = TimeDelta::seconds(1);
const FULL_COMMIT: TimeDelta = TimeDelta::milliseconds(250);

/// How long is waited for the answer what is committed, while there is no room.
const COMMITTED_PATIENCE: Duration = Duration::from_millis(100);

/// How long a partition is held back from the next member until what was read of it is delivered.
const HANDOVER: TimeDelta = TimeDelta::seconds(30);

/// How long closing waits for that.
const GOODBYE: Duration = Duration::from_secs(10);

/// How long to wait after a client could not be made.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

/// How long is waited for the answer whether a topic is there.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Most ranges of partitions in a message.
const MAX_RANGES: usize = 12;

/// Reads from brokers.
pub(super) struct KafkaCollector {
    reading: Reading,
    id: LaneId,
    consumer: Option<BaseConsumer<Context>>,
    /// The partitions that are ours.
    assigned: BTreeSet<Partition>,
    /// Whether the group has ever given us any partitions, or told that there are none.
    joined: bool,
    handover: Option<Handover>,
    batch: Batch,
    offsets: Offsets,
    /// The offsets that the broker was last asked to commit, and when.
    asked: BTreeMap<Partition, i64>,
    asked_at: Option<DateTime<Utc>>,
    /// Whether the partitions are paused, because the sink is full.
    paused: bool,
    stats: Stats,
    /// Whether it only waits for what was read to be delivered.
    closing: bool,
    /// Whether something was read since the statistics.
    read_since: bool,
    health: Health,
    progress: Progress,
    /// Up to where partitions were ever read, by whatever client.
    furthest: BTreeMap<Partition, i64>,
    /// Whether something was read since the last look at the progress, and whether it was new or all is known to be read up.
    read: bool,
    moved: bool,
    status: LaneStatus,
}

/// Partitions that somebody else is to have.
#[derive(Debug)]
struct Handover {
    partitions: BTreeSet<Partition>,
    until: DateTime<Utc>,
}

impl fmt::Debug for KafkaCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaCollector")
            .field("id", &self.id)
            .field("reading", &self.reading)
            .field("assigned", &self.assigned)
            .finish_non_exhaustive()
    }
}

impl KafkaCollector {
    pub(super) fn new(reading: Reading, id: LaneId) -> Self {
        Self {
            reading,
            id,
            consumer: None,
            assigned: BTreeSet::new(),
            joined: false,
            handover: None,
            batch: Batch::default(),
            offsets: Offsets::default(),
            asked: BTreeMap::new(),
            asked_at: None,
            paused: false,
            stats: Stats::default(),
            closing: false,
            read_since: false,
            health: Health::default(),
            progress: Progress::default(),
            furthest: BTreeMap::new(),
            read: false,
            moved: false,
            status: LaneStatus::default(),
        }
    }

    fn next(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> Step {
        if self.consumer.is_none() && !self.connect(now) {
            return Step::Wait(now + PAUSE);
        }
        if self.batch.is_empty() && self.paused {
            // What the sink had no room for somebody else reads now.
            self.set_paused(false);
            self.status.paused = false;
        }
        let is_refused = !self.batch.is_empty() && !self.offer(now, sink);
        self.poll(if is_refused { FULL_PATIENCE } else { PATIENCE }, now);
        let has_read_all = self.settle(now, sink);
        if !self.batch.is_empty() && !is_refused {
            self.offer(now, sink);
        }
        self.look_at_progress(now);
        self.tell(now);
        if has_read_all && self.batch.is_empty() {
            self.status.rounds += 1;
            self.status.last_success = Some(now);
            return Step::Wait(now);
        }
        match self.health.fault() {
            Some(fault) if fault.state == State::Error => Step::Wait(now),
            _ => Step::Again,
        }
    }

    /// Makes a client and joins the group.
    fn connect(&mut self, now: DateTime<Utc>) -> bool {
        let fault = match self.subscribe() {
            Ok(consumer) => {
                info!(lane = %self.id, group = self.reading.group, "joining the group");
                self.consumer = Some(consumer);
                self.health.clear(&[Subject::Client], &mut self.status);
                return true;
            }
            Err(fault) => fault,
        };
        self.status.rounds_failed += 1;
        self.blame(fault, now);
        self.tell(now);
        false
    }

    fn subscribe(&self) -> Result<BaseConsumer<Context>, Fault> {
        let consumer = client::consumer(&self.reading)?;
        let topics: Vec<&str> = match &self.reading.topics {
            Topics::List(topics) => topics.iter().map(String::as_str).collect(),
            Topics::Pattern(pattern) => vec![pattern],
        };
        consumer
            .subscribe(&topics)
            .map_err(|error| Fault::of_settings(&error, self.reading.connection.secrets()))?;
        Ok(consumer)
    }

    /// Reads what there is, up to a page, after waiting for the first record.
    fn poll(&mut self, patience: Duration, now: DateTime<Utc>) {
        let Some(consumer) = &self.consumer else {
            return;
        };
        let mut patience = patience;
        let mut damaged = None;
        loop {
            match consumer.poll(patience) {
                None => break,
                Some(Ok(record)) => {
                    self.read_since = true;
                    self.read = true;
                    // What was read before a partition was lost goes, and what is read of it from now on stays: it may be
                    // ours again already.
                    if let Some(lost) = consumer.context().take_lost() {
                        self.batch.remove(&lost);
                    }
                    let is_leaving = self.handover.as_ref().is_some_and(|handover| {
                        handover.partitions.iter().any(|partition| {
                            partition.number == record.partition()
                                && &*partition.topic == record.topic()
                        })
                    });
                    // The next member reads it.
                    if is_leaving {
                        continue;
                    }
                    let record = Record {
                        topic: record.topic(),
                        partition: record.partition(),
                        offset: record.offset(),
                        body: record.payload().unwrap_or_default(),
                        time: record
                            .timestamp()
                            .to_millis()
                            .and_then(DateTime::from_timestamp_millis),
                    };
                    self.batch.take(&record, &self.reading.form);
                }
                Some(Err(error)) => {
                    // Errors of the client as a whole were noted already, with what the broker says.
                    if let KafkaError::MessageConsumption(code)
                    | KafkaError::MessageConsumptionFatal(code) = error
                    {
                        damaged = consumer.context().fault(code, "").or(damaged);
                    }
                }
            }
            // Whoever hands partitions over must not first read on.
            if self.batch.is_full() || self.paused {
                break;
            }
            patience = Duration::ZERO;
        }
        if let Some(lost) = consumer.context().take_lost() {
            self.batch.remove(&lost);
        }
        if let Some(fault) = damaged
            && !self.health.is_about(&[fault.subject])
        {
            self.blame(fault, now);
        }
    }

    /// Deals with what has happened, commits what was delivered, and gives up what is to be given up. Tells whether
    /// everything was read that there was.
    fn settle(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> bool {
        let events = self
            .consumer
            .as_ref()
            .map(|consumer| consumer.context().take())
            .unwrap_or_default();
        let mut has_read_all = false;
        for event in events {
            match event {
                Event::Assigned(partitions) => self.assigned(partitions),
                Event::Revoked(partitions) => self.revoked(partitions, now, sink),
                Event::Lost(partitions) => {
                    warn!(
                        lane = %self.id,
                        "the group has gone on without this process: {} lost",
                        ranges(partitions.iter(), MAX_RANGES)
                    );
                    // What was read of them is gone from the page already.
                    self.forget_offsets(&partitions);
                }
                Event::PutOut => self.put_out(),
                Event::Fault(fault) => self.blame(fault, now),
                Event::Stats(stats) => has_read_all = self.measured(stats, now),
                // It writes nothing.
                Event::Written | Event::Unwritten => {}
            }
        }
        self.offsets.delivered(sink.delivered(&self.id));
        self.commit(now);
        self.look_at_commits();
        sink.acknowledged(&self.id, self.offsets.acknowledged());
        self.hand_over(now);
        if self.health.is_about(&[Subject::Client]) && self.consumer.is_some() {
            self.disconnect();
        }
        has_read_all
    }

    fn assigned(&mut self, partitions: BTreeSet<Partition>) {
        self.joined = true;
        if !partitions.is_empty() {
            info!(lane = %self.id, "reading {}", ranges(partitions.iter(), MAX_RANGES));
            self.health.clear(&[Subject::Group], &mut self.status);
            // Whether a topic of a list is still missing is looked at apart.
            if matches!(self.reading.topics, Topics::Pattern(_)) {
                self.health.clear(&[Subject::Topic], &mut self.status);
            }
        }
        if let Some(consumer) = &self.consumer {
            let list = list(&partitions);
            // A partition may come back as it was when it went.
            let result = if self.paused {
                consumer.pause(&list)
            } else {
                consumer.resume(&list)
            };
            log_failure(&result);
        }
        self.assigned.extend(partitions);
        self.read_since = true;
    }

    /// From here on nothing more of these partitions is taken in.
    fn revoked(
        &mut self,
        partitions: BTreeSet<Partition>,
        now: DateTime<Utc>,
        sink: &mut dyn Sink,
    ) {
        self.joined = true;
        info!(lane = %self.id, "handing over {}", ranges(partitions.iter(), MAX_RANGES));
        if let Some(consumer) = &self.consumer {
            log_failure(&consumer.pause(&list(&partitions)));
        }
        let handover = self.handover.get_or_insert_with(|| Handover {
            partitions: BTreeSet::new(),
            until: now + HANDOVER,
        });
        handover.partitions.extend(partitions);
        // What nobody has accepted yet the next member reads sooner than it would be delivered.
        let partitions = handover.partitions.clone();
        self.batch.remove(&partitions);
        sink.hasten(&self.id);
    }

    /// Gives partitions up once nothing of them is open, or it takes too long.
    fn hand_over(&mut self, now: DateTime<Utc>) {
        let (Some(handover), Some(consumer)) = (&self.handover, &self.consumer) else {
            return;
        };
        let is_open = self.offsets.is_open(&handover.partitions);
        if is_open && now < handover.until && !consumer.assignment_lost() {
            return;
        }
        if is_open {
            warn!(
                lane = %self.id,
                "{} are given up although {} pages are not delivered: what is in them is read again by others",
                ranges(handover.partitions.iter(), MAX_RANGES),
                self.offsets.undelivered()
            );
        }
        give_up(consumer, &list(&handover.partitions));
        if let Some(handover) = self.handover.take() {
            self.forget(&handover.partitions);
        }
    }

    /// The group has gone on without this process: nothing can be committed, so there is nothing to wait for.
    fn put_out(&mut self) {
        let (Some(handover), Some(consumer)) = (self.handover.take(), &self.consumer) else {
            return;
        };
        warn!(
            lane = %self.id,
            "the group has gone on without this process: {} lost",
            ranges(handover.partitions.iter(), MAX_RANGES)
        );
        give_up(consumer, &list(&handover.partitions));
        self.forget(&handover.partitions);
    }

    fn forget(&mut self, partitions: &BTreeSet<Partition>) {
        self.batch.remove(partitions);
        self.forget_offsets(partitions);
    }

    fn forget_offsets(&mut self, partitions: &BTreeSet<Partition>) {
        self.offsets.forget(partitions);
        self.assigned
            .retain(|partition| !partitions.contains(partition));
        if let Some(handover) = &mut self.handover {
            handover
                .partitions
                .retain(|partition| !partitions.contains(partition));
        }
    }

    /// Asks the broker to commit what is delivered. The statistics tell when it has; until then it is asked again.
    fn commit(&mut self, now: DateTime<Utc>) {
        let Some(consumer) = &self.consumer else {
            return;
        };
        let ready = self.offsets.ready();
        // Whoever waits for partitions waits for this.
        let is_urgent = (self.handover.is_some() || self.closing) && *ready != self.asked;
        let interval = if self.paused { FULL_COMMIT } else { COMMIT };
        let is_due = self
            .asked_at
            .is_none_or(|at| now - at >= interval || now < at);
        if ready.is_empty() || !(is_due || is_urgent) {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, next) in ready {
            let offset = Offset::Offset(*next);
            log_failure(&list.add_partition_offset(&partition.topic, partition.number, offset));
        }
        log_failure(&consumer.commit(&list, CommitMode::Async));
        self.asked.clone_from(ready);
        self.asked_at = Some(now);
    }

    /// Asks what is committed, where reading waits for it: the statistics tell it only once a second.
    fn look_at_commits(&mut self) {
        let Some(consumer) = &self.consumer else {
            return;
        };
        if !self.paused || self.offsets.ready().is_empty() {
            return;
        }
        let ready = list(self.offsets.ready().keys());
        let Ok(found) = consumer.committed_offsets(ready, COMMITTED_PATIENCE) else {
            return;
        };
        for found in found.elements() {
            if let Offset::Offset(next) = found.offset() {
                let partition = Partition {
                    topic: found.topic().into(),
                    number: found.partition(),
                };
                self.offsets.committed(&partition, next);
            }
        }
    }

    /// Offers what was read. Tells whether the sink has taken it.
    fn offer(&mut self, now: DateTime<Utc>, sink: &mut dyn Sink) -> bool {
        match sink.accept(&self.id, self.batch.page()) {
            Ok(()) => {
                let batch = std::mem::take(&mut self.batch);
                let offsets = batch.offsets();
                for (partition, next) in &offsets {
                    match self.furthest.get_mut(partition) {
                        Some(furthest) if *furthest >= *next => {}
                        Some(furthest) => {
                            *furthest = *next;
                            self.moved = true;
                        }
                        None => {
                            self.furthest.insert(partition.clone(), *next);
                            self.moved = true;
                        }
                    }
                }
                self.offsets.accepted(offsets);
                self.status.taken(batch.page(), now);
                if self.handover.is_some() {
                    sink.hasten(&self.id);
                }
                self.set_paused(false);
                true
            }
            Err(error) => {
                self.status.refused(&self.id, &error, now);
                self.set_paused(true);
                false
            }
        }
    }

    fn set_paused(&mut self, paused: bool) {
        if std::mem::replace(&mut self.paused, paused) == paused {
            return;
        }
        let Some(consumer) = &self.consumer else {
            return;
        };
        let leaving = self.handover.as_ref().map(|handover| &handover.partitions);
        let staying = self
            .assigned
            .iter()
            .filter(|partition| !leaving.is_some_and(|leaving| leaving.contains(*partition)));
        let list = list(staying);
        log_failure(&if paused {
            consumer.pause(&list)
        } else {
            consumer.resume(&list)
        });
    }

    /// Takes the statistics in, and tells whether everything was read that there was.
    fn measured(&mut self, stats: Stats, now: DateTime<Utc>) -> bool {
        // A group that does not form must not look like a connection that is still missing.
        if stats.is_up {
            self.health.clear(
                &[Subject::Connection, Subject::Tls, Subject::SignIn],
                &mut self.status,
            );
        }
        self.health.age(&mut self.status, now);
        self.look_again(now);
        for (partition, next) in &stats.committed {
            self.offsets.committed(partition, *next);
        }
        let is_quiet = !std::mem::take(&mut self.read_since);
        let is_at_end = |partition| stats.behind.get(partition) == Some(&0);
        let has_read_all = is_quiet
            && stats.is_steady
            && self.joined
            && self.handover.is_none()
            && (self.health.fault().is_none() || self.health.is_about(&[Subject::Record]))
            && self.assigned.iter().all(is_at_end);
        self.moved |= stats.is_steady && self.joined && self.assigned.iter().all(is_at_end);
        self.stats = stats;
        has_read_all
    }

    /// Shows it where nothing gets on and nobody says why, and tries another client after a while.
    fn look_at_progress(&mut self, now: DateTime<Utc>) {
        let moved = std::mem::take(&mut self.moved);
        let read = std::mem::take(&mut self.read);
        if moved {
            self.progress.moved();
        }
        // A full sink, partitions that are handed over and faults are shown by themselves.
        if moved || read || self.paused || self.handover.is_some() || self.is_explained() {
            self.progress.excused();
            self.health.clear(&[Subject::Progress], &mut self.status);
            return;
        }
        // Another client would read again what is accepted and not committed.
        let (lasted, is_to_be_renewed) = match self.progress.look(now, !self.offsets.has_open()) {
            Standing::Fine => return,
            Standing::Still(lasted) => (lasted, false),
            Standing::Renew(lasted) => (lasted, true),
        };
        let group = &self.reading.group;
        let minutes = lasted.num_minutes();
        let message = if self.joined && self.stats.is_steady {
            let behind: i64 = self.stats.behind.values().sum();
            format!(
                "nothing was read for {minutes} minutes in the group {group}, although it has partitions; {behind} records \
                 are known to be there"
            )
        } else {
            format!("the group {group} has given this process no partitions for {minutes} minutes")
        };
        self.blame(
            Fault {
                subject: Subject::Progress,
                state: State::Error,
                message,
                remedy: "none needed if it passes: the process joins the group anew after 6 minutes, and then ever more \
                         rarely, but not while anything that was read is not delivered; else look at the members of the group, and at the broker that looks after it"
                    .to_owned(),
            },
            now,
        );
        if is_to_be_renewed {
            warn!(lane = %self.id, group = self.reading.group, "nothing gets on: joining the group anew");
            self.disconnect();
        }
    }

    /// Whether a fault tells why nothing is read.
    fn is_explained(&self) -> bool {
        self.health
            .fault()
            .is_some_and(|fault| match fault.subject {
                Subject::Progress | Subject::Record => false,
                // One of several brokers may be away, while others answer.
                Subject::Connection | Subject::Tls | Subject::SignIn => !self.stats.is_up,
                // It passes, and nobody says when.
                Subject::Group => fault.state != State::Warn,
                Subject::Topic | Subject::Client => true,
            })
    }

    /// Whether what is wrong is still so, where nobody says when it is over.
    fn look_again(&mut self, now: DateTime<Utc>) {
        let (Some(consumer), Topics::List(topics)) = (&self.consumer, &self.reading.topics) else {
            return;
        };
        let is_there = |topic: &String| {
            let found = consumer.fetch_metadata(Some(topic), LOOK_PATIENCE);
            found.is_ok_and(|metadata| {
                let mut topics = metadata.topics().iter();
                topics.any(|found| found.error().is_none() && found.name() == topic)
            })
        };
        if self.health.is_to_be_looked_at(Subject::Topic, now) && topics.iter().all(is_there) {
            self.health.clear(&[Subject::Topic], &mut self.status);
        }
    }

    fn blame(&mut self, fault: Fault, now: DateTime<Utc>) {
        self.health.blame(fault, &self.id, &mut self.status, now);
    }

    /// Says how it is doing.
    fn tell(&mut self, now: DateTime<Utc>) {
        if let Some(fault) = self.health.fault() {
            let remedy = Some(fault.remedy.clone());
            self.status
                .set(now, fault.state, fault.message.clone(), remedy);
            return;
        }
        // A full sink has said so itself.
        if self.paused {
            return;
        }
        let group = &self.reading.group;
        if !self.joined {
            let message = format!("joining the group {group}");
            self.status.set(now, State::NotAvailable, message, None);
            return;
        }
        let message = if self.assigned.is_empty() {
            format!("other members of the group {group} have all partitions: ready to take over")
        } else {
            self.progress()
        };
        self.status.set(now, State::Ok, message, None);
    }

    /// Which partitions are read, and how far.
    fn progress(&self) -> String {
        let topics: BTreeSet<&str> = self.assigned.iter().map(|one| &*one.topic).collect();
        let sizes = topics.iter().map(|topic| self.stats.sizes.get(*topic));
        let of = match sizes.sum::<Option<usize>>() {
            Some(all) => format!(" of {all}"),
            None => String::new(),
        };
        let behind = self.assigned.iter().map(|one| self.stats.behind.get(one));
        let behind = match behind.sum::<Option<i64>>() {
            Some(behind) => format!("; {behind} records behind"),
            None => String::new(),
        };
        format!(
            "reading {}{of} partitions in the group {}: {}{behind}",
            self.assigned.len(),
            self.reading.group,
            ranges(self.assigned.iter(), MAX_RANGES)
        )
    }

    /// Leaves the group. What was read and not delivered others read again.
    fn disconnect(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.context().leave();
            if let Some(handover) = self.handover.take() {
                give_up(&consumer, &list(&handover.partitions));
            }
            client::leave_with(consumer);
        }
        let all = std::mem::take(&mut self.assigned);
        self.forget(&all);
        self.batch = Batch::default();
        self.paused = false;
        self.joined = false;
        self.stats = Stats::default();
    }
}

impl Drop for KafkaCollector {
    /// A consumer that is dropped waits until it has given up its partitions, which is up to us.
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// For calls that fail only where the client itself is broken, which shows elsewhere.
fn log_failure(result: &Result<(), KafkaError>) {
    if let Err(error) = result {
        debug!("librdkafka refuses: {error}");
    }
}

impl Collector for KafkaCollector {
    fn id(&self) -> &LaneId {
        &self.id
    }

    fn step(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) -> Step {
        let step = self.next(clock.now(), sink);
        self.status.next_step = match step {
            Step::Again => Some(clock.now()),
            Step::Wait(until) => Some(until),
            Step::Finished => None,
        };
        step
    }

    fn status(&self) -> &LaneStatus {
        &self.status
    }

    fn close(&mut self, clock: &dyn Clock, sink: &mut dyn Sink) {
        if self.consumer.is_none() {
            return;
        }
        // What the sink has not taken is left to the next member; what it has taken is waited for.
        self.batch = Batch::default();
        self.set_paused(true);
        sink.hasten(&self.id);
        let all = self.assigned.clone();
        let begun = Instant::now();
        self.closing = true;
        while self.consumer.is_some() && self.offsets.is_open(&all) && begun.elapsed() < GOODBYE {
            self.poll(FULL_PATIENCE, clock.now());
            self.batch = Batch::default();
            self.settle(clock.now(), sink);
        }
        if self.offsets.is_open(&all) {
            warn!(
                lane = %self.id,
                "{} pages are not delivered: what is in them is read again",
                self.offsets.undelivered()
            );
        }
        self.disconnect();
    }
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
