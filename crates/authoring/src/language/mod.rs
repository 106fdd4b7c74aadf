//! What an editor asks about a mapping folder: findings, what a pattern extracts, where it is, what could stand here.
//!
//! Three things take different times. What the text says (`cursor`, `parts`) is found out for each question. [`check`]
//! compiles the mapping, after each change. A [`Student`] runs the lints and every fixture when there is time for it; its
//! last [`Study`] is what answers speak of meanwhile. Nothing here knows the protocol of the editor: places are byte
//! offsets.

mod cursor;
mod members;
mod parts;
mod study;
mod text;

pub use study::{Student, Study, fixtures_of};
pub use text::{Change, Lines};

use crate::explain::shorten;
use crate::folder;
use crate::lint::Part as FilePart;
use crate::markup::escape;
use cursor::{Part, Wanted};
use dsm::Mapping;
use dsm::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use dsm::field::Field;
use dsm::keypath::{self, Piece, Step};
use dsm::lsx::{self, Document, PatternType};
use dsm::manifest::PropertyType;
use dsm::mapping::{FILES, Source};
use parts::{PartKind, parts};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use study::{Named, Reach, Shown};

/// How many values a hover shows, and how many fixtures it names for each.
const SHOWN_VALUES: usize = 12;
const SHOWN_NAMES: usize = 3;

/// A mapping folder that was checked.
#[derive(Debug, Default)]
pub struct Checked {
    /// The files; nothing if one of them cannot be read.
    pub source: Option<Source>,
    /// The mapping; nothing if there are errors.
    pub mapping: Option<Mapping>,
    /// What the check says, in the order of the files.
    pub findings: Diagnostics,
}

/// Checks a folder: the files on the disk, with what the editor has instead of some of them, by name.
pub fn check(folder: &Path, edited: &BTreeMap<String, Arc<SourceFile>>) -> Checked {
    let slug = folder.file_name().unwrap_or_default().to_string_lossy();
    let (source, mut findings) = folder::read_edited(folder, slug.into_owned(), edited);
    let mut mapping = None;
    if let Some(source) = &source {
        let (loaded, more) = Mapping::load(source);
        findings.append(more);
        mapping = loaded.filter(|_| !findings.has_errors());
    }
    findings.sort();
    Checked {
        source,
        mapping,
        findings,
    }
}

fn texts(source: &Source) -> [Arc<SourceFile>; 4] {
    FILE_PARTS.map(|part| Arc::clone(part.of(source)))
}

/// The parts in the order of [`FILES`].
const FILE_PARTS: [FilePart; 4] = [
    FilePart::Manifest,
    FilePart::Extension,
    FilePart::QidMap,
    FilePart::EventMappings,
];

/// The file of a mapping that a finding is about, by its name; nothing if it is about the folder.
pub fn file_of(folder: &Path, finding: &Diagnostic) -> Option<&'static str> {
    let (place, _) = finding.place();
    FILES
        .into_iter()
        .find(|name| folder.join(name).display().to_string() == place)
}

/// The name of a file of a mapping.
pub fn file_name(part: FilePart) -> &'static str {
    let index = FILE_PARTS.iter().position(|other| *other == part);
    FILES[index.unwrap_or(0)]
}

/// Something that could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it is called.
    pub label: String,
    /// What takes the place of [`Proposals::typed`].
    pub text: String,
    /// What it is, in a few words.
    pub about: String,
    /// How often it is met in the fixtures, where that is known.
    pub count: Option<u64>,
}

/// What could be written at a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposals {
    /// What was typed of it.
    pub typed: Range<usize>,
    /// The proposals.
    pub list: Vec<Proposal>,
}

/// What a part of the extension is reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lens {
    /// The start tag.
    pub span: Range<usize>,
    /// The name of the branch.
    pub id: String,
    /// In a few words.
    pub title: String,
}

/// The extension as it is in the editor, and what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    /// What the text says.
    pub document: &'v Document,
    /// The last check.
    pub checked: Option<&'v Checked>,
    /// The last study.
    pub study: Option<&'v Study>,
}

