//! An alert of the legacy SIEM REST API: 50 members, all of them always there.

use super::story::{ON_DEVICES, Scene, Story};
use super::{Made, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alert<'a> {
    alert_time: String,
    computer_dns_name: String,
    alert_title: &'a str,
    category: &'a str,
    severity: &'a str,
    alert_id: &'a str,
    actor: &'a str,
    #[serde(rename = "LinkToWDATP")]
    link_to_wdatp: String,
    ioc_name: &'a str,
    ioc_value: &'a str,
    creator_ioc_name: &'a str,
    creator_ioc_value: &'a str,
    sha1: &'a str,
    file_name: &'a str,
    file_path: &'a str,
    ip_address: &'a str,
    url: &'a str,
    ioa_definition_id: &'a str,
    user_name: &'a str,
    alert_part: u8,
    full_id: String,
    last_processed_time_utc: String,
    threat_category: &'a str,
    threat_family: &'a str,
    threat_name: &'a str,
    remediation_action: &'a str,
    remediation_is_success: Option<bool>,
    source: &'a str,
    md5: &'a str,
    sha256: &'a str,
    was_executing_while_detected: Option<bool>,
    user_domain: &'a str,
    log_on_users: String,
    machine_domain: &'a str,
    machine_name: &'a str,
    #[serde(rename = "InternalIPv4List")]
    internal_ipv4_list: &'a str,
    #[serde(rename = "InternalIPv6List")]
    internal_ipv6_list: &'a str,
    file_hash: &'a str,
    #[serde(rename = "DeviceID")]
    device_id: &'a str,
    machine_group: &'a str,
    description: &'a str,
    device_created_machine_tags: &'a str,
    cloud_created_machine_tags: &'a str,
    command_line: &'a str,
    #[serde(rename = "IncidentLinkToWDATP")]
    incident_link_to_wdatp: String,
    #[serde(rename = "ReportID")]
    report_id: u32,
    #[serde(rename = "LinkToMTP")]
    link_to_mtp: String,
    #[serde(rename = "IncidentLinkToMTP")]
    incident_link_to_mtp: String,
    external_id: String,
    ioc_unique_id: &'a str,
}

/// The alert's two identifiers: of the alert, and of the indicator within it.
fn identifiers(made: &Made<'_>, story: &mut Story) -> (String, String) {
    let indicator = STANDARD.encode(story.random.bytes::<32>());
    (super::device_alert_id(made.origin), indicator)
}

/// `FullId`, by which a collector tells records apart.
pub(super) fn key(made: &Made<'_>) -> String {
    let mut story = Story::new(&made.origin.words(), ON_DEVICES, made.origin.ready);
    let (id, indicator) = identifiers(made, &mut story);
    format!("{id}:{indicator}")
}

pub(super) fn write(made: &Made<'_>, out: &mut Vec<u8>) {
    let Origin { ready, .. } = *made.origin;
    let mut story = Story::new(&made.origin.words(), ON_DEVICES, ready);
    let (id, indicator) = identifiers(made, &mut story);
    let external_id = story.random.hex(40).to_uppercase();
    let report_id = 1_000_000_000 + story.random.below(900_000_000) as u32;
    let success = story.random.below(10) > 0;
    let running = story.random.below(4) == 0;
    let detection = story.detection;
    let mut alert = Alert {
        alert_time: story.noticed.to_string(),
        computer_dns_name: story.domain_name(),
        alert_title: detection.title,
        category: detection.category,
        severity: detection.severity,
        alert_id: &id,
        actor: "",
        link_to_wdatp: format!("https://securitycenter.windows.com/alert/{id}"),
        ioc_name: "",
        ioc_value: "",
        creator_ioc_name: "",
        creator_ioc_value: "",
        sha1: "",
        file_name: "",
        file_path: "",
        ip_address: "",
        url: "",
        ioa_definition_id: &story.detector,
        user_name: "",
        alert_part: 0,
        full_id: format!("{id}:{indicator}"),
        last_processed_time_utc: made.updated.to_string(),
        threat_category: "",
        threat_family: "",
        threat_name: "",
        remediation_action: "",
        remediation_is_success: None,
        source: "EDR",
        md5: "",
        sha256: "",
        was_executing_while_detected: None,
        user_domain: "",
        log_on_users: format!("CONTOSO\\{}", story.account),
        machine_domain: "contoso.example",
        machine_name: &story.host,
        internal_ipv4_list: &story.internal_ip,
        internal_ipv6_list: "",
        file_hash: "",
        device_id: &story.device_id,
        machine_group: story.group,
        description: detection.description,
        device_created_machine_tags: "",
        cloud_created_machine_tags: "",
        command_line: "",
        incident_link_to_wdatp: format!(
            "https://securitycenter.windows.com/incidents/byalert?alertId={id}&source=SIEM"
        ),
        report_id,
        link_to_mtp: format!("https://security.microsoft.com/alert/{id}"),
        incident_link_to_mtp: format!(
            "https://security.microsoft.com/incidents/byalert?alertId={id}&source=SIEM"
        ),
        external_id,
        ioc_unique_id: &indicator,
    };
    match detection.scene {
        Scene::Process {
            image,
            folder,
            command,
            ..
        } => {
            alert.file_name = image;
            alert.file_path = folder;
            alert.command_line = command;
            alert.user_name = &story.account;
            alert.user_domain = "CONTOSO";
            alert.sha1 = &story.sha1;
            alert.file_hash = &story.sha1;
        }
        Scene::Malware {
            threat,
            family,
            kind,
            file,
        } => {
            alert.source = "Antivirus";
            alert.threat_name = threat;
            alert.threat_family = family;
            alert.threat_category = kind;
            alert.file_name = file;
            alert.file_path = "C:\\Users\\Public\\Downloads";
            alert.remediation_action = "Quarantine";
            alert.remediation_is_success = Some(success);
            alert.was_executing_while_detected = Some(running);
            alert.sha1 = &story.sha1;
            alert.file_hash = &story.sha1;
            alert.sha256 = &story.sha256;
            alert.md5 = &story.md5;
        }
        Scene::Network { url } => {
            alert.url = url;
            alert.ip_address = &story.external_ip;
        }
        Scene::Registry { data, .. } => {
            alert.file_name = "reg.exe";
            alert.file_path = "C:\\Windows\\System32";
            alert.command_line = data;
            alert.user_name = &story.account;
            alert.user_domain = "CONTOSO";
        }
        Scene::SignIn
        | Scene::Message { .. }
        | Scene::CloudApp { .. }
        | Scene::CloudResource { .. } => {}
    }
    super::to_json(&alert, out);
}
