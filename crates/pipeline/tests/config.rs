//! `dsmith.toml`: every fault at once, each at its place, and no secret in what is said about it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use chrono::DateTime;
use dsm::diagnostic::{Code, Diagnostics, Severity, SourceFile};
use pipeline::config::{Config, Target, load, pages, read};
use pipeline::destination::{
    Framing, Header, KafkaBrokers, KafkaOptions, KafkaSasl, KafkaTls, KeyOf, Transport,
};
use pipeline::format::{Format, Oversize};
use pipeline::group::GroupOptions;
use pipeline::store::{Limits, Store};
use protocol::Keeps;
use protocol::kafka::Mechanism;
use protocol::secret::{Secret, SecretError, SecretRef, Secrets};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const GOOD: &str = r#"
state_directory = "state"
[limits]
spool = "1 GiB"
[metrics]
address = "127.0.0.1:9464"
[log]
level = "debug"
[[destination]]
name = "qradar"
type = "syslog"
address = "qradar.example.com:514"
transport = "tls"
framing = "octet-counting"
header = "rfc5424"
facility = "local4"
severity = "info"
max_event_bytes = 1000
[[destination]]
name = "archive"
type = "file"
path = "/var/log/events.log"
format = "leef2"
delimiter = "~"
rotate_size = "10 MB"
keep = 3
[[log_source]]
identifier = "alpha"
type = "microsoft-365-defender"
protocol = "microsoft-graph-security"
destinations = ["qradar", "archive"]
credibility = 8
coalescing = true
[log_source.parameters]
tenant_id = "3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10"
client_id = "8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21"
client_secret = { env = "ALPHA_SECRET" }
eps_throttle = 700
"#;

fn parse(text: &str) -> (Config, Diagnostics) {
    read(
        &SourceFile::new("dsmith.toml", text),
        Path::new("/etc/dsmith"),
    )
}

/// The findings as `line CODE message`.
fn findings(text: &str) -> Vec<String> {
    let (_, found) = parse(text);
    found.iter().map(ToString::to_string).collect()
}

/// The only finding when a part of the good configuration is replaced.
fn finding(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let found = findings(&GOOD.replacen(from, to, 1));
    assert_eq!(found.len(), 1, "{from} -> {to}: {found:#?}");
    found[0].clone()
}

#[test]
fn a_configuration_is_read() {
    let (config, found) = parse(GOOD);
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(config.state_directory, Path::new("/etc/dsmith/state"));
    assert_eq!(config.limits.spool, 1 << 30);
    assert_eq!(config.metrics.unwrap().port(), 9464);
    let [qradar, archive] = config.destinations.as_slice() else {
        panic!("{:?}", config.destinations);
    };
    let Target::Syslog(syslog) = &qradar.target else {
        panic!("{qradar:?}");
    };
    assert_eq!(syslog.priority, 20 * 8 + 6);
    assert_eq!(syslog.header, Header::Rfc5424);
    assert!(matches!(
        &syslog.transport,
        Transport::Tls(Framing::OctetCounting, _)
    ));
    assert_eq!(qradar.limit.oversize, Oversize::Shorten);
    let header = "<166>1 1970-01-01T00:00:00.000Z alpha dsmith - - - ".len();
    assert_eq!(qradar.limit_for("alpha").bytes, Some(1000 - header));
    let Target::File(file) = &archive.target else {
        panic!("{archive:?}");
    };
    assert_eq!(file.rotate_bytes, Some(10_000_000));
    assert!(matches!(archive.format, Format::Leef(options) if options.delimiter.as_char() == '~'));
    let source = &config.log_sources[0];
    assert_eq!(source.eps(), Some(700));
    assert_eq!(
        (source.credibility, source.coalescing, source.store_payload),
        (8, true, true)
    );
    assert!(source.collects_like(&source.clone()));
}

