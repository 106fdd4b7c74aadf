//! What a loader or a checker has to say, as data.
//!
//! Rendering (terminal, JSON, SARIF) is the business of other crates: a [`Diagnostic`] only knows its stable
//! [`Code`], the places it talks about, why it matters and what to do about it.

pub(crate) use settings::listed;
pub use settings::{nearest, suggest};

use crate::steps;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub use crate::codes::Code;

/// A text that diagnostics point into.
#[derive(Debug)]
pub struct SourceFile {
    /// The name shown to the user, usually a path relative to where the tool was started.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Line and column of every [`BLOCK`]th byte, made when somebody asks for a place.
    marks: OnceLock<Vec<(usize, usize)>>,
}

/// How many bytes lie between two places whose line and column are kept.
const BLOCK: usize = 1024;

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.text) == (&other.name, &other.text)
    }
}

impl Eq for SourceFile {}

impl Hash for SourceFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.text).hash(state);
    }
}

impl SourceFile {
    /// A named text, ready to be shared by labels.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            text: text.into(),
            marks: OnceLock::new(),
        })
    }

    /// Line and column, both from 1, of a byte offset; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let bytes = self.text.as_bytes();
        let marks = self.marks.get_or_init(|| {
            let mut place = (1, 1);
            bytes
                .chunks(BLOCK)
                .map(|block| {
                    let next = behind(place, block);
                    std::mem::replace(&mut place, next)
                })
                .chain([(1, 1)])
                .collect()
        });
        // A file that ends with a block has its end in the block before.
        let block = (offset / BLOCK).min(marks.len().saturating_sub(2));
        let (start, place) = (block * BLOCK, marks[block]);
        steps::count(offset - start);
        behind(place, &bytes[start..offset])
    }
}

/// Line and column behind some bytes. They may begin or end within a character.
fn behind((line, column): (usize, usize), bytes: &[u8]) -> (usize, usize) {
    let starts = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    match memchr::memrchr(b'\n', bytes) {
        Some(last) => (
            line + memchr::memchr_iter(b'\n', bytes).count(),
            1 + starts(&bytes[last + 1..]),
        ),
        None => (line, column + starts(bytes)),
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Works, but probably not as meant.
    Warning,
    /// The mapping cannot be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A place in a file and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Byte range in the text of the file.
    pub span: Range<usize>,
    /// A few words, shown beside the underlined text. May be empty.
    pub text: String,
}

/// One finding. The first label is the primary place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// One line that names the thing and says what is wrong with it.
    pub message: String,
    /// Places, the primary one first.
    pub labels: Vec<Label>,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub help: String,
}

impl Diagnostic {
    /// A finding with the severity and the explanation of its code.
    pub fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            labels: Vec::new(),
            why: code.why().to_owned(),
            help: help.into(),
        }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(
        mut self,
        file: &Arc<SourceFile>,
        span: Range<usize>,
        text: impl Into<String>,
    ) -> Self {
        self.labels.push(Label {
            file: Arc::clone(file),
            span,
            text: text.into(),
        });
        self
    }

    /// Replaces the general explanation of the code by one for this case.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Replaces the severity of the code, for callers that are more lenient than a shipped mapping may be.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Where the finding is, for sorting: file name, then offset.
    pub fn place(&self) -> (&str, usize) {
        self.labels.first().map_or(("", 0), |label| {
            (label.file.name.as_str(), label.span.start)
        })
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: error[DSM003]: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = self.labels.first() {
            let (line, column) = label.file.line_column(label.span.start);
            write!(f, "{}:{line}:{column}: ", label.file.name)?;
        }
        write!(f, "{}[{}]: {}", self.severity, self.code, self.message)
    }
}

/// How many findings a list holds. What comes after them is counted.
pub const MAX_FINDINGS: usize = 10_000;

fn omitted(count: usize) -> String {
    match count {
        1 => "1 further finding is not shown".to_owned(),
        _ => format!("{count} further findings are not shown"),
    }
}

/// A list of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// How many findings are left out; the last of the list says so.
    omitted: usize,
}

