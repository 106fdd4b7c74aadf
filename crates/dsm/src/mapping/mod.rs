//! A mapping: the extension, the QID map and the manifest of a log source type, compiled once.

mod compile;
mod pattern;
mod uses;

pub(crate) use compile::effective_text;
pub(crate) use pattern::{
    Capture, Compiled, Doc, JsonValue, Kind as PatternKind, Pairs, TemplatePart,
};
pub(crate) use uses::{Known, Tries, Uses};

use crate::device_time::DateFormat;
use crate::diagnostic::{Diagnostics, SourceFile};
use crate::extract::json;
use crate::field::{Field, Kind};
use crate::lsx::{Modifiers, SendIdentity};
use crate::manifest::{Manifest, PropertyType};
use crate::options::Options;
use crate::qidmap::QidMap;
use java_regex::{JavaRegex, RegexSet, Slots};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The files of a mapping folder, already read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name of the folder, which names the log source type on the command line.
    pub slug: String,
    /// `manifest.toml`.
    pub manifest: Arc<SourceFile>,
    /// `extension.xml`.
    pub extension: Arc<SourceFile>,
    /// `qidmap.csv`.
    pub qidmap: Arc<SourceFile>,
    /// `event-mappings.csv`.
    pub event_mappings: Arc<SourceFile>,
}

/// Names of the files of a mapping folder.
pub const FILES: [&str; 4] = [
    "manifest.toml",
    "extension.xml",
    "qidmap.csv",
    "event-mappings.csv",
];

/// What a matcher fills: a system property or a custom one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A system property.
    Field(Field),
    /// A custom property, by its place among the declarations.
    Custom(usize),
}

/// A custom property.
#[derive(Debug, Clone)]
pub struct CustomProperty {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: PropertyType,
    /// Its key in LEEF output.
    pub leef_key: leef::Key,
    /// What it holds.
    pub description: String,
    pub(crate) format: Option<DateFormat>,
}

/// What kind of branch a [`Branch`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BranchKind {
    /// A match group.
    Group,
    /// A matcher.
    Matcher,
    /// An event-match-single or -multiple.
    EventMatch,
    /// A filter in a key path.
    Filter,
    /// A declared custom property.
    Property,
    /// A QID record.
    Qid,
    /// A row of the event mappings.
    EventMapping,
}

/// A part of a mapping that an event can or cannot go through, with a stable name.
///
/// The name depends on what the author wrote (orders, fields, identifiers), not on where it stands in the file.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The name, such as `group/20/UserName/2`.
    pub id: String,
    /// Its kind.
    pub kind: BranchKind,
    /// The file it stands in.
    pub file: Arc<SourceFile>,
    /// Its place there.
    pub span: Range<usize>,
}

/// Index of a branch in [`Mapping::branches`].
pub type BranchIx = usize;

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) branch: BranchIx,
    pub(crate) type_override: Option<u32>,
    pub(crate) event_name: Candidates,
    /// The other targets in the order in which events list them.
    pub(crate) targets: Vec<Candidates>,
    pub(crate) uses: Uses,
    pub(crate) singles: Vec<EventMatch<String>>,
    pub(crate) multiples: Vec<EventMatch<(usize, Option<usize>)>>,
}

/// The matchers of one property in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
    pub(crate) matchers: Vec<Matcher>,
    /// What there is to know of the matchers that yield just a JSON value of the payload, side by side: most values need
    /// nothing else of their matcher. Nothing where there are more matchers than masks have bits.
    pub(crate) direct: Vec<Option<Direct>>,
}

/// A matcher that yields just a JSON value of the payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Direct {
    pub(crate) slot: json::SlotIx,
    pub(crate) branch: BranchIx,
}

impl Candidates {
    pub(crate) fn new(target: Target, kind: Kind, matchers: Vec<Matcher>) -> Self {
        let direct = matchers.iter().map(|matcher| {
            matcher
                .requires
                .filter(|_| matcher.direct)
                .map(|slot| Direct {
                    slot,
                    branch: matcher.branch,
                })
        });
        Self {
            target,
            kind,
            direct: if matchers.len() > uses::MASK_BITS {
                Vec::new()
            } else {
                direct.collect()
            },
            matchers,
        }
    }
}

#[derive(Debug)]
pub(crate) struct EventMatch<T> {
    pub(crate) branch: BranchIx,
    /// The event name, or the pattern and the group whose text replaces the name.
    pub(crate) on: T,
    pub(crate) modifiers: Modifiers,
}

