//! Engine options: one for each question that IBM's documents leave open.
//!
//! The register of the questions is `data/assumptions.toml`: what is asked, what we answer, what else could be true
//! and the evidence. A test holds the register and this module together. A mapping overrides an answer in the
//! `[options]` table of its manifest.

use crate::device_time::{DateBlanks, HourWithoutMarker, MissingYear, Zone};
use serde::Deserialize;
use std::sync::LazyLock;

/// One row of the assumption register.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assumption {
    /// Name of the option.
    pub id: String,
    /// What the documents do not say.
    pub question: String,
    /// What the engine does by default, and why.
    pub answer: String,
    /// The default value of the option.
    pub default: String,
    /// The other values; empty when any text or number is allowed.
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
    /// Where the answer comes from.
    pub evidence: String,
}

/// Another possible answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// Value of the option.
    pub value: String,
    /// What the engine does then.
    pub meaning: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    assumption: Vec<Assumption>,
}

/// The register, in its own order.
pub fn register() -> &'static [Assumption] {
    static REGISTER: LazyLock<Vec<Assumption>> = LazyLock::new(|| {
        // A test parses the file, so the fallback is never seen.
        toml::from_str::<Register>(include_str!("../data/assumptions.toml"))
            .map(|register| register.assumption)
            .unwrap_or_default()
    });
    &REGISTER
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident {
        $(#[$fdoc:meta])* $first:ident = $ftext:literal,
        $($(#[$vdoc:meta])* $variant:ident = $text:literal,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
            pub enum $name {
                $(#[$fdoc])*
                #[default]
                $first,
                $($(#[$vdoc])* $variant,)*
            }

            impl Choice for $name {
                const VALUES: &'static [(&'static str, Self)] = &[($ftext, Self::$first), $(($text, Self::$variant),)*];
            }
        )*
    };
}

/// An option with a fixed set of values, the default first.
trait Choice: Copy + 'static {
    const VALUES: &'static [(&'static str, Self)];
}

choices! {
    /// Which group supplies the fields.
    GroupSelection {
        /// The first group whose event name is found supplies all fields.
        FirstWithEventName = "first-with-event-name",
        /// Later groups fill what the first one left open.
        FillFromLaterGroups = "fill-from-later-groups",
    }
    /// What happens when no group finds an event name.
    NoEventName {
        /// The other fields of the first group are extracted.
        FirstGroupFields = "first-group-fields",
        /// No field is extracted.
        NoFields = "no-fields",
    }
    /// What an empty value means.
    EmptyCapture {
        /// The next order is tried.
        NoData = "no-data",
        /// The field is set to the empty text.
        EmptyValue = "empty-value",
    }
    /// What a template does with a part that has no value.
    MissingTemplatePart {
        /// The part is replaced by nothing.
        Empty = "empty",
        /// The whole template yields no data.
        NoData = "no-data",
    }
    /// What JSON null means.
    JsonNull {
        /// No data.
        NoData = "no-data",
        /// The text `null`.
        Text = "text",
    }
    /// What happens to a value that is not valid for the type of its field.
    InvalidValue {
        /// It counts as no data, so that the next order is tried.
        NoData = "no-data",
        /// The walk ends there and the field stays empty.
        Discard = "discard",
    }
    /// Which source of the event category wins.
    CategoryPrecedence {
        /// event-match-single, then event-match-multiple, then the EventCategory matcher.
        EventMatch = "event-match",
        /// The EventCategory matcher, then the modifiers.
        Matcher = "matcher",
    }
    /// What capture-group-index of event-match-multiple does.
    EventMatchCapture {
        /// The captured text, unless empty, replaces the event name in the QID look-up.
        ReplaceEventName = "replace-event-name",
        /// Nothing.
        Ignore = "ignore",
    }
    /// What empty brackets followed by more path select.
    ArrayFanOut {
        /// Nothing.
        NoData = "no-data",
        /// The first element that has a value.
        First = "first",
        /// All values, joined by `, `.
        Joined = "joined",
    }
    /// Which values lose the white space around them.
    ValueTrimming {
        /// Those of typed fields (addresses, ports, times, numbers).
        TypedFields = "typed-fields",
        /// All.
        All = "all",
        /// None: a typed value with white space around it is then not valid.
        None = "none",
    }
    /// What happens when the pair of event ID and category is not mapped.
    QidFallback {
        /// The event ID alone is looked up, then the category alone.
        EventIdThenCategory = "event-id-then-category",
        /// The event is Unknown.
        Exact = "exact",
    }
    /// Which member of a JSON object wins when a name occurs twice.
    DuplicateJsonKey {
        /// The last one.
        Last = "last",
        /// The first one.
        First = "first",
    }
    /// Whether the QID look-up distinguishes case.
    QidCase {
        /// It does.
        Sensitive = "sensitive",
        /// It does not (ASCII letters).
        Insensitive = "insensitive",
    }
    /// What trim-whitespace removes from a pattern.
    TrimWhitespace {
        /// White space at both ends, and line breaks with the blanks around them.
        LineBreaks = "line-breaks",
        /// All white space.
        All = "all",
    }
    /// How a key with enable-substitutions but without braces is read.
    BareKeySubstitution {
        /// As a key.
        Key = "key",
        /// As a constant text.
        Constant = "constant",
    }
    /// Whether send-identity UseDSMResults makes an identity for a type without a DSM of its own.
    UseDsmResults {
        /// It does not: there are no results of a DSM to pass on.
        None = "none",
        /// It does, if there is enough data.
        IfEnoughData = "if-enough-data",
    }
    /// Where a missing source or destination address comes from.
    AddressFallback {
        /// An IP address in the host field of the syslog header.
        SyslogHeader = "syslog-header",
        /// Nowhere.
        None = "none",
    }
    /// What a truncated or broken JSON object gives.
    BrokenJson {
        /// No data.
        NoData = "no-data",
        /// The first whole object inside it.
        NestedObject = "nested-object",
    }
    /// Whether a custom property of type ip takes IPv6 addresses.
    IpProperty {
        /// It does not.
        Ipv4 = "ipv4",
        /// It does.
        Any = "any",
    }
    /// What a protocol that is neither a known name nor a number gives.
    UnknownProtocol {
        /// Number 255, if no later order yields a known one.
        Reserved = "reserved",
        /// No data.
        NoData = "no-data",
    }
}

