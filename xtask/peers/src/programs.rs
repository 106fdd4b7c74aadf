//! Programs that are measured from outside: a file of alerts goes in, a file of lines comes out. The time that a program
//! takes to start is taken off: it is that of a run over one alert.

use crate::{Job, here};
use anyhow::{Context, bail};
use measure::corpus::Corpus;
use measure::report::{Measured, Peer};
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each program; the median counts.
const ROUNDS: usize = 5;
/// So long may a run take.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many times the alerts of the corpus are in the file.
const TIMES: usize = 4;

/// A program and how it is told what to do.
struct Program {
    name: &'static str,
    /// What makes it say its version.
    version: &'static [&'static str],
    /// Starts it with input and output; the folder is for its own files.
    start: fn(&Path, &Path, &Path) -> anyhow::Result<Child>,
    lacks: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "jq",
        version: &["jq", "--version"],
        start: jq,
        lacks: "no provenance, addresses not checked",
    },
    Program {
        name: "rsyslog",
        version: &["rsyslogd", "-v"],
        start: rsyslog,
        lacks: "whole seconds, empty values written, lists not split",
    },
    Program {
        name: "syslog-ng",
        version: &["syslog-ng", "--version"],
        start: syslog_ng,
        lacks: "whole seconds, empty values written, lists not split",
    },
];

