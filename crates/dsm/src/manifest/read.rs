//! Typed access to the tables of the manifest; what is missing or of another type is reported.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, suggest};
use crate::lsx::Spanned;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

pub(super) struct Reader<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) out: Diagnostics,
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

    pub(super) fn missing(&mut self, name: &str, span: &Range<usize>) {
        self.report(
            Code::ManifestKeyMissing,
            span,
            format!("`{name}` is missing"),
            format!("add `{name}`"),
        );
    }

    pub(super) fn wrong_type(&mut self, value: &TomlSpanned<DeValue<'_>>, name: &str, takes: &str) {
        let found = value.get_ref().type_str();
        self.report(
            Code::ManifestValueInvalid,
            &value.span(),
            format!("`{name}` takes {takes}, not a value of type {found}"),
            format!("write {takes}"),
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
                self.missing(name, span);
            }
            return None;
        };
        match value.get_ref().as_str() {
            Some("") if required => {
                self.report(
                    Code::ManifestValueInvalid,
                    &value.span(),
                    format!("`{name}` is empty"),
                    "write a text",
                );
                None
            }
            Some(text) => Some(Spanned::new(text.to_owned(), value.span())),
            None => {
                self.wrong_type(value, name, "a string");
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
                self.missing(name, span);
            }
            return None;
        };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            self.wrong_type(value, name, "a whole number of at least 0");
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
                self.missing(name, span);
            }
            return None;
        };
        if value.get_ref().as_table().is_none() {
            self.wrong_type(value, name, "a table");
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
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(value, name, &format!("tables written [[{name}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in list {
            match item.get_ref().as_table() {
                Some(table) => tables.push((table, item.span())),
                None => self.wrong_type(item, name, "a table"),
            }
        }
        tables
    }

    pub(super) fn strings(&mut self, table: Table<'_, '_>, name: &str) -> Vec<Spanned<String>> {
        let Some(value) = table.get(name) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(value, name, "a list of strings");
            return Vec::new();
        };
        let mut strings = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(text) => strings.push(Spanned::new(text.to_owned(), item.span())),
                None => self.wrong_type(item, name, "a list of strings"),
            }
        }
        strings
    }
}
