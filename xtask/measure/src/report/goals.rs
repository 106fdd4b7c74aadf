//! Which goals are met.

use super::{Measured, Memory, Report};
use serde::{Deserialize, Serialize};

/// A number to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// What it is about.
    pub name: String,
    /// The number.
    pub wanted: f64,
    /// Which side of it is the good one.
    pub bound: Bound,
    /// What was found.
    pub found: Option<f64>,
    /// Whether it is met.
    pub verdict: Verdict,
    /// Anything that must be said about it.
    pub note: String,
}

/// Which side of a number is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// As much or more.
    AtLeast,
    /// As much or less.
    AtMost,
}

/// Whether a goal is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    NotMet,
    /// There is no number.
    NotMeasured,
}

impl Verdict {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "NOT MET",
            Self::NotMeasured => "not measured",
        }
    }
}

/// The whole path on one core, by corpus.
const RATIOS: [(&str, f64); 3] = [
    ("siem alerts", 1.6),
    ("graph alerts", 2.0),
    ("streaming records", 2.0),
];
/// Two cores to one.
const TWO_CORES: f64 = 1.8;
/// Peak memory with an input twenty times as large, to that with the small one. Allocators are not exact to the byte.
const MEMORY: f64 = 1.15;

impl Goal {
    /// Marks a goal by the number that was found.
    pub fn mark(name: impl Into<String>, bound: Bound, wanted: f64, found: Option<f64>) -> Self {
        let verdict = match (found, bound) {
            (None, _) => Verdict::NotMeasured,
            (Some(found), Bound::AtLeast) if found >= wanted => Verdict::Met,
            (Some(found), Bound::AtMost) if found <= wanted => Verdict::Met,
            (Some(_), _) => Verdict::NotMet,
        };
        Self {
            name: name.into(),
            wanted,
            bound,
            found,
            verdict,
            note: String::new(),
        }
    }

    fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Report {
    /// Marks the goals by what was measured.
    pub fn mark_goals(&mut self) {
        let ratio = |corpus: &str| {
            let mut rows = self.stages.iter();
            let row = rows.find(|row| row.corpus == corpus && row.stage == "whole");
            row.map(|row| (row.ratio, row.best))
        };
        let mut goals: Vec<Goal> = RATIOS
            .into_iter()
            .map(|(corpus, wanted)| {
                let name = format!("{corpus}, whole path, one core");
                let found = ratio(corpus);
                let goal = Goal::mark(
                    name,
                    Bound::AtLeast,
                    wanted,
                    found.map(|(median, _)| median),
                );
                match found {
                    Some((_, best)) => goal.with_note(format!("fastest samples {best:.2}")),
                    None => goal,
                }
            })
            .collect();
        goals.push(self.goal_of_threads());
        goals.push(self.goal_of_memory());
        self.goals = goals;
    }

    fn goal_of_threads(&self) -> Goal {
        let name = "two cores to one, order kept";
        let goal = |found| Goal::mark(name, Bound::AtLeast, TWO_CORES, found);
        match &self.threads {
            Measured::NotMeasured { reason } => goal(None).with_note(reason),
            Measured::Measured(threads) if threads.same_output => {
                let machine = threads.machine;
                goal(Some(threads.ratio)).with_note(format!(
                    "same output; two programs side by side gain {machine:.2}"
                ))
            }
            Measured::Measured(threads) => Goal {
                verdict: Verdict::NotMet,
                ..goal(Some(threads.ratio)).with_note("the outputs differ")
            },
        }
    }

    fn goal_of_memory(&self) -> Goal {
        let name = "peak memory, twenty times the input";
        let ratio = |memory: &Memory| memory.large_peak as f64 / memory.small_peak.max(1) as f64;
        let goal = Goal::mark(name, Bound::AtMost, MEMORY, self.memory.get().map(ratio));
        match &self.memory {
            Measured::NotMeasured { reason } => goal.with_note(reason),
            Measured::Measured(_) => goal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Threads;
    use crate::report::tests::report;

    fn verdicts(report: &Report) -> Vec<Verdict> {
        report.goals.iter().map(|goal| goal.verdict).collect()
    }

    #[test]
    fn goals_are_marked_by_the_whole_path_and_what_is_missing_is_not_met_silently() {
        use Verdict::{Met, NotMeasured, NotMet};
        let mut report = report();
        assert_eq!(
            verdicts(&report),
            [Met, NotMet, NotMeasured, NotMeasured, NotMet]
        );
        assert_eq!(report.goals[3].note, "no option --threads");
        report.memory = Measured::Measured(Memory {
            small_bytes: 1,
            large_bytes: 20,
            small_peak: 100,
            large_peak: 115,
        });
        let threads = |ratio, same_output| {
            Measured::Measured(Threads {
                bytes: 1,
                one: 1.0,
                two: 1.0 / ratio,
                ratio,
                machine: 1.9,
                same_output,
            })
        };
        for (found, verdict) in [
            (threads(1.8, true), Met),
            (threads(1.79, true), NotMet),
            (threads(1.9, false), NotMet),
        ] {
            report.threads = found;
            report.mark_goals();
            assert_eq!(
                verdicts(&report)[3..],
                [verdict, Met],
                "{:?}",
                report.threads
            );
        }
    }
}
