//! Which offsets may be committed: those before which everything has been delivered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) number: i32,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.topic, self.number)
    }
}

/// The offsets of a lane, on their way from read to committed. An offset is that of the next record to read.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// What each accepted page that is not delivered reaches up to.
    pages: VecDeque<BTreeMap<Partition, i64>>,
    /// How many pages were delivered before these.
    delivered: u64,
    /// What is delivered and not committed.
    ready: BTreeMap<Partition, i64>,
    /// What of each delivered page is not committed, and how many pages were committed before these.
    uncommitted: VecDeque<BTreeMap<Partition, i64>>,
    acknowledged: u64,
}

impl Offsets {
    /// The sink has accepted a page that reaches up to these offsets.
    pub(super) fn accepted(&mut self, page: BTreeMap<Partition, i64>) {
        self.pages.push_back(page);
    }

    /// So many pages have been delivered, of all that were ever accepted.
    pub(super) fn delivered(&mut self, pages: u64) {
        while self.delivered < pages
            && let Some(page) = self.pages.pop_front()
        {
            self.delivered += 1;
            for (partition, next) in &page {
                raise(&mut self.ready, partition.clone(), *next);
            }
            self.uncommitted.push_back(page);
        }
        self.acknowledge();
    }

    /// What can be committed. It only ever grows while a partition is ours.
    pub(super) fn ready(&self) -> &BTreeMap<Partition, i64> {
        &self.ready
    }

    /// The broker has confirmed an offset.
    pub(super) fn committed(&mut self, partition: &Partition, next: i64) {
        if self
            .ready
            .get(partition)
            .is_some_and(|ready| *ready <= next)
        {
            self.ready.remove(partition);
        }
        for page in &mut self.uncommitted {
            if page.get(partition).is_some_and(|behind| *behind <= next) {
                page.remove(partition);
            }
        }
        self.acknowledge();
    }

    /// How many pages, of all that were ever accepted, do not come again: all that is ours of them is committed.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    fn acknowledge(&mut self) {
        let whole = self.uncommitted.iter().take_while(|page| page.is_empty());
        let whole = whole.count();
        self.uncommitted.drain(..whole);
        self.acknowledged += whole as u64;
    }

    /// Whether anything of these partitions still has to be delivered or committed.
    pub(super) fn is_open(&self, partitions: &BTreeSet<Partition>) -> bool {
        let has = |offsets: &BTreeMap<Partition, i64>| {
            offsets
                .keys()
                .any(|partition| partitions.contains(partition))
        };
        has(&self.ready) || self.pages.iter().any(has)
    }

    /// Whether anything still has to be delivered or committed.
    pub(super) fn has_open(&self) -> bool {
        !self.ready.is_empty() || self.pages.iter().any(|page| !page.is_empty())
    }

    /// How many accepted pages are not delivered.
    pub(super) fn undelivered(&self) -> usize {
        self.pages.len()
    }

    /// These partitions are no longer ours: whatever is delivered of them from now on must not be committed, because
    /// another member may be further.
    pub(super) fn forget(&mut self, partitions: &BTreeSet<Partition>) {
        for page in self.pages.iter_mut().chain(&mut self.uncommitted) {
            page.retain(|partition, _| !partitions.contains(partition));
        }
        self.acknowledge();
        self.ready
            .retain(|partition, _| !partitions.contains(partition));
    }
}

/// Offsets never go backwards.
fn raise(offsets: &mut BTreeMap<Partition, i64>, partition: Partition, next: i64) {
    let offset = offsets.entry(partition).or_insert(next);
    *offset = next.max(*offset);
}

