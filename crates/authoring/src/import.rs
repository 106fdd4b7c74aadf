//! From the forms of QRadar to a mapping folder: an extension, a QID map, custom properties.
//!
//! An extension is kept byte for byte. What an extension does not say (names, QIDs, types of properties) comes from the other
//! files, or gets a value that the author can see and mend.

use crate::export::qradar::{EVENT_MAPPINGS, KINDS, PROPERTIES, QID_RECORDS};
use crate::rewrite::{self, Edit};
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::field::Field;
use dsm::lsx::{self, PatternType};
use dsm::mapping::Source;
use dsm::qidmap::{MAPPING_COLUMNS, QID_COLUMNS, USER_DEFINED};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A log source extension.
    Extension,
    /// QID records, as `qidmap_cli.sh` exports them or as a mapping folder has them.
    QidMap,
    /// Event mappings, as a mapping folder has them.
    EventMappings,
    /// What `dsmith export --to qradar` writes, or what the REST API answers.
    Requests,
}

/// Why nothing can be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file is none of those that are read.
    #[error("{0} is neither an extension (XML), nor a QID map (CSV), nor custom properties (JSON)")]
    Unknown(String),
    /// Two files of one kind.
    #[error("{0} and {1} are both {2}; import one of them")]
    Twice(String, String, &'static str),
    /// There is no extension, and none in the folder.
    #[error("there is no extension among the files, and none in the folder")]
    NoExtension,
    /// The JSON cannot be read.
    #[error("{0}: {1}")]
    Json(String, String),
    /// The extension has errors.
    #[error("the extension has errors")]
    Invalid(Diagnostics),
}

/// What the files of a folder will be.
#[derive(Debug)]
pub struct Imported {
    /// The files.
    pub source: Source,
    /// The text of README.md.
    pub readme: String,
    /// What the author should know, each in one line.
    pub notes: Vec<String>,
}

/// How the log source type is called. What is not given comes from our own document, if that is among the files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name of the folder.
    pub slug: String,
    /// The name of the log source type; else made of the slug.
    pub name: Option<String>,
    /// Its identifier; else the first that QRadar gives to types that users make.
    pub type_id: Option<u32>,
}

/// The first identifier of log source types that users make.
const FIRST_TYPE_ID: u32 = 4000;

/// What a file is, by its contents.
pub fn kind(text: &str) -> Option<Kind> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('<') {
        return Some(Kind::Extension);
    }
    if text.starts_with(['{', '[']) {
        return Some(Kind::Requests);
    }
    let first = text.lines().next()?;
    if first.starts_with("event_id,") {
        return Some(Kind::EventMappings);
    }
    (first.starts_with("qid,") || first.matches(',').count() >= 4).then_some(Kind::QidMap)
}

#[derive(Debug, Clone)]
struct Property {
    name: String,
    kind: String,
    description: String,
    datetime_format: Option<String>,
    leef_key: Option<String>,
    expressions: Vec<(PatternType, Value)>,
}

