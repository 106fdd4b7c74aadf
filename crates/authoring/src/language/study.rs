//! What takes longer than a key press: the lints, what every fixture gives, and the members of payloads.

use super::members::Members;
use super::parts::probe;
use super::{Checked, said};
use crate::explain::{shorten, visible};
use crate::input;
use crate::lint::{self, Finding};
use crate::replay::Corpus;
use crate::snapshot::received;
use crate::suite::{name_below, unreached};
use dsm::engine::NoData;
use dsm::event::Origin;
use dsm::field::Kind;
use dsm::mapping::{Source, Target};
use dsm::{Mapping, Normalizer, Payload, Status};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// How much of the fixtures is run, in bytes and payloads; a folder with more is named in what is shown.
const MOST_BYTES: u64 = 16 << 20;
const MOST_PAYLOADS: usize = 20_000;
/// How many fixtures of a branch are named, and how many values are told apart.
const MOST_NAMES: usize = 50;
const MOST_VALUES: usize = 64;
/// How long a value is that is shown, in characters.
const VALUE: usize = 80;
/// How many fixes are tried whether they change an event.
const MOST_FIXES: usize = 16;

/// What was found out about a folder.
#[derive(Debug, Clone, Default)]
pub struct Study {
    /// The files that the findings of the lints are about: the last ones that could be used.
    pub source: Option<Source>,
    /// What the lints say. A fix is there if it changes no event of a fixture.
    pub lints: Vec<Finding>,
    /// What the fixtures show, of the last version of the mapping that could be used.
    pub(super) shown: Arc<Shown>,
    pub(super) members: Arc<Members>,
}

/// What the fixtures show.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The fixtures that were run, by name.
    pub(super) fixtures: Vec<String>,
    /// How many were not: too many, too large, not readable.
    pub(super) left_out: usize,
    /// By the name of a branch.
    pub(super) branches: HashMap<String, Reach>,
    /// What each pattern finds in the payload, whether or not a matcher uses it there.
    pub(super) patterns: HashMap<String, Reach>,
    /// Why no fixture reaches a branch, where somebody said so.
    pub(super) reasons: BTreeMap<String, String>,
}

/// The fixtures that reach something, and with what.
#[derive(Debug, Default)]
pub(super) struct Reach {
    pub(super) fixtures: Named,
    /// The values, in the order in which they were found.
    pub(super) values: Vec<(String, Named)>,
    /// Fixtures with other values than these.
    pub(super) others: Named,
    /// Why there was none.
    pub(super) without: Vec<(Reason, Named)>,
    /// Those among the fixtures whose event has no QID.
    pub(super) unmapped: Named,
}

/// Some fixtures.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) count: usize,
    /// The first of them.
    pub(super) first: Vec<usize>,
    last: Option<usize>,
}

impl Named {
    /// Fixtures come in order; one with several payloads counts once.
    fn add(&mut self, fixture: usize) {
        if self.last.replace(fixture) == Some(fixture) {
            return;
        }
        self.count += 1;
        if self.first.len() < MOST_NAMES {
            self.first.push(fixture);
        }
    }
}

impl Reach {
    fn add(&mut self, fixture: usize, status: Status, value: Option<&str>) {
        self.fixtures.add(fixture);
        if status != Status::Mapped {
            self.unmapped.add(fixture);
        }
        let Some(value) = value else { return };
        let value = shorten(&visible(value), VALUE);
        if let Some((_, named)) = self.values.iter_mut().find(|(known, _)| *known == value) {
            named.add(fixture);
        } else if self.values.len() < MOST_VALUES {
            let mut named = Named::default();
            named.add(fixture);
            self.values.push((value, named));
        } else {
            self.others.add(fixture);
        }
    }

