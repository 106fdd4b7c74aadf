//! `[[log_source]]`.

use super::Findings;
use super::destinations::DestinationConfig;
use super::secrets;
use dsm::diagnostic::{Code, Diagnostic, suggest};
use protocol::check_identifier;
use protocol::protocols::{REGISTRY, find};
use protocol::secret::SecretRef;
use protocol::{Keeps, Protocol};
use settings::{FaultKind, RawTable, Settings, Spanned, Takes};
use std::ops::Range;

/// A log source.
#[derive(Debug, Clone)]
pub struct LogSourceConfig {
    /// Its identifier.
    pub identifier: Spanned<String>,
    /// The slug of its type.
    pub log_source_type: Spanned<String>,
    /// Its protocol; nothing only where that is an error.
    pub protocol: Option<&'static dyn Protocol>,
    /// The parameters of the protocol.
    pub parameters: Settings,
    /// Whether it collects.
    pub enabled: bool,
    /// How far it is trusted, from 0 to 10.
    pub credibility: u8,
    /// Whether equal events become one record.
    pub coalescing: bool,
    /// Whether events carry their payload.
    pub store_payload: bool,
    /// Names of the destinations.
    pub destinations: Vec<String>,
    /// Whether one process of a group collects for it at a time.
    pub is_shared: bool,
    /// Where the protocol stands.
    pub(super) protocol_span: Range<usize>,
    /// Whether all names of destinations could be read.
    pub(super) has_destinations: bool,
    /// Whether the parameters were valid; otherwise there are none.
    pub(super) has_parameters: bool,
}

impl LogSourceConfig {
    /// The EPS throttle.
    pub fn eps(&self) -> Option<u32> {
        let eps = self.parameters.integer("eps_throttle")?;
        u32::try_from(eps).ok()
    }

    /// Who keeps what was read until it is delivered.
    pub fn keeps(&self) -> Keeps {
        // What a process of a group has fetched and not delivered the next one fetches again.
        if self.is_shared {
            return Keeps::Remote;
        }
        self.protocol.map_or(Keeps::Here, Protocol::keeps)
    }

    /// Whether what collects need not be stopped for the other configuration to apply.
    pub fn collects_like(&self, other: &Self) -> bool {
        let name = |source: &Self| source.protocol.map(Protocol::name);
        self.identifier.value == other.identifier.value
            && name(self) == name(other)
            && self.parameters == other.parameters
            && self.enabled == other.enabled
    }

    /// The parameters that are secrets, and where these are.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretRef)> {
        let declared = self.protocol.map_or(&[][..], Protocol::parameters);
        self.parameters.secrets(declared)
    }

    /// Where a parameter stands, or the log source.
    pub(super) fn span_of(&self, parameter: &str) -> Range<usize> {
        if self.parameters.is_given(parameter) {
            self.parameters.span_of(parameter)
        } else {
            self.identifier.span.clone()
        }
    }
}

pub(super) fn read(
    findings: &mut Findings<'_>,
    root: &Settings,
    destinations: &[DestinationConfig],
    hidden: &mut Vec<Range<usize>>,
) -> Vec<LogSourceConfig> {
    let mut found: Vec<LogSourceConfig> = Vec::new();
    for table in root.tables("log_source") {
        let spanned = |name: &str| {
            table
                .spanned(name)
                .unwrap_or_else(|| Spanned::new(String::new(), table.span.clone()))
        };
        let protocol = protocol(findings, table);
        let valid = parameters(findings, table, protocol, hidden);
        let has_parameters = valid.is_some();
        let parameters = valid.unwrap_or_default();
        let source = LogSourceConfig {
            identifier: spanned("identifier"),
            log_source_type: spanned("type"),
            protocol,
            parameters,
            enabled: table.is_set("enabled"),
            credibility: table
                .number("credibility")
                .and_then(|number| u8::try_from(number).ok())
                .unwrap_or(5),
            coalescing: table.is_set("coalescing"),
            store_payload: table.is_set("store_payload"),
            destinations: table.list("destinations").to_vec(),
            is_shared: false,
            protocol_span: table.span_of("protocol"),
            has_destinations: table.is_right("destinations"),
            has_parameters,
        };
        check_name(findings, &source, &found);
        check_destinations(findings, table, &source, destinations);
        found.push(source);
    }
    found
}

