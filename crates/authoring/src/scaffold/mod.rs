//! A mapping folder from samples of payloads, or around an extension, with fixtures and snapshots.
//!
//! What is proposed is generous at first. Then the engine runs it over the samples, and what never wins goes again: the
//! folder that comes out has no branch that the samples do not reach.

mod draft;
mod names;
mod sample;
mod write;

use crate::folder::to_slug;
use crate::import::{self, ImportError};
use crate::input;
use crate::replay::Sample;
use crate::snapshot::{self, Rendered, received};
use draft::Draft;
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::lsx;
use dsm::mapping::Source;
use dsm::{Mapping, Normalizer, Payload};
use framing::{DEFAULT_LIMIT, Framing};
use regex_automata::meta::Regex;
use sample::{Read, Shape};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use write::Recognition;

/// An event ID and its category.
type Pair = (String, String);

/// How the log source type is called.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name of the folder.
    pub slug: String,
    /// The name of the log source type.
    pub name: String,
    /// Its identifier.
    pub type_id: u32,
}

/// Numbers that no other mapping has.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// The first QID.
    pub qid: u32,
    /// The place in the order of autodetection.
    pub precedence: u32,
}

/// A file with payloads of the source.
#[derive(Debug)]
pub struct Fixture {
    /// Its path below the folder of fixtures of the type, with `/`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The file of its snapshot.
    pub snapshot: String,
}

/// One line of what was proposed.
#[derive(Debug)]
pub struct Proposal {
    /// The property.
    pub field: String,
    /// The type of the pattern.
    pub kind: &'static str,
    /// The text of the pattern.
    pub pattern: String,
    /// The value, if it is always the same one.
    pub constant: Option<String>,
    /// In how many samples the value is, and of how many; nothing for constants and regular expressions.
    pub seen: Option<(usize, usize)>,
}

/// What a new folder holds.
#[derive(Debug)]
pub struct Scaffold {
    /// The files of the mapping.
    pub source: Source,
    /// The text of README.md.
    pub readme: String,
    /// The fixtures.
    pub fixtures: Vec<Fixture>,
    /// What was proposed; nothing where an extension was given.
    pub proposals: Vec<Proposal>,
    /// What the author should know, each in one line.
    pub notes: Vec<String>,
}

/// Why there is no scaffold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The extension cannot be used.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What was made has errors, which are in an extension that was given.
    #[error("the mapping has errors")]
    Invalid(Diagnostics),
}

/// More event IDs than this are rather identifiers.
const MOST_QIDS: usize = 500;

/// What is worked on where nobody has a sample yet.
const EXAMPLE: &[u8] =
    br#"{"time":"2026-01-01T00:00:00Z","event":"example","user":"alice","sourceIp":"192.0.2.7"}"#;

/// The sample of a source that does not exist, to be replaced.
pub fn example() -> Sample {
    Sample {
        file: "example.json".to_owned(),
        bytes: EXAMPLE.to_vec(),
    }
}

