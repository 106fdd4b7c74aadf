//! `[[log_source]]`.

use super::destinations::DestinationConfig;
use super::secrets;
use super::table::{Reader, Table};
use dsm::diagnostic::{Code, Diagnostic, suggest};
use dsm::lsx::Spanned;
use protocol::parameter::{FaultCode, Kind, ParameterFault, Parameters, Value, check_identifier};
use protocol::protocols::{REGISTRY, find};
use protocol::secret::SecretRef;
use protocol::{Keeps, Protocol};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

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
    pub parameters: Parameters,
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
    /// Where the parameters stand.
    places: BTreeMap<String, Range<usize>>,
    /// Where the protocol stands.
    pub(super) protocol_span: Range<usize>,
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
        let parameters = self.protocol.map_or(&[][..], Protocol::parameters);
        parameters
            .iter()
            .filter(|parameter| parameter.kind == Kind::Password)
            .filter_map(|parameter| {
                let reference = self.parameters.secret(parameter.name)?;
                Some((parameter.name, reference))
            })
    }

    /// Where a parameter stands, or the log source.
    pub(super) fn span_of(&self, parameter: &str) -> Range<usize> {
        let place = self.places.get(parameter);
        place.unwrap_or(&self.identifier.span).clone()
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Table<'_, '_>,
    destinations: &[DestinationConfig],
    hidden: &mut Vec<Range<usize>>,
) -> Vec<LogSourceConfig> {
    let mut found: Vec<LogSourceConfig> = Vec::new();
    for table in root.subs(reader, "log_source") {
        let spanned = |name: &str| {
            table
                .spanned(name)
                .unwrap_or_else(|| Spanned::new(String::new(), table.span.clone()))
        };
        let protocol = protocol(reader, &table);
        let (valid, places) = parameters(reader, &table, protocol, hidden);
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
            destinations: table
                .texts("destinations")
                .iter()
                .map(|name| name.value.clone())
                .collect(),
            is_shared: false,
            places,
            protocol_span: table.span_of("protocol"),
            has_parameters,
        };
        check_name(reader, &source, &found);
        check_destinations(reader, &table, &source, destinations);
        found.push(source);
    }
    found
}

fn check_name(reader: &mut Reader<'_>, new: &LogSourceConfig, others: &[LogSourceConfig]) {
    let identifier = &new.identifier;
    if identifier.value.is_empty() {
        return;
    }
    if let Err(fault) = check_identifier(&identifier.value) {
        reader.report(
            Code::ConfigValueInvalid,
            &identifier.span,
            fault.message,
            fault.help,
        );
    }
    let same = |other: &&LogSourceConfig| other.identifier.value == identifier.value;
    if let Some(first) = others.iter().find(same) {
        let finding = Diagnostic::new(
            Code::ConfigNameDuplicate,
            format!("two log sources have the identifier `{}`", identifier.value),
            "give one of them another identifier",
        )
        .at(reader.file, identifier.span.clone(), "the second")
        .at(reader.file, first.identifier.span.clone(), "the first");
        reader.out.push(finding);
    }
}

