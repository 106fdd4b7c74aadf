use super::*;
use crate::secret::GivenSecrets;
use settings::{Document, RawTable, RawValue};

fn values(pairs: &[(&str, RawValue)]) -> RawTable {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

fn text(text: &str) -> RawValue {
    RawValue::Text(text.to_owned())
}

fn secret(name: &str) -> RawValue {
    RawValue::Table(RawTable::from_iter([("env".to_owned(), text(name))]))
}

fn protocol() -> &'static dyn Protocol {
    &ApacheKafka
}

fn faults(pairs: &[(&str, RawValue)]) -> Vec<(String, FaultKind)> {
    protocol()
        .validate(&values(pairs))
        .unwrap_err()
        .into_iter()
        .map(|fault| (fault.key, fault.kind))
        .collect()
}

fn base() -> Vec<(&'static str, RawValue)> {
    vec![
        (
            "bootstrap_server_list",
            text("a.example.com:9092,[2001:db8::1]:9093"),
        ),
        ("consumer_group", text("g")),
        ("topic_list", text("alerts")),
    ]
}

#[test]
fn brokers_are_hosts_with_ports() {
    assert!(protocol().validate(&values(&base())).is_ok());
    for bad in [
        "a.example.com",
        "a:0",
        "a:70000",
        ":9092",
        "http://a:1",
        "[::1:9",
        "2001:db8::1:9092",
        "[a]:1",
        "a b:1",
    ] {
        let mut pairs = base();
        pairs[0].1 = text(bad);
        assert_eq!(
            faults(&pairs),
            [("bootstrap_server_list".to_owned(), FaultKind::Pattern)],
            "{bad}"
        );
    }
}

#[test]
fn a_password_does_not_travel_in_the_open() {
    let mut pairs = base();
    pairs.extend([
        ("use_sasl_authentication", RawValue::Boolean(true)),
        ("sasl_mechanism", text("PLAIN")),
        ("sasl_username", text("u")),
        ("sasl_password", secret("P")),
    ]);
    let refused = [("use_ssl".to_owned(), FaultKind::Contradiction)];
    assert_eq!(faults(&pairs), refused);
    pairs.push(("use_ssl", RawValue::Boolean(true)));
    assert!(protocol().validate(&values(&pairs)).is_ok());
    pairs.pop();
    pairs[4].1 = text("SCRAM-SHA-512");
    assert!(protocol().validate(&values(&pairs)).is_ok());
    pairs[4].1 = text("PLAIN");
    pairs[0].1 = text("127.0.0.1:9092");
    assert!(protocol().validate(&values(&pairs)).is_ok());
}

#[test]
fn a_list_and_a_pattern_of_topics_exclude_each_other() {
    let mut pairs = base();
    pairs.push(("topic_subscription_method", text("Regex Pattern Matching")));
    assert_eq!(
        faults(&pairs),
        [
            ("topic_list".to_owned(), FaultKind::Unavailable),
            ("topic_filter_pattern".to_owned(), FaultKind::Missing)
        ]
    );
    pairs.remove(2);
    pairs.push(("topic_filter_pattern", text("^alerts-(")));
    assert_eq!(
        faults(&pairs),
        [("topic_filter_pattern".to_owned(), FaultKind::Contradiction)]
    );
}

#[test]
fn every_fault_between_parameters_is_reported_at_its_place() {
    let toml = r#"
        bootstrap_server_list = "a"
        consumer_group = "g"
        topic_list = "alerts"
        use_as_a_gateway_log_source = true
        log_source_identifier_pattern = ["a=(", "fine=x,y", "b"]
        session_timeout_ms = 6000
        heartbeat_interval_ms = 3000
    "#;
    let found = protocol()
        .validate(&Document::parse(toml).root)
        .unwrap_err();
    let places: Vec<(&str, &str)> = found
        .iter()
        .map(|fault| (fault.key.as_str(), &toml[fault.span.clone()]))
        .collect();
    assert_eq!(
        places,
        [
            ("bootstrap_server_list", "\"a\""),
            ("log_source_identifier_pattern", "\"a=(\""),
            ("log_source_identifier_pattern", "\"b\""),
            ("heartbeat_interval_ms", "3000")
        ]
    );
}

#[test]
fn a_log_source_opens_where_the_program_can_speak_with_brokers() {
    let mut pairs = base();
    pairs.extend([
        ("use_ssl", RawValue::Boolean(true)),
        ("use_sasl_authentication", RawValue::Boolean(true)),
        ("sasl_mechanism", text("oauthbearer")),
        ("token_url", text("https://login.example.com/token")),
        ("token_client_id", text("dsmith")),
        ("token_client_secret", secret("S")),
        ("token_scope", text("kafka")),
    ]);
    let parameters = protocol().validate(&values(&pairs)).unwrap();
    let secrets = GivenSecrets::default().with("S", "hunter2-hunter2");
    let opened = protocol().open("x", &parameters, &secrets);
    assert!(!format!("{opened:?}").contains("hunter2"));
    if cfg!(feature = "kafka") {
        assert!(opened.is_ok());
    } else {
        let said = opened.unwrap_err().to_string();
        assert!(
            said.ends_with("build it with `cargo build --release --features kafka`"),
            "{said}"
        );
    }
}