impl View<'_> {
    /// What the pattern or the branch at a place gives for the fixtures, as Markdown; and its start tag.
    pub fn hover(&self, offset: usize) -> Option<(String, Range<usize>)> {
        let shown = self.study.map(|study| &*study.shown);
        let parts = parts(self.document);
        if let Some(part) = parts.iter().find(|part| part.span.contains(&offset)) {
            let mut text = format!("**{}**", markdown(&part.id));
            if let Some(pattern) = part.pattern.and_then(|id| self.pattern(&id.value)) {
                let _ = write!(text, " by {}", summary(pattern));
            }
            text.push_str("\n\n");
            let Some(shown) = shown else {
                text.push_str(STUDYING);
                return Some((text, part.span.clone()));
            };
            match shown.branches.get(&part.id) {
                Some(reach) => {
                    let verb = if part.kind == PartKind::Matcher {
                        "supplies the value in"
                    } else {
                        "applies in"
                    };
                    reached(&mut text, shown, reach, verb);
                    if reach.fixtures.count == 0
                        && let Some(reason) = shown.reasons.get(&part.id)
                    {
                        let _ = writeln!(
                            text,
                            "\nfixtures/…/unreached.txt says: {}",
                            markdown(reason)
                        );
                    }
                }
                None => text.push_str(BROKEN),
            }
            return Some((text, part.span.clone()));
        }
        let pattern = self.document.patterns.iter().find(|pattern| {
            pattern.span.contains(&offset) || pattern.body_span.contains(&offset)
        })?;
        let mut text = format!(
            "**{}** is {}\n\n",
            markdown(&pattern.id.value),
            summary(pattern)
        );
        match shown.map(|shown| (shown, shown.patterns.get(&pattern.id.value))) {
            None => text.push_str(STUDYING),
            Some((shown, Some(reach))) => reached(&mut text, shown, reach, "finds something in"),
            Some((_, None)) => {
                let is_for_names = parts.iter().any(|part| {
                    let id = part.pattern.map(|id| id.value.as_str());
                    part.kind == PartKind::EventMatch && id == Some(&pattern.id.value)
                });
                text.push_str(if is_for_names { OF_NAMES } else { BROKEN });
            }
        }
        Some((text, pattern.span.clone()))
    }

    fn pattern(&self, id: &str) -> Option<&lsx::Pattern> {
        let mut patterns = self.document.patterns.iter();
        patterns.find(|pattern| pattern.id.value == id)
    }

    /// Where the pattern is that a place uses: from a matcher, a modifier, or a pattern that runs within another.
    pub fn definition(&self, offset: usize) -> Option<Range<usize>> {
        let parts = parts(self.document);
        let of_part = parts
            .iter()
            .filter_map(|part| part.span.contains(&offset).then_some(part.pattern)?);
        let of_within = self.document.patterns.iter().filter_map(|pattern| {
            let within = pattern.within.as_ref()?;
            pattern.span.contains(&offset).then_some(within)
        });
        let id = of_part.chain(of_within).next()?;
        Some(self.pattern(&id.value)?.span.clone())
    }

    /// How many fixtures reach each matcher and each modifier.
    pub fn lenses(&self) -> Vec<Lens> {
        let Some(study) = self.study else {
            return Vec::new();
        };
        let shown = &study.shown;
        let parts = parts(self.document).into_iter();
        parts
            .filter_map(|part| {
                let reach = shown.branches.get(&part.id)?;
                let named = &reach.fixtures;
                let title = match named.count {
                    0 => match shown.reasons.get(&part.id) {
                        Some(reason) => format!("matched by no fixture: {}", shorten(reason, 80)),
                        None => "matched by no fixture".to_owned(),
                    },
                    1 => format!("matched by 1 fixture: {}", plain_names(shown, named, 1)),
                    count => format!(
                        "matched by {count} fixtures, such as {}",
                        plain_names(shown, named, 1)
                    ),
                };
                Some(Lens {
                    span: part.span.clone(),
                    id: part.id,
                    title,
                })
            })
            .collect()
    }

    /// The fixtures that reach a branch, in a sentence.
    pub fn fixtures_of(&self, id: &str) -> Option<String> {
        let shown = &self.study?.shown;
        let named = &shown.branches.get(id)?.fixtures;
        Some(match named.count {
            0 => format!("{id} is matched by no fixture"),
            count => {
                let names = plain_names(shown, named, named.first.len());
                let rest = count - named.first.len();
                let more = if rest > 0 {
                    format!(" and {rest} more")
                } else {
                    String::new()
                };
                format!("{id} is matched by {}: {names}{more}", counted(count))
            }
        })
    }

    /// What could be written at a place.
    pub fn proposals(&self, offset: usize) -> Proposals {
        match cursor::wanted(&self.document.file.text, offset) {
            Some(Wanted::Attribute {
                element,
                name,
                typed,
            }) => Proposals {
                typed: typed.start..self.end_of_name(typed.end).unwrap_or(typed.end),
                list: self.of_attribute(&element, &name),
            },
            Some(Wanted::KeyPath {
                within,
                steps,
                part,
                typed,
                quoted,
                in_cdata,
            }) => {
                let next = self.of_path(within.as_deref(), &steps, &part);
                let end = self.end_of_name(typed.end).filter(|_| quoted);
                let is_closed = end.is_some();
                let typed = typed.start..end.unwrap_or(typed.end);
                let write = |text: &str| {
                    let mut out = cursor::quoted(text);
                    if !in_cdata {
                        out = escape(&out).replace("&quot;", "\"");
                    }
                    match (quoted, is_closed) {
                        (false, _) => format!("\"{out}\""),
                        (true, false) => out + "\"",
                        (true, true) => out,
                    }
                };
                let list = next.into_iter().map(|next| Proposal {
                    text: write(&next.text),
                    label: next.text,
                    about: next.about,
                    count: Some(next.count),
                });
                Proposals {
                    typed,
                    list: list.collect(),
                }
            }
            None => Proposals::default(),
        }
    }

    /// Where the name ends that a place is within, if the quote behind it is there.
    fn end_of_name(&self, offset: usize) -> Option<usize> {
        let rest = self.document.file.text.get(offset..)?;
        let ends = |c: char| {
            matches!(
                c,
                '"' | '\'' | '/' | '[' | ']' | '{' | '}' | '<' | '>' | '=' | '\n'
            )
        };
        let length = rest.find(ends)?;
        rest[length..]
            .starts_with(['"', '\''])
            .then_some(offset + length)
    }

    fn of_attribute(&self, element: &str, name: &str) -> Vec<Proposal> {
        let proposal = |label: &str, about: String| Proposal {
            label: label.to_owned(),
            text: label.to_owned(),
            about,
            count: None,
        };
        match name {
            "field" => {
                let fields = Field::ALL
                    .iter()
                    .map(|field| proposal(field.name(), field.kind().describe().to_owned()));
                let manifest = self.checked.and_then(|checked| checked.source.as_ref());
                let manifest = manifest.map(|source| dsm::manifest::parse(&source.manifest).0);
                let customs = manifest
                    .into_iter()
                    .flat_map(|m| m.properties)
                    .map(|property| {
                        let mut names = PropertyType::NAMES.iter();
                        let kind = names.find(|(_, kind)| *kind == property.kind);
                        let about =
                            format!("custom property, {}", kind.map_or("", |(name, _)| name));
                        proposal(&property.name.value, about)
                    });
                fields.chain(customs).collect()
            }
            "pattern-id" | "dsmith:within" => {
                let mut patterns: BTreeMap<&str, String> = BTreeMap::new();
                for pattern in &self.document.patterns {
                    patterns.insert(&pattern.id.value, plain_summary(pattern));
                }
                // Behind an unfinished tag nothing is read; what was there before still is.
                let known = self.study.into_iter().flat_map(|s| s.shown.patterns.keys());
                for id in known {
                    patterns.entry(id).or_default();
                }
                patterns
                    .into_iter()
                    .map(|(id, about)| proposal(id, about))
                    .collect()
            }
            "type" if element == "pattern" => {
                let types = PatternType::ALL.iter();
                types
                    .map(|kind| proposal(kind.name(), format!("read by {}", kind.element())))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn of_path(&self, within: Option<&str>, steps: &[Step], part: &Part) -> Vec<members::Next> {
        let Some(study) = self.study else {
            return Vec::new();
        };
        let Some(bases) = self.bases(within) else {
            return Vec::new();
        };
        let members = &study.members;
        match part {
            Part::Member => members.after(&bases, steps, false),
            Part::FilterName(names) if names.is_empty() => members.after(&bases, steps, true),
            Part::FilterName(names) => {
                // The members of a member of the elements, or of the object itself.
                let below = names.iter().cloned().map(Step::Member);
                let mut path = steps.to_vec();
                path.push(Step::Each);
                path.extend(below.clone());
                let mut next = members.after(&bases, &path, false);
                path = steps.to_vec();
                path.extend(below);
                next.extend(members.after(&bases, &path, false));
                next
            }
            Part::FilterValue(names) => members.values(&bases, steps, names),
        }
    }

    /// The paths whose values a pattern runs in, the outermost first; nothing if one of them is no single path.
    fn bases(&self, within: Option<&str>) -> Option<Vec<Vec<Step>>> {
        let mut bases = Vec::new();
        let mut next = within;
        while let Some(id) = next {
            // A circle is a fault that is reported elsewhere.
            if bases.len() > self.document.patterns.len() {
                return None;
            }
            let pattern = self.pattern(id)?;
            let mut pieces = keypath::json_format(pattern.body.text.trim())
                .ok()?
                .into_iter();
            let (Some(Piece::Path(path)), None) = (pieces.next(), pieces.next()) else {
                return None;
            };
            bases.push(path.steps);
            next = pattern.within.as_ref().map(|within| within.value.as_str());
        }
        bases.reverse();
        Some(bases)
    }
}

const STUDYING: &str = "The fixtures are being run; ask again in a moment.";
const BROKEN: &str = "No fixture was run with it: the mapping could not be used since it is there.";
const OF_NAMES: &str = "It is matched with event names, not with payloads.";

/// What a pattern is: its type and its text.
fn summary(pattern: &lsx::Pattern) -> String {
    let text = said(&shorten(pattern.body.text.trim(), 120));
    format!("{} {text}", pattern.kind().name())
}

fn plain_summary(pattern: &lsx::Pattern) -> String {
    let text = crate::explain::visible(&shorten(pattern.body.text.trim(), 80));
    format!("{} {text}", pattern.kind().name())
}

/// A text as code in Markdown, whatever it holds.
fn said(text: &str) -> String {
    let text = crate::explain::visible(text).replace('`', "'");
    if text.is_empty() {
        "(empty)".to_owned()
    } else {
        format!("`{text}`")
    }
}

/// A text in Markdown that is no markup.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::explain::visible(text).chars() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | '-' | '.' | ',' | ':' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn counted(count: usize) -> String {
    match count {
        1 => "1 fixture".to_owned(),
        _ => format!("{count} fixtures"),
    }
}

fn plain_names(shown: &Shown, named: &Named, most: usize) -> String {
    let names = named.first.iter().take(most);
    let names: Vec<&str> = names
        .filter_map(|index| shown.fixtures.get(*index).map(String::as_str))
        .collect();
    names.join(", ")
}

/// What fixtures give, value by value, and why the others give nothing.
fn reached(out: &mut String, shown: &Shown, reach: &Reach, verb: &str) {
    let all = shown.fixtures.len();
    if all == 0 {
        out.push_str("There are no fixtures.\n");
        return;
    }
    let count = reach.fixtures.count;
    let _ = writeln!(out, "{verb} {count} of {}", counted(all));
    out.push('\n');
    for (value, named) in reach.values.iter().take(SHOWN_VALUES) {
        let names = shown.names(named, SHOWN_NAMES);
        let _ = writeln!(out, "- {} from {names}", said(value));
    }
    let values = reach.values.len().saturating_sub(SHOWN_VALUES);
    if values > 0 {
        let more = if reach.others.count > 0 {
            "more than "
        } else {
            ""
        };
        let _ = writeln!(out, "- {more}{values} other values");
    }
    if !reach.without.is_empty() {
        out.push_str("\nnothing from\n\n");
    }
    for (reason, named) in reach.without.iter().take(SHOWN_VALUES) {
        let names = shown.names(named, SHOWN_NAMES);
        let _ = writeln!(
            out,
            "- {}: {} ({names})",
            counted(named.count),
            markdown(&reason.to_string())
        );
    }
    if reach.unmapped.count > 0 {
        let names = shown.names(&reach.unmapped, SHOWN_VALUES);
        let _ = writeln!(out, "\nwithout a QID: {names}");
    }
    if shown.left_out > 0 {
        let _ = writeln!(
            out,
            "\n{} more, or too large, or not text: not run here, `dsmith test` runs them",
            counted(shown.left_out)
        );
    }
}
