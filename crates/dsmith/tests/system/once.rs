//! `dsmith run --once` is a contract: 0 only if everything that was there was read and delivered, otherwise 1 and what is
//! missing, and it ends.

use crate::site::{
    NO_FREE_DISK, Site, deaf, file_destination, file_source, graph_source, nobody, receiver,
};
use simulator::{Fault, Feed, RetryAfter, Rule, Scenario, Simulator};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

fn from_file(destinations: &str, names: &[&str]) -> String {
    format!(
        "{NO_FREE_DISK}{destinations}{}",
        file_source("build-02", "in.log", names)
    )
}

fn from_server(url: &str) -> String {
    format!(
        "{NO_FREE_DISK}{}{}",
        file_destination("out"),
        graph_source("contoso", url, &["out"])
    )
}

#[track_caller]
fn says(log: &str, words: &[&str]) {
    let mut lines = log.lines();
    assert!(
        lines.any(|line| words.iter().all(|word| line.contains(word))),
        "no line with {words:?}\n{log}"
    );
}

#[test]
fn everything_read_and_delivered_is_0_and_nothing_is_missing() {
    let site = Site::new(&from_file(&file_destination("out"), &["out"]));
    site.append("in.log", 300);
    let (code, log) = site.once("60s");
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(site.lines("out.log"), 300);
    // Nothing new is everything too.
    assert_eq!(site.once("60s").0, 0);
}

#[test]
fn a_server_that_cannot_be_reached_is_1_with_the_reason() {
    let site = Site::new(&from_server(&format!("http://{}", nobody())));
    let (code, log) = site.once("3s");
    assert_eq!(code, 1, "{log}");
    says(&log, &["contoso", "not read to its end", "no connection"]);
}

#[test]
fn a_server_to_which_no_connection_comes_about_is_1_with_the_reason() {
    let (address, _listener, _queued) = deaf();
    let site = Site::new(&from_server(&format!("http://{address}")));
    let (code, log) = site.once("3s");
    assert_eq!(code, 1, "{log}");
    says(&log, &["contoso", "not read to its end"]);
}

fn simulated(faults: Vec<Rule>, patience: &str) -> (i32, String, Site) {
    let scenario = Scenario {
        feeds: vec![
            Feed::siem("eu").backlog(30, hour()),
            Feed::siem("us").backlog(20, hour()),
        ],
        faults,
        ..Scenario::default()
    };
    let simulator = Simulator::start(scenario).unwrap();
    let client = simulator::Client::default();
    let site = Site::new(&format!(
        "{NO_FREE_DISK}{}[[log_source]]\nidentifier = \"contoso\"\ntype = \"microsoft-365-defender\"\n\
         protocol = \"microsoft-defender-endpoint-siem\"\ndestinations = [\"out\"]\n[log_source.parameters]\n\
         authorization_server_url = \"https://login.microsoftonline.com/{}/oauth2/token\"\nclient_id = \"{}\"\n\
         client_secret = {{ file = \"@/secret\" }}\nregion = [\"eu\", \"us\"]\ninitial_lookback = \"180D\"\n\
         endpoint_override = \"{}\"\n",
        file_destination("out"),
        client.tenant,
        client.id,
        simulator.url()
    ));
    fs::write(site.at("secret"), client.secret).unwrap();
    let (code, log) = site.once(patience);
    (code, log, site)
}

fn hour() -> Duration {
    Duration::from_secs(3600)
}

#[test]
fn lasting_throttling_and_lasting_faults_are_1_and_the_other_lane_is_delivered() {
    for (fault, reason) in [
        (
            Fault::Throttled(RetryAfter::Seconds(1)),
            "the server throttles (429)",
        ),
        (
            Fault::Throttled(RetryAfter::Seconds(3600)),
            "the next attempt would be in",
        ),
        (Fault::Status(500), "the server has a fault (500)"),
        (Fault::Status(403), "the server refuses access (403)"),
    ] {
        let (code, log, site) = simulated(vec![Rule::always(fault).region("eu")], "4s");
        assert_eq!(code, 1, "{log}");
        says(&log, &["contoso", "eu", "not read to its end", reason]);
        assert!(!log.contains("contoso/us: not read"), "{log}");
        assert_eq!(site.lines("out.log"), 20, "{log}");
    }
}

#[test]
fn a_passing_fault_is_waited_for() {
    let fault = Rule::always(Fault::Status(500)).region("eu").requests(1, 2);
    let (code, log, site) = simulated(vec![fault], "60s");
    assert_eq!(code, 0, "{log}");
    assert_eq!(site.lines("out.log"), 50, "{log}");
}

#[test]
fn a_missing_file_is_1_with_its_name() {
    let site = Site::new(&from_file(&file_destination("out"), &["out"]));
    let (code, log) = site.once("60s");
    assert_eq!(code, 1, "{log}");
    says(
        &log,
        &["build-02", "not read to its end", "in.log cannot be read"],
    );
}

#[test]
fn a_file_that_was_rotated_is_read_to_the_end_of_the_new_one() {
    let site = Site::new(&from_file(&file_destination("out"), &["out"]));
    site.append("in.log", 100);
    assert_eq!(site.once("60s").0, 0);
    site.append("in.log", 10);
    fs::rename(site.at("in.log"), site.at("in.log.1")).unwrap();
    site.append("in.log", 25);
    let (code, log) = site.once("60s");
    assert_eq!(code, 0, "{log}");
    assert_eq!(site.lines("out.log"), 135, "{log}");
}

