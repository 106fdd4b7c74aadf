//! An alert of Microsoft Graph, `alerts_v2`, with evidence of several types.

use super::story::{DETECTIONS, Detection, Scene, Story, TENANT};
use super::{Made, Origin};
use crate::random::{Random, word};
use serde::Serialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    id: String,
    provider_alert_id: String,
    incident_id: String,
    status: &'a str,
    severity: String,
    classification: Option<&'a str>,
    determination: Option<&'a str>,
    service_source: &'a str,
    detection_source: &'a str,
    product_name: &'a str,
    detector_id: &'a str,
    tenant_id: &'a str,
    title: &'a str,
    description: &'a str,
    recommended_actions: &'a str,
    category: &'a str,
    categories: [&'a str; 1],
    assigned_to: Option<&'a str>,
    alert_web_url: String,
    incident_web_url: String,
    actor_display_name: Option<&'a str>,
    threat_display_name: Option<&'a str>,
    threat_family_name: Option<&'a str>,
    mitre_techniques: &'a [&'a str],
    created_date_time: String,
    last_update_date_time: String,
    resolved_date_time: Option<String>,
    first_activity_date_time: String,
    last_activity_date_time: String,
    alert_policy_id: Option<&'a str>,
    investigation_state: Option<&'a str>,
    system_tags: Vec<String>,
    additional_data: Option<Value>,
    custom_details: Map<String, Value>,
    comments: Vec<Value>,
    evidence: Vec<Value>,
}

