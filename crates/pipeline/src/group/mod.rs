//! Processes that divide log sources among themselves.
//!
//! A broker does the dividing: each log source belongs to a partition of a topic, and the process that has the partition
//! collects for it. How far each lane has been delivered stands in the same topic, so that the next process goes on from
//! there. Nothing of such a log source is kept on disk: what one process has fetched and not delivered, the next one
//! fetches again.
//!
//! Two threads meet in `Shares`: the one that takes part in the group, and the one that looks after the threads that
//! collect. A share is handed over in this order: the group asks for it, collecting stops, what was fetched is delivered
//! or given up, the last positions are written, and then the group gets it.

mod ledger;
#[cfg(feature = "kafka")]
mod taking_part;

pub use ledger::Ledger;

use crate::destination::KafkaBrokers;
use protocol::clock::{Clock, Stop};
use protocol::kafka::{Positions, partition_of};
use protocol::secret::Secrets;
use protocol::status::State;
use protocol::{Cursor, LaneId, OpenError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long leaving a group may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Which group, and by what it divides log sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// The brokers.
    pub brokers: KafkaBrokers,
    /// The name of the consumer group.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// How many partitions the topic gets if it is made.
    pub partitions: u32,
    /// Milliseconds without a sign of life after which a process counts as dead.
    pub session_timeout: i64,
}

/// How the group is doing, as seen from this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// The state.
    pub state: State,
    /// What there is to say.
    pub message: String,
    /// What somebody can do about it.
    pub remedy: Option<String>,
}

/// Whose a log source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This process collects, since this assignment.
    Ours(u64),
    /// This process has collected since this assignment, and another one is to go on.
    Leaving(u64),
    /// Others collect, or nobody knows yet.
    Others,
}

/// The log sources of this process, and where their lanes are.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// How many partitions there are.
    size: u32,
    shares: BTreeMap<u32, Share>,
    assignments: u64,
    /// How far lanes have been delivered: as read with the last assignment, and what this process has reached since.
    positions: Positions,
    /// What is to be published.
    outbox: Positions,
    status: GroupStatus,
}

#[derive(Debug, Clone, Copy)]
struct Share {
    assignment: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ours,
    /// Another process is to have it.
    Leaving,
    /// Nothing collects for it any more.
    Left,
}

impl Held {
    fn share_of(&self, identifier: &str) -> Option<Share> {
        let partition = partition_of(identifier, self.size);
        self.shares.get(&partition).copied()
    }
}

impl Shares {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose a log source is.
    pub(crate) fn ownership(&self, identifier: &str) -> Ownership {
        match self.held().share_of(identifier) {
            Some(share) if share.stage == Stage::Ours => Ownership::Ours(share.assignment),
            Some(share) if share.stage == Stage::Leaving => Ownership::Leaving(share.assignment),
            _ => Ownership::Others,
        }
    }

    /// How far a lane has been delivered, by whatever process.
    pub(crate) fn position(&self, lane: &LaneId) -> Option<Cursor> {
        self.held().positions.get(lane).cloned()
    }

    /// A lane that collects since this assignment has been delivered up to a cursor.
    pub(crate) fn reached(&self, lane: &LaneId, assignment: u64, cursor: Cursor) {
        let mut held = self.held();
        // Somebody else may be further.
        let is_ours = held
            .share_of(&lane.log_source)
            .is_some_and(|share| share.assignment == assignment);
        if is_ours {
            held.positions.insert(lane.clone(), cursor.clone());
            held.outbox.insert(lane.clone(), cursor);
        }
    }

    /// Nothing collects any more for shares that are leaving, except for these log sources.
    pub(crate) fn quiet_except<'a>(&self, busy: impl Iterator<Item = &'a str>) {
        let mut held = self.held();
        let size = held.size;
        let busy: BTreeSet<u32> = busy
            .map(|identifier| partition_of(identifier, size))
            .collect();
        for (partition, share) in &mut held.shares {
            if share.stage == Stage::Leaving && !busy.contains(partition) {
                share.stage = Stage::Left;
            }
        }
    }

    /// How the group is doing.
    pub(crate) fn status(&self) -> GroupStatus {
        self.held().status.clone()
    }
}

/// What the thread that takes part in the group does with them.
#[cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "nothing takes part in a group without it")
)]
impl Shares {
    /// These partitions are ours from now on. The positions are those that were written by whoever had them.
    fn begin(&self, partitions: &BTreeSet<u32>, size: u32, read: Positions) {
        let mut held = self.held();
        held.assignments += 1;
        // What this process has reached since may not be written yet.
        let is_known = |lane: &LaneId| held.share_of(&lane.log_source).is_some();
        let mut positions: Positions = read
            .into_iter()
            .filter(|(lane, _)| !is_known(lane))
            .collect();
        let known = held.positions.iter();
        positions.extend(
            known
                .filter(|(lane, _)| is_known(lane))
                .map(|(lane, cursor)| (lane.clone(), cursor.clone())),
        );
        held.positions = positions;
        held.size = size;
        let share = Share {
            assignment: held.assignments,
            stage: Stage::Ours,
        };
        held.shares
            .extend(partitions.iter().map(|partition| (*partition, share)));
    }

