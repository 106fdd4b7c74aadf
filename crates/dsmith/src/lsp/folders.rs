//! The folders of which something is open in the editor, and what is known about each.

use super::place::{file_of, range, uri_of};
use super::{Check, Research};
use authoring::language::{self, Change, Checked, Lines, Student, Study, View};
use dsm::diagnostic::{self, Severity, SourceFile};
use dsm::lsx::{self, Document};
use dsm::mapping::{FILES, Source};
use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString,
    PublishDiagnosticsParams, Range, TextEdit, Uri,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The longest text that is looked at, in bytes.
const LONGEST: usize = 8 << 20;
/// Who found something.
const SOURCE: &str = "dsmith";
const EXTENSION: &str = "extension.xml";
/// How many findings of a file are told.
const MOST: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Folders {
    all: BTreeMap<PathBuf, Folder>,
    /// How many changes there were: each check and study belongs to one.
    changes: u64,
}

/// A folder with something open. It is forgotten when that is closed.
#[derive(Debug, Default)]
struct Folder {
    /// By the name of the file.
    open: BTreeMap<&'static str, Open>,
    /// The extension, read; of the text that is open.
    document: Option<Arc<Document>>,
    change: u64,
    /// The last check, and the change that it is of.
    checked: Option<(u64, Arc<Checked>)>,
    student: Arc<Mutex<Student>>,
    study: Option<Arc<Study>>,
    /// What was told last, by file.
    told: BTreeMap<&'static str, Told>,
}

#[derive(Debug)]
struct Open {
    /// As the editor writes it.
    uri: Uri,
    version: i32,
    /// Nothing if the text is too long to be looked at.
    file: Option<Arc<SourceFile>>,
}

#[derive(Debug, PartialEq)]
struct Told {
    uri: Uri,
    version: Option<i32>,
    diagnostics: Vec<Diagnostic>,
}

impl Folders {
    /// Takes a text that was opened; its folder, if it belongs to a mapping.
    pub(super) fn open(&mut self, uri: &Uri, version: i32, text: String) -> Option<PathBuf> {
        let (path, name) = file_of(uri)?;
        if !self.all.contains_key(&path) && !is_mapping(&path, name, &text) {
            return None;
        }
        self.changes += 1;
        let folder = self.all.entry(path.clone()).or_default();
        folder.set(self.changes, uri, &path, name, version, text);
        Some(path)
    }

    /// Takes a text that was changed.
    pub(super) fn edit(&mut self, uri: &Uri, version: i32, text: String) -> Option<PathBuf> {
        let (path, name) = file_of(uri)?;
        let folder = self.all.get_mut(&path)?;
        // An editor opens before it edits; the text of another would be a guess.
        folder.open.get(name)?;
        self.changes += 1;
        folder.set(self.changes, uri, &path, name, version, text);
        Some(path)
    }

    /// Forgets a text, and the folder with it if nothing else of it is open: then the files of which something was told.
    pub(super) fn close(&mut self, uri: &Uri) -> Option<(PathBuf, Option<Vec<Uri>>)> {
        let (path, name) = file_of(uri)?;
        let folder = self.all.get_mut(&path)?;
        folder.open.remove(name)?;
        if !folder.open.is_empty() {
            self.changes += 1;
            folder.document = None;
            folder.change = self.changes;
            return Some((path, None));
        }
        let folder = self.all.remove(&path)?;
        let told = folder.told.into_values();
        let told = told.filter(|told| !told.diagnostics.is_empty());
        Some((path, Some(told.map(|told| told.uri).collect())))
    }

    /// The folders that some paths belong to, as a file of the mapping or as a fixture.
    pub(super) fn with(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        let has = |folder: &&PathBuf| {
            let fixtures = language::fixtures_of(folder);
            let mut paths = paths.iter();
            paths.any(|path| path.starts_with(folder) || path.starts_with(&fixtures))
        };
        self.all.keys().filter(has).cloned().collect()
    }

    /// What a check of a folder is made of, as it is now.
    pub(super) fn check(&self, path: &Path) -> Option<Check> {
        let folder = self.all.get(path)?;
        let open = folder.open.iter();
        Some(Check {
            change: folder.change,
            edited: open
                .filter_map(|(name, open)| {
                    Some(((*name).to_owned(), Arc::clone(open.file.as_ref()?)))
                })
                .collect(),
        })
    }

    /// Takes what a check has found; what is to be studied now, if nothing was changed since.
    pub(super) fn checked(
        &mut self,
        path: &Path,
        change: u64,
        checked: Checked,
    ) -> Option<Research> {
        let folder = self.all.get_mut(path)?;
        let checked = Arc::new(checked);
        folder.checked = Some((change, Arc::clone(&checked)));
        (change == folder.change).then(|| Research {
            student: Arc::clone(&folder.student),
            checked,
        })
    }

    /// Takes a study; whether it is a new one.
    pub(super) fn studied(&mut self, path: &Path, study: &Arc<Study>) -> bool {
        let Some(folder) = self.all.get_mut(path) else {
            return false;
        };
        let known = folder.study.replace(Arc::clone(study));
        known.is_none_or(|known| !Arc::ptr_eq(&known, study))
    }

