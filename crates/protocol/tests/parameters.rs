//! Parameters of the protocols as people write them: what is found wrong, and how it is said.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use protocol::check_identifier;
use protocol::protocols::{REGISTRY, find};
use protocol::secret::{GivenSecrets, SecretRef};
use protocol::{OpenError, Source};
use settings::{Document, RawTable, RawValue, Settings, schema, unsound};
use std::collections::BTreeSet;
use std::path::Path;

const SIEM: &str = "microsoft-defender-endpoint-siem";

/// What is right for the SIEM protocol.
const GOOD: &str = r#"
    authorization_server_url = "https://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/token"
    client_id = "bbbbbbbb-0000-4000-8000-000000000002"
    client_secret = { env = "S" }
    region = ["eu", "us"]
"#;

fn values(toml: &str) -> RawTable {
    let document = Document::parse(toml);
    assert_eq!(document.faults, []);
    document.root
}

/// The good parameters with some changed; a value of `-` takes one out.
fn validate(changes: &str) -> Result<Settings, Vec<String>> {
    let mut all = values(GOOD);
    for (key, entry) in values(changes).0 {
        if entry.raw.value == RawValue::from("-") {
            all.0.remove(&key);
        } else {
            all.0.insert(key, entry);
        }
    }
    find(SIEM).unwrap().validate(&all).map_err(|faults| {
        faults
            .into_iter()
            .map(|fault| format!("{:?}: {} ({})", fault.kind, fault.message, fault.help))
            .collect()
    })
}

fn faults(changes: &str) -> Vec<String> {
    validate(changes).unwrap_err()
}

#[test]
fn good_parameters_have_no_faults_and_get_their_defaults() {
    let parameters = validate("").unwrap();
    assert_eq!(parameters.list("region"), ["eu", "us"]);
    assert_eq!(parameters.integer("eps_throttle"), Some(5000));
    assert_eq!(parameters.interval("recurrence").unwrap().as_secs(), 300);
    assert_eq!(
        parameters.text("resource"),
        Some("https://graph.windows.net")
    );
    assert!(!parameters.is_set("use_proxy") && !parameters.has("gcc_type"));
}

#[test]
fn every_fault_is_reported_in_one_run() {
    let found = faults(
        r#"
        client_id = "nobody"
        client_secret = "the-secret-itself"
        region = ["eu", "mars"]
        eps_throttle = 0
        recurrence = "5"
        proxy_port = 8080
        clientid = "x"
        use_proxy = "true"
        "#,
    );
    let codes: Vec<&str> = found
        .iter()
        .map(|fault| fault.split(':').next().unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            "Pattern",
            "SecretInline",
            "NotAllowed",
            "Type",
            "Pattern",
            "OutOfRange",
            "Unknown"
        ],
        "{found:#?}"
    );
    assert!(!found.concat().contains("the-secret-itself"), "{found:#?}");
    assert!(
        found.last().unwrap().contains("(did you mean `client_id`?"),
        "{found:#?}"
    );
}

#[test]
fn what_is_missing_is_named_with_what_to_write() {
    assert_eq!(
        faults("client_id = \"-\"\nclient_secret = \"-\"\nregion = \"-\""),
        [
            "Missing: [parameters] has no `client_id` (Client ID) (add client_id = \"...\"; it takes a UUID such as 11111111-2222-3333-4444-555555555555)",
            "Missing: [parameters] has no `client_secret` (Client Secret) (add client_secret = { env = \"NAME\" } or { file = \"/path/to/file\" })",
            "Missing: [parameters] has no `region` (Region) (add region = [\"eu\"]; it takes several of `eu`, `us`, `uk`)",
        ]
    );
}

#[test]
fn other_region_stands_in_for_region_and_takes_commas() {
    let parameters = validate("region = \"-\"\nother_region = \"au, ca ,\"").unwrap();
    assert_eq!(parameters.list("other_region"), ["au", "ca"]);
    assert_eq!(
        faults("other_region = \"au, eu\""),
        ["Contradiction: `other_region` and `region` both hold \"eu\" (remove one of them)"]
    );
    // Regions are taken in any case, as in `region`, and told apart without it.
    let parameters = validate("region = \"US\"\nother_region = [\"AU\", \"ca\"]").unwrap();
    assert_eq!(parameters.list("region"), ["us"]);
    assert_eq!(parameters.list("other_region"), ["au", "ca"]);
    assert_eq!(
        faults("other_region = \"EU\""),
        ["Contradiction: `other_region` and `region` both hold \"eu\" (remove one of them)"]
    );
    assert!(faults("other_region = \"AU, au\"")[0].contains("twice"));
    for hostile in ["au.example.com/", "a@b", "-x"] {
        let found = faults(&format!("other_region = {hostile:?}"));
        assert!(
            found[0].starts_with("Pattern: `other_region` holds"),
            "{found:?}"
        );
    }
}

