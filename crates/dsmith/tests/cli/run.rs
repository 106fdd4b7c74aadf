//! `dsmith run` and `dsmith status`, as a process among others.

use crate::support::{Folder, SSH, command, run};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const CONFIG: &str = r#"
state_directory = "state"
[limits]
free_disk = 0
[[destination]]
name = "out"
type = "file"
path = "out.log"
format = "json"
[[log_source]]
identifier = "build-02"
type = "openssh-server"
protocol = "file"
destinations = ["out"]
[log_source.parameters]
path = "INPUT"
format = "text"
start = "beginning"
"#;

const SECOND: &str = "[[destination]]\nname = \"second\"\ntype = \"file\"\npath = \"second.log\"\nformat = \"raw\"\n";

struct Site(Folder);

impl Site {
    fn new(lines: u32) -> Self {
        let site = Self(Folder::new());
        site.configure(CONFIG);
        site.0.file("in.log", "");
        site.append(0..lines);
        site
    }

    fn configure(&self, text: &str) {
        self.0
            .file("dsmith.toml", text.replace("INPUT", &self.0.at("in.log")));
    }

    fn append(&self, range: std::ops::Range<u32>) {
        let mut file = fs::File::options()
            .append(true)
            .open(self.0.at("in.log"))
            .unwrap();
        for number in range {
            file.write_all(SSH.replace("jvega", &format!("user{number}")).as_bytes())
                .unwrap();
        }
    }

    fn args(&self, command: &str, more: &[&str]) -> Vec<String> {
        let mut args = vec![
            command.to_owned(),
            "-c".to_owned(),
            self.0.at("dsmith.toml"),
        ];
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        args
    }

    /// The users of the events that were delivered, in their order.
    fn delivered(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.at("out.log")).unwrap_or_default();
        text.lines()
            .map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                event["properties"]["UserName"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    fn start(&self) -> Running {
        let errors = fs::File::create(self.0.at("errors")).unwrap();
        let child = command(&self.args("run", &[]))
            .stderr(errors)
            .spawn()
            .unwrap();
        Running(child)
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.0.at("errors")).unwrap()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what}: {}", self.errors());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A process that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    fn ends_with(&mut self, code: i32) {
        assert_eq!(self.0.wait().unwrap().code(), Some(code));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn users(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("user{number}")).collect()
}

#[test]
fn one_round_delivers_what_there_is_and_the_next_one_goes_on_there() {
    let site = Site::new(300);
    let ran = run(&site.args("run", &["--once"])).exits_with(0);
    let ran = ran.says(&["build-02/", "300 payloads collected"]);
    ran.says(&["build-02 to out: 300 events delivered, 300 mapped"]);
    site.append(300..310);
    run(&site.args("run", &["--once"])).exits_with(0);
    assert_eq!(site.delivered(), users(0..310));

    let status = run(&site.args("status", &[])).exits_with(0);
    for part in ["not running", "build-02", "out", "0 bytes wait"] {
        assert!(status.out.contains(part), "{status:?}");
    }
}

#[test]
fn processes_that_share_a_configuration_have_a_state_and_an_address_each() {
    let site = Site::new(3);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let (address, second) = (port.unwrap().to_string(), site.0.at("state-2"));
    let more = ["--state-directory", second.as_str()];
    let with_metrics: Vec<&str> = more
        .into_iter()
        .chain(["--metrics", address.as_str()])
        .collect();
    let errors = fs::File::create(site.0.at("errors")).unwrap();
    let mut running = Running(
        command(&site.args("run", &with_metrics))
            .stderr(errors)
            .spawn()
            .unwrap(),
    );
    site.wait_until("three events", |site| site.delivered().len() == 3);
    site.wait_until("metrics", |_| TcpStream::connect(&address).is_ok());
    // It goes on when the configuration is read again.
    running.signal("HUP");
    site.append(3..5);
    site.wait_until("five events", |site| site.delivered().len() == 5);
    run(&site.args("status", &[])).exits_with(1);
    let status = run(&site.args("status", &more)).exits_with(0);
    assert!(status.out.starts_with("running, process "), "{status:?}");
    running.signal("TERM");
    running.ends_with(0);
    assert!(
        !site.errors().contains("stays in force"),
        "{}",
        site.errors()
    );
    // Another state begins at the beginning.
    run(&site.args("run", &["--once"])).exits_with(0);
    assert_eq!(site.delivered().len(), 10);
}

