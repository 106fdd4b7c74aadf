//! Invented alerts: the same seed and number give the same alert, whichever were made before.
//!
//! Nothing is kept: an alert is a few numbers until somebody asks for it, so a million of them cost nothing.

mod graph;
mod mde;
mod siem;
mod story;

pub use story::TENANT;

use crate::scenario::Service;
use crate::stamp::Stamp;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// What makes an alert the one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Of its feed.
    pub(crate) seed: u64,
    /// Counted from 0 within the feed.
    pub(crate) number: u64,
    /// When its first version was ready.
    pub(crate) ready: Stamp,
}

impl Origin {
    fn words(&self) -> [u64; 2] {
        [self.seed, self.number]
    }
}

/// What the client asked to see of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// `$expand=evidence` (Defender for Endpoint; Graph always shows it).
    pub(crate) expand: bool,
    /// `Prefer: include-unknown-enum-members` (Graph).
    pub(crate) unknown_members: bool,
    /// Only what tells alerts apart.
    pub(crate) brief: bool,
}

/// One version of an alert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made<'a> {
    pub(crate) origin: &'a Origin,
    /// 1, or 2 after a person has closed it.
    pub(crate) version: u8,
    /// When this version was ready.
    pub(crate) updated: Stamp,
    pub(crate) view: View,
}

impl Made<'_> {
    /// By what a collector can tell this version from all others; see [`key_of`].
    pub(crate) fn key(&self, service: Service) -> String {
        match service {
            Service::SiemApi => siem::key(self),
            Service::MdeApi => mde::key(self),
            Service::Graph => graph::key(self),
            Service::Token => String::new(),
        }
    }

    /// Adds the alert as one JSON object in one line.
    pub(crate) fn write(&self, service: Service, out: &mut Vec<u8>) {
        if self.view.brief {
            return self.write_brief(service, out);
        }
        match service {
            Service::SiemApi => siem::write(self, out),
            Service::MdeApi => mde::write(self, out),
            Service::Graph => graph::write(self, out),
            Service::Token => {}
        }
    }
}

