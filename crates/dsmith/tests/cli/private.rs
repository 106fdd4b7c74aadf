//! What nobody but the owner may see: secrets in messages, files of a run, and its memory.

use crate::run::Running;
use crate::support::{Folder, SSH, command, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

const SECRET: &str = "aBc8Q~Zx4vT.1kLmN0pQrStUvWxYz_AbCdEfGhIj";

const CONFIG: &str = r#"
state_directory = "state"
[log]
level = "debug"
[limits]
free_disk = 0
[[destination]]
name = "out"
type = "file"
path = "events/out.log"
format = "json"
[[log_source]]
identifier = "alpha"
type = "microsoft-365-defender"
protocol = "microsoft-graph-security"
destinations = ["out"]
[log_source.parameters]
tenant_id = "3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10"
client_id = "8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21"
CLIENT
"#;

#[test]
fn a_secret_in_the_wrong_place_is_shown_by_no_command() {
    for client in [
        format!("client_secret = {{ env = \"{SECRET}\" }}"),
        format!("client_secret = {{ file = \"{SECRET}\" }}"),
        format!("client_secret = \"{SECRET}\""),
        format!(
            "client_secret = {{ env = \"NOWHERE_SECRET\" }}\nuse_proxy = true\nproxy_port = 1\n\
             proxy_server = \"http://user:{SECRET}@proxy.example.com\""
        ),
    ] {
        let folder = Folder::new();
        let path = folder.file("dsmith.toml", CONFIG.replace("CLIENT", &client));
        let path = path.as_str();
        for args in [
            &["check-config", "-c", path][..],
            &["check-config", "-c", path, "--format", "json"],
            &["check-config", "-c", path, "--format", "sarif"],
            &["check-config", "-c", path, "--format", "github"],
            &["test-source", "-c", path, "alpha"],
            &["run", "-c", path, "--once"],
        ] {
            let ran = run(args);
            assert!(!ran.out.contains(SECRET), "{args:?}: {ran:?}");
            assert!(!ran.err.contains(SECRET), "{args:?}: {ran:?}");
            assert!(!(ran.out.clone() + &ran.err).is_empty());
        }
    }
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_keeps_its_memory_and_its_files_to_itself() {
    let folder = Folder::new();
    folder.file("in.log", SSH);
    let begin = CONFIG.find("[[log_source]]").unwrap();
    let source = format!(
        "[[log_source]]\nidentifier = \"build-02\"\ntype = \"openssh-server\"\nprotocol = \"file\"\n\
         destinations = [\"out\"]\n[log_source.parameters]\npath = \"{}\"\nformat = \"text\"\nstart = \"beginning\"\n",
        folder.at("in.log")
    );
    let path = folder.file("dsmith.toml", CONFIG[..begin].to_owned() + &source);
    // As an administrator may have made it.
    fs::create_dir(folder.at("state")).unwrap();
    fs::set_permissions(folder.at("state"), fs::Permissions::from_mode(0o755)).unwrap();
    let child = command(&["run", "-c", path.as_str()]).spawn().unwrap();
    let running = Running(child);
    let out = folder.at("events/out.log");
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_there = |path: &str| fs::metadata(path).is_ok_and(|there| there.len() > 0);
    while !is_there(&out) || !is_there(&folder.at("state/status.json")) {
        assert!(Instant::now() < deadline, "nothing is delivered");
        std::thread::sleep(Duration::from_millis(20));
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.0.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    assert_eq!(mode(&out), 0o600);
    assert_eq!(mode(folder.at("events")), 0o700);
    assert_eq!(mode(folder.at("state")), 0o700);
    for entry in fs::read_dir(folder.at("state")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}
