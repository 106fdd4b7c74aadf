//! Values against their declarations: every fault at once.

use super::describe::{condition, takes};
use super::{
    Checked, Effect, FaultCode, Kind, Parameter, ParameterFault, Parameters, Value, When,
    format_interval, parse_interval,
};
use crate::secret::{SecretRef, masked};
use regex_automata::meta::Regex;
use std::collections::BTreeMap;

/// How to write a secret; the same words wherever one is missing or wrong.
const SECRET_HELP: &str = "write a reference: { env = \"NAME\" } or { file = \"/path/to/file\" }";

/// Longest log source identifier that QRadar takes.
const MAX_IDENTIFIER: usize = 255;

/// Checks the values of a log source. Values with a fault are left out of the result.
pub fn validate(
    declared: &'static [Parameter],
    values: &BTreeMap<String, Value>,
) -> (Parameters, Vec<ParameterFault>) {
    let mut faults = Vec::new();
    let mut checked = Parameters::default();
    // Whether a given value is good. One with a fault counts as given, so that one mistake is not reported twice.
    let mut given: BTreeMap<&str, bool> = BTreeMap::new();
    for parameter in declared {
        let Some(value) = values.get(parameter.name) else {
            continue;
        };
        let before = faults.len();
        let result = check(parameter, value, &mut faults);
        given.insert(parameter.name, faults.len() == before);
        if let Some(result) = result.filter(|_| faults.len() == before) {
            checked.0.insert(parameter.name, result);
        }
    }
    apply_rules(declared, &given, &mut checked, &mut faults);
    faults.extend(
        values
            .keys()
            .filter(|key| declared.iter().all(|parameter| parameter.name != *key))
            .map(|key| unknown(declared, key)),
    );
    (checked, faults)
}

/// Defaults, availability, and what is missing.
fn apply_rules(
    declared: &'static [Parameter],
    given: &BTreeMap<&str, bool>,
    checked: &mut Parameters,
    faults: &mut Vec<ParameterFault>,
) {
    // All defaults come first, because rules ask for the values of other parameters.
    for parameter in declared {
        if !given.contains_key(parameter.name)
            && let Some(default) = parameter.default
            && let Some(value) = check(
                parameter,
                &default_value(parameter, default),
                &mut Vec::new(),
            )
        {
            checked.0.insert(parameter.name, value);
        }
    }
    for parameter in declared {
        // Where another value is wrong, nobody knows what would hold for this one if it were right.
        let is_undecided = parameter
            .rules
            .iter()
            .any(|rule| given.get(rule.parameter) == Some(&false));
        if is_undecided {
            continue;
        }
        let mut required = parameter.required.then_some(None);
        let mut unavailable = None;
        for rule in parameter.rules {
            let applies = match rule.when {
                When::Is(value) => checked.is(rule.parameter, value),
                When::IsNot(value) => !checked.is(rule.parameter, value),
                When::Given => checked.has(rule.parameter) || given.contains_key(rule.parameter),
                When::Absent => !checked.has(rule.parameter) && !given.contains_key(rule.parameter),
            };
            match (applies, rule.effect) {
                (false, _) => {}
                (true, Effect::Unavailable) => unavailable = Some(rule),
                (true, Effect::Required) => required = Some(Some(rule)),
                (true, Effect::Optional) => required = None,
            }
        }
        let is_given = given.contains_key(parameter.name);
        if let Some(rule) = unavailable {
            checked.0.remove(parameter.name);
            if is_given {
                faults.push(fault(
                    parameter.name,
                    FaultCode::Unavailable,
                    format!(
                        "`{}` is not available when {}",
                        parameter.name,
                        condition(rule)
                    ),
                    format!("remove it, or change `{}`", rule.parameter),
                ));
            }
            continue;
        }
        if let Some(rule) = required
            && !is_given
            && !checked.has(parameter.name)
        {
            let reason = rule.map_or_else(String::new, |rule| format!(" when {}", condition(rule)));
            faults.push(fault(
                parameter.name,
                FaultCode::Missing,
                format!(
                    "`{}` ({}) is required{reason}",
                    parameter.name, parameter.label
                ),
                example(parameter),
            ));
        }
    }
}

