//! Instructions instead of time: what a shared machine cannot disturb.
//!
//! A program runs a fixed [`workload`] under callgrind, which writes down how many instructions each piece of it took.
//! What is committed is not a count but a cost: our instructions for a byte over those of the plain parse for a byte, both
//! from the same program. So another compiler, which makes both faster or slower, does not change much.

use super::corpus::Corpus;
use super::pair::Side;
use super::profile::Profile;
use super::stages::{plain, whole};
use authoring::folder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// Payloads in each corpus.
const PAYLOADS: usize = 200;

/// Name of the function at the end of which callgrind writes down what it has counted, as a pattern for it.
pub const LAP: &str = "*instructions*lap*";

/// Pieces of work for each corpus: making ready, plain parse, whole path.
const LAPS: usize = 3;

/// Why the workload cannot run, or its counts cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstructionsError {
    /// A mapping has errors.
    #[error("the mapping {} cannot be used: see dsmith check", .0.display())]
    Mapping(PathBuf),
    /// The options of LEEF.
    #[error("the options for LEEF do not go together: {0}")]
    Leef(#[from] leef::OptionsError),
    /// A file of callgrind is not there.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of callgrind has no total.
    #[error("{} holds no line `totals: NUMBER`: is it a file of callgrind?", .0.display())]
    NoTotal(PathBuf),
}

fn corpora() -> Vec<Corpus> {
    let mut corpora = Corpus::of_goals(PAYLOADS);
    corpora.extend([Corpus::vpn(PAYLOADS), Corpus::sshd(PAYLOADS)]);
    corpora
}

/// Runs the plain parse and the whole path over each corpus, or over the one that is named, with a lap after each piece.
///
/// # Errors
/// A mapping below `mappings` cannot be used.
pub fn workload(mappings: &Path, only: Option<&str>) -> Result<(), InstructionsError> {
    let corpora = corpora();
    let wanted = corpora
        .iter()
        .filter(|corpus| only.is_none_or(|only| corpus.name == only));
    for corpus in wanted {
        let folder = mappings.join(corpus.slug);
        let mapping = folder::load(&folder)
            .0
            .ok_or(InstructionsError::Mapping(folder))?;
        // Not JSON: measured by the first corpus, the SIEM alerts, as everywhere.
        let reference = if corpus.comparable {
            corpus
        } else {
            &corpora[0]
        };
        let mut parse = plain(&reference.payloads);
        let mut ours = whole(&mapping, &corpus.payloads)?;
        // Tables that are made at first use belong to no event.
        parse.run_all();
        ours.run_all();
        lap(0);
        parse.run_all();
        lap(1);
        whole_path(&mut ours);
        lap(2);
    }
    Ok(())
}

/// A function of its own, so that a profile can be of this alone.
#[inline(never)]
fn whole_path(side: &mut Side<'_>) {
    side.run_all();
}

/// Where callgrind looks.
#[inline(never)]
fn lap(number: usize) {
    black_box(number);
}

/// What the committed file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// How far a cost may be from the committed one, as a share of it.
    pub tolerance: f64,
    /// Our instructions for a byte over those of the plain parse for a byte, by corpus.
    pub costs: BTreeMap<String, f64>,
}

/// Instructions for a byte of payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Of the plain parse.
    pub plain: f64,
    /// Of the whole path.
    pub whole: f64,
}

impl Counts {
    /// The whole path in plain parses, with four decimals.
    pub fn cost(self) -> f64 {
        (self.whole / self.plain * 1e4).round() / 1e4
    }
}

/// Reads the counts by corpus from the files that callgrind wrote: `PREFIX.1`, `PREFIX.2` and so on, one for each lap.
///
/// # Errors
/// A file is missing or is not one of callgrind's.
#[allow(
    clippy::cast_precision_loss,
    reason = "a ratio needs no more than f64 has"
)]
pub fn read_counts(prefix: &Path) -> Result<BTreeMap<String, Counts>, InstructionsError> {
    let corpora = corpora();
    let mut counts = BTreeMap::new();
    for (index, corpus) in corpora.iter().enumerate() {
        let total = |lap: usize| read_total(prefix, index * LAPS + lap + 1);
        let (parse, ours) = (total(1)?, total(2)?);
        let reference = if corpus.comparable {
            corpus
        } else {
            &corpora[0]
        };
        let per_byte = |count: u64, corpus: &Corpus| count as f64 / corpus.bytes() as f64;
        let found = Counts {
            plain: per_byte(parse, reference),
            whole: per_byte(ours, corpus),
        };
        counts.insert(corpus.name.to_owned(), found);
    }
    Ok(counts)
}

/// Where the instructions of the whole path went, by corpus.
///
/// # Errors
/// A file is missing.
pub fn read_profile(prefix: &Path) -> Result<Profile, InstructionsError> {
    let mut profile = Profile::default();
    for (index, corpus) in corpora().iter().enumerate() {
        for lap in 0..LAPS {
            let (_, text) = read_part(prefix, index * LAPS + lap + 1)?;
            // A name is written out where it occurs for the first time, which may be another lap.
            profile.read(corpus.name, &text, lap == LAPS - 1);
        }
    }
    Ok(profile)
}

fn read_part(prefix: &Path, part: usize) -> Result<(PathBuf, String), InstructionsError> {
    let mut path = prefix.as_os_str().to_owned();
    path.push(format!(".{part}"));
    let path = PathBuf::from(path);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(source) => Err(InstructionsError::Io { path, source }),
    }
}

