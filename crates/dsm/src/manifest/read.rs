//! Typed access to the tables of the manifest; what is missing or of another type is reported.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, nearest, suggest};
use crate::lsx::Spanned;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

const STRING: &str = "a string";
const STRINGS: &str = "a list of strings";
const NUMBER: &str = "a whole number";
const TABLE: &str = "a table";

/// A line that could be added for a required key.
fn example(path: &str) -> Option<&'static str> {
    Some(match path {
        "format" => "format = 1",
        "name" => "name = \"Acme Firewall\"",
        "log_source_type_id" => "log_source_type_id = 4001",
        "leef" => "[leef] with vendor, product and version",
        "leef.vendor" => "vendor = \"Acme\"",
        "leef.product" => "product = \"Firewall\"",
        "leef.version" => "version = \"1.0\"",
        "autodetection" => "[autodetection] with precedence, and below it [[autodetection.rule]]",
        "autodetection.precedence" => "precedence = 100, a number that no other mapping has",
        "options" => "[options] with lines such as qid-case = \"insensitive\"",
        "property.name" => "name = \"Rule Name\"",
        "property.type" => "type = \"string\"",
        "property.leef_key" => "leef_key = \"ruleName\"",
        "property.description" => "description = \"name of the rule that decided\"",
        "allow.lint" => "lint = \"DSM106\"",
        "allow.reason" => "reason = \"the flag is needed, and nobody edits it there\"",
        _ => return None,
    })
}

pub(super) struct Reader<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) out: Diagnostics,
    /// The table that is being read, as its keys are qualified: `leef.`.
    pub(super) prefix: &'static str,
    /// The LEEF keys so far, with their places.
    pub(super) leef_keys: HashMap<String, Range<usize>>,
    /// The names of properties so far, with their places.
    pub(super) names: HashMap<String, Range<usize>>,
    /// Whether the TOML itself is faulty, so that nothing may be called missing.
    pub(super) unread: bool,
}