#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) branch: BranchIx,
    /// The JSON value of the payload without which the matcher cannot yield anything, if there is one.
    pub(crate) requires: Option<json::SlotIx>,
    /// The matcher yields just that value.
    pub(crate) direct: bool,
    /// The regular expression over the payload without a match of which the matcher cannot yield anything, if there is
    /// one.
    pub(crate) expects: Option<usize>,
    pub(crate) pattern: usize,
    pub(crate) capture: Capture,
    pub(crate) format: Option<DateFormat>,
}

/// A compiled mapping, ready to normalize payloads.
#[derive(Debug)]
pub struct Mapping {
    pub(crate) slug: String,
    pub(crate) manifest_file: Option<Arc<SourceFile>>,
    pub(crate) manifest: Manifest,
    pub(crate) custom: Vec<CustomProperty>,
    pub(crate) docs: Vec<Doc>,
    pub(crate) patterns: Vec<Compiled>,
    /// The regular expressions over the payload, by their place among the patterns.
    pub(crate) regexes: RegexSet,
    pub(crate) groups: Vec<Group>,
    /// The matchers for EventName of all groups, as if they were the properties of one.
    pub(crate) name_uses: Uses,
    pub(crate) qids: QidMap,
    pub(crate) branches: Vec<Branch>,
    /// The compiled pattern of each matcher branch.
    pub(crate) pattern_of: HashMap<BranchIx, usize>,
    /// Where the branches of declared custom properties begin, and how many there are; a bare extension declares none.
    pub(crate) property_branches: (BranchIx, usize),
    /// Where the branches of QID records and of event mappings begin.
    pub(crate) qid_branches: BranchIx,
    pub(crate) mapping_branches: BranchIx,
    pub(crate) recogniser: Recogniser,
}

/// The compiled autodetection rules.
#[derive(Debug, Default)]
pub(crate) struct Recogniser {
    plan: json::Plan,
    rules: Vec<Rule>,
    /// The plan of the mapping for the payload itself looks for the same values.
    is_shared: bool,
}

/// Values that have to be in the JSON, and patterns that have to match.
#[derive(Debug, Default)]
struct Rule {
    slots: Vec<json::SlotIx>,
    /// Where the values are in the plan of the mapping.
    shared: Vec<json::SlotIx>,
    patterns: Vec<JavaRegex>,
}

impl Rule {
    fn holds(
        &self,
        slots: &[json::SlotIx],
        found: Option<&json::Found>,
        payload: &str,
        options: &Options,
    ) -> bool {
        let has = |slot: &json::SlotIx| {
            found
                .and_then(|found| found.get(*slot))
                .is_some_and(|hit| hit.form != json::Form::Null)
        };
        let budget = options.regex_step_budget;
        slots.iter().all(has)
            && self.patterns.iter().all(|pattern| {
                pattern
                    .is_match(payload, &mut Slots::default(), budget)
                    .unwrap_or(false)
            })
    }
}

impl Recogniser {
    /// What [`Mapping::recognises`] says, by what the mapping found in an object that is the JSON of the payload.
    /// Nothing where the mapping does not look for what the rules need.
    pub(crate) fn claims(
        &self,
        found: &json::Found,
        payload: &str,
        options: &Options,
    ) -> Option<bool> {
        self.is_shared.then(|| {
            let mut rules = self.rules.iter();
            rules.any(|rule| rule.holds(&rule.shared, Some(found), payload, options))
        })
    }

    /// Whether what the mapping finds in the JSON of a payload may say something about the rules.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl Mapping {
    /// Compiles a mapping folder. Every finding is returned; there is no mapping if one of them is an error.
    pub fn load(source: &Source) -> (Option<Self>, Diagnostics) {
        compile::folder(source)
    }

    /// Compiles a bare extension, as exported from a console: no QID map, and fields that it names become custom
    /// properties. Findings that a shipped mapping could not afford are warnings here.
    pub fn from_extension(name: &str, extension: &Arc<SourceFile>) -> (Option<Self>, Diagnostics) {
        compile::bare(name, extension)
    }

    /// The same, with options.
    pub fn from_extension_with(
        name: &str,
        extension: &Arc<SourceFile>,
        options: Options,
    ) -> (Option<Self>, Diagnostics) {
        compile::bare_with(name, extension, options)
    }

