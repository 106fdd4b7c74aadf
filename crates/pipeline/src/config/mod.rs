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

pub use destinations::{DestinationConfig, Target};
pub use keys::ROOT;
pub use log_sources::LogSourceConfig;
pub use orphans::Orphan;
pub use reference::{json_schema, page, pages};

use crate::destination::KafkaSasl;
use crate::group::GroupOptions;
use crate::store::{Limits, MemoryLimits};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, Severity, SourceFile, suggest};
use protocol::Protocol;
use protocol::secret::Secrets;
use settings::{Document, Fault, FaultKind, Reader, Settings, Spanned};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    let document = Document::parse(&file.text);
    let mut hidden = Vec::new();
    secrets::telling_places(&document.root, &mut hidden);
    secrets::lookalikes(&document.root, &mut hidden);
    if !document.faults.is_empty() {
        secrets::telling_lines(&file.text, &mut hidden);
    }
    let mut reader = Reader::new(&document);
    let mut root = reader.table(ROOT, "the configuration", &document.root, 0..0);
    root.begin_paths_at(base);
    let mut findings = Findings {
        file,
        out: Diagnostics::new(),
        unread: reader.is_damaged(),
    };
    for fault in reader.faults {
        findings.fault(fault, &hidden);
    }
    let mut config = config(&mut findings, &root, base, &mut hidden);
    let (file, mut findings) = secrets::masked(findings.out, file, &hidden);
    findings.sort();
    config.file = file;
    (config, findings)
}

/// What is wrong with the file.
struct Findings<'a> {
    file: &'a Arc<SourceFile>,
    out: Diagnostics,
    /// Whether the file is not well formed, so that nothing may be called missing.
    unread: bool,
}

impl Findings<'_> {
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

    /// A fault of a key. What is said about a malformed line with a secret quotes nothing of it.
    fn fault(&mut self, fault: Fault, hidden: &[Range<usize>]) {
        let line = |at: usize| self.file.line_column(at).0;
        let is_near = |place: &Range<usize>| {
            (line(place.start)..=line(place.end)).contains(&line(fault.span.start))
        };
        let code = match fault.kind {
            FaultKind::Malformed if hidden.iter().any(is_near) => {
                let message = "the TOML is faulty on this line, which holds a secret";
                let help = "write a reference: { env = \"NAME\" } or { file = \"/path\" }";
                return self.report(Code::ConfigMalformed, &fault.span, message, help);
            }
            FaultKind::Malformed => Code::ConfigMalformed,
            FaultKind::Unknown => Code::ConfigKeyUnknown,
            FaultKind::Renamed => Code::ConfigKeyRenamed,
            FaultKind::Missing => Code::ConfigKeyMissing,
            FaultKind::Unavailable => Code::ConfigKeyUnavailable,
            FaultKind::Contradiction => Code::ConfigContradiction,
            FaultKind::SecretInline => Code::SecretInline,
            _ => Code::ConfigValueInvalid,
        };
        self.report(code, &fault.span, fault.message, fault.help);
    }

    /// A reader of tables whose keys are declared elsewhere.
    fn reader(&self) -> Reader {
        Reader::continuing(self.unread)
    }
}

fn config(
    findings: &mut Findings<'_>,
    root: &Settings,
    base: &Path,
    hidden: &mut Vec<Range<usize>>,
) -> Config {
    let default = Limits::default();
    let limits = root.table("limits");
    let metrics = root.table("metrics");
    let number = |name: &str| limits.and_then(|table| table.number(name));
    let log_text = |name: &str| root.table("log").and_then(|table| table.text(name));
    let destinations = destinations::read(findings, root);
    let group = group::read(findings, root);
    let mut log_sources = log_sources::read(findings, root, &destinations, hidden);
    for source in &mut log_sources {
        source.parameters.begin_paths_at(base);
        source.is_shared = group.is_some() && source.protocol.is_some_and(Protocol::is_portable);
    }
    let config = Config {
        file: Arc::clone(findings.file),
        state_directory: root
            .path("state_directory")
            .unwrap_or(Path::new(""))
            .to_owned(),
        mappings: root.path("mappings").map(Path::to_owned),
        limits: Limits {
            spool: number("spool").unwrap_or(default.spool),
            free: number("free_disk").unwrap_or(default.free),
            memory: MemoryLimits {
                bytes: number("memory").unwrap_or(default.memory.bytes),
                events: number("memory_events").unwrap_or(default.memory.events),
            },
        },
        threads: number("threads").map_or(0, |threads| usize::try_from(threads).unwrap_or(0)),
        metrics_span: metrics.map_or(0..0, |table| table.span_of("address")),
        metrics: metrics
            .and_then(|table| table.text("address"))
            .and_then(|address| address.parse().ok()),
        log: LogConfig {
            level: match log_text("level") {
                Some("error") => LogLevel::Error,
                Some("warn") => LogLevel::Warn,
                Some("debug") => LogLevel::Debug,
                _ => LogLevel::Info,
            },
            format: match log_text("format") {
                Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                _ => LogFormat::Auto,
            },
        },
        group,
        destinations,
        log_sources,
    };
    check_use(findings, &config);
    collisions::check(findings, &config);
    config
}

/// Destinations that nobody uses, and a configuration with nothing to do.
fn check_use(findings: &mut Findings<'_>, config: &Config) {
    // A list that could not be read may name anything.
    let all_read = config
        .log_sources
        .iter()
        .all(|source| source.has_destinations);
    if findings.unread {
        return;
    }
    for destination in config.destinations.iter().filter(|_| all_read) {
        let name = &destination.name;
        let mut targets = config
            .log_sources
            .iter()
            .flat_map(|source| &source.destinations);
        if !targets.any(|target| *target == name.value) {
            findings.report(
                Code::DestinationUnused,
                &name.span,
                format!("no log source names the destination `{}`", name.value),
                "add it to the `destinations` of a log source, or remove it",
            );
        }
    }
    if !config.log_sources.is_empty() && config.log_sources.iter().all(|source| !source.enabled) {
        findings.report(
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
                            "set it in the environment of the process, or write it to the file",
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
                        "set it in the environment of the process, or write it to the file",
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
                    "set it in the environment of the process, or write it to the file",
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
