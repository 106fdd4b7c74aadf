//! An alert of the Defender for Endpoint API, `GET /api/alerts`.

use super::story::{ON_DEVICES, Scene, Story, TENANT};
use super::{Made, Origin};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    id: String,
    incident_id: u32,
    investigation_id: Option<u32>,
    assigned_to: Option<String>,
    severity: &'a str,
    status: &'a str,
    classification: Option<&'a str>,
    determination: Option<&'a str>,
    investigation_state: &'a str,
    detection_source: &'a str,
    detector_id: &'a str,
    category: &'a str,
    threat_family_name: Option<&'a str>,
    title: &'a str,
    description: &'a str,
    alert_creation_time: String,
    first_event_time: String,
    last_event_time: String,
    last_update_time: String,
    resolved_time: Option<String>,
    machine_id: &'a str,
    computer_dns_name: String,
    rbac_group_name: &'a str,
    aad_tenant_id: &'a str,
    threat_name: Option<&'a str>,
    mitre_techniques: &'a [&'a str],
    related_user: Option<Value>,
    logged_on_users: Vec<Value>,
    comments: Vec<Value>,
    evidence: Vec<Evidence<'a>>,
}

/// Flat: every member is always there, and null where it does not apply.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evidence<'a> {
    entity_type: &'a str,
    evidence_creation_time: String,
    sha1: Option<&'a str>,
    sha256: Option<&'a str>,
    file_name: Option<&'a str>,
    file_path: Option<&'a str>,
    process_id: Option<u32>,
    process_command_line: Option<&'a str>,
    process_creation_time: Option<String>,
    parent_process_id: Option<u32>,
    parent_process_creation_time: Option<String>,
    parent_process_file_name: Option<&'a str>,
    parent_process_file_path: Option<&'a str>,
    ip_address: Option<&'a str>,
    url: Option<&'a str>,
    registry_key: Option<&'a str>,
    registry_hive: Option<&'a str>,
    registry_value_type: Option<&'a str>,
    registry_value: Option<&'a str>,
    registry_value_name: Option<&'a str>,
    account_name: Option<String>,
    domain_name: Option<&'a str>,
    user_sid: Option<String>,
    aad_user_id: Option<String>,
    user_principal_name: Option<String>,
    detection_status: Option<&'a str>,
}

/// The identifier together with the time of the last change: an alert that changes is served anew.
pub(super) fn key(made: &Made<'_>) -> String {
    format!("{}|{}", super::device_alert_id(made.origin), made.updated)
}

pub(super) fn write(made: &Made<'_>, out: &mut Vec<u8>) {
    let Origin { ready, .. } = *made.origin;
    let story = Story::new(&made.origin.words(), ON_DEVICES, ready);
    let detection = story.detection;
    let malware = match detection.scene {
        Scene::Malware { threat, family, .. } => Some((threat, family)),
        _ => None,
    };
    let resolved = made.version > 1;
    let alert = Alert {
        id: super::device_alert_id(made.origin),
        incident_id: story.incident,
        investigation_id: None,
        assigned_to: resolved.then(|| "soc@contoso.example".to_owned()),
        severity: detection.severity,
        status: if resolved { "Resolved" } else { "New" },
        classification: resolved.then_some("TruePositive"),
        determination: resolved.then_some("SecurityTesting"),
        investigation_state: "UnsupportedAlertType",
        detection_source: if malware.is_some() {
            "WindowsDefenderAv"
        } else {
            "WindowsDefenderAtp"
        },
        detector_id: &story.detector,
        category: detection.category,
        threat_family_name: malware.map(|(_, family)| family),
        title: detection.title,
        description: detection.description,
        alert_creation_time: ready.to_string(),
        first_event_time: story.happened.to_string(),
        last_event_time: story.noticed.to_string(),
        last_update_time: made.updated.to_string(),
        resolved_time: resolved.then(|| made.updated.to_string()),
        machine_id: &story.device_id,
        computer_dns_name: story.domain_name(),
        rbac_group_name: story.group,
        aad_tenant_id: TENANT,
        threat_name: malware.map(|(threat, _)| threat),
        mitre_techniques: detection.techniques,
        related_user: Some(json!({"userName": story.account, "domainName": "CONTOSO"})),
        logged_on_users: Vec::new(),
        comments: if resolved {
            vec![json!({
                "comment": "Exercise, closed",
                "createdBy": "soc@contoso.example",
                "createdTime": made.updated,
            })]
        } else {
            Vec::new()
        },
        evidence: if made.view.expand {
            evidence(&story, &ready.to_string())
        } else {
            Vec::new()
        },
    };
    super::to_json(&alert, out);
}

fn evidence<'a>(story: &'a Story, created: &str) -> Vec<Evidence<'a>> {
    let user = Evidence {
        entity_type: "User",
        evidence_creation_time: created.to_owned(),
        account_name: Some(story.account.clone()),
        domain_name: Some("CONTOSO"),
        user_sid: Some(story.sid()),
        aad_user_id: Some(story.object_id()),
        user_principal_name: Some(story.principal()),
        ..Evidence::default()
    };
    let thing = |entity_type| Evidence {
        entity_type,
        evidence_creation_time: created.to_owned(),
        detection_status: Some("Detected"),
        ..Evidence::default()
    };
    match story.detection.scene {
        Scene::Process {
            image,
            folder,
            command,
            parent,
        } => vec![
            Evidence {
                sha1: Some(&story.sha1),
                sha256: Some(&story.sha256),
                file_name: Some(image),
                file_path: Some(folder),
                process_id: Some(story.process_id),
                process_command_line: Some(command),
                process_creation_time: Some(story.happened.to_string()),
                parent_process_id: Some(story.process_id / 2),
                parent_process_creation_time: Some(story.happened.to_string()),
                parent_process_file_name: Some(parent),
                parent_process_file_path: Some("C:\\Windows"),
                ..thing("Process")
            },
            user,
        ],
        Scene::Malware { file, .. } => vec![
            Evidence {
                sha1: Some(&story.sha1),
                sha256: Some(&story.sha256),
                file_name: Some(file),
                file_path: Some("C:\\Users\\Public\\Downloads"),
                detection_status: Some("Blocked"),
                ..thing("File")
            },
            user,
        ],
        Scene::Network { url } => {
            let mut list = vec![Evidence {
                ip_address: Some(&story.external_ip),
                ..thing("Ip")
            }];
            if !url.is_empty() {
                list.push(Evidence {
                    url: Some(url),
                    ..thing("Url")
                });
            }
            list
        }
        Scene::Registry { key, name, data } => vec![
            Evidence {
                registry_hive: Some("HKEY_CURRENT_USER"),
                registry_key: Some(key),
                registry_value_type: Some("String"),
                registry_value: Some(data),
                registry_value_name: Some(name),
                ..thing("Registry")
            },
            user,
        ],
        Scene::SignIn
        | Scene::Message { .. }
        | Scene::CloudApp { .. }
        | Scene::CloudResource { .. } => vec![user],
    }
}
