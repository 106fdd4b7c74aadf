//! What a mapping could read from samples: more than will be kept, because the engine then tells what wins.

use super::names::{self, EVENT_CATEGORY, EVENT_ID, FIELDS, normal};
use super::sample::{Read, Shape, Value};
use crate::snapshot::received;
use dsm::device_time::{DateFormat, Dialect, TimeContext, recognise};
use dsm::field::{self, Field, Kind};
use dsm::lsx::PatternType;
use std::collections::{BTreeMap, BTreeSet};

/// A pattern, by its place in [`Draft::patterns`] known to matchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) id: String,
    pub(super) kind: PatternType,
    pub(super) text: String,
}

#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) field: String,
    pub(super) pattern: usize,
    /// Names and values of further attributes.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// In how many of the samples of the group the value is; nothing for constants and regular expressions.
    pub(super) seen: Option<usize>,
}

impl Matcher {
    /// The value, if it is always the same one.
    pub(super) fn constant(&self) -> Option<&str> {
        let of = |name: &str| self.attributes.iter().find(|(other, _)| *other == name);
        of("enable-substitutions")?;
        of("capture-group").map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) shape: Shape,
    pub(super) matchers: Vec<Matcher>,
    pub(super) samples: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Custom {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) description: String,
}

/// The parts of an extension.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) patterns: Vec<Pattern>,
    pub(super) groups: Vec<Group>,
    pub(super) customs: Vec<Custom>,
    /// Names that could be an event ID or category too, by group.
    pub(super) candidates: Vec<String>,
    /// Names that nothing reads.
    pub(super) unread: Vec<String>,
    /// What the author has to decide.
    pub(super) notes: Vec<String>,
}

/// A name of a group, with what stands under it.
struct Key<'s> {
    key: &'s str,
    path: &'s [String],
    texts: Vec<&'s str>,
    /// The samples that have it.
    of: BTreeSet<usize>,
}

/// More names than this are told apart in no group.
const MOST_KEYS: usize = 2000;
/// More custom properties than this nobody declares at once.
const MOST_CUSTOM: usize = 60;
/// More alternatives for one property are chosen by a person.
const MOST_ORDERS: usize = 4;
/// The longest text that can be the name of a kind of event.
const LONGEST_ID: usize = 100;

/// The name of the program behind a syslog header.
pub(super) const PROGRAM: &str =
    r"^(?:<\d{1,3}>)?(?:1 \S+ \S+ |[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ )([A-Za-z][\w./-]*)";

/// Formats that need to be said, in Joda-Time's letters. What stands behind a time is not read, so a format goes before
/// those that are its beginning.
const FORMATS: [&str; 11] = [
    "dd/MMM/yyyy:HH:mm:ss Z",
    "dd.MM.yyyy HH:mm:ss Z",
    "dd.MM.yyyy HH:mm:ss",
    "dd/MM/yyyy hh:mm:ss a",
    "MM/dd/yyyy hh:mm:ss a",
    "dd/MM/yyyy HH:mm:ss",
    "MM/dd/yyyy HH:mm:ss",
    "yyyy.MM.dd HH:mm:ss",
    "yyyyMMddHHmmss",
    "EEE MMM dd HH:mm:ss yyyy",
    // Days that are padded with a blank.
    "EEE MMM  d HH:mm:ss yyyy",
];

