//! Events in the state that the configuration leaves without a destination. A run refuses to begin with them, a reload
//! keeps the old configuration, and the check reports them.

use super::{Config, LogSourceConfig};
use crate::store::{Store, StoreError, WaitingRow};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use protocol::Keeps;

/// Events wait for what the configuration no longer has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{events} events of log source `{log_source}` wait for the destination `{destination}`, and the configuration no \
     longer sends them there: {}", self.remedy()
)]
pub struct Orphan {
    /// The log source.
    pub log_source: String,
    /// The destination.
    pub destination: String,
    /// How many events wait.
    pub events: u64,
    /// Who keeps them.
    pub keeps: Keeps,
}

impl Orphan {
    fn remedy(&self) -> String {
        match self.keeps {
            Keeps::Here => format!(
                "put it back until they are delivered, or give them up with `--forget {}/{}`",
                self.log_source, self.destination
            ),
            Keeps::Remote => "put it back until they are delivered, or restart the process, which then reads them \
                 again for the destinations that there are"
                .to_owned(),
        }
    }
}

impl Config {
    fn log_source(&self, identifier: &str) -> Option<&LogSourceConfig> {
        let mut sources = self.log_sources.iter();
        sources.find(|source| source.identifier.value == identifier)
    }

    /// Whether what waits is still delivered where it waits for.
    pub(crate) fn delivers(&self, row: &WaitingRow) -> bool {
        let source = self.log_source(&row.identifier);
        source
            .filter(|source| source.destinations.contains(&row.destination))
            // What waits on disk is delivered, whatever the protocol is now; what the remote keeps, by whoever reads it.
            .is_some_and(|source| {
                row.source.keeps() == Keeps::Here || source.keeps() == Keeps::Remote
            })
    }

    /// Of what waits, that which would be lost.
    pub(crate) fn orphans(&self, waiting: &[WaitingRow]) -> Vec<Orphan> {
        // What is given up counts as delivered. A log source that is gone tells its remote nothing more, but one that
        // stays would go on behind it, and no new destination would ever get it.
        let is_lost = |row: &&WaitingRow| match row.source.keeps() {
            Keeps::Here => true,
            Keeps::Remote => {
                let source = self.log_source(&row.identifier);
                source.is_some_and(|source| source.keeps() == Keeps::Remote)
            }
        };
        let lost = waiting.iter().filter(|row| row.events > 0);
        lost.filter(|row| !self.delivers(row))
            .filter(is_lost)
            .map(|row| Orphan {
                log_source: row.identifier.clone(),
                destination: row.destination.clone(),
                events: row.events,
                keeps: row.source.keeps(),
            })
            .collect()
    }

    /// Looks into the state, if there is one, and reports the events in it that a run would refuse to leave behind. It
    /// changes nothing, and a process may be using the state.
    pub fn check_state(&self, out: &mut Diagnostics) {
        let waiting = match Store::peek(&self.state_directory) {
            Ok(peek) => peek.waiting,
            Err(StoreError::Absent { .. }) => return,
            Err(error) => {
                out.push(
                    Diagnostic::new(
                        Code::EventsOrphaned,
                        format!("whether events wait for something that is no longer configured is not known: {error}"),
                        "run the check as the user of the run",
                    )
                    .with_severity(Severity::Warning)
                    .at(&self.file, 0..0, ""),
                );
                return;
            }
        };
        for orphan in self.orphans(&waiting) {
            let place = self
                .log_source(&orphan.log_source)
                .map_or(0..0, |source| source.identifier.span.clone());
            out.push(
                Diagnostic::new(
                    Code::EventsOrphaned,
                    orphan.to_string(),
                    "let them be delivered before the configuration changes; `enabled = false` stops the collecting",
                )
                .at(&self.file, place, ""),
            );
        }
    }
}
