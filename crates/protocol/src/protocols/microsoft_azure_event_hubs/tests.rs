use super::*;
use crate::secret::GivenSecrets;
use settings::{RawTable, RawValue};

const KEY: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==";
const ID: &str = "11111111-2222-3333-4444-555555555555";

fn text(text: &str) -> RawValue {
    RawValue::Text(text.to_owned())
}

fn secret(name: &str) -> RawValue {
    RawValue::Table(RawTable::from_iter([("env".to_owned(), text(name))]))
}

fn secrets() -> GivenSecrets {
    let namespace = format!(
        "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={KEY}"
    );
    GivenSecrets::default()
        .with("HUB", &format!("{namespace};EntityPath=alerts"))
        .with("NAMESPACE", &namespace)
        .with(
            "BAD",
            "Endpoint=https://x;SharedAccessKeyName=listen;SharedAccessKey=s3cr3t-s3cr3t!",
        )
        .with("KEY", KEY)
        .with("SECRET", "hunter2-hunter2")
}

fn validate(pairs: &[(&str, RawValue)]) -> Result<Settings, Vec<Fault>> {
    let values: RawTable = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    let protocol: &dyn Protocol = &EventHubs;
    protocol.validate(&values)
}

fn faults(pairs: &[(&str, RawValue)]) -> Vec<(String, FaultKind)> {
    let faults = validate(pairs).unwrap_err().into_iter();
    faults.map(|fault| (fault.key, fault.kind)).collect()
}

fn found(pairs: &[(&str, RawValue)]) -> Result<Hub, OpenError> {
    hub(&validate(pairs).unwrap(), &secrets())
}

fn entra() -> Vec<(&'static str, RawValue)> {
    vec![
        ("authentication_method", text("Entra ID")),
        ("namespace", text("Contoso")),
        ("event_hub_name", text("alerts")),
        ("tenant_id", text(ID)),
        ("client_id", text(ID)),
        ("client_secret", secret("SECRET")),
    ]
}

#[test]
fn a_connection_string_is_the_password_of_a_user_with_a_fixed_name() {
    let hub = found(&[("event_hub_connection_string", secret("HUB"))]).unwrap();
    assert_eq!(
        (hub.host.as_str(), hub.name.as_str()),
        ("contoso.servicebus.windows.net", "alerts")
    );
    let Sasl::Password {
        mechanism: Mechanism::Plain,
        user,
        password,
    } = hub.sasl
    else {
        panic!("PLAIN was expected");
    };
    assert_eq!(user, "$ConnectionString");
    assert!(password.expose().ends_with(";EntityPath=alerts"));
}

#[test]
fn the_event_hub_comes_from_one_place() {
    let hub = |name: &str, hub: Option<&str>| {
        let mut pairs = vec![("event_hub_connection_string", secret(name))];
        pairs.extend(hub.map(|hub| ("event_hub_name", text(hub))));
        found(&pairs)
            .map(|hub| hub.name)
            .map_err(|error| error.to_string())
    };
    assert_eq!(hub("NAMESPACE", Some("logs")).unwrap(), "logs");
    assert_eq!(hub("HUB", Some("alerts")).unwrap(), "alerts");
    assert!(
        hub("HUB", Some("logs"))
            .unwrap_err()
            .contains("another event hub")
    );
    assert!(hub("NAMESPACE", None).unwrap_err().contains("EntityPath"));
}

