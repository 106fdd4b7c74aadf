//! How fast the whole path is, beside a plain parse of the same bytes in the same run.
//!
//! Absolute times say little on a machine that others use too; the ratio to [`serde_json::Value`] over the same payloads,
//! measured in turns, says much.

use dsm::output::leef::LeefOutput;
use dsm::{Mapping, Normalizer, Payload, Status};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The seed of the generator.
pub const SEED: u64 = 0x00d5_317e;

/// A corpus and how it fared.
#[derive(Debug)]
pub struct Measurement {
    /// Name of the corpus.
    pub corpus: &'static str,
    /// Payloads in it.
    pub payloads: usize,
    /// Bytes in it.
    pub bytes: usize,
    /// Median time of the plain parse.
    pub parse: Duration,
    /// Median time from payload bytes to LEEF bytes.
    pub whole: Duration,
    /// Median of the ratios of the rounds: plain parse over whole path. Above 1 the engine is faster.
    pub ratio: f64,
    /// Events that were mapped, to show that the work was done.
    pub mapped: usize,
}

/// Runs all corpora.
///
/// # Errors
/// The LEEF options contradict each other, which they do not.
pub fn run(
    mapping: &Mapping,
    payloads: usize,
    rounds: usize,
) -> Result<Vec<Measurement>, leef::OptionsError> {
    let mut measurements = Vec::new();
    for (corpus, made) in corpora(payloads) {
        measurements.push(measure(mapping, corpus, &made, rounds)?);
    }
    Ok(measurements)
}

/// The payloads that the generator makes, by corpus.
pub fn corpora(payloads: usize) -> Vec<(&'static str, Vec<String>)> {
    [
        ("siem alerts", siem as fn(&mut Random) -> String),
        ("graph alerts", graph),
        ("streaming records", streaming),
    ]
    .into_iter()
    .map(|(name, make)| {
        let mut random = Random(SEED);
        (name, (0..payloads).map(|_| make(&mut random)).collect())
    })
    .collect()
}

fn measure(
    mapping: &Mapping,
    corpus: &'static str,
    payloads: &[String],
    rounds: usize,
) -> Result<Measurement, leef::OptionsError> {
    let mut leef = LeefOutput::new(leef::WriterOptions::default())?;
    let mut normalizer = Normalizer::new(mapping);
    let mut line = Vec::new();
    let mut mapped = 0;
    let received = crate::snapshot::received();
    let mut whole = || {
        mapped = 0;
        for text in payloads {
            let payload = Payload::decode(black_box(text.as_bytes()));
            let event = normalizer.normalize(&payload, received);
            mapped += usize::from(event.status == Status::Mapped);
            line.clear();
            // A refused event would show as a missing line in the snapshots; here only the time counts.
            let _ = black_box(leef.write(&event, &mut line));
            black_box(&line);
        }
    };
    let plain = || {
        for text in payloads {
            let _ = black_box(serde_json::from_slice::<serde_json::Value>(black_box(
                text.as_bytes(),
            )));
        }
    };
    whole();
    plain();
    let mut times: Vec<(Duration, Duration)> = Vec::new();
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        plain();
        let parse = start.elapsed();
        let start = Instant::now();
        whole();
        times.push((parse, start.elapsed()));
    }
    let mut ratios: Vec<f64> = times
        .iter()
        .map(|(parse, whole)| parse.as_secs_f64() / whole.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut list: Vec<Duration> = times.iter().map(pick).collect();
        list.sort_unstable();
        list[list.len() / 2]
    };
    Ok(Measurement {
        corpus,
        payloads: payloads.len(),
        bytes: payloads.iter().map(String::len).sum(),
        parse: median(|times| times.0),
        whole: median(|times| times.1),
        ratio: ratios[ratios.len() / 2],
        mapped,
    })
}

/// The measurements as a table.
pub fn table(measurements: &[Measurement]) -> String {
    let per_second = |count: usize, time: Duration| {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = count as f64 / time.as_secs_f64();
        rate
    };
    let mut rows = vec![[
        "CORPUS".to_owned(),
        "PAYLOADS".to_owned(),
        "BYTES EACH".to_owned(),
        "MAPPED".to_owned(),
        "EVENTS/S".to_owned(),
        "MB/S".to_owned(),
        "PLAIN PARSE/S".to_owned(),
        "RATIO".to_owned(),
    ]];
    for m in measurements {
        rows.push([
            m.corpus.to_owned(),
            m.payloads.to_string(),
            (m.bytes / m.payloads.max(1)).to_string(),
            m.mapped.to_string(),
            format!("{:.0}", per_second(m.payloads, m.whole)),
            format!("{:.0}", per_second(m.bytes, m.whole) / 1e6),
            format!("{:.0}", per_second(m.payloads, m.parse)),
            format!("{:.2}", m.ratio),
        ]);
    }
    let mut out = String::new();
    crate::snapshot::table(&mut out, &rows);
    out
}

