//! What a loader or a checker has to say, as data.
//!
//! Rendering (terminal, JSON, SARIF) is the business of other crates: a [`Diagnostic`] only knows its stable
//! [`Code`], the places it talks about, why it matters and what to do about it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use crate::codes::Code;

/// A text that diagnostics point into.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SourceFile {
    /// The name shown to the user, usually a path relative to where the tool was started.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// A named text, ready to be shared by labels.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            text: text.into(),
        })
    }

    /// Line and column, both from 1, of a byte offset; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
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

/// A list of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all findings of another list.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|d| d.severity == severity).count()
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
            (folder.to_owned(), rank, file.to_owned(), offset)
        };
        self.0.sort_by(|a, b| {
            key(a)
                .cmp(&key(b))
                .then_with(|| a.code.cmp(&b.code))
                .then_with(|| a.message.cmp(&b.message))
        });
    }

    /// Keeps only some of the findings.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.0.retain(keep);
    }

    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The known name that `wrong` was probably meant to be, if one is near enough: by its letters, or because one of the
/// two contains the other.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(wrong);
    // Shorter words are part of too many names.
    let within = |name: &[char]| {
        let (short, long) = if name.len() < folded.len() {
            (name, folded.as_slice())
        } else {
            (folded.as_slice(), name)
        };
        short.len() >= 4 && long.windows(short.len()).any(|part| part == short)
    };
    known
        .into_iter()
        .filter_map(|name| {
            let letters = fold(name);
            let distance = edit_distance(&folded, &letters);
            let near = distance <= 1 + letters.len() / 6;
            (near || within(&letters)).then_some(((!near, distance), name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean "x"? ` where a known name is near, then the list of the known ones.
pub fn suggest(wrong: &str, what: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? {what}: {list}"),
        None => format!("{what}: {list}"),
    }
}

/// Case, blanks, hyphens and underscores are what people most often get wrong.
fn fold(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let substituted = previous[j] + usize::from(ca != cb);
            current.push(substituted.min(previous[j + 1] + 1).min(current[j] + 1));
        }
        previous = current;
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_name_finds_the_real_one() {
        let known = ["SourceIp", "SourcePort", "UserName"];
        assert_eq!(nearest("sourceip", known), Some("SourceIp"));
        assert_eq!(nearest("Username", known), Some("UserName"));
        assert_eq!(nearest("Quux", known), None);
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let file = SourceFile::new("f", "a\nbé\u{1F600}x");
        assert_eq!(file.line_column(0), (1, 1));
        assert_eq!(file.line_column(file.text.len() - 1), (2, 4));
        assert_eq!(file.line_column(999), (2, 5));
    }
}