#[test]
fn a_status_without_a_state_says_that_nothing_has_run() {
    let site = Site::new(0);
    run(&site.args("status", &[]))
        .exits_with(1)
        .says(&["there is no state in"]);
}

#[test]
fn a_configuration_with_errors_does_not_run() {
    let site = Site::new(0);
    site.configure(&CONFIG.replace("openssh-server", "openssh-sever"));
    let ran = run(&site.args("run", &["--once"])).exits_with(1);
    assert!(ran.err.contains("CFG011"), "{ran:?}");
    assert!(!Path::new(&site.0.at("state")).exists());
}

#[test]
fn a_run_follows_its_sources_and_ends_on_sigterm_with_everything_delivered() {
    let site = Site::new(5);
    let mut running = site.start();
    site.wait_until("five events", |site| site.delivered().len() == 5);
    site.append(5..8);
    site.wait_until("eight events", |site| site.delivered().len() == 8);
    let process = running.0.id().to_string();
    let status = run(&site.args("status", &[])).exits_with(0);
    assert!(
        status.out.contains(&format!("running, process {process}")),
        "{status:?}"
    );
    // The state belongs to one process.
    run(&site.args("run", &["--once"]))
        .exits_with(1)
        .says(&["is in use by process", &process]);
    running.signal("TERM");
    running.ends_with(0);
    run(&site.args("run", &["--once"])).exits_with(0);
    assert_eq!(site.delivered(), users(0..8));
    // Messages for machines are one object a line.
    for line in site.errors().lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(message["level"].is_string(), "{line}");
    }
}

#[test]
fn a_killed_run_goes_on_without_losing_anything() {
    let site = Site::new(50);
    let mut running = site.start();
    site.wait_until("fifty events", |site| site.delivered().len() == 50);
    running.signal("KILL");
    running.0.wait().unwrap();
    site.append(50..60);
    run(&site.args("run", &["--once"])).exits_with(0);
    let mut delivered = site.delivered();
    // The position of the last batch may not have moved any more.
    assert!(delivered.len() <= 110, "{}", delivered.len());
    delivered.sort();
    delivered.dedup();
    let mut expected = users(0..60);
    expected.sort();
    assert_eq!(delivered, expected);
}

#[test]
fn sighup_brings_a_new_configuration_into_force_unless_it_has_errors() {
    let site = Site::new(3);
    let running = site.start();
    site.wait_until("three events", |site| site.delivered().len() == 3);
    let two = format!("{CONFIG}{SECOND}").replace("[\"out\"]", "[\"out\", \"second\"]");
    site.configure(&two);
    running.signal("HUP");
    site.wait_until("the reload", |site| {
        site.errors().contains("the new configuration is in force")
    });
    site.append(3..6);
    let second = |site: &Site| fs::read_to_string(site.0.at("second.log")).unwrap_or_default();
    site.wait_until("events at both", |site| {
        site.delivered().len() == 6 && second(site).lines().count() == 3
    });

    site.configure(&two.replace("type = \"openssh-server\"", "type = \"nothing\""));
    running.signal("HUP");
    site.wait_until("the refusal", |site| {
        site.errors().contains("the old one stays in force")
    });
    site.append(6..7);
    site.wait_until("events at both", |site| {
        site.delivered().len() == 7 && second(site).lines().count() == 4
    });
    assert_eq!(site.delivered(), users(0..7));
}

