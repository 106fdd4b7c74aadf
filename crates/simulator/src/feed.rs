//! When alerts appear, and who has seen them.

use crate::alert::{Made, Origin, View};
use crate::random::{Random, word};
use crate::scenario::{Feed, Service};
use crate::stamp::Stamp;
use std::time::Duration;

/// One version of an alert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    pub(crate) version: u8,
    pub(crate) updated: Stamp,
    /// From when on a query finds it; later than `updated` for late arrivals.
    pub(crate) visible: Stamp,
    /// From when on a newer version stands in its place.
    pub(crate) superseded: Option<Stamp>,
    /// In how many whole responses it was.
    pub(crate) served: u32,
}

impl Entry {
    pub(crate) fn is_shown_at(&self, now: Stamp) -> bool {
        self.visible <= now && self.superseded.is_none_or(|superseded| now < superseded)
    }

    pub(crate) fn made(&self, view: View) -> Made<'_> {
        Made {
            origin: &self.origin,
            version: self.version,
            updated: self.updated,
            view,
        }
    }

    pub(crate) fn key(&self, service: Service) -> String {
        self.made(View::default()).key(service)
    }
}

/// A feed at work.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) spec: Feed,
    seed: u64,
    start: Stamp,
    pub(crate) entries: Vec<Entry>,
    /// How many alerts were made, counted without their later versions.
    made: u64,
    /// How many of them after the schedule, not by [`Running::publish`].
    scheduled: u64,
    last: Option<Stamp>,
}

impl Running {
    pub(crate) fn new(spec: Feed, seed: u64, start: Stamp) -> Self {
        let seed = Random::new(&[seed, word(spec.service.name()), word(&spec.region)]).next_u64();
        Self {
            spec,
            seed,
            start,
            entries: Vec::new(),
            made: 0,
            scheduled: 0,
            last: None,
        }
    }

    /// Makes what the schedule has for the time up to now.
    pub(crate) fn advance(&mut self, now: Stamp) {
        while self.spec.limit.is_none_or(|limit| self.made < limit) {
            let Some(due) = self.due(self.scheduled) else {
                return;
            };
            if due > now {
                return;
            }
            self.scheduled += 1;
            self.make(due);
        }
    }

