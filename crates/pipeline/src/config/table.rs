//! A table of the file, read by its declaration.

use super::keys::{Key, Takes};
use super::{log_sources, size};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, nearest, suggest};
use dsm::lsx::Spanned;
use protocol::parameter::check_secret;
use protocol::secret::{SecretRef, masked};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

/// Reads tables, and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) out: Diagnostics,
    /// Whether the TOML itself is faulty, so that nothing may be called missing.
    pub(super) unread: bool,
}

/// A value of the type that its key takes.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Boolean(bool),
    Number(u64),
    Texts(Vec<Spanned<String>>),
    Secret(SecretRef),
}

/// A table that was read.
pub(super) struct Table<'t, 'i> {
    declared: &'static [Key],
    /// Where it stands.
    pub(super) span: Range<usize>,
    values: BTreeMap<&'static str, Spanned<Value>>,
    raw: &'t DeTable<'i>,
}

type Entry<'t, 'i> = &'t TomlSpanned<DeValue<'i>>;

impl Reader<'_> {
    pub(super) fn report(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.out
            .push(Diagnostic::new(code, message, help).at(self.file, span.clone(), ""));
    }

    /// Reads a table; values with a fault are reported and left out.
    pub(super) fn table<'t, 'i>(
        &mut self,
        raw: &'t DeTable<'i>,
        span: Range<usize>,
        name: &str,
        declared: &'static [Key],
    ) -> Table<'t, 'i> {
        let mut table = Table {
            declared,
            span,
            values: BTreeMap::new(),
            raw,
        };
        let known: Vec<&str> = declared.iter().map(|key| key.name).collect();
        let mut misspelt = Vec::new();
        for (key, entry) in raw.iter() {
            let written = key.get_ref().as_ref();
            let is_meant = |key: &&Key| key.name == written || key.formerly == Some(written);
            let Some(declaration) = declared.iter().find(is_meant) else {
                misspelt.push(written.to_owned());
                // After a fault of the TOML a key may have ended up in the table above its own.
                if !self.unread {
                    self.report(
                        Code::ConfigKeyUnknown,
                        &key.span(),
                        format!("`{written}` is not a key of {name}"),
                        suggest(written, "keys that may stand here", &known),
                    );
                }
                continue;
            };
            if declaration.name != written {
                let name = declaration.name;
                if raw.contains_key(name) {
                    self.report(
                        Code::ConfigContradiction,
                        &key.span(),
                        format!("`{written}` and `{name}` are the same key"),
                        format!("remove `{written}`"),
                    );
                    continue;
                }
                self.report(
                    Code::ConfigKeyRenamed,
                    &key.span(),
                    format!("`{written}` is called `{name}` now"),
                    format!("write {name} instead"),
                );
            }
            if let Some(value) = self.value(declaration, entry) {
                table
                    .values
                    .insert(declaration.name, Spanned::new(value, entry.span()));
            }
        }
        self.check_presence(&table, name, &misspelt);
        table
    }

    /// Which keys go together, and which are missing.
    fn check_presence(&mut self, table: &Table<'_, '_>, name: &str, misspelt: &[String]) {
        for key in table.declared {
            let given = written(table.raw, key);
            let blocked = key.only.filter(|(other, values)| {
                let value = table.text_or_default(other);
                // A wrong value of the other key is one fault, not many.
                !table.is_given_wrongly(other) && value.is_none_or(|value| !values.contains(&value))
            });
            match (given, blocked) {
                (Some((written, _)), Some((other, values))) => self.report(
                    Code::ConfigKeyUnavailable,
                    &written.span(),
                    format!(
                        "`{}` goes only with `{other} = \"{}\"`",
                        key.name,
                        values.join("\"` or `\"")
                    ),
                    format!("remove it, or change `{other}`"),
                ),
                (None, None) if key.required && !self.unread => {
                    let near = |written: &String| nearest(written, [key.name]).is_some();
                    let undecided = key
                        .only
                        .is_some_and(|(other, _)| table.text_or_default(other).is_none());
                    if !misspelt.iter().any(near) && !undecided {
                        self.report(
                            Code::ConfigKeyMissing,
                            &table.span,
                            format!("{name} has no `{}`", key.name),
                            format!("add {}", example(key)),
                        );
                    }
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, key: &Key, entry: Entry<'_, '_>) -> Option<Value> {
        let raw = entry.get_ref();
        match key.takes {
            Takes::Table(_) | Takes::Tables(_) | Takes::Parameters => None,
            Takes::Boolean => match raw.as_bool() {
                Some(value) => Some(Value::Boolean(value)),
                None => self.wrong(key, entry),
            },
            Takes::Integer(first, last) => {
                let number = whole_number(raw);
                match number {
                    Some(number) if (first..=last).contains(&number) => Some(Value::Number(number)),
                    _ => self.wrong(key, entry),
                }
            }
            Takes::Size => {
                let bytes = whole_number(raw).or_else(|| size::parse(raw.as_str()?));
                match bytes {
                    Some(bytes) => Some(Value::Number(bytes)),
                    None => self.wrong(key, entry),
                }
            }
            Takes::Texts | Takes::HostPorts => self.texts(key, entry),
            Takes::Secret => match check_secret(key.name, &log_sources::value(raw)) {
                Ok(reference) => Some(Value::Secret(reference)),
                Err(fault) => {
                    log_sources::report(self, &fault, entry.span());
                    None
                }
            },
            // In any case, as the values of parameters are taken.
            Takes::Choice(choices) => match raw.as_str() {
                Some(text) => {
                    let meant = choices
                        .iter()
                        .find(|choice| choice.eq_ignore_ascii_case(text));
                    if let Some(choice) = meant {
                        return Some(Value::Text((*choice).to_owned()));
                    }
                    self.report(
                        Code::ConfigValueInvalid,
                        &entry.span(),
                        format!("`{}` cannot be \"{}\"", key.name, masked(text)),
                        suggest(text, "values", choices),
                    );
                    None
                }
                None => self.wrong(key, entry),
            },
            Takes::Text | Takes::Path | Takes::HostPort | Takes::Listen => {
                match raw.as_str().filter(|text| is_well_formed(key.takes, text)) {
                    Some(text) => Some(Value::Text(text.to_owned())),
                    None => self.wrong(key, entry),
                }
            }
        }
    }

    fn texts(&mut self, key: &Key, entry: Entry<'_, '_>) -> Option<Value> {
        let Some(list) = entry.get_ref().as_array() else {
            return self.wrong(key, entry);
        };
        let mut texts = Vec::new();
        for item in list {
            let text = item.get_ref().as_str();
            let fits = |text: &&str| match key.takes {
                Takes::HostPorts => is_host_port(text),
                _ => true,
            };
            match text.filter(fits) {
                Some(text) => texts.push(Spanned::new(text.to_owned(), item.span())),
                None => return self.wrong(key, item),
            }
        }
        if texts.is_empty() {
            return self.wrong(key, entry);
        }
        Some(Value::Texts(texts))
    }

    fn wrong(&mut self, key: &Key, entry: Entry<'_, '_>) -> Option<Value> {
        self.report(
            Code::ConfigValueInvalid,
            &entry.span(),
            format!("`{}` takes {}", key.name, takes(key.takes)),
            format!("write {}", example(key)),
        );
        None
    }
}

/// A key as it is written, under its name or its old one, and what it is set to.
fn written<'t, 'i>(
    raw: &'t DeTable<'i>,
    key: &Key,
) -> Option<(&'t TomlSpanned<Cow<'i, str>>, Entry<'t, 'i>)> {
    raw.get_key_value(key.name)
        .or_else(|| raw.get_key_value(key.formerly?))
}

fn whole_number(raw: &DeValue<'_>) -> Option<u64> {
    let number = raw.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .filter(|number| *number <= i64::MAX as u64)
}

fn is_well_formed(takes: Takes, text: &str) -> bool {
    match takes {
        Takes::HostPort => is_host_port(text),
        Takes::Listen => text.parse::<SocketAddr>().is_ok(),
        _ => !text.is_empty() && !text.contains(char::is_control),
    }
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let name = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port),
        None => host,
    };
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty() && name.bytes().all(is_name_byte) && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// What a key takes, in words.
pub(super) fn takes(takes: Takes) -> String {
    match takes {
        Takes::Text => "a text".to_owned(),
        Takes::Choice(choices) => choices.join(", "),
        Takes::Path => "a path".to_owned(),
        Takes::HostPort => "a host and a port".to_owned(),
        Takes::Listen => "an IP address of this machine and a port".to_owned(),
        Takes::Boolean => "true or false".to_owned(),
        Takes::Integer(first, last) => format!("a whole number from {first} to {last}"),
        Takes::Size => "a number of bytes, or a size such as \"512 MiB\"".to_owned(),
        Takes::Texts => "a list of texts with at least one".to_owned(),
        Takes::HostPorts => "a list of hosts, each with a port".to_owned(),
        Takes::Secret => "a reference to a secret".to_owned(),
        Takes::Table(_) => "a table".to_owned(),
        Takes::Tables(_) => "tables in double brackets".to_owned(),
        Takes::Parameters => "the parameters of the protocol".to_owned(),
    }
}

/// How the key is written.
fn example(key: &Key) -> String {
    let name = key.name;
    match (key.takes, key.default) {
        (Takes::Choice(choices), None) => {
            format!("{name} = \"{}\"", choices.first().unwrap_or(&""))
        }
        (Takes::Text | Takes::Choice(_) | Takes::Size, Some(default)) => {
            format!("{name} = \"{default}\"")
        }
        (_, Some(default)) => format!("{name} = {default}"),
        (Takes::Text, None) => format!("{name} = \"...\""),
        (Takes::Path, None) => format!("{name} = \"/path\""),
        (Takes::HostPort, None) => format!("{name} = \"qradar.example.com:514\""),
        (Takes::Listen, None) => format!("{name} = \"127.0.0.1:9464\""),
        (Takes::Boolean, None) => format!("{name} = true"),
        (Takes::Integer(first, _), None) => format!("{name} = {first}"),
        (Takes::Size, None) => format!("{name} = \"100 MiB\""),
        (Takes::Texts, None) => format!("{name} = [\"...\"]"),
        (Takes::HostPorts, None) => format!("{name} = [\"broker.example.com:9092\"]"),
        (Takes::Secret, None) => format!("{name} = {{ env = \"NAME\" }}"),
        (Takes::Tables(_), None) => format!("[[{name}]], its keys below"),
        (Takes::Table(_) | Takes::Parameters, None) => format!("[{name}], its keys below"),
    }
}

impl<'t, 'i> Table<'t, 'i> {
    fn declaration(&self, name: &str) -> Option<&'static Key> {
        self.declared.iter().find(|key| key.name == name)
    }

    /// What a key is set to.
    fn entry(&self, name: &str) -> Option<Entry<'t, 'i>> {
        written(self.raw, self.declaration(name)?).map(|(_, entry)| entry)
    }

    fn is_given_wrongly(&self, name: &str) -> bool {
        self.is_given(name) && !self.values.contains_key(name)
    }

    /// The text of a key, or its default; nothing if it is wrong or does not go with the other keys.
    fn text_or_default(&self, name: &str) -> Option<&str> {
        let key = self.declaration(name)?;
        if let Some((other, values)) = key.only {
            let value = self.text_or_default(other)?;
            if !values.contains(&value) {
                return None;
            }
        }
        match self.values.get(name).map(|value| &value.value) {
            Some(Value::Text(text)) => Some(text),
            None if !self.is_given(name) => key.default,
            _ => None,
        }
    }

    /// The text of a key, or its default.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.text_or_default(name).map(str::to_owned)
    }

    /// The text of a key and where it stands; at the table if it is a default.
    pub(super) fn spanned(&self, name: &str) -> Option<Spanned<String>> {
        let span = self.span_of(name);
        self.text(name).map(|text| Spanned::new(text, span))
    }

    /// A path, relative to a folder.
    pub(super) fn path(&self, name: &str, base: &Path) -> Option<PathBuf> {
        self.text_or_default(name).map(|text| base.join(text))
    }

    /// Whether a boolean is set.
    pub(super) fn is_set(&self, name: &str) -> bool {
        match self.values.get(name).map(|value| &value.value) {
            Some(Value::Boolean(value)) => *value,
            _ => self.declaration(name).and_then(|key| key.default) == Some("true"),
        }
    }

    /// A number, or its default.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.values.get(name).map(|value| &value.value) {
            Some(Value::Number(number)) => Some(*number),
            _ => self
                .declaration(name)
                .and_then(|key| key.default)
                .and_then(size::parse),
        }
    }

    /// Where a secret is; a file relative to a folder.
    pub(super) fn secret(&self, name: &str, base: &Path) -> Option<SecretRef> {
        match self.values.get(name).map(|value| &value.value) {
            Some(Value::Secret(SecretRef::File(path))) => Some(SecretRef::File(base.join(path))),
            Some(Value::Secret(reference)) => Some(reference.clone()),
            _ => None,
        }
    }

    /// Texts.
    pub(super) fn texts(&self, name: &str) -> &[Spanned<String>] {
        match self.values.get(name).map(|value| &value.value) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// Whether a key is given, rightly or wrongly.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Where the value of a key stands, or the table.
    pub(super) fn span_of(&self, name: &str) -> Range<usize> {
        self.entry(name)
            .map_or_else(|| self.span.clone(), TomlSpanned::span)
    }

    /// A table within.
    pub(super) fn sub(&self, reader: &mut Reader<'_>, name: &'static str) -> Option<Table<'t, 'i>> {
        let key = self.declaration(name)?;
        let Takes::Table(declared) = key.takes else {
            return None;
        };
        let entry = self.entry(name)?;
        match entry.get_ref().as_table() {
            Some(raw) => Some(reader.table(raw, entry.span(), &format!("[{name}]"), declared)),
            None => {
                reader.wrong(key, entry);
                None
            }
        }
    }

    /// The tables of a list.
    pub(super) fn subs(&self, reader: &mut Reader<'_>, name: &'static str) -> Vec<Table<'t, 'i>> {
        let (Some(key), Some(entry)) = (self.declaration(name), self.entry(name)) else {
            return Vec::new();
        };
        let Takes::Tables(declared) = key.takes else {
            return Vec::new();
        };
        let title = format!("[[{name}]]");
        let raws = entry.get_ref().as_array().map(|list| {
            list.iter()
                .map(|item| (item.get_ref().as_table(), item.span()))
                .collect::<Vec<_>>()
        });
        let Some(raws) = raws else {
            reader.wrong(key, entry);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (raw, span) in raws {
            match raw {
                Some(raw) => tables.push(reader.table(raw, span, &title, declared)),
                None => {
                    reader.wrong(key, entry);
                }
            }
        }
        tables
    }

    /// The table of parameters as it stands in the file.
    pub(super) fn parameters(
        &self,
        reader: &mut Reader<'_>,
        name: &'static str,
    ) -> Option<(&'t DeTable<'i>, Range<usize>)> {
        let entry = self.entry(name)?;
        let raw = entry.get_ref().as_table();
        if let (None, Some(key)) = (raw, self.declaration(name)) {
            reader.wrong(key, entry);
        }
        Some((raw?, entry.span()))
    }
}