#[test]
fn waiting_events_do_not_vanish_with_their_destination_unless_somebody_says_so() {
    let site = Site::new(4);
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let dead = format!(
        "[[destination]]\nname = \"dead\"\ntype = \"syslog\"\naddress = \"127.0.0.1:{port}\"\n"
    );
    site.configure(&format!("{CONFIG}{dead}").replace("[\"out\"]", "[\"out\", \"dead\"]"));
    let mut running = site.start();
    site.wait_until("the refusal", |site| {
        site.errors().contains("cannot connect")
    });
    site.wait_until("four events", |site| site.delivered().len() == 4);
    running.signal("TERM");
    running.ends_with(0);

    site.configure(CONFIG);
    run(&site.args("run", &["--once"])).exits_with(1).says(&[
        "4 events",
        "`dead`",
        "--forget build-02/dead",
    ]);
    run(&site.args("run", &["--once", "--forget", "build-02/daed"]))
        .exits_with(64)
        .says(&["nothing waits there"]);
    run(&site.args("run", &["--once", "--forget", "build-02/dead"])).exits_with(0);
    assert_eq!(site.delivered(), users(0..4));
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_and_health_are_served() {
    let site = Site::new(7);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    site.configure(&CONFIG.replace(
        "[limits]",
        &format!("[metrics]\naddress = \"{address}\"\n[limits]"),
    ));
    let _running = site.start();
    site.wait_until("seven events", |site| site.delivered().len() == 7);
    site.wait_until("the counts", |_| {
        get(&address, "/metrics").contains(
            "dsmith_events_total{log_source=\"build-02\",destination=\"out\",status=\"mapped\"} 7\n",
        )
    });
    let metrics = get(&address, "/metrics?x=1");
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    for line in [
        "dsmith_waiting_events{log_source=\"build-02\",destination=\"out\"} 0",
        "dsmith_spool_bytes 0",
        "dsmith_destination_up{destination=\"out\"} 1",
        "# TYPE dsmith_retries_total counter",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    // Each sample belongs to a metric that was announced, and the guide has each of these.
    let guide = crate::support::repository().join("docs/collecting.md");
    let guide = fs::read_to_string(guide).unwrap();
    let body = metrics.split("\r\n\r\n").nth(1).unwrap();
    let mut announced = "";
    for line in body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(rest) => {
                announced = rest.split(' ').next().unwrap();
                assert!(
                    guide.contains(&format!("`{announced}`")),
                    "{announced} in no guide"
                );
            }
            None if line.starts_with('#') => {}
            None => assert!(line.starts_with(announced), "{line} under {announced}"),
        }
    }
    assert!(get(&address, "/healthz").contains("200 OK"));
    assert!(get(&address, "/readyz").contains("ready"));
    assert!(get(&address, "/other").contains("404"));
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("400"), "{answer}");
}

#[test]
fn slow_clients_keep_nobody_from_health_and_metrics_and_take_no_threads() {
    let site = Site::new(7);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    site.configure(&CONFIG.replace(
        "[limits]",
        &format!("[metrics]\naddress = \"{address}\"\n[limits]"),
    ));
    let running = site.start();
    site.wait_until("seven events", |site| site.delivered().len() == 7);
    site.wait_until("metrics", |_| TcpStream::connect(&address).is_ok());
    let threads = || crate::support::status(&running.0, "Threads:");
    let before = threads();
    let mut slow = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(&address).unwrap();
        if number % 2 == 0 {
            // A byte now, and another one whenever somebody else was served.
            let _ = stream.write_all(b"G");
        }
        slow.push(stream);
    }
    for path in ["/healthz", "/metrics", "/readyz"] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        for stream in &mut slow {
            let _ = stream.write_all(b"E");
        }
        // Those that collect, deliver and serve, and no more.
        assert!(threads() <= before, "{:?} > {before:?}", threads());
    }
}

/// Delivery cannot go on while `blocked` is a file.
const BLOCKED: &str = "path = \"blocked/out.log\"";

