//! Custom properties, QID records and event mappings as requests of QRadar's REST API.

use super::lower::{Way, ways};
use super::lsx::{ExportError, Loss, takes_whole};
use crate::replay::Corpus;
use dsm::Mapping;
use dsm::event::Origin;
use dsm::lsx::{self, Document, Matcher, Pattern, PatternType};
use dsm::mapping::Source;
use dsm::qidmap::EventMapping;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where custom properties are made.
pub const PROPERTIES: &str = "/api/config/event_sources/custom_properties/regex_properties";
/// Where their expressions are made; the last part depends on the kind.
const EXPRESSIONS: &str = "/api/config/event_sources/custom_properties/";
/// Where QID records are made.
pub const QID_RECORDS: &str = "/api/data_classification/qid_records";
/// Where event mappings are made.
pub const EVENT_MAPPINGS: &str = "/api/data_classification/dsm_event_mappings";

/// The kinds of expressions, and the last part of their endpoints.
pub const KINDS: &[(PatternType, &str)] = &[
    (PatternType::JavaPattern, "property_expressions"),
    (PatternType::JsonKeypath, "property_json_expressions"),
    (PatternType::LeefKey, "property_leef_expressions"),
    (PatternType::CefKey, "property_cef_expressions"),
    (PatternType::XmlKey, "property_xml_expressions"),
    (PatternType::NameValuePairKey, "property_nvp_expressions"),
    (
        PatternType::GenericListKey,
        "property_genericlist_expressions",
    ),
];

/// The requests, and what they cannot say.
#[derive(Debug)]
pub struct Requests {
    /// A document with the list `requests`, in the order in which they are to be made.
    pub document: Value,
    /// What is lost.
    pub losses: Vec<Loss>,
}

/// Makes the requests for a mapping.
///
/// # Errors
/// The mapping has errors.
pub fn requests(source: &Source, corpus: &Corpus) -> Result<Requests, ExportError> {
    let (mapping, findings) = Mapping::load(source);
    let mapping = mapping.ok_or(ExportError::Invalid(findings))?;
    let document = lsx::parse(&source.extension).0;
    let mut losses = Vec::new();
    let mut requests = properties(&mapping, &document, &mut losses);
    let type_id = mapping.manifest().log_source_type_id;
    for record in &mapping.qids().records {
        requests.push(json!({
            "id": format!("qid/{}", record.qid),
            "method": "POST",
            "path": QID_RECORDS,
            "body": {
                "log_source_type_id": type_id,
                "name": record.name,
                "description": record.description,
                "severity": record.severity,
                "low_level_category_id": record.category.low_id,
            },
        }));
    }
    for row in &mapping.qids().mappings {
        let id = row_id(row);
        let record = &mapping.qids().records[row.record];
        requests.push(json!({
            "id": id,
            "method": "POST",
            "path": EVENT_MAPPINGS,
            "body": {
                "log_source_type_id": type_id,
                "log_source_event_id": row.event_id,
                "log_source_event_category": row.event_category,
            },
            "fill": {"qid_record_id": {"from": format!("qid/{}", record.qid), "field": "id"}},
        }));
        if row.event_id.is_empty() || row.event_category.is_empty() {
            losses.push(Loss {
                subject: id,
                reason:
                    "a look-up by half of the pair is our assumption (qid-fallback), not documented"
                        .to_owned(),
                fixtures: BTreeMap::new(),
            });
        }
    }
    account(&mapping, corpus, &mut losses);
    Ok(Requests {
        document: json!({
            "format": 1,
            "log_source_type": mapping.manifest().name,
            "log_source_type_id": type_id,
            "requests": requests,
        }),
        losses: merged(losses),
    })
}

/// The losses for rows of event mappings as one.
fn merged(losses: Vec<Loss>) -> Vec<Loss> {
    let (rows, mut rest): (Vec<Loss>, Vec<Loss>) = losses
        .into_iter()
        .partition(|loss| loss.subject.starts_with("event-mapping/"));
    let mut fixtures: BTreeMap<String, usize> = BTreeMap::new();
    for (file, count) in rows.iter().flat_map(|row| &row.fixtures) {
        *fixtures.entry(file.clone()).or_default() += count;
    }
    if let Some(first) = rows.first() {
        let more = match rows.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        rest.push(Loss {
            subject: format!("{}{more}", first.subject),
            reason: first.reason.clone(),
            fixtures,
        });
    }
    rest
}

