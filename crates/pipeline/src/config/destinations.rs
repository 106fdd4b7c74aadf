//! `[[destination]]`.

use super::Findings;
use super::collisions::real;
use super::keys::{ENCRYPTED, FACILITIES, SEVERITIES};
use crate::destination::{
    Confirm, Destination, FileDestination, FileOptions, Framing, Header, KafkaBrokers,
    KafkaOptions, KafkaSasl, KafkaTls, KeyOf, Period, StreamDestination, Sync, SyslogDestination,
    SyslogOptions, TlsFiles, Transport, check_tls,
};
use crate::format::{Format, Limit, Oversize};
use dsm::diagnostic::{Code, Diagnostic};
use dsm::output::leef::LeefOutput;
use leef::{Delimiter, Substitution, Version, WriterOptions};
use protocol::OpenError;
use protocol::http::Endpoint;
use protocol::kafka::Mechanism;
use protocol::secret::{SecretRef, Secrets};
use settings::{Settings, Spanned};
use std::path::{Path, PathBuf};

/// A destination.
#[derive(Debug, Clone)]
pub struct DestinationConfig {
    /// Its name.
    pub name: Spanned<String>,
    /// Where events go.
    pub target: Target,
    /// What they become.
    pub format: Format,
    /// The longest event, a syslog header included.
    pub limit: Limit,
    /// The most events that are sent before the position moves.
    pub batch_events: usize,
}

/// Kinds of destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file.
    File(FileOptions),
    /// Standard output.
    Stdout,
    /// A syslog receiver.
    Syslog(SyslogOptions),
    /// A topic of a Kafka broker.
    Kafka(KafkaOptions),
}

impl DestinationConfig {
    /// The limit of events without the header that the destination puts in front of those of a log source.
    pub fn limit_for(&self, identifier: &str) -> Limit {
        let header = match &self.target {
            Target::Syslog(options) => options.header_length(identifier),
            Target::File(_) | Target::Stdout | Target::Kafka(_) => 0,
        };
        Limit {
            bytes: self.limit.bytes.map(|bytes| bytes.saturating_sub(header)),
            ..self.limit
        }
    }

    /// Whether events carry labels, and what they are grouped by.
    pub fn labels(&self) -> Option<KeyOf> {
        match &self.target {
            Target::Kafka(options) => Some(options.key),
            Target::File(_) | Target::Stdout | Target::Syslog(_) => None,
        }
    }

    /// The name of the key that is a secret, and where it is.
    pub fn secret(&self) -> Option<(&'static str, &SecretRef)> {
        match &self.target {
            Target::Kafka(options) => options.brokers.sasl.as_ref().map(KafkaSasl::secret),
            Target::File(_) | Target::Stdout | Target::Syslog(_) => None,
        }
    }

    /// The destination at work. Nothing is connected yet.
    ///
    /// # Errors
    /// A secret cannot be had, or this program was built without what it takes.
    pub fn open(&self, secrets: &dyn Secrets) -> Result<Box<dyn Destination>, OpenError> {
        Ok(match &self.target {
            Target::Kafka(options) => options.open(secrets)?,
            Target::File(options) => Box::new(FileDestination::new(options.clone())),
            Target::Stdout => Box::new(StreamDestination::new(std::io::stdout())),
            Target::Syslog(options) => Box::new(SyslogDestination::new(options.clone())),
        })
    }

    /// Reads the files that it needs.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_files(&self) -> Result<(), String> {
        match &self.target {
            Target::Syslog(options) => options.transport.tls().map_or(Ok(()), check_tls),
            Target::Kafka(options) => options.brokers.check_files(),
            Target::File(_) | Target::Stdout => Ok(()),
        }
    }
}

pub(super) fn read(findings: &mut Findings<'_>, root: &Settings) -> Vec<DestinationConfig> {
    let mut found: Vec<DestinationConfig> = Vec::new();
    for table in root.tables("destination") {
        let format = format(findings, table);
        check_tls_keys(findings, table);
        let target = target(findings, table);
        let limit = limit(findings, table, format, target.as_ref());
        let name = table
            .spanned("name")
            .unwrap_or_else(|| Spanned::new(String::new(), table.span.clone()));
        let destination = DestinationConfig {
            batch_events: table
                .number("batch_events")
                .and_then(|events| usize::try_from(events).ok())
                .unwrap_or(1),
            target: target.unwrap_or(Target::Stdout),
            name,
            format,
            limit,
        };
        check_name(findings, &destination, &found);
        check_path(findings, table, &destination, &found);
        found.push(destination);
    }
    found
}