/// Proposes a mapping for samples. At most `most` of them become fixtures: first those that show something new.
///
/// # Errors
/// What was made cannot be used; that would be our fault.
pub fn from_samples(
    identity: &Identity,
    numbers: &Numbers,
    samples: &[Sample],
    most: usize,
) -> Result<Scaffold, ScaffoldError> {
    let reads: Vec<Read> = samples
        .iter()
        .map(|sample| sample::read(Payload::decode(&sample.bytes).text()))
        .collect();
    let mut draft = draft::draft(&reads, &identity.name);
    let recognition = recognition(samples, &reads, &draft);
    let source = |draft: &Draft, recognition: &Recognition, pairs: &BTreeSet<Pair>| {
        let (qidmap, mappings) = write::qids(identity, numbers.qid, pairs);
        source(
            identity,
            write::manifest(identity, numbers, recognition, draft),
            write::extension(draft),
            qidmap,
            mappings,
        )
    };
    let mapping = load(&source(&draft, &recognition, &BTreeSet::new()))?;
    prune(&mut draft, &mapping, samples);
    let mapping = load(&source(&draft, &recognition, &BTreeSet::new()))?;
    let mut notes = Vec::new();
    let pairs = pairs(&mapping, samples, &mut notes);
    let source = source(&draft, &recognition, &pairs);
    let mapping = load(&source)?;
    let unclaimed = samples
        .iter()
        .filter(|sample| !mapping.recognises(Payload::decode(&sample.bytes).text()))
        .count();
    if unclaimed > 0 {
        notes.push(format!(
            "autodetection does not claim {unclaimed} of the samples: add a rule to manifest.toml, or say --type"
        ));
    }
    notes.extend(draft.notes.iter().cloned());
    if !draft.unread.is_empty() {
        notes.push(format!(
            "{} more names are not read; README.md lists them",
            draft.unread.len()
        ));
    }
    Ok(Scaffold {
        readme: write::readme(identity, &draft, samples.len()),
        fixtures: fixtures(&mapping, samples, &reads, most, &mut notes),
        proposals: proposals(&draft),
        source,
        notes,
    })
}

/// Makes a folder around an extension, whose bytes stay. The samples, if there are any, tell the events.
///
/// # Errors
/// The extension has errors.
pub fn from_extension(
    identity: &Identity,
    numbers: &Numbers,
    extension: (String, String),
    samples: &[Sample],
    most: usize,
) -> Result<Scaffold, ScaffoldError> {
    let file = SourceFile::new(extension.0.clone(), extension.1.as_str());
    let named = import::Identity {
        slug: identity.slug.clone(),
        name: Some(identity.name.clone()),
        type_id: Some(identity.type_id),
    };
    let imported = import::import(&[extension], &named)?;
    let mut notes = imported.notes;
    // It says that there are no QIDs, of which there are some in the end.
    notes.retain(|note| !note.starts_with("qidmap.csv is empty"));
    let mapping = load(&imported.source)?;
    let other = [text_of_another_source()];
    let is_bare = samples.is_empty();
    let pairs = if is_bare {
        notes.push("there are no samples: put payloads into the folder of fixtures".to_owned());
        written_ids(&file)
    } else {
        pairs(&mapping, samples, &mut notes)
    };
    let samples = if is_bare { &other } else { samples };
    if pairs.is_empty() {
        notes.push("no event ID is known: qidmap.csv and event-mappings.csv are empty".to_owned());
    }
    let (qidmap, mappings) = write::qids(identity, numbers.qid, &pairs);
    let source = Source {
        qidmap: SourceFile::new(imported.source.qidmap.name.clone(), qidmap),
        event_mappings: SourceFile::new(imported.source.event_mappings.name.clone(), mappings),
        ..imported.source
    };
    let mapping = load(&source)?;
    let reads: Vec<Read> = samples
        .iter()
        .map(|sample| sample::read(Payload::decode(&sample.bytes).text()))
        .collect();
    Ok(Scaffold {
        readme: imported.readme.replace("`dsmith import`", "`dsmith new`"),
        fixtures: fixtures(&mapping, samples, &reads, most, &mut notes),
        proposals: Vec::new(),
        source,
        notes,
    })
}

/// A line that most mappings do not take: the evidence that they leave alone what is not theirs.
fn text_of_another_source() -> Sample {
    Sample {
        file: String::new(),
        bytes: b"a line of another source".to_vec(),
    }
}

fn source(
    identity: &Identity,
    manifest: String,
    extension: String,
    qidmap: String,
    event_mappings: String,
) -> Source {
    let place =
        |name: &str, text: String| SourceFile::new(format!("{}/{name}", identity.slug), text);
    Source {
        slug: identity.slug.clone(),
        manifest: place("manifest.toml", manifest),
        extension: place("extension.xml", extension),
        qidmap: place("qidmap.csv", qidmap),
        event_mappings: place("event-mappings.csv", event_mappings),
    }
}

