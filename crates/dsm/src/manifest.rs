//! `manifest.toml`: what a mapping folder says about its log source type beside the extension and the QID map.

mod keys;
mod reference;

pub use keys::KEYS;
pub use reference::{json_schema, page};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, suggest};
use crate::field::{Field, Kind};
use crate::lsx::Spanned;
use crate::options::{OptionError, Options};
use settings::{Document, Fault, FaultKind, RawTable, RawValue, Settings};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

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
    let document = Document::parse(&file.text);
    let mut settings_reader = settings::Reader::new(&document);
    let root = settings_reader.table(KEYS, "the manifest", &document.root, 0..0);
    let mut reader = Reader {
        file,
        out: Diagnostics::new(),
        leef_keys: HashMap::new(),
        names: HashMap::new(),
    };
    for fault in &settings_reader.faults {
        reader.fault(fault);
    }
    let mut manifest = reader.manifest(&root);
    manifest.unread = settings_reader.is_damaged();
    (manifest, reader.out)
}

/// Makes a manifest of settings, and keeps what is wrong with it.
struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    out: Diagnostics,
    /// The LEEF keys so far, with their places.
    leef_keys: HashMap<String, Range<usize>>,
    /// The names of properties so far, with their places.
    names: HashMap<String, Range<usize>>,
}

impl Reader<'_> {
    fn report(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.out
            .push(Diagnostic::new(code, message, help).at(self.file, span.clone(), ""));
    }

    fn fault(&mut self, fault: &Fault) {
        let code = match fault.kind {
            FaultKind::Malformed => Code::ManifestMalformed,
            FaultKind::Unknown => Code::ManifestKeyUnknown,
            FaultKind::Missing => Code::ManifestKeyMissing,
            _ => Code::ManifestValueInvalid,
        };
        self.report(code, &fault.span, &fault.message, &fault.help);
    }

    fn manifest(&mut self, root: &Settings) -> Manifest {
        let mut manifest = Manifest {
            name: text(root, "name"),
            description: text(root, "description"),
            log_source_type_id: number(root, "log_source_type_id").unwrap_or_default(),
            ..Manifest::default()
        };
        if let Some(format) = number(root, "format")
            && format != FORMAT
        {
            self.report(
                Code::FormatVersionUnknown,
                &root.span_of("format"),
                format!("mapping format {format} is not known"),
                format!("this program reads format {FORMAT}; a newer one needs a newer program"),
            );
        }
        if let Some(leef) = root.table("leef") {
            manifest.vendor = self.header(leef, "vendor");
            manifest.product = self.header(leef, "product");
            manifest.version = self.header(leef, "version");
        }
        if let Some(autodetection) = root.table("autodetection") {
            self.autodetection(autodetection, &mut manifest);
        }
        if let Some(options) = root.open("options") {
            self.options(options, &mut manifest.options);
        }
        for table in root.tables("property") {
            manifest.properties.extend(self.property(table));
        }
        for table in root.tables("allow") {
            manifest.allows.extend(self.allow(table));
        }
        manifest
    }

    /// A text that goes into a LEEF header, where a pipe cannot be represented.
    fn header(&mut self, leef: &Settings, name: &str) -> String {
        let text = text(leef, name);
        if text.contains(|c: char| c == '|' || c.is_control()) {
            self.report(
                Code::ManifestValueInvalid,
                &leef.span_of(name),
                format!("`leef.{name}` holds a pipe or a control character"),
                "LEEF has no escape for it in the header; write something else",
            );
        }
        text
    }

    fn allow(&mut self, table: &Settings) -> Option<Allow> {
        let number = table.spanned("lint")?;
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
            at: table.spanned_list("at"),
            reason: table.text("reason")?.to_owned(),
            span: table.span.clone(),
        })
    }

    fn autodetection(&mut self, table: &Settings, manifest: &mut Manifest) {
        manifest.precedence = number(table, "precedence")
            .map(|number| Spanned::new(number, table.span_of("precedence")));
        if !table.is_given("rule")
            && !table.may_be_misspelt("rule")
            && let Some(precedence) = &manifest.precedence
        {
            self.report(
                Code::AutodetectionEmpty,
                &precedence.span,
                "autodetection has a precedence but no rule",
                "add [[autodetection.rule]] with keypaths or patterns, or remove the precedence",
            );
        }
        for rule in table.tables("rule") {
            let keypaths = rule.spanned_list("keypaths");
            let patterns = rule.spanned_list("patterns");
            if !keypaths.is_empty() || !patterns.is_empty() {
                manifest.rules.push(Rule { keypaths, patterns });
            } else if !rule.may_be_misspelt("keypaths") && !rule.may_be_misspelt("patterns") {
                self.report(
                    Code::ManifestValueInvalid,
                    &rule.span,
                    "an autodetection rule asks for nothing",
                    "give it keypaths or patterns; an empty rule would claim every payload",
                );
            }
        }
    }

    fn options(&mut self, table: &RawTable, options: &mut Options) {
        for (name, entry) in &table.0 {
            let span = entry.raw.span.clone();
            let text = match &entry.raw.value {
                RawValue::Text(text) => text.clone(),
                RawValue::Integer(number) => number.to_string(),
                _ => {
                    self.report(
                        Code::ManifestValueInvalid,
                        &span,
                        format!("`options.{name}` takes a text"),
                        "write its value in quotes",
                    );
                    continue;
                }
            };
            let (span, message, help) = match options.set(name, &text) {
                Ok(()) => continue,
                Err(OptionError::UnknownOption) => (
                    entry.key_span.clone(),
                    format!("`{name}` is not an engine option"),
                    suggest(name, "options", Options::NAMES),
                ),
                Err(OptionError::UnknownValue(values)) => (
                    span,
                    format!("`{text}` is not a value of {name}"),
                    suggest(&text, "values", &values),
                ),
                Err(OptionError::Unreadable(takes)) => (
                    span,
                    if text.is_empty() {
                        format!("{name} is empty")
                    } else {
                        format!("`{text}` is not a value of {name}")
                    },
                    if name == "time-zone" {
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

    fn property(&mut self, table: &Settings) -> Option<PropertyDeclaration> {
        let kind = table.text("type").and_then(|text| {
            let known = PropertyType::NAMES.iter().find(|(name, _)| *name == text);
            known.map(|(_, kind)| *kind)
        });
        let datetime_format = table.spanned("datetime_format");
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
        if let Some(leef_key) = table.spanned("leef_key") {
            self.leef_key(&leef_key);
        }
        let name = table.spanned("name")?;
        // With a fault elsewhere the name is declared all the same: the extension may use it.
        self.property_name(&name).then(|| PropertyDeclaration {
            name,
            kind: kind.unwrap_or(PropertyType::String),
            leef_key: text(table, "leef_key"),
            description: text(table, "description"),
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

/// The text of a key, or nothing.
fn text(table: &Settings, name: &str) -> String {
    table.text(name).unwrap_or_default().to_owned()
}

fn number(table: &Settings, name: &str) -> Option<u32> {
    u32::try_from(table.integer(name)?).ok()
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
        let (_, mut out) = parse(&SourceFile::new("m.toml", text));
        out.sort();
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
            .zip(["DSM041", "DSM042", "DSM048", "DSM043", "DSM045"])
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
    fn every_declaration_is_sound() {
        assert_eq!(settings::unsound(KEYS), Vec::<String>::new());
    }
}
