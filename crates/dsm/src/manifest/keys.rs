//! The keys of the manifest.

use super::PropertyType;
use settings::{Effect, Key, Rule, Takes, When};

const NUMBER: Takes = Takes::Integer(0, u32::MAX as i64);
const TEXTS: Takes = Takes::List(&Takes::AnyText);

/// How the types of properties are written.
const TYPES: [&str; PropertyType::NAMES.len()] = {
    let mut names = [""; PropertyType::NAMES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = PropertyType::NAMES[at].0;
        at += 1;
    }
    names
};

/// The keys at the top of the manifest, and in them those of its tables, in the order of the reference page.
pub const KEYS: &[Key] = &[
    Key::new(
        "format",
        NUMBER,
        "Version of the mapping format; this program reads 1.",
    )
    .required()
    .example("format = 1"),
    Key::new(
        "name",
        Takes::AnyText,
        "Name of the log source type as people see it.",
    )
    .required()
    .example("name = \"Acme Firewall\""),
    Key::new(
        "description",
        Takes::AnyText,
        "One line on what the type covers.",
    ),
    Key::new(
        "log_source_type_id",
        NUMBER,
        "Identifier of the log source type whose QID map is used. A type that you make in the DSM Editor gets one from 4000 on; a group's device-type-id-override names another type.",
    )
    .required()
    .example("log_source_type_id = 4001"),
    Key::new(
        "leef",
        Takes::Table(LEEF),
        "The header of events in LEEF and CEF.",
    )
    .required()
    .example("[leef] with vendor, product and version"),
    Key::new(
        "autodetection",
        Takes::Table(AUTODETECTION),
        "Which payloads are of this type.",
    )
    .example("[autodetection] with precedence, and below it [[autodetection.rule]]"),
    Key::new(
        "options",
        Takes::Open("a table of engine options"),
        "Answers to questions that IBM's documents leave open; the names and values are in the assumption register.",
    )
    .example("[options] with lines such as qid-case = \"insensitive\""),
    Key::new(
        "property",
        Takes::Tables(PROPERTY),
        "The custom properties.",
    ),
    Key::new(
        "allow",
        Takes::Tables(ALLOW),
        "Findings of `dsmith lint` that are known.",
    ),
];

const LEEF: &[Key] = &[
    Key::new(
        "vendor",
        Takes::AnyText,
        "Vendor in the header: that of the product whose events these are.",
    )
    .required()
    .example("vendor = \"Acme\""),
    Key::new(
        "product",
        Takes::AnyText,
        "Product in the header; the pair with the vendor is unique.",
    )
    .required()
    .example("product = \"Firewall\""),
    Key::new(
        "version",
        Takes::AnyText,
        "Version of the product in the header.",
    )
    .required()
    .example("version = \"1.0\""),
];

const AUTODETECTION: &[Key] = &[
    Key::new(
        "rule",
        Takes::Tables(RULE),
        "Rules. One that holds is enough.",
    ),
    Key::new(
        "precedence",
        NUMBER,
        "Types are asked in ascending order whether a payload is theirs. Unique over all mappings.",
    )
    .rules(&[Rule {
        key: "rule",
        when: When::Given,
        effect: Effect::Required,
    }])
    .example("precedence = 100, a number that no other mapping has"),
];

const RULE: &[Key] = &[
    Key::new(
        "keypaths",
        TEXTS,
        "JSON key paths that must all find a value for the rule to hold.",
    ),
    Key::new(
        "patterns",
        TEXTS,
        "Java regular expressions that must all match somewhere in the payload for the rule to hold.",
    ),
];

const PROPERTY: &[Key] = &[
    Key::new(
        "name",
        Takes::AnyText,
        "Name of a custom property, as a matcher's field attribute says it.",
    )
    .required()
    .example("name = \"Rule Name\""),
    Key::new(
        "type",
        Takes::Choice(&TYPES),
        "Its type. A value that is not of the type counts as no data.",
    )
    .required()
    .example("type = \"string\""),
    Key::new(
        "leef_key",
        Takes::AnyText,
        "Key in LEEF output: letters and digits, beginning with a letter, unique, not one of LEEF's predefined keys.",
    )
    .required()
    .example("leef_key = \"ruleName\""),
    Key::new(
        "description",
        Takes::AnyText,
        "What the property holds, for the analyst.",
    )
    .required()
    .example("description = \"name of the rule that decided\""),
    Key::new(
        "datetime_format",
        Takes::AnyText,
        "Format of a property of type time, in the letters of Java's SimpleDateFormat (ext-data in an extension takes Joda-Time's). Without it ISO 8601, epochs and syslog stamps are recognised.",
    ),
];

const ALLOW: &[Key] = &[
    Key::new(
        "lint",
        Takes::AnyText,
        "Number of a lint whose findings are known, such as DSM106.",
    )
    .required()
    .example("lint = \"DSM106\""),
    Key::new(
        "at",
        TEXTS,
        "What the findings are about, as `dsmith lint` names it, such as pattern/Attempt; * stands for any text. Without it, all findings of the lint.",
    ),
    Key::new(
        "reason",
        Takes::AnyText,
        "Why they are all right. `dsmith lint` shows it.",
    )
    .required()
    .example("reason = \"the flag is needed, and nobody edits it there\""),
];
