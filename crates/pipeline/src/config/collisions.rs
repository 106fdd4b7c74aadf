//! Names that differ in the file and meet somewhere else: in the header of a syslog message, in a folder, at a port.

use super::Config;
use super::Findings;
use super::destinations::{DestinationConfig, Target};
use super::log_sources::LogSourceConfig;
use crate::destination::host;
use dsm::diagnostic::{Code, Diagnostic};
use protocol::Protocol;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

/// Reports names that cannot be told apart where they are used.
pub(super) fn check(findings: &mut Findings<'_>, config: &Config) {
    hosts(findings, &config.log_sources);
    destination_names(findings, &config.destinations);
    loops(findings, config);
    ports(findings, &config.log_sources);
}

fn report(
    findings: &mut Findings<'_>,
    first: &Range<usize>,
    second: &Range<usize>,
    message: String,
    help: &str,
) {
    let finding = Diagnostic::new(Code::NamesCollide, message, help)
        .at(findings.file, second.clone(), "the second")
        .at(findings.file, first.clone(), "the first");
    findings.out.push(finding);
}

/// Receivers find a log source by the host in the header, and compare host names without case.
fn hosts(findings: &mut Findings<'_>, sources: &[LogSourceConfig]) {
    let mut known: BTreeMap<String, &LogSourceConfig> = BTreeMap::new();
    for source in sources {
        let identifier = &source.identifier;
        if identifier.value.is_empty() {
            continue;
        }
        let name = host(&identifier.value).to_ascii_lowercase();
        let Some(first) = known.get(&name) else {
            known.insert(name, source);
            continue;
        };
        let first = &first.identifier;
        // Equal ones are reported as such.
        if first.value != identifier.value {
            report(
                findings,
                &first.span,
                &identifier.span,
                format!(
                    "the log sources `{}` and `{}` are both the host `{}` for a syslog receiver",
                    first.value,
                    identifier.value,
                    host(&identifier.value)
                ),
                "give one of them another identifier; of an identifier, printable ASCII without blanks gets into the \
                 header, everything else becomes a hyphen, and case does not count",
            );
        }
    }
}

/// Dead letters are in a file with the name of the destination, and some file systems ignore case.
fn destination_names(findings: &mut Findings<'_>, destinations: &[DestinationConfig]) {
    let mut known: BTreeMap<String, &DestinationConfig> = BTreeMap::new();
    for destination in destinations {
        let name = &destination.name;
        if name.value.is_empty() {
            continue;
        }
        let folded = name.value.to_ascii_lowercase();
        let Some(first) = known.get(&folded) else {
            known.insert(folded, destination);
            continue;
        };
        let first = &first.name;
        if first.value != name.value {
            report(
                findings,
                &first.span,
                &name.span,
                format!(
                    "the destinations `{}` and `{}` differ only in case, and so do the files of their dead letters",
                    first.value, name.value
                ),
                "give one of them another name",
            );
        }
    }
}

/// A log source that reads what a destination writes would read for ever.
fn loops(findings: &mut Findings<'_>, config: &Config) {
    let written = config.destinations.iter().filter_map(|destination| {
        let Target::File(options) = &destination.target else {
            return None;
        };
        Some((real(&options.path), destination))
    });
    let written: BTreeMap<PathBuf, &DestinationConfig> = written.collect();
    for source in &config.log_sources {
        let is_file = source.protocol.map(Protocol::name) == Some("file");
        let Some(path) = source.parameters.path("path").filter(|_| is_file) else {
            continue;
        };
        if let Some(destination) = written.get(&real(path)) {
            report(
                findings,
                &destination.name.span,
                &source.span_of("path"),
                format!(
                    "the log source `{}` reads the file that the destination `{}` writes",
                    source.identifier.value, destination.name.value
                ),
                "name another file in one of them",
            );
        }
    }
}

/// Two listeners cannot have one port.
fn ports(findings: &mut Findings<'_>, sources: &[LogSourceConfig]) {
    let mut known: Vec<(bool, i64, IpAddr, &LogSourceConfig)> = Vec::new();
    for source in sources.iter().filter(|source| source.enabled) {
        let parameters = &source.parameters;
        let address = parameters.text("listen_address");
        let address = address.and_then(|address| address.parse::<IpAddr>().ok());
        let (Some(address), Some(port)) = (address, parameters.integer("listen_port")) else {
            continue;
        };
        let is_datagram = !matches!(parameters.text("transport"), Some("tcp" | "tls"));
        let same = known.iter().find(|(other_kind, other_port, other, _)| {
            let meet = *other == address || other.is_unspecified() || address.is_unspecified();
            *other_kind == is_datagram && *other_port == port && port != 0 && meet
        });
        match same {
            Some((.., first)) => report(
                findings,
                &first.identifier.span,
                &source.span_of("listen_port"),
                format!(
                    "the log sources `{}` and `{}` listen on the same port, {port}",
                    first.identifier.value, source.identifier.value
                ),
                "give one of them another listen_port, or the two different addresses",
            ),
            None => known.push((is_datagram, port, address, source)),
        }
    }
}

/// The file that a path means, as far as the file system knows: without links, `.` and `..`.
pub(super) fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    if let (Some(Ok(folder)), Some(name)) =
        (path.parent().map(Path::canonicalize), path.file_name())
    {
        return folder.join(name);
    }
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
