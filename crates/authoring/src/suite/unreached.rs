//! The list of branches that no fixture reaches, each with the reason, beside the fixtures of a mapping.

use super::{Suite, unreadable};
use crate::input::UNREACHED;
use dsm::Mapping;
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use dsm::mapping::{BranchIx, BranchKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

impl Suite {
    /// Holds the branches that no fixture reaches against the list of them, which is changed first if that was asked for.
    /// Files that were written are added.
    pub(super) fn unreached(
        &self,
        mapping: &Mapping,
        folder: &Path,
        reached: &BTreeSet<BranchIx>,
        written: &mut Vec<PathBuf>,
        findings: &mut Diagnostics,
    ) {
        let path = folder.join(UNREACHED);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let unreached = by_name(mapping, reached);
        let mut text = old.clone();
        if self.accept {
            text = shrunk(&text, &unreached);
        }
        if self.accept_unreached {
            text = grown(&text, mapping.slug(), &unreached);
        }
        if text != old {
            let result = if text.is_empty() {
                std::fs::remove_file(&path)
            } else {
                std::fs::write(&path, &text)
            };
            match result {
                Ok(()) => written.push(path.clone()),
                Err(error) => findings.push(unreadable(&path, &error.to_string())),
            }
        }
        if self.strict {
            check_list(&path, &text, mapping, &unreached, findings);
        }
    }
}

/// The branches that are not among the reached ones, by name.
fn by_name<'m>(mapping: &'m Mapping, reached: &BTreeSet<BranchIx>) -> BTreeMap<&'m str, BranchIx> {
    let branches = mapping.branches().iter().enumerate();
    branches
        .filter(|(index, _)| !reached.contains(index))
        .map(|(index, branch)| (branch.id.as_str(), index))
        .collect()
}

/// Why no fixture reaches a branch, by its name, as the list beside the fixtures says.
pub(crate) fn reasons(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join(UNREACHED)).unwrap_or_default();
    let mut reasons = BTreeMap::new();
    let mut reason: Vec<&str> = Vec::new();
    let mut previous_is_comment = false;
    for line in text.lines().map(str::trim) {
        let comment = line.strip_prefix('#');
        if line.is_empty() || (comment.is_some() && !previous_is_comment) {
            reason.clear();
        }
        previous_is_comment = comment.is_some();
        if line == NO_REASON {
            continue;
        }
        if let Some(comment) = comment {
            reason.push(comment.trim());
        } else if !line.is_empty() && !reason.is_empty() {
            reasons.insert(line.to_owned(), reason.join(" "));
        }
    }
    reasons
}

/// What is wrong with the lines of the list: reasons that are missing, and branches that are reached or do not exist.
pub(crate) fn check_given(
    folder: &Path,
    mapping: &Mapping,
    reached: &BTreeSet<BranchIx>,
    out: &mut Diagnostics,
) {
    let path = folder.join(UNREACHED);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    check_lines(&path, &text, &by_name(mapping, reached), out);
}

/// What stands in the list where a reason is still to be given.
const NO_REASON: &str = "# reason?";

/// Holds the list of unreached branches against those that are.
fn check_list(
    path: &Path,
    text: &str,
    mapping: &Mapping,
    unreached: &BTreeMap<&str, BranchIx>,
    out: &mut Diagnostics,
) {
    let listed = check_lines(path, text, unreached, out);
    for (id, index) in unreached {
        if listed.contains(*id) {
            continue;
        }
        let branch = &mapping.branches()[*index];
        out.push(
            Diagnostic::new(
                Code::BranchUnreached,
                format!("no fixture reaches {} `{id}`", kind_name(branch.kind)),
                "add a fixture that goes through it, or remove it from the mapping",
            )
            .at(&branch.file, branch.span.clone(), ""),
        );
    }
}

/// The same for the lines of the list alone; the branches that it rightly has.
fn check_lines(
    path: &Path,
    text: &str,
    unreached: &BTreeMap<&str, BranchIx>,
    out: &mut Diagnostics,
) -> BTreeSet<String> {
    let file = SourceFile::new(path.display().to_string(), text);
    let mut listed = BTreeSet::new();
    for (line, start) in lines(&file.text) {
        let span = start..start + line.len();
        if line == NO_REASON {
            out.push(
                Diagnostic::new(
                    Code::BranchUnreached,
                    "nobody said why no fixture reaches the branches below",
                    "write the reason in place of this line, or add a fixture that goes through them",
                )
                .at(&file, span, ""),
            );
        } else if unreached.contains_key(line) {
            listed.insert(line.to_owned());
        } else if is_entry(line) {
            out.push(
                Diagnostic::new(
                    Code::BranchReached,
                    format!("`{line}` is reached, or no longer exists"),
                    "remove the line (dsmith test --accept does)",
                )
                .at(&file, span, ""),
            );
        }
    }
    listed
}

fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

/// The lines of a list without the blanks around them, and where they begin.
fn lines(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start + (line.len() - line.trim_start().len());
        start += line.len();
        (line.trim(), at)
    })
}

/// A list without the branches that are reached by now. A reason goes with the last branch it was given for, and the
/// heading with the last reason.
fn shrunk(text: &str, unreached: &BTreeMap<&str, BranchIx>) -> String {
    let mut kept: Vec<&str> = Vec::new();
    // Where the comment above the current entries begins, and whether it has an entry left, or lost one.
    let (mut comment, mut left, mut lost) = (0, false, false);
    let mut previous = "";
    for line in text.lines().map(str::trim).chain([""]) {
        let begins = line.is_empty() || (line.starts_with('#') && !previous.starts_with('#'));
        if begins {
            if lost && !left {
                kept.truncate(comment);
            }
            (comment, left, lost) = (kept.len(), false, false);
        }
        previous = line;
        if is_entry(line) {
            if !unreached.contains_key(line) {
                lost = true;
                continue;
            }
            left = true;
        }
        if line.is_empty() && kept.last().is_none_or(|last| last.is_empty()) {
            continue;
        }
        kept.push(line);
    }
    if kept.iter().any(|line| is_entry(line)) {
        kept.join("\n").trim_end().to_owned() + "\n"
    } else {
        String::new()
    }
}

/// A list with all branches that no fixture reaches; each new one asks for its reason.
fn grown(text: &str, slug: &str, unreached: &BTreeMap<&str, BranchIx>) -> String {
    let listed: BTreeSet<&str> = lines(text).map(|(line, _)| line).collect();
    let missing: Vec<&str> = unreached
        .keys()
        .copied()
        .filter(|id| !listed.contains(id))
        .collect();
    if missing.is_empty() {
        return text.to_owned();
    }
    let mut new = if text.is_empty() {
        format!(
            "# Branches of {slug} that no fixture reaches, each with the reason. The list may only shrink.\n"
        )
    } else {
        text.trim_end().to_owned() + "\n"
    };
    for id in missing {
        let _ = write!(new, "\n{NO_REASON}\n{id}\n");
    }
    new
}

/// What a kind of branch is called.
fn kind_name(kind: BranchKind) -> &'static str {
    match kind {
        BranchKind::Group => "match group",
        BranchKind::Matcher => "matcher",
        BranchKind::EventMatch => "event match",
        BranchKind::Filter => "filter",
        BranchKind::Property => "custom property",
        BranchKind::Qid => "QID",
        BranchKind::EventMapping => "event mapping",
    }
}