    /// What is known of an extension that is open, and its lines.
    pub(super) fn view<T>(
        &mut self,
        uri: &Uri,
        use_it: impl FnOnce(View<'_>, &Lines<'_>) -> T,
    ) -> Option<T> {
        let (path, name) = file_of(uri)?;
        let folder = self.all.get_mut(&path)?;
        if name != EXTENSION {
            return None;
        }
        let file = folder.open.get(name)?.file.as_ref()?;
        let document = match &folder.document {
            Some(document) => Arc::clone(document),
            None => {
                let document = Arc::new(lsx::parse(file).0);
                folder.document = Some(Arc::clone(&document));
                document
            }
        };
        let view = View {
            document: &document,
            checked: folder.checked.as_ref().map(|(_, checked)| &**checked),
            study: folder.study.as_deref(),
        };
        Some(use_it(view, &Lines::new(&document.file.text)))
    }

    /// The fixes for what is found in a range of a file, with the findings as they were told. There are none while the
    /// lints have not seen the text as it is now.
    pub(super) fn fixes(&self, uri: &Uri, at: Range) -> Option<Vec<Mend>> {
        let (path, name) = file_of(uri)?;
        let folder = self.all.get(&path)?;
        let study = folder.study.as_ref()?;
        let source = folder.current()?.source.as_ref()?;
        if !study.is_of(source) {
            return None;
        }
        let places = Places::of(&path, folder, Some(source));
        let mut fixes = Vec::new();
        for finding in &study.lints {
            let Some(fix) = &finding.fix else { continue };
            let of_file = language::file_of(&path, &finding.diagnostic) == Some(name);
            let Some(label) = finding.diagnostic.labels.first().filter(|_| of_file) else {
                continue;
            };
            let Some(found) = places.range(name, &label.span) else {
                continue;
            };
            if found.end < at.start || at.end < found.start {
                continue;
            }
            let target = language::file_name(fix.part);
            let edits: Option<Vec<TextEdit>> = fix
                .edits
                .iter()
                .map(|edit| {
                    Some(TextEdit::new(
                        places.range(target, &edit.span)?,
                        edit.text.clone(),
                    ))
                })
                .collect();
            if let (Some(edits), Some(uri)) = (edits, folder.uri(&path, target)) {
                fixes.push(Mend {
                    title: fix.title.clone(),
                    diagnostic: places.diagnostic(&finding.diagnostic, found, true),
                    uri,
                    edits,
                });
            }
        }
        Some(fixes)
    }

    /// What is found in the files of a folder, of those files where it is new. Nothing while the text has changed since
    /// the last check: that of the new text is on its way.
    pub(super) fn news(&mut self, path: &Path) -> Vec<PublishDiagnosticsParams> {
        let Some(folder) = self.all.get_mut(path) else {
            return Vec::new();
        };
        let mut news = Vec::new();
        for (name, told) in folder.found(path) {
            let known = folder.told.get(name);
            let is_nothing = told.diagnostics.is_empty() && told.version.is_none();
            if known == Some(&told) || known.is_none() && is_nothing {
                continue;
            }
            news.push(PublishDiagnosticsParams::new(
                told.uri.clone(),
                told.diagnostics.clone(),
                told.version,
            ));
            folder.told.insert(name, told);
        }
        news
    }
}

/// A fix, as edits of one file.
#[derive(Debug)]
pub(super) struct Mend {
    pub(super) title: String,
    pub(super) diagnostic: Diagnostic,
    pub(super) uri: Uri,
    pub(super) edits: Vec<TextEdit>,
}

impl Folder {
    fn set(
        &mut self,
        change: u64,
        uri: &Uri,
        path: &Path,
        name: &'static str,
        version: i32,
        text: String,
    ) {
        let is_short = text.len() <= LONGEST;
        let file = is_short.then(|| SourceFile::new(path.join(name).display().to_string(), text));
        let open = Open {
            uri: uri.clone(),
            version,
            file,
        };
        self.open.insert(name, open);
        self.change = change;
        if name == EXTENSION {
            self.document = None;
        }
    }

    /// The last check, if it is of the text as it is now.
    fn current(&self) -> Option<&Checked> {
        let (change, checked) = self.checked.as_ref()?;
        (*change == self.change).then_some(checked)
    }

    fn uri(&self, path: &Path, name: &str) -> Option<Uri> {
        match self.open.get(name) {
            Some(open) => Some(open.uri.clone()),
            None => uri_of(&path.join(name)),
        }
    }

