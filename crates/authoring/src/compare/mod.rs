//! Two versions of a mapping over the same payloads: which events change, and what about them.

mod report;
mod version;

pub use report::{event_json, human, json, summary};
pub use version::{Version, VersionError};

use crate::snapshot::{Change, received};
use dsm::event::{Event, canonical};
use dsm::mapping::Target;
use dsm::output::leef::LeefOutput;
use dsm::{Mapping, Normalizer, Payload};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Runs payloads through both versions and counts what differs.
#[derive(Debug)]
pub struct Comparison<'m> {
    old: Side<'m>,
    new: Side<'m>,
    /// For each custom property of the old version, the one of this name in the new version.
    custom: Vec<Option<usize>>,
    /// What was found so far.
    pub tally: Tally,
}

#[derive(Debug)]
struct Side<'m> {
    mapping: &'m Mapping,
    normalizer: Normalizer<'m>,
    leef: Option<LeefOutput>,
    line: Vec<u8>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many payloads were run.
    pub events: u64,
    /// How many of them do not give the same event.
    pub changed: u64,
    /// What changes, by what it is.
    pub causes: BTreeMap<Cause, Found>,
    /// Branches that only the new version has, and those that only the old one has.
    pub branches: [Vec<String>; 2],
}

/// What changes about an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// What it is.
    pub aspect: Aspect,
    /// Whether there is a value on both sides.
    pub way: Way,
}

/// A part of an event that is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Mapped, Unknown or Stored.
    Status,
    /// The event ID.
    EventId,
    /// The event category.
    EventCategory,
    /// The QID.
    Qid,
    /// The name of the QID record, where the QID is the same.
    QidName,
    /// Its description.
    QidDescription,
    /// The severity, where the QID is the same.
    Severity,
    /// The low-level category, where the QID is the same.
    LowLevelCategory,
    /// Which identity is sent.
    Identity,
    /// A property, by name.
    Property(String),
    /// The LEEF line, where nothing else changes: its header, or the key of a property.
    Leef,
}

impl Aspect {
    /// All that are no properties.
    pub const FACTS: [Self; 10] = [
        Self::Status,
        Self::EventId,
        Self::EventCategory,
        Self::Qid,
        Self::QidName,
        Self::QidDescription,
        Self::Severity,
        Self::LowLevelCategory,
        Self::Identity,
        Self::Leef,
    ];

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Status => "status",
            Self::EventId => "event ID",
            Self::EventCategory => "event category",
            Self::Qid => "QID",
            Self::QidName => "QID name",
            Self::QidDescription => "QID description",
            Self::Severity => "severity",
            Self::LowLevelCategory => "low-level category",
            Self::Identity => "identity",
            Self::Property(name) => name,
            Self::Leef => "LEEF",
        }
    }
}

/// Whether a value comes, goes or becomes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Another value.
    Changes,
    /// The old version has a value, the new one has none.
    Loses,
    /// The new version has a value, the old one has none.
    Gains,
}

impl Way {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Loses => "loses",
            Self::Gains => "gains",
        }
    }
}

/// How often something changes, and into what.
#[derive(Debug, Default)]
pub struct Found {
    /// How many events.
    pub events: u64,
    /// By old and new value, as far as there is room.
    transitions: HashMap<(Option<String>, Option<String>), Seen>,
}

/// How many events go from one value to another, and where the first of them is.
#[derive(Debug, Clone)]
pub struct Seen {
    /// How many.
    pub events: u64,
    /// The input of the first one.
    pub input: String,
    /// Its offset there.
    pub offset: u64,
}

/// How many pairs of values are told apart for each cause. Beyond them events are only counted.
const MOST_TRANSITIONS: usize = 200;
/// How many characters of a value tell it from others here.
const VALUE: usize = 200;

impl Found {
    /// From what to what, the most frequent first.
    pub fn transitions(&self) -> Vec<(&Option<String>, &Option<String>, &Seen)> {
        let all = self.transitions.iter();
        let mut list: Vec<_> = all.map(|((old, new), seen)| (old, new, seen)).collect();
        list.sort_by(|a, b| {
            b.2.events
                .cmp(&a.2.events)
                .then((a.0, a.1).cmp(&(b.0, b.1)))
        });
        list
    }