fn properties(mapping: &Mapping, document: &Document, losses: &mut Vec<Loss>) -> Vec<Value> {
    let ways = ways(document, mapping.options());
    let mut requests = Vec::new();
    let mut groups: Vec<&lsx::Group> = document.groups.iter().collect();
    groups.sort_by_key(|group| group.order.value);
    for declared in &mapping.manifest().properties {
        let name = &declared.name.value;
        let id = format!("property/{name}");
        let kind = dsm::manifest::PropertyType::NAMES
            .iter()
            .find(|(_, kind)| *kind == declared.kind)
            .map_or("string", |(name, _)| name);
        let mut body = json!({
            "name": name,
            "description": declared.description,
            "property_type": kind,
            "use_for_rule_engine": false,
        });
        if kind == "time" {
            match &declared.datetime_format {
                Some(format) => {
                    body["datetime_format"] = json!(format.value);
                    body["locale"] = json!("en-US");
                }
                None => losses.push(Loss {
                    subject: id.clone(),
                    reason:
                        "QRadar demands a datetime_format for a time, and the manifest has none"
                            .to_owned(),
                    fixtures: BTreeMap::new(),
                }),
            }
        }
        requests.push(json!({
            "id": id,
            "method": "POST",
            "path": PROPERTIES,
            "body": body,
            "dsmith": {"leef_key": declared.leef_key},
        }));
        let mut known: Vec<Value> = Vec::new();
        for group in &groups {
            let mut matchers: Vec<&Matcher> = group
                .matchers
                .iter()
                .filter(|matcher| matcher.field.value == *name)
                .collect();
            matchers.sort_by_key(|matcher| matcher.order.value);
            for matcher in matchers {
                let pattern = document
                    .patterns
                    .iter()
                    .position(|pattern| pattern.id.value == matcher.pattern_id.value);
                let Some(index) = pattern else { continue };
                let expression =
                    expression(mapping, &document.patterns[index], &ways[index], matcher);
                match expression {
                    // Several groups may read the same.
                    Ok(request) if !known.contains(&request) => known.push(request),
                    Ok(_) => {}
                    Err(reason) => losses.push(Loss {
                        subject: format!(
                            "group/{}/{name}/{}",
                            group.order.value, matcher.order.value
                        ),
                        reason: format!("pattern `{}`: {reason}", matcher.pattern_id.value),
                        fixtures: BTreeMap::new(),
                    }),
                }
            }
        }
        for (at, mut request) in known.into_iter().enumerate() {
            request["id"] = json!(format!("{id}/{}", at + 1));
            request["fill"] =
                json!({"regex_property_identifier": {"from": id, "field": "identifier"}});
            requests.push(request);
        }
    }
    requests
}

fn expression(
    mapping: &Mapping,
    pattern: &Pattern,
    way: &Way,
    matcher: &Matcher,
) -> Result<Value, String> {
    let (text, wrapped, kind) = match way {
        Way::Lost { reason, .. } => return Err(reason.clone()),
        Way::Regex { text, wrapped } => (text.clone(), *wrapped, PatternType::JavaPattern),
        Way::Plain | Way::Stripped | Way::Widened(_) => (
            pattern.effective_text(mapping.options()),
            false,
            matcher.element,
        ),
    };
    let mut body = json!({
        "enabled": true,
        "log_source_type_id": mapping.manifest().log_source_type_id,
    });
    match kind {
        PatternType::JavaPattern => {
            let was_expression = matcher.element == PatternType::JavaPattern;
            let flags = if was_expression
                && pattern.case_insensitive
                && !wrapped
                && !matches!(way, Way::Regex { .. })
            {
                "(?i)"
            } else {
                ""
            };
            let capture = matcher
                .capture_group
                .as_ref()
                .map(|group| group.value.as_str());
            if !was_expression || wrapped && takes_whole(matcher) {
                body["regex"] = json!(text);
                body["capture_group"] = json!(1);
            } else if takes_whole(matcher) {
                if matches!(way, Way::Regex { .. }) || text.contains(r"\1") || text.contains(r"\k<")
                {
                    return Err("the whole match of this expression has no group".to_owned());
                }
                body["regex"] = json!(format!("{flags}({text})"));
                body["capture_group"] = json!(1);
            } else if let Some(group) = capture.and_then(|capture| one_group(capture, matcher)) {
                body["regex"] = json!(format!("{flags}{text}"));
                body["capture_group"] = json!(group);
            } else {
                body["regex"] = json!(format!("{flags}{text}"));
                body["format_string"] = json!(format_string(capture.unwrap_or_default()));
            }
        }
        PatternType::NameValuePairKey => {
            let options = mapping.options();
            let or = |text: &Option<lsx::Spanned<String>>, default: &str| {
                text.as_ref()
                    .map_or_else(|| default.to_owned(), |text| text.value.clone())
            };
            body["expression"] = json!(text);
            body["delimiter_pair"] = json!(or(&matcher.delimiter, &options.pair_delimiter));
            body["delimiter_name_value"] = json!(or(
                &matcher.name_value_delimiter,
                &options.name_value_delimiter
            ));
        }
        PatternType::GenericListKey => {
            let default = &mapping.options().list_delimiter;
            body["expression"] = json!(text);
            body["delimiter"] = json!(
                matcher
                    .delimiter
                    .as_ref()
                    .map_or(default, |text| &text.value)
            );
        }
        _ => body["expression"] = json!(text.trim()),
    }
    let path = KINDS
        .iter()
        .find(|(of, _)| *of == kind)
        .map_or(String::new(), |(_, last)| format!("{EXPRESSIONS}{last}"));
    Ok(json!({"id": "", "method": "POST", "path": path, "body": body, "fill": {}}))
}

