//! What is wrong with a mapping beyond errors: what works, and is slow, dead, misleading or lost on the way to QRadar.
//!
//! Each lint is a [`Code`] with a row in `table`. A finding has a subject, such as `pattern/Attempt`, by which the author
//! can allow it in the manifest with a reason, and perhaps a [`Fix`]. A fix is applied only if every payload of the corpus
//! gives the same event afterwards.

mod attack;
mod dates;
mod earlier;
mod fix;
mod fixtures;
mod json;
mod order;
mod qradar;
pub mod table;
mod values;

pub use fix::{Fixed, fix, keep_safe};

use crate::replay::Corpus;
use crate::rewrite::Edit;
use dsm::Mapping;
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use dsm::lsx::{self, Document, PatternType};
use dsm::mapping::Source;
use dsm::options::Options;
use java_regex::{JavaRegex, Room};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// A file of a mapping folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `manifest.toml`
    Manifest,
    /// `extension.xml`
    Extension,
    /// `qidmap.csv`
    QidMap,
    /// `event-mappings.csv`
    EventMappings,
}

impl Part {
    /// The file.
    pub fn of(self, source: &Source) -> &Arc<SourceFile> {
        match self {
            Self::Manifest => &source.manifest,
            Self::Extension => &source.extension,
            Self::QidMap => &source.qidmap,
            Self::EventMappings => &source.event_mappings,
        }
    }
}

/// A change that mends a finding.
#[derive(Debug, Clone)]
pub struct Fix {
    /// What it does, in a few words.
    pub title: String,
    /// The changes, all of them in one file.
    pub edits: Vec<Edit>,
    /// The file.
    pub part: Part,
}

/// A finding of a lint.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What there is to say.
    pub diagnostic: Diagnostic,
    /// What it is about.
    pub subject: String,
    /// How it can be mended without a change of events.
    pub fix: Option<Fix>,
}

/// A finding that the author allows.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// The lint.
    pub code: Code,
    /// How many findings there are.
    pub count: usize,
    /// Why it is all right.
    pub reason: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What the check of the mapping says; with errors no lint was run.
    pub checked: Diagnostics,
    /// What the lints say and nobody allows, in the order of the files.
    pub findings: Vec<Finding>,
    /// What is allowed.
    pub allowed: Vec<Allowed>,
}

impl Report {
    /// Everything that nobody allows.
    pub fn diagnostics(&self) -> Diagnostics {
        let mut out = self.checked.clone();
        for finding in &self.findings {
            out.push(finding.diagnostic.clone());
        }
        out.sort();
        out
    }
}

/// Lints a mapping. The corpus shows how payloads look; it may be empty. Its fixtures are linted too.
pub fn lint(source: &Source, corpus: &Corpus) -> Report {
    let (mapping, checked) = Mapping::load(source);
    let Some(mapping) = mapping else {
        return Report {
            checked,
            ..Report::default()
        };
    };
    let document = lsx::parse(&source.extension).0;
    let subject = Subject::new(source, &document, &mapping, corpus);
    let mut findings = Vec::new();
    attack::lint(&subject, &mut findings);
    fixable(&subject, &mut findings);
    values::lint(&subject, &mut findings);
    dates::lint(&subject, &mut findings);
    qradar::lint(&subject, &mut findings);
    fixtures::lint(&subject, &mut findings);
    let (mut findings, allowed) = allow(&mapping, source, findings);
    let place = |finding: &Finding| {
        let label = finding.diagnostic.labels.first();
        let part = [
            Part::Manifest,
            Part::Extension,
            Part::QidMap,
            Part::EventMappings,
        ]
        .into_iter()
        .position(|part| label.is_some_and(|label| label.file == *part.of(source)));
        // Fixtures come behind the files of the mapping.
        (
            part.unwrap_or(usize::MAX),
            label
                .map(|label| label.file.name.clone())
                .filter(|_| part.is_none()),
            label.map(|label| label.span.start),
            finding.diagnostic.code,
        )
    };
    findings.sort_by_key(place);
    Report {
        checked,
        findings,
        allowed,
    }
}

