//! The payloads themselves.

use std::fmt::Write as _;

/// A small generator (xorshift64*), so that corpora are the same everywhere.
pub(super) struct Random(pub(super) u64);

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

pub(super) fn siem(r: &mut Random) -> String {
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

pub(super) fn graph(r: &mut Random) -> String {
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

pub(super) fn streaming(r: &mut Random) -> String {
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

pub(super) fn vpn(r: &mut Random) -> String {
    let (host, user, tunnel) = (r.host(), r.user(), r.below(10_000));
    let head = format!(
        "<134>1 {} vpn-{:02}.corp.example.com",
        r.time(),
        r.below(20)
    );
    let machine = host.split('.').next().unwrap_or_default();
    let (client, port, octet) = (r.ip(), 1024 + r.below(60_000), r.below(256));
    match r.below(4) {
        0 => format!(
            "{head} exvpnd[611]: event=tunnel-up;time={time};tid=T-0000-{tunnel:04};user={user};realm=CONTOSO;group=Finance;client={client};cport={port};inner=10.8.0.{octet};gw=203.0.113.2;gport=4500;proto=17;host={machine};mac=00:00:5e:00:53:{octet:02x}",
            time = 1_767_225_600 + r.below(10_000_000),
        ),
        1 => format!(
            "{head} exvpnd[611]: event=auth-fail;time={time};user={user};realm=CONTOSO;client={client};cport={port};gw=203.0.113.2;gport=443;proto=6;reason=bad password",
            time = r.time(),
        ),
        2 => format!(
            "{head} exvpnd[611]: event=tunnel-down;time={time};tid=T-0000-{tunnel:04};user={user};client={client};inner=10.8.0.{octet};in={received};out={sent};reason=user request",
            time = r.time(),
            received = r.below(1 << 30),
            sent = r.below(1 << 30),
        ),
        _ => format!(
            "{head} exvpn-acct: stop,{day:02}.03.2026 12:00:01 +0100,{day:02}.03.2026 08:00:02 +0100,T-0000-{tunnel:04},{user},{client},10.8.0.{octet},{received},{sent},user request",
            day = 1 + r.below(28),
            received = r.below(1 << 30),
            sent = r.below(1 << 30),
        ),
    }
}

pub(super) fn sshd(r: &mut Random) -> String {
    let (time, user, client, port) = (r.time(), r.user(), r.ip(), 1024 + r.below(60_000));
    let head = format!(
        "<38>1 {time} host-{:04}.corp.example.com sshd {} - -",
        r.below(10_000),
        r.below(65_536)
    );
    match r.below(5) {
        0 => format!("{head} Accepted password for {user} from {client} port {port} ssh2"),
        1 => format!(
            "{head} Accepted publickey for {user} from {client} port {port} ssh2: ED25519 SHA256:{}",
            r.hex(43)
        ),
        2 => format!("{head} Failed password for {user} from {client} port {port} ssh2"),
        3 => {
            format!("{head} Failed password for invalid user {user} from {client} port {port} ssh2")
        }
        _ => format!(
            "{head} pam_unix(sshd:session): session opened for user {user}(uid={}) by {user}(uid=0)",
            r.below(65_536)
        ),
    }
}

/// A SIEM alert whose first member is a nest of arrays, closed or not.
pub(super) fn nested(r: &mut Random, depth: usize, closed: bool) -> Vec<u8> {
    let alert = siem(r);
    let close = if closed {
        "]".repeat(depth) + ","
    } else {
        String::new()
    };
    format!(r#"{{"x":{}{close}{}"#, "[".repeat(depth), &alert[1..]).into_bytes()
}

/// A SIEM alert with every member twice; the later one counts.
pub(super) fn twice(r: &mut Random) -> Vec<u8> {
    let (first, second) = (siem(r), siem(r));
    format!("{},{}", &first[..first.len() - 1], &second[1..]).into_bytes()
}

/// A SIEM alert with a description in which every character is an escape.
pub(super) fn escaped(r: &mut Random) -> Vec<u8> {
    let alert = siem(r);
    let mut text = String::new();
    for _ in 0..200 {
        let _ = write!(text, "\\u{:04x}\\n\\\"", 0x400 + r.below(0x50));
    }
    let description = format!(r#""Description":"{text}"#);
    alert
        .replacen(r#""Description":""#, &description, 1)
        .into_bytes()
}

/// A SIEM alert with a byte that is not UTF-8 in every hundred.
pub(super) fn not_utf8(r: &mut Random) -> Vec<u8> {
    let mut alert = siem(r).into_bytes();
    for _ in 0..alert.len() / 100 {
        let at = r.below(alert.len() as u64);
        let byte = &mut alert[usize::try_from(at).unwrap_or_default()];
        // Letters only: the JSON stays JSON.
        if byte.is_ascii_alphanumeric() {
            *byte = 0xe9;
        }
    }
    alert
}

/// A SIEM alert that breaks off somewhere.
pub(super) fn truncated(r: &mut Random) -> Vec<u8> {
    let mut alert = siem(r).into_bytes();
    let length = 1 + r.below(alert.len() as u64 - 1);
    alert.truncate(usize::try_from(length).unwrap_or_default());
    alert
}

/// A Graph alert of exactly so many bytes (at least 1,000), filled up with evidences or with one long text.
pub(super) fn graph_of_size(r: &mut Random, bytes: usize, evidences: bool) -> Vec<u8> {
    let mut evidence = String::new();
    // What is around the evidences takes less than this.
    while evidences && evidence.len() + 2_400 < bytes {
        let kind = r.below(5);
        if !evidence.is_empty() {
            evidence.push(',');
        }
        evidence.push_str(&graph_evidence(r, kind));
    }
    let mut alert = format!(
        r#"{{"id":"da{id}_1","incidentId":"{incident}","status":"new","severity":"high","serviceSource":"microsoftDefenderForEndpoint","title":"{title}","category":"{category}","createdDateTime":"{created}","firstActivityDateTime":"{first}","evidence":[{evidence}],"description":"#,
        id = r.hex(18),
        incident = r.below(100_000),
        title = r.pick(TITLES),
        category = r.pick(CATEGORIES),
        created = r.time(),
        first = r.time(),
    );
    alert.push('"');
    while alert.len() + 2 < bytes {
        alert.push_str(
            &"The activity was seen on a monitored device. "[..45.min(bytes - alert.len() - 2)],
        );
    }
    alert.push_str("\"}");
    alert.into_bytes()
}