pub(super) type Table<'t, 'i> = &'t DeTable<'i>;

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

    /// Reports keys that are none.
    pub(super) fn known(&mut self, table: Table<'_, '_>, prefix: &str, known: &[&str]) {
        // After a fault of the TOML a key may have ended up in the table above its own.
        if self.unread && prefix.is_empty() {
            return;
        }
        for name in table.keys() {
            if !known.contains(&name.get_ref().as_ref()) {
                self.report(
                    Code::ManifestKeyUnknown,
                    &name.span(),
                    format!("`{prefix}{}` is not a key of the manifest", name.get_ref()),
                    suggest(name.get_ref(), "keys that may stand here", known),
                );
            }
        }
    }

    pub(super) fn missing(&mut self, table: Table<'_, '_>, name: &str, span: &Range<usize>) {
        // A misspelling of it is reported as an unknown key, and that is enough.
        let misspelt = table
            .keys()
            .any(|key| nearest(key.get_ref(), [name]).is_some());
        if misspelt || self.unread {
            return;
        }
        let path = format!("{}{name}", self.prefix);
        let help = match (example(&path), self.prefix) {
            (Some(line), "") if !line.starts_with('[') => {
                format!("add a line before the first table: {line}")
            }
            (Some(line), _) => format!("add {line}"),
            (None, _) => format!("add `{name}`"),
        };
        self.report(
            Code::ManifestKeyMissing,
            span,
            format!("`{path}` is missing"),
            help,
        );
    }

    pub(super) fn wrong_type(&mut self, value: &TomlSpanned<DeValue<'_>>, name: &str, takes: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let raw = self.file.text.get(value.span()).unwrap_or_default();
        let help = match (takes, value.get_ref()) {
            (STRING, DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => {
                format!("write \"{raw}\" in quotes")
            }
            (STRINGS, DeValue::String(_)) => format!("write it in brackets: [{raw}]"),
            (NUMBER, DeValue::String(text)) if text.parse::<u32>().is_ok() => {
                format!("write {text} without quotes")
            }
            (TABLE, _) => match example(&format!("{}{name}", self.prefix)) {
                Some(line) => format!("write {line}"),
                None => format!("write [{name}] on a line of its own, its keys below"),
            },
            _ => format!("write {takes}"),
        };
        self.report(
            Code::ManifestValueInvalid,
            &value.span(),
            format!("`{}{name}` takes {takes}, not {found}", self.prefix),
            help,
        );
    }

    pub(super) fn string(
        &mut self,
        table: Table<'_, '_>,
        name: &str,
        span: &Range<usize>,
        required: bool,
    ) -> Option<Spanned<String>> {
        let Some(value) = table.get(name) else {
            if required {
                self.missing(table, name, span);
            }
            return None;
        };
        match value.get_ref().as_str() {
            Some("") if required => {
                self.report(
                    Code::ManifestValueInvalid,
                    &value.span(),
                    format!("`{}{name}` is empty", self.prefix),
                    "write a text between the quotes",
                );
                None
            }
            Some(text) => Some(Spanned::new(text.to_owned(), value.span())),
            None => {
                self.wrong_type(value, name, STRING);
                None
            }
        }
    }

    /// A text that goes into a LEEF header, where a pipe cannot be represented.
    pub(super) fn header(
        &mut self,
        table: Table<'_, '_>,
        name: &str,
        span: &Range<usize>,
    ) -> String {
        let Some(text) = self.string(table, name, span, true) else {
            return String::new();
        };
        if text.value.contains(|c: char| c == '|' || c.is_control()) {
            self.report(
                Code::ManifestValueInvalid,
                &text.span,
                format!("`leef.{name}` holds a pipe or a control character"),
                "LEEF has no escape for it in the header; write something else",
            );
        }
        text.value
    }

    pub(super) fn integer(
        &mut self,
        table: Table<'_, '_>,
        name: &str,
        span: &Range<usize>,
        required: bool,
    ) -> Option<Spanned<u32>> {
        let Some(value) = table.get(name) else {
            if required {
                self.missing(table, name, span);
            }
            return None;
        };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        match (&number, value.get_ref()) {
            (Some(_), _) => {}
            (None, DeValue::Integer(_)) => {
                let raw = self.file.text.get(value.span()).unwrap_or_default();
                let side = if raw.starts_with('-') {
                    "below 0"
                } else {
                    "too large"
                };
                let message = format!("`{}{name}` is {raw}, which is {side}", self.prefix);
                self.report(
                    Code::ManifestValueInvalid,
                    &value.span(),
                    message,
                    "write a whole number from 0 to 4294967295",
                );
            }
            (None, _) => self.wrong_type(value, name, NUMBER),
        }
        number.map(|number| Spanned::new(number, value.span()))
    }

    pub(super) fn table<'t, 'i>(
        &mut self,
        table: Table<'t, 'i>,
        name: &str,
        span: &Range<usize>,
        required: bool,
    ) -> Option<(Table<'t, 'i>, Range<usize>)> {
        let Some(value) = table.get(name) else {
            if required {
                self.missing(table, name, span);
            }
            return None;
        };
        if value.get_ref().as_table().is_none() {
            self.wrong_type(value, name, TABLE);
        }
        value
            .get_ref()
            .as_table()
            .map(|table| (table, value.span()))
    }

    pub(super) fn tables<'t, 'i>(
        &mut self,
        table: Table<'t, 'i>,
        name: &str,
    ) -> Vec<(Table<'t, 'i>, Range<usize>)> {
        let Some(value) = table.get(name) else {
            return Vec::new();
        };
        if let Some(table) = value.get_ref().as_table() {
            let message = format!(
                "[{}{name}] is one table, and several may stand here",
                self.prefix
            );
            let help = format!("write [[{}{name}]] in double brackets", self.prefix);
            self.report(Code::ManifestValueInvalid, &value.span(), message, help);
            return vec![(table, value.span())];
        }
        let Some(list) = value.get_ref().as_array() else {
            let takes = format!("tables, each written [[{}{name}]]", self.prefix);
            self.wrong_type(value, name, &takes);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in list {
            match item.get_ref().as_table() {
                Some(table) => tables.push((table, item.span())),
                None => self.wrong_type(item, name, TABLE),
            }
        }
        tables
    }

    pub(super) fn strings(&mut self, table: Table<'_, '_>, name: &str) -> Vec<Spanned<String>> {
        let Some(value) = table.get(name) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(value, name, STRINGS);
            // One text was meant as a list of one.
            return value
                .get_ref()
                .as_str()
                .map(|text| Spanned::new(text.to_owned(), value.span()))
                .into_iter()
                .collect();
        };
        let mut strings = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(text) => strings.push(Spanned::new(text.to_owned(), item.span())),
                None => self.wrong_type(item, name, STRINGS),
            }
        }
        strings
    }
}