/// Partitions as people read them: `alerts 0-3, 7; logs 1`. No more than so many ranges are shown.
pub(super) fn ranges<'a>(
    partitions: impl Iterator<Item = &'a Partition>,
    at_most: usize,
) -> String {
    let mut ranges: Vec<(&Partition, i32)> = Vec::new();
    for partition in partitions {
        match ranges.last_mut() {
            Some((first, last))
                if first.topic == partition.topic && last.saturating_add(1) == partition.number =>
            {
                *last = partition.number;
            }
            _ => ranges.push((partition, partition.number)),
        }
    }
    let mut text = String::new();
    let mut topic = None;
    for (first, last) in ranges.iter().take(at_most) {
        if topic == Some(&first.topic) {
            text.push_str(", ");
        } else {
            if topic.is_some() {
                text.push_str("; ");
            }
            text.push_str(&first.topic);
            text.push(' ');
        }
        topic = Some(&first.topic);
        text.push_str(&first.number.to_string());
        if *last > first.number {
            text.push_str(&format!("-{last}"));
        }
    }
    if ranges.len() > at_most {
        text.push_str(", …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partition(number: i32) -> Partition {
        Partition {
            topic: "alerts".into(),
            number,
        }
    }

    fn page(offsets: &[(i32, i64)]) -> BTreeMap<Partition, i64> {
        offsets
            .iter()
            .map(|(number, next)| (partition(*number), *next))
            .collect()
    }

    fn set(numbers: &[i32]) -> BTreeSet<Partition> {
        numbers.iter().map(|number| partition(*number)).collect()
    }

    #[test]
    fn an_offset_is_ready_once_its_page_and_all_before_it_are_delivered() {
        let mut offsets = Offsets::default();
        offsets.accepted(page(&[(0, 10), (1, 5)]));
        offsets.accepted(page(&[(0, 20)]));
        offsets.delivered(0);
        assert!(offsets.ready().is_empty());
        offsets.delivered(1);
        assert_eq!(*offsets.ready(), page(&[(0, 10), (1, 5)]));
        offsets.committed(&partition(0), 10);
        assert_eq!(*offsets.ready(), page(&[(1, 5)]));
        offsets.delivered(u64::MAX);
        assert_eq!(*offsets.ready(), page(&[(0, 20), (1, 5)]));
    }

    #[test]
    fn a_commit_that_comes_late_does_not_take_back_what_was_delivered_since() {
        let mut offsets = Offsets::default();
        offsets.accepted(page(&[(0, 10)]));
        offsets.delivered(1);
        offsets.accepted(page(&[(0, 20)]));
        offsets.delivered(2);
        offsets.committed(&partition(0), 10);
        assert_eq!(*offsets.ready(), page(&[(0, 20)]));
    }

    #[test]
    fn a_page_is_acknowledged_when_all_that_is_still_ours_of_it_and_before_it_is_committed() {
        let mut offsets = Offsets::default();
        offsets.accepted(page(&[(0, 10), (1, 5)]));
        offsets.accepted(page(&[(0, 20)]));
        offsets.accepted(page(&[(0, 30)]));
        offsets.committed(&partition(0), 30);
        assert_eq!(offsets.acknowledged(), 0, "it is not delivered");
        offsets.delivered(2);
        assert_eq!(offsets.acknowledged(), 0);
        offsets.committed(&partition(0), 20);
        assert_eq!(offsets.acknowledged(), 0, "partition 1 is missing");
        offsets.forget(&set(&[1]));
        assert_eq!(offsets.acknowledged(), 2);
        offsets.delivered(3);
        offsets.committed(&partition(0), 29);
        assert_eq!(offsets.acknowledged(), 2);
        offsets.committed(&partition(0), 30);
        assert_eq!(offsets.acknowledged(), 3);
    }

    #[test]
    fn what_was_given_up_is_not_committed_when_it_is_delivered_later() {
        let mut offsets = Offsets::default();
        offsets.accepted(page(&[(0, 10), (1, 10)]));
        offsets.accepted(page(&[(0, 20)]));
        assert!(offsets.is_open(&set(&[0])));
        offsets.forget(&set(&[0]));
        assert!(!offsets.is_open(&set(&[0])));
        assert!(offsets.is_open(&set(&[1])));
        // The partition comes back, at an offset that another member has committed.
        offsets.accepted(page(&[(0, 120)]));
        offsets.delivered(2);
        assert_eq!(*offsets.ready(), page(&[(1, 10)]));
        offsets.delivered(3);
        assert_eq!(*offsets.ready(), page(&[(0, 120), (1, 10)]));
    }

    #[test]
    fn partitions_are_shown_as_ranges() {
        let logs = Partition {
            topic: "logs".into(),
            number: 3,
        };
        let all = [0, 1, 2, 5, 7, 8].map(partition);
        assert_eq!(
            ranges(all.iter().chain([&logs]), 9),
            "alerts 0-2, 5, 7-8; logs 3"
        );
        assert_eq!(ranges(all.iter(), 2), "alerts 0-2, 5, …");
        assert_eq!(ranges([].into_iter(), 2), "");
    }

    proptest! {
        /// Pages are accepted, delivered and committed in any order, and partitions come and go: what is committed is
        /// never ahead of what is delivered, and never goes backwards while a partition stays.
        #[test]
        fn nothing_is_committed_before_it_is_delivered(
            steps in prop::collection::vec((0_u8..5, 0_i32..3), 1..60),
        ) {
            let mut offsets = Offsets::default();
            let mut accepted: Vec<BTreeMap<Partition, i64>> = Vec::new();
            let mut delivered = 0_u64;
            let mut next = [0_i64; 3];
            let mut floor = [0_i64; 3];
            for (step, number) in steps {
                let index = usize::try_from(number).unwrap();
                match step {
                    0 | 1 => {
                        next[index] += 7;
                        let page = page(&[(number, next[index])]);
                        accepted.push(page.clone());
                        offsets.accepted(page);
                    }
                    2 => {
                        delivered = (delivered + 1).min(accepted.len() as u64);
                        offsets.delivered(delivered);
                    }
                    3 => {
                        for (partition, offset) in offsets.ready().clone() {
                            let index = usize::try_from(partition.number).unwrap();
                            let reached = accepted[..usize::try_from(delivered).unwrap()]
                                .iter()
                                .filter_map(|page| page.get(&partition))
                                .max();
                            prop_assert!(reached.is_some_and(|reached| offset <= *reached));
                            prop_assert!(offset >= floor[index]);
                            floor[index] = offset;
                            offsets.committed(&partition, offset);
                        }
                        prop_assert!(offsets.ready().is_empty());
                    }
                    _ => {
                        offsets.forget(&set(&[number]));
                        prop_assert!(!offsets.is_open(&set(&[number])));
                    }
                }
            }
        }
    }
}