fn check_name(findings: &mut Findings<'_>, new: &DestinationConfig, others: &[DestinationConfig]) {
    let name = &new.name;
    // It becomes the name of a file.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.value.is_empty() && (!name.value.chars().all(is_plain) || name.value.starts_with('.'))
    {
        findings.report(
            Code::ConfigValueInvalid,
            &name.span,
            format!("`{}` cannot be the name of a destination", name.value),
            "use letters, digits, hyphens, underscores and points, and no point in front",
        );
    }
    let same = others.iter().find(|other| other.name.value == name.value);
    if let Some(first) = same.filter(|_| !name.value.is_empty()) {
        let finding = Diagnostic::new(
            Code::ConfigNameDuplicate,
            format!("two destinations are called `{}`", name.value),
            "give one of them another name",
        )
        .at(findings.file, name.span.clone(), "the second")
        .at(findings.file, first.name.span.clone(), "the first");
        findings.out.push(finding);
    }
}

fn check_path(
    findings: &mut Findings<'_>,
    table: &Settings,
    new: &DestinationConfig,
    others: &[DestinationConfig],
) {
    let path = |destination: &DestinationConfig| match &destination.target {
        Target::File(options) => Some(real(&options.path)),
        Target::Stdout | Target::Syslog(_) | Target::Kafka(_) => None,
    };
    let Some(own) = path(new) else { return };
    if let Some(other) = others
        .iter()
        .find(|other| path(other).as_ref() == Some(&own))
    {
        findings.report(
            Code::ConfigContradiction,
            &table.span_of("path"),
            format!(
                "destinations `{}` and `{}` write the same file",
                other.name.value, new.name.value
            ),
            "give each destination a file of its own; several log sources may go to one destination",
        );
    }
}

fn format(findings: &mut Findings<'_>, table: &Settings) -> Format {
    let name = table.text("format").unwrap_or_default();
    match name {
        "cef" => return Format::Cef,
        "json" => return Format::Json,
        "raw" if table.text("type") == Some("kafka") => return Format::Verbatim,
        "raw" => return Format::Raw,
        _ => {}
    }
    let mut options = WriterOptions {
        substitution: match table.text("substitution") {
            Some("drop") => Substitution::Drop,
            Some("percent") => Substitution::Percent,
            Some("fail") => Substitution::Fail,
            _ => Substitution::Space,
        },
        ..WriterOptions::default()
    };
    if name == "leef2" {
        options.version = Version::V2_0;
        options.delimiter = delimiter(findings, table);
    }
    if let Err(error) = LeefOutput::new(options) {
        findings.report(
            Code::ConfigContradiction,
            &table.span_of("delimiter"),
            error.to_string(),
            "change `delimiter` or `substitution`",
        );
        return Format::Leef(WriterOptions::default());
    }
    Format::Leef(options)
}

fn delimiter(findings: &mut Findings<'_>, table: &Settings) -> Delimiter {
    let text = table.text("delimiter").unwrap_or_default();
    let mut characters = text.chars();
    let result = match (characters.next(), characters.next()) {
        (Some(character), None) => Delimiter::new(character).map_err(|error| error.to_string()),
        _ => Err(format!("`{text}` is not one character")),
    };
    result.unwrap_or_else(|error| {
        findings.report(
            Code::ConfigValueInvalid,
            &table.span_of("delimiter"),
            format!("the delimiter cannot be used: {error}"),
            "write delimiter = \"^\"",
        );
        Delimiter::CARET
    })
}