impl Made<'_> {
    fn write_brief(&self, service: Service, out: &mut Vec<u8>) {
        let key = self.key(service);
        let text = match (service, key.split_once('|')) {
            (Service::MdeApi, Some((id, updated))) => {
                format!(r#"{{"id":"{id}","lastUpdateTime":"{updated}"}}"#)
            }
            (Service::Graph, Some((id, updated))) => {
                format!(r#"{{"id":"{id}","lastUpdateDateTime":"{updated}"}}"#)
            }
            _ => format!(
                r#"{{"FullId":"{key}","LastProcessedTimeUtc":"{}"}}"#,
                self.updated
            ),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// The key of an alert that was collected: `FullId`, or identifier and time of the last change with `|` between them.
///
/// `None` where the payload is no alert of these interfaces.
pub fn key_of(payload: &[u8]) -> Option<String> {
    let alert: Value = serde_json::from_slice(payload).ok()?;
    let text = |name: &str| alert.get(name).and_then(Value::as_str);
    if let Some(id) = text("FullId") {
        return Some(id.to_owned());
    }
    let updated = text("lastUpdateTime").or_else(|| text("lastUpdateDateTime"))?;
    Some(format!("{}|{updated}", text("id")?))
}

/// Alerts without a server, one for each second from 2026-03-02 on, as many as are taken.
pub fn alerts(service: Service, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let start = Stamp::parse("2026-03-02T00:00:00Z").unwrap_or_else(Stamp::now);
    (0..).map(move |number| {
        let ready = start + Duration::from_secs(number);
        let origin = Origin {
            seed,
            number,
            ready,
        };
        let made = Made {
            origin: &origin,
            version: 1,
            updated: ready,
            view: View {
                expand: true,
                unknown_members: true,
                brief: false,
            },
        };
        let mut payload = Vec::new();
        made.write(service, &mut payload);
        payload
    })
}

/// The identifier that both interfaces of Defender for Endpoint give to an alert.
fn device_alert_id(origin: &Origin) -> String {
    // The seed tells feeds apart, the number alerts; a sign, as real ones have.
    let low = (origin.seed ^ origin.number) & 1;
    let sign = if low == 0 { "" } else { "-" };
    format!(
        "da{}_{sign}{}{:03}",
        origin.ready.dot_net_ticks(),
        1000 + origin.number,
        origin.seed % 1000
    )
}

fn to_json(alert: &impl Serialize, out: &mut Vec<u8>) {
    // Writing plain data into memory cannot fail.
    let _ = serde_json::to_writer(out, alert);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn alert(service: Service, number: u64, version: u8) -> (Vec<u8>, String) {
        let ready = Stamp::parse("2026-03-02T08:00:00.5Z").unwrap();
        let origin = Origin {
            seed: 7,
            number,
            ready,
        };
        let made = Made {
            origin: &origin,
            version,
            updated: ready,
            view: View {
                expand: true,
                unknown_members: true,
                brief: false,
            },
        };
        let mut bytes = Vec::new();
        made.write(service, &mut bytes);
        (bytes, made.key(service))
    }

    const ALL: [Service; 3] = [Service::SiemApi, Service::MdeApi, Service::Graph];

    #[test]
    fn a_number_gives_the_same_alert_every_time() {
        for service in ALL {
            assert_eq!(alert(service, 5, 1), alert(service, 5, 1));
            assert_ne!(alert(service, 5, 1).0, alert(service, 6, 1).0);
        }
    }

    #[test]
    fn the_key_of_a_payload_is_the_key_in_the_ledger() {
        for service in ALL {
            for number in 0..200 {
                let (payload, key) = alert(service, number, 1);
                assert_eq!(key_of(&payload).unwrap(), key);
            }
        }
    }

    #[test]
    fn keys_differ_between_numbers() {
        for service in ALL {
            let keys: BTreeSet<String> = (0..5000).map(|n| alert(service, n, 1).1).collect();
            assert_eq!(keys.len(), 5000);
        }
    }

    #[test]
    fn an_alert_of_the_siem_api_has_fifty_members_of_the_documented_names() {
        let (payload, _) = alert(Service::SiemApi, 1, 1);
        let alert: serde_json::Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        assert_eq!(alert.len(), 50);
        for name in [
            "LinkToWDATP",
            "InternalIPv4List",
            "DeviceID",
            "ReportID",
            "LinkToMTP",
            "IncidentLinkToMTP",
            "IoaDefinitionId",
            "LogOnUsers",
            "Sha1",
            "Md5",
        ] {
            assert!(alert.contains_key(name), "{name}");
        }
    }

    #[test]
    fn graph_alerts_hold_evidence_of_many_types() {
        let mut kinds = BTreeSet::new();
        for number in 0..400 {
            let alert: Value = serde_json::from_slice(&alert(Service::Graph, number, 1).0).unwrap();
            for piece in alert["evidence"].as_array().unwrap() {
                kinds.insert(piece["@odata.type"].as_str().unwrap().to_owned());
            }
        }
        assert!(kinds.len() >= 10, "{kinds:?}");
    }

    #[test]
    fn alerts_without_a_server_are_those_of_the_server() {
        let payload = alerts(Service::Graph, 7).nth(3).unwrap();
        assert_eq!(
            payload.len(),
            alerts(Service::Graph, 7).nth(3).unwrap().len()
        );
        assert!(key_of(&payload).is_some());
    }

    #[test]
    fn a_second_version_is_resolved() {
        let value = |service, version| -> Value {
            serde_json::from_slice(&alert(service, 3, version).0).unwrap()
        };
        assert_eq!(value(Service::MdeApi, 1)["status"], "New");
        assert_eq!(value(Service::MdeApi, 2)["status"], "Resolved");
        assert_eq!(value(Service::Graph, 2)["status"], "resolved");
    }
}