impl Choice for MissingYear {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("nearest-past", Self::NearestPast),
        ("current", Self::Current),
    ];
}

impl Choice for DateBlanks {
    const VALUES: &'static [(&'static str, Self)] =
        &[("exact", Self::Exact), ("skipped", Self::Skipped)];
}

impl Choice for HourWithoutMarker {
    const VALUES: &'static [(&'static str, Self)] =
        &[("lenient-24", Self::Lenient24), ("strict", Self::Strict)];
}

/// The pair delimiter that depends on the payload: TAB where TABs part pairs, else a comma.
pub const AUTO: &str = "auto";

/// Why an option could not be set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionError {
    /// There is no option of this name.
    UnknownOption,
    /// The option does not take this value; the values that it takes.
    UnknownValue(Vec<&'static str>),
    /// The option takes something else; what it takes.
    Unreadable(&'static str),
}

/// Declares each option once: its field, type and default, its name, and what reads its value.
macro_rules! options {
    ($($field:ident: $type:ty = $default:expr, $name:literal => $read:ident;)*) => {
        /// The options of the engine. The register of assumptions describes each of them.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the register describes them")]
        pub struct Options {
            $(pub $field: $type,)*
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Options {
            /// The names of all options.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// Sets an option by name.
            ///
            /// # Errors
            /// The option or the value is unknown; nothing changes then.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
                match name {
                    $($name => $read(&mut self.$field, value),)*
                    _ => Err(OptionError::UnknownOption),
                }
            }
        }
    };
}

options! {
    group_selection: GroupSelection = Default::default(), "group-selection" => choose;
    no_event_name: NoEventName = Default::default(), "no-event-name" => choose;
    empty_capture: EmptyCapture = Default::default(), "empty-capture" => choose;
    missing_template_part: MissingTemplatePart = Default::default(), "missing-template-part" => choose;
    json_null: JsonNull = Default::default(), "json-null" => choose;
    invalid_value: InvalidValue = Default::default(), "invalid-value" => choose;
    category_precedence: CategoryPrecedence = Default::default(), "category-precedence" => choose;
    event_match_capture: EventMatchCapture = Default::default(), "event-match-capture" => choose;
    array_fan_out: ArrayFanOut = Default::default(), "array-fan-out" => choose;
    value_trimming: ValueTrimming = Default::default(), "value-trimming" => choose;
    qid_fallback: QidFallback = Default::default(), "qid-fallback" => choose;
    duplicate_json_key: DuplicateJsonKey = Default::default(), "duplicate-json-key" => choose;
    qid_case: QidCase = Default::default(), "qid-case" => choose;
    trim_whitespace: TrimWhitespace = Default::default(), "trim-whitespace" => choose;
    bare_key_substitution: BareKeySubstitution = Default::default(), "bare-key-substitution" => choose;
    use_dsm_results: UseDsmResults = Default::default(), "use-dsm-results" => choose;
    address_fallback: AddressFallback = Default::default(), "address-fallback" => choose;
    broken_json: BrokenJson = Default::default(), "broken-json" => choose;
    unknown_protocol: UnknownProtocol = Default::default(), "unknown-protocol" => choose;
    missing_year: MissingYear = Default::default(), "missing-year" => choose;
    hour_without_marker: HourWithoutMarker = Default::default(), "hour-without-marker" => choose;
    date_blanks: DateBlanks = Default::default(), "date-blanks" => choose;
    ip_property: IpProperty = Default::default(), "ip-property" => choose;
    time_zone: Zone = Zone::UTC, "time-zone" => zone;
    pair_delimiter: String = AUTO.to_owned(), "pair-delimiter" => delimiter;
    name_value_delimiter: String = "=".to_owned(), "name-value-delimiter" => delimiter;
    list_delimiter: String = ",".to_owned(), "list-delimiter" => delimiter;
    regex_step_budget: u64 = 250_000, "regex-step-budget" => steps;
}

fn zone(slot: &mut Zone, value: &str) -> Result<(), OptionError> {
    *slot = value.parse().map_err(|_| {
        OptionError::Unreadable("UTC, an offset such as +02:00, or a name such as Europe/Berlin")
    })?;
    Ok(())
}

fn steps(slot: &mut u64, value: &str) -> Result<(), OptionError> {
    *slot = value
        .parse()
        .ok()
        .filter(|steps| (1_000..=1_000_000_000).contains(steps))
        .ok_or(OptionError::Unreadable(
            "a number of steps from 1000 to 1000000000",
        ))?;
    Ok(())
}

fn choose<C: Choice>(slot: &mut C, value: &str) -> Result<(), OptionError> {
    match C::VALUES.iter().find(|(text, _)| *text == value) {
        Some((_, choice)) => {
            *slot = *choice;
            Ok(())
        }
        None => Err(OptionError::UnknownValue(
            C::VALUES.iter().map(|(text, _)| *text).collect(),
        )),
    }
}

fn delimiter(slot: &mut String, value: &str) -> Result<(), OptionError> {
    if value.is_empty() {
        return Err(OptionError::Unreadable("a text of at least one character"));
    }
    value.clone_into(slot);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_and_the_options_are_the_same_list() {
        let parsed: Register = toml::from_str(include_str!("../data/assumptions.toml")).unwrap();
        let ids: Vec<_> = parsed.assumption.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(ids, Options::NAMES);
    }

    #[test]
    fn every_default_of_the_register_is_the_default_of_the_engine() {
        for assumption in register() {
            let mut options = Options::default();
            options
                .set(&assumption.id, &assumption.default)
                .unwrap_or_else(|error| panic!("{}: {error:?}", assumption.id));
            assert_eq!(options, Options::default(), "{}", assumption.id);
        }
    }

    #[test]
    fn the_register_lists_every_value_that_an_option_takes() {
        for assumption in register() {
            let Err(OptionError::UnknownValue(values)) =
                Options::default().set(&assumption.id, "no such value")
            else {
                continue;
            };
            let listed: Vec<_> = std::iter::once(assumption.default.as_str())
                .chain(assumption.alternatives.iter().map(|a| a.value.as_str()))
                .collect();
            assert_eq!(listed, values, "{}", assumption.id);
        }
    }
}
