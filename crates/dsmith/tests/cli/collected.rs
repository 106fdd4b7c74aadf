//! `dsmith run` against Microsoft's side on loopback: what was there is delivered, and no secret gets anywhere.

use crate::run::Running;
use crate::support::{Folder, Ran, command, run};
use simulator::{
    Client, Fault, Feed, Pace, RetryAfter, Rule, Scenario, Service, Simulator, key_of,
};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

fn configuration(simulator: &Simulator) -> String {
    let client = Client::default();
    format!(
        r#"
state_directory = "state"
[limits]
free_disk = 0
[log]
level = "debug"
[[destination]]
name = "raw"
type = "file"
path = "raw.log"
format = "raw"
[[destination]]
name = "leef"
type = "stdout"
[[log_source]]
identifier = "contoso-defender"
type = "microsoft-365-defender"
protocol = "microsoft-defender-endpoint-siem"
destinations = ["raw", "leef"]
[log_source.parameters]
authorization_server_url = "https://login.microsoftonline.com/{}/oauth2/token"
client_id = "{}"
client_secret = {{ env = "DSMITH_TEST_SECRET" }}
region = ["eu", "us"]
endpoint_override = "{}"
"#,
        client.tenant,
        client.id,
        simulator.url()
    )
}

fn run_once(folder: &Folder) -> Ran {
    let config = folder.at("dsmith.toml");
    let mut command = command(&["run", "--once", "-c", config.as_str()]);
    command.env("DSMITH_TEST_SECRET", Client::default().secret);
    crate::support::feed(&mut command, b"")
}

/// All that a run has left behind, as text.
fn left_behind(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&left_behind(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
    text
}

#[test]
fn two_regions_are_delivered_whole_though_one_stumbles_and_no_secret_is_seen_anywhere() {
    let scenario = Scenario {
        pace: Pace::Real,
        feeds: ["eu", "us"]
            .map(|region| Feed::siem(region).backlog(300, Duration::from_secs(3600)))
            .to_vec(),
        faults: vec![
            Rule::always(Fault::Throttled(RetryAfter::Fraction("1.5".to_owned())))
                .region("us")
                .requests(1, 1),
            Rule::always(Fault::Status(500)).region("us").requests(2, 2),
            Rule::always(Fault::TokensExpire)
                .region("us")
                .requests(3, 3),
        ],
        ..Scenario::default()
    };
    let simulator = Simulator::start(scenario).unwrap();
    let folder = Folder::new();
    folder.file("dsmith.toml", configuration(&simulator));
    let ran = run_once(&folder).exits_with(0);
    let raw = fs::read_to_string(folder.at("raw.log")).unwrap();
    let delivered: Vec<String> = raw
        .lines()
        .map(|line| key_of(line.as_bytes()).unwrap())
        .collect();
    let comparison = simulator.ledger().compare(delivered);
    assert!(comparison.is_exact(), "{comparison}");
    assert_eq!(comparison.expected, 600);
    assert_eq!(ran.out.lines().count(), 600);
    assert!(
        ran.out.lines().all(|line| line.starts_with("LEEF:1.0|")),
        "{ran:?}"
    );

    // The other region had its turn long before this one came back.
    let requests = simulator.requests();
    let regions: Vec<&str> = requests
        .iter()
        .filter(|request| request.service == Service::SiemApi)
        .map(|request| request.region.as_str())
        .collect();
    let nth = |region, n| {
        let mut found = regions
            .iter()
            .enumerate()
            .filter(|found| *found.1 == region);
        found.nth(n).map(|(index, _)| index)
    };
    assert!(nth("us", 3).is_some(), "{regions:?}");
    assert!(nth("eu", 0) < nth("us", 1), "{regions:?}");

    let config = folder.at("dsmith.toml");
    let status = run(&["status", "-c", config.as_str()]).exits_with(0);
    let everything = [
        ran.out,
        ran.err.clone(),
        status.out,
        left_behind(folder.path()),
    ]
    .concat();
    let secret = Client::default().secret;
    let tokens = simulator.tokens();
    assert!(tokens.len() >= 3, "{tokens:?}");
    let encoded = secret
        .replace('/', "%2F")
        .replace('+', "%2B")
        .replace('=', "%3D");
    for hidden in tokens.iter().chain([&secret, &encoded]) {
        assert!(
            !everything.contains(hidden.as_str()),
            "{hidden} is in what a run shows or leaves"
        );
    }
    // The messages were there to be looked at.
    assert!(ran.err.contains("\"level\":\"DEBUG\""), "{}", ran.err);

    // Nothing comes again.
    let again = run_once(&folder).exits_with(0);
    assert_eq!(again.out, "");
}

#[test]
fn a_secret_that_was_renewed_in_its_file_is_taken_at_sighup() {
    let scenario = Scenario {
        pace: Pace::Real,
        feeds: vec![Feed::siem("eu").backlog(20, Duration::from_secs(3600))],
        ..Scenario::default()
    };
    let simulator = Simulator::start(scenario).unwrap();
    let folder = Folder::new();
    folder.file(
        "dsmith.toml",
        configuration(&simulator)
            .replace("{ env = \"DSMITH_TEST_SECRET\" }", "{ file = \"secret\" }")
            .replace("[\"eu\", \"us\"]", "[\"eu\"]"),
    );
    folder.file("secret", "one that has expired\n");
    let errors = folder.file("errors", "");
    let mut command = command(&["run", "-c", folder.at("dsmith.toml").as_str()]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(fs::File::create(&errors).unwrap());
    let running = Running(command.spawn().unwrap());
    let wait_until = |what: &str, is_so: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            let errors = fs::read_to_string(&errors).unwrap();
            assert!(Instant::now() < deadline, "{what}: {errors}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_until("the refusal", &|| {
        fs::read_to_string(&errors)
            .unwrap()
            .contains("AADSTS7000215")
    });
    folder.file("secret", format!("{}\n", Client::default().secret));
    running.signal("HUP");
    wait_until("twenty events", &|| {
        let raw = fs::read_to_string(folder.at("raw.log")).unwrap_or_default();
        raw.lines().count() == 20
    });
}