/// The format of times that none of the forms without a format fits, or that it is not clear.
fn format_that_reads(texts: &[&str]) -> Result<&'static str, Unclear> {
    let mut formats = FORMATS.iter().filter(|format| reads_all(format, texts));
    let first = formats.next().ok_or(Unclear::NoTime)?;
    let is_twin = |format: &&str| first.starts_with("dd/MM/") && format.starts_with("MM/dd/");
    match formats.any(is_twin) {
        true => Err(Unclear::DayOrMonth),
        false => Ok(first),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Unclear {
    NoTime,
    DayOrMonth,
}

/// Proposes an extension for samples. `category` is the event category where the samples name none.
pub(super) fn draft(reads: &[Read], category: &str) -> Draft {
    let mut draft = Draft::default();
    let mut groups: BTreeMap<Shape, Vec<&Read>> = BTreeMap::new();
    for read in reads {
        groups.entry(read.shape).or_default().push(read);
    }
    let mut customs = BTreeMap::new();
    for (shape, reads) in groups {
        let mut drafting = Drafting {
            draft: &mut draft,
            shape,
            samples: reads.len(),
            keys: keys(&reads),
            matchers: Vec::new(),
            used: BTreeSet::new(),
        };
        drafting.event_id(category);
        drafting.fields();
        drafting.headers();
        drafting.rest(&mut customs);
        let matchers = drafting.matchers;
        draft.groups.push(Group {
            shape,
            matchers,
            samples: reads.len(),
        });
    }
    for (name, texts) in customs {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        draft.customs.push(Custom {
            kind: custom_kind(&name, &texts),
            description: format!("{name}, as the source names it"),
            name,
        });
    }
    draft
}

fn keys<'s>(reads: &[&'s Read]) -> Vec<Key<'s>> {
    let mut keys: Vec<Key<'s>> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (sample, read) in reads.iter().enumerate() {
        for Value { key, path, text } in &read.values {
            // A source that uses names as data, such as identifiers, has no end of them.
            if keys.len() == MOST_KEYS && !places.contains_key(key.as_str()) {
                continue;
            }
            let place = *places.entry(key).or_insert_with(|| {
                keys.push(Key {
                    key,
                    path,
                    texts: Vec::new(),
                    of: BTreeSet::new(),
                });
                keys.len() - 1
            });
            keys[place].texts.push(text);
            keys[place].of.insert(sample);
        }
    }
    keys
}

struct Drafting<'d, 's> {
    draft: &'d mut Draft,
    shape: Shape,
    samples: usize,
    keys: Vec<Key<'s>>,
    matchers: Vec<Matcher>,
    /// The keys that have a matcher.
    used: BTreeSet<usize>,
}

impl Drafting<'_, '_> {
    fn event_id(&mut self, category: &str) {
        let header = match self.shape {
            Shape::Leef => Some((PatternType::LeefKey, "$eventid$")),
            Shape::Cef => Some((PatternType::CefKey, "$id$")),
            Shape::Json | Shape::Xml | Shape::Pairs(_) | Shape::Text => None,
        };
        if let Some((kind, text)) = header {
            let pattern = self.pattern("Event ID", kind, text);
            self.matcher("EventName", pattern, Vec::new(), Some(self.samples));
        }
        let mut candidates = self.ranked(EVENT_ID, is_event_id);
        let mut missing: BTreeSet<usize> = (0..self.samples).collect();
        if header.is_some() {
            missing.clear();
        }
        candidates.retain(|&at| {
            let helps = self.keys[at]
                .of
                .iter()
                .any(|sample| missing.contains(sample));
            if helps {
                missing.retain(|sample| !self.keys[at].of.contains(sample));
                self.take("EventName", at, Vec::new());
            }
            !helps
        });
        self.suggest("event ID", &candidates);
        if self.shape == Shape::Text {
            let pattern = self.pattern("Program", PatternType::JavaPattern, PROGRAM);
            self.matcher("EventName", pattern, group(1), None);
        }
        if !missing.is_empty() {
            // It must not take the samples of groups that come after it.
            let (id, expression) = match self.shape {
                Shape::Json => ("Object", r"\{"),
                Shape::Xml => ("Element", "<[A-Za-z]"),
                Shape::Pairs(_) => ("TwoPairs", r"\w=[^=]+="),
                Shape::Leef | Shape::Cef | Shape::Text => ("Anything", r"\S"),
            };
            let anything = self.pattern(id, PatternType::JavaPattern, expression);
            self.matcher("EventName", anything, constant("Event"), None);
        }
        let mut candidates =
            self.ranked(EVENT_CATEGORY, |key| is_event_id(key) && kinds(key) <= 20);
        // The one that most samples have; of equals the surest.
        let best = candidates
            .iter()
            .enumerate()
            .max_by_key(|(place, at)| (self.keys[**at].of.len(), std::cmp::Reverse(*place)))
            .map(|(place, at)| (place, self.keys[*at].of.len()))
            .filter(|(_, seen)| seen * 2 >= self.samples);
        if let Some((place, _)) = best {
            let at = candidates.remove(place);
            self.take("EventCategory", at, Vec::new());
        }
        if best.is_none_or(|(_, seen)| seen < self.samples) {
            let anything = self.pattern("Anything", PatternType::JavaPattern, r"\S");
            self.matcher("EventCategory", anything, constant(category), None);
        }
        self.suggest("event category", &candidates);
    }