    /// Other processes are to have these partitions.
    fn leave(&self, partitions: &BTreeSet<u32>) {
        let mut held = self.held();
        for (_, share) in held
            .shares
            .iter_mut()
            .filter(|(partition, _)| partitions.contains(partition))
        {
            share.stage = Stage::Leaving;
        }
    }

    /// Whether nothing collects for any of these partitions.
    fn are_left(&self, partitions: &BTreeSet<u32>) -> bool {
        let held = self.held();
        let mut shares = partitions
            .iter()
            .filter_map(|partition| held.shares.get(partition));
        shares.all(|share| share.stage == Stage::Left)
    }

    /// These partitions are no longer ours; what lanes of theirs reach from now on is of no interest.
    fn remove(&self, partitions: &BTreeSet<u32>) {
        let mut held = self.held();
        held.shares
            .retain(|partition, _| !partitions.contains(partition));
        let size = held.size;
        held.outbox
            .retain(|lane, _| !partitions.contains(&partition_of(&lane.log_source, size)));
    }

    /// There are so many partitions now. If there were others before, nothing is ours any more; which partitions were is
    /// returned.
    fn resized(&self, size: u32) -> BTreeSet<u32> {
        let mut held = self.held();
        if held.size == size || held.shares.is_empty() {
            return BTreeSet::new();
        }
        held.outbox.clear();
        let all = std::mem::take(&mut held.shares).into_iter();
        let ours = all.filter(|(_, share)| share.stage == Stage::Ours);
        ours.map(|(partition, _)| partition).collect()
    }

    /// Something of what was published was not written.
    fn publish_again(&self) {
        let mut held = self.held();
        let positions = held.positions.iter();
        let ours: Positions = positions
            .filter(|(lane, _)| held.share_of(&lane.log_source).is_some())
            .map(|(lane, cursor)| (lane.clone(), cursor.clone()))
            .collect();
        held.outbox = ours;
    }

    /// What is to be published since this was asked last, each with its partition.
    fn take_outbox(&self) -> Vec<(LaneId, Cursor, u32)> {
        let mut held = self.held();
        let outbox = std::mem::take(&mut held.outbox);
        let size = held.size;
        outbox
            .into_iter()
            .map(|(lane, cursor)| {
                let partition = partition_of(&lane.log_source, size);
                (lane, cursor, partition)
            })
            .collect()
    }

    /// How many partitions are ours.
    fn count(&self) -> usize {
        let held = self.held();
        let shares = held.shares.values();
        shares.filter(|share| share.stage == Stage::Ours).count()
    }

    fn set_status(&self, status: GroupStatus) {
        self.held().status = status;
    }
}

/// The thread that takes part in a group.
#[derive(Debug)]
pub(crate) struct TakingPart {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    pub(crate) shares: Arc<Shares>,
}

impl TakingPart {
    /// Begins. Joining takes a few seconds; what goes wrong then is in the status.
    ///
    /// # Errors
    /// The password cannot be had, or this program was built without the feature `kafka`.
    #[cfg(feature = "kafka")]
    pub(crate) fn begin(
        options: &GroupOptions,
        secrets: &dyn Secrets,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, GroupError> {
        let stop = Stop::new();
        let shares = Arc::new(Shares::default());
        let connection = options.brokers.connection(secrets)?;
        let (options, clock) = (options.clone(), Arc::clone(clock));
        let (told, shared) = (stop.clone(), Arc::clone(&shares));
        let thread = std::thread::Builder::new()
            .name("group".to_owned())
            .spawn(move || taking_part::run(&options, connection, &shared, &*clock, &told))
            .map_err(GroupError::Thread)?;
        Ok(Self {
            stop,
            thread: Some(thread),
            shares,
        })
    }

    /// Does not begin.
    ///
    /// # Errors
    /// This program was built without the feature `kafka`.
    #[cfg(not(feature = "kafka"))]
    pub(crate) fn begin(
        _options: &GroupOptions,
        _secrets: &dyn Secrets,
        _clock: &Arc<dyn Clock>,
    ) -> Result<Self, GroupError> {
        Err(OpenError::NotBuilt { feature: "kafka" }.into())
    }

    /// Whether the thread has ended although nobody wanted it to.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Writes the last positions and leaves the group. Where the brokers do not answer in time, others wait until this
    /// process is missed, and fetch again what was delivered last.
    pub(crate) fn end(&mut self) {
        self.stop.set();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let deadline = Instant::now() + GOODBYE;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        if thread.is_finished() {
            // What it had to say it has logged; others go on without this process.
            let _ = thread.join();
        }
    }
}

impl Drop for TakingPart {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process cannot take part in a group.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The settings cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system has no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 4;

    fn lane(log_source: &str) -> LaneId {
        LaneId {
            log_source: log_source.to_owned(),
            lane: "eu".to_owned(),
        }
    }