#[test]
fn six_mistakes_are_six_findings_with_their_lines() {
    let text = GOOD
        .replace("level =", "levle =")
        .replace("\"qradar\", ", "\"qradra\", \"qradar\", ")
        .replace("credibility = 8", "credibility = 11")
        .replace("delimiter = \"~\"", "delimiter = \"~~\"")
        .replace("microsoft-graph-security", "microsoft-graph")
        .replace("address = \"qradar.example.com:514\"\n", "");
    let found = findings(&text);
    let expected = [
        (8, "CFG002"),
        (9, "CFG003"),
        (23, "CFG004"),
        (29, "CFG010"),
        (30, "CFG012"),
        (31, "CFG004"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, (number, code)) in found.iter().zip(expected) {
        assert!(
            line.starts_with(&format!("dsmith.toml:{number}:")) && line.contains(code),
            "{number} {code}: {line}"
        );
    }
}

#[test]
fn each_fault_has_its_code_and_names_the_thing() {
    for (from, to, code, named) in [
        (
            "state_directory = \"state\"\n",
            "",
            "CFG003",
            "state_directory",
        ),
        ("\"1 GiB\"", "\"a lot\"", "CFG004", "spool"),
        ("127.0.0.1:9464", "localhost", "CFG004", "address"),
        ("\"debug\"", "\"trace\"", "CFG004", "trace"),
        (
            "\"/var/log/events.log\"\n",
            "\"/var/log/events.log\"\nheader = \"ibm\"\n",
            "CFG006",
            "header",
        ),
        ("rotate_size = \"10 MB\"\n", "", "CFG006", "keep"),
        ("format = \"leef2\"\n", "", "CFG006", "delimiter"),
        ("keep = 3", "keep = 0", "CFG004", "keep"),
        (
            "max_event_bytes = 1000",
            "oversize = \"send\"",
            "CFG006",
            "max_event_bytes",
        ),
        (
            "max_event_bytes = 1000",
            "max_event_bytes = 1000\nformat = \"json\"\noversize = \"shorten\"",
            "CFG007",
            "shortened",
        ),
        (
            "max_event_bytes = 1000",
            "private_key_file = \"/k.pem\"",
            "CFG003",
            "certificate_file",
        ),
        (
            "delimiter = \"~\"",
            "delimiter = \"%\"\nsubstitution = \"percent\"",
            "CFG007",
            "%",
        ),
        (
            "max_event_bytes = 1000",
            "format = \"raw\"",
            "CFG007",
            "coalescing",
        ),
        (
            "qradar.example.com:514",
            "qradar.example.com",
            "CFG004",
            "address",
        ),
        (
            "qradar.example.com:514",
            "[2001:db8::1]:0",
            "CFG004",
            "address",
        ),
        ("type = \"file\"", "type = \"files\"", "CFG004", "files"),
        (
            "destinations = [\"qradar\", \"archive\"]",
            "destinations = []",
            "CFG004",
            "destinations",
        ),
        (
            "[\"qradar\", \"archive\"]",
            "[\"qradar\", \"archive\", \"qradar\"]",
            "CFG007",
            "twice",
        ),
        (
            "identifier = \"alpha\"",
            "identifier = \" alpha\"",
            "CFG004",
            "white space",
        ),
        (
            "eps_throttle = 700",
            "eps_throtle = 700",
            "CFG013",
            "eps_throtle",
        ),
        (
            "eps_throttle = 700",
            "eps_throttle = 0",
            "CFG015",
            "eps_throttle",
        ),
        (
            "tenant_id = \"3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10\"\n",
            "",
            "CFG014",
            "tenant_id",
        ),
        (
            "eps_throttle = 700",
            "proxy_server = \"proxy.example.com\"",
            "CFG016",
            "proxy_server",
        ),
        (
            "{ env = \"ALPHA_SECRET\" }",
            "\"hunter2!\"",
            "CFG017",
            "client_secret",
        ),
        (
            "coalescing = true",
            "coalescing = true\nenabled = false",
            "CFG022",
            "enabled",
        ),
    ] {
        let found = finding(from, to);
        assert!(
            found.contains(code) && found.contains(named),
            "{code} {named}: {found}"
        );
    }
}

#[test]
fn names_stand_for_one_thing() {
    let found = findings(&GOOD.replace("\"archive\"", "\"arc hive\""));
    assert!(
        found.len() == 1 && found[0].contains("CFG004"),
        "{found:#?}"
    );
    let twice = |table: &str| {
        let start = GOOD.find(table).unwrap();
        let end = GOOD[start + 2..]
            .find("[[")
            .map_or(GOOD.len(), |end| start + 2 + end);
        let copy = GOOD[start..end].to_owned();
        findings(&format!("{GOOD}{copy}"))
    };
    let found = twice("[[log_source]]");
    assert!(
        found.len() == 1 && found[0].contains("CFG005"),
        "{found:#?}"
    );
    // Two files of one path are another fault than two destinations of one name.
    let found = findings(&format!(
        "{GOOD}\n[[destination]]\nname = \"copy\"\ntype = \"file\"\npath = \"/var/log/events.log\"\n"
    ));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("CFG021"), "{found:#?}");
    assert!(found[1].contains("CFG007"), "{found:#?}");
    let found = findings(&format!(
        "{GOOD}\n[[destination]]\nname = \"qradar\"\ntype = \"stdout\"\n"
    ));
    assert!(
        found.len() == 1 && found[0].contains("CFG005"),
        "{found:#?}"
    );
}

#[test]
fn a_deprecated_protocol_is_a_warning_that_names_its_successors() {
    let protocol = protocol::protocols::find("microsoft-defender-endpoint-siem").unwrap();
    let successors = protocol.deprecation().unwrap().successors;
    let text = GOOD.replace("microsoft-graph-security", protocol.name());
    let (_, found) = parse(&text);
    let finding = found
        .iter()
        .find(|finding| finding.code == Code::ProtocolDeprecated)
        .unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    for successor in successors {
        assert!(finding.help.contains(successor), "{finding:?}");
    }
}

#[test]
fn a_type_without_a_mapping_is_found_when_the_mappings_are_known() {
    let (config, mut found) =
        parse(&GOOD.replace("microsoft-365-defender", "microsoft-365-defnder"));
    assert!(found.is_empty());
    config.check_types(&["openssh-server", "microsoft-365-defender"], &mut found);
    let finding = found.iter().next().unwrap();
    assert_eq!(finding.code, Code::LogSourceTypeUnknown);
    assert!(
        finding.help.contains("`microsoft-365-defender`?"),
        "{}",
        finding.help
    );
}

