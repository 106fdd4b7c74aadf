//! The files of a mapping folder, made of a draft.

use super::draft::Draft;
use super::names;
use super::sample::Shape;
use super::{Identity, Numbers, Pair};
use crate::import::{Rows, csv, leef_key, toml_string};
use crate::rewrite::{cdata, escaped};
use dsm::lsx::PatternType;
use dsm::qidmap::{MAPPING_COLUMNS, QID_COLUMNS};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub(super) fn extension(draft: &Draft) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ns2:device-extension xmlns:ns2=\"event_parsing/device_extension\">\n",
    );
    for pattern in &draft.patterns {
        let kind = match pattern.kind {
            PatternType::JavaPattern => String::new(),
            kind => format!(" type=\"{}\"", kind.name()),
        };
        let _ = writeln!(
            out,
            "  <pattern id=\"{}\"{kind}>{}</pattern>",
            escaped(&pattern.id),
            cdata(&pattern.text)
        );
    }
    for (index, group) in draft.groups.iter().enumerate() {
        let _ = writeln!(
            out,
            "\n  <match-group order=\"{}\" description=\"{}\">",
            index + 1,
            group.shape.description()
        );
        let mut orders: BTreeMap<&str, u32> = BTreeMap::new();
        for matcher in &group.matchers {
            let order = orders.entry(&matcher.field).or_default();
            *order += 1;
            let pattern = &draft.patterns[matcher.pattern];
            let _ = write!(
                out,
                "    <{} field=\"{}\" order=\"{order}\" pattern-id=\"{}\"",
                pattern.kind.element(),
                escaped(&matcher.field),
                escaped(&pattern.id)
            );
            for (name, value) in &matcher.attributes {
                let _ = write!(out, " {name}=\"{}\"", escaped(value));
            }
            out.push_str("/>\n");
        }
        out.push_str("  </match-group>\n");
    }
    out.push_str("</ns2:device-extension>\n");
    out
}

/// Vendor and product of the header of output, and what tells payloads of this source from others.
#[derive(Debug, Default)]
pub(super) struct Recognition {
    pub(super) vendor: Option<String>,
    pub(super) product: Option<String>,
    /// Key paths or regular expressions, by shape.
    pub(super) rules: Vec<(Shape, Vec<String>)>,
}

pub(super) fn manifest(
    identity: &Identity,
    numbers: &Numbers,
    recognition: &Recognition,
    draft: &Draft,
) -> String {
    let plain = |text: &str| -> String {
        let text = text
            .chars()
            .map(|c| if c == '|' || c.is_control() { ' ' } else { c });
        text.collect()
    };
    let (first, rest) = identity
        .name
        .split_once(' ')
        .unwrap_or((&identity.name, "Log"));
    let vendor = recognition.vendor.as_deref().unwrap_or(first);
    let product = recognition.product.as_deref().unwrap_or(rest);
    let mut out = format!(
        "format = 1\nname = {}\ndescription = {}\nlog_source_type_id = {}\n\n[leef]\nvendor = {}\nproduct = {}\nversion = \"1.0\"\n",
        toml_string(&identity.name),
        toml_string(&format!("{}: proposed by dsmith new", identity.name)),
        identity.type_id,
        toml_string(&plain(vendor)),
        toml_string(&plain(product)),
    );
    if !recognition.rules.is_empty() {
        let _ = writeln!(
            out,
            "\n[autodetection]\nprecedence = {}",
            numbers.precedence
        );
    }
    for (shape, texts) in &recognition.rules {
        let key = match shape {
            Shape::Json => "keypaths",
            _ => "patterns",
        };
        let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
        let _ = writeln!(
            out,
            "[[autodetection.rule]]\n{key} = [{}]",
            texts.join(", ")
        );
    }
    let mut keys = BTreeSet::new();
    for custom in &draft.customs {
        let _ = write!(
            out,
            "\n[[property]]\nname = {}\ntype = \"{}\"\nleef_key = {}\ndescription = {}\n",
            toml_string(&custom.name),
            custom.kind,
            toml_string(&leef_key(&custom.name, &mut keys)),
            toml_string(&custom.description),
        );
    }
    out
}

/// In single quotes where that can be, because regular expressions and key paths are full of what double quotes escape.
fn literal(text: &str) -> String {
    if text.contains(|c: char| c == '\'' || c.is_control()) {
        toml_string(text)
    } else {
        format!("'{text}'")
    }
}

/// A QID for each event ID, and the way there for each pair.
pub(super) fn qids(identity: &Identity, first: u32, pairs: &BTreeSet<Pair>) -> (String, String) {
    let mut records: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut qids, mut mappings): (Rows, Rows) = (Vec::new(), Vec::new());
    for (event_id, category) in pairs {
        let next = first + u32::try_from(records.len()).unwrap_or_default();
        let qid = *records.entry(event_id).or_insert(next);
        if qid == next {
            let (low_level, severity) = names::category(event_id);
            let readable = names::titled(event_id);
            let readable = if readable.is_empty() {
                event_id
            } else {
                &readable
            };
            let name: String = format!("{} {readable}", identity.name)
                .chars()
                .take(100)
                .collect();
            qids.push(vec![
                qid.to_string(),
                name.trim_end().to_owned(),
                format!("The source names the event {event_id}"),
                severity.to_string(),
                low_level.to_string(),
            ]);
        }
        mappings.push(vec![event_id.clone(), category.clone(), qid.to_string()]);
    }
    (csv(&QID_COLUMNS, &qids), csv(&MAPPING_COLUMNS, &mappings))
}

pub(super) fn readme(identity: &Identity, draft: &Draft, samples: usize) -> String {
    let mut out = format!(
        "# {}\n\nProposed by `dsmith new` from {samples} sample{}.\n\n## What the source sends\n\n",
        identity.name,
        if samples == 1 { "" } else { "s" }
    );
    for group in &draft.groups {
        let _ = writeln!(
            out,
            "- {}: {} of the samples",
            group.shape.description(),
            group.samples
        );
    }
    out.push_str("\n## Written from\n\nSamples only. Name the documents of the vendor here.\n\n## To decide\n\n");
    out.push_str("- Names, severities and low-level categories in `qidmap.csv` were guessed from the event IDs.\n");
    out.push_str("- Names and types of custom properties follow the samples.\n");
    for line in draft.notes.iter().chain(&draft.candidates) {
        let _ = writeln!(out, "- {}", line.replace(['\n', '\r'], " "));
    }
    if !draft.unread.is_empty() {
        let _ = writeln!(out, "\n## Not read\n");
        for key in &draft.unread {
            let _ = writeln!(out, "- `{}`", key.replace(['\n', '\r'], " "));
        }
    }
    out
}
