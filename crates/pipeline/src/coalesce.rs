//! Coalescing: equal events within ten seconds become one record with a count.
//!
//! Two events are equal if they have the same QID, source IP, destination IP, destination port and user name. The first
//! three within a window are delivered as they are. From the fourth on they are folded: the first folded event is
//! delivered with the number of folded events when the window is over. Then the next window begins with the next event.
//!
//! Time is the time of receipt, so the same spool always gives the same records, whenever it is delivered. What is
//! pending is a part of the position ([`crate::store::Position`]): after a crash it goes on where it was.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a window is.
pub const WINDOW: TimeDelta = TimeDelta::seconds(10);
/// How many equal events are delivered as they are.
pub const SINGLE: u64 = 3;
/// How many windows may be open; further keys are delivered as they are. It bounds the size of the position.
pub const MAX_WINDOWS: usize = 4096;

/// The window of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    /// When it began, in milliseconds.
    began: i64,
    /// How many events there were, the single ones included.
    seen: u64,
    /// The sequence of the first folded event.
    folded: Option<u64>,
}

impl Window {
    /// Whether it is over at a time. It is too where it would begin much later: the clock was set back meanwhile, and
    /// nobody should have to wait until it is there again.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        let age = now.timestamp_millis().saturating_sub(self.began);
        age.saturating_abs() >= WINDOW.num_milliseconds()
    }
}

/// A record that stands for several events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The first of the folded events, whose payload the record has.
    pub sequence: u64,
    /// How many events it stands for.
    pub count: u64,
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is delivered as it is.
    Single,
    /// It is counted in a record that comes later.
    Folded,
}

/// The windows of one log source and destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coalescer {
    windows: BTreeMap<String, Window>,
}