/// Everything that is said about a configuration, as it is shown, the text of the file included.
fn shown(text: &str) -> String {
    let (config, found) = parse(text);
    format!("{config:?}\n{found:?}")
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    const SECRET: &str = "hunter2!";
    let good = "client_secret = { env = \"ALPHA_SECRET\" }";
    for wrong in [
        "client_secret = \"hunter2!\"",
        "client_secret = 'hunter2!'",
        "client_secret = \"\"\"\nhunter2!\"\"\"",
        "client_secret = hunter2!",
        "client_secret = \"hunter2!",
        "client_secret = [\"hunter2!\"]",
        "client_secret = { value = \"hunter2!\" }",
        "client_secret = { env = \"ALPHA_SECRET\", value = \"hunter2!\" }",
        "\"client_secret\" = \"hunter2!\"",
        "client_secret = { env = \"ALPHA_SECRET\" }\nclient_secrte = \"hunter2!\"",
        "client_secrte = hunter2!",
        "client_secret = { env = \"ALPHA_SECRET\" }\nproxy-password = \"hunter2!\"",
        "client_secret = { env = \"ALPHA_SECRET\" }\nclient_secret = \"hunter2!\"",
        "client_secret.env = \"ALPHA_SECRET\"\nproxy_password.text = \"hunter2!\"",
    ] {
        let text = GOOD.replace(good, wrong);
        let (_, found) = parse(&text);
        assert!(found.has_errors(), "{wrong}");
        let shown = shown(&text);
        assert!(!shown.contains(SECRET), "{wrong}: {shown}");
        // Without the protocol nobody knows which parameters are secrets, except by their names.
        let unknown = text.replace("microsoft-graph-security", "unheard-of");
        assert!(!self::shown(&unknown).contains(SECRET), "{wrong}");
    }
    let (_, found) = parse(&GOOD.replace(good, "client_secret = \"hunter2!\""));
    let finding = found.iter().next().unwrap();
    assert!(finding.help.contains("{ env = "), "{}", finding.help);
    // The place stays where it is, and the line can be recognised.
    let label = &finding.labels[0];
    assert!(label.file.text.contains("client_secret = \"********\""));
    assert_eq!(&label.file.text[label.span.clone()], "\"********\"");
}

#[test]
fn a_secret_in_the_place_of_its_name_or_in_an_address_is_never_shown() {
    let secrets = [
        "aBc8Q~Zx4vT.1kLmN0pQrStUvWxYz_AbCdEfGhIj",
        "hunter2x",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ];
    let good = "client_secret = { env = \"ALPHA_SECRET\" }";
    let proxy = |server: &str| {
        format!("{good}\nuse_proxy = true\nproxy_port = 8080\nproxy_server = {server}")
    };
    for secret in secrets {
        for (from, to) in [
            (good, format!("client_secret = {{ env = \"{secret}\" }}")),
            (good, format!("client_secret = {{ file = \"{secret}\" }}")),
            (
                good,
                format!("client_secret = {{ file = \"/etc/dsmith/{secret}\" }}"),
            ),
            (good, format!("client_secret = {{ env = {secret} }}")),
            (good, format!("client_secret.env = \"{secret}\"")),
            (
                good,
                format!("{good}\nproxy_password = {{ env = \"{secret}\" }}"),
            ),
            (
                good,
                proxy(&format!("\"http://user:{secret}@proxy.example.com:8080\"")),
            ),
            (good, proxy(&format!("\"user:{secret}@proxy.example.com\""))),
            (good, proxy(&format!("\"user:{secret}\""))),
            (
                good,
                proxy(&format!("http://user:{secret}@proxy.example.com")),
            ),
            (
                good,
                format!("{good}\nendpoint_override = \"https://user:{secret}@127.0.0.1:8080\""),
            ),
            (
                "address = \"qradar.example.com:514\"",
                format!("address = \"user:{secret}@qradar.example.com:514\""),
            ),
            (
                "address = \"qradar.example.com:514\"",
                format!("address = user:{secret}@qradar.example.com:514"),
            ),
        ] {
            let text = GOOD.replace(from, &to);
            assert_ne!(text, GOOD);
            // Whatever else is wrong in the file is shown with the lines around it.
            for text in [
                text.clone(),
                text.replace("spool =", "spoool ="),
                text.replace("[limits]", "[limits"),
            ] {
                let (config, mut found) = parse(&text);
                config.check_surroundings(&NoSecrets, Severity::Error, &mut found);
                let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
                let shown = format!("{config:?}\n{found:?}\n{lines:?}");
                assert!(!shown.contains(secret), "{to}: {shown}");
                assert!(found.has_errors(), "{to}");
            }
        }
    }
    // The line can be found all the same, and what to do is said.
    let (config, mut found) = parse(&GOOD.replace(good, "client_secret = { env = \"hunter2x\" }"));
    config.check_surroundings(&NoSecrets, Severity::Error, &mut found);
    let line = found.iter().next().unwrap().to_string();
    assert!(
        line.contains("write where the secret is, not the secret"),
        "{line}"
    );
}

#[derive(Debug)]
struct NoSecrets;

impl Secrets for NoSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError::Missing(reference.clone()))
    }
}

#[test]
fn secrets_and_files_that_are_not_there_are_found() {
    let text = GOOD.replace("max_event_bytes = 1000", "ca_file = \"missing.pem\"");
    let (config, mut found) = parse(&text);
    assert!(found.is_empty());
    config.check_surroundings(&NoSecrets, Severity::Warning, &mut found);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(!found.has_errors());
    assert!(
        lines[0].contains("CFG018") && lines[0].contains("ALPHA_SECRET"),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("CFG019") && lines[1].contains("/etc/dsmith/missing.pem"),
        "{lines:#?}"
    );
}

