//! Declarations in words, for messages and for the reference page.

use crate::key::{Effect, Key, Rule, Takes, When};
use crate::units::format_interval;

/// How to write a reference to a secret.
pub(crate) const SECRET: &str = "{ env = \"NAME\" } or { file = \"/path/to/file\" }";

impl Key {
    /// What it takes.
    #[must_use]
    pub fn takes(&self) -> String {
        let choices = self.takes.choices();
        let item = match self.pattern {
            _ if !choices.is_empty() => {
                let values: Vec<String> = choices
                    .iter()
                    .map(|(value, _)| format!("`{value}`"))
                    .collect();
                values.join(", ")
            }
            Some(pattern) => pattern.expected.to_owned(),
            None => takes(self.takes.item()),
        };
        match self.takes {
            Takes::List(_) if !choices.is_empty() => format!("a list of {item}"),
            Takes::List(_) => format!("a list, each {item}"),
            Takes::ListOrCommas(_) if !choices.is_empty() => format!("several of {item}"),
            Takes::ListOrCommas(_) => format!("a list, or one text with commas, each {item}"),
            _ => item,
        }
    }

    /// Whether it has to be given: `yes`, `no`, or a condition.
    #[must_use]
    pub fn requirement(&self) -> String {
        let conditions = |effect: Effect| -> Vec<String> {
            let rules = self.rules.iter().filter(|rule| rule.effect == effect);
            rules.map(Rule::in_words).collect()
        };
        if self.default.is_some() {
            return "no".to_owned();
        }
        if !self.required {
            let required = conditions(Effect::Required);
            return match required.as_slice() {
                [] => "no".to_owned(),
                _ => format!("if {}", required.join(" or ")),
            };
        }
        let only: Vec<String> = self
            .rules
            .iter()
            .filter(|rule| rule.effect == Effect::Unavailable)
            .filter_map(Rule::only)
            .collect();
        if !only.is_empty() {
            return format!("if {}", only.join(" and "));
        }
        let mut excused = conditions(Effect::Optional);
        excused.extend(conditions(Effect::Unavailable));
        match excused.as_slice() {
            [] => "yes".to_owned(),
            _ => format!("yes, unless {}", excused.join(" or ")),
        }
    }

    /// What it means, and when it is not available.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut text = self.meaning.to_owned();
        for rule in self.rules {
            if let (Effect::Unavailable, When::IsNoneOf(values)) = (rule.effect, rule.when) {
                let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
                text += &format!(" Only with `{}` {}.", rule.key, values.join(" or "));
            }
        }
        let unavailable: Vec<String> = self
            .rules
            .iter()
            .filter(|rule| rule.effect == Effect::Unavailable)
            .filter(|rule| !matches!(rule.when, When::IsNoneOf(_)))
            .map(Rule::in_words)
            .collect();
        if !unavailable.is_empty() {
            text += &format!(" Not available if {}.", unavailable.join(" or "));
        }
        text
    }

    /// What to write: an assignment, or where its table begins.
    pub(crate) fn written(&self) -> String {
        let name = self.name;
        if let Some(example) = self.example {
            return example.to_owned();
        }
        let value = match (self.takes, self.default) {
            (Takes::Table(_) | Takes::Open(_), _) => return format!("[{name}], its keys below"),
            (Takes::Tables(_), _) => return format!("[[{name}]], its keys below"),
            (Takes::Secret, _) => return format!("{name} = {SECRET}"),
            (Takes::Boolean | Takes::Integer(..), Some(default)) => default.to_owned(),
            (_, Some(default)) => format!("\"{default}\""),
            (_, None) => self.sample(),
        };
        format!("{name} = {value}")
    }

    /// How a message puts a text to the key: it is a value of its own or one of a list.
    pub(crate) fn verb(&self) -> &'static str {
        match self.takes {
            Takes::List(_) | Takes::ListOrCommas(_) => "holds",
            _ => "is",
        }
    }

    /// A sample value in TOML syntax.
    fn sample(&self) -> String {
        let value = |takes: Takes| match takes {
            Takes::Boolean => "true".to_owned(),
            Takes::Integer(first, _) => first.to_string(),
            Takes::Size => "\"100 MiB\"".to_owned(),
            Takes::Interval(shortest, _) => {
                format!("\"{}\"", format_interval(shortest.max(60).unsigned_abs()))
            }
            Takes::Path => "\"/path\"".to_owned(),
            Takes::Host => "\"host.example.com\"".to_owned(),
            Takes::HostPort => "\"host.example.com:514\"".to_owned(),
            Takes::Listen => "\"127.0.0.1:9464\"".to_owned(),
            takes => {
                let first = takes.choices().first().map_or("...", |(value, _)| value);
                format!("\"{first}\"")
            }
        };
        match self.takes {
            Takes::List(item) | Takes::ListOrCommas(item) => format!("[{}]", value(*item)),
            takes => value(takes),
        }
    }
}

impl Rule {
    /// When it does not apply, where that is the shorter way to say it.
    fn only(&self) -> Option<String> {
        let values = match self.when {
            When::IsNoneOf(values) => values,
            When::IsNot(ref value) => std::slice::from_ref(value),
            _ => return None,
        };
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        Some(format!("`{}` is {}", self.key, values.join(" or ")))
    }

    /// When it applies.
    pub(crate) fn in_words(&self) -> String {
        let key = self.key;
        match self.when {
            When::Is(value) => format!("`{key}` is {value}"),
            When::IsNot(value) => format!("`{key}` is not {value}"),
            When::IsNoneOf(values) => format!("`{key}` is not {}", values.join(" or ")),
            When::Given => format!("`{key}` is given"),
            When::Absent => format!("`{key}` is not given"),
        }
    }
}

/// Description of the accepted values, with an article.
pub(crate) fn takes(takes: Takes) -> String {
    match takes {
        Takes::Text(_) | Takes::AnyText | Takes::Choice(_) | Takes::Labelled(_) => {
            "a text".to_owned()
        }
        Takes::Boolean => "true or false".to_owned(),
        Takes::Integer(first, last) => format!("a whole number from {first} to {last}"),
        Takes::Size => "a number of bytes, or a size such as \"512 MiB\"".to_owned(),
        Takes::Interval(shortest, longest) => format!(
            "a number and M, H or D (minutes, hours, days), from {} to {}",
            format_interval(shortest.unsigned_abs()),
            format_interval(longest.unsigned_abs())
        ),
        Takes::Path => "a path".to_owned(),
        Takes::Host => "a host name or an address".to_owned(),
        Takes::HostPort => "a host and a port".to_owned(),
        Takes::Listen => "an IP address of this machine and a port".to_owned(),
        Takes::Secret => "a reference to a secret".to_owned(),
        Takes::List(_) => "a list".to_owned(),
        Takes::ListOrCommas(_) => "a list, or one text with commas".to_owned(),
        Takes::Table(_) => "a table".to_owned(),
        Takes::Tables(_) => "tables in double brackets".to_owned(),
        Takes::Open(what) => what.to_owned(),
    }
}
