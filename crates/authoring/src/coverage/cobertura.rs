//! Coverage in the XML of Cobertura, which build servers draw beside a change.

use super::{Coverage, Covered, percent_text};
use crate::markup::escape;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The document: a class for each file, a line for each line with branches. A line with several of them says how many
/// are reached. There is no time in it, so the same coverage gives the same bytes.
pub fn cobertura(coverage: &Coverage) -> String {
    let files: Vec<(String, BTreeMap<usize, Vec<&Covered>>)> = coverage
        .by_file()
        .into_iter()
        .map(|(file, branches)| {
            let mut lines: BTreeMap<usize, Vec<&Covered>> = BTreeMap::new();
            for covered in branches {
                lines.entry(covered.line).or_default().push(covered);
            }
            (file.name.replace('\\', "/"), lines)
        })
        .collect();
    let lines = || files.iter().flat_map(|(_, lines)| lines.values());
    let line_share = (
        lines()
            .filter(|line| line.iter().any(|c| c.hits > 0))
            .count(),
        lines().count(),
    );
    let (reached, all) = coverage.reached();
    let rates = |lines: (usize, usize), branches: (usize, usize)| {
        format!(
            "line-rate=\"{}\" branch-rate=\"{}\"",
            rate(lines),
            rate(branches)
        )
    };
    let slug = escape(&coverage.slug);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE coverage SYSTEM \"http://cobertura.sourceforge.net/xml/coverage-04.dtd\">\n<coverage {} lines-covered=\"{}\" lines-valid=\"{}\" branches-covered=\"{reached}\" branches-valid=\"{all}\" complexity=\"0\" version=\"dsmith {}\" timestamp=\"0\">\n  <sources><source>.</source></sources>\n  <packages>\n    <package name=\"{slug}\" {} complexity=\"0\">\n      <classes>\n",
        rates(line_share, (reached, all)),
        line_share.0,
        line_share.1,
        env!("CARGO_PKG_VERSION"),
        rates(line_share, (reached, all)),
    );
    for (file, lines) in &files {
        let hit = lines
            .values()
            .filter(|line| line.iter().any(|c| c.hits > 0));
        let branches = || lines.values().flatten();
        let share = (hit.count(), lines.len());
        let branch_share = (
            branches().filter(|c| c.hits > 0).count(),
            branches().count(),
        );
        let name = file.rsplit('/').next().unwrap_or(file);
        let _ = writeln!(
            out,
            "        <class name=\"{}\" filename=\"{}\" {} complexity=\"0\">\n          <methods/>\n          <lines>",
            escape(name),
            escape(file),
            rates(share, branch_share)
        );
        for (number, branches) in lines {
            let hits: u64 = branches.iter().map(|covered| covered.hits).sum();
            let _ = write!(out, "            <line number=\"{number}\" hits=\"{hits}\"");
            if branches.len() > 1 {
                let reached = branches.iter().filter(|covered| covered.hits > 0).count();
                let share = (reached, branches.len());
                let _ = write!(
                    out,
                    " branch=\"true\" condition-coverage=\"{} ({reached}/{})\"",
                    percent_text(share).replace(' ', ""),
                    branches.len()
                );
            }
            out.push_str("/>\n");
        }
        out.push_str("          </lines>\n        </class>\n");
    }
    out.push_str("      </classes>\n    </package>\n  </packages>\n</coverage>\n");
    out
}

fn rate(share: (usize, usize)) -> String {
    format!("{:.4}", super::percent(share) / 100.0)
}