/// Makes the files of a mapping folder. `files` are names and texts.
///
/// # Errors
/// A file cannot be used.
pub fn import(files: &[(String, String)], identity: &Identity) -> Result<Imported, ImportError> {
    let mut notes = Vec::new();
    let mut found: BTreeMap<u8, &(String, String)> = BTreeMap::new();
    for file in files {
        let kind = kind(&file.1).ok_or_else(|| ImportError::Unknown(file.0.clone()))?;
        if let Some(first) = found.insert(kind as u8, file) {
            let what = match kind {
                Kind::Extension => "extensions",
                Kind::QidMap => "QID maps",
                Kind::EventMappings => "event mappings",
                Kind::Requests => "custom properties",
            };
            return Err(ImportError::Twice(first.0.clone(), file.0.clone(), what));
        }
    }
    let get = |kind: Kind| found.get(&(kind as u8)).copied();
    let (name, text) = get(Kind::Extension).ok_or(ImportError::NoExtension)?;
    let file = SourceFile::new(name.clone(), text.as_str());
    let (document, findings) = lsx::parse(&file);
    if findings.has_errors() {
        return Err(ImportError::Invalid(findings));
    }
    let (mut properties, mut qids, mut mappings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut type_name, mut type_id) = (identity.name.clone(), identity.type_id);
    if let Some((name, text)) = get(Kind::Requests) {
        let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| ImportError::Json(name.clone(), error.to_string()))?;
        properties = read_properties(&value, &mut notes);
        (qids, mappings) = read_qids(&value);
        let name = value["log_source_type"].as_str().map(str::to_owned);
        type_name = type_name.or(name);
        let id = value["log_source_type_id"].as_u64();
        type_id = type_id.or_else(|| id?.try_into().ok());
    }
    let type_name = type_name.unwrap_or_else(|| titled(&identity.slug));
    if type_id.is_none() {
        notes.push(format!(
            "no file says the id of the log source type: manifest.toml has {FIRST_TYPE_ID}"
        ));
    }
    notes.push("no file says vendor and description: manifest.toml waits for them".to_owned());
    let extension = with_expressions(&document, text, &mut properties, &mut notes);
    undeclared(&document, &mut properties, &mut notes);
    let qidmap = match get(Kind::QidMap) {
        Some((_, text)) => qid_csv(text, &mut notes),
        None => csv(&QID_COLUMNS, &qids),
    };
    let event_mappings = match get(Kind::EventMappings) {
        Some((_, text)) => text.clone(),
        None => csv(&MAPPING_COLUMNS, &mappings),
    };
    if qidmap.lines().count() < 2 {
        notes.push(
            "qidmap.csv is empty: every event will be Unknown until it has records".to_owned(),
        );
    } else if event_mappings.lines().count() < 2 {
        notes.push("event-mappings.csv is empty: no event leads to a QID yet".to_owned());
    }
    let place = |name: &str, text: String| -> Arc<SourceFile> {
        SourceFile::new(format!("{}/{name}", identity.slug), text)
    };
    Ok(Imported {
        readme: format!(
            "# {type_name}\n\nImported with `dsmith import`. Say here what the source sends, and which documents the mapping was written from.\n",
        ),
        source: Source {
            slug: identity.slug.clone(),
            manifest: place(
                "manifest.toml",
                manifest(&type_name, type_id.unwrap_or(FIRST_TYPE_ID), &properties),
            ),
            extension: place("extension.xml", extension),
            qidmap: place("qidmap.csv", qidmap),
            event_mappings: place("event-mappings.csv", event_mappings),
        },
        notes,
    })
}

/// The objects of an endpoint: in our own document, or in an object with the last part of the endpoint as name.
fn of_endpoint<'v>(value: &'v Value, path: &str) -> Vec<(Option<&'v Value>, &'v Value)> {
    if let Some(requests) = value.get("requests").and_then(Value::as_array) {
        return requests
            .iter()
            .filter(|request| {
                request["path"]
                    .as_str()
                    .is_some_and(|of| of.ends_with(path))
            })
            .map(|request| (Some(request), &request["body"]))
            .collect();
    }
    let last = path.rsplit('/').next().unwrap_or(path);
    let list = value.get(last).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .map(|body| (None, body))
        .collect()
}

