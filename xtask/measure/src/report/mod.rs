//! What was measured: as data, as JSON, as tables, and which goals are met.

mod goals;
mod table;

pub use goals::{Bound, Goal, Verdict};
pub use table::splice;
pub(super) use table::{aligned, aligned_numbers, grouped};

use super::pair::Summary;
use serde::{Deserialize, Serialize};

/// Everything that a run of `cargo xtask bench` measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format.
    pub format: u32,
    /// Seed of the payloads.
    pub seed: u64,
    /// Whether the run was a short one.
    pub quick: bool,
    /// Where it ran.
    pub machine: Machine,
    /// The engine, by corpus and stage.
    pub stages: Vec<StageRow>,
    /// How cost grows.
    pub growth: Vec<Curve>,
    /// One thread and two.
    pub threads: Measured<Threads>,
    /// The largest amount of memory at a time.
    pub memory: Measured<Memory>,
    /// Other programs; nobody asked where this is empty.
    pub peers: Vec<Peer>,
    /// The goals, with what was found.
    pub goals: Vec<Goal>,
}

/// What the process that drives the engine hands over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// By corpus and stage.
    pub stages: Vec<StageRow>,
    /// How cost grows.
    pub growth: Vec<Curve>,
}

/// Where a run took place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// What the processor calls itself.
    pub processor: String,
    /// How many threads can run at a time.
    pub cores: usize,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            processor: model
                .map_or("unknown processor", |(_, name)| name)
                .trim()
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// A result, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured<T> {
    /// It was measured.
    Measured(T),
    /// It was not.
    NotMeasured {
        /// Why.
        reason: String,
    },
}

impl<T> Measured<T> {
    /// No result.
    pub fn not(reason: impl Into<String>) -> Self {
        Self::NotMeasured {
            reason: reason.into(),
        }
    }

    fn get(&self) -> Option<&T> {
        match self {
            Self::Measured(value) => Some(value),
            Self::NotMeasured { .. } => None,
        }
    }
}

/// A corpus and a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRow {
    /// Name of the corpus.
    pub corpus: String,
    /// Name of the stage.
    pub stage: String,
    /// Payloads in the corpus.
    pub payloads: usize,
    /// How many of them are mapped.
    pub mapped: usize,
    /// Bytes of a payload, on average.
    pub bytes_each: usize,
    /// Whether the measure is the parse of the same bytes; else it is that of as many bytes of SIEM alerts.
    pub same_bytes: bool,
    /// Payloads in a second.
    pub events_per_second: f64,
    /// Bytes in a second.
    pub bytes_per_second: f64,
    /// Bytes in a second of the plain parse.
    pub plain_bytes_per_second: f64,
    /// Median of the ratios of the samples: above 1 the engine is faster than the plain parse.
    pub ratio: f64,
    /// A quarter of the samples is below.
    pub lower_quartile: f64,
    /// A quarter of the samples is above.
    pub upper_quartile: f64,
    /// The ratio of the fastest sample of each side.
    pub best: f64,
}

impl StageRow {
    /// A row without figures.
    pub fn new(
        corpus: &super::corpus::Corpus,
        stage: &str,
        mapped: usize,
        summary: &Summary,
    ) -> Self {
        Self {
            corpus: corpus.name.to_owned(),
            stage: stage.to_owned(),
            payloads: corpus.payloads.len(),
            mapped,
            bytes_each: corpus.bytes() / corpus.payloads.len().max(1),
            same_bytes: corpus.comparable,
            events_per_second: summary.ours.payloads_per_second(),
            bytes_per_second: summary.ours.bytes_per_second(),
            plain_bytes_per_second: summary.plain.bytes_per_second(),
            ratio: summary.ratio,
            lower_quartile: summary.lower_quartile,
            upper_quartile: summary.upper_quartile,
            best: summary.best,
        }
    }
}

/// How the cost of something grows with something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name of the picture: kebab-case.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What is varied, with its unit.
    pub x: String,
    /// What is measured: a time.
    pub y: String,
    /// The lines in it.
    pub series: Vec<Series>,
}