    fn count(&mut self, change: &Change, input: &str, offset: u64) {
        self.events += 1;
        let short = |side: &Option<String>| {
            side.as_ref()
                .map(|text| crate::explain::shorten(text, VALUE))
        };
        let key = (short(&change.old), short(&change.new));
        let is_full = self.transitions.len() >= MOST_TRANSITIONS;
        match self.transitions.get_mut(&key) {
            Some(seen) => seen.events += 1,
            None if is_full => {}
            None => {
                let seen = Seen {
                    events: 1,
                    input: input.to_owned(),
                    offset,
                };
                self.transitions.insert(key, seen);
            }
        }
    }
}

/// A payload that does not give the same event.
#[derive(Debug)]
pub struct ChangedEvent {
    /// Its event ID in the new version, or else in the old one.
    pub event_id: Option<String>,
    /// What changes.
    pub changes: Vec<(Aspect, Change)>,
}

impl<'m> Side<'m> {
    fn new(mapping: &'m Mapping) -> Self {
        Self {
            mapping,
            normalizer: Normalizer::new(mapping),
            // The default options do not contradict each other.
            leef: LeefOutput::new(leef::WriterOptions::default()).ok(),
            line: Vec::new(),
        }
    }

    /// The event as LEEF; what cannot be written is its own text.
    fn leef(leef: Option<&mut LeefOutput>, line: &mut Vec<u8>, event: &Event<'_>) {
        line.clear();
        if let Some(leef) = leef
            && let Err(error) = leef.write(event, line)
        {
            line.clear();
            line.extend_from_slice(error.to_string().as_bytes());
        }
    }
}

impl<'m> Comparison<'m> {
    /// A comparison of two versions.
    pub fn new(old: &'m Mapping, new: &'m Mapping) -> Self {
        let names: HashMap<&str, usize> = new
            .custom_properties()
            .iter()
            .enumerate()
            .map(|(index, property)| (property.name.as_str(), index))
            .collect();
        let custom = old.custom_properties().iter();
        let custom = custom.map(|property| names.get(property.name.as_str()).copied());
        let ids = |mapping: &'m Mapping| -> BTreeSet<&'m str> {
            let branches = mapping.branches().iter();
            branches.map(|branch| branch.id.as_str()).collect()
        };
        let (before, after) = (ids(old), ids(new));
        let only = |a: &BTreeSet<&str>, b: &BTreeSet<&str>| {
            a.difference(b).map(|&id| id.to_owned()).collect()
        };
        Self {
            custom: custom.collect(),
            tally: Tally {
                branches: [only(&after, &before), only(&before, &after)],
                ..Tally::default()
            },
            old: Side::new(old),
            new: Side::new(new),
        }
    }

    /// Runs a payload through both; what changes, if anything does.
    pub fn payload(&mut self, input: &str, offset: u64, bytes: &[u8]) -> Option<ChangedEvent> {
        self.tally.events += 1;
        let payload = Payload::decode(bytes);
        let old = self.old.normalizer.normalize(&payload, received());
        let new = self.new.normalizer.normalize(&payload, received());
        let mut changes = facts(&old, &new);
        self.properties(&old, &new, &mut changes);
        if changes.is_empty() {
            Side::leef(self.old.leef.as_mut(), &mut self.old.line, &old);
            Side::leef(self.new.leef.as_mut(), &mut self.new.line, &new);
            if self.old.line != self.new.line {
                let text = |line: &[u8]| Some(String::from_utf8_lossy(line).into_owned());
                let sides = (text(&self.old.line), text(&self.new.line));
                changes.push(change(Aspect::Leef, sides.0, sides.1));
            }
        }
        if changes.is_empty() {
            return None;
        }
        self.tally.changed += 1;
        for (aspect, change) in &changes {
            let way = match (&change.old, &change.new) {
                (Some(_), None) => Way::Loses,
                (None, Some(_)) => Way::Gains,
                _ => Way::Changes,
            };
            let cause = Cause {
                aspect: aspect.clone(),
                way,
            };
            let found = self.tally.causes.entry(cause).or_default();
            found.count(change, input, offset);
        }
        let event_id = new.event_id.as_deref().or(old.event_id.as_deref());
        Some(ChangedEvent {
            event_id: event_id.map(str::to_owned),
            changes,
        })
    }

