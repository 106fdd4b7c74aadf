//! The configuration of a run: `dsmith.toml`.
//!
//! Reading never stops at the first fault. Every finding has its place, the reason and the remedy; what was read in spite
//! of it is in the [`Config`], which may only be used if none of the findings is an error.

mod collisions;
mod destinations;
mod group;
mod keys;
mod log_sources;
mod opening;
mod orphans;
mod reference;
mod secrets;
mod size;
mod table;

pub use destinations::{DestinationConfig, Target};
pub use keys::{Key, ROOT, Takes};
pub use log_sources::LogSourceConfig;
pub use orphans::Orphan;
pub use reference::{json_schema, page, pages};

use crate::destination::KafkaSasl;
use crate::group::GroupOptions;
use crate::store::{Limits, MemoryLimits};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, suggest};
use dsm::lsx::Spanned;
use dsm::manifest::explain_malformed;
use protocol::Protocol;
use protocol::secret::Secrets;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use table::Reader;
use toml::de::DeTable;

/// A configuration that was read.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, with secrets that somebody wrote into it masked.
    pub file: Arc<SourceFile>,
    /// Folder of the state.
    pub state_directory: PathBuf,
    /// Folder with mapping folders.
    pub mappings: Option<PathBuf>,
    /// What the spool may use.
    pub limits: Limits,
    /// Threads that normalize; 0 is one for each core.
    pub threads: usize,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where that is said.
    metrics_span: Range<usize>,
    /// What is logged.
    pub log: LogConfig,
    /// The processes that divide log sources with this one.
    pub group: Option<Spanned<GroupOptions>>,
    /// Where events go.
    pub destinations: Vec<DestinationConfig>,
    /// Where they come from.
    pub log_sources: Vec<LogSourceConfig>,
}

/// What is written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// The least severe messages that are written.
    pub level: LogLevel,
    /// Their form.
    pub format: LogFormat,
}

/// Severities of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Somebody has to do something.
    Error,
    /// It will get well by itself.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// How it happens.
    Debug,
}

/// Forms of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Reads a configuration file.
pub fn load(path: &Path) -> (Option<Config>, Diagnostics) {
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(|error| error.to_string());
    let text = text
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()));
    match text {
        Ok(text) => {
            let file = SourceFile::new(name, text);
            let base = path.parent().unwrap_or_else(|| Path::new(""));
            let (config, findings) = read(&file, base);
            (Some(config), findings)
        }
        Err(reason) => {
            let mut findings = Diagnostics::new();
            findings.push(
                Diagnostic::new(
                    Code::FileUnusable,
                    format!("{name} cannot be read: {reason}"),
                    "name the configuration with -c",
                )
                .at(&SourceFile::new(name, ""), 0..0, ""),
            );
            (None, findings)
        }
    }
}

/// Reads the text of a configuration. Relative paths in it begin at `base`.
pub fn read(file: &Arc<SourceFile>, base: &Path) -> (Config, Diagnostics) {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    let mut hidden = Vec::new();
    secrets::telling_places(root.get_ref(), &mut hidden);
    secrets::lookalikes(root.get_ref(), &mut hidden);
    if !errors.is_empty() {
        secrets::telling_lines(&file.text, &mut hidden);
    }
    let mut reader = Reader {
        file,
        out: Diagnostics::new(),
        unread: !errors.is_empty(),
    };
    let mut last_line = usize::MAX;
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        // A broken line has several faults by the book, and one for its author.
        let line = file.line_column(span.start).0;
        if std::mem::replace(&mut last_line, line) != line {
            malformed(&mut reader, error.message(), span, &hidden);
        }
    }
    let mut config = config(&mut reader, root.get_ref(), base, &mut hidden);
    let (file, mut findings) = secrets::masked(reader.out, file, &hidden);
    findings.sort();
    config.file = file;
    (config, findings)
}

/// A fault of the TOML. What is said about a line with a secret quotes nothing of it.
fn malformed(reader: &mut Reader<'_>, message: &str, span: Range<usize>, hidden: &[Range<usize>]) {
    let line = |at: usize| reader.file.line_column(at).0;
    let near_secret = hidden
        .iter()
        .any(|place| (line(place.start)..=line(place.end)).contains(&line(span.start)));
    let (span, message, help) = if near_secret {
        let message = "the TOML is faulty on this line, which holds a secret".to_owned();
        let help = "write a reference: { env = \"NAME\" } or { file = \"/path\" }".to_owned();
        (span, message, help)
    } else {
        explain_malformed(&reader.file.text, message, span)
    };
    reader.report(Code::ConfigMalformed, &span, message, help);
}