const TOPIC: &str = r#"
[[destination]]
name = "topic"
type = "kafka"
bootstrap_server_list = ["broker-1.example.com:9092", "[2001:db8::1]:9092"]
topic = "alerts"
key = "alert-id"
compression = "gzip"
format = "raw"
security_protocol = "sasl-ssl"
sasl_mechanism = "scram-sha-512"
sasl_username = "dsmith"
sasl_password = { file = "secrets/kafka" }
ca_file = "ca.pem"
"#;

/// The good configuration with a topic, of which a part is replaced.
fn with_topic(from: &str, to: &str) -> String {
    assert!(TOPIC.contains(from), "{from}");
    GOOD.replace(
        "[[log_source]]",
        &format!("{}[[log_source]]", TOPIC.replace(from, to)),
    )
    .replace("\"archive\"]", "\"archive\", \"topic\"]")
    .replace("coalescing = true\n", "")
}

/// The brokers of the topic, and of the group.
fn brokers() -> KafkaBrokers {
    KafkaBrokers {
        addresses: vec![
            "broker-1.example.com:9092".into(),
            "[2001:db8::1]:9092".into(),
        ],
        tls: Some(KafkaTls {
            ca: Some("/etc/dsmith/ca.pem".into()),
            ca_only: false,
            client: None,
        }),
        sasl: Some(KafkaSasl::Password {
            mechanism: Mechanism::ScramSha512,
            user: "dsmith".into(),
            password: SecretRef::File("/etc/dsmith/secrets/kafka".into()),
        }),
    }
}

#[test]
fn a_topic_is_read_with_its_brokers_and_how_to_sign_in() {
    let (config, found) = parse(&with_topic("gzip", "zstd"));
    assert!(found.is_empty(), "{found:#?}");
    let topic = &config.destinations[2];
    let Target::Kafka(options) = &topic.target else {
        panic!("{topic:?}");
    };
    assert_eq!(
        *options,
        KafkaOptions {
            brokers: brokers(),
            topic: "alerts".into(),
            key: KeyOf::AlertId,
            compression: "zstd".into(),
        }
    );
    assert_eq!(topic.labels(), Some(KeyOf::AlertId));
    // A record need not be a line.
    assert_eq!(topic.format, Format::Verbatim);
    let mut found = Diagnostics::new();
    config.check_surroundings(&NoSecrets, Severity::Warning, &mut found);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("CFG018") && line.contains("destination `topic`"))
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("CFG019") && line.contains("ca.pem"))
    );
}

/// The topic, of which the signing in is replaced.
fn with_tokens(signing_in: &str) -> String {
    let password = "sasl_mechanism = \"scram-sha-512\"\nsasl_username = \"dsmith\"\nsasl_password = { file = \"secrets/kafka\" }\n";
    with_topic(password, signing_in)
}

const TOKENS: &str = r#"sasl_mechanism = "oauthbearer"
token_url = "https://login.example.com/t/oauth2/v2.0/token"
token_client_id = "dsmith"
token_client_secret = { env = "TOKEN_SECRET" }
token_scope = "https://contoso.servicebus.windows.net/.default"
"#;

#[test]
fn a_topic_is_signed_in_to_with_tokens() {
    let (config, found) = parse(&with_tokens(TOKENS));
    assert!(found.is_empty(), "{found:#?}");
    let topic = &config.destinations[2];
    let Target::Kafka(options) = &topic.target else {
        panic!("{topic:?}");
    };
    assert_eq!(
        options.brokers.sasl,
        Some(KafkaSasl::Token {
            url: "https://login.example.com/t/oauth2/v2.0/token".into(),
            client_id: "dsmith".into(),
            client_secret: SecretRef::Env("TOKEN_SECRET".into()),
            scope: "https://contoso.servicebus.windows.net/.default".into(),
        })
    );
    let secret = SecretRef::Env("TOKEN_SECRET".into());
    assert_eq!(topic.secret(), Some(("token_client_secret", &secret)));
    for (from, to, code, named) in [
        (
            "token_scope = \"https://contoso.servicebus.windows.net/.default\"\n",
            "",
            "CFG003",
            "token_scope",
        ),
        (
            "https://login.example.com/t/oauth2/v2.0/token",
            "http://login.example.com/t",
            "CFG004",
            "token_url",
        ),
        (
            "token_client_id",
            "sasl_username = \"x\"\ntoken_client_id",
            "CFG006",
            "sasl_username",
        ),
        ("oauthbearer", "oauth", "CFG004", "oauth"),
    ] {
        assert!(TOKENS.contains(from), "{from}");
        let found = findings(&with_tokens(&TOKENS.replace(from, to)));
        assert_eq!(found.len(), 1, "{from} -> {to}: {found:#?}");
        assert!(
            found[0].contains(code) && found[0].contains(named),
            "{found:#?}"
        );
    }
}