    /// Everything that is found, by file.
    fn found(&self, path: &Path) -> Vec<(&'static str, Told)> {
        let Some(checked) = self.current() else {
            return Vec::new();
        };
        let mut by_file: BTreeMap<&'static str, Vec<Diagnostic>> = BTreeMap::new();
        let places = Places::of(path, self, checked.source.as_ref());
        for finding in &checked.findings {
            let name = language::file_of(path, finding);
            let span = finding
                .labels
                .first()
                .map_or(0..0, |label| label.span.clone());
            let range = name.and_then(|name| places.range(name, &span));
            // What is about the folder stands at the beginning of something that can be seen.
            let Some(name) = name.or_else(|| self.open.keys().next().copied()) else {
                continue;
            };
            let told = places.diagnostic(finding, range.unwrap_or_default(), true);
            by_file.entry(name).or_default().push(told);
        }
        if let Some(study) = &self.study {
            self.lints(path, study, &places, &mut by_file);
        }
        let all = FILES.into_iter().filter_map(|name| {
            let open = self.open.get(name);
            let mut diagnostics = by_file.remove(name).unwrap_or_default();
            if open.is_some_and(|open| open.file.is_none()) {
                diagnostics = vec![too_long()];
            }
            diagnostics.truncate(MOST);
            let told = Told {
                uri: self.uri(path, name)?,
                version: open.map(|open| open.version),
                diagnostics,
            };
            Some((name, told))
        });
        all.collect()
    }

    /// What the lints said about the text that they saw, where that is now.
    fn lints(
        &self,
        path: &Path,
        study: &Study,
        places: &Places<'_>,
        by_file: &mut BTreeMap<&'static str, Vec<Diagnostic>>,
    ) {
        let mut changes: BTreeMap<&str, Change> = BTreeMap::new();
        for finding in &study.lints {
            let name = language::file_of(path, &finding.diagnostic);
            let (Some(name), Some(label)) = (name, finding.diagnostic.labels.first()) else {
                continue;
            };
            let Some(text) = places.text(name) else {
                continue;
            };
            let change = changes
                .entry(name)
                .or_insert_with(|| Change::between(&label.file.text, text));
            let span = change.carry(&label.span);
            let Some(range) = span.and_then(|span| places.range(name, &span)) else {
                continue;
            };
            let told = places.diagnostic(&finding.diagnostic, range, false);
            by_file.entry(name).or_default().push(told);
        }
    }
}

/// The texts of a folder, and places in them as editors count.
struct Places<'t> {
    path: &'t Path,
    files: BTreeMap<&'static str, (&'t SourceFile, Lines<'t>, Uri)>,
}

impl<'t> Places<'t> {
    fn of(path: &'t Path, folder: &'t Folder, source: Option<&'t Source>) -> Self {
        let mut files = BTreeMap::new();
        for (index, name) in FILES.into_iter().enumerate() {
            let open = folder.open.get(name).and_then(|open| open.file.as_deref());
            let read = source.map(|source| {
                let files = [
                    &source.manifest,
                    &source.extension,
                    &source.qidmap,
                    &source.event_mappings,
                ];
                &**files[index]
            });
            if let (Some(file), Some(uri)) = (read.or(open), folder.uri(path, name)) {
                files.insert(name, (file, Lines::new(&file.text), uri));
            }
        }
        Self { path, files }
    }

    fn text(&self, name: &str) -> Option<&'t str> {
        self.files.get(name).map(|(file, ..)| file.text.as_str())
    }

    fn range(&self, name: &str, span: &std::ops::Range<usize>) -> Option<Range> {
        let (_, lines, _) = self.files.get(name)?;
        Some(range(lines, span))
    }

    /// A finding at a place, with the other places that it speaks of if they are those of the texts.
    fn diagnostic(
        &self,
        found: &diagnostic::Diagnostic,
        range: Range,
        with_others: bool,
    ) -> Diagnostic {
        let others = found.labels.iter().skip(1).filter(|_| with_others);
        let related: Vec<DiagnosticRelatedInformation> = others
            .filter_map(|label| {
                let name = FILES
                    .into_iter()
                    .find(|name| self.path.join(name).display().to_string() == label.file.name)?;
                let (_, lines, uri) = self.files.get(name)?;
                Some(DiagnosticRelatedInformation {
                    location: Location::new(uri.clone(), super::place::range(lines, &label.span)),
                    message: label.text.clone(),
                })
            })
            .collect();
        Diagnostic {
            range,
            severity: Some(match found.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
            }),
            code: Some(NumberOrString::String(found.code.as_str().to_owned())),
            source: Some(SOURCE.to_owned()),
            message: format!("{}\n{}\n{}", found.message, found.why, found.help),
            related_information: (!related.is_empty()).then_some(related),
            ..Diagnostic::default()
        }
    }
}

fn too_long() -> Diagnostic {
    Diagnostic {
        severity: Some(DiagnosticSeverity::WARNING),
        source: Some(SOURCE.to_owned()),
        message: format!(
            "the file has more than {LONGEST} bytes: the language server does not look at it; dsmith check does"
        ),
        ..Diagnostic::default()
    }
}

/// Whether a file of this name belongs to a mapping: other programs have a `manifest.toml` and an `extension.xml` too.
fn is_mapping(folder: &Path, name: &str, text: &str) -> bool {
    let is_among_mappings = folder
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|parent| parent == "dsm-mappings");
    is_among_mappings
        || if name == EXTENSION {
            text.contains("device-extension")
        } else {
            folder.join(EXTENSION).is_file()
        }
}