    fn cursor(text: &str) -> Cursor {
        Cursor::from_text(text)
    }

    fn of(identifier: &str) -> BTreeSet<u32> {
        [partition_of(identifier, SIZE)].into()
    }

    /// Two log sources that do not belong to the same partition.
    const FIRST: &str = "a";
    const SECOND: &str = "b";

    #[test]
    fn a_share_is_handed_over_when_nothing_collects_for_it_and_its_positions_are_taken() {
        assert_ne!(of(FIRST), of(SECOND));
        let shares = Shares::default();
        assert_eq!(shares.ownership(FIRST), Ownership::Others);
        let read = Positions::from([(lane(FIRST), cursor("1")), (lane(SECOND), cursor("1"))]);
        shares.begin(&of(FIRST), SIZE, read);
        assert_eq!(shares.ownership(FIRST), Ownership::Ours(1));
        assert_eq!(shares.ownership(SECOND), Ownership::Others);
        assert_eq!(shares.position(&lane(FIRST)), Some(cursor("1")));
        shares.quiet_except([].into_iter());
        assert_eq!(shares.ownership(FIRST), Ownership::Ours(1));
        shares.leave(&of(FIRST));
        assert_eq!(shares.ownership(FIRST), Ownership::Leaving(1));
        shares.quiet_except([FIRST].into_iter());
        assert!(!shares.are_left(&of(FIRST)));
        shares.reached(&lane(FIRST), 1, cursor("2"));
        shares.quiet_except([SECOND].into_iter());
        assert!(shares.are_left(&of(FIRST)));
        let partition = partition_of(FIRST, SIZE);
        assert_eq!(
            shares.take_outbox(),
            [(lane(FIRST), cursor("2"), partition)]
        );
        shares.remove(&of(FIRST));
        assert_eq!(shares.ownership(FIRST), Ownership::Others);
        assert_eq!(shares.take_outbox(), []);
    }

    #[test]
    fn what_is_reached_after_a_share_was_lost_is_not_published() {
        let shares = Shares::default();
        shares.begin(&of(FIRST), SIZE, Positions::new());
        shares.reached(&lane(FIRST), 1, cursor("1"));
        shares.remove(&of(FIRST));
        shares.reached(&lane(FIRST), 1, cursor("2"));
        assert_eq!(shares.take_outbox(), []);
        // It comes back, and a lane of the time before is still about.
        let read = Positions::from([(lane(FIRST), cursor("9"))]);
        shares.begin(&of(FIRST), SIZE, read);
        shares.reached(&lane(FIRST), 1, cursor("3"));
        assert_eq!(shares.take_outbox(), []);
        assert_eq!(shares.ownership(FIRST), Ownership::Ours(2));
        assert_eq!(shares.position(&lane(FIRST)), Some(cursor("9")));
    }

    #[test]
    fn a_further_share_does_not_set_back_those_that_are_ours() {
        let shares = Shares::default();
        let old = Positions::from([(lane(FIRST), cursor("1")), (lane(SECOND), cursor("1"))]);
        shares.begin(&of(FIRST), SIZE, old.clone());
        shares.reached(&lane(FIRST), 1, cursor("5"));
        let mut newer = old;
        newer.insert(lane(SECOND), cursor("7"));
        shares.begin(&of(SECOND), SIZE, newer);
        assert_eq!(shares.resized(SIZE), BTreeSet::new());
        assert_eq!(shares.ownership(FIRST), Ownership::Ours(1));
        assert_eq!(shares.ownership(SECOND), Ownership::Ours(2));
        assert_eq!(shares.position(&lane(FIRST)), Some(cursor("5")));
        assert_eq!(shares.position(&lane(SECOND)), Some(cursor("7")));
        assert_eq!(shares.count(), 2);
    }

    #[test]
    fn what_could_not_be_written_is_published_again_and_so_is_nothing_of_others() {
        let shares = Shares::default();
        let read = Positions::from([(lane(FIRST), cursor("1")), (lane(SECOND), cursor("1"))]);
        shares.begin(&of(FIRST), SIZE, read);
        shares.reached(&lane(FIRST), 1, cursor("2"));
        assert_eq!(shares.take_outbox().len(), 1);
        shares.publish_again();
        let partition = partition_of(FIRST, SIZE);
        assert_eq!(
            shares.take_outbox(),
            [(lane(FIRST), cursor("2"), partition)]
        );
    }

    #[test]
    fn with_another_number_of_partitions_everything_is_assigned_anew() {
        let shares = Shares::default();
        assert_eq!(shares.resized(SIZE), BTreeSet::new());
        shares.begin(&of(FIRST), SIZE, Positions::new());
        shares.reached(&lane(FIRST), 1, cursor("2"));
        assert_eq!(shares.resized(2 * SIZE), of(FIRST));
        assert_eq!(shares.ownership(FIRST), Ownership::Others);
        assert_eq!(shares.take_outbox(), []);
    }
}
