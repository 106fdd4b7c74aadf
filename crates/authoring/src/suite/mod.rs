//! The evidence of a mapping: fixtures, their snapshots, and what they do not reach.

mod junit;
pub(crate) mod report;
mod selection;
pub(crate) mod unreached;

pub use junit::junit;
pub use report::{Shown, report, report_json};
pub use selection::Selection;

use crate::folder::{self, FolderError, Library};
use crate::input;
use crate::snapshot::{self, Rendered};
use dsm::Mapping;
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
pub(crate) use selection::name_below;
use selection::{Part, name_of};
use similar::{ChangeTag, TextDiff};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where the mappings and the fixtures are, and what to do with differences.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Folder of the mapping folders.
    pub mappings: PathBuf,
    /// Folder of the fixture folders.
    pub fixtures: PathBuf,
    /// Which fixtures are run.
    pub selection: Selection,
    /// Rewrite snapshots that differ, and take branches that are reached by now out of the list of unreached ones.
    pub accept: bool,
    /// Put branches that no fixture reaches on that list. It is a thing of its own: evidence should not get thinner
    /// because somebody accepted a snapshot.
    pub accept_unreached: bool,
    /// A branch that no fixture reaches needs its reason, and a warning is as bad as an error.
    pub strict: bool,
}

/// What a run of the suite found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Findings of the mappings and of the evidence.
    pub findings: Diagnostics,
    /// A line for each log source type.
    pub types: Vec<TypeOutcome>,
    /// What became of each fixture, in order.
    pub fixtures: Vec<FixtureOutcome>,
    /// Files written because the differences were accepted.
    pub written: Vec<PathBuf>,
    /// Names that were asked for and that nothing has.
    pub unknown: Vec<String>,
    is_strict: bool,
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
    /// Branches reached, and how many there are; nothing if only some of the fixtures were run.
    pub reached: Option<(usize, usize)>,
}

/// What became of one fixture.
#[derive(Debug)]
pub struct FixtureOutcome {
    /// The log source type.
    pub slug: String,
    /// `<slug>/<shape>/<file>`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// How many events it gives.
    pub events: usize,
    /// How the snapshot compares.
    pub verdict: Verdict,
    /// What differs.
    pub difference: Option<Difference>,
}

/// How a fixture compares with its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gives what the snapshot says.
    Same,
    /// It gives something else.
    Changed,
    /// There is no snapshot.
    New,
    /// The fixture or its snapshot cannot be read, or not without faults.
    Broken,
}

/// Where a fixture and its snapshot disagree.
#[derive(Debug)]
pub struct Difference {
    /// The snapshot.
    pub snapshot: PathBuf,
    /// Lines with `-` and `+` in front, and the lines around them.
    pub diff: String,
    /// The same by event and property; empty where the snapshot is new or cannot be taken apart.
    pub events: Vec<snapshot::EventChange>,
    /// The snapshot was rewritten.
    pub is_accepted: bool,
}

impl Outcome {
    /// Whether everything is as it should be. Shipped mappings may not even have warnings.
    pub fn passed(&self) -> bool {
        if self.is_strict {
            self.findings.is_empty()
        } else {
            !self.findings.has_errors()
        }
    }