/// What a value for this parameter looks like.
fn example(parameter: &Parameter) -> String {
    match parameter.kind {
        Kind::Password => SECRET_HELP.to_owned(),
        _ if !parameter.allowed.is_empty() => {
            format!(
                "write {}",
                one_of(parameter.allowed.iter().map(|allowed| allowed.value))
            )
        }
        _ => parameter.pattern.map_or_else(
            || format!("write {}", takes(parameter.kind)),
            |pattern| format!("write {}", pattern.expected),
        ),
    }
}

/// A default in the form in which a person would write it.
fn default_value(parameter: &Parameter, default: &str) -> Value {
    match parameter.kind {
        Kind::Integer { .. } => default
            .parse()
            .map_or(Value::Other("nothing"), Value::Integer),
        Kind::Boolean => Value::Boolean(default == "true"),
        _ => Value::Text(default.to_owned()),
    }
}

fn check(
    parameter: &Parameter,
    value: &Value,
    faults: &mut Vec<ParameterFault>,
) -> Option<Checked> {
    let name = parameter.name;
    let wrong_type = |help: String| {
        fault(
            name,
            FaultCode::Type,
            format!(
                "`{name}` takes {}, not {}",
                takes(parameter.kind),
                value.kind()
            ),
            help,
        )
    };
    match (parameter.kind, value) {
        (Kind::Password, value) => match check_secret(name, value) {
            Ok(reference) => Some(Checked::Secret(reference)),
            Err(found) => {
                faults.push(found);
                None
            }
        },
        (Kind::String { max_length }, Value::Text(text)) => {
            check_text(parameter, text, None, max_length, faults).map(Checked::Text)
        }
        (Kind::Host, Value::Text(text)) => {
            check_host(name, text, faults)?;
            check_text(parameter, text, None, 255, faults).map(Checked::Text)
        }
        (Kind::Path, Value::Text(text)) => {
            check_text(parameter, text, None, 4096, faults).map(|text| Checked::Path(text.into()))
        }
        (Kind::List { max_length }, value) => {
            let before = faults.len();
            let list = check_list(parameter, value, max_length, faults, wrong_type)?;
            (faults.len() == before).then_some(Checked::List(list))
        }
        (Kind::Integer { min, max }, Value::Integer(number)) => {
            if !(min..=max).contains(number) {
                faults.push(fault(
                    name,
                    FaultCode::OutOfRange,
                    format!("`{name}` is {number}, outside {min} to {max}"),
                    format!("write {}", takes(parameter.kind)),
                ));
                return None;
            }
            Some(Checked::Integer(*number))
        }
        (Kind::Integer { .. }, Value::Text(text)) if text.trim().parse::<i64>().is_ok() => {
            faults.push(wrong_type("write it without quotes".to_owned()));
            None
        }
        (Kind::Boolean, Value::Boolean(boolean)) => Some(Checked::Boolean(*boolean)),
        (Kind::Boolean, Value::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            faults.push(wrong_type("write it without quotes".to_owned()));
            None
        }
        (Kind::Interval { min, max }, Value::Text(text)) => {
            let Some(interval) = parse_interval(text) else {
                faults.push(fault(
                    name,
                    FaultCode::Pattern,
                    format!("`{name}` is {}, which is no interval", quoted(text)),
                    format!("write {}", takes(parameter.kind)),
                ));
                return None;
            };
            if !(min..=max).contains(&interval.num_seconds()) {
                faults.push(fault(
                    name,
                    FaultCode::OutOfRange,
                    format!(
                        "`{name}` is {}, outside {} to {}",
                        quoted(text),
                        format_interval(min),
                        format_interval(max)
                    ),
                    format!("write {}", takes(parameter.kind)),
                ));
                return None;
            }
            Some(Checked::Interval(interval))
        }
        (kind, _) => {
            faults.push(wrong_type(format!("write {}", takes(kind))));
            None
        }
    }
}

