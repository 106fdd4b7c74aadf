//! What an editor asks about a mapping folder: findings, what a pattern extracts, where it is, what could stand here.
//!
//! Positions are byte offsets; the protocol of the editor is the business of the front.

use crate::explain::{shorten, visible};
use crate::lint;
use crate::replay::Corpus;
use dsm::Mapping;
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::event::Origin;
use dsm::field::Field;
use dsm::lsx::{self, Document};
use dsm::mapping::{FILES, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A mapping folder as it is in the editor.
#[derive(Debug)]
pub struct Folder<'c> {
    source: Source,
    document: Document,
    corpus: &'c Corpus,
}

impl<'c> Folder<'c> {
    /// The files on the disk, with what the editor has instead of some of them, by name. Nothing if one is missing.
    pub fn new(path: &Path, edited: &BTreeMap<String, String>, corpus: &'c Corpus) -> Option<Self> {
        let slug = path.file_name()?.to_string_lossy().into_owned();
        let text = |name: &str| -> Option<Arc<SourceFile>> {
            let text = match edited.get(name) {
                Some(text) => text.clone(),
                None => std::fs::read_to_string(path.join(name)).ok()?,
            };
            Some(SourceFile::new(name, text))
        };
        let [manifest, extension, qidmap, event_mappings] = FILES.map(text);
        let source = Source {
            slug,
            manifest: manifest?,
            extension: extension?,
            qidmap: qidmap?,
            event_mappings: event_mappings?,
        };
        let document = lsx::parse(&source.extension).0;
        Some(Self {
            source,
            document,
            corpus,
        })
    }

    /// What check and lint find. The files of the labels are the names of the files.
    pub fn diagnostics(&self) -> Diagnostics {
        lint::lint(&self.source, self.corpus).diagnostics()
    }

    /// The identifier of the pattern at a place of the extension: its element, or a matcher that uses it.
    fn pattern_at(&self, offset: usize) -> Option<&str> {
        let patterns = self.document.patterns.iter();
        let of_element = patterns
            .filter(|pattern| pattern.span.contains(&offset) || pattern.body_span.contains(&offset))
            .map(|pattern| pattern.id.value.as_str());
        let matchers = self
            .document
            .groups
            .iter()
            .flat_map(|group| &group.matchers);
        let of_matcher = matchers
            .filter(|matcher| matcher.span.contains(&offset))
            .map(|matcher| matcher.pattern_id.value.as_str());
        of_element.chain(of_matcher).next()
    }

    /// What the pattern at a place of the extension gives for the fixtures, as Markdown.
    pub fn hover(&self, offset: usize) -> Option<String> {
        const SHOWN: usize = 10;
        let id = self.pattern_at(offset)?;
        let (mapping, _) = Mapping::load(&self.source);
        let mapping = mapping?;
        let mut rows = Vec::new();
        let mut files = BTreeSet::new();
        self.corpus.each(&mapping, |sample, event| {
            for property in &event.properties {
                let Origin::Matcher { branch, .. } = property.origin else {
                    continue;
                };
                if mapping.pattern_of(branch) == Some(id) && files.insert(sample.file.clone()) {
                    let value = shorten(&visible(&property.text), 80);
                    let name = Path::new(&sample.file).file_name().unwrap_or_default();
                    rows.push(format!(
                        "- `{}` from {}",
                        value.replace('`', "'"),
                        name.to_string_lossy()
                    ));
                }
            }
        });
        let mut text = match files.len() {
            1 => format!("**{id}** supplies a value in 1 fixture\n\n"),
            count => format!("**{id}** supplies a value in {count} fixtures\n\n"),
        };
        for row in rows.iter().take(SHOWN) {
            let _ = writeln!(text, "{row}");
        }
        Some(text)
    }

    /// Where the pattern that a matcher at a place uses is.
    pub fn definition(&self, offset: usize) -> Option<Range<usize>> {
        let id = self.pattern_at(offset)?;
        let mut patterns = self.document.patterns.iter();
        let pattern = patterns.find(|pattern| pattern.id.value == id)?;
        Some(pattern.span.clone())
    }

    /// What could stand at a place of the extension: properties within `field="`, patterns within `pattern-id="`.
    pub fn completions(&self, offset: usize) -> Vec<String> {
        let Some(before) = self.source.extension.text.get(..offset) else {
            return Vec::new();
        };
        let Some((head, _)) = before.rsplit_once('"') else {
            return Vec::new();
        };
        let head = head.trim_end();
        if head.ends_with("field=") {
            let (manifest, _) = dsm::manifest::parse(&self.source.manifest);
            let customs = manifest
                .properties
                .into_iter()
                .map(|property| property.name.value);
            let fields = Field::NAMES.iter().map(|name| (*name).to_owned());
            return fields.chain(customs).collect();
        }
        if head.ends_with("pattern-id=") || head.ends_with("dsmith:within=") {
            let patterns = self.document.patterns.iter();
            return patterns.map(|pattern| pattern.id.value.clone()).collect();
        }
        Vec::new()
    }

    /// The text of a file by its name.
    pub fn text(&self, name: &str) -> Option<&Arc<SourceFile>> {
        let files = [
            &self.source.manifest,
            &self.source.extension,
            &self.source.qidmap,
            &self.source.event_mappings,
        ];
        files.into_iter().find(|file| file.name == name)
    }
}

/// Line and column, both from 0, the column in units of UTF-16, as editors count.
pub fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..].encode_utf16().count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(line), number(column))
}

/// The byte at a line and column; the end of the line where it is shorter.
pub fn offset(text: &str, line: u32, column: u32) -> usize {
    let mut start = 0;
    for _ in 0..line {
        match text[start..].find('\n') {
            Some(newline) => start += newline + 1,
            None => return text.len(),
        }
    }
    let rest = text[start..].split('\n').next().unwrap_or_default();
    let mut units = 0;
    for (at, c) in rest.char_indices() {
        if units >= column as usize {
            return start + at;
        }
        units += c.len_utf16();
    }
    start + rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_editors_do() {
        let text = "a\n🔒é\"x\n";
        for (at, place) in [
            (0, (0, 0)),
            (2, (1, 0)),
            (6, (1, 2)),
            (8, (1, 3)),
            (10, (1, 5)),
        ] {
            assert_eq!(position(text, at), place, "{at}");
            assert_eq!(offset(text, place.0, place.1), at, "{place:?}");
        }
        assert_eq!(offset(text, 1, 99), 10);
        assert_eq!(offset(text, 99, 0), text.len());
    }
}