#[test]
fn a_topic_without_a_broker_a_name_or_a_password_is_an_error_and_no_password_is_shown() {
    for (from, to, code, named) in [
        ("topic = \"alerts\"\n", "", "CFG003", "topic"),
        (
            "\"broker-1.example.com:9092\", ",
            "\"broker-1\", ",
            "CFG004",
            "port",
        ),
        ("\"alert-id\"", "\"alert\"", "CFG004", "`key`"),
        ("sasl_username = \"dsmith\"\n", "", "CFG003", "user"),
        (
            "sasl_password = { file = \"secrets/kafka\" }\n",
            "",
            "CFG003",
            "password",
        ),
        (
            "{ file = \"secrets/kafka\" }",
            "\"hunter2-hunter2\"",
            "CFG",
            "the secret itself",
        ),
        (
            "{ file = \"secrets/kafka\" }",
            "{ path = \"hunter2\" }",
            "CFG",
            "no reference",
        ),
        ("sasl-ssl", "sasl-plaintext", "CFG006", "ca_file"),
        (
            "topic = \"alerts\"",
            "topic = \"alerts\"\naddress = \"a:1\"",
            "CFG006",
            "address",
        ),
    ] {
        let found = findings(&with_topic(from, to));
        assert_eq!(found.len(), 1, "{from} -> {to}: {found:#?}");
        assert!(
            found[0].contains(code) && found[0].contains(named),
            "{found:#?}"
        );
        assert!(!found[0].contains("hunter2"), "{found:#?}");
    }
}

const GROUP: &str = r#"
[group]
name = "collectors"
bootstrap_server_list = ["broker-1.example.com:9092", "[2001:db8::1]:9092"]
partitions = 8
security_protocol = "sasl-ssl"
sasl_mechanism = "scram-sha-512"
sasl_username = "dsmith"
sasl_password = { file = "secrets/kafka" }
ca_file = "ca.pem"
[[log_source]]
identifier = "lines"
type = "openssh-server"
protocol = "file"
destinations = ["archive"]
[log_source.parameters]
path = "lines.log"
"#;

#[test]
fn a_group_has_brokers_and_shares_the_log_sources_that_any_machine_can_go_on_with() {
    let (config, found) = parse(&format!("{GOOD}{GROUP}"));
    assert!(found.is_empty(), "{found:#?}");
    let expected = GroupOptions {
        brokers: brokers(),
        name: "collectors".into(),
        topic: "dsmith-log-sources".into(),
        partitions: 8,
        session_timeout: 10_000,
    };
    assert_eq!(config.group.as_ref().unwrap().value, expected);
    let keeps: Vec<_> = config
        .log_sources
        .iter()
        .map(|source| (source.identifier.value.as_str(), source.keeps()))
        .collect();
    // A file is on one machine.
    assert_eq!(keeps, [("alpha", Keeps::Remote), ("lines", Keeps::Here)]);
    let mut found = Diagnostics::new();
    config.check_surroundings(&NoSecrets, Severity::Warning, &mut found);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    let has = |code: &str, text: &str| {
        let mut lines = lines.iter();
        lines.any(|line| line.contains(code) && line.contains(text))
    };
    assert!(has("CFG018", "`sasl_password` of the group"), "{lines:#?}");
    assert!(has("CFG019", "the group: "), "{lines:#?}");
    let (config, _) = parse(GOOD);
    assert!(config.group.is_none());
    assert_eq!(config.log_sources[0].keeps(), Keeps::Here);
}

#[test]
fn a_group_without_a_name_brokers_or_a_password_is_an_error_and_no_password_is_shown() {
    for (from, to, code, named) in [
        ("name = \"collectors\"\n", "", "CFG003", "name"),
        (
            "\"collectors\"",
            "\"our collectors\"",
            "CFG004",
            "name of a group",
        ),
        ("\"collectors\"", "\"\"", "CFG004", "`name`"),
        (
            "partitions = 8",
            "topic = \"a/b\"",
            "CFG004",
            "topic of a group",
        ),
        ("partitions = 8", "partitions = 0", "CFG004", "partitions"),
        ("sasl_username = \"dsmith\"\n", "", "CFG003", "user"),
        ("sasl-ssl", "sasl-plaintext", "CFG006", "ca_file"),
        (
            "{ file = \"secrets/kafka\" }",
            "\"hunter2-hunter2\"",
            "CFG",
            "the secret itself",
        ),
    ] {
        assert!(GROUP.contains(from), "{from}");
        let found = findings(&format!("{GOOD}{}", GROUP.replacen(from, to, 1)));
        assert_eq!(found.len(), 1, "{from} -> {to}: {found:#?}");
        assert!(
            found[0].contains(code) && found[0].contains(named),
            "{found:#?}"
        );
        assert!(!found[0].contains("hunter2"), "{found:#?}");
    }
}

#[test]
fn old_spellings_are_read_and_the_warning_names_the_new_one_and_its_line() {
    let old = [
        ("bootstrap_server_list", "bootstrap_servers"),
        ("sasl_username", "user"),
        ("sasl_password", "password"),
    ];
    let client = "certificate_file = \"c.pem\"\nprivate_key_file = \"k.pem\"\n";
    let group = GROUP.replace(
        "ca_file = \"ca.pem\"\n",
        &format!("ca_file = \"ca.pem\"\n{client}"),
    );
    let (config, found) = parse(&format!("{GOOD}{group}"));
    assert!(found.is_empty(), "{found:#?}");
    let mut text = format!("{GOOD}{group}");
    let old = old.into_iter().chain([
        ("certificate_file", "client_certificate"),
        ("private_key_file", "client_key"),
    ]);
    for (new, old) in old {
        text = text.replace(&format!("\n{new} ="), &format!("\n{old} ="));
        let line = text
            .lines()
            .position(|line| line.starts_with(&format!("{old} =")))
            .unwrap()
            + 1;
        let found = findings(&text);
        let said = found
            .iter()
            .find(|said| said.contains(&format!("`{new}`")))
            .unwrap();
        assert!(
            said.contains("CFG025") && said.contains(&format!("`{old}`")),
            "{said}"
        );
        assert!(
            said.contains(&format!("dsmith.toml:{line}:")),
            "{line}: {said}"
        );
    }
    let (same, found) = parse(&text);
    assert_eq!(found.iter().count(), 5);
    assert!(!found.has_errors());
    assert_eq!(same.group.unwrap().value, config.group.unwrap().value);
    // Both at once are one key twice.
    let twice = text.replace(
        "user = \"dsmith\"",
        "user = \"dsmith\"\nsasl_username = \"other\"",
    );
    let found = findings(&twice);
    assert!(
        found
            .iter()
            .any(|said| said.contains("CFG007") && said.contains("the same key")),
        "{found:#?}"
    );
}

