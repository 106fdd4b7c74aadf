//! `dsmith run` with programs of others at both ends: syslog servers that receive events, and an HTTP proxy on the way to
//! the simulator. A program that is not installed is named, and its tests are left out; `.ci/run` installs them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod daemon;
mod restarts;

use daemon::{Daemon, Program, free_port, write_certificates};
use harness::Collector;
use libtest_mimic::{Arguments, Failed, Trial};
use simulator::{Feed, Scenario, Simulator};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// How events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// TCP, an event a line.
    Newline,
    /// TCP, each event behind its length.
    OctetCounting,
    /// TLS, an event a line.
    Tls,
    /// RELP.
    Relp,
    /// RELP over TLS.
    RelpTls,
}

impl Way {
    /// Whether rsyslog needs the module imrelp for it, which is a package of its own.
    fn is_relp(self) -> bool {
        matches!(self, Self::Relp | Self::RelpTls)
    }

    /// The keys of a destination.
    fn keys(self) -> &'static str {
        match self {
            Self::Newline => "transport = \"tcp\"",
            Self::OctetCounting => "transport = \"tcp\"\nframing = \"octet-counting\"",
            Self::Tls => "transport = \"tls\"\nca_file = \"ca.pem\"\nserver_name = \"localhost\"",
            Self::Relp => "transport = \"relp\"",
            Self::RelpTls => {
                "transport = \"relp-tls\"\nca_file = \"ca.pem\"\nserver_name = \"localhost\""
            }
        }
    }
}