#[test]
fn region_is_not_available_with_gcc_endpoints_and_gcc_type_only_with_them() {
    assert_eq!(
        faults("use_gcc_endpoints = true\ngcc_type = \"GCC\""),
        [
            "Unavailable: `region` is not available when `use_gcc_endpoints` is true (remove it, or change `use_gcc_endpoints`)"
        ]
    );
    assert_eq!(
        faults("use_gcc_endpoints = true\nregion = \"-\""),
        [
            "Missing: [parameters] has no `gcc_type` (GCC Type) (add gcc_type = \"GCC\"; it takes `GCC`, `GCC High & DoD`)"
        ]
    );
    assert_eq!(
        faults("gcc_type = \"GCC\""),
        [
            "Unavailable: `gcc_type` is not available when `use_gcc_endpoints` is false (remove it, or change `use_gcc_endpoints`)"
        ]
    );
    let high = "use_gcc_endpoints = true\nregion = \"-\"\ngcc_type = \"gcc high & dod\"";
    assert_eq!(
        faults(high),
        [
            "Contradiction: `authorization_server_url` does not lead to the sign-in host of the cloud GCC High that the other \
          parameters choose (write https://login.microsoftonline.us/<Tenant_ID>/oauth2/token, or change `use_gcc_endpoints` and `gcc_type`)"
        ]
    );
}

#[test]
fn the_tenant_is_a_uuid_and_the_path_is_that_of_version_1() {
    for wrong in [
        "https://login.microsoftonline.com/contoso.example/oauth2/token",
        "https://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/v2.0/token",
        "https://login.microsoftonline.com.example.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/token",
        "http://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/token",
    ] {
        let found = faults(&format!("authorization_server_url = {wrong:?}"));
        assert!(
            found[0].starts_with("Pattern: `authorization_server_url` is"),
            "{found:?}"
        );
    }
}

#[test]
fn proxy_parameters_need_use_proxy_and_each_other() {
    assert_eq!(
        faults("use_proxy = true\nproxy_username = \"u\""),
        [
            "Missing: [parameters] has no `proxy_server` (Proxy Server) (add proxy_server = \"host.example.com\")",
            "Missing: [parameters] has no `proxy_port` (Proxy Port) (add proxy_port = 1; it takes a whole number from 1 to 65535)",
            "Missing: [parameters] has no `proxy_password` (Proxy Password), which is required when `proxy_username` is given \
             (add proxy_password = { env = \"NAME\" } or { file = \"/path/to/file\" })",
        ]
    );
    let found = faults("proxy_server = \"proxy.example.com\"");
    assert_eq!(
        found,
        [
            "Unavailable: `proxy_server` is not available when `use_proxy` is false (remove it, or change `use_proxy`)"
        ]
    );
    let found = faults(
        "use_proxy = true\nproxy_port = 8080\nproxy_server = \"http://proxy.example.com:8080\"",
    );
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("(write the name or the address alone, without scheme, port or path)"),
        "{found:?}"
    );
}

#[test]
fn a_secret_is_a_reference_and_its_text_is_never_shown() {
    for wrong in [
        "5",
        "{ env = \"A\", file = \"b\" }",
        "{ value = \"pw-in-table\" }",
        "{ env = \"\" }",
        "{}",
        "[\"pw-in-list\"]",
        "{ env = \"A=pw\" }",
    ] {
        let found = faults(&format!("client_secret = {wrong}"));
        assert_eq!(found.len(), 1, "{wrong}");
        assert!(!found[0].contains("pw"), "{found:?}");
    }
}

#[test]
fn types_are_told_from_each_other() {
    let found = faults(
        "eps_throttle = \"5000\"\nrecurrence = 5\nuse_proxy = 1\nregion = 5\nclient_id = [\"a\"]\nresource = 1.5",
    );
    assert!(
        found.iter().all(|fault| fault.starts_with("Type: ")),
        "{found:#?}"
    );
    assert_eq!(found.len(), 6);
    assert!(
        found
            .iter()
            .any(|fault| fault.ends_with("(write 5000 without quotes)"))
    );
}

#[test]
fn an_endpoint_override_leads_to_this_machine_or_nowhere() {
    assert!(validate("endpoint_override = \"http://127.0.0.1:9000\"").is_ok());
    for wrong in [
        "http://192.0.2.1",
        "https://graph.example.com",
        "localhost:80",
        "http://127.0.0.1@example.com",
    ] {
        let found = faults(&format!("endpoint_override = {wrong:?}"));
        assert!(
            found[0].starts_with("NotAllowed: `endpoint_override` cannot be used"),
            "{found:?}"
        );
    }
}