/// A small generator (xorshift64*), so that corpora are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let index = self.below(list.len() as u64);
        list[usize::try_from(index).unwrap_or_default()]
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }

    fn guid(&mut self) -> String {
        let hex = self.hex(32);
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    fn time(&mut self) -> String {
        format!(
            "2026-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
            1 + self.below(12),
            1 + self.below(28),
            self.below(24),
            self.below(60),
            self.below(60),
            self.below(10_000_000)
        )
    }

    fn ip(&mut self) -> String {
        format!("198.51.100.{}", self.below(256))
    }

    fn host(&mut self) -> String {
        format!("host-{:04}.corp.example.com", self.below(10_000))
    }

    fn user(&mut self) -> String {
        format!("user{:04}", self.below(10_000))
    }

    fn command(&mut self) -> String {
        let tool = self.pick(&[
            "powershell.exe -NoProfile -EncodedCommand",
            "cmd.exe /c",
            "rundll32.exe",
            "wscript.exe",
        ]);
        format!("C:\\\\Windows\\\\System32\\\\{tool} {}", self.hex(64))
    }
}

const CATEGORIES: &[&str] = &[
    "Malware",
    "Execution",
    "Persistence",
    "CredentialAccess",
    "LateralMovement",
    "DefenseEvasion",
];
const TITLES: &[&str] = &[
    "Suspicious process injection observed",
    "A credential theft tool was detected",
    "Unusual sign-in from a new location",
    "Malware was prevented from running",
];

fn siem(r: &mut Random) -> String {
    let (host, user, id, sha1, ioc) = (r.host(), r.user(), r.hex(18), r.hex(40), r.hex(43));
    let machine = host.split('.').next().unwrap_or_default().to_owned();
    format!(
        r#"{{"AlertTime":"{time}","ComputerDnsName":"{host}","AlertTitle":"{title}","Category":"{category}","Severity":"{severity}","AlertId":"da{id}_1","Actor":"","LinkToWDATP":"https://security.example.com/alert/da{id}_1","IocName":"","IocValue":"","CreatorIocName":"","CreatorIocValue":"","Sha1":"{sha1}","FileName":"cmd.exe","FilePath":"C:\\Windows\\System32","IpAddress":"{remote}","Url":"https://www.example.net/{ioc}","IoaDefinitionId":"{detector}","UserName":"{user}","AlertPart":0,"FullId":"da{id}_1:{ioc}=","LastProcessedTimeUtc":"{processed}","ThreatCategory":"","ThreatFamily":"","ThreatName":"","RemediationAction":"","RemediationIsSuccess":null,"Source":"EDR","Md5":"{md5}","Sha256":"{sha256}","WasExecutingWhileDetected":null,"UserDomain":"CORP","LogOnUsers":"corp\\{user}","MachineDomain":"corp.example.com","MachineName":"{machine}","InternalIPv4List":"10.1.2.{octet};127.0.0.1","InternalIPv6List":"fe80::1;::1","FileHash":"{sha1}","DeviceID":"{device}","MachineGroup":"Workstations","Description":"{title} on a monitored device. Investigate the process tree.","DeviceCreatedMachineTags":"","CloudCreatedMachineTags":"","CommandLine":"{command}","IncidentLinkToWDATP":"https://security.example.com/incidents/byalert?alertId=da{id}_1&source=SIEM","ReportID":{report},"LinkToMTP":"https://security.example.com/alert/da{id}_1","IncidentLinkToMTP":"https://security.example.com/incidents/byalert?alertId=da{id}_1&source=SIEM","ExternalId":"{external}","IocUniqueId":"{ioc}="}}"#,
        time = r.time(),
        title = r.pick(TITLES),
        category = r.pick(CATEGORIES),
        severity = r.pick(&["High", "Medium", "Low", "Informational"]),
        remote = r.ip(),
        detector = r.guid(),
        processed = r.time(),
        md5 = r.hex(32),
        sha256 = r.hex(64),
        octet = r.below(256),
        device = r.hex(40),
        command = r.command(),
        report = r.below(1 << 31),
        external = r.hex(40).to_uppercase(),
    )
}

