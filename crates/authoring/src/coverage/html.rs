//! Coverage as a page: the files of the mapping with their lines coloured.

use super::{Coverage, Covered, Kind, percent_text};
use crate::markup::escape;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many fixtures are named for a line.
const NAMED: usize = 8;

/// The file that has patterns.
const EXTENSION: &str = "extension.xml";

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:110rem}
h1,h2{font-weight:600}table{border-collapse:collapse}td,th{padding:.1rem .7rem;text-align:left;vertical-align:top}
.n{text-align:right;color:#666;font-variant-numeric:tabular-nums}
.source{font:13px/1.45 ui-monospace,monospace;width:100%}.source td{white-space:pre-wrap;overflow-wrap:anywhere}
.source td.n{white-space:nowrap;user-select:none}
.hit{background:#e3f5e1}.part{background:#fff3c4}.excused{background:#e4e8f1}.miss{background:#fbdcdc}
@media(prefers-color-scheme:dark){body{background:#151719;color:#dcdfe2}.n{color:#9aa0a6}
.hit{background:#163d1c}.part{background:#4a3d0c}.excused{background:#28324a}.miss{background:#5a1d1d}}
";

/// The page. It needs nothing else, and has no script.
pub fn html(coverage: &Coverage) -> String {
    let slug = escape(&coverage.slug);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>Coverage of {slug}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Coverage of {slug}</h1>\n"
    );
    let _ = writeln!(
        out,
        "<p>{} of branches are reached by {} fixtures ({} events).",
        percent_text(coverage.reached()),
        coverage.fixtures.len(),
        coverage.events
    );
    if let Some(payloads) = coverage.corpus {
        let _ = writeln!(
            out,
            "A corpus of {payloads} payloads was run too; its hits stand behind a plus."
        );
    }
    out.push_str("</p>\n<p><span class=\"hit\">reached</span> <span class=\"part\">in part</span> <span class=\"excused\">not reached, with a reason</span> <span class=\"miss\">not reached</span></p>\n");
    kinds(&mut out, coverage);
    missed(&mut out, coverage);
    for (file, branches) in coverage.by_file() {
        let mut lines: BTreeMap<usize, Vec<&Covered>> = BTreeMap::new();
        for covered in branches {
            lines.entry(covered.line).or_default().push(covered);
        }
        let name = short(&file.name);
        let _ = writeln!(
            out,
            "<h2>{}</h2>\n<table class=\"source\">",
            escape(&file.name)
        );
        for (index, text) in file.text.lines().enumerate() {
            let number = index + 1;
            let on_line = lines.get(&number).map_or(&[][..], Vec::as_slice);
            let pattern = coverage.patterns.get(&number);
            match pattern.filter(|_| on_line.is_empty() && name == EXTENSION) {
                Some(hits) => pattern_line(&mut out, number, *hits, text),
                None => line(&mut out, coverage, name, number, text, on_line),
            }
        }
        out.push_str("</table>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn short(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

fn kinds(out: &mut String, coverage: &Coverage) {
    out.push_str("<table>\n<tr><th>kind</th><th>reached</th><th>of</th><th></th></tr>\n");
    let kinds = Kind::ALL.map(|kind| (kind.name(), coverage.reached_of(kind)));
    for (name, share) in kinds.into_iter().chain([("all", coverage.reached())]) {
        if share.1 > 0 {
            let _ = writeln!(
                out,
                "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                share.0,
                share.1,
                percent_text(share)
            );
        }
    }
    out.push_str("</table>\n");
}

fn missed(out: &mut String, coverage: &Coverage) {
    let missed: Vec<&Covered> = coverage.branches.iter().filter(|c| c.hits == 0).collect();
    if missed.is_empty() {
        return;
    }
    out.push_str("<h2>Reached by no fixture</h2>\n<table>\n");
    for covered in missed {
        let file = short(&covered.file.name);
        let _ = writeln!(
            out,
            "<tr><td><a href=\"#{}-{}\">{}</a></td><td>{}</td><td>{}</td></tr>",
            escape(file),
            covered.line,
            escape(&covered.id),
            covered.kind.name(),
            covered
                .reason
                .as_deref()
                .map_or_else(|| "no reason is given".to_owned(), escape)
        );
    }
    out.push_str("</table>\n");
}

/// A pattern is as good as the matchers that use it.
fn pattern_line(out: &mut String, number: usize, hits: u64, text: &str) {
    let class = if hits > 0 { "hit" } else { "miss" };
    let _ = writeln!(
        out,
        "<tr class=\"{class}\" id=\"{EXTENSION}-{number}\" title=\"values found by this pattern\"><td class=\"n\">{number}</td><td class=\"n\">{hits}</td><td>{}</td></tr>",
        escape(text)
    );
}

fn line(
    out: &mut String,
    coverage: &Coverage,
    file: &str,
    number: usize,
    text: &str,
    branches: &[&Covered],
) {
    let reached = branches.iter().filter(|covered| covered.hits > 0).count();
    let excused = branches
        .iter()
        .all(|covered| covered.hits > 0 || covered.reason.is_some());
    let class = match (branches.len(), reached) {
        (0, _) => "",
        (all, reached) if all == reached => "hit",
        _ if excused => "excused",
        (_, 0) => "miss",
        _ => "part",
    };
    let hits = match branches {
        [] => String::new(),
        _ => {
            // One branch of several may be the rare one: the lowest count is the one to look at.
            let lowest = |of: fn(&Covered) -> u64| branches.iter().map(|c| of(c)).min();
            let mut hits = lowest(|c| c.hits).unwrap_or(0).to_string();
            if coverage.corpus.is_some() {
                let _ = write!(hits, "+{}", lowest(|c| c.corpus_hits).unwrap_or(0));
            }
            hits
        }
    };
    let titles: Vec<String> = branches.iter().map(|c| title(coverage, c)).collect();
    let _ = writeln!(
        out,
        "<tr class=\"{class}\" id=\"{}-{number}\" title=\"{}\"><td class=\"n\">{number}</td><td class=\"n\">{hits}</td><td>{}</td></tr>",
        escape(file),
        escape(&titles.join("\n")),
        escape(text)
    );
}

/// What there is to say about a branch when somebody points at it.
fn title(coverage: &Coverage, covered: &Covered) -> String {
    let mut title = format!("{}: ", covered.id);
    if covered.hits == 0 {
        let reason = covered.reason.as_deref().unwrap_or("no reason is given");
        let _ = write!(title, "not reached ({reason})");
        return title;
    }
    let named: Vec<&str> = coverage.fixtures_of(covered).take(NAMED).collect();
    let _ = write!(title, "{}", named.join(", "));
    let more = covered.fixtures.len() - named.len();
    if more > 0 {
        let _ = write!(title, " and {more} more");
    }
    title
}
