//! `manifest.toml`: what a mapping folder says about its log source type beside the extension and the QID map.

mod keys;
mod read;

pub use keys::{KEYS, Key};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, nearest, suggest};
use crate::field::{Field, Kind};
use crate::lsx::Spanned;
use crate::options::{OptionError, Options};
use read::{Reader, Table};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// The mapping format that this program reads.
pub const FORMAT: u32 = 1;

/// The type of a custom property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyType {
    /// Any text.
    String,
    /// A decimal number.
    Numeric,
    /// An IP address.
    Ip,
    /// A port.
    Port,
    /// A point in time.
    Time,
}

impl PropertyType {
    /// All types, as they are written.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("string", Self::String),
        ("numeric", Self::Numeric),
        ("ip", Self::Ip),
        ("port", Self::Port),
        ("time", Self::Time),
    ];

    /// What a value has to look like.
    pub const fn kind(self) -> Kind {
        match self {
            Self::String => Kind::Text,
            Self::Numeric => Kind::Number,
            Self::Ip => Kind::Ip,
            Self::Port => Kind::Port,
            Self::Time => Kind::Time,
        }
    }
}

/// A declared custom property.
#[derive(Debug, Clone)]
pub struct PropertyDeclaration {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub kind: PropertyType,
    /// Its key in LEEF output.
    pub leef_key: String,
    /// What it holds.
    pub description: String,
    /// The format of a time.
    pub datetime_format: Option<Spanned<String>>,
}

/// A rule of autodetection: everything in it must hold.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// JSON key paths that must find a value.
    pub keypaths: Vec<Spanned<String>>,
    /// Java regular expressions that must match.
    pub patterns: Vec<Spanned<String>>,
}

/// Findings of `dsmith lint` that the author knows about.
#[derive(Debug, Clone)]
pub struct Allow {
    /// The lint.
    pub lint: Code,
    /// Which subjects, such as `pattern/Attempt`; `*` stands for any text. None: all.
    pub at: Vec<Spanned<String>>,
    /// Why.
    pub reason: String,
    /// The table.
    pub span: Range<usize>,
}

/// A manifest that was read.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Name of the log source type.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// Its identifier.
    pub log_source_type_id: u32,
    /// Vendor, product and version of the LEEF header.
    pub vendor: String,
    /// See `vendor`.
    pub product: String,
    /// See `vendor`.
    pub version: String,
    /// Place in the order of autodetection.
    pub precedence: Option<Spanned<u32>>,
    /// Rules of autodetection.
    pub rules: Vec<Rule>,
    /// Answers that differ from the default.
    pub options: Options,
    /// Custom properties in declaration order.
    pub properties: Vec<PropertyDeclaration>,
    /// Findings of `dsmith lint` that are known and have a reason.
    pub allows: Vec<Allow>,
    /// Whether a part of the file could not be read, so that nothing may be called undeclared.
    pub unread: bool,
}

/// Reads a manifest; what cannot be read is left at its default and reported.
pub fn parse(file: &Arc<SourceFile>) -> (Manifest, Diagnostics) {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    let mut reader = Reader {
        file,
        out: Diagnostics::new(),
        prefix: "",
        leef_keys: HashMap::new(),
        names: HashMap::new(),
        unread: !errors.is_empty(),
    };
    let mut last_line = usize::MAX;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // A broken line has several faults by the book, and one for its author.
        let line = file.line_column(span.start).0;
        if std::mem::replace(&mut last_line, line) != line {
            reader.malformed(error.message(), span);
        }
    }
    let mut manifest = reader.manifest(root.get_ref());
    manifest.unread = reader.unread;
    (manifest, reader.out)
}

