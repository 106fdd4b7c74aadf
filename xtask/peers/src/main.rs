//! Other programs at the same job as dsmith: a generated alert comes in, the LEEF line that dsmith writes goes out.
//!
//! `peers MAPPINGS WORK RESULTS` measures VRL within this process, and jq, rsyslog and syslog-ng where they are installed,
//! and writes what it found as JSON. `cargo xtask bench --peers` runs it.

mod programs;
mod vrl;

use anyhow::{Context, bail};
use measure::corpus::Corpus;
use measure::pair::{Pair, Side, summarise};
use measure::report::{Measured, Peer};
use measure::stages::{lines, plain};
use authoring::folder;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// Payloads in each corpus.
const PAYLOADS: usize = 2_000;

/// The job: alerts, the lines that dsmith makes of them, and the plain parse of the same bytes as a measure.
pub(crate) struct Job {
    pub(crate) corpus: Corpus,
    /// The folder of the mapping.
    pub(crate) mapping: PathBuf,
    /// What dsmith writes.
    pub(crate) lines: Vec<Vec<u8>>,
}

impl Job {
    fn new(corpus: Corpus, mappings: &Path) -> anyhow::Result<Self> {
        let folder = mappings.join(corpus.slug);
        let (mapping, _) = folder::load(&folder);
        let mapping = mapping.with_context(|| format!("{} cannot be used", folder.display()))?;
        Ok(Self {
            lines: lines(&mapping, &corpus.payloads)?,
            mapping: folder,
            corpus,
        })
    }

    /// How many lines are the same as ours, for a table.
    pub(crate) fn agreement<'l>(&self, theirs: impl Iterator<Item = &'l [u8]>) -> String {
        let same = self
            .lines
            .iter()
            .zip(theirs)
            .filter(|(ours, theirs)| ours == theirs)
            .count();
        match same {
            0 => "other lines".to_owned(),
            all if all == self.lines.len() => "the same lines".to_owned(),
            some => format!("{some} of {} lines the same", self.lines.len()),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [mappings, work, results] = arguments.as_slice() else {
        bail!("usage: peers MAPPINGS WORK RESULTS");
    };
    let siem = Job::new(Corpus::siem(PAYLOADS), mappings)?;
    let graph = Job::new(Corpus::graph(PAYLOADS), mappings)?;
    let mut peers = vec![
        measure_vrl(&siem, "siem.vrl")?,
        measure_vrl(&graph, "graph.vrl")?,
    ];
    peers.extend(programs::measure(&siem, work)?);
    std::fs::write(results, serde_json::to_string(&peers)?)
        .with_context(|| format!("cannot write {}", results.display()))
}

/// A file of this package.
pub(crate) fn here(name: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn measure_vrl(job: &Job, program: &str) -> anyhow::Result<Peer> {
    let mut vrl = vrl::Vrl::new(&here(program)?, vrl::qids(&job.mapping)?)?;
    let mut theirs = Vec::new();
    for payload in &job.corpus.payloads {
        theirs.push(vrl.line(payload)?);
    }
    if std::env::var_os("PEERS_SHOW_DIFFERENCE").is_some() {
        let mut pairs = job.lines.iter().zip(&theirs);
        if let Some((ours, theirs)) =
            pairs.find(|(ours, theirs)| ours.as_slice() != theirs.as_ref())
        {
            eprintln!(
                "{}\n{}",
                String::from_utf8_lossy(ours),
                String::from_utf8_lossy(theirs)
            );
        }
    }
    let agreement = job.agreement(theirs.iter().map(AsRef::as_ref));
    let payloads = &job.corpus.payloads;
    let theirs = Side::new(payloads.iter().map(Vec::len), |range| {
        for payload in &payloads[range] {
            let _ = black_box(vrl.line(black_box(payload)));
        }
    });
    let mut pair = Pair::new(plain(payloads), theirs);
    pair.run(4);
    let samples: Vec<_> = (0..15).map(|_| pair.run(12)).collect();
    let summary = summarise(&samples).context("no samples")?;
    Ok(Peer {
        name: "VRL 0.38".to_owned(),
        corpus: job.corpus.name.to_owned(),
        result: Measured::Measured((summary.ours.payloads_per_second(), summary.ratio)),
        lacks: format!("{agreement}; no provenance, addresses not checked"),
    })
}