    fn missed(&mut self, fixture: usize, failed: NoData) {
        // The value that does not fit is no reason of its own.
        let reason = match failed {
            NoData::Invalid(Some(invalid)) => Reason::NotOf(invalid.kind),
            other => Reason::NoData(other),
        };
        if let Some((_, named)) = self.without.iter_mut().find(|(known, _)| *known == reason) {
            named.add(fixture);
        } else if self.without.len() < MOST_VALUES {
            let mut named = Named::default();
            named.add(fixture);
            self.without.push((reason, named));
        }
    }
}

/// Why there was no value.
#[derive(Debug, PartialEq)]
pub(super) enum Reason {
    NoData(NoData),
    /// It is not of this kind.
    NotOf(Kind),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData(reason) => reason.fmt(f),
            Self::NotOf(kind) => write!(f, "the value is not {}", kind.describe()),
        }
    }
}

/// The fixtures on the disk, read again when one of them has changed.
#[derive(Debug, Default)]
struct Fixtures {
    stamps: Vec<(PathBuf, u64, Option<SystemTime>)>,
    names: Vec<String>,
    /// The payloads; their file is the place of the fixture among the names.
    corpus: Corpus,
    of_sample: Vec<usize>,
    left_out: usize,
}

impl Fixtures {
    /// The payloads, each with the place of its fixture among the names.
    fn payloads(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let samples = self.corpus.samples.iter().zip(&self.of_sample);
        samples.map(|(sample, &fixture)| (fixture, &*sample.bytes))
    }

    /// Whether they are others than before.
    fn refresh(&mut self, folder: &Path) -> bool {
        let paths = if folder.is_dir() {
            input::walk(folder).files
        } else {
            Vec::new()
        };
        let stamps: Vec<_> = paths
            .into_iter()
            .map(|path| match std::fs::metadata(&path) {
                Ok(metadata) => (path, metadata.len(), metadata.modified().ok()),
                Err(_) => (path, 0, None),
            })
            .collect();
        if stamps == self.stamps {
            return false;
        }
        *self = Self {
            stamps,
            ..Self::default()
        };
        let mut bytes_left = MOST_BYTES;
        for (path, size, _) in &self.stamps {
            let has_room = *size <= bytes_left && self.corpus.samples.len() < MOST_PAYLOADS;
            let text = if has_room {
                std::fs::read(path).ok()
            } else {
                None
            };
            let text = text
                .filter(|bytes| input::not_text(&bytes[..bytes.len().min(input::HEAD)]).is_none());
            let Some(bytes) = text else {
                self.left_out += 1;
                continue;
            };
            bytes_left -= size;
            let name = name_below(path, folder);
            // In memory nothing can fail.
            let _ = self.corpus.add(&name, &bytes);
            self.corpus.samples.truncate(MOST_PAYLOADS);
            self.of_sample
                .resize(self.corpus.samples.len(), self.names.len());
            self.names.push(name);
        }
        true
    }
}

/// Studies one folder again and again, and does only what has to be done again.
#[derive(Debug, Default)]
pub struct Student {
    fixtures: Fixtures,
    /// The texts of the last mapping that could be used.
    texts: Option<[Arc<dsm::diagnostic::SourceFile>; 4]>,
    last: Option<Arc<Study>>,
}

impl Student {
    /// Studies a folder. The result is the last one if neither the mapping nor the fixtures have changed; while the mapping
    /// cannot be used, what was found out of the last version that could be is kept.
    pub fn study(&mut self, folder: &Path, checked: &Checked) -> Arc<Study> {
        let fixtures = fixtures_of(folder);
        let changed = self.fixtures.refresh(&fixtures);
        let usable = checked.source.as_ref().zip(checked.mapping.as_ref());
        let texts = usable.map(|(source, _)| super::texts(source));
        if let Some(last) = &self.last
            && !changed
            && (texts.is_none() || texts == self.texts)
        {
            return Arc::clone(last);
        }
        let mut study = match &self.last {
            Some(last) => Study::clone(last),
            None => Study::default(),
        };
        let corpus = &self.fixtures.corpus;
        if changed {
            study.members = Arc::new(Members::of(corpus));
        }
        if let Some((source, mapping)) = usable {
            study.shown = Arc::new(self.show(mapping, source, &fixtures));
            study.lints = lint::lint(source, corpus).findings;
            lint::keep_safe(source, corpus, &mut study.lints, MOST_FIXES);
            study.source = Some(source.clone());
            self.texts = texts;
        }
        let study = Arc::new(study);
        self.last = Some(Arc::clone(&study));
        study
    }

