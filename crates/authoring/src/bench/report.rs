//! What was measured, as tables and as JSON, and which goals are met.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use super::pair::Summary;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

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
    /// Seconds with one thread, start of the program included: median.
    pub one: f64,
    /// Seconds with two threads: median.
    pub two: f64,
    /// Median of the ratios of the rounds.
    pub ratio: f64,
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
    const fn text(self) -> &'static str {
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
            row.map(|row| row.ratio)
        };
        let mut goals: Vec<Goal> = RATIOS
            .into_iter()
            .map(|(corpus, wanted)| {
                let name = format!("{corpus}, whole path, one core");
                Goal::mark(name, Bound::AtLeast, wanted, ratio(corpus))
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
                goal(Some(threads.ratio)).with_note("same output")
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

    /// The report as JSON.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// All tables, each with its name, in the order in which they are shown.
    pub fn tables(&self) -> Vec<(&'static str, String)> {
        let mut tables = vec![
            ("stages", self.stage_table()),
            ("growth", self.growth_table()),
            ("processes", self.process_table()),
        ];
        if !self.peers.is_empty() {
            tables.push(("peers", self.peer_table()));
        }
        tables.push(("goals", self.goal_table()));
        tables
    }

    fn stage_table(&self) -> String {
        let mut rows = vec![
            [
                "CORPUS",
                "STAGE",
                "BYTES EACH",
                "MAPPED",
                "EVENTS/S",
                "MB/S",
                "PARSE MB/S",
                "RATIO",
                "QUARTILES",
            ]
            .map(str::to_owned),
        ];
        for row in &self.stages {
            let mark = if row.same_bytes { "" } else { " *" };
            rows.push([
                row.corpus.clone(),
                row.stage.clone(),
                grouped(row.bytes_each as f64),
                format!("{:.0} %", share(row.mapped, row.payloads)),
                grouped(row.events_per_second),
                grouped(row.bytes_per_second / 1e6),
                grouped(row.plain_bytes_per_second / 1e6),
                format!("{}{mark}", ratio(row.ratio)),
                format!(
                    "{} to {}",
                    ratio(row.lower_quartile),
                    ratio(row.upper_quartile)
                ),
            ]);
        }
        let mut out = aligned(&rows, &[2, 3, 4, 5, 6, 7]);
        out.push_str("RATIO: bytes in the same time, to a plain serde_json::Value parse of the same bytes, in turns; median of the samples\n");
        out.push_str("*: to the parse of as many bytes of SIEM alerts, because these are not JSON or the parse gives up on them\n");
        out
    }

    fn growth_table(&self) -> String {
        let mut out = String::new();
        for curve in &self.growth {
            let _ = writeln!(out, "{}: {} in µs", curve.title, curve.y);
            let mut rows = vec![vec![curve.x.clone()]];
            let xs: std::collections::BTreeSet<u64> = curve
                .series
                .iter()
                .flat_map(|series| series.points.iter().map(|(x, _)| *x as u64))
                .collect();
            rows[0].extend(xs.iter().map(|x| grouped(*x as f64)));
            rows[0].push("EXPONENT".to_owned());
            for series in &curve.series {
                let mut row = vec![series.name.clone()];
                for x in &xs {
                    let point = series.points.iter().find(|point| point.0 as u64 == *x);
                    row.push(point.map_or_else(|| "-".to_owned(), |point| significant(point.1)));
                }
                row.push(
                    series
                        .exponent()
                        .map_or_else(|| "-".to_owned(), |e| format!("{e:.2}")),
                );
                rows.push(row);
            }
            out.push_str(&aligned_vec(&rows));
            out.push('\n');
        }
        out.push_str(
            "EXPONENT: 1 is cost in proportion, 0 is no growth, from the first point to the last\n",
        );
        out
    }

    fn process_table(&self) -> String {
        let mut out = String::new();
        match &self.threads {
            Measured::Measured(t) => {
                let _ = writeln!(
                    out,
                    "dsmith parse, {} MB: {:.3} s with one thread, {:.3} s with two; output {}",
                    grouped(t.bytes as f64 / 1e6),
                    t.one,
                    t.two,
                    if t.same_output {
                        "the same"
                    } else {
                        "DIFFERENT"
                    }
                );
            }
            Measured::NotMeasured { reason } => {
                let _ = writeln!(
                    out,
                    "dsmith parse with one thread and two: not measured: {reason}"
                );
            }
        }
        match &self.memory {
            Measured::Measured(m) => {
                let _ = writeln!(
                    out,
                    "peak memory of dsmith parse: {:.1} MB with an input of {} MB, {:.1} MB with one of {} MB",
                    m.small_peak as f64 / 1e6,
                    grouped(m.small_bytes as f64 / 1e6),
                    m.large_peak as f64 / 1e6,
                    grouped(m.large_bytes as f64 / 1e6),
                );
            }
            Measured::NotMeasured { reason } => {
                let _ = writeln!(out, "peak memory of dsmith parse: not measured: {reason}");
            }
        }
        out
    }

    fn peer_table(&self) -> String {
        let mut rows =
            vec![["PEER", "CORPUS", "EVENTS/S", "RATIO", "DIFFERENCES"].map(str::to_owned)];
        for peer in &self.peers {
            let (rate, found, note) = match &peer.result {
                Measured::Measured((rate, found)) => {
                    (grouped(*rate), ratio(*found), peer.lacks.clone())
                }
                Measured::NotMeasured { reason } => {
                    ("-".to_owned(), "-".to_owned(), reason.clone())
                }
            };
            rows.push([peer.name.clone(), peer.corpus.clone(), rate, found, note]);
        }
        aligned(&rows, &[2, 3])
    }

    fn goal_table(&self) -> String {
        let mut rows = vec![["GOAL", "WANTED", "FOUND", "", ""].map(str::to_owned)];
        for goal in &self.goals {
            let sign = match goal.bound {
                Bound::AtLeast => "at least",
                Bound::AtMost => "at most",
            };
            rows.push([
                goal.name.clone(),
                format!("{sign} {}", ratio(goal.wanted)),
                goal.found.map_or_else(|| "-".to_owned(), ratio),
                goal.verdict.text().to_owned(),
                goal.note.clone(),
            ]);
        }
        aligned(&rows, &[2]) + "all snapshots identical: cargo xtask validate tells\n"
    }
}

/// Puts text between the marks of a block of a document; `None` where the document has no such block.
pub fn splice(document: &str, block: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- measured: {block} -->\n");
    let end = format!("<!-- end of {block} -->");
    let start = document.find(&begin)? + begin.len();
    let stop = start + document[start..].find(&end)?;
    Some(format!(
        "{}```text\n{text}```\n{}",
        &document[..start],
        &document[stop..]
    ))
}

fn share(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Two decimals where they say something.
fn ratio(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// Three significant digits.
fn significant(value: f64) -> String {
    match value {
        v if v >= 100.0 => grouped(v),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A whole number with commas.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub(super) fn aligned<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    lay_out(&rows, |column| right.contains(&column))
}

/// All columns but the first are numbers.
fn aligned_vec(rows: &[Vec<String>]) -> String {
    lay_out(rows, |column| column > 0)
}

fn lay_out(rows: &[Vec<String>], is_right: impl Fn(usize) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let _ = if is_right(column) {
                write!(line, "{cell:>0$}  ", widths[column])
            } else {
                write!(line, "{cell:<0$}  ", widths[column])
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
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
        }
    }

    fn report() -> Report {
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

    #[test]
    fn tables_are_aligned_and_fit_into_a_page() {
        let tables = report().tables();
        let names: Vec<&str> = tables.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["stages", "growth", "processes", "goals"]);
        let stages = &tables[0].1;
        let lines: Vec<&str> = stages.lines().collect();
        assert!(
            lines[0].starts_with("CORPUS        STAGE  BYTES EACH"),
            "{stages}"
        );
        assert!(
            lines[2].contains("2,000    75 %  1,234,567   300         200   1.60  1.60 to 1.60"),
            "{stages}"
        );
        assert!(tables[1].1.contains("1.00"), "{}", tables[1].1);
        assert!(
            tables[3].1.contains("at least 2.00   1.99  NOT MET"),
            "{}",
            tables[3].1
        );
        for line in tables.iter().flat_map(|(_, text)| text.lines()) {
            assert!(line.chars().count() <= 120, "{line}");
        }
    }

    #[test]
    fn a_block_of_a_document_is_replaced_and_nothing_else() {
        let document = "a\n<!-- measured: x -->\nold\n<!-- end of x -->\nb\n";
        let new = splice(document, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- measured: x -->\n```text\nnew\n```\n<!-- end of x -->\nb\n"
        );
        assert_eq!(splice(&new, "x", "new\n").as_deref(), Some(new.as_str()));
        assert_eq!(splice(document, "y", ""), None);
    }
}
