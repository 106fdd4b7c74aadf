//! Declarations as JSON Schema (draft 2020-12), for editors.
//!
//! The schema is a little stricter than the reader: it knows choices only as they are declared, in one case.

use crate::key::{Effect, Key, Rule, Takes, When};
use serde_json::{Map, Value, json};

/// The schema of a table with these keys.
#[must_use]
pub fn object(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required && key.default.is_none() && key.rules.is_empty())
        .map(|key| key.name)
        .collect();
    let conditions: Vec<Value> = keys.iter().flat_map(|key| dependent(keys, key)).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !conditions.is_empty() {
        schema["allOf"] = json!(conditions);
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = value(key, key.takes);
    if let Some(label) = key.label {
        schema["title"] = json!(label);
    }
    schema["description"] = json!(key.explanation());
    if let Some(default) = key.default {
        schema["default"] = typed(key, default);
    }
    schema
}

fn value(key: &Key, takes: Takes) -> Value {
    match takes {
        Takes::Text(longest) => match key.pattern {
            Some(pattern) => {
                json!({ "type": "string", "maxLength": longest, "pattern": pattern.regex })
            }
            None => json!({ "type": "string", "minLength": 1, "maxLength": longest }),
        },
        Takes::AnyText => match key.pattern {
            Some(pattern) => json!({ "type": "string", "pattern": pattern.regex }),
            None => json!({ "type": "string" }),
        },
        Takes::Choice(_) | Takes::Labelled(_) => {
            let values: Vec<&str> = takes.choices().iter().map(|(value, _)| *value).collect();
            json!({ "enum": values })
        }
        Takes::Boolean => json!({ "type": "boolean" }),
        Takes::Integer(first, last) => {
            json!({ "type": "integer", "minimum": first, "maximum": last })
        }
        Takes::Size => json!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^ *[0-9]+ *([kKmMgGtT][iI]?)?[bB]? *$" },
            ],
        }),
        Takes::Interval(..) => json!({ "type": "string", "pattern": "^[0-9]+[MmHhDd]$" }),
        Takes::Path => json!({ "type": "string", "minLength": 1, "maxLength": 4096 }),
        Takes::Host => json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        Takes::HostPort => json!({ "type": "string", "pattern": "^.+:[0-9]{1,5}$" }),
        Takes::Listen => {
            json!({ "type": "string", "pattern": "^[0-9a-fA-F.:\\[\\]]+:[0-9]{1,5}$" })
        }
        Takes::Secret => json!({
            "type": "object",
            "properties": {
                "env": { "type": "string", "minLength": 1 },
                "file": { "type": "string", "minLength": 1 },
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        }),
        Takes::List(item @ Takes::AnyText) => {
            json!({ "type": "array", "items": value(key, *item) })
        }
        Takes::List(item) => json!({
            "type": "array",
            "items": value(key, *item),
            "minItems": 1,
            "uniqueItems": true,
        }),
        Takes::ListOrCommas(item) => json!({
            "anyOf": [{ "type": "string", "minLength": 1 }, value(key, Takes::List(item))],
        }),
        Takes::Table(keys) => object(keys),
        Takes::Tables(keys) => json!({ "type": "array", "items": object(keys), "minItems": 1 }),
        Takes::Open(_) => json!({ "type": "object" }),
    }
}

/// A value in its type.
fn typed(key: &Key, value: &str) -> Value {
    match key.takes {
        Takes::Integer(..) => value.parse::<i64>().map_or(Value::Null, Value::from),
        Takes::Boolean => Value::Bool(value == "true"),
        _ => Value::from(value),
    }
}

/// What holds for a key depending on others.
fn dependent(keys: &[Key], key: &Key) -> Vec<Value> {
    let conditions = |effects: &[Effect]| -> Vec<Value> {
        key.rules
            .iter()
            .filter(|rule| effects.contains(&rule.effect))
            .map(|rule| condition(keys, rule))
            .collect()
    };
    let mut found = Vec::new();
    let mut absent = Map::new();
    absent.insert(key.name.to_owned(), Value::Bool(false));
    for unavailable in conditions(&[Effect::Unavailable]) {
        found.push(json!({ "if": unavailable, "then": { "properties": absent } }));
    }
    let needed = json!({ "required": [key.name] });
    let excused = conditions(&[Effect::Unavailable, Effect::Optional]);
    if key.required && key.default.is_none() && !excused.is_empty() {
        found.push(json!({ "if": { "not": { "anyOf": excused } }, "then": needed }));
    } else {
        for required in conditions(&[Effect::Required]) {
            found.push(json!({ "if": required, "then": needed }));
        }
    }
    found
}

fn condition(keys: &[Key], rule: &Rule) -> Value {
    let other = keys.iter().find(|key| key.name == rule.key);
    let is = |values: &[&str]| {
        let constants: Vec<Value> = values
            .iter()
            .map(|value| other.map_or(Value::Null, |other| typed(other, value)))
            .collect();
        let mut properties = Map::new();
        let constant = match constants.as_slice() {
            [constant] => json!({ "const": constant }),
            _ => json!({ "enum": constants }),
        };
        properties.insert(rule.key.to_owned(), constant);
        let given = json!({ "properties": properties, "required": [rule.key] });
        let default = other.and_then(|other| other.default);
        let (Some(other), true) = (other, default.is_some_and(|value| values.contains(&value)))
        else {
            return given;
        };
        // A key that is not given has its default, where it is available.
        let unavailable: Vec<Value> = other
            .rules
            .iter()
            .filter(|rule| rule.effect == Effect::Unavailable)
            .map(|rule| condition(keys, rule))
            .collect();
        if unavailable.is_empty() {
            return json!({ "properties": properties });
        }
        let absent =
            json!({ "not": { "anyOf": [{ "required": [rule.key] }, { "anyOf": unavailable }] } });
        json!({ "anyOf": [given, absent] })
    };
    match rule.when {
        When::Is(value) => is(&[value]),
        When::IsNot(value) => json!({ "not": is(&[value]) }),
        When::IsNoneOf(values) => json!({ "not": is(values) }),
        When::Given => json!({ "required": [rule.key] }),
        When::Absent => json!({ "not": { "required": [rule.key] } }),
    }
}
