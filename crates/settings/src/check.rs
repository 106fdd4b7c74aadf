//! Tables against their declarations: every fault at once.

use crate::key::{Effect, Key, Rule, Takes, When};
use crate::names::{nearest, suggest};
use crate::raw::{Document, Raw, RawEntry, RawTable, RawValue, TOO_LARGE};
use crate::secret::{SecretRef, masked};
use crate::units::{format_interval, parse_interval, parse_size};
use crate::values::{Places, Settings, Value, Written};
use crate::words::{SECRET, takes};
use regex_automata::meta::Regex;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// Something wrong with a file, and what to do about it. No message repeats the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The key that has it, as it is written; empty where the file is not well formed.
    pub key: String,
    /// Its place in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The file is not well formed.
    Malformed,
    /// No such key.
    Unknown,
    /// A key has a new name. Its value is read.
    Renamed,
    /// A required key is not given.
    Missing,
    /// The value has the wrong type.
    Type,
    /// The number, interval or length lies outside its range.
    OutOfRange,
    /// The text does not look as it must.
    Pattern,
    /// The value is not one of the choices.
    NotAllowed,
    /// The key may not be given because of the value of another one.
    Unavailable,
    /// Two values contradict each other.
    Contradiction,
    /// A secret is written into the file.
    SecretInline,
}

/// Reads tables and keeps what is wrong with them.
#[derive(Debug, Default)]
pub struct Reader {
    /// What is wrong so far.
    pub faults: Vec<Fault>,
    /// Whether the file is not well formed, so that nothing may be called missing.
    is_damaged: bool,
    /// The file, for values that are repeated as they are written.
    text: String,
}