/// What the lints say, a line of JSON for each finding: as [`render`](crate::render) writes it, and its subject, and what
/// the fix would do.
pub fn json(report: &Report) -> String {
    report
        .findings
        .iter()
        .map(|finding| {
            let mut value = crate::render::as_json(&finding.diagnostic);
            value["subject"] = finding.subject.clone().into();
            if let Some(fix) = &finding.fix {
                value["fix"] = fix.title.clone().into();
            }
            value.to_string() + "\n"
        })
        .collect()
}

/// The lints that may bring a fix.
fn fixable(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    attack::leading(subject, out);
    order::lint(subject, out);
    json::lint(subject, out);
}

/// Parts the findings that the manifest allows from the others, and says which allow has nothing to allow.
fn allow(
    mapping: &Mapping,
    source: &Source,
    findings: Vec<Finding>,
) -> (Vec<Finding>, Vec<Allowed>) {
    let allows = &mapping.manifest().allows;
    let mut counts = vec![0; allows.len()];
    let mut rest = Vec::new();
    for finding in findings {
        let by = allows.iter().position(|allow| {
            allow.lint == finding.diagnostic.code
                && (allow.at.is_empty()
                    || allow
                        .at
                        .iter()
                        .any(|glob| is_like(&finding.subject, &glob.value)))
        });
        match by {
            Some(index) => counts[index] += 1,
            None => rest.push(finding),
        }
    }
    let mut allowed = Vec::new();
    for (allow, count) in allows.iter().zip(counts) {
        if count > 0 {
            allowed.push(Allowed {
                code: allow.lint,
                count,
                reason: allow.reason.clone(),
            });
            continue;
        }
        rest.push(Finding {
            diagnostic: Diagnostic::new(
                Code::AllowUnused,
                format!("there is no finding of {} to allow", allow.lint),
                "remove the table; dsmith lint --fix does",
            )
            .at(
                &source.manifest,
                header(&source.manifest.text, &allow.span),
                "",
            ),
            subject: format!("allow/{}", allow.lint),
            fix: Some(Fix {
                title: format!("remove the allow of {}", allow.lint),
                edits: vec![Edit::remove(table(&source.manifest.text, &allow.span))],
                part: Part::Manifest,
            }),
        });
    }
    (rest, allowed)
}

/// The line with which a table begins.
fn header(text: &str, span: &Range<usize>) -> Range<usize> {
    let end = text[span.start..]
        .find('\n')
        .map_or(text.len(), |at| span.start + at);
    span.start..end
}

/// A table with all its lines, up to the next one and the comments before that.
fn table(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..span.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let rest = &text[start..];
    let next = rest
        .match_indices("\n[")
        .map(|(at, _)| at + 1)
        .next()
        .unwrap_or(rest.len());
    let mut kept: Vec<&str> = rest[..next].split_inclusive('\n').collect();
    while kept.last().is_some_and(|line| line.starts_with('#')) {
        kept.pop();
    }
    start..start + kept.iter().map(|line| line.len()).sum::<usize>()
}

/// Whether a text is like a pattern in which `*` stands for any text.
fn is_like(text: &str, glob: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some("") => true,
        Some(part) => text.ends_with(part),
    }
}

/// What is linted, and what is known about it.
struct Subject<'s> {
    source: &'s Source,
    document: &'s Document,
    mapping: &'s Mapping,
    corpus: &'s Corpus,
    by_id: HashMap<&'s str, usize>,
    /// The regular expression of each pattern that is read as one.
    regexes: Vec<Option<JavaRegex>>,
}

