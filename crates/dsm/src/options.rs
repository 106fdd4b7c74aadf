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

/// The answers that are in force for a mapping.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    missing_docs,
    reason = "each field is described by the register and by its type"
)]
pub struct Options {
    pub group_selection: GroupSelection,
    pub no_event_name: NoEventName,
    pub empty_capture: EmptyCapture,
    pub missing_template_part: MissingTemplatePart,
    pub json_null: JsonNull,
    pub invalid_value: InvalidValue,
    pub category_precedence: CategoryPrecedence,
    pub event_match_capture: EventMatchCapture,
    pub array_fan_out: ArrayFanOut,
    pub value_trimming: ValueTrimming,
    pub qid_fallback: QidFallback,
    pub duplicate_json_key: DuplicateJsonKey,
    pub qid_case: QidCase,
    pub trim_whitespace: TrimWhitespace,
    pub bare_key_substitution: BareKeySubstitution,
    pub use_dsm_results: UseDsmResults,
    pub address_fallback: AddressFallback,
    pub broken_json: BrokenJson,
    pub unknown_protocol: UnknownProtocol,
    pub missing_year: MissingYear,
    pub hour_without_marker: HourWithoutMarker,
    pub date_blanks: DateBlanks,
    pub ip_property: IpProperty,
    pub time_zone: Zone,
    pub pair_delimiter: String,
    pub name_value_delimiter: String,
    pub list_delimiter: String,
    pub regex_step_budget: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group_selection: Default::default(),
            no_event_name: Default::default(),
            empty_capture: Default::default(),
            missing_template_part: Default::default(),
            json_null: Default::default(),
            invalid_value: Default::default(),
            category_precedence: Default::default(),
            event_match_capture: Default::default(),
            array_fan_out: Default::default(),
            value_trimming: Default::default(),
            qid_fallback: Default::default(),
            duplicate_json_key: Default::default(),
            qid_case: Default::default(),
            trim_whitespace: Default::default(),
            bare_key_substitution: Default::default(),
            use_dsm_results: Default::default(),
            address_fallback: Default::default(),
            broken_json: Default::default(),
            unknown_protocol: Default::default(),
            missing_year: Default::default(),
            hour_without_marker: Default::default(),
            date_blanks: Default::default(),
            ip_property: Default::default(),
            time_zone: Zone::UTC,
            pair_delimiter: AUTO.to_owned(),
            name_value_delimiter: "=".to_owned(),
            list_delimiter: ",".to_owned(),
            regex_step_budget: 250_000,
        }
    }
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

impl Options {
    /// The names of all options.
    pub const NAMES: &'static [&'static str] = &[
        "group-selection",
        "no-event-name",
        "empty-capture",
        "missing-template-part",
        "json-null",
        "invalid-value",
        "category-precedence",
        "event-match-capture",
        "array-fan-out",
        "value-trimming",
        "qid-fallback",
        "duplicate-json-key",
        "qid-case",
        "trim-whitespace",
        "bare-key-substitution",
        "use-dsm-results",
        "address-fallback",
        "broken-json",
        "unknown-protocol",
        "missing-year",
        "hour-without-marker",
        "date-blanks",
        "ip-property",
        "time-zone",
        "pair-delimiter",
        "name-value-delimiter",
        "list-delimiter",
        "regex-step-budget",
    ];

    /// Sets an option by name.
    ///
    /// # Errors
    /// The option or the value is unknown; nothing changes then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
        match name {
            "group-selection" => choose(&mut self.group_selection, value),
            "no-event-name" => choose(&mut self.no_event_name, value),
            "empty-capture" => choose(&mut self.empty_capture, value),
            "missing-template-part" => choose(&mut self.missing_template_part, value),
            "json-null" => choose(&mut self.json_null, value),
            "invalid-value" => choose(&mut self.invalid_value, value),
            "category-precedence" => choose(&mut self.category_precedence, value),
            "event-match-capture" => choose(&mut self.event_match_capture, value),
            "array-fan-out" => choose(&mut self.array_fan_out, value),
            "value-trimming" => choose(&mut self.value_trimming, value),
            "qid-fallback" => choose(&mut self.qid_fallback, value),
            "duplicate-json-key" => choose(&mut self.duplicate_json_key, value),
            "qid-case" => choose(&mut self.qid_case, value),
            "trim-whitespace" => choose(&mut self.trim_whitespace, value),
            "bare-key-substitution" => choose(&mut self.bare_key_substitution, value),
            "use-dsm-results" => choose(&mut self.use_dsm_results, value),
            "address-fallback" => choose(&mut self.address_fallback, value),
            "broken-json" => choose(&mut self.broken_json, value),
            "unknown-protocol" => choose(&mut self.unknown_protocol, value),
            "missing-year" => choose(&mut self.missing_year, value),
            "hour-without-marker" => choose(&mut self.hour_without_marker, value),
            "date-blanks" => choose(&mut self.date_blanks, value),
            "ip-property" => choose(&mut self.ip_property, value),
            "time-zone" => {
                self.time_zone = value.parse().map_err(|_| {
                    OptionError::Unreadable(
                        "UTC, an offset such as +02:00, or a name such as Europe/Berlin",
                    )
                })?;
                Ok(())
            }
            "pair-delimiter" => delimiter(&mut self.pair_delimiter, value),
            "name-value-delimiter" => delimiter(&mut self.name_value_delimiter, value),
            "list-delimiter" => delimiter(&mut self.list_delimiter, value),
            "regex-step-budget" => {
                self.regex_step_budget = value
                    .parse()
                    .ok()
                    .filter(|steps| (1_000..=1_000_000_000).contains(steps))
                    .ok_or(OptionError::Unreadable(
                        "a number of steps from 1000 to 1000000000",
                    ))?;
                Ok(())
            }
            _ => Err(OptionError::UnknownOption),
        }
    }
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
