//! The thread that takes part in a group.

use super::{GroupOptions, GroupStatus, Shares};
use chrono::{DateTime, TimeDelta, Utc};
use protocol::clock::{Clock, Stop};
use protocol::kafka::{Change, Connection, Member, Membership};
use protocol::status::State;
use std::collections::BTreeSet;
use std::time::Duration;
use tracing::{info, warn};

/// How long the group is listened to at a time. As often are positions published.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long the next process is kept waiting for a share until what was fetched is delivered.
const HANDOVER: TimeDelta = TimeDelta::seconds(30);

/// How long to wait after positions could not be read.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

struct Part<'a> {
    options: &'a GroupOptions,
    shares: &'a Shares,
    member: Member,
    /// Partitions that are ours and whose positions are not read.
    unread: BTreeSet<u32>,
    read_again: Option<DateTime<Utc>>,
    handover: Option<Handover>,
}

/// Partitions that another process is to have.
struct Handover {
    partitions: BTreeSet<u32>,
    until: DateTime<Utc>,
}

/// Takes part until it is told to stop.
pub(super) fn run(
    options: &GroupOptions,
    connection: Connection,
    shares: &Shares,
    clock: &dyn Clock,
    stop: &Stop,
) {
    let mut part = Part {
        options,
        shares,
        member: Member::new(Membership {
            connection,
            group: options.name.clone(),
            topic: options.topic.clone(),
            partitions: options.partitions,
            session_timeout: options.session_timeout,
        }),
        unread: BTreeSet::new(),
        read_again: None,
        handover: None,
    };
    while !stop.is_set() {
        part.step(clock.now());
        part.tell();
    }
    part.publish();
    part.member.flush();
    part.member.leave();
}

impl Part<'_> {
    fn step(&mut self, now: DateTime<Utc>) {
        for change in self.member.poll(PATIENCE, now) {
            self.changed(change, now);
        }
        self.read(now);
        // What is not published when a share is quiet is not published at all, so this is looked at first.
        let is_done = self.handover.as_ref().is_some_and(|handover| {
            self.shares.are_left(&handover.partitions) || now >= handover.until
        });
        self.publish();
        if is_done && let Some(handover) = self.handover.take() {
            self.hand_over(&handover.partitions);
        }
    }

    fn changed(&mut self, change: Change, now: DateTime<Utc>) {
        match change {
            Change::Assigned(partitions) => {
                self.unread.extend(partitions);
                self.read_again = None;
            }
            Change::Revoked(partitions) => {
                self.unread
                    .retain(|partition| !partitions.contains(partition));
                self.shares.leave(&partitions);
                let handover = self.handover.get_or_insert_with(|| Handover {
                    partitions: BTreeSet::new(),
                    until: now + HANDOVER,
                });
                handover.partitions.extend(partitions);
            }
            Change::Lost(partitions) => {
                if !partitions.is_empty() {
                    warn!(
                        group = self.options.name,
                        "the group has gone on without this process, which stops collecting for it"
                    );
                }
                self.unread
                    .retain(|partition| !partitions.contains(partition));
                self.shares.remove(&partitions);
                self.handover = None;
            }
        }
    }

    /// Reads the positions of partitions that have become ours; before that nothing can collect for them.
    fn read(&mut self, now: DateTime<Utc>) {
        if self.unread.is_empty() || self.read_again.is_some_and(|at| now < at) {
            return;
        }
        let Some(positions) = self.member.positions(now) else {
            self.read_again = Some(now + PAUSE);
            return;
        };
        let partitions = std::mem::take(&mut self.unread);
        info!(
            group = self.options.name,
            "{} more partitions of the topic {} are of this process",
            partitions.len(),
            self.options.topic
        );
        self.shares
            .begin(&partitions, self.member.size(), positions);
    }

    fn publish(&mut self) {
        for (lane, cursor, partition) in self.shares.take_outbox() {
            self.member.publish(&lane, &cursor, partition);
        }
    }

    fn hand_over(&mut self, partitions: &BTreeSet<u32>) {
        if !self.shares.are_left(partitions) {
            warn!(
                group = self.options.name,
                "log sources are handed over although not everything is delivered that was fetched: it is fetched again"
            );
        }
        self.member.flush();
        self.shares.remove(partitions);
        self.member.give_up(partitions);
    }

    /// Says how it is doing.
    fn tell(&self) {
        let (state, message, remedy) = match self.member.fault() {
            Some(fault) => (
                fault.state,
                fault.message.clone(),
                Some(fault.remedy.clone()),
            ),
            None => self.progress(),
        };
        self.shares.set_status(GroupStatus {
            name: self.options.name.clone(),
            state,
            message,
            remedy,
        });
    }

    fn progress(&self) -> (State, String, Option<String>) {
        let (ours, size) = (self.shares.count(), self.member.size());
        if size == 0 {
            return (State::NotAvailable, "joining".to_owned(), None);
        }
        let message = format!("{ours} of {size} partitions of {}", self.options.topic);
        (State::Ok, message, None)
    }
}
