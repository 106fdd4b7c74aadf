//! Parameters as JSON Schema, for editors.
//!
//! The schema is a little stricter than validation: it knows allowed values only as they are declared, in one case.

use super::{Effect, Kind, Parameter, Rule, When};
use serde_json::{Map, Value, json};

/// The schema of a table with these parameters (draft 2020-12).
pub fn schema(declared: &[Parameter]) -> Value {
    let properties: Map<String, Value> = declared
        .iter()
        .map(|parameter| (parameter.name.to_owned(), property(parameter)))
        .collect();
    let required: Vec<&str> = declared
        .iter()
        .filter(|parameter| {
            parameter.required && parameter.default.is_none() && parameter.rules.is_empty()
        })
        .map(|parameter| parameter.name)
        .collect();
    let conditions: Vec<Value> = declared
        .iter()
        .flat_map(|parameter| dependent(declared, parameter))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "allOf": conditions,
    })
}

fn property(parameter: &Parameter) -> Value {
    let mut schema = match parameter.kind {
        Kind::String { max_length } => text(parameter, max_length),
        Kind::List { max_length } => json!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": text(parameter, max_length), "minItems": 1, "uniqueItems": true },
            ],
        }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Interval { .. } => json!({ "type": "string", "pattern": "^[0-9]+[MmHhDd]$" }),
        Kind::Host => text(parameter, 255),
        Kind::Path => text(parameter, 4096),
        Kind::Password => secret_schema(),
    };
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), json!(parameter.label));
        object.insert(
            "description".to_owned(),
            json!(parameter.describe().meaning),
        );
        if let Some(default) = parameter.default {
            object.insert("default".to_owned(), typed(parameter, default));
        }
    }
    schema
}

fn text(parameter: &Parameter, max_length: usize) -> Value {
    if !parameter.allowed.is_empty() {
        let values: Vec<&str> = parameter
            .allowed
            .iter()
            .map(|allowed| allowed.value)
            .collect();
        return json!({ "type": "string", "enum": values });
    }
    match parameter.pattern {
        Some(pattern) => {
            json!({ "type": "string", "maxLength": max_length, "pattern": pattern.regex })
        }
        None => json!({ "type": "string", "minLength": 1, "maxLength": max_length }),
    }
}

/// A value as it stands in configuration, in its type.
fn typed(parameter: &Parameter, value: &str) -> Value {
    match parameter.kind {
        Kind::Integer { .. } => value.parse::<i64>().map_or(Value::Null, Value::from),
        Kind::Boolean => Value::Bool(value == "true"),
        _ => Value::from(value),
    }
}

/// What holds for a parameter depending on others.
fn dependent(declared: &[Parameter], parameter: &Parameter) -> Vec<Value> {
    let conditions = |effects: &[Effect]| -> Vec<Value> {
        parameter
            .rules
            .iter()
            .filter(|rule| effects.contains(&rule.effect))
            .map(|rule| condition(declared, rule))
            .collect()
    };
    let mut found = Vec::new();
    let mut properties = Map::new();
    properties.insert(parameter.name.to_owned(), Value::Bool(false));
    for unavailable in conditions(&[Effect::Unavailable]) {
        found.push(json!({ "if": unavailable, "then": { "properties": properties } }));
    }
    let needed = json!({ "required": [parameter.name] });
    let excused = conditions(&[Effect::Unavailable, Effect::Optional]);
    if parameter.required && parameter.default.is_none() && !excused.is_empty() {
        found.push(json!({ "if": { "not": { "anyOf": excused } }, "then": needed }));
    } else {
        for required in conditions(&[Effect::Required]) {
            found.push(json!({ "if": required, "then": needed }));
        }
    }
    found
}

fn condition(declared: &[Parameter], rule: &Rule) -> Value {
    let trigger = declared
        .iter()
        .find(|parameter| parameter.name == rule.parameter);
    let is = |value: &str| {
        let constant = trigger.map_or(Value::Null, |trigger| typed(trigger, value));
        let mut properties = Map::new();
        properties.insert(rule.parameter.to_owned(), json!({ "const": constant }));
        // A parameter that is not given has its default.
        if trigger.and_then(|trigger| trigger.default) == Some(value) {
            json!({ "properties": properties })
        } else {
            json!({ "properties": properties, "required": [rule.parameter] })
        }
    };
    match rule.when {
        When::Is(value) => is(value),
        When::IsNot(value) => json!({ "not": is(value) }),
        When::Given => json!({ "required": [rule.parameter] }),
        When::Absent => json!({ "not": { "required": [rule.parameter] } }),
    }
}

/// The schema of a reference to a secret.
pub fn secret_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "env": { "type": "string", "minLength": 1 },
            "file": { "type": "string", "minLength": 1 },
        },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}