    fn show(&self, mapping: &Mapping, source: &Source, folder: &Path) -> Shown {
        let mut branches: Vec<Reach> = Vec::new();
        branches.resize_with(mapping.branches().len(), Reach::default);
        let mut normalizer = Normalizer::new(mapping);
        for (fixture, bytes) in self.fixtures.payloads() {
            let payload = Payload::decode(bytes);
            let (event, trace) = normalizer.explain(&payload, received());
            for property in &event.properties {
                if let Origin::Matcher { branch, .. } = property.origin {
                    branches[branch].add(fixture, event.status, Some(&property.text));
                }
            }
            for branch in event.group.into_iter().chain(event.event_match) {
                branches[branch].add(fixture, event.status, None);
            }
            for attempt in trace.attempts {
                if let Some(reason) = attempt.failed {
                    branches[attempt.branch].missed(fixture, reason);
                }
            }
        }
        let named = mapping.branches().iter().zip(branches);
        Shown {
            fixtures: self.fixtures.names.clone(),
            left_out: self.fixtures.left_out,
            branches: named
                .map(|(branch, reach)| (branch.id.clone(), reach))
                .collect(),
            patterns: self.patterns(mapping, source),
            reasons: unreached::reasons(folder),
        }
    }

    /// What each pattern finds in the payloads by itself.
    fn patterns(&self, mapping: &Mapping, source: &Source) -> HashMap<String, Reach> {
        let Some((probe, ids)) = probe(&source.extension, mapping.options()) else {
            return HashMap::new();
        };
        let mut reaches: Vec<Reach> = Vec::new();
        reaches.resize_with(probe.custom_properties().len(), Reach::default);
        let mut normalizer = Normalizer::new(&probe);
        for (fixture, bytes) in self.fixtures.payloads() {
            let payload = Payload::decode(bytes);
            let (event, trace) = normalizer.explain(&payload, received());
            for property in &event.properties {
                if let Target::Custom(index) = property.target {
                    reaches[index].add(fixture, Status::Mapped, Some(&property.text));
                }
            }
            for attempt in trace.attempts {
                if let (Target::Custom(index), Some(reason)) = (attempt.target, attempt.failed) {
                    reaches[index].missed(fixture, reason);
                }
            }
        }
        let named = probe.custom_properties().iter().zip(reaches);
        named
            .filter_map(|(property, reach)| Some((ids.get(&property.name)?.clone(), reach)))
            .collect()
    }
}

impl Study {
    /// Whether the lints have seen these files.
    pub fn is_of(&self, source: &Source) -> bool {
        let seen = self.source.as_ref();
        seen.is_some_and(|seen| super::texts(seen) == super::texts(source))
    }
}

/// Where the fixtures of a mapping folder are: under its name, beside the folder of the mappings.
pub fn fixtures_of(folder: &Path) -> PathBuf {
    let root = folder.parent().and_then(Path::parent);
    let slug = folder.file_name().unwrap_or_default();
    root.unwrap_or(Path::new("")).join("fixtures").join(slug)
}

impl Shown {
    /// The fixtures by name, as far as they are to be shown.
    pub(super) fn names(&self, named: &Named, most: usize) -> String {
        let mut names: Vec<String> = named
            .first
            .iter()
            .take(most)
            .filter_map(|index| self.fixtures.get(*index).map(|name| said(name)))
            .collect();
        let rest = named.count - names.len();
        if rest > 0 && !names.is_empty() {
            names.push(format!("{rest} more"));
        }
        names.join(", ")
    }
}