fn check_name(findings: &mut Findings<'_>, new: &LogSourceConfig, others: &[LogSourceConfig]) {
    let identifier = &new.identifier;
    if identifier.value.is_empty() {
        return;
    }
    if let Some(problem) = check_identifier(&identifier.value) {
        findings.report(
            Code::ConfigValueInvalid,
            &identifier.span,
            format!("the log source identifier {problem}"),
            "write a text in one line with at most 255 bytes",
        );
    }
    let same = |other: &&LogSourceConfig| other.identifier.value == identifier.value;
    if let Some(first) = others.iter().find(same) {
        let finding = Diagnostic::new(
            Code::ConfigNameDuplicate,
            format!("two log sources have the identifier `{}`", identifier.value),
            "give one of them another identifier",
        )
        .at(findings.file, identifier.span.clone(), "the second")
        .at(findings.file, first.identifier.span.clone(), "the first");
        findings.out.push(finding);
    }
}

fn check_destinations(
    findings: &mut Findings<'_>,
    table: &Settings,
    source: &LogSourceConfig,
    destinations: &[DestinationConfig],
) {
    let known: Vec<&str> = destinations
        .iter()
        .map(|destination| destination.name.value.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    for name in table.spanned_list("destinations") {
        let found = destinations
            .iter()
            .find(|destination| destination.name.value == name.value);
        let Some(found) = found else {
            // After a fault of the TOML it may be there and unread.
            if !findings.unread {
                findings.report(
                    Code::DestinationUnknown,
                    &name.span,
                    format!("there is no destination `{}`", name.value),
                    suggest(&name.value, "destinations", &known),
                );
            }
            continue;
        };
        if source.coalescing && found.format.is_payload() {
            findings.report(
                Code::ConfigContradiction,
                &table.span_of("coalescing"),
                format!(
                    "coalescing does not go with the destination `{}`: a raw payload cannot carry the count",
                    name.value
                ),
                "choose another format for the destination, or coalescing = false",
            );
        }
    }
}

fn protocol(findings: &mut Findings<'_>, table: &Settings) -> Option<&'static dyn Protocol> {
    let name = table.spanned("protocol")?;
    let Some(protocol) = find(&name.value) else {
        let known: Vec<&str> = REGISTRY.iter().map(|protocol| protocol.name()).collect();
        findings.report(
            Code::ProtocolUnknown,
            &name.span,
            format!("there is no protocol `{}`", name.value),
            suggest(&name.value, "protocols", &known),
        );
        return None;
    };
    if let Some(deprecation) = protocol.deprecation() {
        findings.report(
            Code::ProtocolDeprecated,
            &name.span,
            format!("`{}` is deprecated: {}", name.value, deprecation.message),
            format!("use {}", deprecation.successors.join(" or ")),
        );
    }
    Some(protocol)
}

/// The parameters of a protocol; none with a fault.
fn parameters(
    findings: &mut Findings<'_>,
    table: &Settings,
    protocol: Option<&'static dyn Protocol>,
    hidden: &mut Vec<Range<usize>>,
) -> Option<Settings> {
    let empty = RawTable::default();
    let raw = table.open("parameters").unwrap_or(&empty);
    let declared = protocol.map_or(&[][..], Protocol::parameters);
    for (name, entry) in &raw.0 {
        // What is not known to be harmless may be a secret under a misspelt name.
        let key = declared.iter().find(|key| key.name == name);
        if key.is_none_or(|key| matches!(key.takes, Takes::Secret)) {
            secrets::places(&entry.raw, hidden);
        }
    }
    let mut reader = findings.reader();
    let span = table.span_of("parameters");
    let parameters = protocol?.read(&mut reader, "[log_source.parameters]", raw, span);
    for fault in reader.faults {
        let code = match fault.kind {
            FaultKind::Renamed => Code::ConfigKeyRenamed,
            FaultKind::Unknown => Code::ParameterUnknown,
            FaultKind::Missing => Code::ParameterMissing,
            FaultKind::Unavailable | FaultKind::Contradiction => Code::ParameterConflict,
            FaultKind::SecretInline => Code::SecretInline,
            _ => Code::ParameterInvalid,
        };
        findings.report(code, &fault.span, fault.message, fault.help);
    }
    parameters
}