fn graph(r: &mut Random) -> String {
    let count = 1 + r.below(8);
    let mut evidence = Vec::new();
    for index in 0..count {
        // The device comes first, as with alerts of an endpoint.
        let kind = if index == 0 { 0 } else { r.below(5) };
        evidence.push(graph_evidence(r, kind));
    }
    let id = r.hex(18);
    format!(
        r#"{{"id":"da{id}_1","providerAlertId":"{id}_1","incidentId":"{incident}","status":"new","severity":"{severity}","classification":null,"determination":null,"serviceSource":"microsoftDefenderForEndpoint","detectionSource":"microsoftDefenderForEndpoint","productName":"Microsoft Defender for Endpoint","detectorId":"{detector}","tenantId":"{tenant}","title":"{title}","description":"{title}. The activity was seen on a monitored device.","recommendedActions":"1. Validate the alert.\n2. Isolate the device.\n3. Reset the credentials of the user.","category":"{category}","assignedTo":null,"alertWebUrl":"https://security.example.com/alerts/da{id}_1","incidentWebUrl":"https://security.example.com/incidents/{incident}","actorDisplayName":null,"threatDisplayName":null,"threatFamilyName":null,"mitreTechniques":["T1059.001","T1055"],"createdDateTime":"{created}","lastUpdateDateTime":"{updated}","resolvedDateTime":null,"firstActivityDateTime":"{first}","lastActivityDateTime":"{last}","systemTags":[],"alertPolicyId":null,"investigationState":"queued","additionalData":null,"comments":[],"evidence":[{evidence}]}}"#,
        incident = r.below(100_000),
        severity = r.pick(&["high", "medium", "low", "informational"]),
        detector = r.guid(),
        tenant = r.guid(),
        title = r.pick(TITLES),
        category = r.pick(CATEGORIES),
        created = r.time(),
        updated = r.time(),
        first = r.time(),
        last = r.time(),
        evidence = evidence.join(","),
    )
}

fn graph_evidence(r: &mut Random, kind: u64) -> String {
    let common = format!(
        r#""createdDateTime":"{}","verdict":"suspicious","remediationStatus":"active","remediationStatusDetails":null,"roles":[],"detailedRoles":[],"tags":[]"#,
        r.time()
    );
    let device = r.hex(40);
    match kind {
        0 => format!(
            r##"{{"@odata.type":"#microsoft.graph.security.deviceEvidence",{common},"firstSeenDateTime":"{seen}","mdeDeviceId":"{device}","azureAdDeviceId":null,"deviceDnsName":"{host}","hostName":"host","ntDomain":null,"dnsDomain":"corp.example.com","osPlatform":"Windows11","osBuild":22631,"version":"23H2","healthStatus":"active","riskScore":"high","rbacGroupId":75,"rbacGroupName":"Workstations","onboardingStatus":"onboarded","defenderAvStatus":"updated","ipInterfaces":["10.1.2.3","fe80::1"],"lastIpAddress":"{ip}","lastExternalIpAddress":"203.0.113.7","loggedOnUsers":[{{"accountName":"{user}","domainName":"CORP"}}],"vmMetadata":null}}"##,
            seen = r.time(),
            host = r.host(),
            ip = r.ip(),
            user = r.user(),
        ),
        1 => format!(
            r##"{{"@odata.type":"#microsoft.graph.security.processEvidence",{common},"processId":{pid},"parentProcessId":668,"processCommandLine":"{command}","processCreationDateTime":"{start}","parentProcessCreationDateTime":"{parent}","detectionStatus":"detected","mdeDeviceId":"{device}","imageFile":{image},"parentProcessImageFile":{parent_image},"userAccount":{account}}}"##,
            pid = r.below(65_536),
            command = r.command(),
            start = r.time(),
            parent = r.time(),
            image = file_details(r, "powershell.exe"),
            parent_image = file_details(r, "winword.exe"),
            account = account(r),
        ),
        2 => format!(
            r##"{{"@odata.type":"#microsoft.graph.security.fileEvidence",{common},"detectionStatus":"detected","mdeDeviceId":"{device}","fileDetails":{file}}}"##,
            file = file_details(r, "payload.dll"),
        ),
        3 => format!(
            r##"{{"@odata.type":"#microsoft.graph.security.userEvidence",{common},"stream":null,"userAccount":{account}}}"##,
            account = account(r),
        ),
        _ => format!(
            r##"{{"@odata.type":"#microsoft.graph.security.ipEvidence",{common},"ipAddress":"{ip}","countryLetterCode":"NL","location":null,"stream":null}}"##,
            ip = r.ip(),
        ),
    }
}

