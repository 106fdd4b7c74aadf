//! Coverage as text and as JSON.

use super::{Coverage, Covered, Kind, percent_text};
use crate::snapshot::table;
use crate::suite::Shown;
use crate::suite::report::{Paint, count};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many fixtures are named for a branch.
const NAMED: usize = 3;

/// Counts for each kind of branch, then the branches that no fixture reaches, with their reasons; all branches on
/// request.
pub fn human(coverage: &Coverage, shown: Shown, all: bool) -> String {
    let paint = Paint(shown.colour);
    let mut out = String::new();
    if all {
        branches(&mut out, coverage);
        out.push('\n');
    }
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let share = coverage.reached_of(kind);
        if share.1 > 0 {
            rows.push(row(kind.name(), share));
        }
    }
    rows.push(row("all", coverage.reached()));
    table(&mut out, &rows);
    let missed: Vec<&Covered> = coverage.branches.iter().filter(|c| c.hits == 0).collect();
    if !missed.is_empty() {
        out.push_str("\nno fixture reaches\n");
    }
    for covered in &missed {
        let _ = writeln!(
            out,
            "  {}:{}  {}",
            covered.file.name,
            covered.line,
            paint.bold(&covered.id)
        );
        match &covered.reason {
            Some(reason) => {
                let _ = writeln!(out, "    because: {reason}");
            }
            None => {
                let _ = writeln!(out, "    {}", paint.red("no reason is given"));
            }
        }
        if let Some((input, offset)) = &covered.first_in_corpus {
            let events = covered.corpus_hits;
            let _ = writeln!(
                out,
                "    {events} of the corpus, the first in {input} at byte {offset}: make it a fixture"
            );
        }
    }
    let _ = writeln!(
        out,
        "\n{}: {}, {}, {} of branches reached",
        coverage.slug,
        count(coverage.fixtures.len(), "fixture"),
        count(
            usize::try_from(coverage.events).unwrap_or(usize::MAX),
            "event"
        ),
        percent_text(coverage.reached())
    );
    if let Some(payloads) = coverage.corpus {
        let through = |c: &&Covered| c.corpus_hits > 0;
        let seen = coverage.branches.iter().filter(through);
        let only = missed.iter().filter(|c| through(c)).count();
        let _ = writeln!(
            out,
            "corpus: {}, {} of branches gone through, {only} of them by no fixture",
            count(usize::try_from(payloads).unwrap_or(usize::MAX), "payload"),
            percent_text((seen.count(), coverage.branches.len()))
        );
    }
    out
}

fn row(name: &str, (reached, all): (usize, usize)) -> [String; 3] {
    [
        name.to_owned(),
        format!("{reached} of {all}"),
        percent_text((reached, all)),
    ]
}

fn branches(out: &mut String, coverage: &Coverage) {
    let rows: Vec<[String; 4]> = coverage
        .branches
        .iter()
        .map(|covered| {
            let named: Vec<&str> = coverage.fixtures_of(covered).take(NAMED).collect();
            let more = covered.fixtures.len() - named.len();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let mut hits = covered.hits.to_string();
            if coverage.corpus.is_some() {
                let _ = write!(hits, " + {}", covered.corpus_hits);
            }
            [
                covered.kind.name().to_owned(),
                covered.id.clone(),
                hits,
                named.join(", ") + &more,
            ]
        })
        .collect();
    table(out, &rows);
}

/// The whole of it as one line of JSON.
pub fn json(coverage: &Coverage) -> String {
    let branches: Vec<Value> = coverage
        .branches
        .iter()
        .map(|covered| {
            json!({
                "id": covered.id,
                "kind": covered.kind.name(),
                "file": covered.file.name,
                "line": covered.line,
                "hits": covered.hits,
                "fixtures": coverage.fixtures_of(covered).collect::<Vec<_>>(),
                "corpusHits": coverage.corpus.map(|_| covered.corpus_hits),
                "firstInCorpus": covered.first_in_corpus.as_ref().map(|(input, offset)| {
                    json!({ "input": input, "offset": offset })
                }),
                "reason": covered.reason,
            })
        })
        .collect();
    let (reached, all) = coverage.reached();
    let value = json!({
        "type": coverage.slug,
        "fixtures": coverage.fixtures.len(),
        "events": coverage.events,
        "corpusPayloads": coverage.corpus,
        "branches": all,
        "reached": reached,
        "percent": coverage.percent(),
        "kinds": Kind::ALL
            .iter()
            .map(|kind| {
                let (reached, all) = coverage.reached_of(*kind);
                json!({ "kind": kind.name(), "reached": reached, "branches": all })
            })
            .collect::<Vec<_>>(),
        "coverage": branches,
    });
    value.to_string() + "\n"
}