/// The number of the group, if a capture is one alone.
fn one_group(capture: &str, matcher: &Matcher) -> Option<u32> {
    let substitutes = matcher
        .enable_substitutions
        .as_ref()
        .is_some_and(|flag| flag.value);
    let capture = capture.trim();
    if let Some(digit) = capture.strip_prefix('\\') {
        return digit.parse().ok().filter(|group| (1..=9).contains(group));
    }
    (!substitutes).then(|| capture.parse().ok()).flatten()
}

/// `\1.\2` as the REST API writes it: `$1.$2`.
fn format_string(template: &str) -> String {
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('1'..='9')) => out.push('$'),
            _ => out.push(c),
        }
    }
    out
}

/// Counts the events that rely on a matcher or an event mapping that is lost.
fn account(mapping: &Mapping, corpus: &Corpus, losses: &mut [Loss]) {
    let mut count = |subject: &str, file: &str| {
        if let Some(loss) = losses.iter_mut().find(|loss| loss.subject == subject) {
            *loss.fixtures.entry(file.to_owned()).or_default() += 1;
        }
    };
    corpus.each(mapping, |sample, event| {
        for property in &event.properties {
            if let Origin::Matcher { branch, .. } = property.origin {
                count(&mapping.branches()[branch].id, &sample.file);
            }
            // A property that cannot be made is lost with all its expressions.
            let name = mapping.target_name(property.target);
            count(&format!("property/{name}"), &sample.file);
        }
        if let Some((_, row)) = event.qid {
            count(&row_id(&mapping.qids().mappings[row]), &sample.file);
        }
    });
}

fn row_id(row: &EventMapping) -> String {
    format!("event-mapping/{}|{}", row.event_id, row.event_category)
}

/// A script that makes the requests. It needs `curl` and `jq`; the token comes from the environment.
pub const SCRIPT: &str = r#"#!/bin/sh
# Makes the requests of qradar.json, one after the other, and stops at the first that fails.
# Usage: QRADAR=https://console.example.com QRADAR_TOKEN_FILE=token sh apply.sh [qradar.json]
set -eu
file=${1:-qradar.json}
: "${QRADAR:?the address of the console}" "${QRADAR_TOKEN_FILE:?a file with the token of an authorized service}"
header=$(mktemp)
answers=$(mktemp)
trap 'rm -f "$header" "$answers" "$answers.new"' EXIT
printf 'SEC: %s\n' "$(cat "$QRADAR_TOKEN_FILE")" > "$header"
echo '{}' > "$answers"
count=$(jq '.requests | length' "$file")
at=0
while [ "$at" -lt "$count" ]; do
    id=$(jq -r --argjson at "$at" '.requests[$at].id' "$file")
    path=$(jq -r --argjson at "$at" '.requests[$at].path' "$file")
    body=$(jq --argjson at "$at" --slurpfile answers "$answers" \
        '.requests[$at] | .body + ((.fill // {}) | map_values($answers[0][.from][.field]))' "$file")
    answer=$(curl --silent --show-error --fail-with-body --header "@$header" \
        --header 'Content-Type: application/json' --data "$body" "$QRADAR$path")
    jq --arg id "$id" --argjson answer "$answer" '.[$id] = $answer' "$answers" > "$answers.new"
    mv "$answers.new" "$answers"
    echo "$id"
    at=$((at + 1))
done
"#;