fn config(
    reader: &mut Reader<'_>,
    root: &DeTable<'_>,
    base: &Path,
    hidden: &mut Vec<Range<usize>>,
) -> Config {
    let table = reader.table(root, 0..0, "the configuration", ROOT);
    let limits = table.sub(reader, "limits");
    let metrics = table.sub(reader, "metrics");
    let log = table.sub(reader, "log");
    let default = Limits::default();
    let number = |name: &str| limits.as_ref().and_then(|table| table.number(name));
    let log_text = |name: &str| log.as_ref().and_then(|table| table.text(name));
    let destinations = destinations::read(reader, &table, base);
    let group = group::read(reader, &table, base);
    let mut log_sources = log_sources::read(reader, &table, &destinations, hidden);
    for source in &mut log_sources {
        source.parameters.begin_paths_at(base);
        source.is_shared = group.is_some() && source.protocol.is_some_and(Protocol::is_portable);
    }
    let config = Config {
        file: Arc::clone(reader.file),
        state_directory: table.path("state_directory", base).unwrap_or_default(),
        mappings: table.path("mappings", base),
        limits: Limits {
            spool: number("spool").unwrap_or(default.spool),
            free: number("free_disk").unwrap_or(default.free),
            memory: MemoryLimits {
                bytes: number("memory").unwrap_or(default.memory.bytes),
                events: number("memory_events").unwrap_or(default.memory.events),
            },
        },
        threads: number("threads").map_or(0, |threads| usize::try_from(threads).unwrap_or(0)),
        metrics_span: metrics
            .as_ref()
            .map_or(0..0, |table| table.span_of("address")),
        metrics: metrics
            .and_then(|table| table.text("address"))
            .and_then(|address| address.parse().ok()),
        log: LogConfig {
            level: match log_text("level").as_deref() {
                Some("error") => LogLevel::Error,
                Some("warn") => LogLevel::Warn,
                Some("debug") => LogLevel::Debug,
                _ => LogLevel::Info,
            },
            format: match log_text("format").as_deref() {
                Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                _ => LogFormat::Auto,
            },
        },
        group,
        destinations,
        log_sources,
    };
    check_use(reader, &config);
    collisions::check(reader, &config);
    config
}

/// Destinations that nobody uses, and a configuration with nothing to do.
fn check_use(reader: &mut Reader<'_>, config: &Config) {
    // A list that could not be read may name anything.
    let all_read = config
        .log_sources
        .iter()
        .all(|source| !source.destinations.is_empty());
    if reader.unread {
        return;
    }
    for destination in config.destinations.iter().filter(|_| all_read) {
        let name = &destination.name;
        let mut targets = config
            .log_sources
            .iter()
            .flat_map(|source| &source.destinations);
        if !targets.any(|target| *target == name.value) {
            reader.report(
                Code::DestinationUnused,
                &name.span,
                format!("no log source names the destination `{}`", name.value),
                "add it to the `destinations` of a log source, or remove it",
            );
        }
    }
    if !config.log_sources.is_empty() && config.log_sources.iter().all(|source| !source.enabled) {
        reader.report(
            Code::LogSourceNone,
            &config.log_sources[0].identifier.span,
            "every log source has `enabled = false`",
            "enable one; what waits in the spool is delivered all the same",
        );
    }
}

impl Config {
    /// Reports log source types that have no mapping.
    pub fn check_types(&self, known: &[&str], out: &mut Diagnostics) {
        for source in &self.log_sources {
            let slug = &source.log_source_type;
            if !slug.value.is_empty() && !known.contains(&slug.value.as_str()) {
                let help = if known.is_empty() {
                    "there are no mappings; `mappings` names their folder".to_owned()
                } else {
                    suggest(&slug.value, "types", known)
                };
                out.push(
                    Diagnostic::new(
                        Code::LogSourceTypeUnknown,
                        format!("there is no log source type `{}`", slug.value),
                        help,
                    )
                    .at(&self.file, slug.span.clone(), ""),
                );
            }
        }
    }

    /// Looks for the secrets and the files that the configuration names. Here they may be missing where a check is run on
    /// another machine, so the caller says how bad that is.
    pub fn check_surroundings(
        &self,
        secrets: &dyn Secrets,
        severity: Severity,
        out: &mut Diagnostics,
    ) {
        for source in self.log_sources.iter().filter(|source| source.enabled) {
            for (parameter, reference) in source.secrets() {
                if let Err(error) = secrets.resolve(reference) {
                    let span = source.span_of(parameter);
                    out.push(
                        Diagnostic::new(
                            Code::SecretUnavailable,
                            format!(
                                "`{parameter}` of log source `{}`: {error}",
                                source.identifier.value
                            ),
                            "set it in the environment of the process, or give it to the file",
                        )
                        .with_severity(severity)
                        .at(&self.file, span, ""),
                    );
                }
            }
        }
        self.check_group(secrets, severity, out);
        for destination in &self.destinations {
            let name = &destination.name;
            if let Some((key, reference)) = destination.secret()
                && let Err(error) = secrets.resolve(reference)
            {
                out.push(
                    Diagnostic::new(
                        Code::SecretUnavailable,
                        format!("`{key}` of destination `{}`: {error}", name.value),
                        "set it in the environment of the process, or give it to the file",
                    )
                    .with_severity(severity)
                    .at(&self.file, name.span.clone(), ""),
                );
            }
            if let Err(reason) = destination.check_files() {
                out.push(
                    Diagnostic::new(
                        Code::FileUnusable,
                        format!("destination `{}`: {reason}", destination.name.value),
                        "mend the path or the file",
                    )
                    .with_severity(severity)
                    .at(&self.file, destination.name.span.clone(), ""),
                );
            }
        }
    }

    /// The same for the group.
    fn check_group(&self, secrets: &dyn Secrets, severity: Severity, out: &mut Diagnostics) {
        let Some(group) = &self.group else {
            return;
        };
        let secret = group.value.brokers.sasl.as_ref().map(KafkaSasl::secret);
        if let Some((key, reference)) = secret
            && let Err(error) = secrets.resolve(reference)
        {
            out.push(
                Diagnostic::new(
                    Code::SecretUnavailable,
                    format!("`{key}` of the group: {error}"),
                    "set it in the environment of the process, or give it to the file",
                )
                .with_severity(severity)
                .at(&self.file, group.span.clone(), ""),
            );
        }
        if let Err(reason) = group.value.brokers.check_files() {
            out.push(
                Diagnostic::new(
                    Code::FileUnusable,
                    format!("the group: {reason}"),
                    "mend the path or the file",
                )
                .with_severity(severity)
                .at(&self.file, group.span.clone(), ""),
            );
        }
    }
}