fn string(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn read_properties(value: &Value, notes: &mut Vec<String>) -> Vec<Property> {
    let mut properties = Vec::new();
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for (request, body) in of_endpoint(value, PROPERTIES) {
        let key = request.map_or_else(
            || string(body, "identifier"),
            |request| string(request, "id"),
        );
        keys.insert(key, properties.len());
        let leef_key = request.and_then(|request| request["dsmith"]["leef_key"].as_str());
        properties.push(Property {
            name: string(body, "name"),
            kind: string(body, "property_type").to_ascii_lowercase(),
            description: string(body, "description"),
            datetime_format: body["datetime_format"].as_str().map(str::to_owned),
            leef_key: leef_key.map(str::to_owned),
            expressions: Vec::new(),
        });
    }
    for (kind, last) in KINDS {
        for (request, body) in of_endpoint(value, &format!("/{last}")) {
            let key = match request {
                Some(request) => string(&request["fill"]["regex_property_identifier"], "from"),
                None => string(body, "regex_property_identifier"),
            };
            if body["enabled"] == Value::Bool(false) {
                notes.push(format!(
                    "an expression of {key} is not enabled, and was left out"
                ));
                continue;
            }
            match keys.get(&key) {
                Some(index) => {
                    // In our own document the number at the end of the id is the place among the expressions.
                    let mut body = body.clone();
                    body["place"] = request
                        .map(|request| string(request, "id"))
                        .and_then(|id| id.rsplit('/').next()?.parse::<u64>().ok())
                        .into();
                    properties[*index].expressions.push((*kind, body));
                }
                None => notes.push(format!(
                    "an expression belongs to no property ({key}), and was left out"
                )),
            }
        }
    }
    for property in &mut properties {
        property
            .expressions
            .sort_by_key(|(_, body)| body["place"].as_u64());
    }
    properties
}

pub(crate) type Rows = Vec<Vec<String>>;

fn read_qids(value: &Value) -> (Rows, Rows) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    let mut qids = Vec::new();
    for (request, body) in of_endpoint(value, QID_RECORDS) {
        let id = request.map_or_else(|| text(&body["id"]), |request| string(request, "id"));
        let number = match request {
            Some(_) => id.trim_start_matches("qid/").to_owned(),
            None => text(&body["qid"]),
        };
        numbers.insert(id, number.clone());
        qids.push(vec![
            number,
            string(body, "name"),
            string(body, "description"),
            text(&body["severity"]),
            text(&body["low_level_category_id"]),
        ]);
    }
    let mut mappings = Vec::new();
    for (request, body) in of_endpoint(value, EVENT_MAPPINGS) {
        let record = match request {
            Some(request) => string(&request["fill"]["qid_record_id"], "from"),
            None => text(&body["qid_record_id"]),
        };
        if let Some(number) = numbers.get(&record) {
            mappings.push(vec![
                string(body, "log_source_event_id"),
                string(body, "log_source_event_category"),
                number.clone(),
            ]);
        }
    }
    (qids, mappings)
}

pub(crate) fn csv(columns: &[&str], rows: &Rows) -> String {
    let mut out = columns.join(",") + "\n";
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The CSV of `qidmap_cli.sh`: it may have no heading, and no numbers.
fn qid_csv(text: &str, notes: &mut Vec<String>) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let mut out = String::new();
    let (mut next, mut numbered) = (USER_DEFINED, 0);
    if !text.starts_with("qid,") {
        out.push_str(&QID_COLUMNS.join(","));
        out.push('\n');
    }
    let taken: BTreeSet<u32> = text
        .lines()
        .filter_map(|line| line.split(',').next()?.trim().parse().ok())
        .collect();
    // A line that begins inside quotes is no row of its own.
    let mut open = false;
    for line in text.split_inclusive('\n') {
        if !open && line.starts_with(',') {
            while taken.contains(&next) {
                next += 1;
            }
            let _ = write!(out, "{next}");
            next += 1;
            numbered += 1;
        }
        out.push_str(line);
        open ^= line.matches('"').count() % 2 == 1;
    }
    if numbered > 0 {
        notes.push(format!(
            "{numbered} QID records had no number and got one from {USER_DEFINED} on; a console gives others"
        ));
    }
    out
}