fn read_total(prefix: &Path, part: usize) -> Result<u64, InstructionsError> {
    let (path, text) = read_part(prefix, part)?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok());
    total.ok_or(InstructionsError::NoTotal(path))
}

/// How a cost compares with the committed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Within the tolerance.
    Same,
    /// Less than that.
    Better,
    /// More than that.
    Worse,
    /// Nothing is committed for this corpus.
    New,
    /// Something is committed, and the corpus is no more.
    Gone,
}

impl Change {
    /// Whether the guard lets it pass.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Same | Self::Better)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Same => "as committed",
            Self::Better => "better: cargo xtask bench --instructions --accept keeps it so",
            Self::Worse => "WORSE",
            Self::New => "not committed yet: cargo xtask bench --instructions --accept",
            Self::Gone => "no such corpus any more: cargo xtask bench --instructions --accept",
        }
    }
}

/// A corpus, its committed cost, the counts that were found, and what to think of it.
pub type Comparison = (String, Option<f64>, Option<Counts>, Change);

/// Compares counts with the committed costs.
pub fn compare(committed: &Committed, found: &BTreeMap<String, Counts>) -> Vec<Comparison> {
    let names: std::collections::BTreeSet<&String> =
        committed.costs.keys().chain(found.keys()).collect();
    let compare = |name: &String| {
        let (old, counts) = (committed.costs.get(name).copied(), found.get(name).copied());
        let change = match (old, counts.map(Counts::cost)) {
            (Some(old), Some(new)) if new > old * (1.0 + committed.tolerance) => Change::Worse,
            (Some(old), Some(new)) if new < old * (1.0 - committed.tolerance) => Change::Better,
            (Some(_), Some(_)) => Change::Same,
            (None, _) => Change::New,
            (Some(_), None) => Change::Gone,
        };
        (name.clone(), old, counts, change)
    };
    names.into_iter().map(compare).collect()
}

/// The comparison as a table.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut rows = vec![["CORPUS", "PARSE", "WHOLE", "COST", "COMMITTED", ""].map(str::to_owned)];
    let number =
        |cost: Option<f64>| cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.3}"));
    for (name, old, counts, change) in comparisons {
        rows.push([
            name.clone(),
            number(counts.map(|counts| counts.plain)),
            number(counts.map(|counts| counts.whole)),
            number(counts.map(Counts::cost)),
            number(*old),
            change.text().to_owned(),
        ]);
    }
    super::report::aligned(&rows, &[1, 2, 3, 4])
        + "PARSE, WHOLE: instructions for a byte; COST: WHOLE / PARSE, less is better\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(list: &[(&str, f64)]) -> BTreeMap<String, f64> {
        list.iter()
            .map(|(name, cost)| ((*name).to_owned(), *cost))
            .collect()
    }

    #[test]
    fn the_guard_fails_on_a_worse_cost_and_on_one_that_nobody_committed() {
        let committed = Committed {
            tolerance: 0.05,
            costs: costs(&[("a", 1.0), ("b", 1.0), ("c", 1.0), ("gone", 1.0)]),
        };
        let counts = |(name, cost): (String, f64)| {
            let counts = Counts {
                plain: 8.0,
                whole: 8.0 * cost,
            };
            (name, counts)
        };
        let found = costs(&[("a", 1.049), ("b", 1.051), ("c", 0.94), ("new", 0.1)]);
        let comparisons = compare(&committed, &found.into_iter().map(counts).collect());
        let changes: Vec<(&str, Change, bool)> = comparisons
            .iter()
            .map(|(name, _, _, change)| (name.as_str(), *change, change.passes()))
            .collect();
        assert_eq!(
            changes,
            [
                ("a", Change::Same, true),
                ("b", Change::Worse, false),
                ("c", Change::Better, true),
                ("gone", Change::Gone, false),
                ("new", Change::New, false),
            ]
        );
        let table = table(&comparisons);
        assert!(
            table.contains("b       8.000  8.408  1.051      1.000  WORSE\n"),
            "{table}"
        );
        assert!(
            table.contains("new     8.000  0.800  0.100          -  not committed yet"),
            "{table}"
        );
    }

    #[test]
    fn costs_are_read_from_the_laps_that_callgrind_wrote() {
        let folder =
            std::env::temp_dir().join(format!("dsmith-instructions-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let prefix = folder.join("out");
        let corpora = corpora();
        for part in 1..=corpora.len() * LAPS {
            // The parse takes 10 instructions for a byte, the whole path 5.
            let corpus = &corpora[(part - 1) / LAPS];
            let total = match (part - 1) % LAPS {
                0 => 123_456_789,
                1 if corpus.comparable => corpus.bytes() * 10,
                1 => corpora[0].bytes() * 10,
                _ => corpus.bytes() * 5,
            };
            let text = format!("version: 1\nevents: Ir\n\nfn=(1) x\n1 5\n\ntotals: {total}\n");
            std::fs::write(folder.join(format!("out.{part}")), text).unwrap();
        }
        let counts = read_counts(&prefix).unwrap();
        assert_eq!(counts.len(), corpora.len());
        assert!(
            counts
                .values()
                .all(|counts| (counts.cost() - 0.5).abs() < 1e-9),
            "{counts:?}"
        );
        std::fs::write(folder.join("out.3"), "version: 1\n").unwrap();
        let error = read_counts(&prefix).unwrap_err().to_string();
        assert!(error.contains("holds no line `totals: NUMBER`"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
        let error = read_counts(&prefix).unwrap_err().to_string();
        assert!(error.starts_with("cannot read "), "{error}");
    }
}