fn limit(
    findings: &mut Findings<'_>,
    table: &Settings,
    format: Format,
    target: Option<&Target>,
) -> Limit {
    let longest = match target {
        Some(Target::Syslog(options)) => options.transport.longest_event(),
        _ => None,
    };
    let bytes = table
        .number("max_event_bytes")
        .and_then(|bytes| usize::try_from(bytes).ok())
        .or(longest);
    let default = if format.can_shorten() {
        Oversize::Shorten
    } else {
        Oversize::Refuse
    };
    let oversize = match table.text("oversize") {
        Some("shorten") => Oversize::Shorten,
        Some("refuse") => Oversize::Refuse,
        Some("send") => Oversize::Send,
        _ => default,
    };
    if oversize == Oversize::Shorten && !format.can_shorten() {
        findings.report(
            Code::ConfigContradiction,
            &table.span_of("oversize"),
            "an event in this format cannot be shortened: what is left could not be read",
            "write oversize = \"refuse\" or oversize = \"send\"",
        );
    }
    if table.is_given("oversize") && bytes.is_none() && !table.is_given("max_event_bytes") {
        findings.report(
            Code::ConfigKeyUnavailable,
            &table.span_of("oversize"),
            "`oversize` has no effect without `max_event_bytes`",
            "add max_event_bytes, or remove oversize",
        );
    }
    Limit { bytes, oversize }
}

fn target(findings: &mut Findings<'_>, table: &Settings) -> Option<Target> {
    match table.text("type")? {
        "file" => file(findings, table).map(Target::File),
        "stdout" => Some(Target::Stdout),
        "kafka" => kafka(findings, table).map(Target::Kafka),
        _ => syslog(table).map(Target::Syslog),
    }
}

fn file(findings: &mut Findings<'_>, table: &Settings) -> Option<FileOptions> {
    if table.is_given("keep") && !table.is_given("rotate_size") && !table.is_given("rotate_every") {
        findings.report(
            Code::ConfigKeyUnavailable,
            &table.span_of("keep"),
            "`keep` has no effect without `rotate_size` or `rotate_every`",
            "add one of them, or remove keep",
        );
    }
    Some(FileOptions {
        path: table.path("path")?.to_owned(),
        rotate_bytes: table.number("rotate_size"),
        rotate_every: match table.text("rotate_every") {
            Some("hour") => Some(Period::Hour),
            Some(_) => Some(Period::Day),
            None => None,
        },
        keep: table
            .number("keep")
            .and_then(|keep| usize::try_from(keep).ok()),
        mode: match table.text("mode") {
            Some("0640") => 0o640,
            Some("0644") => 0o644,
            _ => 0o600,
        },
        sync: match table.text("sync") {
            Some("never") => Sync::Never,
            _ => Sync::Batch,
        },
    })
}

fn syslog(table: &Settings) -> Option<SyslogOptions> {
    let framing = match table.text("framing") {
        Some("octet-counting") => Framing::OctetCounting,
        _ => Framing::Newline,
    };
    let files = || TlsFiles {
        ca: table.path("ca_file").map(Path::to_owned),
        ca_only: table.is_set("ca_file_only"),
        client: client(table),
        server_name: table.text("server_name").map(str::to_owned),
    };
    let transport = match table.text("transport")? {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp(framing),
        "relp" => Transport::Relp,
        "relp-tls" => Transport::RelpTls(files()),
        _ => Transport::Tls(framing, files()),
    };
    let index = |name: &str, names: &[&str]| {
        let text = table.text(name).unwrap_or_default();
        let index = names.iter().position(|known| *known == text).unwrap_or(0);
        u8::try_from(index).unwrap_or(0)
    };
    Some(SyslogOptions {
        address: table.text("address")?.to_owned(),
        transport,
        header: match table.text("header") {
            Some("rfc5424") => Header::Rfc5424,
            Some("rfc3164") => Header::Rfc3164,
            Some("none") => Header::None,
            _ => Header::Ibm,
        },
        priority: index("facility", FACILITIES) * 8 + index("severity", SEVERITIES),
        host: table.text("host").map(str::to_owned),
        confirm: match table.text("confirm") {
            Some("window") => Confirm::Window,
            _ => Confirm::Close,
        },
    })
}

fn client(table: &Settings) -> Option<(PathBuf, PathBuf)> {
    let path = |name: &str| table.path(name).map(Path::to_owned);
    path("certificate_file").zip(path("private_key_file"))
}