fn load(source: &Source) -> Result<Mapping, ScaffoldError> {
    let (mapping, findings) = Mapping::load(source);
    match mapping {
        Some(mapping) if !findings.has_errors() => Ok(mapping),
        _ => Err(ScaffoldError::Invalid(findings)),
    }
}

/// Takes out what no sample takes a value from.
fn prune(draft: &mut Draft, mapping: &Mapping, samples: &[Sample]) {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut normalizer = Normalizer::new(mapping);
    for sample in samples {
        let payload = Payload::decode(&sample.bytes);
        let event = normalizer.normalize(&payload, received());
        let branches = event.branches();
        reached.extend(branches.map(|branch| mapping.branches()[branch].id.as_str()));
    }
    for (index, group) in draft.groups.iter_mut().enumerate() {
        let mut orders: BTreeMap<String, u32> = BTreeMap::new();
        group.matchers.retain(|matcher| {
            let order = orders.entry(matcher.field.clone()).or_default();
            *order += 1;
            let id = format!("group/{}/{}/{order}", index + 1, matcher.field);
            reached.contains(id.as_str())
        });
    }
    draft.groups.retain(|group| !group.matchers.is_empty());
    let mut places = BTreeMap::new();
    let mut kept = Vec::new();
    for matcher in draft
        .groups
        .iter_mut()
        .flat_map(|group| &mut group.matchers)
    {
        let place = *places.entry(matcher.pattern).or_insert_with(|| {
            kept.push(draft.patterns[matcher.pattern].clone());
            kept.len() - 1
        });
        matcher.pattern = place;
    }
    draft.patterns = kept;
    let fields: BTreeSet<&str> = draft
        .groups
        .iter()
        .flat_map(|group| &group.matchers)
        .map(|matcher| matcher.field.as_str())
        .collect();
    draft
        .customs
        .retain(|custom| fields.contains(custom.name.as_str()));
}

/// What the samples are, as the mapping sees them.
fn pairs(mapping: &Mapping, samples: &[Sample], notes: &mut Vec<String>) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    let mut left_out = BTreeSet::new();
    let mut normalizer = Normalizer::new(mapping);
    for sample in samples {
        let payload = Payload::decode(&sample.bytes);
        let event = normalizer.normalize(&payload, received());
        let Some(id) = &event.event_id else {
            continue;
        };
        let pair = (id.to_string(), event.event_category.to_string());
        let fits = pair.0.chars().count() <= 255 && !pair.0.contains(['\n', '\r']);
        if fits && (pairs.len() < MOST_QIDS || pairs.contains(&pair)) {
            pairs.insert(pair);
        } else {
            left_out.insert(pair);
        }
    }
    if !left_out.is_empty() {
        notes.push(format!(
            "{} more event IDs have no QID: is it the right key?",
            left_out.len()
        ));
    }
    pairs
}

/// The event IDs that an extension names itself, in its modifiers.
fn written_ids(file: &std::sync::Arc<SourceFile>) -> BTreeSet<Pair> {
    let (document, _) = lsx::parse(file);
    let mut ids = BTreeSet::new();
    for group in &document.groups {
        let singles = group.singles.iter();
        ids.extend(singles.map(|single| single.value.event_name.value.clone()));
    }
    ids.into_iter().map(|id| (id, String::new())).collect()
}

fn proposals(draft: &Draft) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for group in &draft.groups {
        for matcher in &group.matchers {
            let pattern = &draft.patterns[matcher.pattern];
            proposals.push(Proposal {
                field: matcher.field.clone(),
                kind: pattern.kind.name(),
                pattern: pattern.text.clone(),
                constant: matcher.constant().map(str::to_owned),
                seen: matcher.seen.map(|seen| (seen, group.samples)),
            });
        }
    }
    proposals
}