    /// Whether nothing more is going to be made.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.spec.limit.is_some_and(|limit| self.made >= limit)
            || self.due(self.scheduled).is_none()
    }

    /// Makes so many now, at the same time stamp.
    pub(crate) fn publish(&mut self, alerts: u64, now: Stamp) {
        for _ in 0..alerts {
            self.make(now);
        }
    }

    /// When the schedule has an alert, with some jitter that keeps the order.
    fn due(&self, number: u64) -> Option<Stamp> {
        let backlog = self.spec.backlog;
        let (from, step, place) = if number < backlog {
            let step = self.spec.backlog_over / u32::try_from(backlog).unwrap_or(u32::MAX);
            (self.start - self.spec.backlog_over, step, number)
        } else {
            let per_hour = u32::try_from(self.spec.per_hour).unwrap_or(u32::MAX);
            let step = Duration::from_secs(3600).checked_div(per_hour)?;
            (self.start, step, number - backlog)
        };
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Random::new(&[self.seed, word("due"), number]).below(step / 2);
        // The backlog ends before the start.
        Some(from + Duration::from_nanos(place.saturating_mul(step).saturating_add(jitter)))
    }

    fn make(&mut self, due: Stamp) {
        let mut random = Random::new(&[self.seed, word("made"), self.made]);
        let same_time = random.per_mille(self.spec.same_time_per_mille);
        let ready = match self.last {
            Some(last) if same_time => last,
            _ => due,
        };
        self.last = Some(ready);
        let most = u64::try_from(self.spec.late_by.as_nanos()).unwrap_or(u64::MAX);
        let late = if random.per_mille(self.spec.late_per_mille) {
            Duration::from_nanos(random.below(most))
        } else {
            Duration::ZERO
        };
        let can_change = self.spec.service != Service::SiemApi;
        let changes = can_change && random.per_mille(self.spec.changed_per_mille);
        let first = Entry {
            origin: Origin {
                seed: self.seed,
                number: self.made,
                ready,
            },
            version: 1,
            updated: ready,
            // Whatever time stamp it has, nobody sees it before it was made.
            visible: due + late,
            superseded: None,
            served: 0,
        };
        self.made += 1;
        let mut last = first;
        if changes {
            for version in 2..=self.spec.changed_times.saturating_add(1) {
                let after =
                    self.spec.changed_after + Duration::from_nanos(100 * random.below(10_000_000));
                let updated = last.updated.max(due) + after;
                let late = if random.per_mille(self.spec.late_per_mille) {
                    Duration::from_nanos(random.below(most))
                } else {
                    Duration::ZERO
                };
                let next = Entry {
                    version,
                    updated,
                    visible: (updated + late).max(last.visible),
                    ..first
                };
                last.superseded = Some(next.visible);
                self.entries.push(last);
                last = next;
            }
        }
        self.entries.push(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Stamp {
        Stamp::parse("2026-03-02T08:00:00Z").unwrap()
    }

    fn after(seconds: u64) -> Stamp {
        start() + Duration::from_secs(seconds)
    }

    #[test]
    fn the_backlog_is_there_at_the_start_and_lies_before_it() {
        let spec = Feed::siem("eu").backlog(500, Duration::from_secs(600));
        let mut feed = Running::new(spec, 1, start());
        feed.advance(start());
        assert_eq!(feed.entries.len(), 500);
        assert!(feed.is_exhausted());
        for entry in &feed.entries {
            assert!(entry.updated < start());
            assert!(entry.updated >= start() - Duration::from_secs(600));
            assert!(entry.is_shown_at(start()));
        }
    }

    #[test]
    fn alerts_appear_as_time_passes_and_end_at_the_limit() {
        let spec = Feed {
            per_hour: 3600,
            limit: Some(90),
            ..Feed::mde()
        };
        let mut feed = Running::new(spec, 1, start());
        // The jitter is at most half of the second between two.
        feed.advance(after(59) + Duration::from_millis(500));
        assert_eq!(feed.entries.len(), 60);
        assert!(!feed.is_exhausted());
        feed.advance(after(3600));
        assert_eq!(feed.entries.len(), 90);
        assert!(feed.is_exhausted());
    }

    #[test]
    fn steps_of_the_clock_do_not_change_what_is_made() {
        let spec = Feed {
            per_hour: 600,
            late_per_mille: 200,
            changed_per_mille: 100,
            ..Feed::graph().backlog(50, Duration::from_secs(60))
        };
        let run = |steps: &[u64]| {
            let mut feed = Running::new(spec.clone(), 9, start());
            for step in steps {
                feed.advance(after(*step));
            }
            format!("{:?}", feed.entries)
        };
        assert_eq!(run(&[900]), run(&[0, 1, 200, 201, 900]));
    }

    #[test]
    fn a_late_arrival_is_shown_after_its_time_stamp() {
        let spec = Feed {
            late_per_mille: 1000,
            late_by: Duration::from_secs(60),
            ..Feed::siem("eu")
        };
        let mut feed = Running::new(spec, 1, start());
        feed.publish(1, start());
        let entry = feed.entries[0];
        assert_eq!(entry.updated, start());
        assert!(!entry.is_shown_at(start()));
        assert!(entry.is_shown_at(after(60)));
    }

    #[test]
    fn a_changed_alert_takes_the_place_of_its_first_version() {
        let spec = Feed {
            changed_per_mille: 1000,
            ..Feed::graph()
        };
        let mut feed = Running::new(spec, 1, start());
        feed.publish(1, start());
        let [first, second] = feed.entries[..] else {
            panic!("two versions expected");
        };
        assert!(first.is_shown_at(start()) && !second.is_shown_at(start()));
        assert!(!first.is_shown_at(after(400)) && second.is_shown_at(after(400)));
        assert_ne!(first.key(Service::Graph), second.key(Service::Graph));
    }

    #[test]
    fn regions_have_alerts_of_their_own() {
        let keys = |region: &str| {
            let mut feed = Running::new(Feed::siem(region), 1, start());
            feed.publish(20, start());
            let keys: Vec<String> = feed
                .entries
                .iter()
                .map(|entry| entry.key(Service::SiemApi))
                .collect();
            keys
        };
        assert!(keys("eu").iter().all(|key| !keys("us").contains(key)));
    }
}