fn check_destinations(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    source: &LogSourceConfig,
    destinations: &[DestinationConfig],
) {
    let known: Vec<&str> = destinations
        .iter()
        .map(|destination| destination.name.value.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    let named = table.texts("destinations");
    for (index, name) in named.iter().enumerate() {
        if named[..index].iter().any(|other| other.value == name.value) {
            reader.report(
                Code::ConfigValueInvalid,
                &name.span,
                format!("the destination `{}` is named twice", name.value),
                "remove one of the two",
            );
            continue;
        }
        let found = destinations
            .iter()
            .find(|destination| destination.name.value == name.value);
        let Some(found) = found else {
            // After a fault of the TOML it may be there and unread.
            if !reader.unread {
                reader.report(
                    Code::DestinationUnknown,
                    &name.span,
                    format!("there is no destination `{}`", name.value),
                    suggest(&name.value, "destinations", &known),
                );
            }
            continue;
        };
        if source.coalescing && found.format.is_payload() {
            reader.report(
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

fn protocol(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> Option<&'static dyn Protocol> {
    let name = table.spanned("protocol")?;
    let Some(protocol) = find(&name.value) else {
        let known: Vec<&str> = REGISTRY.iter().map(|protocol| protocol.name()).collect();
        reader.report(
            Code::ProtocolUnknown,
            &name.span,
            format!("there is no protocol `{}`", name.value),
            suggest(&name.value, "protocols", &known),
        );
        return None;
    };
    if let Some(deprecation) = protocol.deprecation() {
        reader.report(
            Code::ProtocolDeprecated,
            &name.span,
            format!("`{}` is deprecated: {}", name.value, deprecation.message),
            format!("use {}", deprecation.successors.join(" or ")),
        );
    }
    Some(protocol)
}

type Places = BTreeMap<String, Range<usize>>;

fn parameters(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    protocol: Option<&'static dyn Protocol>,
    hidden: &mut Vec<Range<usize>>,
) -> (Option<Parameters>, Places) {
    let empty = DeTable::new();
    let (raw, span) = table
        .parameters(reader, "parameters")
        .unwrap_or((&empty, table.span.clone()));
    let mut values = BTreeMap::new();
    let mut places = Places::new();
    let mut keys = Places::new();
    for (key, entry) in raw.iter() {
        let name = key.get_ref().to_string();
        values.insert(name.clone(), value(entry.get_ref()));
        places.insert(name.clone(), entry.span());
        keys.insert(name, key.span());
    }
    let declared = protocol.map_or(&[][..], Protocol::parameters);
    for (key, entry) in raw.iter() {
        // What is not known to be harmless may be a secret under a misspelt name.
        let parameter = declared
            .iter()
            .find(|parameter| parameter.name == key.get_ref());
        if parameter.is_none_or(|parameter| parameter.kind == Kind::Password) {
            secrets::places(entry, hidden);
        }
    }
    let Some(protocol) = protocol else {
        return (None, places);
    };
    let faults = match protocol.validate(&values) {
        Ok(parameters) => return (Some(parameters), places),
        Err(faults) => faults,
    };
    let misread = reader.unread;
    for fault in faults {
        // What is missing may stand where the TOML could not be read.
        if misread && matches!(fault.code, FaultCode::Missing | FaultCode::Unknown) {
            continue;
        }
        let item = fault.index.and_then(|index| {
            raw.get(fault.key.as_str())?
                .get_ref()
                .as_array()?
                .get(index)
        });
        let place = match (fault.code, item) {
            (_, Some(item)) => Some(item.span()),
            (FaultCode::Unknown | FaultCode::Unavailable, None) => keys.get(&fault.key).cloned(),
            _ => places.get(&fault.key).cloned(),
        };
        report(reader, &fault, place.unwrap_or_else(|| span.clone()));
    }
    (None, places)
}

pub(super) fn report(reader: &mut Reader<'_>, fault: &ParameterFault, place: Range<usize>) {
    let code = match fault.code {
        FaultCode::Unknown => Code::ParameterUnknown,
        FaultCode::Missing => Code::ParameterMissing,
        FaultCode::Unavailable | FaultCode::Contradiction => Code::ParameterConflict,
        FaultCode::SecretInline => Code::SecretInline,
        _ => Code::ParameterInvalid,
    };
    reader.report(code, &place, &fault.message, &fault.help);
}

/// A value of the file as protocols take it.
pub(super) fn value(raw: &DeValue<'_>) -> Value {
    match raw {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number that is too large"), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(Value::Other("a number"), Value::Real),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| value(item.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(key, item)| (key.get_ref().to_string(), value(item.get_ref())))
                .collect(),
        ),
    }
}