/// What all samples of a shape have and others may not.
fn recognition(samples: &[Sample], reads: &[Read], draft: &Draft) -> Recognition {
    let mut recognition = Recognition::default();
    for group in &draft.groups {
        let of_shape = || {
            let all = samples.iter().zip(reads);
            all.filter(|(_, read)| read.shape == group.shape)
        };
        let mut common: Option<Vec<&str>> = None;
        for (_, read) in of_shape() {
            let keys: BTreeSet<&str> = read.values.iter().map(|value| value.key.as_str()).collect();
            match &mut common {
                Some(common) => common.retain(|key| keys.contains(key)),
                None => common = Some(read.values.iter().map(|value| value.key.as_str()).collect()),
            }
        }
        let common = common.unwrap_or_default();
        let Some((sample, _)) = of_shape().next() else {
            continue;
        };
        let payload = Payload::decode(&sample.bytes);
        let rule: Vec<String> = match group.shape {
            // The longest names are the least common ones.
            Shape::Json => {
                let mut keys = common;
                keys.retain(|key| !key.contains('['));
                keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
                keys.into_iter().take(3).map(str::to_owned).collect()
            }
            Shape::Leef | Shape::Cef => match header(payload.text()) {
                Some((vendor, product)) => {
                    let text = format!("|{vendor}|{product}|");
                    recognition.vendor.get_or_insert(vendor);
                    recognition.product.get_or_insert(product);
                    vec![quote(&text)]
                }
                None => Vec::new(),
            },
            Shape::Pairs(_) => {
                let keys = common.into_iter().take(4);
                keys.map(|key| format!("\\b{}=", quote(key))).collect()
            }
            Shape::Xml => {
                let roots = of_shape().filter_map(|(_, read)| read.values.first()?.path.first());
                let roots: BTreeSet<&String> = roots.collect();
                let single = roots.first().filter(|_| roots.len() == 1);
                single
                    .map(|root| format!("<{}[\\s/>]", quote(root)))
                    .into_iter()
                    .collect()
            }
            Shape::Text => {
                let programs = of_shape().map(|(sample, _)| program(&sample.bytes));
                let programs: BTreeSet<Option<String>> = programs.collect();
                match programs.first() {
                    Some(Some(program)) if programs.len() == 1 => {
                        vec![format!(" {}[\\[: ]", quote(program))]
                    }
                    _ => Vec::new(),
                }
            }
        };
        if !rule.is_empty() {
            recognition.rules.push((group.shape, rule));
        }
    }
    recognition
}

/// The program that a syslog header names.
fn program(bytes: &[u8]) -> Option<String> {
    static PROGRAM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(draft::PROGRAM).ok());
    let payload = Payload::decode(bytes);
    let regex = PROGRAM.as_ref()?;
    let mut captures = regex.create_captures();
    regex.captures(payload.text(), &mut captures);
    Some(payload.text()[captures.get_group(1)?.range()].to_owned())
}

