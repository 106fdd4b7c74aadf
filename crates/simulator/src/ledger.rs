//! The simulator's own account: which alerts there were, and what became of them.

use crate::scenario::Service;
use crate::stamp::Stamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// One version of an alert that was shown to those who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Record {
    /// See [`key_of`](crate::key_of).
    pub key: String,
    /// The interface that serves it.
    pub service: Service,
    /// The region; empty for all but the SIEM API.
    pub region: String,
    /// Its time stamp.
    pub updated: Stamp,
    /// Since when it is shown.
    pub visible: Stamp,
    /// Since when a newer version stands in its place.
    pub superseded: Option<Stamp>,
    /// In how many responses it was that were sent to their end.
    pub served: u32,
}

/// All alerts that were shown up to a point in time.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// In the order in which they were made, feed after feed.
    pub records: Vec<Record>,
    /// When the account was made.
    pub at: Option<Stamp>,
}

/// The ledger beside what a collector delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Alerts that had to be delivered.
    pub expected: usize,
    /// Those of them that were not. A version that was replaced before anybody asked is not missed.
    pub missing: Vec<String>,
    /// Alerts that were delivered more than once, with the number of deliveries.
    pub repeated: Vec<(String, u32)>,
    /// What was delivered though no response ever held it.
    pub unknown: Vec<String>,
}

impl Comparison {
    /// Whether everything was delivered, once, and nothing else.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.repeated.is_empty() && self.unknown.is_empty()
    }

    /// How many deliveries were too many.
    pub fn repeats(&self) -> u32 {
        self.repeated.iter().map(|(_, times)| times - 1).sum()
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} expected, {} missing, {} repeated, {} unknown",
            self.expected,
            self.missing.len(),
            self.repeats(),
            self.unknown.len()
        )?;
        let some = |keys: &mut dyn Iterator<Item = &String>| {
            keys.take(3).cloned().collect::<Vec<_>>().join(" ")
        };
        for (title, keys) in [
            ("missing", some(&mut self.missing.iter())),
            (
                "repeated",
                some(&mut self.repeated.iter().map(|(key, _)| key)),
            ),
            ("unknown", some(&mut self.unknown.iter())),
        ] {
            if !keys.is_empty() {
                write!(f, "; {title}: {keys}")?;
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// Compares with the keys of what was delivered, in any order.
    pub fn compare<I>(&self, delivered: I) -> Comparison
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for key in delivered {
            *counts.entry(key.into()).or_default() += 1;
        }
        let mut comparison = Comparison::default();
        for record in &self.records {
            let times = counts.remove(&record.key).unwrap_or(0);
            if record.superseded.is_none() || record.served > 0 {
                comparison.expected += 1;
                if times == 0 {
                    comparison.missing.push(record.key.clone());
                }
            }
            if times > 1 {
                comparison.repeated.push((record.key.clone(), times));
            }
        }
        comparison.unknown = counts.into_keys().collect();
        comparison
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, superseded: bool, served: u32) -> Record {
        let at = Stamp::parse("2026-03-02T08:00:00Z").unwrap();
        Record {
            key: key.to_owned(),
            service: Service::Graph,
            region: String::new(),
            updated: at,
            visible: at,
            superseded: superseded.then_some(at),
            served,
        }
    }

    #[test]
    fn missing_repeated_and_unknown_alerts_are_told_apart() {
        let ledger = Ledger {
            records: vec![
                record("a", false, 1),
                record("b", false, 0),
                record("c", false, 2),
                record("replaced-unseen", true, 0),
                record("replaced-seen", true, 1),
            ],
            at: None,
        };
        let comparison = ledger.compare(["a", "c", "c", "c", "x"]);
        assert_eq!(comparison.expected, 4);
        assert_eq!(comparison.missing, ["b", "replaced-seen"]);
        assert_eq!(comparison.repeated, [("c".to_owned(), 3)]);
        assert_eq!(comparison.repeats(), 2);
        assert_eq!(comparison.unknown, ["x"]);
        assert!(!comparison.is_exact());
        assert!(ledger.compare(["a", "b", "c", "replaced-seen"]).is_exact());
    }
}
