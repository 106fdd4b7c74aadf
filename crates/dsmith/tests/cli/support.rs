//! Runs the binary, and keeps folders that go away with the test.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// What the binary said and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Short enough to be read when a test fails.
impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |text: &str| text.chars().take(4000).collect::<String>();
        writeln!(f, "exit code {}", self.code)?;
        writeln!(f, "-- standard output\n{}", short(&self.out))?;
        writeln!(f, "-- standard error\n{}", short(&self.err))
    }
}

impl Ran {
    /// Its lines on standard output as JSON.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// One member of each event on standard output.
    #[track_caller]
    pub(crate) fn column(&self, pointer: &str) -> Vec<Value> {
        self.events()
            .iter()
            .map(|event| event.pointer(pointer).cloned().unwrap_or_default())
            .collect()
    }

    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Whether a line on standard error holds all of these.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        assert!(
            self.err
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word))),
            "no line with {words:?}: {self:#?}"
        );
        self
    }
}

/// The binary with arguments, without any colour and progress that the environment could ask for.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsmith"));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(name);
    }
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ran {
    feed(&mut command(args), b"")
}

pub(crate) fn run_with<S: AsRef<std::ffi::OsStr>>(args: &[S], input: impl AsRef<[u8]>) -> Ran {
    feed(&mut command(args), input.as_ref())
}

/// Runs a command with some input.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end before it has read everything, which is its good right.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A number that the system knows about a running child, such as `Threads:`, where the system tells.
pub(crate) fn status(child: &Child, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The most memory a running child has had, in bytes, where the system tells.
pub(crate) fn peak_memory(child: &Child) -> Option<u64> {
    Some(status(child, "VmHWM:")? * 1024)
}

/// A folder that goes away.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and gives its full path.
    pub(crate) fn file(&self, path: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn at(&self, path: &str) -> String {
        self.0.join(path).to_str().unwrap().to_owned()
    }

    /// A folder with the mapping `acme-cloud`, for JSON.
    pub(crate) fn with_acme_cloud() -> Self {
        let folder = Self::new();
        for (name, text) in ACME_CLOUD {
            folder.file(&format!("mappings/acme-cloud/{name}"), text);
        }
        folder
    }

    /// A folder of an author, with `acme-cloud` and this extension of it, which may fill a custom property `Device`.
    pub(crate) fn with_devices(extension: &str) -> Self {
        let folder = Self::with_acme_cloud();
        fs::rename(folder.at("mappings"), folder.at("dsm-mappings")).unwrap();
        folder.file("dsm-mappings/acme-cloud/extension.xml", extension);
        folder.file(
            "dsm-mappings/acme-cloud/event-mappings.csv",
            "event_id,event_category,qid\nlogin,,2480001\n",
        );
        let manifest = folder.at("dsm-mappings/acme-cloud/manifest.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let property = "\n[[property]]\nname = \"Device\"\ntype = \"string\"\nleef_key = \"device\"\ndescription = \"d\"\n";
        fs::write(manifest, text + property).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A line that the mapping `openssh-server` of this program maps.
pub(crate) const SSH: &str = "<38>Mar 10 08:14:27 build-02 sshd[1902]: Accepted password for jvega from 10.20.4.14 port 51022 ssh2\n";

/// The options that make `acme-cloud` known.
pub(crate) fn acme(folder: &Folder, more: &[&str]) -> Vec<String> {
    let mappings = folder.at("mappings");
    let mut args: Vec<String> = [
        "parse",
        "--mappings",
        &mappings,
        "--received",
        "2026-11-23T10:00:00Z",
    ]
    .map(str::to_owned)
    .to_vec();
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// An event of `acme-cloud`.
pub(crate) fn login(user: &str) -> String {
    format!("{{\"acme\":\"login\",\"user\":\"{user}\",\"ip\":\"10.1.2.3\"}}")
}

const ACME_CLOUD: [(&str, &str); 5] = [
    (
        "manifest.toml",
        r#"format = 1
name = "Acme Cloud"
description = "a service of an invented vendor"
log_source_type_id = 4998

[leef]
vendor = "Acme"
product = "Cloud"
version = "1.0"

[autodetection]
precedence = 9
[[autodetection.rule]]
patterns = ['"acme"\s*:']
"#,
    ),
    (
        "extension.xml",
        r#"<?xml version="1.0" encoding="UTF-8"?>
<ns2:device-extension xmlns:ns2="event_parsing/device_extension">
  <pattern id="Action" type="JsonKeypath"><![CDATA[/"acme"]]></pattern>
  <pattern id="Kind"><![CDATA["acme"]]></pattern>
  <pattern id="User" type="JsonKeypath"><![CDATA[/"user"]]></pattern>
  <pattern id="Ip" type="JsonKeypath"><![CDATA[/"ip"]]></pattern>
  <match-group order="1" description="acme">
    <json-matcher field="EventName" order="1" pattern-id="Action"/>
    <matcher field="EventCategory" order="1" pattern-id="Kind" capture-group="cloud" enable-substitutions="true"/>
    <json-matcher field="UserName" order="1" pattern-id="User"/>
    <json-matcher field="SourceIp" order="1" pattern-id="Ip"/>
  </match-group>
</ns2:device-extension>
"#,
    ),
    (
        "qidmap.csv",
        "qid,name,description,severity,lowlevelcategory\n2480001,Acme Login,A user signed in,2,3021\n",
    ),
    (
        "event-mappings.csv",
        "event_id,event_category,qid\nlogin,cloud,2480001\n",
    ),
    ("README.md", "# Acme Cloud\n"),
];
