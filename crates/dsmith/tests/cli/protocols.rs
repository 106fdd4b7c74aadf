//! `dsmith protocol`.

use crate::support::run;
use serde_json::Value;

#[test]
fn the_list_has_a_line_for_each_protocol_and_marks_the_deprecated_one() {
    let ran = run(&["protocol", "list"]).exits_with(0);
    assert_eq!(
        ran.out,
        "microsoft-graph-security          Microsoft Graph Security API
microsoft-defender-endpoint       Microsoft Defender for Endpoint REST API
microsoft-defender-endpoint-siem  Microsoft Defender for Endpoint SIEM REST API (deprecated)
microsoft-azure-event-hubs        Microsoft Azure Event Hubs
apache-kafka                      Apache Kafka
file                              File
syslog                            Syslog
gateway                           Gateway Log Source
"
    );
}

#[test]
fn a_protocol_is_shown_with_its_deprecation_and_every_parameter() {
    let ran = run(&["protocol", "show", "microsoft-defender-endpoint-siem"]).exits_with(0);
    let words = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "Use `microsoft-graph-security` or `microsoft-defender-endpoint` instead.",
        "eps_throttle EPS Throttle",
        "region Region Regions whose detections are collected, each by itself. Not available if `use_gcc_endpoints` is true.",
        "takes: several of `eu`, `us`, `uk` required: yes, unless `other_region` is given or `use_gcc_endpoints` is true",
        "proxy_password Proxy Password Password for basic authentication at the proxy. Not available if `use_proxy` is false. \
         takes: a reference to a secret required: if `proxy_username` is given",
        "default: 5M",
    ] {
        assert!(words.contains(text), "{text}\n{}", ran.out);
    }
    assert!(
        ran.out.lines().all(|line| line.chars().count() <= 100),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn a_schema_is_json() {
    let ran = run(&["protocol", "show", "syslog", "--format", "schema"]).exits_with(0);
    let schema: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        schema["required"],
        serde_json::json!(["transport", "listen_port"])
    );
    assert_eq!(schema["properties"]["listen_port"]["maximum"], 65_535);
}

#[test]
fn a_protocol_that_does_not_exist_is_a_usage_error_with_the_nearest_name() {
    run(&["protocol", "show", "microsoft-graph-securty"])
        .exits_with(64)
        .says(&[
            "there is no protocol `microsoft-graph-securty`: did you mean `microsoft-graph-security`?",
            "protocols: microsoft-graph-security, ",
        ]);
}