/// A line of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// The points, by ascending x; y is in microseconds.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// How cost grows from the first point to the last: 1 is in proportion to x, 0 not at all.
    pub fn exponent(&self) -> Option<f64> {
        let ((x0, y0), (x1, y1)) = (self.points.first()?, self.points.last()?);
        let steps = (x1 / x0).ln();
        (steps > 0.0).then(|| (y1 / y0).ln() / steps)
    }
}

/// `dsmith parse` over one file, with one thread and with two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threads {
    /// Bytes of the file.
    pub bytes: u64,
    /// Seconds with one thread, start of the program included: the fastest round.
    pub one: f64,
    /// Seconds with two threads: the fastest round.
    pub two: f64,
    /// One to two.
    pub ratio: f64,
    /// One to two programs side by side, each with one thread and half of the file: what two cores of this machine gain
    /// where nothing is shared.
    pub machine: f64,
    /// Whether both wrote the same bytes in the same order.
    pub same_output: bool,
}

/// `dsmith parse` over a small and a large file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes of the small file.
    pub small_bytes: u64,
    /// Bytes of the large one.
    pub large_bytes: u64,
    /// The most memory that the program had in use at a time, in bytes, with the small file.
    pub small_peak: u64,
    /// The same with the large one.
    pub large_peak: u64,
}

/// Another program at the same job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name and version.
    pub name: String,
    /// Name of the corpus.
    pub corpus: String,
    /// Payloads in a second and ratio to the plain parse.
    pub result: Measured<(f64, f64)>,
    /// What it does not do of the job, or does otherwise.
    pub lacks: String,
}

impl Report {
    /// The report as JSON.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn row(corpus: &str, stage: &str, ratio: f64) -> StageRow {
        StageRow {
            corpus: corpus.to_owned(),
            stage: stage.to_owned(),
            payloads: 4,
            mapped: 3,
            bytes_each: 2_000,
            same_bytes: stage != "framing",
            events_per_second: 1_234_567.0,
            bytes_per_second: 3e8,
            plain_bytes_per_second: 2e8,
            ratio,
            lower_quartile: ratio,
            upper_quartile: ratio,
            best: ratio,
        }
    }

    /// A report of which everything is known but two cores.
    pub(super) fn report() -> Report {
        let mut report = Report {
            format: 1,
            seed: 7,
            quick: true,
            machine: Machine::default(),
            stages: vec![
                row("siem alerts", "leef", 9.0),
                row("siem alerts", "whole", 1.6),
                row("graph alerts", "whole", 1.99),
            ],
            growth: vec![Curve {
                id: "payload-size".to_owned(),
                title: "Cost of an event".to_owned(),
                x: "BYTES".to_owned(),
                y: "time".to_owned(),
                series: vec![Series {
                    name: "dsmith".to_owned(),
                    points: vec![(1_000.0, 2.0), (100_000.0, 200.0)],
                }],
            }],
            threads: Measured::not("no option --threads"),
            memory: Measured::Measured(Memory {
                small_bytes: 1,
                large_bytes: 20,
                small_peak: 100,
                large_peak: 116,
            }),
            peers: Vec::new(),
            goals: Vec::new(),
        };
        report.mark_goals();
        report
    }

    #[test]
    fn json_says_what_the_tables_say_and_is_read_back_the_same() {
        let report = report();
        let json = report.json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["format"], 1);
        assert_eq!(value["stages"][1]["corpus"], "siem alerts");
        assert_eq!(value["stages"][1]["ratio"], 1.6);
        assert_eq!(
            value["threads"]["not_measured"]["reason"],
            "no option --threads"
        );
        assert_eq!(value["memory"]["measured"]["large_peak"], 116);
        assert_eq!(value["growth"][0]["series"][0]["points"][1][1], 200.0);
        assert_eq!(value["goals"][0]["verdict"], "met");
        assert_eq!(value["goals"][1]["verdict"], "not_met");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