const WAYS: [(Way, &str); 3] = [
    (Way::Newline, "over-tcp"),
    (Way::OctetCounting, "over-tcp-with-octet-counting"),
    (Way::Tls, "over-tls"),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (way, how) in WAYS {
        trials.push(trial(
            "rsyslogd",
            &format!("rsyslog-{how}"),
            move |program| receives(way, |folder, port| rsyslog(program, folder, port, way)),
        ));
        trials.push(trial(
            "syslog-ng",
            &format!("syslog-ng-{how}"),
            move |program| receives(way, |folder, port| syslog_ng(program, folder, port, way)),
        ));
    }
    for (way, how) in [
        (Way::Relp, "over-relp"),
        (Way::RelpTls, "over-relp-and-tls"),
    ] {
        trials.push(relp(&format!("rsyslog-{how}"), move |program| {
            receives(way, |folder, port| rsyslog(program, folder, port, way));
        }));
    }
    trials.push(trial("rsyslogd", "rsyslog-restarted", |program| {
        let way = Way::Newline;
        restarts::receiver_restarts(&|folder, port| rsyslog(program, folder, port, way), "");
    }));
    trials.push(trial("syslog-ng", "syslog-ng-restarted", |program| {
        let way = Way::Newline;
        restarts::receiver_restarts(&|folder, port| syslog_ng(program, folder, port, way), "");
    }));
    trials.push(relp("rsyslog-restarted-over-relp", |program| {
        let way = Way::Relp;
        let start = |folder: &Path, port: u16| rsyslog(program, folder, port, way);
        let repeated = restarts::receiver_restarts(&start, way.keys());
        // At each restart what was received and not acknowledged: the window at most.
        assert!(repeated <= restarts::RESTARTS * 2_000, "{repeated}");
    }));
    trials.push(trial(
        "rsyslogd",
        "rsyslog-sends-to-restarted-dsmith",
        |program| {
            restarts::dsmith_restarts(&|folder, port| {
                restarts::rsyslog_sender(program, folder, port)
            });
        },
    ));
    trials.push(trial(
        "syslog-ng",
        "syslog-ng-sends-to-restarted-dsmith",
        |program| {
            restarts::dsmith_restarts(&|folder, port| {
                restarts::syslog_ng_sender(program, folder, port)
            });
        },
    ));
    trials.push(trial("syslog-ng", "syslog-ng-forged-by-nul", |program| {
        restarts::nothing_is_forged(&|folder, port| syslog_ng(program, folder, port, Way::Newline));
    }));
    trials.push(trial("rsyslogd", "rsyslog-forged-by-nul", |program| {
        restarts::nothing_is_forged(&|folder, port| rsyslog(program, folder, port, Way::Newline));
    }));
    trials.push(Trial::test(
        "hostile-receivers-do-not-hold-up-the-end",
        || {
            restarts::ends_in_time();
            Ok::<(), Failed>(())
        },
    ));
    let proxy = "tinyproxy";
    trials.push(trial(
        proxy,
        "proxy-with-authentication",
        collects_through_a_proxy,
    ));
    trials.push(trial(
        proxy,
        "proxy-that-refuses-the-password",
        is_refused_by_a_proxy,
    ));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that needs rsyslog with its module for RELP.
fn relp(name: &str, test: impl FnOnce(&Program) + Send + 'static) -> Trial {
    match Program::find("rsyslogd").filter(|program| program.has("imrelp.so")) {
        Some(_) => trial("rsyslogd", name, test),
        None => missing("rsyslog-relp", name),
    }
}

/// A test that is left out for want of a program.
fn missing(program: &str, name: &str) -> Trial {
    Trial::test(name, || Ok(()))
        .with_kind(format!("{program} is not installed"))
        .with_ignored_flag(true)
}

/// A test that needs a program.
fn trial(program: &'static str, name: &str, test: impl FnOnce(&Program) + Send + 'static) -> Trial {
    match Program::find(program) {
        Some(program) => Trial::test(name, move || {
            test(&program);
            Ok::<(), Failed>(())
        }),
        None => missing(program, name),
    }
}

/// A folder, and in it the program that is tested.
fn collector(folder: &tempfile::TempDir) -> Collector {
    Collector::new(env!("CARGO_BIN_EXE_dsmith"), folder.path())
}

fn scenario() -> Scenario {
    Scenario {
        feeds: vec![
            Feed::siem("eu").backlog(300, Duration::from_secs(3600)),
            Feed::graph().backlog(300, Duration::from_secs(3600)),
        ],
        ..Scenario::default()
    }
}

/// Runs until everything is delivered.
fn run_once(collector: &Collector) -> bool {
    let mut running = collector.start(true).unwrap();
    let ended = running.wait(LONG).unwrap();
    ended
        .unwrap_or_else(|| panic!("it does not end:\n{}", collector.log().unwrap()))
        .success()
}

/// Events that go to a file and to a receiver are the same in both, byte for byte.
fn receives(way: Way, start: impl FnOnce(&Path, u16) -> Daemon) {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path()).unwrap();
    let port = free_port();
    let daemon = start(folder.path(), port);
    let simulator = Simulator::start(scenario()).unwrap();
    let collector = collector(&folder);
    let destinations = format!(
        "[[destination]]
name = \"file\"
type = \"file\"
path = \"out/events.leef\"
format = \"leef1\"

[[destination]]
name = \"receiver\"
type = \"syslog\"
address = \"127.0.0.1:{port}\"
header = \"rfc5424\"
format = \"leef1\"
{}
",
        way.keys()
    );
    collector.configure(&simulator, &destinations).unwrap();
    assert!(run_once(&collector), "{}", collector.log().unwrap());
    daemon.stop();
    let mut expected: Vec<String> = collector
        .lines()
        .unwrap()
        .into_iter()
        .map(|line| String::from_utf8(line).unwrap())
        .collect();
    let received = fs::read_to_string(folder.path().join("received.log")).unwrap();
    let mut received: Vec<String> = received
        .lines()
        .map(|line| {
            let event = line
                .find("LEEF:1.0|")
                .unwrap_or_else(|| panic!("no event in {line}"));
            line[event..].to_owned()
        })
        .collect();
    expected.sort();
    received.sort();
    assert_eq!(expected.len(), 600);
    assert_eq!(received.len(), expected.len());
    let differs = received
        .iter()
        .zip(&expected)
        .find(|(left, right)| left != right);
    assert_eq!(differs, None);
}

