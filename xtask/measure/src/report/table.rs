//! Tables for people.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use super::{Bound, Measured, Report};
use std::fmt::Write as _;

impl Report {
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
                "BEST",
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
                ratio(row.best),
            ]);
        }
        let mut out = aligned(&rows, &[2, 3, 4, 5, 6, 7, 9]);
        out.push_str("RATIO: bytes in the same time, to a plain serde_json::Value parse of the same bytes, in turns; median of the samples\n");
        out.push_str("BEST: the fastest sample of the one to the fastest of the other, which nothing else on the machine has disturbed\n");
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
            out.push_str(&aligned_numbers(&rows));
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
pub(crate) fn grouped(value: f64) -> String {
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

pub(crate) fn aligned<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    lay_out(&rows, |column| right.contains(&column))
}

/// All columns but the first are numbers.
pub(crate) fn aligned_numbers(rows: &[Vec<String>]) -> String {
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
    use crate::report::tests::report;

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