    /// Keys with one of the names that nothing reads yet, the surest first.
    fn ranked(&self, names: &[&str], fits: impl Fn(&Key<'_>) -> bool) -> Vec<usize> {
        let mut ranked: Vec<(usize, usize)> = self
            .keys
            .iter()
            .enumerate()
            .filter(|(at, _)| !self.used.contains(at))
            .filter_map(|(at, key)| Some((rank(key.path, names)?, at)))
            // The name is looked at first: there may be many values.
            .filter(|(_, at)| fits(&self.keys[*at]))
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, at)| at).collect()
    }

    fn suggest(&mut self, what: &str, keys: &[usize]) {
        for &at in keys.iter().take(5) {
            let line = format!(
                "`{}` could be the {what}: {} different values in {} of {} samples of {}",
                self.keys[at].key,
                kinds(&self.keys[at]),
                self.keys[at].of.len(),
                self.samples,
                self.shape.description()
            );
            self.draft.candidates.push(line);
        }
    }

    /// `src=192.0.2.7:443` holds two properties, which only a regular expression can part.
    fn addresses_with_ports(&mut self) {
        let pairs = [
            (Field::SourceIp, Field::SourcePort),
            (Field::DestinationIp, Field::DestinationPort),
        ];
        for (address, port) in pairs {
            let Some((_, names)) = FIELDS.iter().find(|(field, _)| *field == address) else {
                continue;
            };
            let fitting = self.ranked(names, |key| {
                is_surest(key.path, address) && most(&key.texts, has_port)
            });
            for at in fitting.into_iter().take(MOST_ORDERS) {
                self.used.insert(at);
                let key = self.keys[at].key;
                let expression = format!(
                    r#"\b{}="?((?:\d{{1,3}}\.){{3}}\d{{1,3}}):(\d{{1,5}})"#,
                    super::quote(key)
                );
                let pattern =
                    self.pattern(&names::titled(key), PatternType::JavaPattern, &expression);
                self.matcher(address.name(), pattern, group(1), None);
                self.matcher(port.name(), pattern, group(2), None);
            }
        }
    }

    fn fields(&mut self) {
        if matches!(self.shape, Shape::Pairs(_)) {
            self.addresses_with_ports();
        }
        for (field, names) in FIELDS {
            let fitting = self.ranked(names, |key| {
                is_surest(key.path, *field) && format_of(*field, &key.texts).is_some()
            });
            let mut missing: BTreeSet<usize> = (0..self.samples).collect();
            for at in fitting.into_iter().take(MOST_ORDERS) {
                if !self.keys[at]
                    .of
                    .iter()
                    .any(|sample| missing.contains(sample))
                {
                    continue;
                }
                missing.retain(|sample| !self.keys[at].of.contains(sample));
                let format = format_of(*field, &self.keys[at].texts).flatten();
                let attributes = format.map(|format| ("ext-data", format.to_owned()));
                self.take(field.name(), at, attributes.into_iter().collect());
            }
            if *field == Field::DeviceTime {
                self.doubtful_times(names);
            }
        }
    }

    fn doubtful_times(&mut self, names: &[&str]) {
        let doubtful = self.ranked(names, |key| {
            format_of(Field::DeviceTime, &key.texts).is_none()
                && format_that_reads(&key.texts) == Err(Unclear::DayOrMonth)
        });
        for at in doubtful {
            self.draft.notes.push(format!(
                "`{}` is a time, but the samples do not say which number is the day and which the month: write a matcher for DeviceTime with ext-data",
                self.keys[at].key
            ));
        }
    }

    /// What syslog headers and sentences say; the engine tells which of it is there.
    fn headers(&mut self) {
        let expressions: &[(&str, &str, &str)] = &[
            (
                "DeviceTime",
                "Header Time",
                r"^(?:<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ",
            ),
            ("DeviceTime", "Header Time Stamp", r"^<\d{1,3}>1 (\S+) "),
            (
                "SourceIp",
                "From Address",
                r"\bfrom ((?:\d{1,3}\.){3}\d{1,3})\b",
            ),
            ("SourcePort", "Port", r"\bport (\d{1,5})\b"),
            ("UserName", "User", r"\buser ([\w.@\\-]+)"),
        ];
        let read: BTreeSet<String> = self
            .matchers
            .iter()
            .map(|matcher| matcher.field.clone())
            .collect();
        for (field, id, expression) in expressions {
            if read.contains(*field) || (*field != "DeviceTime" && self.shape != Shape::Text) {
                continue;
            }
            let pattern = self.pattern(id, PatternType::JavaPattern, expression);
            self.matcher(field, pattern, group(1), None);
        }
    }

    /// Everything else becomes a custom property.
    fn rest(&mut self, customs: &mut BTreeMap<String, Vec<String>>) {
        let mut rest: Vec<usize> = (0..self.keys.len())
            .filter(|at| !self.used.contains(at))
            .collect();
        // What most samples have comes first; the order of the samples decides between equals.
        rest.sort_by_key(|&at| std::cmp::Reverse(self.keys[at].of.len()));
        let mut here: BTreeSet<String> = BTreeSet::new();
        for at in rest {
            let name = custom_name(self.keys[at].path, &here);
            // Of many samples one in a hundred has to have it: where names are data there is no end of them.
            let is_common = self.keys[at].of.len() * 100 >= self.samples;
            match name {
                Some(name)
                    if is_common
                        && (customs.len() < MOST_CUSTOM || customs.contains_key(&name)) =>
                {
                    let texts = self.keys[at].texts.iter().map(|&text| text.to_owned());
                    customs.entry(name.clone()).or_default().extend(texts);
                    self.take(&name, at, Vec::new());
                    here.insert(name);
                }
                _ => self.draft.unread.push(self.keys[at].key.to_owned()),
            }
        }
    }

    fn take(&mut self, field: &str, at: usize, mut attributes: Vec<(&'static str, String)>) {
        let kind = match self.shape {
            Shape::Json => PatternType::JsonKeypath,
            Shape::Leef => PatternType::LeefKey,
            Shape::Cef => PatternType::CefKey,
            Shape::Xml => PatternType::XmlKey,
            Shape::Pairs(delimiter) => {
                attributes.push(("delimiter-pair", delimiter.to_owned()));
                attributes.push(("delimiter-namevalue", "=".to_owned()));
                PatternType::NameValuePairKey
            }
            Shape::Text => PatternType::JavaPattern,
        };
        self.used.insert(at);
        let (id, text) = (
            names::titled(&self.keys[at].path.join(" ")),
            self.keys[at].key,
        );
        let pattern = self.pattern(&id, kind, text);
        let seen = self.keys[at].of.len();
        self.matcher(field, pattern, attributes, Some(seen));
    }

    fn matcher(
        &mut self,
        field: &str,
        pattern: usize,
        attributes: Vec<(&'static str, String)>,
        seen: Option<usize>,
    ) {
        self.matchers.push(Matcher {
            field: field.to_owned(),
            pattern,
            attributes,
            seen,
        });
    }

    /// The pattern with this text, made if there is none; identifiers are made different with a number.
    fn pattern(&mut self, id: &str, kind: PatternType, text: &str) -> usize {
        let patterns = &mut self.draft.patterns;
        let same = |pattern: &Pattern| pattern.kind == kind && pattern.text == text;
        if let Some(index) = patterns.iter().position(same) {
            return index;
        }
        let base: String = id.split(' ').collect();
        let base = if base.is_empty() {
            "Value".to_owned()
        } else {
            base
        };
        let mut id = base.clone();
        let mut number = 1;
        while patterns.iter().any(|pattern| pattern.id == id) {
            number += 1;
            id = format!("{base}{number}");
        }
        patterns.push(Pattern {
            id,
            kind,
            text: text.to_owned(),
        });
        patterns.len() - 1
    }
}

/// Whether a text is an address with a port.
fn has_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(address, port)| {
        field::parse_ipv4(address).is_some() && field::parse_port(port).is_some()
    })
}