impl Reader {
    /// A reader of the tables of a document, whose faults it takes over.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        Self {
            faults: document.faults.clone(),
            is_damaged: !document.faults.is_empty(),
            text: document.text.clone(),
        }
    }

    /// A reader of further tables of the same document, without faults.
    #[must_use]
    pub fn continuing(is_damaged: bool) -> Self {
        Self {
            is_damaged,
            ..Self::default()
        }
    }

    /// Whether the file is not well formed, so that a key may have gone missing or into the wrong table.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Notes a fault that the declarations cannot express.
    pub fn report(
        &mut self,
        kind: FaultKind,
        key: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.faults.push(Fault {
            kind,
            key: key.to_owned(),
            span,
            message: message.into(),
            help: help.into(),
        });
    }

    /// Reads a table; `title` is its name in messages, `span` its place. Values with a fault are reported and left out.
    pub fn table(
        &mut self,
        declared: &'static [Key],
        title: &str,
        raw: &RawTable,
        span: Range<usize>,
    ) -> Settings {
        let mut settings = Settings {
            span,
            is_complete: true,
            ..Settings::default()
        };
        settings.unknown = self.given(declared, title, raw, &mut settings);
        for key in declared {
            if let Some(default) = key.default
                // A wrong boolean counts as its default, because there is no third value.
                && (!settings.is_given(key.name) || matches!(key.takes, Takes::Boolean))
                && !settings.has(key.name)
                && let Some(value) = Self::default().default_value(key, default)
            {
                settings.values.insert(key.name, value);
            }
        }
        let mut undecided = Vec::new();
        for key in declared {
            self.apply_rules(declared, key, title, &mut undecided, &mut settings);
        }
        settings
    }

    /// Reads what is given, in the order of the declarations, and returns the keys that are not declared.
    fn given(
        &mut self,
        declared: &'static [Key],
        title: &str,
        raw: &RawTable,
        settings: &mut Settings,
    ) -> Vec<String> {
        for key in declared {
            let old = key.formerly.and_then(|old| raw.get(old));
            let new = raw.get(key.name);
            if let (Some(entry), Some(old)) = (old, key.formerly) {
                self.renamed(key.name, old, new.is_some(), entry);
            }
            let Some(entry) = new.or(old) else { continue };
            // What stands where the parser could not read a value is an empty text.
            let is_recovered = self.is_damaged && entry.raw.value == RawValue::Text(String::new());
            settings.is_complete &= !is_recovered;
            let before = self.faults.len();
            let value = match is_recovered {
                true => None,
                false => self.value(key, title, &entry.raw),
            };
            // A table is right if it is one: what is wrong in it says nothing about the keys beside it.
            let is_table = matches!(
                key.takes,
                Takes::Table(_) | Takes::Tables(_) | Takes::Open(_)
            );
            let is_right = value.is_some() && (is_table || self.faults.len() == before);
            // Lists keep what is right in them.
            if let Some(value) = value {
                settings.values.insert(key.name, value);
            }
            let written = Written {
                key_span: entry.key_span.clone(),
                span: entry.raw.span.clone(),
                is_right,
            };
            settings.written.insert(key.name, written);
        }
        let is_known = |name: &String| {
            declared
                .iter()
                .any(|key| key.name == name || key.formerly == Some(name))
        };
        let unknown = raw.0.iter().filter(|(name, _)| !is_known(name));
        let known: Vec<&str> = declared.iter().map(|key| key.name).collect();
        let mut names = Vec::new();
        for (name, entry) in unknown {
            names.push(name.clone());
            // Where the file is not well formed, a key may have ended up in the table above its own.
            if !self.is_damaged {
                self.report(
                    FaultKind::Unknown,
                    name,
                    entry.key_span.clone(),
                    format!("`{name}` is not a key of {title}"),
                    suggest(name, "keys that may stand here", &known),
                );
            }
        }
        names
    }

    fn renamed(&mut self, new: &str, old: &str, has_both: bool, entry: &RawEntry) {
        let (kind, message, help) = if has_both {
            (
                FaultKind::Contradiction,
                format!("`{old}` and `{new}` are the same key"),
                format!("remove `{old}`"),
            )
        } else {
            (
                FaultKind::Renamed,
                format!("`{old}` is called `{new}` now"),
                format!("write {new} instead"),
            )
        };
        self.report(kind, old, entry.key_span.clone(), message, help);
    }

    /// Whether a key is available and required.
    fn apply_rules(
        &mut self,
        declared: &'static [Key],
        key: &'static Key,
        title: &str,
        undecided: &mut Vec<&'static str>,
        settings: &mut Settings,
    ) {
        // Skip the key if a key that its rules depend on is wrong, missing, or skipped itself.
        let is_undecided = key.rules.iter().any(|rule| {
            let is_wrong = settings
                .written
                .get(rule.key)
                .map(|written| !written.is_right);
            let is_missing = || {
                let other = declared.iter().find(|key| key.name == rule.key);
                other.is_some_and(|key| {
                    key.required && key.rules.is_empty() && key.default.is_none()
                })
            };
            undecided.contains(&rule.key) || is_wrong.unwrap_or_else(is_missing)
        });
        if is_undecided {
            undecided.push(key.name);
            return;
        }
        let mut required = key.required.then_some(None);
        let mut unavailable = None;
        for rule in key.rules.iter().filter(|rule| applies(rule, settings)) {
            match rule.effect {
                Effect::Unavailable => unavailable = Some(rule),
                Effect::Required => required = Some(Some(rule)),
                Effect::Optional => required = None,
            }
        }
        let name = key.name;
        if let Some(rule) = unavailable {
            settings.values.remove(name);
            if let Some(written) = settings.written.get(name) {
                let message = match rule.when {
                    When::IsNoneOf(values) => format!(
                        "`{name}` goes only with `{} = \"{}\"`",
                        rule.key,
                        values.join("\"` or `\"")
                    ),
                    _ => format!("`{name}` is not available when {}", rule.in_words()),
                };
                let span = written.key_span.clone();
                let help = format!("remove it, or change `{}`", rule.key);
                self.report(FaultKind::Unavailable, name, span, message, help);
            }
            return;
        }
        let Some(rule) = required else { return };
        if settings.has(name) {
            return;
        }
        settings.is_complete = false;
        // A misspelling is reported as an unknown key, and that is enough.
        let absent = declared.iter().map(|key| key.name);
        let absent: Vec<&str> = absent.filter(|name| !settings.is_given(name)).collect();
        let is_misspelt = settings
            .unknown
            .iter()
            .any(|written| nearest(written, absent.iter().copied()) == Some(name));
        if !settings.is_given(name) && !is_misspelt && !self.is_damaged {
            let reason = rule.map_or_else(String::new, |rule: &Rule| {
                format!(", which is required when {}", rule.in_words())
            });
            let label = key
                .label
                .map_or_else(String::new, |label| format!(" ({label})"));
            let help = how_to_add(key, title, settings);
            self.report(
                FaultKind::Missing,
                name,
                settings.span.clone(),
                format!("{title} has no `{name}`{label}{reason}"),
                help,
            );
        }
    }

    /// A default as a value; nothing if the key refuses it.
    fn default_value(&mut self, key: &Key, default: &str) -> Option<Value> {
        let value = match key.takes {
            Takes::Integer(..) => RawValue::Integer(default.parse().ok()?),
            Takes::Boolean => RawValue::Boolean(default.parse().ok()?),
            _ => RawValue::Text(default.to_owned()),
        };
        self.value(key, "", &value.into())
    }

    /// Whether a key takes its own default.
    pub(crate) fn takes_default(&mut self, key: &Key, default: &str) -> bool {
        self.default_value(key, default).is_some() && self.faults.is_empty()
    }

    fn value(&mut self, key: &Key, title: &str, raw: &Raw) -> Option<Value> {
        match (key.takes, &raw.value) {
            (Takes::Secret, _) => {
                let result = SecretRef::of(key.name, &raw.value);
                match result {
                    Ok(reference) => Some(Value::Secret(reference)),
                    Err((kind, message)) => {
                        let span = raw.span.clone();
                        self.report(kind, key.name, span, message, format!("write {SECRET}"));
                        None
                    }
                }
            }
            (Takes::Table(keys), RawValue::Table(table)) => {
                let title = format!("[{}]", qualified(title, key.name));
                Some(Value::Table(self.table(
                    keys,
                    &title,
                    table,
                    raw.span.clone(),
                )))
            }
            (Takes::Tables(keys), _) => self.tables(key, keys, title, raw),
            (Takes::Open(_), RawValue::Table(table)) => Some(Value::Open(table.clone())),
            (Takes::List(_) | Takes::ListOrCommas(_), _) => self.list(key, raw),
            (Takes::Boolean, RawValue::Boolean(value)) => Some(Value::Boolean(*value)),
            (Takes::Integer(first, last), RawValue::Integer(number)) => {
                if (first..=last).contains(number) {
                    return Some(Value::Integer(*number));
                }
                let message = format!("`{}` is {number}, outside {first} to {last}", key.name);
                self.wrong(FaultKind::OutOfRange, key, raw, message)
            }
            (Takes::Size, RawValue::Integer(number)) if *number >= 0 => {
                Some(Value::Integer(*number))
            }
            (Takes::Size, RawValue::Integer(number)) => {
                let message = format!("`{}` is {number}, below 0", key.name);
                self.wrong(FaultKind::OutOfRange, key, raw, message)
            }
            (Takes::Integer(..) | Takes::Size, RawValue::Other(TOO_LARGE)) => {
                let message = format!("`{}` is too large", key.name);
                self.wrong(FaultKind::OutOfRange, key, raw, message)
            }
            (Takes::Size, RawValue::Text(text)) => match parse_size(text) {
                Some(bytes) => Some(Value::Integer(bytes)),
                None => self.ill_formed(key, raw, text, "which is not a size"),
            },
            (Takes::Interval(shortest, longest), RawValue::Text(text)) => {
                let Some(interval) = parse_interval(text) else {
                    return self.ill_formed(key, raw, text, "which is not an interval");
                };
                let seconds = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
                if (shortest..=longest).contains(&seconds) {
                    return Some(Value::Interval(interval));
                }
                let message = format!(
                    "`{}` is {}, outside {} to {}",
                    key.name,
                    quoted(text),
                    format_interval(shortest.unsigned_abs()),
                    format_interval(longest.unsigned_abs())
                );
                self.wrong(FaultKind::OutOfRange, key, raw, message)
            }
            (Takes::Path, RawValue::Text(text)) => {
                let text = self.text(key, Takes::Text(4096), raw, text)?;
                Some(Value::Path(text.into()))
            }
            (
                Takes::Text(_)
                | Takes::AnyText
                | Takes::Choice(_)
                | Takes::Labelled(_)
                | Takes::Host
                | Takes::HostPort
                | Takes::Listen,
                RawValue::Text(text),
            ) => self.text(key, key.takes, raw, text).map(Value::Text),
            _ => self.wrong_type(key, raw),
        }
    }

    /// Tables in double brackets. One in single brackets is reported and read.
    fn tables(&mut self, key: &Key, keys: &'static [Key], title: &str, raw: &Raw) -> Option<Value> {
        let path = qualified(title, key.name);
        let items = match &raw.value {
            RawValue::List(items) => items.as_slice(),
            RawValue::Table(_) => {
                self.report(
                    FaultKind::Type,
                    key.name,
                    raw.span.clone(),
                    format!("[{path}] is one table, and several may stand here"),
                    format!("write [[{path}]] in double brackets"),
                );
                std::slice::from_ref(raw)
            }
            _ => return self.wrong_type(key, raw),
        };
        let title = format!("[[{path}]]");
        let mut tables = Vec::new();
        for item in items {
            if let RawValue::Table(table) = &item.value {
                tables.push(self.table(keys, &title, table, item.span.clone()));
            } else {
                self.report(
                    FaultKind::Type,
                    key.name,
                    item.span.clone(),
                    format!("`{}` takes tables, not {}", key.name, item.value.kind()),
                    format!("write {title} on a line of its own, its keys below"),
                );
            }
        }
        Some(Value::Tables(tables))
    }

    /// The texts of a list; those with a fault are left out.
    fn list(&mut self, key: &Key, raw: &Raw) -> Option<Value> {
        let is_free = matches!(key.takes.item(), Takes::AnyText);
        let by_commas;
        let items = match (&raw.value, key.takes) {
            (RawValue::List(items), _) => items.as_slice(),
            (RawValue::Text(text), Takes::ListOrCommas(_)) => {
                let part = |part: &str| Raw {
                    value: RawValue::Text(part.trim().to_owned()),
                    span: raw.span.clone(),
                };
                let parts = text.split(',').filter(|part| !part.trim().is_empty());
                by_commas = parts.map(part).collect::<Vec<_>>();
                by_commas.as_slice()
            }
            (RawValue::Text(text), _) => {
                // It was meant as a list of one, or of those between its commas. Free texts may hold commas.
                let parts: Vec<&str> = match is_free {
                    true => vec![text],
                    false => text.split(',').map(str::trim).collect(),
                };
                let shown: Vec<String> = parts.iter().map(|part| written(part, is_free)).collect();
                self.report(
                    FaultKind::Type,
                    key.name,
                    raw.span.clone(),
                    format!("`{}` takes a list, not a text", key.name),
                    format!("write it in brackets: [{}]", shown.join(", ")),
                );
                let part = |part: &str| Raw {
                    value: RawValue::from(part),
                    span: raw.span.clone(),
                };
                by_commas = parts.into_iter().map(part).collect::<Vec<_>>();
                by_commas.as_slice()
            }
            _ => return self.wrong_type(key, raw),
        };
        if items.is_empty() && !is_free {
            let message = format!("`{}` is empty", key.name);
            return self.wrong(FaultKind::OutOfRange, key, raw, message);
        }
        let mut texts = Vec::new();
        let mut places = Vec::new();
        for item in items {
            let RawValue::Text(text) = &item.value else {
                self.report(
                    FaultKind::Type,
                    key.name,
                    item.span.clone(),
                    format!("`{}` takes texts, not {}", key.name, item.value.kind()),
                    "write each of them in quotes",
                );
                continue;
            };
            let Some(text) = self.text(key, key.takes.item(), item, text) else {
                continue;
            };
            if !is_free && texts.contains(&text) {
                self.report(
                    FaultKind::Contradiction,
                    key.name,
                    item.span.clone(),
                    format!("`{}` holds {} twice", key.name, quoted(&text)),
                    "remove one of the two",
                );
                continue;
            }
            texts.push(text);
            places.push(item.span.clone());
        }
        (is_free || !texts.is_empty()).then_some(Value::List(texts, Places(places)))
    }

    fn text(&mut self, key: &Key, takes: Takes, raw: &Raw, text: &str) -> Option<String> {
        let name = key.name;
        if let Takes::AnyText = takes {
            if text.is_empty() && key.required {
                self.empty(key, raw);
                return None;
            }
        } else if text.trim().is_empty() {
            self.empty(key, raw);
            return None;
        } else if text.contains(char::is_control) {
            self.report(
                FaultKind::Pattern,
                name,
                raw.span.clone(),
                format!("`{name}` holds control characters or several lines"),
                "write it in one line",
            );
            return None;
        }
        let longest = match takes {
            Takes::Text(longest) => longest,
            Takes::Host | Takes::HostPort => 255,
            _ => usize::MAX,
        };
        if text.len() > longest {
            let message = format!("`{name}` has {} bytes, more than {longest}", text.len());
            let span = raw.span.clone();
            self.report(FaultKind::OutOfRange, name, span, message, "shorten it");
            return None;
        }
        let choices = takes.choices();
        if !choices.is_empty() {
            return self.choice(key, raw, text, &choices);
        }
        let is_right = match takes {
            Takes::Host => is_host(text),
            Takes::HostPort => is_host_port(text),
            Takes::Listen => text.parse::<SocketAddr>().is_ok(),
            _ => true,
        };
        if !is_right {
            if let Takes::Host = takes {
                let message = format!(
                    "`{name}` is {}, which is no host name and no address",
                    quoted(text)
                );
                let help = "write the name or the address alone, without scheme, port or path";
                self.report(FaultKind::Pattern, name, raw.span.clone(), message, help);
                return None;
            }
            let what = match takes {
                Takes::HostPort => "which is no host with a port",
                _ => "which is no address with a port",
            };
            return self.ill_formed(key, raw, text, what);
        }
        if let Some(pattern) = key.pattern {
            // Patterns are constants, and a test compiles each of them.
            let fits = Regex::new(pattern.regex).is_ok_and(|regex| regex.is_match(text));
            if !fits {
                let expected = pattern.expected;
                let message = format!(
                    "`{name}` {} {}, but it must be {expected}",
                    key.verb(),
                    quoted(text)
                );
                let help = format!("write {expected}");
                self.report(FaultKind::Pattern, name, raw.span.clone(), message, help);
                return None;
            }
        }
        Some(if key.any_case {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        })
    }

    fn choice(
        &mut self,
        key: &Key,
        raw: &Raw,
        text: &str,
        choices: &[(&'static str, &'static str)],
    ) -> Option<String> {
        let is_meant = |(value, label): &&(&str, &str)| {
            value.eq_ignore_ascii_case(text) || label.eq_ignore_ascii_case(text)
        };
        if let Some((value, _)) = choices.iter().find(is_meant) {
            return Some((*value).to_owned());
        }
        let known: Vec<&str> = choices.iter().map(|(value, _)| *value).collect();
        self.report(
            FaultKind::NotAllowed,
            key.name,
            raw.span.clone(),
            format!("`{}` cannot be {}", key.name, quoted(text)),
            suggest(text, "values", &known),
        );
        None
    }

    fn empty(&mut self, key: &Key, raw: &Raw) {
        // What stands where the parser could not read a value is an empty text.
        if self.is_damaged {
            return;
        }
        self.report(
            FaultKind::OutOfRange,
            key.name,
            raw.span.clone(),
            format!("`{}` is empty", key.name),
            if key.required {
                format!("write {}", key.written())
            } else {
                format!("remove it, or write {}", key.written())
            },
        );
    }

    fn ill_formed<T>(&mut self, key: &Key, raw: &Raw, text: &str, what: &str) -> Option<T> {
        let message = format!("`{}` {} {}, {what}", key.name, key.verb(), quoted(text));
        if let Takes::Interval(..) = key.takes {
            return self.wrong(FaultKind::Pattern, key, raw, message);
        }
        let help = format!("write {}", key.written());
        self.report(
            FaultKind::Pattern,
            key.name,
            raw.span.clone(),
            message,
            help,
        );
        None
    }

    fn wrong<T>(&mut self, kind: FaultKind, key: &Key, raw: &Raw, message: String) -> Option<T> {
        let help = format!("write {}", key.takes());
        self.report(kind, key.name, raw.span.clone(), message, help);
        None
    }

    fn wrong_type<T>(&mut self, key: &Key, raw: &Raw) -> Option<T> {
        let help = match (key.takes, &raw.value) {
            (Takes::Integer(..), RawValue::Text(text)) if text.trim().parse::<i64>().is_ok() => {
                format!("write {} without quotes", text.trim())
            }
            (Takes::Boolean, RawValue::Text(text)) if matches!(text.as_str(), "true" | "false") => {
                format!("write {text} without quotes")
            }
            (_, RawValue::Integer(_) | RawValue::Real(_) | RawValue::Boolean(_))
                if key.takes.is_text() =>
            {
                match self.text.get(raw.span.clone()) {
                    Some(text) if !text.is_empty() => format!("write \"{text}\" in quotes"),
                    _ => "write it in quotes".to_owned(),
                }
            }
            _ => format!("write {}", key.written()),
        };
        self.report(
            FaultKind::Type,
            key.name,
            raw.span.clone(),
            format!(
                "`{}` takes {}, not {}",
                key.name,
                takes(key.takes),
                raw.value.kind()
            ),
            help,
        );
        None
    }
}

