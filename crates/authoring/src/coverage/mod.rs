//! Which branches of a mapping its fixtures reach, and which ones a corpus goes through.

mod cobertura;
mod html;
mod report;

pub use cobertura::cobertura;
pub use html::html;
pub use report::{human, json};

use crate::input::{self, Item};
use crate::snapshot::received;
use crate::suite::unreached;
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::mapping::{BranchIx, BranchKind};
use dsm::{Mapping, Normalizer, Payload};
use framing::Framing;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// What was measured.
#[derive(Debug)]
pub struct Coverage {
    /// The log source type.
    pub slug: String,
    /// Every branch, by file and place.
    pub branches: Vec<Covered>,
    /// The fixtures, by name: `<shape>/<file>`.
    pub fixtures: Vec<String>,
    /// How many events they give.
    pub events: u64,
    /// How many payloads of a corpus were run too; nothing if there is none.
    pub corpus: Option<u64>,
    /// Reasons that are missing, or given for what is reached.
    pub findings: Diagnostics,
    /// By line of the extension: how many events took a value by the patterns there. Patterns are no branches, the
    /// matchers that use them are.
    patterns: BTreeMap<usize, u64>,
    /// Where each branch of the mapping is in the list.
    place: Vec<usize>,
}

/// A branch, and what goes through it.
#[derive(Debug)]
pub struct Covered {
    /// Its name.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// The file it stands in.
    pub file: Arc<SourceFile>,
    /// Its line there, from 1.
    pub line: usize,
    /// How many events of fixtures go through it.
    pub hits: u64,
    /// The fixtures that these are of, as places in [`Coverage::fixtures`].
    pub fixtures: Vec<usize>,
    /// How many events of the corpus go through it.
    pub corpus_hits: u64,
    /// Input and offset of the first of these.
    pub first_in_corpus: Option<(String, u64)>,
    /// Why no fixture reaches it, if somebody said so.
    pub reason: Option<String>,
}

/// What a branch is, as authors speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A match group.
    Group,
    /// The only matcher of a property in its group.
    Matcher,
    /// One of several matchers of a property, tried in their order.
    Alternative,
    /// An event-match-single or -multiple.
    EventMatch,
    /// A filter in a key path.
    Filter,
    /// A custom property.
    Property,
    /// A QID record.
    Qid,
    /// A row of the event mappings.
    EventMapping,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::Group,
        Self::Matcher,
        Self::Alternative,
        Self::EventMatch,
        Self::Filter,
        Self::Property,
        Self::Qid,
        Self::EventMapping,
    ];

    /// What one is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "match group",
            Self::Matcher => "matcher",
            Self::Alternative => "order alternative",
            Self::EventMatch => "event match",
            Self::Filter => "key path filter",
            Self::Property => "custom property",
            Self::Qid => "QID",
            Self::EventMapping => "event mapping",
        }
    }
}

impl Coverage {
    /// Runs all fixtures below a folder.
    ///
    /// # Errors
    /// A folder cannot be listed, or a fixture cannot be read.
    pub fn measure(
        mapping: &Mapping,
        folder: &Path,
        mut watch: impl FnMut(usize, usize),
    ) -> std::io::Result<Self> {
        let mut coverage = Self::empty(mapping);
        let paths = crate::suite::fixtures(folder)?;
        let mut normalizer = Normalizer::new(mapping);
        for (index, path) in paths.iter().enumerate() {
            let bytes = std::fs::read(path)?;
            coverage
                .fixtures
                .push(crate::suite::name_below(path, folder));
            input::read(
                bytes.as_slice(),
                Framing::Auto,
                framing::DEFAULT_LIMIT,
                |item| {
                    let Item::Payload(bytes, _) = item else {
                        return;
                    };
                    coverage.events += 1;
                    for covered in coverage.through(&mut normalizer, bytes) {
                        let covered = &mut coverage.branches[covered];
                        covered.hits += 1;
                        if covered.fixtures.last() != Some(&index) {
                            covered.fixtures.push(index);
                        }
                    }
                },
            )?;
            watch(index + 1, paths.len());
        }
        let reached: BTreeSet<BranchIx> = (0..coverage.place.len())
            .filter(|branch| coverage.branches[coverage.place[*branch]].hits > 0)
            .collect();
        unreached::check_given(folder, mapping, &reached, &mut coverage.findings);
        let reasons = unreached::reasons(folder);
        for covered in coverage.branches.iter_mut().filter(|c| c.hits == 0) {
            covered.reason = reasons.get(&covered.id).cloned();
        }
        coverage.patterns = coverage.pattern_lines(mapping);
        Ok(coverage)
    }