/// The elements of a list, or of a text with commas.
fn check_list(
    parameter: &Parameter,
    value: &Value,
    max_length: usize,
    faults: &mut Vec<ParameterFault>,
    wrong_type: impl Fn(String) -> ParameterFault,
) -> Option<Vec<String>> {
    let name = parameter.name;
    let elements: Vec<&str> = match value {
        Value::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect(),
        Value::List(list) => {
            let mut elements = Vec::new();
            for (index, element) in list.iter().enumerate() {
                if let Value::Text(text) = element {
                    elements.push(text.as_str());
                } else {
                    faults.push(ParameterFault {
                        index: Some(index),
                        ..fault(
                            name,
                            FaultCode::Type,
                            format!("`{name}` takes texts, not {}", element.kind()),
                            "write each element in quotes".to_owned(),
                        )
                    });
                    return None;
                }
            }
            elements
        }
        _ => {
            faults.push(wrong_type(format!("write {}", takes(parameter.kind))));
            return None;
        }
    };
    if elements.is_empty() {
        faults.push(fault(
            name,
            FaultCode::OutOfRange,
            format!("`{name}` is empty"),
            format!("remove it, or write {}", takes(parameter.kind)),
        ));
    }
    let is_list = matches!(value, Value::List(_));
    let mut list: Vec<String> = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        let index = is_list.then_some(index);
        let Some(text) = check_text(parameter, element, index, max_length, faults) else {
            continue;
        };
        if list.contains(&text) {
            faults.push(ParameterFault {
                index,
                ..fault(
                    name,
                    FaultCode::Contradiction,
                    format!("`{name}` holds {} twice", quoted(&text)),
                    "remove one of them".to_owned(),
                )
            });
            continue;
        }
        list.push(text);
    }
    Some(list)
}

/// A text, or an element of a list. Allowed values are recognised in any case and stored as declared.
fn check_text(
    parameter: &Parameter,
    text: &str,
    index: Option<usize>,
    max_length: usize,
    faults: &mut Vec<ParameterFault>,
) -> Option<String> {
    let name = parameter.name;
    let mut report = |code, message, help| {
        faults.push(ParameterFault {
            index,
            ..fault(name, code, message, help)
        });
    };
    if text.trim().is_empty() {
        report(
            FaultCode::OutOfRange,
            format!("`{name}` is empty"),
            format!("remove it, or {}", example(parameter)),
        );
        return None;
    }
    if text.len() > max_length {
        report(
            FaultCode::OutOfRange,
            format!("`{name}` has {} bytes, more than {max_length}", text.len()),
            "shorten it".to_owned(),
        );
        return None;
    }
    if text.contains(char::is_control) {
        report(
            FaultCode::Pattern,
            format!("`{name}` holds control characters or several lines"),
            "write it in one line".to_owned(),
        );
        return None;
    }
    if !parameter.allowed.is_empty() {
        let known = || parameter.allowed.iter().map(|allowed| allowed.value);
        let found = parameter.allowed.iter().find(|allowed| {
            allowed.value.eq_ignore_ascii_case(text) || allowed.label.eq_ignore_ascii_case(text)
        });
        if found.is_none() {
            report(
                FaultCode::NotAllowed,
                format!(
                    "`{name}` is {}, which is not one of its values",
                    quoted(text)
                ),
                format!("write {}{}", one_of(known()), did_you_mean(text, known())),
            );
        }
        return found.map(|allowed| allowed.value.to_owned());
    }
    if let Some(pattern) = parameter.pattern {
        // Patterns are constants, and a test compiles each of them.
        let matches = Regex::new(pattern.regex).is_ok_and(|regex| regex.is_match(text));
        if !matches {
            report(
                FaultCode::Pattern,
                format!(
                    "`{name}` is {}, but it must be {}",
                    quoted(text),
                    pattern.expected
                ),
                format!("write {}", pattern.expected),
            );
            return None;
        }
    }
    if parameter.any_case {
        return Some(text.to_ascii_lowercase());
    }
    Some(text.to_owned())
}

fn check_host(name: &str, text: &str, faults: &mut Vec<ParameterFault>) -> Option<()> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let bare = text.trim_matches(['[', ']']);
    let is_name = text.strip_suffix('.').unwrap_or(text).split('.').all(label);
    if is_name || bare.parse::<std::net::IpAddr>().is_ok() {
        return Some(());
    }
    faults.push(fault(
        name,
        FaultCode::Pattern,
        format!(
            "`{name}` is {}, which is no host name and no address",
            quoted(text)
        ),
        "write the name or the address alone, without scheme, port or path".to_owned(),
    ));
    None
}

