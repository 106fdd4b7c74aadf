//! `dsmith test-source`.

use crate::support::{Folder, Ran, command, feed};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A configuration with a file, and with the SIEM interface of a server at this port.
fn configuration(folder: &Folder, port: u16) -> String {
    folder.file(
        "dsmith.toml",
        format!(
            r#"
state_directory = "state"

[[destination]]
name = "out"
type = "stdout"

[[log_source]]
identifier = "from-a-file"
type = "openssh-server"
protocol = "file"
destinations = ["out"]
parameters = {{ path = "auth.log" }}

[[log_source]]
identifier = "from-the-cloud"
type = "microsoft-365-defender"
protocol = "microsoft-defender-endpoint-siem"
destinations = ["out"]

[log_source.parameters]
authorization_server_url = "https://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/token"
client_id = "bbbbbbbb-0000-4000-8000-000000000002"
client_secret = {{ env = "DSMITH_TEST_SECRET" }}
region = ["eu"]
endpoint_override = "http://127.0.0.1:{port}"
"#
        ),
    )
}

fn test(configuration: &str, identifier: &str) -> Ran {
    let mut command = command(&["test-source", "-c", configuration, identifier]);
    feed(command.env("DSMITH_TEST_SECRET", "the-secret"), b"")
}

#[test]
fn a_file_that_is_there_passes_and_one_that_is_not_gets_a_remedy() {
    let folder = Folder::new();
    let configuration = configuration(&folder, 9);
    let missing = test(&configuration, "from-a-file").exits_with(1);
    assert!(missing.out.starts_with("FAILED  file "), "{missing:?}");
    assert!(
        missing.out.contains("help: check the parameter path"),
        "{missing:?}"
    );
    folder.file("auth.log", "a line\n");
    let there = test(&configuration, "from-a-file").exits_with(0);
    assert!(
        there.out.starts_with("ok      file ") && there.out.ends_with("  7 bytes\n"),
        "{there:?}"
    );
}

#[test]
fn a_cloud_source_is_tested_up_to_one_page_and_its_deprecation_is_said() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let folder = Folder::new();
    let configuration = configuration(&folder, listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        while requests.len() < 2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            // The test of the connection sends nothing.
            let length = stream.read(&mut request).unwrap();
            if length == 0 {
                continue;
            }
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let body = if request.starts_with("POST ") {
                r#"{"access_token":"the-token","expires_in":"3599"}"#
            } else {
                r#"[{"FullId":"a"},{"FullId":"b"}]"#
            };
            requests.push(request);
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
        requests
    });
    let ran = test(&configuration, "from-the-cloud").exits_with(0).says(&[
        "warning: `microsoft-defender-endpoint-siem` is deprecated",
        "Use `microsoft-graph-security` or `microsoft-defender-endpoint` instead",
    ]);
    let requests = server.join().unwrap();
    assert!(requests[0].starts_with("POST /aaaaaaaa-0000-4000-8000-000000000001/oauth2/token "));
    assert!(requests[1].starts_with("GET /eu/api/alerts?sinceTimeUtc="));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("ok      DNS 127.0.0.1 "), "{ran:?}");
    assert!(lines[1].starts_with("ok      TCP 127.0.0.1:"), "{ran:?}");
    assert_eq!(
        lines[2].split_whitespace().collect::<Vec<_>>(),
        ["ok", "token", "granted"]
    );
    assert_eq!(
        lines[3].split_whitespace().collect::<Vec<_>>(),
        ["ok", "page", "eu", "2", "payloads"]
    );
    assert!(!ran.out.contains("the-secret") && !ran.out.contains("the-token"));
}

#[test]
fn a_server_that_is_not_there_fails_with_what_to_check() {
    let folder = Folder::new();
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let ran = test(&configuration(&folder, port), "from-the-cloud").exits_with(1);
    let last: Vec<&str> = ran.out.lines().rev().take(2).collect();
    assert!(
        last[1].starts_with(&format!("FAILED  TCP 127.0.0.1:{port}")),
        "{ran:?}"
    );
    assert_eq!(
        last[0],
        "        help: check the route, the firewall and the proxy settings"
    );
}

#[test]
fn an_unknown_log_source_is_a_usage_error_and_a_faulty_configuration_is_shown() {
    let folder = Folder::new();
    let configuration = configuration(&folder, 9);
    test(&configuration, "elsewhere")
        .exits_with(64)
        .says(&["has no log source `elsewhere`: known are from-a-file, from-the-cloud"]);
    let faulty = folder.file("faulty.toml", "state_directory = 5\n");
    test(&faulty, "x")
        .exits_with(1)
        .says(&["faulty.toml has errors, so nothing is tested"]);
}