fn group(number: u32) -> Vec<(&'static str, String)> {
    vec![("capture-group", number.to_string())]
}

fn constant(text: &str) -> Vec<(&'static str, String)> {
    vec![
        ("capture-group", text.replace('\\', "\\\\")),
        ("enable-substitutions", "true".to_owned()),
    ]
}

/// How sure it is that a path has one of the names: the whole of it before its end.
fn rank(path: &[String], names: &[&str]) -> Option<usize> {
    let last = path.last()?;
    let two = path.len().checked_sub(2).map(|from| path[from..].concat());
    let spellings = [Some(path.concat()), two, Some(last.clone())];
    spellings
        .iter()
        .flatten()
        .enumerate()
        .filter_map(|(way, spelling)| {
            let place = names.iter().position(|name| *name == normal(spelling))?;
            Some(place + way * 100)
        })
        .min()
}

/// Whether no other property is a better home: `destination.ip` is no source because it ends in `ip`.
fn is_surest(path: &[String], field: Field) -> bool {
    let whole = normal(&path.concat());
    let others: &[&str] = match field.name() {
        name if name.starts_with("Source") => &["dest", "dst", "target"],
        name if name.starts_with("Destination") => &["source", "src", "client"],
        _ => &[],
    };
    if others.iter().any(|other| whole.contains(other)) {
        return false;
    }
    let best = FIELDS
        .iter()
        .filter_map(|(field, names)| Some((rank(path, names)?, *field)))
        .min_by_key(|(rank, _)| *rank);
    // Positions in different lists do not compare; how much of the path was looked at does.
    match best {
        Some((best, _)) => FIELDS
            .iter()
            .find(|(other, _)| *other == field)
            .and_then(|(_, names)| rank(path, names))
            .is_some_and(|rank| rank / 100 == best / 100),
        None => false,
    }
}