#[test]
fn a_bad_connection_string_is_an_error_with_every_fault_and_without_the_key() {
    let error = found(&[("event_hub_connection_string", secret("BAD"))])
        .err()
        .unwrap();
    let said = error.to_string();
    assert!(said.contains("sb://") && said.contains("Base64"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
}

#[test]
fn the_parts_make_the_same_string() {
    let hub = found(&[
        ("use_event_hub_connection_string", RawValue::Boolean(false)),
        ("namespace", text("contoso")),
        ("event_hub_name", text("alerts")),
        ("sas_key_name", text("listen")),
        ("sas_key", secret("KEY")),
    ])
    .unwrap();
    let Sasl::Password { password, .. } = hub.sasl else {
        panic!("PLAIN was expected");
    };
    assert_eq!(
        password.expose(),
        format!(
            "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={KEY}"
        )
    );
}

#[test]
fn hosts_and_scope_come_from_the_cloud() {
    let mut pairs = entra();
    let token = |pairs: &[(&str, RawValue)]| match found(pairs).unwrap().sasl {
        Sasl::Token { credentials, .. } => (credentials.url, credentials.audience),
        Sasl::Password { .. } => panic!("a token was expected"),
    };
    assert_eq!(
        token(&pairs),
        (
            format!("https://login.microsoftonline.com/{ID}/oauth2/v2.0/token"),
            Audience::Scope("https://contoso.servicebus.windows.net/.default".to_owned())
        )
    );
    pairs.push(("cloud", text("dod")));
    assert_eq!(
        token(&pairs),
        (
            format!("https://login.microsoftonline.us/{ID}/oauth2/v2.0/token"),
            Audience::Scope("https://contoso.servicebus.usgovcloudapi.net/.default".to_owned())
        )
    );
    pairs[1].1 = text("contoso.servicebus.windows.net");
    assert_eq!(
        faults(&pairs),
        [("namespace".to_owned(), FaultKind::Contradiction)]
    );
}

#[test]
fn each_way_of_signing_in_has_its_own_parameters() {
    let missing = |key: &str| (key.to_owned(), FaultKind::Missing);
    let unavailable = |key: &str| (key.to_owned(), FaultKind::Unavailable);
    assert_eq!(faults(&[]), [missing("event_hub_connection_string")]);
    let mut pairs = entra();
    pairs.push(("event_hub_connection_string", secret("HUB")));
    pairs.push(("sas_key", secret("KEY")));
    assert_eq!(
        faults(&pairs),
        [
            unavailable("event_hub_connection_string"),
            unavailable("sas_key")
        ]
    );
    assert_eq!(
        faults(&[("use_event_hub_connection_string", RawValue::Boolean(false))]),
        ["namespace", "event_hub_name", "sas_key_name", "sas_key"].map(missing)
    );
    assert_eq!(
        faults(&[
            ("event_hub_connection_string", secret("HUB")),
            ("client_id", text(ID))
        ]),
        [unavailable("client_id")]
    );
}

#[test]
fn a_storage_account_is_accepted_and_never_read() {
    let parameters = validate(&[
        ("event_hub_connection_string", secret("HUB")),
        (
            "use_storage_account_connection_string",
            RawValue::Boolean(true),
        ),
        ("storage_account_connection_string", secret("NOT_SET")),
        ("storage_account_key", secret("NOT_SET")),
        ("storage_account_name", text("contoso")),
        ("storage_container_name", text("offsets")),
    ])
    .unwrap();
    let opened = EventHubs.open("x", &parameters, &secrets()).err();
    let missing = OpenError::NotBuilt { feature: "kafka" };
    assert_eq!(opened, (!cfg!(feature = "kafka")).then_some(missing));
}

#[test]
fn a_proxy_is_refused_with_a_way_out() {
    let pairs = [
        ("event_hub_connection_string", secret("HUB")),
        ("use_proxy", RawValue::Boolean(true)),
    ];
    let found = validate(&pairs).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].help.contains("9093"), "{}", found[0].help);
}

#[test]
fn only_this_machine_stands_in_for_event_hubs() {
    let validate = |address: &str| {
        validate(&[
            ("event_hub_connection_string", secret("HUB")),
            ("endpoint_override", text(address)),
        ])
        .is_ok()
    };
    assert!(validate("127.0.0.1:9092") && validate("[::1]:9092"));
    assert!(!validate("192.0.2.1:9092") && !validate("localhost:9092") && !validate("127.0.0.1"));
}