#[test]
fn a_last_line_without_an_end_is_1_because_it_is_no_event_yet() {
    let site = Site::new(&from_file(&file_destination("out"), &["out"]));
    site.append("in.log", 3);
    let text = fs::read_to_string(site.at("in.log")).unwrap();
    fs::write(site.at("in.log"), text.trim_end()).unwrap();
    let (code, log) = site.once("60s");
    assert_eq!(code, 1, "{log}");
    says(&log, &["build-02", "no line end follows"]);
}

#[test]
fn one_of_two_destinations_down_is_1_and_the_other_one_has_everything() {
    let down: SocketAddr = nobody();
    let destinations = file_destination("out") + &receiver("down", down);
    let site = Site::new(&from_file(&destinations, &["out", "down"]));
    site.append("in.log", 40);
    let (code, log) = site.once("3s");
    assert_eq!(code, 1, "{log}");
    says(
        &log,
        &[
            "build-02",
            "down",
            "40 events not delivered",
            "cannot connect",
        ],
    );
    assert_eq!(site.lines("out.log"), 40);
    assert!(!log.contains("build-02/out: "), "{log}");
    // They are not lost.
    let receiver = harness::Receiver::start_on(down).unwrap();
    let (code, log) = site.once("30s");
    assert_eq!(code, 0, "{log}");
    assert_eq!(receiver.count(), 40, "{log}");
}

#[test]
fn a_spool_that_stays_full_is_1_with_what_was_not_read() {
    let destinations = receiver("down", nobody());
    let config = from_file(&destinations, &["down"])
        .replace("free_disk = 0", "free_disk = 0\nspool = \"64 KiB\"");
    let site = Site::new(&config);
    site.append("in.log", 20_000);
    let (code, log) = site.once("3s");
    assert_eq!(code, 1, "{log}");
    says(
        &log,
        &[
            "build-02",
            "file",
            "not read to its end",
            "collection pauses",
        ],
    );
    says(&log, &["build-02", "down", "events not delivered"]);
}

#[test]
fn events_that_a_destination_refuses_for_good_are_1() {
    let small = file_destination("out") + "max_event_bytes = 256\noversize = \"refuse\"\n";
    let site = Site::new(&from_file(&small, &["out"]));
    site.append("in.log", 4);
    site.append_padded("in.log", 2, 400);
    let (code, log) = site.once("60s");
    assert_eq!(code, 1, "{log}");
    says(
        &log,
        &[
            "build-02",
            "out",
            "2 events refused for good",
            "dead-letters/out.ndjson",
        ],
    );
    assert_eq!(site.lines("out.log"), 4);
}

#[test]
fn a_run_that_is_told_to_end_before_it_is_through_is_1() {
    let site = Site::new(&from_server(&format!("http://{}", nobody())));
    let mut process = site.start(&["--once", "--once-patience", "1h"]);
    site.wait_until("attempt", |site| site.log().contains("no connection"));
    process.signal("TERM");
    assert_eq!(process.ends(&site), 1);
    says(
        &site.log(),
        &["contoso", "not read to its end", "ended before"],
    );
}

#[test]
fn a_listener_has_no_end_and_is_refused() {
    let config = format!(
        "{NO_FREE_DISK}{}[[log_source]]\nidentifier = \"devices\"\ntype = \"openssh-server\"\nprotocol = \"syslog\"\n\
         destinations = [\"out\"]\nparameters = {{ transport = \"tcp\", listen_address = \"127.0.0.1\", listen_port = {} }}\n",
        file_destination("out"),
        nobody().port()
    );
    let site = Site::new(&config);
    let (code, log) = site.once("3s");
    assert_eq!(code, 64, "{log}");
    says(&log, &["`devices`", "no end", "without --once"]);
}

#[test]
fn lines_that_a_rotation_lost_are_1_with_the_reason_and_what_is_there_is_delivered() {
    let site = Site::new(&from_file(&file_destination("out"), &["out"]));
    site.append("in.log", 100);
    assert_eq!(site.once("60s").0, 0);
    // Ten lines that nobody has read, and the file is gone with them.
    site.append("in.log", 10);
    fs::remove_file(site.at("in.log")).unwrap();
    site.append_padded("in.log", 5, 3);
    let (code, log) = site.once("60s");
    assert_eq!(code, 1, "{log}");
    says(&log, &["build-02", "file", "1 gap", "missing"]);
    assert_eq!(site.lines("out.log"), 105, "{log}");
    // It was said once; nothing is missing since.
    let (code, log) = site.once("60s");
    assert_eq!(code, 0, "{log}");
}

#[test]
fn more_files_than_are_read_are_1() {
    let config = format!(
        "{NO_FREE_DISK}{}{}",
        file_destination("out"),
        file_source("build-02", "logs/*.log", &["out"])
            .replace("format = ", "max_files = 2, format = ")
    );
    let site = Site::new(&config);
    fs::create_dir(site.at("logs")).unwrap();
    for name in ["a", "b", "c"] {
        site.append(&format!("logs/{name}.log"), 10);
    }
    for _ in 0..2 {
        let (code, log) = site.once("60s");
        assert_eq!(code, 1, "{log}");
        says(&log, &["build-02", "1 gap", "max_files = 2"]);
        assert_eq!(site.lines("out.log"), 20, "{log}");
    }
}
