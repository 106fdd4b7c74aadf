//! What only shows when log sources and destinations are opened: a run does it at its start, and the check of a
//! configuration does the same, so that it finds what a run would refuse.

use super::{Config, DestinationConfig, LogSourceConfig};
use crate::collect::{check_names, connections};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use protocol::secret::Secrets;
use protocol::{OpenError, Source};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;

impl Config {
    /// Opens what is enabled and reports what refuses. Nothing is sent, read or connected to, secrets excepted. What
    /// depends on this machine, such as an address, is as bad as the caller says.
    pub fn check_opening(&self, secrets: &dyn Secrets, severity: Severity, out: &mut Diagnostics) {
        for source in self.log_sources.iter().filter(|source| source.enabled) {
            self.open_source(source, secrets, out);
        }
        for destination in &self.destinations {
            self.open_destination(destination, secrets, out);
        }
        if let Some(group) = &self.group
            && cfg!(not(feature = "kafka"))
        {
            let error = OpenError::NotBuilt { feature: "kafka" };
            self.not_built(format!("the group: {error}"), group.span.clone(), out);
        }
        if let Some(address) = self.metrics {
            self.check_address(address, severity, out);
        }
    }

    fn open_source(&self, source: &LogSourceConfig, secrets: &dyn Secrets, out: &mut Diagnostics) {
        // What is wrong with its parameters was reported when they were read, and missing secrets apart.
        let Some(protocol) = source.protocol.filter(|_| source.has_parameters) else {
            return;
        };
        let identifier = &source.identifier.value;
        let said = |error: &dyn std::fmt::Display| format!("log source `{identifier}`: {error}");
        let lanes = match protocol.open(identifier, &source.parameters, secrets) {
            Ok(Source::Polling(lanes)) => lanes,
            Ok(Source::Stream(_)) | Err(OpenError::Secret { .. }) => return,
            Err(error @ OpenError::NotBuilt { .. }) => {
                self.not_built(said(&error), source.protocol_span.clone(), out);
                return;
            }
            Err(error) => {
                let place = match &error {
                    OpenError::Parameter { key, .. } => source.span_of(key),
                    _ => source.protocol_span.clone(),
                };
                self.invalid(said(&error), place, out);
                return;
            }
        };
        if let Err(error) = check_names(&lanes) {
            self.invalid(said(&error), source.identifier.span.clone(), out);
        }
        for lane in lanes {
            if let Err(error) = connections(lane.http) {
                self.invalid(said(&error), source.identifier.span.clone(), out);
                return;
            }
        }
    }

    fn open_destination(
        &self,
        destination: &DestinationConfig,
        secrets: &dyn Secrets,
        out: &mut Diagnostics,
    ) {
        let name = &destination.name;
        match destination.open(secrets) {
            Ok(_) | Err(OpenError::Secret { .. }) => {}
            Err(error @ OpenError::NotBuilt { .. }) => {
                let message = format!("destination `{}`: {error}", name.value);
                self.not_built(message, name.span.clone(), out);
            }
            Err(error) => {
                let message = format!("destination `{}`: {error}", name.value);
                self.invalid(message, name.span.clone(), out);
            }
        }
    }

    /// Whether something could listen at the address; that its port is taken is what a check beside a run would find.
    fn check_address(&self, address: SocketAddr, severity: Severity, out: &mut Diagnostics) {
        if let Err(error) = TcpListener::bind((address.ip(), 0)) {
            out.push(
                Diagnostic::new(
                    Code::ConfigValueInvalid,
                    format!("metrics cannot be served at {address}: {error}"),
                    "use an address that this machine has, such as 127.0.0.1:9464",
                )
                .with_severity(severity)
                .at(&self.file, self.metrics_span.clone(), ""),
            );
        }
    }

    fn not_built(&self, message: String, place: Range<usize>, out: &mut Diagnostics) {
        out.push(
            Diagnostic::new(
                Code::FeatureMissing,
                message,
                "use a build with the feature, or remove what needs it",
            )
            .at(&self.file, place, ""),
        );
    }

    fn invalid(&self, message: String, place: Range<usize>, out: &mut Diagnostics) {
        out.push(
            Diagnostic::new(
                Code::ParameterInvalid,
                message,
                "correct the parameter; `dsmith run` would refuse it too",
            )
            .at(&self.file, place, ""),
        );
    }
}