/// What is wrong with the TOML at a place where its parser gave up: where exactly, what, and a remedy for the faults that
/// people make.
pub fn explain_malformed(
    text: &str,
    message: &str,
    span: Range<usize>,
) -> (Range<usize>, String, String) {
    let before = text.get(..span.start).unwrap_or(text);
    let from = before.rfind('\n').map_or(0, |newline| newline + 1);
    let to = text[from..].find('\n').map_or(text.len(), |end| from + end);
    let line = &text[from..to];
    let message = message.lines().next().unwrap_or_default();
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    if message.starts_with("duplicate key") {
        (
            span,
            "the key stands twice".to_owned(),
            "remove one of the two".to_owned(),
        )
    } else if let Some(at) = line.find(['“', '”', '„', '‘', '’']) {
        let quote = line[at..].chars().next().map_or(0, char::len_utf8);
        (
            from + at..from + at + quote,
            "a curly quote is no quote in TOML".to_owned(),
            "write straight quotes: \"...\" or '...'".to_owned(),
        )
    } else if message.contains("escape") && line.contains('\\') {
        (
            span,
            "a backslash in double quotes begins an escape".to_owned(),
            r"use single quotes for a regex: '\w+'".to_owned(),
        )
    } else if value.starts_with(|c: char| c.is_alphabetic()) && !value.contains(['"', '\'']) {
        let at = to - line.len() + line.find(value).unwrap_or_default();
        (
            at..at + value.len(),
            "a text stands without quotes".to_owned(),
            format!("write \"{value}\""),
        )
    } else if value.starts_with('"') && value.matches('"').count() == 1 {
        let at = from + line.find('"').unwrap_or_default();
        (
            at..to,
            "a quote is not closed on its line".to_owned(),
            "end the text with a double quote".to_owned(),
        )
    } else if message.starts_with("unclosed table") {
        (
            span,
            message.to_owned(),
            "write the name in brackets: [name]".to_owned(),
        )
    } else if message.starts_with("unclosed array") {
        (span, message.to_owned(), "end the list with `]`".to_owned())
    } else {
        (span, message.to_owned(), "mend the TOML here".to_owned())
    }
}