/// Reads a reference such as `{ env = "NAME" }`. Whatever else stands there may be the secret, so it is never repeated.
pub fn check_secret(name: &str, value: &Value) -> Result<SecretRef, ParameterFault> {
    let table = match value {
        Value::Table(table) => table,
        Value::Text(_) => {
            return Err(fault(
                name,
                FaultCode::SecretInline,
                format!(
                    "`{name}` holds the secret itself, which does not belong into a configuration file"
                ),
                SECRET_HELP.to_owned(),
            ));
        }
        other => {
            return Err(fault(
                name,
                FaultCode::Type,
                format!(
                    "`{name}` takes a reference to a secret, not {}",
                    other.kind()
                ),
                SECRET_HELP.to_owned(),
            ));
        }
    };
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((key, Value::Text(text))), None) if !text.trim().is_empty() => match key.as_str() {
            "env" if !text.contains(['=', '\0']) => return Ok(SecretRef::Env(text.clone())),
            "file" if !text.contains('\0') => return Ok(SecretRef::File(text.into())),
            _ => {}
        },
        _ => {}
    }
    Err(fault(
        name,
        FaultCode::Pattern,
        format!(
            "`{name}` is no reference to a secret: it takes one of the keys `env` and `file`, with a text"
        ),
        SECRET_HELP.to_owned(),
    ))
}

/// Checks a log source identifier.
pub fn check_identifier(identifier: &str) -> Result<(), ParameterFault> {
    let problem = if identifier.trim().is_empty() {
        "is empty"
    } else if identifier.len() > MAX_IDENTIFIER {
        "has more than 255 bytes"
    } else if identifier.contains(char::is_control) {
        "holds control characters or several lines"
    } else if identifier.trim() != identifier {
        "begins or ends with white space"
    } else {
        return Ok(());
    };
    Err(fault(
        "identifier",
        FaultCode::Pattern,
        format!("the log source identifier {problem}"),
        "write a text in one line with at most 255 bytes".to_owned(),
    ))
}

fn unknown(declared: &[Parameter], key: &str) -> ParameterFault {
    let known = || declared.iter().map(|parameter| parameter.name);
    fault(
        key,
        FaultCode::Unknown,
        format!("there is no parameter `{key}`"),
        format!(
            "known are {}{}",
            all_of(known()),
            did_you_mean(key, known())
        ),
    )
}

fn fault(key: &str, code: FaultCode, message: String, help: String) -> ParameterFault {
    ParameterFault {
        key: key.to_owned(),
        index: None,
        code,
        message,
        help,
    }
}

/// A value in a message, without what may be a secret in it.
fn quoted(text: &str) -> String {
    format!("{:?}", masked(text))
}

fn all_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn one_of<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: Vec<String> = values.map(|value| format!("\"{value}\"")).collect();
    match values.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The nearest known name, where one is near.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The known name that fewest changes make out of a word, if they are few for its length.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word
        .chars()
        .take(100)
        .flat_map(char::to_lowercase)
        .collect();
    known
        .map(|name| (distance(&word, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .map(|(_, name)| name)
}

/// How many characters have to be added, removed or changed.
fn distance(word: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, character) in name.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for column in 0..word.len() {
            let substituted = diagonal + usize::from(word[column] != character);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[word.len()]
}

impl Parameters {
    /// Whether a parameter has this value, written as in configuration.
    fn is(&self, name: &str, value: &str) -> bool {
        self.0.get(name).is_some_and(|checked| checked.is(value))
    }
}

impl Checked {
    /// Whether it is this value, written as in configuration.
    fn is(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => text == value,
            Self::Boolean(boolean) => value == if *boolean { "true" } else { "false" },
            Self::Integer(number) => value.parse() == Ok(*number),
            Self::Path(_) | Self::List(_) | Self::Interval(_) | Self::Secret(_) => false,
        }
    }
}