fn file_details(r: &mut Random, name: &str) -> String {
    format!(
        r#"{{"sha1":"{}","sha256":"{}","md5":"{}","sha256Ac":null,"fileName":"{name}","filePath":"C:\\Windows\\System32","fileSize":{},"filePublisher":"Example Corporation","signer":null,"issuer":null}}"#,
        r.hex(40),
        r.hex(64),
        r.hex(32),
        r.below(1 << 24)
    )
}

fn account(r: &mut Random) -> String {
    let user = r.user();
    format!(
        r#"{{"accountName":"{user}","domainName":"CORP","userSid":"S-1-5-21-1-2-3-{}","azureAdUserId":"{}","userPrincipalName":"{user}@example.com","displayName":"{user}"}}"#,
        r.below(100_000),
        r.guid()
    )
}

fn streaming(r: &mut Random) -> String {
    let (host, user) = (r.host(), r.user());
    let (table, own) = match r.below(3) {
        0 => (
            "DeviceProcessEvents",
            format!(
                r#""ActionType":"ProcessCreated","FileName":"cmd.exe","FolderPath":"C:\\Windows\\System32\\cmd.exe","SHA1":"{}","SHA256":"{}","MD5":"{}","FileSize":289792,"ProcessId":{},"ProcessCommandLine":"{}","ProcessIntegrityLevel":"High","ProcessTokenElevation":"TokenElevationTypeDefault","ProcessCreationTime":"{}","AccountDomain":"corp","AccountName":"{user}","AccountSid":"S-1-5-18","LogonId":999"#,
                r.hex(40),
                r.hex(64),
                r.hex(32),
                r.below(65_536),
                r.command(),
                r.time()
            ),
        ),
        1 => (
            "DeviceNetworkEvents",
            format!(
                r#""ActionType":"ConnectionSuccess","RemoteIP":"{}","RemotePort":443,"RemoteUrl":"www.example.net","LocalIP":"10.1.2.3","LocalPort":{},"Protocol":"Tcp","LocalIPType":"Private","RemoteIPType":"Public""#,
                r.ip(),
                r.below(65_536)
            ),
        ),
        _ => (
            "DeviceLogonEvents",
            format!(
                r#""ActionType":"LogonSuccess","LogonType":"Network","AccountDomain":"corp","AccountName":"{user}","AccountSid":"S-1-5-18","Protocol":"NTLM","FailureReason":null,"IsLocalAdmin":false,"LogonId":999,"RemoteDeviceName":"","RemoteIP":"{}","RemoteIPType":"Private","RemotePort":0"#,
                r.ip()
            ),
        ),
    };
    format!(
        r#"{{"time":"{time}","tenantId":"{tenant}","operationName":"Publish","category":"AdvancedHunting-{table}","_TimeReceivedBySvc":"{time}","properties":{{"Timestamp":"{stamp}","DeviceId":"{device}","DeviceName":"{host}",{own},"InitiatingProcessAccountDomain":"corp","InitiatingProcessAccountName":"{user}","InitiatingProcessAccountSid":"S-1-5-21-1","InitiatingProcessSHA1":"{sha1}","InitiatingProcessSHA256":"{sha256}","InitiatingProcessMD5":"{md5}","InitiatingProcessFileName":"explorer.exe","InitiatingProcessFileSize":5000000,"InitiatingProcessId":{pid},"InitiatingProcessCommandLine":"C:\\Windows\\explorer.exe","InitiatingProcessCreationTime":"{start}","InitiatingProcessFolderPath":"c:\\windows\\explorer.exe","InitiatingProcessParentId":668,"InitiatingProcessParentFileName":"userinit.exe","InitiatingProcessParentCreationTime":"{start}","ReportId":{report},"AppGuardContainerId":"","AdditionalFields":"{{\"a\":\"b\"}}","MachineGroup":"Workstations"}},"Tenant":"DefaultTenant"}}"#,
        time = r.time(),
        tenant = r.guid(),
        stamp = r.time(),
        device = r.hex(40),
        sha1 = r.hex(40),
        sha256 = r.hex(64),
        md5 = r.hex(32),
        pid = r.below(65_536),
        start = r.time(),
        report = r.below(1 << 31),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_payloads_are_json_and_the_same_in_every_run() {
        for make in [siem as fn(&mut Random) -> String, graph, streaming] {
            let (mut a, mut b) = (Random(SEED), Random(SEED));
            for _ in 0..200 {
                let payload = make(&mut a);
                assert_eq!(payload, make(&mut b));
                assert!(
                    serde_json::from_str::<serde_json::Value>(&payload).is_ok(),
                    "{payload}"
                );
            }
        }
    }
}