#[test]
fn words_that_are_chosen_from_a_list_are_taken_in_any_case() {
    let text = GOOD
        .replace("\"tls\"", "\"TLS\"")
        .replace("\"leef2\"", "\"LEEF2\"")
        .replace("\"rfc5424\"", "\"RFC5424\"");
    let (config, found) = parse(&text);
    assert!(found.is_empty(), "{found:#?}");
    let same = parse(GOOD).0;
    for (one, other) in config.destinations.iter().zip(&same.destinations) {
        assert_eq!(one.target, other.target);
        assert_eq!(one.format, other.format);
    }
}

#[test]
fn relp_takes_what_goes_with_acknowledgements_and_with_tls() {
    let with = |transport: &str, more: &str| {
        let text = GOOD
            .replace(
                "transport = \"tls\"",
                &format!("transport = \"{transport}\""),
            )
            .replace("framing = \"octet-counting\"\n", "")
            .replace("max_event_bytes = 1000", more);
        let (config, found) = parse(&text);
        let Target::Syslog(options) = config.destinations[0].target.clone() else {
            panic!("{config:?}");
        };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        (options.transport, found)
    };
    assert_eq!(with("relp", ""), (Transport::Relp, Vec::new()));
    let (transport, found) = with("relp-tls", "ca_file = \"ca.pem\"\nserver_name = \"siem\"");
    assert!(found.is_empty(), "{found:?}");
    let Transport::RelpTls(files) = transport else {
        panic!("{transport:?}");
    };
    assert_eq!(files.ca.as_deref(), Some(Path::new("/etc/dsmith/ca.pem")));
    assert_eq!(files.server_name.as_deref(), Some("siem"));
    for (transport, key) in [
        ("relp", "ca_file = \"ca.pem\""),
        ("relp", "server_name = \"siem\""),
        ("relp", "framing = \"newline\""),
        ("relp-tls", "confirm = \"window\""),
    ] {
        let (_, found) = with(transport, key);
        let name = key.split(' ').next().unwrap_or_default();
        assert_eq!(found.len(), 1, "{transport} {key}: {found:?}");
        assert!(found[0].contains(name), "{transport} {key}: {found:?}");
    }
}

/// A frame of RELP has 128 KiB at most, with 25 bytes around an event. Whoever sends a longer one is cut off by the server,
/// and tries it again for ever.
#[test]
fn over_relp_no_event_is_longer_than_a_frame_unless_somebody_says_so() {
    let with = |transport: &str, more: &str| {
        let text = GOOD
            .replace(
                "transport = \"tls\"",
                &format!("transport = \"{transport}\""),
            )
            .replace("framing = \"octet-counting\"\n", "")
            .replace("max_event_bytes = 1000", more);
        let (config, found) = parse(&text);
        (config.destinations[0].clone(), found.len())
    };
    let frame = (128 << 10) - 25;
    for transport in ["relp", "relp-tls"] {
        let (destination, findings) = with(transport, "");
        assert_eq!(destination.limit.bytes, Some(frame), "{transport}");
        assert_eq!(destination.limit.oversize, Oversize::Shorten);
        let without_header = destination.limit_for("alpha").bytes.unwrap();
        assert!((frame - 200..frame - 20).contains(&without_header));
        assert_eq!(findings, 0);
        let (destination, findings) = with(transport, "format = \"json\"");
        assert_eq!(destination.limit.oversize, Oversize::Refuse);
        assert_eq!(findings, 0);
        let (destination, findings) = with(transport, "oversize = \"refuse\"");
        assert_eq!(destination.limit.bytes, Some(frame), "{transport}");
        assert_eq!(destination.limit.oversize, Oversize::Refuse);
        assert_eq!(findings, 0, "it has an effect");
        let (destination, _) = with(transport, "max_event_bytes = 200000");
        assert_eq!(destination.limit.bytes, Some(200_000), "{transport}");
    }
    assert_eq!(with("tcp", "").0.limit.bytes, None);
    assert_eq!(with("tcp", "oversize = \"refuse\"").1, 1);
}