/// The keys about certificates go with TLS, and the two about ours with each other.
fn check_tls_keys(findings: &mut Findings<'_>, table: &Settings) {
    match table.text("type") {
        Some("syslog") => {
            let transport = table.text("transport").unwrap_or_default();
            let tls = ENCRYPTED.contains(&transport);
            let remedy = if transport == "relp" {
                "transport = \"relp-tls\""
            } else {
                "transport = \"tls\""
            };
            check_certificates(findings, table, tls, remedy);
        }
        Some("kafka") => check_broker_keys(findings, table),
        _ => check_certificates(findings, table, true, ""),
    }
}

/// The same for what names brokers.
pub(super) fn check_broker_keys(findings: &mut Findings<'_>, table: &Settings) {
    let remedy = "security_protocol = \"ssl\" or \"sasl-ssl\"";
    check_certificates(findings, table, is_encrypted(table), remedy);
}

fn check_certificates(findings: &mut Findings<'_>, table: &Settings, tls: bool, remedy: &str) {
    for (given, other) in [
        ("certificate_file", "private_key_file"),
        ("private_key_file", "certificate_file"),
        ("ca_file_only", "ca_file"),
    ] {
        if table.is_given(given) && !table.is_given(other) {
            findings.report(
                Code::ConfigKeyMissing,
                &table.span_of(given),
                format!("`{given}` needs `{other}` beside it"),
                format!("add {other} = \"/path\""),
            );
        }
    }
    for name in [
        "ca_file",
        "ca_file_only",
        "certificate_file",
        "private_key_file",
    ] {
        if table.is_given(name) && !tls {
            findings.report(
                Code::ConfigKeyUnavailable,
                &table.span_of(name),
                format!("`{name}` has no effect without TLS"),
                format!("write {remedy}, or remove {name}"),
            );
        }
    }
}

fn is_encrypted(table: &Settings) -> bool {
    let protocol = table.text("security_protocol");
    protocol.is_some_and(|protocol| protocol.ends_with("ssl"))
}

fn kafka(findings: &mut Findings<'_>, table: &Settings) -> Option<KafkaOptions> {
    Some(KafkaOptions {
        brokers: brokers(findings, table),
        topic: table.text("topic")?.to_owned(),
        key: match table.text("key") {
            Some("alert-id") => KeyOf::AlertId,
            Some("device") => KeyOf::Device,
            Some("tenant") => KeyOf::Tenant,
            _ => KeyOf::None,
        },
        compression: table.text("compression")?.to_owned(),
    })
}

/// How brokers are reached.
pub(super) fn brokers(findings: &mut Findings<'_>, table: &Settings) -> KafkaBrokers {
    KafkaBrokers {
        addresses: table.list("bootstrap_server_list").to_vec(),
        tls: is_encrypted(table).then(|| KafkaTls {
            ca: table.path("ca_file").map(Path::to_owned),
            ca_only: table.is_set("ca_file_only"),
            client: client(table),
        }),
        sasl: sasl(findings, table),
    }
}

/// How to sign in; nothing where that is not asked for or not complete.
fn sasl(findings: &mut Findings<'_>, table: &Settings) -> Option<KafkaSasl> {
    let mechanism = match table.text("sasl_mechanism")? {
        "oauthbearer" => {
            let url = table.text("token_url")?;
            if let Err(error) = Endpoint::parse(url) {
                findings.report(
                    Code::ConfigValueInvalid,
                    &table.span_of("token_url"),
                    format!("`token_url` cannot be used: {error}"),
                    "write an address such as https://login.example.com/oauth2/token",
                );
            }
            return Some(KafkaSasl::Token {
                url: url.to_owned(),
                client_id: table.text("token_client_id")?.to_owned(),
                client_secret: table.secret("token_client_secret")?.clone(),
                scope: table.text("token_scope")?.to_owned(),
            });
        }
        "scram-sha-256" => Mechanism::ScramSha256,
        "scram-sha-512" => Mechanism::ScramSha512,
        _ => Mechanism::Plain,
    };
    Some(KafkaSasl::Password {
        mechanism,
        user: table.text("sasl_username")?.to_owned(),
        password: table.secret("sasl_password")?.clone(),
    })
}