/// The extension with a matcher for each expression in each match group; the same bytes where there is none.
fn with_expressions(
    document: &lsx::Document,
    text: &str,
    properties: &mut Vec<Property>,
    notes: &mut Vec<String>,
) -> String {
    properties.retain(|property| {
        let is_system = Field::from_name(&property.name).is_some();
        if is_system {
            notes.push(format!(
                "custom property {} has the name of a system property, and was left out",
                property.name
            ));
        }
        !is_system
    });
    let mut ids: BTreeSet<String> = document
        .patterns
        .iter()
        .map(|pattern| pattern.id.value.clone())
        .collect();
    let (mut patterns, mut matchers) = (String::new(), String::new());
    for property in properties.iter() {
        for (order, (kind, body)) in property.expressions.iter().enumerate() {
            let id = free(&property.name, &mut ids);
            let (body_text, attributes) = match kind {
                PatternType::JavaPattern => {
                    let attributes = match (
                        body["format_string"].as_str(),
                        body["capture_group"].as_u64(),
                    ) {
                        (Some(format), _) => format!(
                            " capture-group=\"{}\" enable-substitutions=\"true\"",
                            rewrite::escaped(&template(format))
                        ),
                        (None, group) => format!(" capture-group=\"{}\"", group.unwrap_or(1)),
                    };
                    (string(body, "regex"), attributes)
                }
                PatternType::NameValuePairKey => (
                    string(body, "expression"),
                    format!(
                        " delimiter-pair=\"{}\" delimiter-namevalue=\"{}\"",
                        rewrite::escaped(&string(body, "delimiter_pair")),
                        rewrite::escaped(&string(body, "delimiter_name_value"))
                    ),
                ),
                PatternType::GenericListKey => (
                    string(body, "expression"),
                    format!(
                        " delimiter=\"{}\"",
                        rewrite::escaped(&string(body, "delimiter"))
                    ),
                ),
                _ => {
                    let text = string(body, "expression");
                    let substitutes = text.contains('{') && !text.starts_with("/\"");
                    (
                        text,
                        if substitutes {
                            " enable-substitutions=\"true\"".to_owned()
                        } else {
                            String::new()
                        },
                    )
                }
            };
            let _ = writeln!(
                patterns,
                "  <pattern id=\"{}\" type=\"{}\">{}</pattern>",
                rewrite::escaped(&id),
                kind.name(),
                rewrite::cdata(&body_text)
            );
            let _ = writeln!(
                matchers,
                "    <{} field=\"{}\" order=\"{}\" pattern-id=\"{}\"{attributes}/>",
                kind.element(),
                rewrite::escaped(&property.name),
                order + 1,
                rewrite::escaped(&id)
            );
        }
    }
    if matchers.is_empty() || document.groups.is_empty() {
        return text.to_owned();
    }
    let mut edits = Vec::new();
    // Where the children are in the namespace of the root or in none, those that come are too.
    let in_none = document
        .patterns
        .iter()
        .any(|pattern| text[pattern.span.clone()].contains("xmlns=\"\""));
    if in_none {
        patterns = patterns.replace("<pattern ", "<pattern xmlns=\"\" ");
    }
    for (index, group) in document.groups.iter().enumerate() {
        let whole = rewrite::element(text, &group.span);
        if index == 0 {
            let at = rewrite::line(text, whole.start..whole.start).start;
            let start = text[..whole.start]
                .rfind('\n')
                .map_or(at, |newline| newline + 1);
            edits.push(Edit::replace(start..start, patterns.as_str()));
        }
        if let Some(close) = text[whole.clone()].rfind("</") {
            let close = whole.start + close;
            let start = text[..close]
                .rfind('\n')
                .map_or(close, |newline| newline + 1);
            let at = if text[start..close].trim().is_empty() {
                start
            } else {
                close
            };
            edits.push(Edit::replace(at..at, matchers.as_str()));
        }
    }
    rewrite::apply(text, &edits)
}

/// `$1.$2` as an extension writes it: `\1.\2`.
fn template(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('$', Some('1'..='9')) => out.push('\\'),
            _ => out.push(c),
        }
    }
    out
}

/// An identifier that is not taken.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let base: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut id = base.clone();
    let mut number = 1;
    while !taken.insert(id.clone()) {
        number += 1;
        id = format!("{base} {number}");
    }
    id
}

/// Declares the fields of the extension that nobody declared.
fn undeclared(document: &lsx::Document, properties: &mut Vec<Property>, notes: &mut Vec<String>) {
    for matcher in document.groups.iter().flat_map(|group| &group.matchers) {
        let name = &matcher.field.value;
        if Field::from_name(name).is_some()
            || properties.iter().any(|property| property.name == *name)
        {
            continue;
        }
        notes.push(format!(
            "`{name}` is no system property: it is declared as a custom property of type string, whose description is to be written"
        ));
        properties.push(Property {
            name: name.clone(),
            kind: "string".to_owned(),
            description: String::new(),
            datetime_format: None,
            leef_key: None,
            expressions: vec![(matcher.element, Value::Null)],
        });
    }
    properties.retain(|property| {
        let is_filled = !property.expressions.is_empty();
        if !is_filled {
            notes.push(format!(
                "custom property {} has no expression, and was left out",
                property.name
            ));
        }
        is_filled
    });
}

