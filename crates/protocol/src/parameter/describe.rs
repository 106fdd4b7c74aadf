//! Parameters in words: for the reference page, for help, for messages.

use super::{Effect, Kind, Origin, Parameter, Rule, When, format_interval};

/// A parameter, as it is shown to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The key in configuration.
    pub key: &'static str,
    /// Its label.
    pub label: &'static str,
    /// What it takes.
    pub takes: String,
    /// Whether it has to be given: `yes`, `no`, or a condition.
    pub required: String,
    /// Its default, if it has one.
    pub default: Option<&'static str>,
    /// What it means, and when it is not available.
    pub meaning: String,
}

impl Parameter {
    /// The parameter in words. Backticks stand around keys and values.
    pub fn describe(&self) -> Description {
        Description {
            key: self.name,
            label: self.label,
            takes: self.takes(),
            required: self.requirement(),
            default: self.default,
            meaning: self.meaning(),
        }
    }

    fn takes(&self) -> String {
        if !self.allowed.is_empty() {
            let values: Vec<String> = self
                .allowed
                .iter()
                .map(|allowed| format!("`{}`", allowed.value))
                .collect();
            let several = if matches!(self.kind, Kind::List { .. }) {
                "several of "
            } else {
                ""
            };
            return format!("{several}{}", values.join(", "));
        }
        match self.pattern {
            Some(pattern) if matches!(self.kind, Kind::List { .. }) => {
                format!("a list, each {}", pattern.expected)
            }
            Some(pattern) => pattern.expected.to_owned(),
            None => takes(self.kind),
        }
    }

    fn requirement(&self) -> String {
        let conditions = |effect: Effect, when: fn(&Rule) -> String| -> Vec<String> {
            self.rules
                .iter()
                .filter(|rule| rule.effect == effect)
                .map(when)
                .collect()
        };
        if self.default.is_some() {
            return "no".to_owned();
        }
        if !self.required {
            let required = conditions(Effect::Required, condition);
            return if required.is_empty() {
                "no".to_owned()
            } else {
                format!("if {}", required.join(" or "))
            };
        }
        let mut optional = conditions(Effect::Optional, condition);
        optional.extend(conditions(Effect::Unavailable, condition));
        if optional.is_empty() {
            "yes".to_owned()
        } else {
            format!("yes, unless {}", optional.join(" or "))
        }
    }

    fn meaning(&self) -> String {
        let mut meaning = self.description.to_owned();
        let unavailable: Vec<String> = self
            .rules
            .iter()
            .filter(|rule| rule.effect == Effect::Unavailable)
            .map(condition)
            .collect();
        if !unavailable.is_empty() {
            meaning += &format!(" Not available if {}.", unavailable.join(" or "));
        }
        match self.origin {
            Origin::Qradar => {}
            Origin::Dsmith => meaning += " QRadar has no such parameter.",
            Origin::Test => meaning += " For tests only; QRadar has no such parameter.",
        }
        meaning
    }
}

/// When a rule applies, in words.
pub(super) fn condition(rule: &Rule) -> String {
    match rule.when {
        When::Is(value) => format!("`{}` is {value}", rule.parameter),
        When::IsNot(value) => format!("`{}` is not {value}", rule.parameter),
        When::Given => format!("`{}` is given", rule.parameter),
        When::Absent => format!("`{}` is not given", rule.parameter),
    }
}

/// What a kind takes, in words.
pub(super) fn takes(kind: Kind) -> String {
    match kind {
        Kind::String { .. } => "a text".to_owned(),
        Kind::List { .. } => "a list of texts, or one text with commas".to_owned(),
        Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Interval { min, max } => format!(
            "a number and M, H or D (minutes, hours, days), from {} to {}",
            format_interval(min),
            format_interval(max)
        ),
        Kind::Host => "a host name or an address".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Password => "a reference to a secret".to_owned(),
    }
}
