//! What was delivered beside what there was.

use super::play::LOG_SOURCES;
use leef::{Mode, read};
use pipeline::metrics::Board;
use simulator::{Ledger, Service, Simulator, Stamp};
use std::collections::BTreeMap;

/// One line of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Alerts and changes of alerts that had to be collected.
    pub(super) alerts: u64,
    pub(super) fetched: u64,
    pub(super) mapped: u64,
    pub(super) delivered: u64,
    pub(super) repeated: u64,
    pub(super) missing: u64,
    /// Delivered, but never served.
    pub(super) unknown: u64,
}

impl Row {
    fn is_right(&self) -> bool {
        self.alerts == self.fetched
            && self.fetched == self.mapped
            && self.mapped == self.delivered
            && self.repeated == 0
            && self.missing == 0
            && self.unknown == 0
    }
}

/// The whole table.
#[derive(Debug)]
pub(super) struct Account {
    rows: Vec<(&'static str, Row)>,
}

impl Account {
    /// Reads the events that were delivered and compares them with the ledger. What was fetched and mapped is what the
    /// run counted.
    pub(super) fn new(simulator: &Simulator, board: &Board, events: &str) -> Self {
        let ledger = simulator.ledger();
        let mut delivered: BTreeMap<Service, Vec<String>> = BTreeMap::new();
        for line in events.lines() {
            // A line that cannot be read is one that never was in the ledger.
            let (service, key) = key(line).unwrap_or((Service::SiemApi, line.to_owned()));
            delivered.entry(service).or_default().push(key);
        }
        let rows = LOG_SOURCES
            .iter()
            .map(|&(service, identifier)| {
                let keys = delivered.remove(&service).unwrap_or_default();
                let lines = keys.len() as u64;
                let comparison = of_service(&ledger, service).compare(keys);
                let lanes = board.lanes();
                let fetched = lanes
                    .iter()
                    .filter(|(id, _)| id.log_source == identifier)
                    .map(|(_, status)| status.payloads)
                    .sum();
                let row = Row {
                    alerts: comparison.expected as u64,
                    fetched,
                    mapped: board.route(identifier, "leef").mapped.get(),
                    delivered: lines,
                    repeated: u64::from(comparison.repeats()),
                    missing: comparison.missing.len() as u64,
                    unknown: comparison.unknown.len() as u64,
                };
                (identifier, row)
            })
            .collect();
        Self { rows }
    }

    /// Whether everything was delivered once and nothing else.
    pub(super) fn is_right(&self) -> bool {
        self.rows
            .iter()
            .all(|(_, row)| row.is_right() && row.alerts > 0)
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let mut total = Row::default();
        for (_, row) in &self.rows {
            total.alerts += row.alerts;
            total.fetched += row.fetched;
            total.mapped += row.mapped;
            total.delivered += row.delivered;
            total.repeated += row.repeated;
            total.missing += row.missing + row.unknown;
        }
        let mut text = format!(
            "{:<18} {:>7} {:>8} {:>7} {:>10} {:>9} {:>8}\n",
            "LOG SOURCE", "ALERTS", "FETCHED", "MAPPED", "DELIVERED", "REPEATED", "MISSING"
        );
        for (name, row) in self.rows.iter().chain([&("total", total)]) {
            text += &format!(
                "{name:<18} {:>7} {:>8} {:>7} {:>10} {:>9} {:>8}\n",
                row.alerts, row.fetched, row.mapped, row.delivered, row.repeated, row.missing
            );
        }
        text
    }
}

/// The interface that an event comes from, and its key as [`of_service`] writes keys.
fn key(line: &str) -> Option<(Service, String)> {
    let event = read(line, Mode::Strict).ok()?;
    let value = |key: &str| {
        let attribute = event
            .attributes
            .iter()
            .find(|attribute| attribute.key == key);
        attribute.map(|attribute| attribute.value.to_string())
    };
    if let Some(id) = value("fullId") {
        return Some((Service::SiemApi, id));
    }
    let service = match value("serviceSource") {
        Some(_) => Service::Graph,
        None => Service::MdeApi,
    };
    Some((
        service,
        format!("{}|{}", value("alertId")?, value("lastUpdate")?),
    ))
}

/// The records of an interface, with the times in their keys as LEEF writes them: in milliseconds.
fn of_service(ledger: &Ledger, service: Service) -> Ledger {
    let records = ledger
        .records
        .iter()
        .filter(|record| record.service == service);
    let records = records.cloned().map(|mut record| {
        if let Some((id, time)) = record.key.split_once('|')
            && let Some(time) = Stamp::parse(time)
        {
            record.key = format!("{id}|{}", time.time().timestamp_millis());
        }
        record
    });
    Ledger {
        records: records.collect(),
        at: ledger.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> Row {
        Row {
            alerts: 5,
            fetched: 5,
            mapped: 5,
            delivered: 5,
            ..Row::default()
        }
    }

    #[test]
    fn every_number_that_disagrees_is_noticed() {
        assert!(right().is_right());
        let wrong: [fn(&mut Row); 7] = [
            |row| row.alerts += 1,
            |row| row.fetched += 1,
            |row| row.mapped -= 1,
            |row| row.delivered -= 1,
            |row| row.repeated = 1,
            |row| row.missing = 1,
            |row| row.unknown = 1,
        ];
        for change in wrong {
            let mut row = right();
            change(&mut row);
            let account = Account {
                rows: vec![("a", right()), ("b", row)],
            };
            assert!(!account.is_right(), "{row:?}");
        }
    }

    #[test]
    fn a_run_without_alerts_proves_nothing() {
        let account = Account {
            rows: vec![("a", Row::default())],
        };
        assert!(!account.is_right());
    }

    #[test]
    fn events_are_told_apart_by_the_interface_they_come_from() {
        let event = |attributes: &str| {
            key(&format!(
                "LEEF:1.0|Microsoft|365 Defender|1.0|x|{attributes}"
            ))
        };
        assert_eq!(
            event("fullId=da1_1:abc="),
            Some((Service::SiemApi, "da1_1:abc=".to_owned()))
        );
        assert_eq!(
            event("alertId=da1_1\tlastUpdate=1772438400000"),
            Some((Service::MdeApi, "da1_1|1772438400000".to_owned()))
        );
        assert_eq!(
            event("alertId=da2\tserviceSource=x\tlastUpdate=1"),
            Some((Service::Graph, "da2|1".to_owned()))
        );
        assert_eq!(key("no event"), None);
    }
}