#[test]
fn a_file_of_authorities_is_trusted_besides_the_system_unless_it_alone_is_asked_for() {
    let with = |more: &str| {
        let text = GOOD.replace("max_event_bytes = 1000", more);
        let (config, found) = parse(&text);
        let Target::Syslog(options) = &config.destinations[0].target else {
            panic!("{config:?}");
        };
        let Transport::Tls(_, files) = &options.transport else {
            panic!("{options:?}");
        };
        (files.ca.is_some(), files.ca_only, found)
    };
    let (file, only, found) = with("ca_file = \"ca.pem\"");
    assert_eq!((file, only, found.is_empty()), (true, false, true));
    let (file, only, found) = with("ca_file = \"ca.pem\"\nca_file_only = true");
    assert_eq!((file, only, found.is_empty()), (true, true, true));
    let (_, _, found) = with("ca_file_only = true");
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        said[0].contains("CFG003") && said[0].contains("`ca_file`"),
        "{said:?}"
    );
}

#[test]
fn mutilated_files_are_read_without_a_panic() {
    for (at, c) in GOOD.char_indices() {
        parse(&GOOD[..at]);
        parse(&format!(
            "{}\u{201c}{}",
            &GOOD[..at],
            &GOOD[at + c.len_utf8()..]
        ));
    }
    let mut config = String::new();
    for _ in 0..2000 {
        config.push('[');
    }
    parse(&format!("x = {config}"));
}

#[test]
fn broken_toml_hides_no_other_fault_and_invents_none() {
    let found = findings(
        &GOOD
            .replace("level = \"debug\"", "level = debug")
            .replace("= 8", "= 88"),
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].contains("CFG001") && found[1].contains("CFG004"),
        "{found:#?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_finding() {
    let (config, found) = load(Path::new("/nonexistent/dsmith.toml"));
    assert!(config.is_none());
    assert_eq!(found.iter().next().unwrap().code, Code::FileUnusable);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_example_of_the_documentation_has_no_findings() {
    let (config, mut found) = load(&root().join("docs/examples/dsmith.toml"));
    config
        .unwrap()
        .check_types(&["microsoft-365-defender"], &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn configurations_in_the_text_of_the_documentation_have_no_findings() {
    for page in ["README.md", "docs/collecting.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let blocks = text.split("```toml\n").skip(1);
        let blocks: Vec<&str> = blocks
            .map(|block| block.split("```").next().unwrap())
            .filter(|block| block.starts_with("state_directory"))
            .collect();
        assert!(!blocks.is_empty(), "{page} shows none");
        for block in blocks {
            let (config, mut found) = read(&SourceFile::new(page, block), Path::new(""));
            config.check_types(&["microsoft-365-defender", "openssh-server"], &mut found);
            assert!(found.is_empty(), "{page}: {found:#?}");
        }
    }
}

#[test]
fn the_state_is_looked_at_for_events_without_a_destination_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let look = || {
        let (mut config, read) = parse(GOOD);
        assert!(!read.has_errors(), "{read:?}");
        config.state_directory = folder.path().join("state");
        let mut found = Diagnostics::new();
        config.check_state(&mut found);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    // There is no state, and none is made.
    assert_eq!(look(), [""; 0]);
    assert!(!folder.path().join("state").exists());

    let limits = Limits {
        free: 0,
        ..Limits::default()
    };
    let store = Store::open(&folder.path().join("state"), limits).unwrap();
    let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    for (identifier, destination) in [
        ("alpha", "archive"),
        ("alpha", "elsewhere"),
        ("removed", "archive"),
    ] {
        let source = store.source(identifier).unwrap();
        store.position(source, destination).unwrap();
    }
    // Nothing waits yet, whoever uses the state.
    assert_eq!(look(), [""; 0]);
    for identifier in ["alpha", "removed"] {
        let source = store.source(identifier).unwrap();
        store
            .accept(source, "lane", &["a", "b"], None, now)
            .unwrap();
    }
    let waiting = store.look().unwrap().waiting;
    let found = look();
    assert_eq!(found.len(), 2, "{found:?}");
    for (found, place, route) in [
        (&found[0], "dsmith.toml:28:", "elsewhere"),
        (&found[1], "dsmith.toml:1:", "archive"),
    ] {
        assert!(found.contains("CFG026") && found.contains(place), "{found}");
        assert!(found.contains("2 events"), "{found}");
        assert!(found.contains(route), "{found}");
    }
    assert_eq!(store.look().unwrap().waiting, waiting);
    drop(store);

    // What cannot be looked at is no state without events.
    fs::write(folder.path().join("state/state.db"), "no database").unwrap();
    let found = look();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("is not known"), "{found:?}");
}

#[test]
fn every_code_of_the_configuration_is_tested_here() {
    let test = fs::read_to_string(root().join("crates/pipeline/tests/config.rs")).unwrap();
    let names = [
        Code::ProtocolDeprecated,
        Code::LogSourceTypeUnknown,
        Code::FileUnusable,
        Code::SecretUnavailable,
    ];
    let missing: BTreeSet<&str> = Code::ALL
        .iter()
        .filter(|code| code.as_str().starts_with("CFG") && !names.contains(code))
        .map(|code| code.as_str())
        .filter(|code| !test.contains(code))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The findings of a configuration with these tables, as `line CODE message`.
fn findings_of(tables: &str) -> Vec<String> {
    findings(&format!("state_directory = \"state\"\n{tables}"))
}

fn listener(identifier: &str, address: &str, port: u16, transport: &str) -> String {
    format!(
        "[[log_source]]\nidentifier = \"{identifier}\"\ntype = \"example-vpn\"\nprotocol = \"syslog\"\n\
         destinations = [\"out\"]\nparameters = {{ listen_address = \"{address}\", listen_port = {port}, transport = \"{transport}\" }}\n"
    )
}

const OUT: &str = "[[destination]]\nname = \"out\"\ntype = \"file\"\npath = \"out.log\"\n";

#[test]
fn opening_finds_what_this_build_lacks_and_nothing_else_that_is_valid() {
    let hub = "[[log_source]]\nidentifier = \"hub\"\ntype = \"example-vpn\"\nprotocol = \"apache-kafka\"\n\
               destinations = [\"qradar\"]\n[log_source.parameters]\nbootstrap_server_list = [\"192.0.2.1:9092\"]\n\
               consumer_group = \"dsmith\"\ntopic_list = [\"alerts\"]\n";
    let (config, read) = parse(&format!("{GOOD}{hub}"));
    assert!(!read.has_errors(), "{read:?}");
    let mut found = Diagnostics::new();
    let secrets = Known(&["ALPHA_SECRET"]);
    config.check_opening(&secrets, Severity::Error, &mut found);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    if cfg!(feature = "kafka") {
        assert!(found.is_empty(), "{found:?}");
    } else {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("CFG023") && found[0].contains("log source `hub`"),
            "{found:?}"
        );
    }
    // A secret that is not there is told apart, and no reason to say more.
    let mut found = Diagnostics::new();
    config.check_opening(&Known(&[]), Severity::Error, &mut found);
    assert_eq!(
        found.len(),
        usize::from(cfg!(not(feature = "kafka"))),
        "{found:?}"
    );
}

/// Knows these secrets of the environment, all of them the same.
#[derive(Debug)]
struct Known(&'static [&'static str]);

impl Secrets for Known {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        match reference {
            SecretRef::Env(name) if self.0.contains(&name.as_str()) => Ok(Secret::new("hunter2")),
            _ => Err(SecretError::Missing(reference.clone())),
        }
    }
}