#[test]
fn a_full_spool_pauses_collection_says_so_and_loses_nothing() {
    let site = Site::new(0);
    site.configure(
        &CONFIG
            .replace("free_disk = 0", "free_disk = 0\nspool = \"64 KiB\"")
            .replace("path = \"out.log\"", BLOCKED),
    );
    site.0.file("blocked", "");
    let mut running = site.start();
    site.wait_until("the start", |site| site.errors().contains("collecting"));
    // More than the spool may hold, in several pages.
    let lines: u32 = 6000;
    for begin in (0..lines).step_by(1000) {
        site.append(begin..begin + 1000);
        std::thread::sleep(Duration::from_millis(100));
    }
    site.wait_until("the pause", |site| {
        site.errors().contains("the spool is full")
    });
    site.wait_until("the status", |site| {
        let table = run(&site.args("status", &[])).out;
        ["WARN", "collection pauses", "cannot write"]
            .iter()
            .all(|part| table.contains(part))
    });
    fs::remove_file(site.0.at("blocked")).unwrap();
    let delivered = |site: &Site| {
        let text = fs::read_to_string(site.0.at("blocked/out.log")).unwrap_or_default();
        text.lines().count()
    };
    site.wait_until("all events", |site| delivered(site) == 6000);
    site.wait_until("the end of the pause", |site| {
        site.errors().contains("there is room again")
    });
    running.signal("TERM");
    running.ends_with(0);
    fs::rename(site.0.at("blocked/out.log"), site.0.at("out.log")).unwrap();
    assert_eq!(site.delivered(), users(0..lines));
}

#[test]
fn a_disk_that_is_nearly_full_pauses_collection_until_there_is_room() {
    let site = Site::new(20);
    site.configure(&CONFIG.replace("free_disk = 0", "free_disk = \"4000000 GiB\""));
    let mut running = site.start();
    site.wait_until("the pause", |site| {
        let errors = site.errors();
        ["the disk of", "is nearly full", "limits.free_disk"]
            .iter()
            .all(|part| errors.contains(part))
    });
    assert!(site.delivered().is_empty());
    // There is room now, as far as the limit is concerned.
    site.configure(CONFIG);
    running.signal("HUP");
    site.wait_until("twenty events", |site| site.delivered().len() == 20);
    running.signal("TERM");
    running.ends_with(0);
    assert_eq!(site.delivered(), users(0..20));
}

#[test]
fn a_state_of_a_later_version_is_refused_with_what_to_do_and_left_as_it_is() {
    let site = Site::new(2);
    run(&site.args("run", &["--once"])).exits_with(0);
    // SQLite keeps the number of the format at this place of the file.
    let path = site.0.at("state/state.db");
    let mut state = fs::read(&path).unwrap();
    state[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&path, &state).unwrap();
    for command in ["run", "status"] {
        run(&site.args(command, &[]))
            .exits_with(1)
            .says(&["has format 99", "run the version of dsmith that wrote it"]);
    }
    assert!(fs::read(&path).unwrap() == state, "it was touched");
}

#[test]
fn sighup_reads_mappings_again_and_keeps_the_old_ones_if_the_new_ones_have_errors() {
    let site = Site(Folder::with_acme_cloud());
    site.0.file("in.log", "");
    site.configure(
        &CONFIG
            .replace(
                "state_directory",
                "mappings = \"mappings\"\nstate_directory",
            )
            .replace("openssh-server", "acme-cloud"),
    );
    let add = || {
        let mut file = fs::File::options().append(true).open(site.0.at("in.log"));
        let line = crate::support::login("ann") + "\n";
        file.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    };
    let names = |site: &Site| -> Vec<String> {
        let text = fs::read_to_string(site.0.at("out.log")).unwrap_or_default();
        let name = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["name"].as_str().unwrap().to_owned()
        };
        text.lines().map(name).collect()
    };
    add();
    let running = site.start();
    site.wait_until("an event", |site| names(site) == ["Acme Login"]);
    let qids = |name: &str| {
        site.0.file(
            "mappings/acme-cloud/qidmap.csv",
            format!("qid,name,description,severity,lowlevelcategory\n2480001,{name},x,2,3021\n"),
        );
    };
    qids("Renamed");
    running.signal("HUP");
    site.wait_until("the reload", |site| {
        site.errors().contains("the new configuration is in force")
    });
    add();
    site.wait_until("two events", |site| {
        names(site) == ["Acme Login", "Renamed"]
    });

    qids("Broken,and,too,many,columns");
    running.signal("HUP");
    site.wait_until("the refusal", |site| {
        let errors = site.errors();
        errors.contains("qidmap.csv") && errors.contains("the old one stays in force")
    });
    add();
    site.wait_until("three events", |site| {
        names(site) == ["Acme Login", "Renamed", "Renamed"]
    });
}