impl<'s> Subject<'s> {
    fn new(
        source: &'s Source,
        document: &'s Document,
        mapping: &'s Mapping,
        corpus: &'s Corpus,
    ) -> Self {
        let mut by_id = HashMap::new();
        for (index, pattern) in document.patterns.iter().enumerate() {
            by_id.entry(pattern.id.value.as_str()).or_insert(index);
        }
        let mut read = vec![false; document.patterns.len()];
        for group in &document.groups {
            for matcher in &group.matchers {
                if let Some(&index) = by_id.get(matcher.pattern_id.value.as_str()) {
                    read[index] |= matcher.element == PatternType::JavaPattern;
                }
            }
            for multiple in &group.multiples {
                if let Some(&index) = by_id.get(multiple.value.pattern_id.value.as_str()) {
                    read[index] = true;
                }
            }
        }
        let bases: HashSet<&str> = document
            .patterns
            .iter()
            .filter_map(|pattern| Some(pattern.within.as_ref()?.value.as_str()))
            .collect();
        let mut room = Room::default();
        let regexes = document
            .patterns
            .iter()
            .zip(read)
            .map(|(pattern, read)| {
                let within = bases.contains(pattern.id.value.as_str());
                (read || within && pattern.kind() == PatternType::JavaPattern)
                    .then(|| pattern.regex_in(&mut room, mapping.options()))
                    .flatten()
            })
            .collect();
        Self {
            source,
            document,
            mapping,
            corpus,
            by_id,
            regexes,
        }
    }

    fn options(&self) -> &Options {
        self.mapping.options()
    }

    fn extension(&self) -> &Arc<SourceFile> {
        &self.source.extension
    }

    fn pattern(&self, id: &str) -> Option<(usize, &'s lsx::Pattern)> {
        let &index = self.by_id.get(id)?;
        Some((index, &self.document.patterns[index]))
    }

    /// Every matcher with its group.
    fn matchers(&self) -> impl Iterator<Item = (&'s lsx::Group, &'s lsx::Matcher)> + use<'s> {
        let groups = &self.document.groups;
        groups
            .iter()
            .flat_map(|group| group.matchers.iter().map(move |matcher| (group, matcher)))
    }
}

fn pattern_subject(pattern: &lsx::Pattern) -> String {
    format!("pattern/{}", pattern.id.value)
}

fn matcher_subject(group: &lsx::Group, matcher: &lsx::Matcher) -> String {
    format!(
        "group/{}/{}/{}",
        group.order.value, matcher.field.value, matcher.order.value
    )
}

/// The text that a matcher yields whenever its pattern is found, if it is a constant.
fn constant(matcher: &lsx::Matcher) -> Option<&str> {
    if matcher.element != PatternType::JavaPattern {
        return None;
    }
    let capture = matcher.capture_group.as_ref()?.value.as_str();
    let substitutes = matcher
        .enable_substitutions
        .as_ref()
        .is_some_and(|flag| flag.value);
    if !substitutes && capture.trim().parse::<usize>().is_ok() {
        return None;
    }
    let groups = capture
        .match_indices('\\')
        .any(|(at, _)| capture[at + 1..].starts_with(|c: char| matches!(c, '1'..='9')));
    (!groups && !capture.trim().is_empty()).then_some(capture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (text, glob, like) in [
            ("pattern/A", "pattern/A", true),
            ("pattern/AB", "pattern/A", false),
            ("pattern/AB", "pattern/A*", true),
            ("group/1/UserName/2", "group/*/UserName/*", true),
            ("group/1/HostName/2", "group/*/UserName/*", false),
            ("abcab", "*ab", true),
            ("abc", "*ab", false),
            ("", "*", true),
        ] {
            assert_eq!(is_like(text, glob), like, "{text} {glob}");
        }
    }

    #[test]
    fn a_table_of_toml_ends_where_the_next_one_begins() {
        let text = "a = 1\n\n[[allow]]\nlint = \"x\"\n\n# about the next\n[[property]]\nname = 1\n";
        let start = text.find("[[allow").unwrap();
        let rest = crate::rewrite::apply(text, &[Edit::remove(table(text, &(start..start + 5)))]);
        assert_eq!(rest, "a = 1\n\n# about the next\n[[property]]\nname = 1\n");
    }
}
