//! A configuration in a folder of its own, and runs with it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// A line that the mapping `openssh-server` maps.
const SSH: &str = "<38>Mar 10 08:14:27 build-02 sshd[1902]: Accepted password for jvega from 10.20.4.14 port 51022 ssh2\n";

pub(crate) struct Site(tempfile::TempDir);

impl Site {
    /// A folder with this configuration; `@` in it is the path of the folder.
    pub(crate) fn new(config: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.configure(config);
        site
    }

    pub(crate) fn configure(&self, config: &str) {
        let folder = self.0.path().display().to_string();
        let text = format!("state_directory = \"state\"\n{config}").replace('@', &folder);
        fs::write(self.at("dsmith.toml"), text).unwrap();
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Appends so many lines to a file.
    pub(crate) fn append(&self, file: &str, lines: usize) {
        self.append_padded(file, lines, 0);
    }

    /// The same, each line with so many bytes more.
    pub(crate) fn append_padded(&self, file: &str, lines: usize, padding: usize) {
        let mut out = fs::File::options()
            .create(true)
            .append(true)
            .open(self.at(file))
            .unwrap();
        let line = format!("{} {}\n", SSH.trim_end(), "x".repeat(padding));
        out.write_all(line.repeat(lines).as_bytes()).unwrap();
    }

    /// How many lines a file has.
    pub(crate) fn lines(&self, file: &str) -> usize {
        let text = fs::read_to_string(self.at(file)).unwrap_or_default();
        text.lines().count()
    }

    pub(crate) fn start(&self, more: &[&str]) -> Process {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.at("log"))
            .unwrap();
        self.spawn(more, log.into())
    }

    /// The same with a log that goes elsewhere.
    pub(crate) fn start_with_log(&self, log: Stdio) -> Process {
        self.spawn(&[], log)
    }

    fn spawn(&self, more: &[&str], log: Stdio) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_dsmith"))
            .args(["run", "-c", "dsmith.toml"])
            .args(more)
            .current_dir(self.0.path())
            .env("SECRET", "hunter2-hunter2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Process(child)
    }

    /// Runs with `--once` to the end: the exit code and what was said.
    pub(crate) fn once(&self, patience: &str) -> (i32, String) {
        let _ = fs::remove_file(self.at("log"));
        let mut process = self.start(&["--once", "--once-patience", patience]);
        let code = process.ends(self);
        (code, self.log())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < LONG, "no {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A process that does not outlive its test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end: the exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self, site: &Site) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(begun.elapsed() < LONG, "it does not end\n{}", site.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) const NO_FREE_DISK: &str = "[limits]\nfree_disk = 0\n";

pub(crate) fn file_destination(name: &str) -> String {
    format!(
        "[[destination]]\nname = \"{name}\"\ntype = \"file\"\npath = \"{name}.log\"\nformat = \"raw\"\n"
    )
}

pub(crate) fn receiver(name: &str, address: SocketAddr) -> String {
    format!(
        "[[destination]]\nname = \"{name}\"\ntype = \"syslog\"\naddress = \"{address}\"\nformat = \"raw\"\nheader = \"none\"\n"
    )
}

pub(crate) fn file_source(identifier: &str, path: &str, destinations: &[&str]) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "[[log_source]]\nidentifier = \"{identifier}\"\ntype = \"openssh-server\"\nprotocol = \"file\"\n\
         destinations = {destinations:?}\nparameters = {{ path = \"{path}\", format = \"text\" }}\n"
    );
    text
}

/// A log source that asks this address for alerts.
pub(crate) fn graph_source(identifier: &str, url: &str, destinations: &[&str]) -> String {
    format!(
        "[[log_source]]\nidentifier = \"{identifier}\"\ntype = \"microsoft-365-defender\"\n\
         protocol = \"microsoft-graph-security\"\ndestinations = {destinations:?}\n[log_source.parameters]\n\
         tenant_id = \"3b1d1cbc-6f1e-4a3c-9a53-0c7c1e5d8f10\"\nclient_id = \"8c0f4b52-94a5-4d3e-8f6a-2a9c1b7e4d21\"\n\
         client_secret = {{ env = \"SECRET\" }}\nendpoint_override = \"{url}\"\n"
    )
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A listener that takes connections and says nothing. They stay open as long as the handle does.
pub(crate) fn silent() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// A listener to which no connection comes about, because its queue is full.
pub(crate) fn deaf() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let (address, listener) = silent();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queued.push(stream);
        assert!(queued.len() < 20_000, "the queue has no end");
    }
    (address, listener, queued)
}