/// What to write for a missing key.
fn how_to_add(key: &Key, title: &str, settings: &Settings) -> String {
    let line = key.written();
    let is_table = matches!(
        key.takes,
        Takes::Table(_) | Takes::Tables(_) | Takes::Open(_)
    );
    let mut help = if !is_table && !title.starts_with('[') && settings.has_tables() {
        // At the end of the file it would belong to the last table.
        format!("add a line before the first table: {line}")
    } else {
        format!("add {line}")
    };
    let is_limited = key.pattern.is_some()
        || !key.takes.choices().is_empty()
        || matches!(key.takes, Takes::Integer(..));
    if is_limited && key.example.is_none() {
        help += &format!("; it takes {}", key.takes());
    }
    help
}

fn applies(rule: &Rule, settings: &Settings) -> bool {
    let has = settings.has(rule.key) || settings.is_given(rule.key);
    match rule.when {
        When::Is(value) => settings.is(rule.key, value),
        When::IsNot(value) => !settings.is(rule.key, value),
        When::IsNoneOf(values) => values.iter().all(|value| !settings.is(rule.key, value)),
        When::Given => has,
        When::Absent => !has,
    }
}

/// The name of a table within another one, whose title may stand in brackets.
fn qualified(title: &str, name: &str) -> String {
    let inner = title.trim_matches(['[', ']']);
    if title.starts_with('[') {
        format!("{inner}.{name}")
    } else {
        name.to_owned()
    }
}

