//! The keys of the manifest, for errors and for the generated reference.

/// A key of the manifest, for the reader of errors and of the generated reference.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Table and name.
    pub path: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

/// Every key of the manifest, in the order of the reference.
pub const KEYS: &[Key] = &[
    key(
        "format",
        "integer",
        true,
        "Version of the mapping format; this program reads 1.",
    ),
    key(
        "name",
        "string",
        true,
        "Name of the log source type as people see it.",
    ),
    key(
        "description",
        "string",
        false,
        "One line on what the type covers.",
    ),
    key(
        "log_source_type_id",
        "integer",
        true,
        "Identifier of the log source type whose QID map is used. A type that you make in the DSM Editor gets one from 4000 on; a group's device-type-id-override names another type.",
    ),
    key(
        "leef.vendor",
        "string",
        true,
        "Vendor in the LEEF and CEF header: that of the product whose events these are.",
    ),
    key(
        "leef.product",
        "string",
        true,
        "Product in the LEEF and CEF header; the pair with the vendor is unique.",
    ),
    key(
        "leef.version",
        "string",
        true,
        "Version of the product in the LEEF and CEF header.",
    ),
    key(
        "autodetection.precedence",
        "integer",
        false,
        "Types are asked in ascending order whether a payload is theirs. Unique over all mappings; required when there are rules.",
    ),
    key(
        "autodetection.rule.keypaths",
        "list of strings",
        false,
        "JSON key paths that must all find a value for the rule to hold. One rule that holds is enough.",
    ),
    key(
        "autodetection.rule.patterns",
        "list of strings",
        false,
        "Java regular expressions that must all match somewhere in the payload for the rule to hold.",
    ),
    key(
        "options.<name>",
        "string",
        false,
        "An answer to a question that IBM's documents leave open; the names and values are in the assumption register.",
    ),
    key(
        "property.name",
        "string",
        true,
        "Name of a custom property, as a matcher's field attribute says it.",
    ),
    key(
        "property.type",
        "string",
        true,
        "string, numeric, ip, port or time. A value that is not of the type counts as no data.",
    ),
    key(
        "property.leef_key",
        "string",
        true,
        "Key in LEEF output: letters and digits, beginning with a letter, unique, not one of LEEF's predefined keys.",
    ),
    key(
        "property.description",
        "string",
        true,
        "What the property holds, for the analyst.",
    ),
    key(
        "property.datetime_format",
        "string",
        false,
        "Format of a property of type time, in the letters of Java's SimpleDateFormat (ext-data in an extension takes Joda-Time's). Without it ISO 8601, epochs and syslog stamps are recognised.",
    ),
    key(
        "allow.lint",
        "string",
        true,
        "Number of a lint whose findings are known, such as DSM106.",
    ),
    key(
        "allow.at",
        "list of strings",
        false,
        "What the findings are about, as `dsmith lint` names it, such as pattern/Attempt; * stands for any text. Without it, all findings of the lint.",
    ),
    key(
        "allow.reason",
        "string",
        true,
        "Why they are all right. `dsmith lint` shows it.",
    ),
];

const fn key(
    path: &'static str,
    takes: &'static str,
    required: bool,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        takes,
        required,
        meaning,
    }
}