/// How many different values there are.
fn kinds(key: &Key<'_>) -> usize {
    key.texts.iter().collect::<BTreeSet<_>>().len()
}

/// Whether the values could name kinds of events: short texts that come back, and no addresses, times or identifiers.
fn is_event_id(key: &Key<'_>) -> bool {
    let is_word = |text: &&str| {
        text.chars().count() <= LONGEST_ID
            && !text.contains(['\n', '\r', '{'])
            && field::parse_ip(text).is_none()
            && recognise(text, &context()).is_err()
            && !is_identifier(text)
    };
    let all = key.texts.len();
    key.texts.iter().all(is_word) && (all < 30 || kinds(key) * 5 <= all * 4)
}

/// A GUID, or another long run of hexadecimal digits.
fn is_identifier(text: &str) -> bool {
    let bare: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    bare.len() >= 16 && bare.iter().all(u8::is_ascii_hexdigit)
}

fn context() -> TimeContext {
    TimeContext::new(received())
}

/// Whether four of five values fit: sources write `-` and `unknown` where they have none.
fn most(texts: &[&str], fits: impl Fn(&str) -> bool) -> bool {
    let fitting = texts.iter().filter(|text| fits(text)).count();
    fitting > 0 && fitting * 5 >= texts.len() * 4
}

/// Whether most values are valid for a property; for a time with the format that has to be said.
fn format_of(field: Field, texts: &[&str]) -> Option<Option<&'static str>> {
    let all = |valid: fn(&str) -> bool| most(texts, valid).then_some(None);
    match field.kind() {
        Kind::Ip | Kind::Ipv4 | Kind::Ipv6 => all(|text| field::parse_ip(text).is_some()),
        Kind::Port => all(|text| field::parse_port(text).is_some()),
        Kind::Mac => all(|text| field::parse_mac(text).is_some()),
        Kind::Protocol => all(|text| field::parse_protocol(text).is_some()),
        Kind::Number => all(field::is_number),
        Kind::Text => all(|text| text.chars().count() <= 255),
        Kind::Time => {
            if most(texts, |text| recognise(text, &context()).is_ok()) {
                return Some(None);
            }
            format_that_reads(texts).ok().map(Some)
        }
    }
}

fn reads_all(format: &str, texts: &[&str]) -> bool {
    let Ok(format) = DateFormat::new(format, Dialect::Joda) else {
        return false;
    };
    let context = context();
    texts
        .iter()
        .all(|text| format.parse(text, &context).is_ok())
}

