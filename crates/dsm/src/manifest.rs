//! `manifest.toml`: what a mapping folder says about its log source type beside the extension and the QID map.

mod keys;
mod read;

pub use keys::{KEYS, Key};

use crate::diagnostic::{Code, Diagnostics, SourceFile, suggest};
use crate::field::{Field, Kind};
use crate::lsx::Spanned;
use crate::options::{OptionError, Options};
use read::{Reader, Table};
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
}

/// Reads a manifest; what cannot be read is left at its default and reported.
pub fn parse(file: &Arc<SourceFile>) -> (Manifest, Diagnostics) {
    let mut reader = Reader {
        file,
        out: Diagnostics::new(),
    };
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let message = error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        reader.report(
            Code::ManifestMalformed,
            &span,
            message,
            "mend the TOML here",
        );
    }
    let manifest = reader.manifest(root.get_ref());
    (manifest, reader.out)
}

impl Reader<'_> {
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
                manifest.vendor = self.header(leef, "vendor", &span);
                manifest.product = self.header(leef, "product", &span);
                manifest.version = self.header(leef, "version", &span);
            }
            None => manifest.vendor.clear(),
        }
        if let Some((autodetection, span)) = self.table(root, "autodetection", &whole, false) {
            self.autodetection(autodetection, &span, &mut manifest);
        }
        if let Some((options, _)) = self.table(root, "options", &whole, false) {
            self.options(options, &mut manifest.options);
        }
        for (table, span) in self.tables(root, "property") {
            if let Some(property) = self.property(table, &span, &manifest.properties) {
                manifest.properties.push(property);
            }
        }
        manifest
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
        for (rule, span) in rules {
            self.known(rule, "autodetection.rule.", &["keypaths", "patterns"]);
            let rule = Rule {
                keypaths: self.strings(rule, "keypaths"),
                patterns: self.strings(rule, "patterns"),
            };
            if rule.keypaths.is_empty() && rule.patterns.is_empty() {
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
                    format!("`{text}` is not a value of {}", name.get_ref()),
                    format!("it takes {takes}"),
                ),
            };
            self.report(Code::OptionUnknown, &span, message, help);
        }
    }

    fn property(
        &mut self,
        table: Table<'_, '_>,
        span: &Range<usize>,
        earlier: &[PropertyDeclaration],
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
        let (name, leef_key) = (name?, leef_key?);
        self.property_name(&name, earlier);
        self.leef_key(&leef_key, earlier);
        Some(PropertyDeclaration {
            name,
            kind: kind?,
            leef_key: leef_key.value,
            description: description?.value,
            datetime_format,
        })
    }

    fn property_name(&mut self, name: &Spanned<String>, earlier: &[PropertyDeclaration]) {
        let system = Field::from_name(&name.value).is_some();
        if system
            || earlier
                .iter()
                .any(|property| property.name.value == name.value)
        {
            let owner = if system {
                "a system property"
            } else {
                "another custom property"
            };
            self.report(
                Code::PropertyNameTaken,
                &name.span,
                format!("`{}` is the name of {owner}", name.value),
                "choose another name",
            );
        }
    }

    fn leef_key(&mut self, key: &Spanned<String>, earlier: &[PropertyDeclaration]) {
        let text = key.value.as_str();
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (message, help) = if !word {
            (
                format!("LEEF key `{text}` is not made of letters and digits"),
                "begin with a letter and use A-Z a-z 0-9 only",
            )
        } else if leef::attribute::predefined_ignoring_case(text).is_some() {
            (
                format!(
                    "LEEF key `{text}` is one of LEEF's predefined keys, or differs from one only by case"
                ),
                "choose a key of its own; predefined keys are filled from system properties",
            )
        } else if crate::output::leef::RESERVED_KEYS.contains(&text) {
            (
                format!("LEEF key `{text}` is one that the event itself writes"),
                "choose another key",
            )
        } else if earlier.iter().any(|property| property.leef_key == text) {
            (
                format!("LEEF key `{text}` belongs to two properties"),
                "give each property its own key",
            )
        } else {
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