    fn properties(&self, old: &Event<'_>, new: &Event<'_>, changes: &mut Vec<(Aspect, Change)>) {
        let mut met = BTreeSet::new();
        for before in &old.properties {
            let target = match before.target {
                Target::Field(field) => Some(Target::Field(field)),
                Target::Custom(index) => self.custom[index].map(Target::Custom),
            };
            met.extend(target);
            let after = target.and_then(|target| new.get(target));
            let (text, now) = (canonical(before), after.map(canonical));
            if now.as_deref() == Some(&*text) {
                continue;
            }
            let name = self.old.mapping.target_name(before.target);
            let mut change = change(
                Aspect::Property(name.to_owned()),
                Some(text.into_owned()),
                now.map(std::borrow::Cow::into_owned),
            );
            change.1.origins = [
                crate::explain::origin(old, before),
                after.map_or_else(String::new, |after| crate::explain::origin(new, after)),
            ];
            changes.push(change);
        }
        for after in &new.properties {
            if met.contains(&after.target) {
                continue;
            }
            let name = self.new.mapping.target_name(after.target);
            let mut change = change(
                Aspect::Property(name.to_owned()),
                None,
                Some(canonical(after).into_owned()),
            );
            change.1.origins[1] = crate::explain::origin(new, after);
            changes.push(change);
        }
    }
}

fn change(aspect: Aspect, old: Option<String>, new: Option<String>) -> (Aspect, Change) {
    let what = aspect.name().to_owned();
    let change = Change {
        what,
        old,
        new,
        origins: Default::default(),
    };
    (aspect, change)
}

/// What differs besides properties. What follows from another QID or status is not told again.
fn facts(old: &Event<'_>, new: &Event<'_>) -> Vec<(Aspect, Change)> {
    let mut out = Vec::new();
    let mut compare = |aspect: Aspect, old: Option<String>, new: Option<String>| {
        if old != new {
            out.push(change(aspect, old, new));
        }
    };
    let own = |text: &str| Some(text.to_owned());
    if old.status != new.status {
        compare(
            Aspect::Status,
            own(old.status.name()),
            own(new.status.name()),
        );
    }
    if old.event_id != new.event_id {
        let id = |event: &Event<'_>| event.event_id.as_deref().map(str::to_owned);
        compare(Aspect::EventId, id(old), id(new));
    }
    if old.event_category != new.event_category {
        let category =
            |event: &Event<'_>| own(&event.event_category).filter(|text| !text.is_empty());
        compare(Aspect::EventCategory, category(old), category(new));
    }
    let qid = |event: &Event<'_>| event.qid.map(|(record, _)| record.qid);
    if old.status == new.status && qid(old) != qid(new) {
        let text = |event: &Event<'_>| {
            let (record, _) = event.qid?;
            Some(format!("{} {}", record.qid, record.name))
        };
        compare(Aspect::Qid, text(old), text(new));
    } else if old.status == new.status {
        if let (Some((old, _)), Some((new, _))) = (old.qid, new.qid) {
            compare(Aspect::QidName, own(&old.name), own(&new.name));
            compare(
                Aspect::QidDescription,
                own(&old.description),
                own(&new.description),
            );
        }
        let severity = |event: &Event<'_>| event.severity.map(|severity| severity.to_string());
        compare(Aspect::Severity, severity(old), severity(new));
        let category =
            |event: &Event<'_>| format!("{} {}", event.category.low_id, event.category.low_name);
        if old.category.low_id != new.category.low_id {
            compare(
                Aspect::LowLevelCategory,
                Some(category(old)),
                Some(category(new)),
            );
        }
    }
    let identity = |event: &Event<'_>| {
        let sent = event.identity.as_ref();
        let sent = sent.map_or_else(
            || "not sent".to_owned(),
            |identity| format!("sent for {}", identity.address),
        );
        Some(format!("{}, {sent}", event.send_identity.name()))
    };
    if old.identity != new.identity || old.send_identity != new.send_identity {
        compare(Aspect::Identity, identity(old), identity(new));
    }
    out
}