#[test]
fn destinations_whose_names_differ_in_case_only_would_share_a_file() {
    let second = OUT
        .replace("\"out\"", "\"OUT\"")
        .replace("out.log", "other.log");
    let source =
        listener("alpha", "0.0.0.0", 5514, "tcp").replace("[\"out\"]", "[\"out\", \"OUT\"]");
    let found = findings_of(&format!("{OUT}{second}{source}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("CFG024") && found[0].contains("`out` and `OUT`"),
        "{found:?}"
    );
}

#[test]
fn one_file_under_two_paths_is_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path).display().to_string();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("out.log"), "").unwrap();
    std::os::unix::fs::symlink(dir.path().join("out.log"), dir.path().join("link.log")).unwrap();
    for other in ["./out.log", "sub/../out.log", "link.log"] {
        let first = OUT.replace("out.log", &at("out.log"));
        let second = OUT
            .replace("\"out\"", "\"second\"")
            .replace("out.log", &at(other));
        let source =
            listener("alpha", "0.0.0.0", 5514, "tcp").replace("[\"out\"]", "[\"out\", \"second\"]");
        let found = findings_of(&format!("{first}{second}{source}"));
        assert_eq!(found.len(), 1, "{other}: {found:?}");
        assert!(found[0].contains("write the same file"), "{found:?}");
        // What reads its own output would read for ever.
        let source = format!(
            "[[log_source]]\nidentifier = \"alpha\"\ntype = \"example-vpn\"\nprotocol = \"file\"\n\
             destinations = [\"out\"]\nparameters = {{ path = \"{}\" }}\n",
            at(other)
        );
        let found = findings_of(&format!("{first}{source}"));
        assert_eq!(found.len(), 1, "{other}: {found:?}");
        assert!(
            found[0].contains("CFG024") && found[0].contains("reads the file"),
            "{found:?}"
        );
    }
}

#[test]
fn two_listeners_cannot_have_one_port() {
    let both = |first: String, second: String| findings_of(&format!("{OUT}{first}{second}"));
    for (one, other) in [
        (("0.0.0.0", "tcp"), ("127.0.0.1", "tcp")),
        (("127.0.0.1", "tcp"), ("::", "tls")),
        (("127.0.0.1", "udp"), ("127.0.0.1", "udp")),
    ] {
        let tls = |text: String| {
            let files =
                "transport = \"tls\", certificate_file = \"c.pem\", private_key_file = \"k.pem\"";
            text.replace("transport = \"tls\"", files)
        };
        let found = both(
            tls(listener("alpha", one.0, 5514, one.1)),
            tls(listener("beta", other.0, 5514, other.1)),
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("CFG024") && found[0].contains("5514"),
            "{found:?}"
        );
    }
    for (one, other) in [
        (("127.0.0.1", 5514, "tcp"), ("127.0.0.1", 5514, "udp")),
        (("127.0.0.1", 5514, "tcp"), ("127.0.0.2", 5514, "tcp")),
        (("127.0.0.1", 5514, "tcp"), ("127.0.0.1", 5515, "tcp")),
    ] {
        let found = both(
            listener("alpha", one.0, one.1, one.2),
            listener("beta", other.0, other.1, other.2),
        );
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn the_reference_and_the_schema_are_those_that_the_declaration_gives() {
    for (path, text) in pages() {
        let current = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(
            current == text,
            "{path} is out of date: run cargo xtask codegen"
        );
    }
}

#[test]
fn every_declaration_is_sound() {
    assert_eq!(
        settings::unsound(pipeline::config::ROOT),
        Vec::<String>::new()
    );
}