/// A name that is free in the group and is not one of QRadar's, as short as may be.
fn custom_name(path: &[String], taken: &BTreeSet<String>) -> Option<String> {
    // `policy.name` is no `Name`.
    const VAGUE: [&str; 10] = [
        "name",
        "id",
        "type",
        "value",
        "status",
        "state",
        "enabled",
        "count",
        "key",
        "displayname",
    ];
    let is_vague = path.len() > 1
        && path
            .last()
            .is_some_and(|last| VAGUE.contains(&normal(last).as_str()));
    (1 + usize::from(is_vague)..=path.len())
        .map(|count| names::titled(&path[path.len() - count..].join(" ")))
        .chain([format!("{} Value", names::titled(&path.join(" ")))])
        .find(|name| {
            let is_system = Field::NAMES
                .iter()
                .any(|system| system.eq_ignore_ascii_case(name));
            !name.is_empty() && name != " Value" && !is_system && !taken.contains(name)
        })
}

fn custom_kind(name: &str, texts: &[&str]) -> &'static str {
    let all = |valid: &dyn Fn(&str) -> bool| texts.iter().all(|text| valid(text));
    let is_count = |text: &str| field::is_number(text) && text.len() <= 15;
    if all(&|text| field::parse_ip(text).is_some()) {
        "ip"
    } else if normal(name).ends_with("port") && all(&|text| field::parse_port(text).is_some()) {
        "port"
    } else if all(&is_count) {
        "numeric"
    } else if all(&|text| !is_count(text) && recognise(text, &context()).is_ok()) {
        "time"
    } else {
        "string"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaffold::sample::read;

    fn fields(texts: &[&str]) -> Vec<(String, String)> {
        let reads: Vec<Read> = texts.iter().map(|text| read(text)).collect();
        let draft = draft(&reads, "Acme");
        let matchers = draft.groups.iter().flat_map(|group| &group.matchers);
        matchers
            .map(|matcher| {
                (
                    matcher.field.clone(),
                    draft.patterns[matcher.pattern].text.clone(),
                )
            })
            .collect()
    }

    #[track_caller]
    fn has(fields: &[(String, String)], field: &str, key: &str) {
        let found = fields.iter().any(|(f, k)| f == field && k == key);
        assert!(found, "{field} {key}: {fields:#?}");
    }

    #[test]
    fn the_whole_path_says_more_than_its_end() {
        let fields = fields(&[
            r#"{"destination":{"ip":"192.0.2.1"},"source":{"ip":"192.0.2.2"},"kind":"a","port":"none"}"#,
        ]);
        has(&fields, "SourceIp", r#"/"source"/"ip""#);
        has(&fields, "DestinationIp", r#"/"destination"/"ip""#);
        has(&fields, "EventName", r#"/"kind""#);
        // What is no port does not become one.
        has(&fields, "Port", r#"/"port""#);
    }

    #[test]
    fn a_time_needs_a_format_only_where_nothing_else_reads_it() {
        for (text, format) in [
            ("2026-01-02T03:04:05Z", Some(None)),
            ("31.12.2026 10:00:00", Some(Some("dd.MM.yyyy HH:mm:ss"))),
            ("01/02/2026 10:00:00", None),
            ("31/12/2026 10:00:00", Some(Some("dd/MM/yyyy HH:mm:ss"))),
            (
                "12/31/2026 10:00:00 PM",
                Some(Some("MM/dd/yyyy hh:mm:ss a")),
            ),
            (
                "31.12.2026 10:00:00 +0100",
                Some(Some("dd.MM.yyyy HH:mm:ss Z")),
            ),
            ("noon", None),
        ] {
            assert_eq!(format_of(Field::DeviceTime, &[text]), format, "{text}");
        }
    }

    #[test]
    fn identifiers_are_no_event_ids_and_a_second_name_helps_where_the_first_is_missing() {
        let fields = fields(&[
            r#"{"eventId":"6f1c2d3e-0000-4000-8000-0123456789ab","action":"deny"}"#,
            r#"{"type":"boot"}"#,
            r#"{"action":"permit","type":"traffic"}"#,
        ]);
        has(&fields, "EventName", r#"/"action""#);
        has(&fields, "EventName", r#"/"type""#);
        has(&fields, "Event Id", r#"/"eventId""#);
    }
}