    /// The differences, in order.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        let fixtures = self.fixtures.iter();
        fixtures.filter_map(|fixture| fixture.difference.as_ref())
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
    /// Runs everything that is selected.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn run(&self) -> Result<Outcome, FolderError> {
        self.run_watched(|_, _| {})
    }

    /// The same, and tells after each fixture how many are done of how many of its type.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn run_watched(&self, mut watch: impl FnMut(usize, usize)) -> Result<Outcome, FolderError> {
        let mut outcome = Outcome {
            is_strict: self.strict,
            ..Outcome::default()
        };
        let parts = self.parts(&mut outcome)?;
        if self.selection.is_everything() {
            let (library, found) = Library::load(&self.mappings)?;
            outcome.findings.append(found);
            for part in &parts {
                if let Some(mapping) = library.get(&part.slug) {
                    self.run_type(mapping, part, &mut outcome, &mut watch);
                }
            }
            self.orphan_folders(&mut outcome.findings);
        } else {
            for part in &parts {
                let (mapping, found) = folder::load(&self.mappings.join(&part.slug));
                outcome.findings.append(found);
                if let Some(mapping) = mapping {
                    self.run_type(&mapping, part, &mut outcome, &mut watch);
                }
            }
        }
        outcome.findings.sort();
        Ok(outcome)
    }

    /// What is run of each type.
    fn parts(&self, outcome: &mut Outcome) -> Result<Vec<Part>, FolderError> {
        let mut unknown: BTreeSet<&str> = self.selection.names.iter().map(String::as_str).collect();
        let mut parts = Vec::new();
        let folders = folder::folders(&self.mappings)?;
        let slug_of = |folder: &Path| -> String {
            let name = folder.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let slugs: BTreeSet<String> = folders.iter().map(|folder| slug_of(folder)).collect();
        for mapping in folders {
            let slug = slug_of(&mapping);
            let folder = self.fixtures.join(&slug);
            match self
                .selection
                .part(&mapping, &folder, &slug, &slugs, &mut unknown)
            {
                Ok(part) => parts.extend(part),
                Err(error) => outcome
                    .findings
                    .push(unreadable(&folder, &error.to_string())),
            }
        }
        outcome.unknown = unknown.into_iter().map(str::to_owned).collect();
        Ok(parts)
    }

    fn run_type(
        &self,
        mapping: &Mapping,
        part: &Part,
        outcome: &mut Outcome,
        watch: &mut impl FnMut(usize, usize),
    ) {
        let folder = self.fixtures.join(mapping.slug());
        let fixtures = &part.fixtures;
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
        for (index, fixture) in fixtures.iter().enumerate() {
            let mut result = FixtureOutcome {
                slug: mapping.slug().to_owned(),
                name: name_of(fixture, &folder, mapping.slug()),
                path: fixture.clone(),
                events: 0,
                verdict: Verdict::Broken,
                difference: None,
            };
            match std::fs::read(fixture) {
                Ok(bytes) => {
                    let rendered = snapshot::render(mapping, &bytes);
                    events += rendered.events;
                    self.compare(mapping, &mut result, &rendered, outcome);
                    reached.extend(rendered.reached);
                }
                Err(error) => outcome
                    .findings
                    .push(unreadable(fixture, &error.to_string())),
            }
            outcome.fixtures.push(result);
            watch(index + 1, fixtures.len());
        }
        if part.is_whole {
            self.orphans(&folder, fixtures, &mut outcome.findings);
            let Outcome {
                written, findings, ..
            } = &mut *outcome;
            self.unreached(mapping, &folder, &reached, written, findings);
        }
        outcome.types.push(TypeOutcome {
            slug: mapping.slug().to_owned(),
            fixtures: fixtures.len(),
            events,
            reached: part
                .is_whole
                .then(|| (reached.len(), mapping.branches().len())),
        });
    }

    fn compare(
        &self,
        mapping: &Mapping,
        result: &mut FixtureOutcome,
        rendered: &Rendered,
        outcome: &mut Outcome,
    ) {
        let fixture = &result.path;
        result.events = rendered.events;
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
        let is_same = old
            .as_deref()
            .is_some_and(|old| snapshot::same(old, &rendered.text));
        result.verdict = match &old {
            _ if !rendered.faults.is_empty() => Verdict::Broken,
            _ if is_same => Verdict::Same,
            Some(_) => Verdict::Changed,
            None => Verdict::New,
        };
        if is_same {
            return;
        }
        let before = old.as_deref().map_or("", snapshot::contents);
        if self.accept {
            match std::fs::write(&snapshot, snapshot::to_file(&rendered.text)) {
                Ok(()) => outcome.written.push(snapshot.clone()),
                Err(error) => outcome
                    .findings
                    .push(unreadable(&snapshot, &error.to_string())),
            }
        } else if let Some(old) = &old {
            outcome
                .findings
                .push(differs(mapping, fixture, &snapshot, old, rendered));
        } else {
            let place = SourceFile::new(fixture.display().to_string(), "");
            outcome.findings.push(
                Diagnostic::new(
                    Code::SnapshotMissing,
                    format!("no snapshot {}", snapshot.display()),
                    "run dsmith test --accept, read what it writes, and commit it",
                )
                .at(&place, 0..0, ""),
            );
        }
        result.difference = Some(Difference {
            diff: diff(before, &rendered.text),
            events: snapshot::changes(before, &rendered.text),
            snapshot,
            is_accepted: self.accept,
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
        "read the difference above; if it is meant, run dsmith test --accept and commit it",
    )
    .at(
        &file,
        start..start + line.len(),
        format!("is now: {}", crate::explain::shorten(new, 100)),
    );
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