/// A text as a regular expression that matches it.
fn quote(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Vendor and product of a LEEF or CEF message.
fn header(text: &str) -> Option<(String, String)> {
    let at = leef::find(text).or_else(|| text.find("CEF:"))?;
    let mut fields = text[at..].split('|').skip(1);
    let (vendor, product) = (fields.next()?, fields.next()?);
    // What is escaped stands otherwise in the payload; that is for the author.
    let is_plain = |text: &str| !text.trim().is_empty() && !text.contains('\\');
    (is_plain(vendor) && is_plain(product)).then(|| (vendor.to_owned(), product.to_owned()))
}

/// Makes files of samples: first of those that bring a new branch, then of the others in their order.
fn fixtures(
    mapping: &Mapping,
    samples: &[Sample],
    reads: &[Read],
    most: usize,
    notes: &mut Vec<String>,
) -> Vec<Fixture> {
    let mut reached = BTreeSet::new();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    let mut repeated = 0;
    for (index, sample) in samples.iter().enumerate() {
        if !known.insert(sample.bytes.as_slice()) {
            repeated += 1;
            continue;
        }
        let mut bytes = sample.bytes.clone();
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        let rendered = snapshot::render(mapping, &bytes);
        let before = reached.len();
        reached.extend(rendered.reached.iter().copied());
        let is_whole = rendered.faults.is_empty() && is_one_payload(&bytes);
        if !is_whole {
            notes.push(format!(
                "{}: a payload that cannot stand in a file by itself is no fixture",
                sample.file
            ));
        } else if reached.len() > before {
            first.push((index, bytes, rendered));
        } else {
            second.push((index, bytes, rendered));
        }
    }
    if repeated > 0 {
        notes.push(format!(
            "{repeated} samples are there twice; each became one fixture"
        ));
    }
    if first.len() > most {
        notes.push(format!(
            "{} samples show something new, and {most} of them became fixtures: --most {} takes all",
            first.len(),
            first.len()
        ));
    }
    let all = first.len() + second.len();
    if all > most {
        notes.push(format!(
            "{most} of {all} samples became fixtures, first those that show something new"
        ));
    }
    let mut chosen: Vec<_> = first.into_iter().chain(second).take(most).collect();
    chosen.sort_by_key(|(index, ..)| *index);
    let mut names = BTreeSet::new();
    chosen
        .into_iter()
        .map(|(index, bytes, rendered)| {
            let shape = reads[index].shape;
            let name = subject(mapping, &bytes);
            let path = free(shape, &name, &mut names);
            fixture(path, bytes, &rendered)
        })
        .collect()
}

fn fixture(path: String, bytes: Vec<u8>, rendered: &Rendered) -> Fixture {
    Fixture {
        path,
        bytes,
        snapshot: snapshot::to_file(&rendered.text),
    }
}

/// Whether some bytes are one payload that can be a file by itself: not cut off, not broken, no binary data.
pub fn stands_alone(bytes: &[u8]) -> bool {
    input::not_text(&bytes[..bytes.len().min(input::HEAD)]).is_none() && is_one_payload(bytes)
}

fn is_one_payload(bytes: &[u8]) -> bool {
    let mut count = 0;
    let read = input::read(bytes, Framing::Auto, DEFAULT_LIMIT, |_| count += 1);
    read.is_ok() && count == 1
}

/// The event ID as a name.
fn subject(mapping: &Mapping, bytes: &[u8]) -> String {
    let payload = Payload::decode(bytes);
    let event = Normalizer::new(mapping).normalize(&payload, received());
    let id = event.event_id.as_deref().and_then(to_slug);
    let name = id.unwrap_or_else(|| "event-id-missing".to_owned());
    let short: String = name.chars().take(60).collect();
    short.trim_end_matches('-').to_owned()
}

fn free(shape: Shape, name: &str, taken: &mut BTreeSet<String>) -> String {
    let extension = match shape {
        Shape::Json => "json",
        _ => "log",
    };
    let mut number = 1;
    loop {
        let name = match number {
            1 => name.to_owned(),
            _ => format!("{name}-{number}"),
        };
        let path = format!("{}/{name}.{extension}", shape.folder());
        if taken.insert(path.clone()) {
            return path;
        }
        number += 1;
    }
}

/// What was made, an object a line: each proposal, each file, each note.
pub fn json(made: &Scaffold, written: &[std::path::PathBuf]) -> String {
    let mut out = String::new();
    let mut line = |value: serde_json::Value| {
        out.push_str(&value.to_string());
        out.push('\n');
    };
    for proposal in &made.proposals {
        line(serde_json::json!({
            "record": "proposal",
            "field": proposal.field,
            "type": proposal.kind,
            "pattern": proposal.pattern,
            "constant": proposal.constant,
            "seen": proposal.seen.map(|(seen, _)| seen),
            "samples": proposal.seen.map(|(_, samples)| samples),
        }));
    }
    for path in written {
        line(serde_json::json!({"record": "file", "path": path.display().to_string()}));
    }
    for note in &made.notes {
        line(serde_json::json!({"record": "note", "text": note}));
    }
    out
}