    /// The mapping of payloads that belong to no log source type: every event is Stored.
    pub fn generic() -> Self {
        compile::generic()
    }

    /// The folder's name.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Gives a bare extension a QID map.
    pub fn set_qid_map(
        &mut self,
        qidmap: &Arc<SourceFile>,
        event_mappings: &Arc<SourceFile>,
    ) -> Diagnostics {
        let (map, findings) =
            crate::qidmap::parse(qidmap, event_mappings, self.manifest.options.qid_case);
        let files = [
            (BranchKind::Qid, qidmap),
            (BranchKind::EventMapping, event_mappings),
        ];
        let records = map
            .records
            .iter()
            .map(|record| (0, format!("qid/{}", record.qid), &record.span));
        let mappings = map.mappings.iter().map(|row| {
            (
                1,
                format!("event-mapping/{}|{}", row.event_id, row.event_category),
                &row.span,
            )
        });
        self.branches.truncate(self.qid_branches);
        self.mapping_branches = self.qid_branches + map.records.len();
        for (file, id, span) in records.chain(mappings) {
            self.branches.push(Branch {
                id,
                kind: files[file].0,
                file: Arc::clone(files[file].1),
                span: span.clone(),
            });
        }
        self.qids = map;
        findings
    }

    /// The file of the manifest; a bare extension has none.
    pub fn manifest_file(&self) -> Option<&Arc<SourceFile>> {
        self.manifest_file.as_ref()
    }

    /// The engine options in force.
    pub fn options(&self) -> &Options {
        &self.manifest.options
    }

    /// The custom properties in declaration order.
    pub fn custom_properties(&self) -> &[CustomProperty] {
        &self.custom
    }

    /// The QID map.
    pub fn qids(&self) -> &QidMap {
        &self.qids
    }

    /// Every branch, in document order.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The identifier of the pattern that a matcher uses.
    pub fn pattern_of(&self, matcher: BranchIx) -> Option<&str> {
        let pattern = self.pattern_of.get(&matcher)?;
        Some(&self.patterns[*pattern].id)
    }

    /// The key path filters that a matcher's value went through, those of the patterns it runs within included.
    pub fn filters_of(&self, matcher: BranchIx) -> Vec<BranchIx> {
        let mut filters = Vec::new();
        let mut next = self.pattern_of.get(&matcher).copied();
        while let Some(pattern) = next {
            filters.extend_from_slice(&self.patterns[pattern].filters);
            next = self.docs[self.patterns[pattern].doc].base;
        }
        filters
    }

    /// The branch of a custom property, if the manifest declares it.
    pub fn property_branch(&self, property: usize) -> Option<BranchIx> {
        let (start, count) = self.property_branches;
        (property < count).then_some(start + property)
    }

    /// The branch of a QID record.
    pub fn qid_branch(&self, record: usize) -> BranchIx {
        self.qid_branches + record
    }

    /// The branch of an event mapping.
    pub fn mapping_branch(&self, mapping: usize) -> BranchIx {
        self.mapping_branches + mapping
    }

    /// Name of a target.
    pub fn target_name(&self, target: Target) -> &str {
        match target {
            Target::Field(field) => field.name(),
            Target::Custom(index) => &self.custom[index].name,
        }
    }

    /// Whether the autodetection rules claim a payload. Where the event is wanted too,
    /// [`Normalizer::normalize_claimed`](crate::Normalizer::normalize_claimed) costs less.
    pub fn recognises(&self, payload: &str) -> bool {
        let Recogniser { plan, rules, .. } = &self.recogniser;
        if rules.is_empty() {
            return false;
        }
        let mut found = json::Found::default();
        let is_whole = !plan.is_empty()
            && plan
                .scan(payload, &self.json_settings(), &mut found)
                .is_ok();
        let found = is_whole.then_some(&found);
        let mut rules = rules.iter();
        rules.any(|rule| rule.holds(&rule.slots, found, payload, self.options()))
    }

    pub(crate) fn json_settings(&self) -> json::Settings {
        json::Settings {
            duplicates: self.options().duplicate_json_key,
            broken: self.options().broken_json,
        }
    }

    /// What an event gets when no modifier applies.
    pub(crate) const NO_MODIFIERS: Modifiers = Modifiers {
        category: None,
        severity: None,
        send_identity: SendIdentity::UseDSMResults,
        force_lookup: false,
    };
}