/// The stored state cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the coalescing state of a position cannot be read: {0}")]
pub struct StateError(#[from] serde_json::Error);

impl Coalescer {
    /// Goes on from a stored state; an empty text is a new one.
    ///
    /// # Errors
    /// The text is not a state.
    pub fn from_state(state: &str) -> Result<Self, StateError> {
        if state.is_empty() {
            return Ok(Self::default());
        }
        Ok(serde_json::from_str(state)?)
    }

    /// The state to store; empty if no window is open.
    pub fn to_state(&self) -> String {
        if self.windows.is_empty() {
            return String::new();
        }
        // A map of texts and numbers does not fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes an event. Windows that are over by its time of receipt have to be closed first, with [`Self::close`].
    pub fn take(&mut self, key: &str, sequence: u64, received: DateTime<Utc>) -> Fate {
        if let Some(window) = self.windows.get_mut(key) {
            window.seen += 1;
            if window.seen <= SINGLE {
                return Fate::Single;
            }
            window.folded.get_or_insert(sequence);
            return Fate::Folded;
        }
        if self.windows.len() < MAX_WINDOWS {
            let window = Window {
                began: received.timestamp_millis(),
                seen: 1,
                folded: None,
            };
            self.windows.insert(key.to_owned(), window);
        }
        Fate::Single
    }

    /// Closes the windows that are over at a time, and returns their records in the order of their events.
    pub fn close(&mut self, now: DateTime<Utc>) -> Vec<Folded> {
        self.close_where(|window| window.is_over(now))
    }

    /// Closes all windows, because delivery ends.
    pub fn close_all(&mut self) -> Vec<Folded> {
        self.close_where(|_| true)
    }

    fn close_where(&mut self, over: impl Fn(&Window) -> bool) -> Vec<Folded> {
        let mut records = Vec::new();
        self.windows.retain(|_, window| {
            let over = over(window);
            if over && let Some(sequence) = window.folded {
                records.push(Folded {
                    sequence,
                    count: window.seen - SINGLE,
                });
            }
            !over
        });
        records.sort_unstable_by_key(|record| record.sequence);
        records
    }

    /// Whether a window would be closed at a time.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.windows.values().any(|window| window.is_over(now))
    }

    /// When the next window is over.
    pub fn next_close(&self) -> Option<DateTime<Utc>> {
        let began = self.windows.values().map(|window| window.began).min()?;
        DateTime::from_timestamp_millis(began).map(|began| began + WINDOW)
    }

    /// The first event that is still needed for a record.
    pub fn first_pending(&self) -> Option<u64> {
        self.windows
            .values()
            .filter_map(|window| window.folded)
            .min()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_790_000_000_000 + millis).unwrap()
    }

    /// Feeds events of one key, one after the other, and returns how many came out singly, and the records.
    fn run(times: &[i64]) -> (u64, Vec<Folded>) {
        let mut coalescer = Coalescer::default();
        let (mut single, mut records) = (0, Vec::new());
        for (sequence, time) in (1..).zip(times) {
            records.extend(coalescer.close(at(*time)));
            // A crash in between changes nothing.
            coalescer = Coalescer::from_state(&coalescer.to_state()).unwrap();
            if coalescer.take("k", sequence, at(*time)) == Fate::Single {
                single += 1;
            }
        }
        records.extend(coalescer.close_all());
        (single, records)
    }

    #[test]
    fn three_events_pass_and_the_rest_of_the_window_is_one_record() {
        // 1,005 equal events within ten seconds: IBM's example.
        let times: Vec<i64> = (0..1005).map(|n| n * 9).collect();
        assert_eq!(
            run(&times),
            (
                3,
                vec![Folded {
                    sequence: 4,
                    count: 1002
                }]
            )
        );
    }

    #[test]
    fn after_the_window_the_cycle_begins_again() {
        assert_eq!(
            run(&[0, 1, 2, 3, 9_999, 10_000, 10_001, 10_002, 10_003]),
            (
                6,
                vec![
                    Folded {
                        sequence: 4,
                        count: 2
                    },
                    Folded {
                        sequence: 9,
                        count: 1
                    }
                ]
            )
        );
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_windows_and_a_small_step_back_does_not() {
        let hour = 3_600_000;
        let (single, records) = run(&[hour, hour, hour, hour, hour - 500, 0, 1, 2, 3]);
        let counts: Vec<(u64, u64)> = records.iter().map(|r| (r.sequence, r.count)).collect();
        assert_eq!((single, counts), (6, vec![(4, 2), (9, 1)]));
        // Nothing is held back for longer than two windows, however far the clock was set.
        let mut coalescer = Coalescer::default();
        for sequence in 1..=4 {
            coalescer.take("k", sequence, at(hour));
        }
        assert_eq!(coalescer.close(at(hour - 9_999)), []);
        assert_eq!(coalescer.close(at(hour - 10_000)).len(), 1);
    }

    #[test]
    fn rare_events_pass_unchanged() {
        assert_eq!(run(&[0, 5_000, 9_000, 12_000, 20_000]), (5, vec![]));
    }

    #[test]
    fn keys_do_not_count_for_each_other_and_records_come_in_the_order_of_events() {
        let mut coalescer = Coalescer::default();
        let keys = ["b", "a"];
        for sequence in 1..=10_u64 {
            let key = keys[usize::try_from(sequence).unwrap() % 2];
            coalescer.take(key, sequence, at(0));
        }
        assert_eq!(coalescer.first_pending(), Some(7));
        assert_eq!(coalescer.next_close(), Some(at(10_000)));
        assert!(!coalescer.is_due(at(9_999)));
        assert_eq!(
            coalescer.close(at(10_000)),
            [
                Folded {
                    sequence: 7,
                    count: 2
                },
                Folded {
                    sequence: 8,
                    count: 2
                }
            ]
        );
        assert!(coalescer.is_empty());
        assert_eq!(coalescer.to_state(), "");
    }

    #[test]
    fn the_number_of_windows_is_bounded_and_nothing_is_held_back_beyond_it() {
        let mut coalescer = Coalescer::default();
        for n in 0..2 * MAX_WINDOWS as u64 {
            for _ in 0..5 {
                let fate = coalescer.take(&format!("user {n}"), n, at(0));
                assert!(fate == Fate::Single || n < MAX_WINDOWS as u64);
            }
        }
        assert_eq!(coalescer.close_all().len(), MAX_WINDOWS);
    }

    #[test]
    fn a_state_that_is_none_is_an_error() {
        assert!(Coalescer::from_state("{").is_err());
    }
}