/// A value in a message, without what may be a secret in it.
fn quoted(text: &str) -> String {
    format!("{:?}", masked(text))
}

/// A text as it could stand in the file: regular expressions without escapes, and nothing that looks like a secret unless
/// it is free text.
fn written(text: &str, is_free: bool) -> String {
    let text = match is_free {
        true => text.into(),
        false => masked(text),
    };
    if text.contains('\\') && !text.contains(['\'', '\n']) {
        format!("'{text}'")
    } else {
        format!("{text:?}")
    }
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let address = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.split('.').all(is_label) || text.parse::<IpAddr>().is_ok(),
    }
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        // An address of version 6 stands in brackets, because its parts are separated by colons too.
        let is_bare = !host.contains(':') || host.starts_with('[');
        is_bare && is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

impl SecretRef {
    /// Reads a reference such as `{ env = "NAME" }`. Whatever else stands there may be the secret, so the message does
    /// not repeat it.
    fn of(name: &str, value: &RawValue) -> Result<Self, (FaultKind, String)> {
        let table = match value {
            RawValue::Table(table) => table,
            RawValue::Text(_) => {
                let message = format!(
                    "`{name}` holds the secret itself, which does not belong in a configuration file"
                );
                return Err((FaultKind::SecretInline, message));
            }
            other => {
                let found = other.kind();
                let message = format!("`{name}` takes a reference to a secret, not {found}");
                return Err((FaultKind::Type, message));
            }
        };
        let mut entries = table.0.iter();
        if let (Some((key, entry)), None) = (entries.next(), entries.next())
            && let RawValue::Text(text) = &entry.raw.value
            && !text.trim().is_empty()
        {
            match key.as_str() {
                "env" if !text.contains(['=', '\0']) => return Ok(Self::Env(text.clone())),
                "file" if !text.contains('\0') => return Ok(Self::File(text.into())),
                _ => {}
            }
        }
        let message = format!(
            "`{name}` is no reference to a secret: it takes one of the keys `env` and `file`, with a text"
        );
        Err((FaultKind::Pattern, message))
    }
}
