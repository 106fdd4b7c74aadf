//! The guard against regressions that no clock can hold: instruction counts of callgrind.

use super::{Kind, Work, build};
use crate::say;
use anyhow::{Context, bail};
use measure::instructions::{self, Committed, LAP};
use std::path::Path;
use std::process::{Command, Stdio};

/// The costs to compare with.
const COMMITTED: &str = "xtask/instructions.json";

/// How far a cost may move before somebody has to look, unless the file says otherwise.
const TOLERANCE: f64 = 0.05;

/// Tells whether nothing got worse. Where there is no valgrind, it says so and passes.
pub(crate) fn run(accept: bool, document: Option<&Path>) -> anyhow::Result<bool> {
    if !has_valgrind() {
        say("skipped: there is no valgrind here (apt-get install valgrind)\n")?;
        return Ok(!accept);
    }
    let program = build("measure", Kind::Bin, "instructions", &[])?;
    let folder = Work::new(&program)?.file("callgrind");
    // Parts of an earlier run would be taken for parts of this one.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let prefix = folder.join("out");
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(&prefix);
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--quiet",
            &format!("--dump-after={LAP}"),
        ])
        .arg(out)
        .arg(&program)
        .output()
        .context("cannot start valgrind")?;
    if !output.status.success() {
        bail!(
            "callgrind ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let counts = instructions::read_counts(&prefix)?;
    let path = Path::new(COMMITTED);
    let mut committed = if path.exists() {
        super::read(path)?
    } else {
        Committed {
            tolerance: TOLERANCE,
            costs: std::collections::BTreeMap::new(),
        }
    };
    let comparisons = instructions::compare(&committed, &counts);
    say(&instructions::table(&comparisons))?;
    let mut passed = comparisons.iter().all(|(_, _, _, change)| change.passes());
    if accept {
        let costs = counts
            .iter()
            .map(|(corpus, counts)| (corpus.clone(), counts.cost()));
        committed.costs = costs.collect();
        std::fs::write(path, serde_json::to_string_pretty(&committed)? + "\n")
            .with_context(|| format!("cannot write {COMMITTED}"))?;
        say(&format!("wrote {COMMITTED}\n"))?;
        passed = true;
    }
    if let Some(document) = document {
        let costs = instructions::table(&instructions::compare(&committed, &counts));
        let profile = instructions::read_profile(&prefix)?.table();
        super::put_tables(document, &[("instructions", costs), ("profile", profile)])?;
    }
    Ok(passed)
}

fn has_valgrind() -> bool {
    let mut valgrind = Command::new("valgrind");
    let asked = valgrind
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}