/// Measures those that are installed, and says which are not.
pub(crate) fn measure(job: &Job, work: &Path) -> anyhow::Result<Vec<Peer>> {
    let folder = work.join("programs");
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    write_qids(job, &folder)?;
    let alerts = Corpus::wire(&job.corpus.payloads, false);
    std::fs::write(folder.join("all.ndjson"), alerts.repeat(TIMES))?;
    std::fs::write(
        folder.join("one.ndjson"),
        Corpus::wire(&job.corpus.payloads[..1], false),
    )?;
    let mut peers = Vec::new();
    for program in &PROGRAMS {
        peers.push(match version(program) {
            None => Peer {
                name: program.name.to_owned(),
                corpus: job.corpus.name.to_owned(),
                result: Measured::not("not installed"),
                lacks: String::new(),
            },
            Some(version) => {
                // One that lacks a module, say, keeps no other from being measured.
                let result = measure_one(program, job, &folder);
                let (result, lacks) = result
                    .unwrap_or_else(|error| (Measured::not(format!("{error:#}")), String::new()));
                Peer {
                    name: version,
                    corpus: job.corpus.name.to_owned(),
                    result,
                    lacks,
                }
            }
        });
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(peers)
}

fn version(program: &Program) -> Option<String> {
    let output = Command::new(program.version[0])
        .args(&program.version[1..])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Their ways to say it differ; the number has a dot in it.
    let words = text.split([' ', '\n', '-', '(', ')', ',']);
    let mut numbers =
        words.filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
    Some(
        format!("{} {}", program.name, numbers.next().unwrap_or(""))
            .trim()
            .to_owned(),
    )
}

fn measure_one(
    program: &Program,
    job: &Job,
    folder: &Path,
) -> anyhow::Result<(Measured<(f64, f64)>, String)> {
    let count = job.corpus.payloads.len() * TIMES;
    let mut ratios = Vec::new();
    let mut best = Duration::MAX;
    let mut agreement = String::new();
    for _ in 0..ROUNDS {
        let plain = plain_parse(job);
        let (start, _) = run(program, folder, "one.ndjson", 1)?;
        let (all, lines) = run(program, folder, "all.ndjson", count)?;
        let time = all.saturating_sub(start).max(Duration::from_micros(1));
        ratios.push(plain.as_secs_f64() / time.as_secs_f64());
        best = best.min(time);
        agreement = job.agreement(lines.split(|byte| *byte == b'\n').take(job.lines.len()));
    }
    ratios.sort_by(f64::total_cmp);
    let rate = count as f64 / best.as_secs_f64();
    let result = Measured::Measured((rate, ratios[ratios.len() / 2]));
    Ok((result, format!("{agreement}; {}", program.lacks)))
}

/// The measure: as many alerts as are in the file.
fn plain_parse(job: &Job) -> Duration {
    let start = Instant::now();
    for _ in 0..TIMES {
        for payload in &job.corpus.payloads {
            let _ = black_box(serde_json::from_slice::<serde_json::Value>(black_box(
                payload,
            )));
        }
    }
    start.elapsed()
}

/// Runs a program until it has written so many lines, and tells how long that took and what they are.
fn run(
    program: &Program,
    folder: &Path,
    input: &str,
    lines: usize,
) -> anyhow::Result<(Duration, Vec<u8>)> {
    let output = folder.join("lines.leef");
    let state = folder.join("state");
    // What a daemon remembers of an earlier run.
    let _ = std::fs::remove_dir_all(&state);
    std::fs::create_dir_all(&state)?;
    let _ = std::fs::remove_file(&output);
    let start = Instant::now();
    let mut child = (program.start)(&folder.join(input), &output, &state)?;
    let result = wait(&mut child, &output, lines, start);
    // A daemon does not end by itself.
    let _ = child.kill();
    let _ = child.wait();
    let time = result.with_context(|| format!("{} over {input}", program.name))?;
    Ok((time, std::fs::read(&output)?))
}

/// Waits until the file has so many lines. It is counted from where it was counted before.
fn wait(
    child: &mut Child,
    output: &Path,
    lines: usize,
    start: Instant,
) -> anyhow::Result<Duration> {
    let (mut seen, mut at) = (0, 0);
    loop {
        let ended = child.try_wait()?.is_some();
        if let Ok(bytes) = read_from(output, at) {
            seen += bytes.iter().filter(|byte| **byte == b'\n').count();
            at += bytes.len() as u64;
        }
        if seen >= lines {
            return Ok(start.elapsed());
        }
        if ended || start.elapsed() > PATIENCE {
            bail!("{seen} of {lines} lines were written");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn read_from(path: &Path, at: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The QID map in the form that each program reads.
fn write_qids(job: &Job, folder: &Path) -> anyhow::Result<()> {
    let mut for_jq = serde_json::Map::new();
    let mut for_rsyslog = Vec::new();
    let mut for_syslog_ng = String::new();
    for ((id, category), record) in crate::vrl::qids(&job.mapping)? {
        let record = serde_json::to_value(record)?;
        let key = format!("{id}|{category}");
        let (qid, name, severity) = (
            &record["qid"],
            record["name"].as_str().unwrap_or(""),
            &record["severity"],
        );
        for_jq.insert(key.clone(), serde_json::json!([qid, name, severity]));
        // One string a key: what stands before the name is written as it is.
        for_rsyslog.push(serde_json::json!({"index": key, "value": format!("{qid}\tqidName={name}\tsev={severity}")}));
        for (field, value) in [
            ("qid", qid.to_string()),
            ("name", name.to_owned()),
            ("sev", severity.to_string()),
        ] {
            let _ = writeln!(for_syslog_ng, "{key},{field},{value}");
        }
    }
    let table =
        serde_json::json!({"version": 1, "nomatch": "", "type": "string", "table": for_rsyslog});
    std::fs::write(folder.join("qids.json"), serde_json::to_string(&for_jq)?)?;
    std::fs::write(
        folder.join("qids.rsyslog.json"),
        serde_json::to_string(&table)?,
    )?;
    std::fs::write(folder.join("qids.csv"), for_syslog_ng)?;
    Ok(())
}

fn beside(input: &Path, name: &str) -> PathBuf {
    input.with_file_name(name)
}

fn jq(input: &Path, output: &Path, _state: &Path) -> anyhow::Result<Child> {
    Ok(Command::new("jq")
        .args(["-r", &here("siem.jq")?, "--slurpfile", "qids"])
        .args([&beside(input, "qids.json"), input])
        .stdout(std::fs::File::create(output)?)
        .spawn()?)
}

/// The keys of the line and the members that they come from, for templates that know neither conditions nor functions.
const MEMBERS: [(&str, &str); 28] = [
    ("cat", "Severity"),
    ("src", "InternalIPv4List"),
    ("dst", "IpAddress"),
    ("usrName", "UserName"),
    ("identSrc", "InternalIPv4List"),
    ("identHostName", "ComputerDnsName"),
    ("identNetBios", "MachineName"),
    ("identGrpName", "UserDomain"),
    ("alertId", "AlertId"),
    ("alertTitle", "AlertTitle"),
    ("alertSeverity", "Severity"),
    ("alertCategory", "Category"),
    ("detectionSource", "Source"),
    ("detectorId", "IoaDefinitionId"),
    ("deviceId", "DeviceID"),
    ("deviceName", "ComputerDnsName"),
    ("machineGroup", "MachineGroup"),
    ("userDomain", "UserDomain"),
    ("loggedOnUsers", "LogOnUsers"),
    ("fileName", "FileName"),
    ("filePath", "FilePath"),
    ("sha1", "Sha1"),
    ("sha256", "Sha256"),
    ("md5", "Md5"),
    ("processCommandLine", "CommandLine"),
    ("webUrl", "Url"),
    ("fullId", "FullId"),
    ("alertDescription", "Description"),
];

fn rsyslog(input: &Path, output: &Path, state: &Path) -> anyhow::Result<Child> {
    let mut line = String::new();
    for (key, member) in MEMBERS {
        let _ = write!(
            line,
            "constant(value=\"\\t{key}=\") property(name=\"$!{member}\") "
        );
    }
    let configuration = format!(
        r#"global(workDirectory="{state}" maxMessageSize="256k")
module(load="imfile" mode="inotify")
module(load="mmjsonparse")
lookup_table(name="qids" file="{qids}")
template(name="leef" type="list") {{
  constant(value="LEEF:1.0|Microsoft|365 Defender|1.0|") property(name="$!Category") constant(value="|devTime=")
  property(name="$!time") constant(value="000\tqid=") property(name="$!qid") {line}
  constant(value="\talertCreated=") property(name="$!created") constant(value="000\n")
}}
ruleset(name="alerts") {{
  action(type="mmjsonparse" cookie="")
  set $!key = $!Category & "|" & $!Severity;
  set $!qid = lookup("qids", $!key);
  set $!time = parse_time($!AlertTime);
  set $!created = parse_time($!LastProcessedTimeUtc);
  action(type="omfile" file="{output}" template="leef" ioBufferSize="64k" flushOnTXEnd="on")
}}
input(type="imfile" file="{input}" tag="alerts" ruleset="alerts" freshStartTail="off")
"#,
        state = state.display(),
        qids = beside(input, "qids.rsyslog.json").display(),
        output = output.display(),
        input = input.display(),
    );
    let file = state.join("rsyslog.conf");
    std::fs::write(&file, configuration)?;
    quiet(
        Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(file)
            .arg("-i")
            .arg(state.join("pid")),
    )
}

fn syslog_ng(input: &Path, output: &Path, state: &Path) -> anyhow::Result<Child> {
    let mut line = String::new();
    for (key, member) in MEMBERS {
        let _ = write!(line, "\\t{key}=${{.j.{member}}}");
    }
    let configuration = format!(
        r#"@version: 3.35
options {{ log-msg-size(262144); stats-freq(0); }};
source alerts {{ file("{input}" flags(no-parse) follow-freq(0.01) log-fetch-limit(1000) log-iw-size(10000)); }};
parser json {{ json-parser(prefix(".j.")); }};
parser time {{ date-parser(format("%Y-%m-%dT%H:%M:%S.%f%z") template("${{.j.AlertTime}}")); }};
parser qids {{ add-contextual-data(selector("${{.j.Category}}|${{.j.Severity}}") database("{qids}") prefix(".q.")); }};
destination lines {{ file("{output}" template("LEEF:1.0|Microsoft|365 Defender|1.0|${{.j.Category}}|devTime=${{S_UNIXTIME}}000\tsev=${{.q.sev}}\tqid=${{.q.qid}}\tqidName=${{.q.name}}{line}\n") flush-lines(1000)); }};
log {{ source(alerts); parser(json); parser(time); parser(qids); destination(lines); flags(flow-control); }};
"#,
        qids = beside(input, "qids.csv").display(),
        output = output.display(),
        input = input.display(),
    );
    let file = state.join("syslog-ng.conf");
    std::fs::write(&file, configuration)?;
    let option = |name: &str, file: &str| format!("--{name}={}", state.join(file).display());
    quiet(
        Command::new("syslog-ng")
            .arg("--foreground")
            .arg("--no-caps")
            .args([
                option("cfgfile", "syslog-ng.conf"),
                option("persist-file", "persist"),
                option("pidfile", "pid"),
                option("control", "control"),
            ]),
    )
}

fn quiet(command: &mut Command) -> anyhow::Result<Child> {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command.spawn()?)
}