/// `acme-firewall` as `Acme Firewall`.
pub fn titled(slug: &str) -> String {
    let words: Vec<String> = slug
        .split('-')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(chars).collect()
        })
        .collect();
    words.join(" ")
}

fn manifest(name: &str, type_id: u32, properties: &[Property]) -> String {
    let quoted = |text: &str| toml_string(text);
    let product: String = name
        .chars()
        .map(|c| if c == '|' || c.is_control() { ' ' } else { c })
        .collect();
    let mut out = format!(
        "format = 1\nname = {}\ndescription = \"\"\nlog_source_type_id = {}\n\n[leef]\nvendor = \"Unknown\"\nproduct = {}\nversion = \"1.0\"\n",
        quoted(name),
        type_id,
        quoted(&product)
    );
    let mut keys = BTreeSet::new();
    for property in properties {
        let key = match &property.leef_key {
            Some(key) if keys.insert(key.clone()) => key.clone(),
            _ => leef_key(&property.name, &mut keys),
        };
        let description = if property.description.is_empty() {
            property.name.as_str()
        } else {
            property.description.as_str()
        };
        let kind = match property.kind.as_str() {
            "numeric" | "ip" | "port" | "time" => property.kind.as_str(),
            _ => "string",
        };
        let _ = write!(
            out,
            "\n[[property]]\nname = {}\ntype = \"{kind}\"\nleef_key = {}\ndescription = {}\n",
            quoted(&property.name),
            quoted(&key),
            quoted(description)
        );
        if let (Some(format), "time") = (&property.datetime_format, kind) {
            let _ = writeln!(out, "datetime_format = {}", quoted(format));
        }
    }
    out
}

pub(crate) fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key made of a name: `Rule Name` becomes `ruleName`. Not taken, and not one of LEEF's own.
pub(crate) fn leef_key(name: &str, keys: &mut BTreeSet<String>) -> String {
    let mut key = String::new();
    for (at, word) in name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .enumerate()
    {
        let (head, tail) = word.split_at(1);
        key.push_str(&if at == 0 {
            head.to_ascii_lowercase()
        } else {
            head.to_ascii_uppercase()
        });
        key.push_str(tail);
    }
    if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
        key.insert_str(0, "custom");
    }
    while leef::attribute::predefined_ignoring_case(&key).is_some()
        || dsm::output::leef::RESERVED_KEYS.contains(&key.as_str())
        || !keys.insert(key.clone())
    {
        key.push_str("Custom");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_what_is_in_them() {
        for (text, expected) in [
            ("\u{feff}<?xml version=\"1.0\"?>", Some(Kind::Extension)),
            (
                "qid,name,description,severity,lowlevelcategory\n",
                Some(Kind::QidMap),
            ),
            (",XSense Alert,an alert,5,7001\n", Some(Kind::QidMap)),
            ("event_id,event_category,qid\n", Some(Kind::EventMappings)),
            ("[]", Some(Kind::Requests)),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_qid_map_without_heading_and_numbers_gets_both() {
        let mut notes = Vec::new();
        let text = ",A,\"one,\n,two\",5,7001\n2000001,B,b,3,7001\n,C,c,3,7001\n";
        assert_eq!(
            qid_csv(text, &mut notes),
            "qid,name,description,severity,lowlevelcategory\n2000002,A,\"one,\n,two\",5,7001\n2000001,B,b,3,7001\n2000003,C,c,3,7001\n"
        );
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn keys_are_made_of_names() {
        let mut keys = BTreeSet::new();
        assert_eq!(leef_key("Rule Name", &mut keys), "ruleName");
        assert_eq!(leef_key("rule-name", &mut keys), "ruleNameCustom");
        assert_eq!(leef_key("src", &mut keys), "srcCustom");
        assert_eq!(leef_key("7 Layers", &mut keys), "custom7Layers");
    }
}
