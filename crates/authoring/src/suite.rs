//! The evidence of a mapping: fixtures, their snapshots, and what they do not reach.

use crate::folder::{self, FolderError, Library};
use crate::input::{self, UNREACHED};
use crate::snapshot::{self, Rendered};
use dsm::Mapping;
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use dsm::mapping::{BranchIx, BranchKind};
use similar::{ChangeTag, TextDiff};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where the mappings and the fixtures are, and what to do with differences.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Folder of the mapping folders.
    pub mappings: PathBuf,
    /// Folder of the fixture folders.
    pub fixtures: PathBuf,
    /// Only this log source type.
    pub only: Option<String>,
    /// Rewrite snapshots that differ, and take branches that are reached by now out of the list of unreached ones.
    pub accept: bool,
    /// Put branches that no fixture reaches on that list. It is a thing of its own: evidence should not get thinner
    /// because somebody accepted a snapshot.
    pub accept_unreached: bool,
}

/// What a run of the suite found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Findings of the mappings and of the evidence.
    pub findings: Diagnostics,
    /// A line for each log source type.
    pub types: Vec<TypeOutcome>,
    /// Snapshots that differ, with the difference.
    pub differences: Vec<Difference>,
    /// Files written because the differences were accepted.
    pub written: Vec<PathBuf>,
}

/// What was found for one log source type.
#[derive(Debug)]
pub struct TypeOutcome {
    /// Its slug.
    pub slug: String,
    /// Fixtures that were run.
    pub fixtures: usize,
    /// Events in them.
    pub events: usize,
    /// Branches reached, and how many there are.
    pub reached: (usize, usize),
}

/// A snapshot that no longer agrees with its fixture.
#[derive(Debug)]
pub struct Difference {
    /// The snapshot.
    pub snapshot: PathBuf,
    /// Lines with `-` and `+` in front, and the lines around them.
    pub diff: String,
}

impl Outcome {
    /// Whether everything is as it should be. Shipped mappings may not even have warnings.
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

/// The snapshot of a fixture.
pub fn snapshot_of(fixture: &Path) -> PathBuf {
    let mut name = fixture.file_name().unwrap_or_default().to_owned();
    name.push(".snap");
    fixture.with_file_name(name)
}

/// The fixtures of a log source type, in order.
///
/// # Errors
/// The folder cannot be listed.
pub fn fixtures(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if folder.is_dir() {
        input::files(folder)
    } else {
        Ok(Vec::new())
    }
}

impl Suite {
    /// Runs everything.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn run(&self) -> Result<Outcome, FolderError> {
        let mut outcome = Outcome::default();
        let (library, found) = match &self.only {
            None => Library::load(&self.mappings)?,
            Some(slug) => {
                let (mapping, found) = folder::load(&self.mappings.join(slug));
                (Library::of(mapping), found)
            }
        };
        outcome.findings.append(found);
        for mapping in library.iter() {
            self.run_type(mapping, &mut outcome);
        }
        if self.only.is_none() {
            self.orphan_folders(&mut outcome.findings);
        }
        outcome.findings.sort();
        Ok(outcome)
    }

    fn run_type(&self, mapping: &Mapping, outcome: &mut Outcome) {
        let folder = self.fixtures.join(mapping.slug());
        let fixtures = match fixtures(&folder) {
            Ok(fixtures) => fixtures,
            Err(error) => {
                outcome
                    .findings
                    .push(unreadable(&folder, &error.to_string()));
                return;
            }
        };
        if fixtures.is_empty() {
            let place = SourceFile::new(folder.display().to_string(), "");
            outcome.findings.push(
                Diagnostic::new(
                    Code::FixturesMissing,
                    format!("{} has no fixtures", mapping.slug()),
                    format!(
                        "put raw payloads into {}/<shape>/<subject-condition>.json",
                        folder.display()
                    ),
                )
                .at(&place, 0..0, ""),
            );
        }
        let mut reached = BTreeSet::new();
        let mut events = 0;
        for fixture in &fixtures {
            match std::fs::read(fixture) {
                Ok(bytes) => {
                    let rendered = snapshot::render(mapping, &bytes);
                    events += rendered.events;
                    self.compare(mapping, fixture, &rendered, outcome);
                    reached.extend(rendered.reached);
                }
                Err(error) => outcome
                    .findings
                    .push(unreadable(fixture, &error.to_string())),
            }
        }
        self.orphans(&folder, &fixtures, &mut outcome.findings);
        self.unreached(mapping, &folder, &reached, outcome);
        outcome.types.push(TypeOutcome {
            slug: mapping.slug().to_owned(),
            fixtures: fixtures.len(),
            events,
            reached: (reached.len(), mapping.branches().len()),
        });
    }