impl Diagnostics {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.omitted == 0 && self.list.len() < MAX_FINDINGS {
            self.list.push(diagnostic);
        } else {
            self.omit(1, diagnostic.severity);
        }
    }

    fn omit(&mut self, count: usize, severity: Severity) {
        self.omitted += count;
        let mut notices = self.list.iter_mut().rev();
        let severity = match notices.find(|finding| finding.code == Code::FindingsOmitted) {
            Some(notice) => {
                notice.message = omitted(self.omitted);
                notice.severity = notice.severity.max(severity);
                return;
            }
            None => severity,
        };
        self.list.push(
            Diagnostic::new(
                Code::FindingsOmitted,
                omitted(self.omitted),
                "mend the first ones; most of the others probably have the same cause",
            )
            .with_severity(severity),
        );
    }

    /// Adds all findings of another list.
    pub fn append(&mut self, other: Self) {
        for finding in other.list {
            if finding.code == Code::FindingsOmitted {
                self.omit(other.omitted, finding.severity);
            } else {
                self.push(finding);
            }
        }
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }

    /// Sorts by file and place, so that the order says nothing about how the loader works inside. The files of a
    /// mapping come in the order in which a person reads them: what one says, the next relies on.
    pub fn sort(&mut self) {
        let key = |finding: &Diagnostic| {
            let (name, offset) = finding.place();
            let (folder, file) = name.rsplit_once(['/', '\\']).unwrap_or(("", name));
            let rank = match file {
                "manifest.toml" => 1,
                "extension.xml" => 2,
                "qidmap.csv" => 3,
                "event-mappings.csv" => 4,
                _ => 0,
            };
            let is_notice = finding.code == Code::FindingsOmitted;
            (is_notice, folder.to_owned(), rank, file.to_owned(), offset)
        };
        self.list
            .sort_by_cached_key(|finding| (key(finding), finding.code, finding.message.clone()));
    }

    /// Keeps only some of the findings.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// How many letters a [`Suggester`] compares.
const MAX_COMPARED: usize = 30_000_000;

/// Finds what misspelt names were meant to be, until that has taken so long that the file is not one with a few slips.
#[derive(Debug, Default)]
pub(crate) struct Suggester {
    compared: usize,
}

impl Suggester {
    /// The same as [`nearest`].
    pub(crate) fn nearest<'a>(&mut self, wrong: &str, known: &[&'a str]) -> Option<&'a str> {
        let length = |name: &str| name.len().min(settings::MAX_COMPARED);
        let letters: usize = known.iter().map(|name| 1 + length(name)).sum();
        self.compared = self
            .compared
            .saturating_add(letters.saturating_mul(1 + length(wrong)));
        if self.compared > MAX_COMPARED {
            return None;
        }
        steps::count(letters);
        nearest(wrong, known.iter().copied())
    }

    /// The same as [`suggest`].
    pub(crate) fn suggest(&mut self, wrong: &str, what: &str, known: &[&str]) -> String {
        match self.nearest(wrong, known) {
            Some(_) => suggest(wrong, what, known),
            None => format!("{what}: {}", listed(known)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let file = SourceFile::new("f", "a\nbé\u{1F600}x");
        assert_eq!(file.line_column(0), (1, 1));
        assert_eq!(file.line_column(file.text.len() - 1), (2, 4));
        assert_eq!(file.line_column(999), (2, 5));
    }

    #[test]
    fn lines_and_columns_are_the_same_in_a_long_file() {
        for unit in ["é", "a\n", "\u{1F600}xy", "0123456789abcdef"] {
            for count in [0, 1, 512, 1024, 1500] {
                let file = SourceFile::new("f", unit.repeat(count));
                for offset in (0..=file.text.len()).filter(|at| file.text.is_char_boundary(*at)) {
                    let before = &file.text[..offset];
                    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
                    let expected = (
                        before.matches('\n').count() + 1,
                        before[line..].chars().count() + 1,
                    );
                    assert_eq!(
                        file.line_column(offset),
                        expected,
                        "{unit:?} {count} {offset}"
                    );
                }
            }
        }
    }

    #[test]
    fn findings_that_are_left_out_are_counted_wherever_they_come_from() {
        let finding = |code| Diagnostic::new(code, "x", "");
        let mut all = Diagnostics::new();
        for _ in 0..3 {
            let mut one = Diagnostics::new();
            for _ in 0..MAX_FINDINGS {
                one.push(finding(Code::PatternUnused));
            }
            one.push(finding(Code::XmlMalformed));
            all.append(one);
        }
        all.sort();
        assert_eq!(all.len(), MAX_FINDINGS + 1);
        let last = all.iter().last().unwrap();
        assert_eq!(last.message, "20003 further findings are not shown");
        assert!(all.has_errors());
    }
}