#[test]
fn a_mapping_that_no_loader_expects_does_not_end_a_run_that_reads_it_again() {
    let site = Site(Folder::with_acme_cloud());
    site.0.file("in.log", "");
    site.configure(
        &CONFIG
            .replace(
                "state_directory",
                "mappings = \"mappings\"\nstate_directory",
            )
            .replace("openssh-server", "acme-cloud"),
    );
    let add = || {
        let mut file = fs::File::options().append(true).open(site.0.at("in.log"));
        let line = crate::support::login("ann") + "\n";
        file.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    };
    let count = |site: &Site| {
        let text = fs::read_to_string(site.0.at("out.log")).unwrap_or_default();
        text.lines().count()
    };
    add();
    let mut running = site.start();
    site.wait_until("an event", |site| count(site) == 1);
    let extension = site.0.at("mappings/acme-cloud/extension.xml");
    let good = fs::read_to_string(&extension).unwrap();
    // Blanks that XML does not know: the one of a word processor, and a line separator.
    for (round, blank) in ['\u{a0}', '\u{2028}', '\u{3000}'].into_iter().enumerate() {
        let odd = format!("<pattern x{blank}id=Action");
        let odd = good.replace("<pattern id=\"Action\"", &odd);
        fs::write(&extension, odd).unwrap();
        running.signal("HUP");
        site.wait_until("the refusal", |site| {
            site.errors().matches("stays in force").count() > round
        });
        add();
        site.wait_until("another event", |site| count(site) == round + 2);
    }
    fs::write(&extension, good).unwrap();
    running.signal("HUP");
    site.wait_until("the reload", |site| {
        site.errors().contains("the new configuration is in force")
    });
    running.signal("TERM");
    running.ends_with(0);
    // What the faults have said is for machines too.
    for line in site.errors().lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(message["level"].is_string(), "{line}");
    }
}

#[test]
fn a_status_names_log_sources_that_do_not_collect() {
    let site = Site::new(1);
    let more = |identifier: &str, enabled: bool| {
        format!(
            "[[log_source]]\nidentifier = \"{identifier}\"\ntype = \"openssh-server\"\nprotocol = \"file\"\n\
             enabled = {enabled}\ndestinations = [\"out\"]\nparameters = {{ path = \"in.log\", format = \"text\" }}\n"
        )
    };
    run(&site.args("run", &["--once"])).exits_with(0);
    site.configure(&format!(
        "{CONFIG}{}{}",
        more("new-one", true),
        more("asleep", false)
    ));
    let status = run(&site.args("status", &[])).exits_with(0);
    let row = |identifier: &str| {
        let mut lines = status.out.lines();
        lines.find(|line| line.starts_with(identifier)).unwrap()
    };
    assert!(row("new-one").contains("N/A") && row("new-one").contains("has not collected yet"));
    assert!(row("asleep").contains("DISABLED"), "{status:?}");
    assert!(row("build-02").contains("OK"), "{status:?}");
}

#[test]
fn all_that_a_run_says_to_a_machine_is_json_and_its_state_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(3);
    // A warning, as a secret of nobody would be.
    site.configure(&format!(
        "{CONFIG}[[destination]]\nname = \"unused\"\ntype = \"file\"\npath = \"unused.log\"\n"
    ));
    let ran = run(&site.args("run", &["--once"])).exits_with(0);
    let mut levels = Vec::new();
    for line in ran.err.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        levels.push(message["level"].as_str().unwrap().to_owned());
    }
    assert!(levels.contains(&"WARN".to_owned()), "{ran:?}");
    ran.says(&["no log source names the destination `unused`"]);
    let mode = fs::metadata(site.0.at("state"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
