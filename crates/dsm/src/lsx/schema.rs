//! Which attributes an element has: for the messages of the parser, and for the XML schema that editors check with.

use super::{PatternType, SendIdentity};

/// What an attribute takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// An identifier that is unique among those of its element.
    Id,
    /// The identifier of a pattern.
    Reference,
    /// `true` or `false`.
    Boolean,
    /// A whole number above zero.
    Order,
    /// A whole number.
    Number,
    /// A severity from 1 to 10.
    Severity,
    /// The name of a property: a system property, or a custom one.
    Field,
    /// One of the types of patterns.
    PatternType,
    /// One of the answers to what becomes of identity.
    SendIdentity,
    /// One of the meanings of several hits.
    Hits,
}

impl Takes {
    /// The values, where there is a fixed set of them.
    pub fn values(self) -> Vec<&'static str> {
        match self {
            Self::PatternType => PatternType::NAMES.to_vec(),
            Self::SendIdentity => SendIdentity::NAMES.iter().map(|(name, _)| *name).collect(),
            Self::Hits => vec!["first", "joined"],
            _ => Vec::new(),
        }
    }
}

/// An attribute of an element.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name; for one of ours without the prefix.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
}

const fn attribute(
    name: &'static str,
    takes: Takes,
    required: bool,
    meaning: &'static str,
) -> Attribute {
    Attribute {
        name,
        takes,
        required,
        meaning,
    }
}

const PATTERN: &[Attribute] = &[
    attribute(
        "id",
        Takes::Id,
        true,
        "name by which matchers refer to it; case counts",
    ),
    attribute(
        "case-insensitive",
        Takes::Boolean,
        false,
        "a regular expression in which case does not count",
    ),
    attribute(
        "trim-whitespace",
        Takes::Boolean,
        false,
        "white space of the text does not belong to it",
    ),
    attribute(
        "use-default-pattern",
        Takes::Boolean,
        false,
        "QRadar runs the expression on Java's own engine",
    ),
    attribute(
        "type",
        Takes::PatternType,
        false,
        "how the text is read; a Java regular expression if it is missing",
    ),
];

const GROUP: &[Attribute] = &[
    attribute(
        "order",
        Takes::Order,
        true,
        "groups are tried in ascending order; the first that finds an event name supplies all fields",
    ),
    attribute("description", Takes::Text, false, "for the reader"),
    attribute(
        "device-type-id-override",
        Takes::Number,
        false,
        "log source type whose QID map is used",
    ),
];

const FIELD: Attribute = attribute("field", Takes::Field, true, "property that it fills");
const PATTERN_ID: Attribute =
    attribute("pattern-id", Takes::Reference, true, "pattern that it uses");
const ORDER: Attribute = attribute(
    "order",
    Takes::Order,
    true,
    "matchers of a field are tried in ascending order until one has a value",
);
const SUBSTITUTIONS: Attribute = attribute(
    "enable-substitutions",
    Takes::Boolean,
    false,
    "the value is a template",
);
const EXT_DATA: Attribute = attribute(
    "ext-data",
    Takes::Text,
    false,
    "format of DeviceTime, in the letters of Joda-Time",
);

const MATCHER: &[Attribute] = &[
    FIELD,
    PATTERN_ID,
    ORDER,
    attribute(
        "capture-group",
        Takes::Text,
        false,
        "group of the expression, or a template such as \\1@\\2; the whole match if it is missing",
    ),
    SUBSTITUTIONS,
    EXT_DATA,
];
const PAIR_MATCHER: &[Attribute] = &[
    FIELD,
    PATTERN_ID,
    ORDER,
    SUBSTITUTIONS,
    EXT_DATA,
    attribute(
        "delimiter-pair",
        Takes::Text,
        false,
        "what stands between two pairs",
    ),
    attribute(
        "delimiter-namevalue",
        Takes::Text,
        false,
        "what stands between name and value",
    ),
];
const LIST_MATCHER: &[Attribute] = &[
    FIELD,
    PATTERN_ID,
    ORDER,
    SUBSTITUTIONS,
    EXT_DATA,
    attribute(
        "delimiter",
        Takes::Text,
        false,
        "what stands between two items",
    ),
];
const KEY_MATCHER: &[Attribute] = &[FIELD, PATTERN_ID, ORDER, SUBSTITUTIONS, EXT_DATA];

const CATEGORY: Attribute = attribute(
    "device-event-category",
    Takes::Text,
    false,
    "event category by which the QID is looked up",
);
const SEVERITY: Attribute = attribute(
    "severity",
    Takes::Severity,
    false,
    "severity instead of that of the QID",
);
const SEND_IDENTITY: Attribute = attribute(
    "send-identity",
    Takes::SendIdentity,
    false,
    "whether the event sends identity",
);
const FORCE: Attribute = attribute(
    "force-qidmap-lookup-on-fixup",
    Takes::Boolean,
    false,
    "the QID is looked up anew",
);

const SINGLE: &[Attribute] = &[
    attribute(
        "event-name",
        Takes::Text,
        true,
        "event name that it applies to",
    ),
    CATEGORY,
    SEVERITY,
    SEND_IDENTITY,
    FORCE,
];
const MULTIPLE: &[Attribute] = &[
    attribute(
        "pattern-id",
        Takes::Reference,
        true,
        "pattern that the event name must match",
    ),
    attribute(
        "capture-group-index",
        Takes::Number,
        false,
        "group whose text becomes the event name",
    ),
    CATEGORY,
    SEVERITY,
    SEND_IDENTITY,
    FORCE,
];

/// The attributes of dsmith's own namespace, all of `pattern`.
pub const OURS: &[Attribute] = &[
    attribute(
        "within",
        Takes::Reference,
        false,
        "the pattern runs over the value of this pattern instead of the payload",
    ),
    attribute(
        "hits",
        Takes::Hits,
        false,
        "what several values of a key path mean, and that it may filter",
    ),
    attribute(
        "separator",
        Takes::Text,
        false,
        "what stands between joined values",
    ),
];

/// The attributes of an element; a key matcher if it is unknown.
pub fn attributes(element: &str) -> &'static [Attribute] {
    match element {
        "pattern" => PATTERN,
        "match-group" => GROUP,
        "matcher" => MATCHER,
        "namevaluepair-matcher" => PAIR_MATCHER,
        "genericlist-matcher" => LIST_MATCHER,
        "event-match-single" => SINGLE,
        "event-match-multiple" => MULTIPLE,
        _ => KEY_MATCHER,
    }
}

/// Their names.
pub(super) fn names(element: &str) -> Vec<&'static str> {
    attributes(element)
        .iter()
        .map(|attribute| attribute.name)
        .collect()
}