    fn empty(mapping: &Mapping) -> Self {
        let mut siblings: HashMap<&str, usize> = HashMap::new();
        for branch in mapping.branches() {
            if branch.kind == BranchKind::Matcher {
                *siblings.entry(field_of(&branch.id)).or_default() += 1;
            }
        }
        let mut order: Vec<BranchIx> = (0..mapping.branches().len()).collect();
        let file_of = |name: &str| {
            let known = ["extension.xml", "manifest.toml", "qidmap.csv"];
            let at = known.iter().position(|known| name.ends_with(known));
            at.unwrap_or(known.len())
        };
        order.sort_by_key(|&index| {
            let branch = &mapping.branches()[index];
            (file_of(&branch.file.name), branch.span.start)
        });
        let mut place = vec![0; order.len()];
        let branches = order.iter().enumerate().map(|(at, &index)| {
            place[index] = at;
            let branch = &mapping.branches()[index];
            let alone = siblings.get(field_of(&branch.id)) == Some(&1);
            Covered {
                id: branch.id.clone(),
                kind: match branch.kind {
                    BranchKind::Group => Kind::Group,
                    BranchKind::Matcher if alone => Kind::Matcher,
                    BranchKind::Matcher => Kind::Alternative,
                    BranchKind::EventMatch => Kind::EventMatch,
                    BranchKind::Filter => Kind::Filter,
                    BranchKind::Property => Kind::Property,
                    BranchKind::Qid => Kind::Qid,
                    BranchKind::EventMapping => Kind::EventMapping,
                },
                file: Arc::clone(&branch.file),
                line: branch.file.line_column(branch.span.start).0,
                hits: 0,
                fixtures: Vec::new(),
                corpus_hits: 0,
                first_in_corpus: None,
                reason: None,
            }
        });
        let branches = branches.collect();
        Self {
            slug: mapping.slug().to_owned(),
            branches,
            fixtures: Vec::new(),
            events: 0,
            corpus: None,
            findings: Diagnostics::new(),
            patterns: BTreeMap::new(),
            place,
        }
    }

    /// What the matchers and modifiers have reached, by the lines of the patterns that they use.
    fn pattern_lines(&self, mapping: &Mapping) -> BTreeMap<usize, u64> {
        let mut lines = BTreeMap::new();
        let Some(first) = mapping.branches().first() else {
            return lines;
        };
        let (document, _) = dsm::lsx::parse(&first.file);
        let mut hits: HashMap<&str, u64> = HashMap::new();
        for (index, at) in self.place.iter().enumerate() {
            let covered = &self.branches[*at];
            let by_modifier = covered.id.split_once("/event-match-multiple/");
            let used = mapping.pattern_of(index);
            if let Some(pattern) = used.or(by_modifier.map(|(_, id)| id)) {
                *hits.entry(pattern).or_default() += covered.hits;
            }
        }
        let of_id = |id: &str| document.patterns.iter().find(|p| p.id.value == id);
        for pattern in &document.patterns {
            let count = hits.get(pattern.id.value.as_str()).copied().unwrap_or(0);
            // A value within another one goes through that one's pattern too; a chain is no longer than the list.
            let mut next = Some(pattern);
            for _ in 0..=document.patterns.len() {
                let Some(pattern) = next else {
                    break;
                };
                let (line, _) = document.file.line_column(pattern.span.start);
                *lines.entry(line).or_default() += count;
                let base = pattern.within.as_ref();
                next = base.and_then(|base| of_id(&base.value));
            }
        }
        lines
    }

    /// The branches in the list that the event of a payload goes through, each once.
    fn through(&self, normalizer: &mut Normalizer<'_>, payload: &[u8]) -> BTreeSet<usize> {
        let payload = Payload::decode(payload);
        let event = normalizer.normalize(&payload, received());
        let branches = event.branches();
        branches.map(|branch| self.place[branch]).collect()
    }

    /// Counts a payload of a corpus, too.
    pub fn add(
        &mut self,
        normalizer: &mut Normalizer<'_>,
        input: &str,
        offset: u64,
        payload: &[u8],
    ) {
        *self.corpus.get_or_insert(0) += 1;
        for covered in self.through(normalizer, payload) {
            let covered = &mut self.branches[covered];
            covered.corpus_hits += 1;
            covered
                .first_in_corpus
                .get_or_insert_with(|| (input.to_owned(), offset));
        }
    }

    /// How many branches fixtures reach, and how many there are.
    pub fn reached(&self) -> (usize, usize) {
        let reached = self.branches.iter().filter(|covered| covered.hits > 0);
        (reached.count(), self.branches.len())
    }

    /// The same for a kind of branch.
    pub fn reached_of(&self, kind: Kind) -> (usize, usize) {
        let of_kind = || self.branches.iter().filter(|covered| covered.kind == kind);
        let reached = of_kind().filter(|covered| covered.hits > 0);
        (reached.count(), of_kind().count())
    }

    /// The share of branches that fixtures reach, in percent; a mapping without branches has nothing to reach.
    pub fn percent(&self) -> f64 {
        percent(self.reached())
    }

    /// The names of the fixtures that reach a branch.
    pub fn fixtures_of<'c>(&'c self, covered: &'c Covered) -> impl Iterator<Item = &'c str> {
        let all = covered.fixtures.iter();
        all.map(|index| self.fixtures[*index].as_str())
    }

    /// The files with branches in them, each with its branches in order.
    fn by_file(&self) -> Vec<(&Arc<SourceFile>, Vec<&Covered>)> {
        let mut files: Vec<(&Arc<SourceFile>, Vec<&Covered>)> = Vec::new();
        for covered in &self.branches {
            match files.last_mut() {
                Some((file, list)) if file.name == covered.file.name => list.push(covered),
                _ => files.push((&covered.file, vec![covered])),
            }
        }
        files
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "no mapping has so many branches that it would show"
)]
fn percent((reached, all): (usize, usize)) -> f64 {
    if all == 0 {
        return 100.0;
    }
    100.0 * reached as f64 / all as f64
}

/// `97.9 %`, rounded down: what is not complete is never called 100 %.
fn percent_text(share: (usize, usize)) -> String {
    format!("{:.1} %", (percent(share) * 10.0).floor() / 10.0)
}

/// The name of a matcher without its order.
fn field_of(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(field, _)| field)
}