fn rsyslog(program: &Program, folder: &Path, port: u16, way: Way) -> Daemon {
    let here = folder.display();
    // Tabs, which stand between the attributes of LEEF 1.0, are escaped unless that is switched off.
    let mut text = format!(
        "global(workDirectory=\"{here}\" maxMessageSize=\"64k\" parser.escapeControlCharactersOnReceive=\"off\""
    );
    if way == Way::Tls {
        text += &format!(
            " defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{here}/ca.pem\" \
              defaultNetstreamDriverCertFile=\"{here}/server.pem\" defaultNetstreamDriverKeyFile=\"{here}/server.key\""
        );
    }
    let module = if way.is_relp() { "imrelp" } else { "imtcp" };
    let more = match way {
        Way::Newline | Way::OctetCounting | Way::Relp => String::new(),
        Way::Tls => {
            "streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\""
                .to_owned()
        }
        Way::RelpTls => format!(
            "tls=\"on\" tls.caCert=\"{here}/ca.pem\" tls.myCert=\"{here}/server.pem\" \
             tls.myPrivKey=\"{here}/server.key\""
        ),
    };
    // Otherwise it begins with GnuTLS, which asks every client for a certificate.
    let library = if way == Way::RelpTls {
        "tls.tlslib=\"openssl\""
    } else {
        ""
    };
    text += &format!(
        ")
module(load=\"{module}\" {library})
main_queue(queue.type=\"LinkedList\" queue.timeoutShutdown=\"20000\")
template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")
ruleset(name=\"take\") {{ action(type=\"omfile\" file=\"{here}/received.log\" template=\"raw\") }}
input(type=\"{module}\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"take\" {more})
"
    );
    Daemon::start(&mut program.rsyslog(folder, &text), folder, port)
}

fn syslog_ng(program: &Program, folder: &Path, port: u16, way: Way) -> Daemon {
    let here = folder.display();
    let source = match way {
        Way::Newline => {
            format!("network(transport(\"tcp\") ip(\"127.0.0.1\") port({port}) flags(no-parse))")
        }
        Way::OctetCounting => format!("syslog(transport(\"tcp\") ip(\"127.0.0.1\") port({port}))"),
        Way::Tls => format!(
            "network(transport(\"tls\") ip(\"127.0.0.1\") port({port}) flags(no-parse) tls(key-file(\"{here}/server.key\") \
             cert-file(\"{here}/server.pem\") peer-verify(optional-untrusted)))"
        ),
        Way::Relp | Way::RelpTls => panic!("syslog-ng does not receive RELP"),
    };
    let text = format!(
        "@version: 3.35
options {{ log-msg-size(65536); keep-hostname(yes); }};
source s {{ {source}; }};
destination d {{ file(\"{here}/received.log\" template(\"$MSG\\n\")); }};
log {{ source(s); destination(d); flags(flow-control); }};
"
    );
    Daemon::start(&mut program.syslog_ng(folder, &text), folder, port)
}

/// A proxy that asks for a name and a password.
fn proxy(program: &Program, folder: &Path) -> (Daemon, u16) {
    let port = free_port();
    let text = format!(
        "Port {port}
Listen 127.0.0.1
Timeout 60
Allow 127.0.0.1
LogFile \"{}/proxy.log\"
LogLevel Connect
BasicAuth collector secret
",
        folder.display()
    );
    fs::write(folder.join("proxy.conf"), text).unwrap();
    let mut command = program.command();
    command.args(["-d", "-c", "proxy.conf"]);
    (Daemon::start(&mut command, folder, port), port)
}

/// Sets a collector up behind the proxy.
fn behind(
    folder: &tempfile::TempDir,
    port: u16,
    password: &str,
    simulator: &Simulator,
) -> Collector {
    let collector = collector(folder);
    let destination = "[[destination]]\nname = \"file\"\ntype = \"file\"\npath = \"out/events.log\"\nformat = \"raw\"\n";
    collector.configure(simulator, destination).unwrap();
    fs::write(folder.path().join("password"), password).unwrap();
    let file = folder.path().join("dsmith.toml");
    let text = fs::read_to_string(&file).unwrap().replace(
        "recurrence = \"1M\"\n",
        &format!(
            "recurrence = \"1M\"\nuse_proxy = true\nproxy_server = \"127.0.0.1\"\nproxy_port = {port}\n\
             proxy_username = \"collector\"\nproxy_password = {{ file = \"{}\" }}\n",
            folder.path().join("password").display()
        ),
    );
    fs::write(file, text).unwrap();
    collector
}

fn proxy_log(folder: &Path) -> String {
    fs::read_to_string(PathBuf::from(folder).join("proxy.log")).unwrap_or_default()
}

fn collects_through_a_proxy(program: &Program) {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, port) = proxy(program, folder.path());
    let simulator = Simulator::start(scenario()).unwrap();
    let collector = behind(&folder, port, "secret", &simulator);
    assert!(run_once(&collector), "{}", collector.log().unwrap());
    let comparison = simulator
        .ledger()
        .compare(harness::keys_of(&collector.lines().unwrap()));
    assert!(comparison.is_exact(), "{comparison}");
    assert!(
        proxy_log(folder.path()).contains("CONNECT"),
        "{}",
        proxy_log(folder.path())
    );
}

fn is_refused_by_a_proxy(program: &Program) {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, port) = proxy(program, folder.path());
    let simulator = Simulator::start(scenario()).unwrap();
    let collector = behind(&folder, port, "wrong", &simulator);
    let mut running = collector.start(false).unwrap();
    let begun = Instant::now();
    // It is tried again, since a proxy may be mended, until somebody ends it.
    while !collector.log().unwrap().contains("the proxy refuses") {
        assert!(running.ended().unwrap().is_none() && begun.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(10));
    }
    running.terminate().unwrap();
    let ended = running.wait(LONG).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let log = collector.log().unwrap();
    assert!(log.contains("check proxy_server"), "{log}");
    assert!(!log.contains("wrong"), "the password is a secret:\n{log}");
    assert_eq!(simulator.requests().len(), 0);
}