#[test]
fn a_source_has_a_lane_for_each_region_and_fails_without_its_secret() {
    let parameters = validate("other_region = \"au\"").unwrap();
    let siem = find(SIEM).unwrap();
    let secrets = GivenSecrets::default().with("S", "secret");
    let Source::Polling(lanes) = siem.open("x", &parameters, &secrets).unwrap() else {
        panic!("it polls");
    };
    let names: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(names, ["eu", "us", "au"]);
    let error = siem
        .open("x", &parameters, &GivenSecrets::default())
        .unwrap_err();
    assert!(matches!(error, OpenError::Secret { .. }));
    assert_eq!(
        error.to_string(),
        "parameter client_secret: environment variable S is not set"
    );
}

#[test]
fn an_override_replaces_every_host_and_keeps_every_path() {
    let parameters = validate("endpoint_override = \"http://127.0.0.1:9000/\"").unwrap();
    let secrets = GivenSecrets::default().with("S", "secret");
    let Source::Polling(lanes) = find(SIEM)
        .unwrap()
        .open("x", &parameters, &secrets)
        .unwrap()
    else {
        panic!("it polls");
    };
    let lane = &lanes[1];
    assert_eq!(
        lane.credentials.as_ref().unwrap().url,
        "http://127.0.0.1:9000/aaaaaaaa-0000-4000-8000-000000000001/oauth2/token"
    );
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let request = lane.poll.request(&lane.poll.begin(now), now).unwrap();
    assert_eq!(
        request.url,
        "http://127.0.0.1:9000/us/api/alerts?sinceTimeUtc=2026-11-20T09:55:00.0000000Z"
    );
}

#[test]
fn relative_paths_begin_where_they_are_told_to() {
    let mut parameters =
        validate("client_secret = { file = \"secret\" }\nca_file = \"/etc/ca.pem\"").unwrap();
    parameters.begin_paths_at(Path::new("/etc/dsmith"));
    assert_eq!(parameters.path("ca_file"), Some(Path::new("/etc/ca.pem")));
    assert_eq!(
        parameters.secret("client_secret"),
        Some(&SecretRef::File("/etc/dsmith/secret".into()))
    );
}

#[test]
fn identifiers_are_one_line_of_at_most_255_bytes() {
    assert!(check_identifier("Defender EU").is_none());
    for wrong in ["", "  ", "a\nb", " a", &"x".repeat(256)] {
        assert!(check_identifier(wrong).is_some(), "{wrong:?}");
    }
}

#[test]
fn every_declaration_is_sound() {
    let mut names = BTreeSet::new();
    for protocol in REGISTRY {
        assert!(
            names.insert(protocol.name()),
            "{} is there twice",
            protocol.name()
        );
        let none: Vec<String> = Vec::new();
        assert_eq!(unsound(protocol.parameters()), none, "{}", protocol.name());
        for parameter in protocol.parameters() {
            let is_snake_case = |b: u8| b.is_ascii_lowercase() || b == b'_';
            let name = parameter.name;
            assert!(name.bytes().all(is_snake_case), "{name}");
        }
    }
}

#[test]
fn a_schema_names_every_parameter_and_holds_its_rules() {
    for protocol in REGISTRY {
        let schema = schema::object(protocol.parameters());
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.len(), protocol.parameters().len());
        assert_eq!(schema["additionalProperties"], false);
    }
    let schema = schema::object(find(SIEM).unwrap().parameters());
    assert_eq!(
        schema["required"],
        serde_json::json!(["authorization_server_url", "client_id", "client_secret"])
    );
    assert_eq!(schema["properties"]["eps_throttle"]["default"], 5000);
    assert_eq!(
        schema["properties"]["region"]["anyOf"][1]["items"]["enum"],
        serde_json::json!(["eu", "us", "uk"])
    );
    let rules = schema["allOf"].as_array().unwrap();
    let unavailable = serde_json::json!({
        "if": { "properties": { "use_proxy": { "const": false } } },
        "then": { "properties": { "proxy_server": false } },
    });
    assert!(rules.contains(&unavailable), "{rules:#?}");
    let gcc = serde_json::json!({
        "if": { "properties": { "use_gcc_endpoints": { "const": true } }, "required": ["use_gcc_endpoints"] },
        "then": { "properties": { "region": false } },
    });
    assert!(rules.contains(&gcc), "{rules:#?}");
}