    fn compare(
        &self,
        mapping: &Mapping,
        fixture: &Path,
        rendered: &Rendered,
        outcome: &mut Outcome,
    ) {
        for fault in &rendered.faults {
            let place = SourceFile::new(fixture.display().to_string(), "");
            outcome.findings.push(
                Diagnostic::new(
                    Code::FixtureUnreadable,
                    fault.clone(),
                    "mend the fixture; broken input is tested elsewhere",
                )
                .at(&place, 0..0, ""),
            );
        }
        let snapshot = snapshot_of(fixture);
        let old = match std::fs::read_to_string(&snapshot) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                // Not to be written over: it may hold what somebody needs.
                outcome
                    .findings
                    .push(unreadable(&snapshot, &error.to_string()));
                return;
            }
        };
        if old
            .as_deref()
            .is_some_and(|old| snapshot::same(old, &rendered.text))
        {
            return;
        }
        if self.accept {
            outcome.differences.push(Difference {
                diff: diff(
                    old.as_deref().map_or("", |old| snapshot::contents(old)),
                    &rendered.text,
                ),
                snapshot: snapshot.clone(),
            });
            match std::fs::write(&snapshot, snapshot::to_file(&rendered.text)) {
                Ok(()) => outcome.written.push(snapshot),
                Err(error) => outcome
                    .findings
                    .push(unreadable(&snapshot, &error.to_string())),
            }
            return;
        }
        let Some(old) = old else {
            let place = SourceFile::new(fixture.display().to_string(), "");
            outcome.findings.push(
                Diagnostic::new(
                    Code::SnapshotMissing,
                    format!("no snapshot {}", snapshot.display()),
                    "run cargo xtask validate --accept, read what it writes, and commit it",
                )
                .at(&place, 0..0, ""),
            );
            return;
        };
        outcome
            .findings
            .push(differs(mapping, fixture, &snapshot, &old, rendered));
        outcome.differences.push(Difference {
            diff: diff(snapshot::contents(&old), &rendered.text),
            snapshot,
        });
    }

    /// Snapshots without their fixture.
    fn orphans(&self, folder: &Path, fixtures: &[PathBuf], out: &mut Diagnostics) {
        let expected: BTreeSet<PathBuf> = fixtures
            .iter()
            .map(|fixture| snapshot_of(fixture))
            .collect();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                // A link to a folder is not followed: it may lead back here.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "snap") && !expected.contains(&path)
                {
                    let place = SourceFile::new(path.display().to_string(), "");
                    out.push(
                        Diagnostic::new(
                            Code::SnapshotOrphan,
                            format!("{} has no fixture", path.display()),
                            "delete it, or restore the fixture beside it",
                        )
                        .at(&place, 0..0, ""),
                    );
                }
            }
        }
    }

    fn orphan_folders(&self, out: &mut Diagnostics) {
        let Ok(entries) = std::fs::read_dir(&self.fixtures) else {
            return;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !name.starts_with(['_', '.']) && !self.mappings.join(&name).is_dir()
            {
                let place = SourceFile::new(path.display().to_string(), "");
                out.push(
                    Diagnostic::new(
                        Code::FixturesOrphan,
                        format!("no mapping is called {name}"),
                        format!(
                            "create {} or rename the folder",
                            self.mappings.join(&name).display()
                        ),
                    )
                    .at(&place, 0..0, ""),
                );
            }
        }
    }

    fn unreached(
        &self,
        mapping: &Mapping,
        folder: &Path,
        reached: &BTreeSet<BranchIx>,
        outcome: &mut Outcome,
    ) {
        let path = folder.join(UNREACHED);
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        let unreached: BTreeMap<&str, BranchIx> = mapping
            .branches()
            .iter()
            .enumerate()
            .filter(|(index, _)| !reached.contains(index))
            .map(|(index, branch)| (branch.id.as_str(), index))
            .collect();
        let mut text = old.clone();
        if self.accept {
            text = shrunk(&text, &unreached);
        }
        if self.accept_unreached {
            text = grown(&text, mapping.slug(), &unreached);
        }
        if text != old {
            let written = if text.is_empty() {
                std::fs::remove_file(&path)
            } else {
                std::fs::write(&path, &text)
            };
            match written {
                Ok(()) => outcome.written.push(path.clone()),
                Err(error) => outcome.findings.push(unreadable(&path, &error.to_string())),
            }
        }
        check_list(&path, &text, mapping, &unreached, &mut outcome.findings);
    }
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
            listed.insert(line);
        } else if is_entry(line) {
            out.push(
                Diagnostic::new(
                    Code::BranchReached,
                    format!("`{line}` is reached, or no longer exists"),
                    "remove the line (cargo xtask validate --accept does)",
                )
                .at(&file, span, ""),
            );
        }
    }
    for (id, index) in unreached {
        if listed.contains(id) {
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

fn kind_name(kind: BranchKind) -> &'static str {
    match kind {
        BranchKind::Group => "match group",
        BranchKind::Matcher => "matcher",
        BranchKind::EventMatch => "event match",
        BranchKind::Filter => "filter",
        BranchKind::Qid => "QID",
        BranchKind::EventMapping => "event mapping",
    }
}

fn unreadable(path: &Path, message: &str) -> Diagnostic {
    let place = SourceFile::new(path.display().to_string(), "");
    Diagnostic::new(
        Code::FileUnreadable,
        message,
        "check the path and the permissions",
    )
    .because("what cannot be read cannot be compared")
    .at(&place, 0..0, "")
}

/// Points at the first line that differs, and at the QID record when that is what changed.
fn differs(
    mapping: &Mapping,
    fixture: &Path,
    path: &Path,
    old: &str,
    rendered: &Rendered,
) -> Diagnostic {
    let contents = snapshot::contents(old);
    let same = contents
        .lines()
        .zip(rendered.text.lines())
        .take_while(|(old, new)| old.trim_end() == new.trim_end())
        .count();
    let offset = old.len() - old.trim_start().len();
    let body = old.find(contents).unwrap_or(offset);
    let start = body
        + contents
            .split_inclusive('\n')
            .take(same)
            .map(str::len)
            .sum::<usize>();
    let line = contents.lines().nth(same).unwrap_or_default();
    let new = rendered.text.lines().nth(same).unwrap_or("the end");
    let file = SourceFile::new(path.display().to_string(), old);
    let mut finding = Diagnostic::new(
        Code::SnapshotDiffers,
        format!("{} changed", fixture.display()),
        "read the difference above; if it is meant, run cargo xtask validate --accept and commit it",
    )
    .at(&file, start..start + line.len(), format!("is now: {}", crate::explain::shorten(new, 100)));
    let from_qid = ["QID", "description", "severity", "low level", "high level"];
    if from_qid.iter().any(|name| new.starts_with(name)) {
        let event = rendered
            .text
            .lines()
            .take(same + 1)
            .filter(|l| l.starts_with("== event "))
            .count();
        let qid = event
            .checked_sub(1)
            .and_then(|index| rendered.qids.get(index).copied().flatten());
        let records = &mapping.qids().records;
        if let Some(record) = records
            .iter()
            .position(|record| Some(record.qid as usize) == qid)
        {
            let branch = &mapping.branches()[mapping.qid_branch(record)];
            finding = finding.at(&branch.file, branch.span.clone(), "it comes from here");
        }
    }
    finding
}

/// The lines that differ, each with three lines around it.
fn diff(old: &str, new: &str) -> String {
    let new = new.trim_end();
    let diff = TextDiff::from_lines(old, new);
    let mut out = String::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            out.push_str("  ...\n");
        }
        for op in group {
            for change in diff.iter_changes(op) {
                let sign = match change.tag() {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                let _ = writeln!(out, "{sign} {}", change.value().trim_end_matches('\n'));
            }
        }
    }
    out
}
