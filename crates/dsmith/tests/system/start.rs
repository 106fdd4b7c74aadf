//! What is wrong with the configuration refuses the start, and `check-config` reports the same. What is only the state of
//! the world, as it is now, stops nobody: each log source concerned has a row that says so, and the others collect.

use crate::site::{
    NO_FREE_DISK, Site, file_destination, file_source, graph_source, nobody, receiver, silent,
};
use std::process::Command;

/// Runs a command to its end: the exit code and all that it said.
fn dsmith(site: &Site, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dsmith"))
        .args(args)
        .current_dir(site.at(""))
        .env("SECRET", "hunter2-hunter2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[test]
fn servers_files_folders_and_ports_that_are_not_to_be_had_now_stop_no_other_log_source() {
    let (taken, held) = silent();
    let listener = format!(
        "[[log_source]]\nidentifier = \"devices\"\ntype = \"openssh-server\"\nprotocol = \"syslog\"\n\
         destinations = [\"out\"]\nparameters = {{ transport = \"tcp\", listen_address = \"127.0.0.1\", listen_port = {} }}\n",
        taken.port()
    );
    let config = [
        NO_FREE_DISK.to_owned(),
        file_destination("out"),
        file_source("good", "in.log", &["out"]),
        file_source("missing", "nowhere/in.log", &["out"]),
        // A folder that is none cannot be read, by nobody.
        file_source("unreadable", "in.log/*.log", &["out"]),
        graph_source("contoso", &format!("http://{}", nobody()), &["out"]),
        listener,
    ];
    let site = Site::new(&config.concat());
    site.append("in.log", 50);
    assert_eq!(dsmith(&site, &["check-config"]).0, 0);
    let mut process = site.start(&[]);
    site.wait_until("event", |site| site.lines("out.log") == 50);
    let says = |words: &[&str]| {
        let (_, status) = dsmith(&site, &["status"]);
        let mut lines = status.lines();
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    };
    for words in [
        &["missing", "WARN", "cannot be read"][..],
        &["unreadable", "in.log/*.log"],
        &["contoso", "no connection"],
        &["devices", "ERROR", "nothing can be received"],
        &["good", "OK"],
    ] {
        site.wait_until(&format!("row {words:?}"), |_| says(words));
    }
    // What comes back is found by itself.
    drop(held);
    site.wait_until("listener", |_| says(&["devices", "OK", "listening"]));
    process.signal("TERM");
    assert_eq!(process.ends(&site), 0, "{}", site.log());
}

#[test]
fn events_that_wait_for_what_is_no_longer_configured_are_reported_by_the_check_too() {
    let down = nobody();
    let both = |names: &[&str]| {
        let mut text = NO_FREE_DISK.to_owned() + &file_destination("out");
        if names.contains(&"down") {
            text += &receiver("down", down);
        }
        text + &file_source("build-02", "in.log", names)
    };
    let site = Site::new(&both(&["out", "down"]));
    site.append("in.log", 40);
    // Nothing is made where there is no state yet.
    let (code, said) = dsmith(&site, &["check-config"]);
    assert_eq!(code, 0, "{said}");
    assert!(!site.at("state").exists());
    assert_eq!(site.once("1s").0, 1);
    assert_eq!(dsmith(&site, &["check-config"]).0, 0);

    site.configure(&both(&["out"]));
    let (code, log) = site.once("1s");
    assert_eq!(code, 1, "{log}");
    let refusal = "40 events of log source `build-02` wait for the destination `down`";
    assert!(log.contains(refusal), "{log}");
    let (code, said) = dsmith(&site, &["check-config"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(refusal), "{said}");
    assert!(said.contains("--forget build-02/down"), "{said}");

    // So does a log source that is gone, and both at once are two findings.
    let renamed = file_destination("out") + &file_source("build-03", "in.log", &["out"]);
    site.configure(&both(&["out", "down"]));
    site.append("in.log", 5);
    site.configure(&renamed);
    let (code, said) = dsmith(&site, &["check-config"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(refusal), "{said}");

    // It has changed nothing: what waits is delivered when the destination is back.
    site.configure(&both(&["out", "down"]));
    let receiver = harness::Receiver::start_on(down).unwrap();
    let (code, log) = site.once("30s");
    assert_eq!(code, 0, "{log}");
    assert_eq!(receiver.count(), 45, "{log}");
    site.configure(&both(&["out"]));
    assert_eq!(dsmith(&site, &["check-config"]).0, 0);
}