impl Reader<'_> {
    fn malformed(&mut self, message: &str, span: Range<usize>) {
        let (place, message, help) = explain_malformed(&self.file.text, message, span);
        self.report(Code::ManifestMalformed, &place, message, help);
    }

    fn manifest(&mut self, root: Table<'_, '_>) -> Manifest {
        const TOP: &[&str] = &[
            "format",
            "name",
            "description",
            "log_source_type_id",
            "leef",
            "autodetection",
            "options",
            "property",
            "allow",
        ];
        self.known(root, "", TOP);
        let mut manifest = Manifest::default();
        let whole = 0..0;
        if let Some(format) = self.integer(root, "format", &whole, true)
            && format.value != FORMAT
        {
            self.report(
                Code::FormatVersionUnknown,
                &format.span,
                format!("mapping format {} is not known", format.value),
                format!("this program reads format {FORMAT}; a newer one needs a newer program"),
            );
        }
        manifest.name = self
            .string(root, "name", &whole, true)
            .map(|s| s.value)
            .unwrap_or_default();
        manifest.description = self
            .string(root, "description", &whole, false)
            .map(|s| s.value)
            .unwrap_or_default();
        manifest.log_source_type_id = self
            .integer(root, "log_source_type_id", &whole, true)
            .map(|s| s.value)
            .unwrap_or_default();
        match self.table(root, "leef", &whole, true) {
            Some((leef, span)) => {
                self.known(leef, "leef.", &["vendor", "product", "version"]);
                self.prefix = "leef.";
                manifest.vendor = self.header(leef, "vendor", &span);
                manifest.product = self.header(leef, "product", &span);
                manifest.version = self.header(leef, "version", &span);
                self.prefix = "";
            }
            None => manifest.vendor.clear(),
        }
        if let Some((autodetection, span)) = self.table(root, "autodetection", &whole, false) {
            self.prefix = "autodetection.";
            self.autodetection(autodetection, &span, &mut manifest);
            self.prefix = "";
        }
        if let Some((options, _)) = self.table(root, "options", &whole, false) {
            self.prefix = "options.";
            self.options(options, &mut manifest.options);
            self.prefix = "";
        }
        for (table, span) in self.tables(root, "property") {
            self.prefix = "property.";
            if let Some(property) = self.property(table, &span) {
                manifest.properties.push(property);
            }
            self.prefix = "";
        }
        for (table, span) in self.tables(root, "allow") {
            self.prefix = "allow.";
            let allow = self.allow(table, &span);
            manifest.allows.extend(allow);
            self.prefix = "";
        }
        manifest
    }

    fn allow(&mut self, table: Table<'_, '_>, span: &Range<usize>) -> Option<Allow> {
        self.known(table, "allow.", &["lint", "at", "reason"]);
        let number = self.string(table, "lint", span, true);
        let at = self.strings(table, "at");
        let reason = self.string(table, "reason", span, true);
        let number = number?;
        let lint = Code::from_number(&number.value).filter(|code| code.is_lint());
        if lint.is_none() {
            let lints: Vec<&str> = Code::ALL
                .iter()
                .filter(|code| code.is_lint())
                .map(|code| code.as_str())
                .collect();
            self.report(
                Code::ManifestValueInvalid,
                &number.span,
                format!("`{}` is not a lint", number.value),
                format!(
                    "lints are {}; other findings cannot be allowed",
                    lints.join(", ")
                ),
            );
        }
        Some(Allow {
            lint: lint?,
            at,
            reason: reason?.value,
            span: span.clone(),
        })
    }

    fn autodetection(
        &mut self,
        table: Table<'_, '_>,
        span: &Range<usize>,
        manifest: &mut Manifest,
    ) {
        self.known(table, "autodetection.", &["precedence", "rule"]);
        let rules = self.tables(table, "rule");
        manifest.precedence = self.integer(table, "precedence", span, !rules.is_empty());
        if rules.is_empty()
            && let Some(precedence) = &manifest.precedence
            && table
                .keys()
                .all(|key| nearest(key.get_ref(), ["rule"]).is_none())
        {
            self.report(
                Code::AutodetectionEmpty,
                &precedence.span,
                "autodetection has a precedence but no rule",
                "add [[autodetection.rule]] with keypaths or patterns, or remove the precedence",
            );
        }
        self.prefix = "autodetection.rule.";
        for (rule, span) in rules {
            self.known(rule, "autodetection.rule.", &["keypaths", "patterns"]);
            let foreign = rule
                .keys()
                .any(|key| !matches!(key.get_ref().as_ref(), "keypaths" | "patterns"));
            let rule = Rule {
                keypaths: self.strings(rule, "keypaths"),
                patterns: self.strings(rule, "patterns"),
            };
            if rule.keypaths.is_empty() && rule.patterns.is_empty() {
                // An unknown key is reported, and was probably meant to be one of the two.
                if foreign {
                    continue;
                }
                self.report(
                    Code::ManifestValueInvalid,
                    &span,
                    "an autodetection rule asks for nothing",
                    "give it keypaths or patterns; an empty rule would claim every payload",
                );
            } else {
                manifest.rules.push(rule);
            }
        }
    }

    fn options(&mut self, table: Table<'_, '_>, options: &mut Options) {
        for (name, value) in table {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.as_str().to_owned(),
                _ => {
                    self.wrong_type(value, name.get_ref(), "a string");
                    continue;
                }
            };
            let (span, message, help) = match options.set(name.get_ref(), &text) {
                Ok(()) => continue,
                Err(OptionError::UnknownOption) => (
                    name.span(),
                    format!("`{}` is not an engine option", name.get_ref()),
                    suggest(name.get_ref(), "options", Options::NAMES),
                ),
                Err(OptionError::UnknownValue(values)) => (
                    value.span(),
                    format!("`{text}` is not a value of {}", name.get_ref()),
                    suggest(&text, "values", &values),
                ),
                Err(OptionError::Unreadable(takes)) => (
                    value.span(),
                    if text.is_empty() {
                        format!("{} is empty", name.get_ref())
                    } else {
                        format!("`{text}` is not a value of {}", name.get_ref())
                    },
                    if name.get_ref() == "time-zone" {
                        format!(
                            "it takes {takes}; abbreviations such as CEST stand for different offsets in different places"
                        )
                    } else {
                        format!("it takes {takes}")
                    },
                ),
            };
            self.report(Code::OptionUnknown, &span, message, help);
        }
    }

    fn property(
        &mut self,
        table: Table<'_, '_>,
        span: &Range<usize>,
    ) -> Option<PropertyDeclaration> {
        self.known(
            table,
            "property.",
            &["name", "type", "leef_key", "description", "datetime_format"],
        );
        let name = self.string(table, "name", span, true);
        let kind = self.string(table, "type", span, true).and_then(|text| {
            let known = PropertyType::NAMES
                .iter()
                .find(|(name, _)| *name == text.value);
            if known.is_none() {
                let names: Vec<&str> = PropertyType::NAMES.iter().map(|(name, _)| *name).collect();
                self.report(
                    Code::ManifestValueInvalid,
                    &text.span,
                    format!("`{}` is not a type of property", text.value),
                    suggest(&text.value, "types", &names),
                );
            }
            known.map(|(_, kind)| *kind)
        });
        let leef_key = self.string(table, "leef_key", span, true);
        let description = self.string(table, "description", span, true);
        let datetime_format = self.string(table, "datetime_format", span, false);
        if let (Some(format), Some(kind)) = (&datetime_format, kind)
            && kind != PropertyType::Time
        {
            self.report(
                Code::ManifestValueInvalid,
                &format.span,
                "datetime_format on a property that is not a time",
                "remove it, or write type = \"time\"",
            );
        }
        if let Some(leef_key) = &leef_key {
            self.leef_key(leef_key);
        }
        let name = name?;
        let free = self.property_name(&name);
        // With a fault elsewhere the name is declared all the same: the extension may use it.
        free.then(|| PropertyDeclaration {
            name,
            kind: kind.unwrap_or(PropertyType::String),
            leef_key: leef_key.map(|key| key.value).unwrap_or_default(),
            description: description.map(|text| text.value).unwrap_or_default(),
            datetime_format,
        })
    }

    /// Whether a name can be that of a further property.
    fn property_name(&mut self, name: &Spanned<String>) -> bool {
        let text = name.value.as_str();
        if Field::from_name(text).is_some() {
            self.report(
                Code::PropertyNameTaken,
                &name.span,
                format!("`{text}` is the name of a system property"),
                "remove the declaration to fill that one, or choose another name",
            );
            return false;
        }
        if let Some(first) = self.names.get(text) {
            self.out.push(
                Diagnostic::new(
                    Code::PropertyNameTaken,
                    format!("`{text}` is declared twice"),
                    "remove one of the declarations, or choose another name",
                )
                .at(self.file, name.span.clone(), "the second")
                .at(self.file, first.clone(), "the first"),
            );
            return false;
        }
        self.names.insert(text.to_owned(), name.span.clone());
        let system = Field::NAMES
            .iter()
            .find(|system| system.eq_ignore_ascii_case(text));
        if let Some(system) = system {
            self.out.push(
                Diagnostic::new(
                    Code::PropertyNameTaken,
                    format!("`{text}` differs from the system property `{system}` only by case"),
                    format!("use field=\"{system}\" without a declaration, or choose another name"),
                )
                .because("a reader takes the two for one, and correlation rules see only the system property")
                .with_severity(Severity::Warning)
                .at(self.file, name.span.clone(), ""),
            );
        }
        true
    }

    fn leef_key(&mut self, key: &Spanned<String>) {
        let text = key.value.as_str();
        let foreign = text.chars().find(|c| !c.is_ascii_alphanumeric());
        let first = self.leef_keys.get(text);
        let (message, help) = if let Some(foreign) = foreign {
            let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            let camel: String = parts
                .filter(|part| !part.is_empty())
                .enumerate()
                .map(|(at, part)| {
                    let (head, tail) = part.split_at(1);
                    let head = if at == 0 {
                        head.to_owned()
                    } else {
                        head.to_ascii_uppercase()
                    };
                    head + tail
                })
                .collect();
            let shown = if foreign == ' ' {
                "a blank".to_owned()
            } else {
                format!("`{foreign}`")
            };
            (
                format!("LEEF key `{text}` holds {shown}"),
                format!("use letters and digits only: {camel}"),
            )
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            (
                format!("LEEF key `{text}` begins with a digit"),
                "begin with a letter".to_owned(),
            )
        } else if let Some(known) = leef::attribute::predefined_ignoring_case(text) {
            (
                if known.key == text {
                    format!("LEEF key `{text}` is one of LEEF's predefined keys")
                } else {
                    format!(
                        "LEEF key `{text}` differs from LEEF's predefined `{}` only by case",
                        known.key
                    )
                },
                "choose a key of its own; predefined keys are filled from system properties"
                    .to_owned(),
            )
        } else if crate::output::leef::RESERVED_KEYS.contains(&text) {
            (
                format!("LEEF key `{text}` is one that the event itself writes"),
                "choose another key".to_owned(),
            )
        } else if let Some(first) = first {
            let finding = Diagnostic::new(
                Code::LeefKeyInvalid,
                format!("LEEF key `{text}` belongs to two properties"),
                "give each property its own key",
            )
            .at(self.file, key.span.clone(), "the second")
            .at(self.file, first.clone(), "the first");
            self.out.push(finding);
            return;
        } else {
            self.leef_keys.insert(text.to_owned(), key.span.clone());
            return;
        };
        self.report(Code::LeefKeyInvalid, &key.span, message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
format = 1
name = "Example"
log_source_type_id = 4001
[leef]
vendor = "Example"
product = "Gateway"
version = "1.0"
[autodetection]
precedence = 5
[[autodetection.rule]]
keypaths = ['/"id"']
[options]
json-null = "text"
[[property]]
name = "Alert ID"
type = "string"
leef_key = "alertId"
description = "identifier of the alert"
"#;

    fn findings(text: &str) -> Vec<String> {
        let (_, out) = parse(&SourceFile::new("m.toml", text));
        out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_manifest_is_read() {
        let (manifest, out) = parse(&SourceFile::new("m.toml", GOOD));
        assert!(out.is_empty(), "{out:?}");
        assert_eq!(manifest.name, "Example");
        assert_eq!(manifest.precedence.map(|p| p.value), Some(5));
        assert_eq!(manifest.options.json_null, crate::options::JsonNull::Text);
        assert_eq!(manifest.properties[0].leef_key, "alertId");
    }

    #[test]
    fn faults_are_reported_all_at_once_with_the_known_names() {
        let text = GOOD
            .replace("name = \"Example\"", "nmae = 1")
            .replace("json-null", "json-nul")
            .replace("\"string\"", "\"text\"")
            .replace("alertId", "Src");
        let found = findings(&text);
        assert_eq!(found.len(), 5, "{found:#?}");
        for (line, code) in found
            .iter()
            .zip(["DSM042", "DSM041", "DSM048", "DSM043", "DSM045"])
        {
            assert!(line.contains(code), "{line}");
        }
    }

    #[test]
    fn broken_toml_is_reported_with_its_place() {
        let found = findings("format = \nname = \"x\"");
        assert!(found[0].starts_with("m.toml:1:"), "{found:?}");
    }

    #[test]
    fn mutilated_files_are_read_without_a_panic() {
        for (at, c) in GOOD.char_indices() {
            findings(&GOOD[..at]);
            findings(&format!("{}“{}", &GOOD[..at], &GOOD[at + c.len_utf8()..]));
        }
    }

    #[test]
    fn every_key_that_is_read_is_in_the_reference() {
        for name in [
            "format",
            "leef.vendor",
            "autodetection.rule.patterns",
            "property.datetime_format",
        ] {
            assert!(KEYS.iter().any(|key| key.path == name), "{name}");
        }
    }
}