/// A product of the Defender family: `serviceSource`, `detectionSource`, `productName`.
struct Product(&'static str, &'static str, &'static str);

fn product(scene: &Scene) -> Product {
    match scene {
        Scene::Malware { .. } => Product(
            "microsoftDefenderForEndpoint",
            "antivirus",
            "Microsoft Defender for Endpoint",
        ),
        Scene::Process { .. } | Scene::Network { .. } | Scene::Registry { .. } => Product(
            "microsoftDefenderForEndpoint",
            "microsoftDefenderForEndpoint",
            "Microsoft Defender for Endpoint",
        ),
        Scene::SignIn => Product(
            "azureAdIdentityProtection",
            "azureAdIdentityProtection",
            "Microsoft Entra ID Protection",
        ),
        Scene::Message { .. } => Product(
            "microsoftDefenderForOffice365",
            "microsoftDefenderForOffice365",
            "Microsoft Defender for Office 365",
        ),
        Scene::CloudApp { .. } => Product(
            "microsoftDefenderForCloudApps",
            "cloudAppSecurity",
            "Microsoft Defender for Cloud Apps",
        ),
        // Both were added behind the sentinel: they are only named to clients that ask for unknown members.
        Scene::CloudResource { .. } => Product(
            "microsoftDefenderForCloud",
            "microsoftDefenderForStorage",
            "Microsoft Defender for Cloud",
        ),
    }
}

fn identifiers(origin: &Origin) -> (String, String) {
    let mut random = Random::new(&[origin.seed, word("graph"), origin.number]);
    let provider = random.guid();
    (format!("da{provider}_1"), provider)
}

/// The identifier together with the time of the last change: an alert that changes is served anew.
pub(super) fn key(made: &Made<'_>) -> String {
    format!("{}|{}", identifiers(made.origin).0, made.updated)
}

pub(super) fn write(made: &Made<'_>, out: &mut Vec<u8>) {
    let Origin { ready, .. } = *made.origin;
    let story = Story::new(&made.origin.words(), DETECTIONS.len(), ready);
    let (id, provider_alert_id) = identifiers(made.origin);
    let Detection {
        title,
        description,
        category,
        severity,
        techniques,
        ref scene,
    } = *story.detection;
    let Product(mut service_source, mut detection_source, product_name) = product(scene);
    if matches!(scene, Scene::CloudResource { .. }) && !made.view.unknown_members {
        service_source = "unknownFutureValue";
        detection_source = "unknownFutureValue";
    }
    let threat = match *scene {
        Scene::Malware { threat, family, .. } => Some((threat, family)),
        _ => None,
    };
    let resolved = made.version > 1;
    let alert = Alert {
        alert_web_url: format!("https://security.microsoft.com/alerts/{id}?tid={TENANT}"),
        id,
        provider_alert_id,
        incident_id: story.incident.to_string(),
        status: if resolved { "resolved" } else { "new" },
        severity: severity.to_lowercase(),
        classification: resolved.then_some("truePositive"),
        determination: resolved.then_some("securityTesting"),
        service_source,
        detection_source,
        product_name,
        detector_id: &story.detector,
        tenant_id: TENANT,
        title,
        description,
        recommended_actions: "1. Look at the evidence.\n2. Ask the person.\n3. Isolate the device if in doubt.",
        category,
        categories: [category],
        assigned_to: resolved.then_some("soc@contoso.example"),
        incident_web_url: format!(
            "https://security.microsoft.com/incidents/{}?tid={TENANT}",
            story.incident
        ),
        actor_display_name: None,
        threat_display_name: threat.map(|(threat, _)| threat),
        threat_family_name: threat.map(|(_, family)| family),
        mitre_techniques: techniques,
        created_date_time: ready.to_string(),
        last_update_date_time: made.updated.to_string(),
        resolved_date_time: resolved.then(|| made.updated.to_string()),
        first_activity_date_time: story.happened.to_string(),
        last_activity_date_time: story.noticed.to_string(),
        alert_policy_id: None,
        investigation_state: None,
        system_tags: Vec::new(),
        additional_data: None,
        custom_details: Map::new(),
        comments: if resolved {
            vec![json!({
                "comment": "Exercise, closed",
                "createdByDisplayName": "SOC",
                "createdDateTime": made.updated,
            })]
        } else {
            Vec::new()
        },
        evidence: evidence(&story, &ready.to_string()),
    };
    super::to_json(&alert, out);
}

/// A piece of evidence: what all types have, then its own members.
fn piece(kind: &str, created: &str, verdict: &str, roles: &[&str], own: Value) -> Value {
    let mut piece = json!({
        "@odata.type": format!("#microsoft.graph.security.{kind}"),
        "createdDateTime": created,
        "verdict": verdict,
        "remediationStatus": "none",
        "remediationStatusDetails": null,
        "roles": roles,
        "detailedRoles": [],
        "tags": [],
    });
    if let (Some(all), Value::Object(own)) = (piece.as_object_mut(), own) {
        all.extend(own);
    }
    piece
}

fn account(story: &Story) -> Value {
    json!({
        "accountName": story.account,
        "activeDirectoryObjectGuid": null,
        "azureAdUserId": story.object_id(),
        "displayName": format!("{} {}", story.first_name, story.last_name),
        "domainName": "CONTOSO",
        "resourceAccessEvents": [],
        "tenantId": TENANT,
        "userPrincipalName": story.principal(),
        "userSid": story.sid(),
    })
}

fn file(story: &Story, name: &str, folder: &str) -> Value {
    json!({
        "fileName": name,
        "filePath": folder,
        "filePublisher": null,
        "fileSize": 40_000 + u64::from(story.process_id) * 7,
        "issuer": null,
        "md5": story.md5,
        "sha1": story.sha1,
        "sha256": story.sha256,
        "sha256Ac": null,
        "signer": null,
    })
}

fn device(story: &Story, created: &str) -> Value {
    let own = json!({
        "azureAdDeviceId": Random::new(&[word(&story.host)]).guid(),
        "defenderAvStatus": "updated",
        "deviceDnsName": story.domain_name(),
        "dnsDomain": "contoso.example",
        "firstSeenDateTime": "2025-11-02T08:00:11.5270201Z",
        "healthStatus": "active",
        "hostName": story.host,
        "ipInterfaces": [story.internal_ip, "127.0.0.1"],
        "lastExternalIpAddress": "192.0.2.44",
        "lastIpAddress": story.internal_ip,
        "loggedOnUsers": [{"accountName": story.account, "domainName": "CONTOSO"}],
        "mdeDeviceId": story.device_id,
        "ntDomain": "CONTOSO",
        "onboardingStatus": "onboarded",
        "osBuild": 26100,
        "osPlatform": "Windows11",
        "rbacGroupId": 75,
        "rbacGroupName": story.group,
        "resourceAccessEvents": [],
        "riskScore": "medium",
        "version": "24H2",
        "vmMetadata": null,
    });
    piece("deviceEvidence", created, "unknown", &["compromised"], own)
}

fn evidence(story: &Story, created: &str) -> Vec<Value> {
    let user = |roles: &[&str]| {
        let own = json!({"stream": null, "userAccount": account(story)});
        piece("userEvidence", created, "suspicious", roles, own)
    };
    let ip = |roles: &[&str]| {
        let own = json!({
            "countryLetterCode": "NO",
            "ipAddress": story.external_ip,
            "location": {
                "city": "Bodø", "countryName": "Norway", "state": "Nordland",
                "latitude": 67.28, "longitude": 14.4,
            },
            "stream": null,
        });
        piece("ipEvidence", created, "suspicious", roles, own)
    };
    let url = |url: &str| {
        piece(
            "urlEvidence",
            created,
            "malicious",
            &[],
            json!({"url": url}),
        )
    };
    match story.detection.scene {
        Scene::Process {
            image,
            folder,
            command,
            parent,
        } => {
            let own = json!({
                "detectionStatus": "detected",
                "imageFile": file(story, image, folder),
                "mdeDeviceId": story.device_id,
                "parentProcessCreationDateTime": story.happened,
                "parentProcessId": story.process_id / 2,
                "parentProcessImageFile": file(story, parent, "C:\\Windows"),
                "processCommandLine": command,
                "processCreationDateTime": story.happened,
                "processId": story.process_id,
                "userAccount": account(story),
            });
            vec![
                device(story, created),
                user(&["compromised"]),
                piece("processEvidence", created, "suspicious", &[], own),
            ]
        }
        Scene::Malware { file: name, .. } => {
            let own = json!({
                "detectionStatus": "prevented",
                "fileDetails": file(story, name, "C:\\Users\\Public\\Downloads"),
                "mdeDeviceId": story.device_id,
            });
            vec![
                device(story, created),
                piece("fileEvidence", created, "malicious", &[], own),
                user(&[]),
            ]
        }
        Scene::Network { url: target } => {
            let mut list = vec![device(story, created), ip(&["destination"])];
            if !target.is_empty() {
                list.push(url(target));
            }
            list
        }
        Scene::Registry { key, name, data } => {
            let own = json!({
                "mdeDeviceId": story.device_id,
                "registryHive": "HKEY_CURRENT_USER",
                "registryKey": key,
                "registryValue": data,
                "registryValueName": name,
                "registryValueType": "String",
            });
            vec![
                device(story, created),
                user(&[]),
                piece("registryValueEvidence", created, "suspicious", &[], own),
            ]
        }
        Scene::SignIn => vec![user(&["compromised"]), ip(&["source", "attacker"])],
        Scene::Message {
            subject,
            url: target,
        } => {
            let sender = json!({
                "displayName": "Parcel service",
                "domainName": "parcel.example.net",
                "emailAddress": "notice@parcel.example.net",
            });
            let message = json!({
                "antiSpamDirection": "Inbound",
                "attachmentsCount": 0,
                "deliveryAction": "Delivered",
                "deliveryLocation": "Inbox",
                "internetMessageId": format!("<{}@parcel.example.net>", story.process_id),
                "language": "en",
                "networkMessageId": Random::new(&[word(&story.sha1)]).guid(),
                "p1Sender": sender,
                "p2Sender": sender,
                "receivedDateTime": story.happened,
                "recipientEmailAddress": story.principal(),
                "senderIp": story.external_ip,
                "subject": subject,
                "threatDetectionMethods": ["URLDetonation"],
                "threats": ["Phish"],
                "urlCount": 1,
                "urls": [target],
                "urn": null,
            });
            let mailbox = json!({
                "displayName": format!("{} {}", story.first_name, story.last_name),
                "primaryAddress": story.principal(),
                "upn": story.principal(),
                "userAccount": account(story),
            });
            vec![
                piece(
                    "analyzedMessageEvidence",
                    created,
                    "malicious",
                    &[],
                    message,
                ),
                url(target),
                piece("mailboxEvidence", created, "unknown", &[], mailbox),
            ]
        }
        Scene::CloudApp { name, id } => {
            let own = json!({
                "appId": id,
                "displayName": name,
                "instanceId": 0,
                "instanceName": "Contoso",
                "saasAppId": id,
                "stream": null,
            });
            vec![
                piece("cloudApplicationEvidence", created, "unknown", &[], own),
                user(&[]),
                ip(&["source"]),
            ]
        }
        Scene::CloudResource { name, kind } => {
            let resource = format!(
                "/subscriptions/{}/resourceGroups/rg-archive/providers/{kind}/{name}",
                Random::new(&[word(name)]).guid()
            );
            let own = json!({
                "resourceId": resource,
                "resourceName": name,
                "resourceType": kind,
            });
            vec![
                piece(
                    "azureResourceEvidence",
                    created,
                    "suspicious",
                    &["attacked"],
                    own,
                ),
                ip(&["source"]),
            ]
        }
    }
}
