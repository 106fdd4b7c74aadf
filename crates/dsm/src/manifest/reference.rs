//! The keys of the manifest as a page and as JSON Schema.

use super::{FORMAT, KEYS};
use crate::diagnostic::Code;
use crate::options::register;
use serde_json::{Map, Value, json};

/// The tables of the reference page, in Markdown.
#[must_use]
pub fn page() -> String {
    settings::page::sections("The top of the file", KEYS)
}

/// The JSON Schema of `manifest.toml`.
#[must_use]
pub fn json_schema() -> String {
    let mut root = settings::schema::object(KEYS);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("manifest.toml of a dsmith mapping");
    let lints: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| code.is_lint())
        .map(|code| code.as_str())
        .collect();
    // What the declarations do not express.
    let keys = &mut root["properties"];
    keys["format"]["const"] = json!(FORMAT);
    keys["options"]["properties"] = options();
    keys["options"]["additionalProperties"] = json!(false);
    keys["autodetection"]["properties"]["rule"]["items"]["anyOf"] =
        json!([{"required": ["keypaths"]}, {"required": ["patterns"]}]);
    keys["property"]["items"]["properties"]["leef_key"]["pattern"] =
        json!("^[A-Za-z][A-Za-z0-9]*$");
    keys["allow"]["items"]["properties"]["lint"]["enum"] = json!(lints);
    format!("{root:#}\n")
}

fn options() -> Value {
    let mut options = Map::new();
    for row in register() {
        let mut value = if row.alternatives.is_empty() {
            json!({"type": ["string", "integer"]})
        } else {
            let values: Vec<&str> = std::iter::once(row.default.as_str())
                .chain(
                    row.alternatives
                        .iter()
                        .map(|alternative| alternative.value.as_str()),
                )
                .collect();
            // What is in angle brackets stands for a value.
            if values.iter().any(|value| value.contains(['<', ' '])) {
                json!({"type": ["string", "integer"]})
            } else {
                json!({"enum": values})
            }
        };
        value["description"] = json!(format!("{} Our answer: {}", row.question, row.default));
        options.insert(row.id.clone(), value);
    }
    Value::Object(options)
}
