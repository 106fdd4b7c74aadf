//! What librdkafka says about itself once a second: who it is connected to, and how far behind it is.

use super::offsets::Partition;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The few of its statistics that we need.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// Whether a broker is connected, and has accepted who we are.
    pub(super) is_up: bool,
    /// Whether that is so and the group is at rest.
    pub(super) is_steady: bool,
    /// Whether the broker that looks after the group is connected.
    pub(super) is_coordinated: bool,
    /// How many partitions each topic has.
    pub(super) sizes: BTreeMap<Arc<str>, usize>,
    /// How many records are not read of each partition, where that is known.
    pub(super) behind: BTreeMap<Partition, i64>,
    /// What the group has committed of each partition, where that is known.
    pub(super) committed: BTreeMap<Partition, i64>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    brokers: BTreeMap<&'a str, Broker<'a>>,
    #[serde(borrow, default)]
    topics: BTreeMap<&'a str, Topic<'a>>,
    #[serde(borrow)]
    cgrp: Option<Group<'a>>,
}

#[derive(Deserialize)]
struct Broker<'a> {
    #[serde(borrow)]
    state: &'a str,
}

#[derive(Deserialize)]
struct Topic<'a> {
    #[serde(borrow, default)]
    partitions: BTreeMap<&'a str, Counters>,
}

#[derive(Deserialize)]
struct Group<'a> {
    #[serde(borrow)]
    join_state: &'a str,
    #[serde(borrow, default)]
    state: &'a str,
}

#[derive(Deserialize)]
struct Counters {
    partition: i32,
    #[serde(default)]
    unknown: bool,
    /// Records that were fetched and not given to us.
    fetchq_cnt: i64,
    /// Where the next request begins.
    next_offset: i64,
    /// The last record that was given to us, and one.
    app_offset: i64,
    /// The end for those who read what is committed.
    ls_offset: i64,
    /// The end for all others. Not every broker tells the other one.
    #[serde(default = "unknown")]
    hi_offset: i64,
    /// What the broker has confirmed.
    committed_offset: i64,
}

/// What librdkafka says where it does not know an offset.
const fn unknown() -> i64 {
    -1001
}

impl Counters {
    fn behind(&self) -> Option<i64> {
        let end = if self.ls_offset < 0 {
            self.hi_offset
        } else {
            self.ls_offset
        };
        if end < 0 {
            return None;
        }
        if self.app_offset >= 0 && self.app_offset < end {
            // What lies between may be no records, but the ends of transactions.
            let is_read = self.next_offset >= end && self.fetchq_cnt == 0;
            return Some(if is_read { 0 } else { end - self.app_offset });
        }
        if self.app_offset >= end {
            return Some(0);
        }
        (self.next_offset >= 0).then(|| (end - self.next_offset).max(0) + self.fetchq_cnt.max(0))
    }
}

impl Stats {
    /// Reads the statistics; nothing where they are not as they should be.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let raw: Raw<'_> = serde_json::from_slice(json).ok()?;
        let group = raw.cgrp.as_ref();
        let is_up = raw.brokers.values().any(|broker| broker.state == "UP");
        let mut stats = Self {
            is_up,
            is_steady: is_up && group.is_some_and(|group| group.join_state == "steady"),
            is_coordinated: group.is_some_and(|group| group.state == "up"),
            ..Self::default()
        };
        for (name, topic) in raw.topics {
            let name: Arc<str> = Arc::from(name);
            // The partition -1 stands for those that are not known yet.
            let known = topic
                .partitions
                .values()
                .filter(|counters| counters.partition >= 0 && !counters.unknown);
            let mut size = 0;
            for counters in known {
                size += 1;
                let partition = Partition {
                    topic: Arc::clone(&name),
                    number: counters.partition,
                };
                if let Some(behind) = counters.behind() {
                    stats.behind.insert(partition.clone(), behind);
                }
                if counters.committed_offset >= 0 {
                    stats.committed.insert(partition, counters.committed_offset);
                }
            }
            if size > 0 {
                stats.sizes.insert(name, size);
            }
        }
        Some(stats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_behind_by_what_it_has_not_been_given() {
        let counters = |next_offset, app_offset, ls_offset, fetchq_cnt| Counters {
            partition: 0,
            unknown: false,
            fetchq_cnt,
            next_offset,
            app_offset,
            ls_offset,
            hi_offset: unknown(),
            committed_offset: -1001,
        };
        // Nothing is known yet.
        assert_eq!(counters(-1001, -1001, -1001, 0).behind(), None);
        assert_eq!(counters(-1001, -1001, 10, 0).behind(), None);
        // An empty partition, and one of which all or nothing was read.
        assert_eq!(counters(0, -1001, 0, 0).behind(), Some(0));
        assert_eq!(counters(10, 10, 10, 0).behind(), Some(0));
        assert_eq!(counters(10, -1001, 10, 10).behind(), Some(10));
        assert_eq!(counters(4, -1001, 10, 4).behind(), Some(10));
        assert_eq!(counters(8, 4, 10, 4).behind(), Some(6));
        // The last offset is the end of a transaction.
        assert_eq!(counters(10, 9, 10, 0).behind(), Some(0));
        // A broker that does not tell where transactions end.
        let without = |next_offset, app_offset| Counters {
            hi_offset: 10,
            ..counters(next_offset, app_offset, -1, 0)
        };
        assert_eq!(without(10, 10).behind(), Some(0));
        assert_eq!(without(6, -1001).behind(), Some(4));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let json = br#"{"brokers":{"a":{"state":"UP","x":1}},"cgrp":{"state":"up","join_state":"steady"},
            "topics":{"t":{"topic":"t","partitions":{
            "0":{"partition":0,"fetchq_cnt":0,"next_offset":5,"app_offset":5,"ls_offset":7,"committed_offset":4,"unknown":false},
            "-1":{"partition":-1,"fetchq_cnt":0,"next_offset":-1001,"app_offset":-1001,"ls_offset":-1001,"committed_offset":-1001}}}}}"#;
        let stats = Stats::read(json).unwrap();
        assert!(stats.is_up && stats.is_steady);
        let joining =
            br#"{"brokers":{"a":{"state":"UP"}},"cgrp":{"state":"up","join_state":"wait-join"}}"#;
        let joining = Stats::read(joining).unwrap();
        assert!(joining.is_up && !joining.is_steady);
        assert_eq!(stats.sizes.values().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(stats.behind.values().copied().collect::<Vec<_>>(), [2]);
        assert_eq!(stats.committed.values().copied().collect::<Vec<_>>(), [4]);
        assert!(Stats::read(b"{").is_none());
        assert!(!Stats::read(b"{}").unwrap().is_steady);
    }
}
