//! `cargo xtask fuzz`: what strangers write, made up by an engine that sees which code it reaches.

use crate::{chaos, say, tell};
use ::fuzz::{TARGETS, Target};
use anyhow::{Context, bail};
use clap::Args;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// How long all targets together run, in minutes; each of them gets the same share.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    minutes: f64,
    /// Only this target; more than one may be given.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// List the targets and what each holds its code to.
    #[arg(long)]
    list: bool,
    /// Run one input, such as a finding, and nothing else.
    #[arg(long, value_name = "FILE", requires = "targets")]
    input: Option<PathBuf>,
    /// Put the inputs that reach something new into the corpora of the repository, as few and as short as do it.
    #[arg(long)]
    minimize: bool,
    /// Decides what is made up.
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// The name of the target folder that the instrumented program has for itself, below the usual one.
const FOLDER: &str = "fuzz";

/// Instrumentation for coverage and for comparisons, as LLVM's libFuzzer reads it. These are flags of the stable compiler.
/// Sanitizers would take an unstable one, and there is no unsafe code that they could watch.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// An input that takes longer than this, in seconds of the clock, is a hang.
const HANG: u32 = 30;
/// More memory than this, in megabytes, is a fault whatever the input.
const MEMORY: u32 = 2048;
/// Longer inputs stay out of the repository, in bytes.
const LONGEST_KEPT: u64 = 4096;
/// So many inputs of a target at most are kept in the repository, the shortest ones.
const MOST_KEPT: usize = 60;

/// What a run of a target came to.
#[derive(Debug, Default)]
struct Outcome {
    executions: u64,
    covered: u64,
    inputs: usize,
    findings: Vec<PathBuf>,
    took: Duration,
}

pub(crate) fn run(args: &FuzzArgs) -> anyhow::Result<bool> {
    if args.list {
        let width = TARGETS.iter().map(|target| target.name.len()).max();
        let width = width.unwrap_or_default();
        let line = |target: &Target| format!("{:<width$}  {}\n", target.name, target.about);
        say(&TARGETS.iter().map(line).collect::<String>())?;
        return Ok(true);
    }
    let targets = chosen(&args.targets)?;
    if let Some(input) = &args.input {
        let bytes = fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
        for target in targets {
            let cost = ::fuzz::check(target, &bytes);
            say(&format!(
                "{}: {} bytes in {:?}, {} bytes of memory: every promise holds\n",
                target.name,
                bytes.len(),
                cost.time,
                cost.memory
            ))?;
        }
        return Ok(true);
    }
    let program = build()?;
    let share = Duration::from_secs_f64(args.minutes.max(0.0) * 60.0 / targets.len() as f64);
    let mut table = format!(
        "{:<14} {:>11} {:>8} {:>8} {:>9} {:>7}\n",
        "TARGET", "EXECUTIONS", "EDGES", "INPUTS", "FINDINGS", "SECONDS"
    );
    let mut passed = true;
    let mut total = 0;
    for target in targets {
        let place = Place::of(target)?;
        let outcome = fuzz(&program, target, &place, share, args.seed)?;
        if args.minimize {
            minimize(&program, target, &place)?;
        }
        passed &= outcome.findings.is_empty();
        total += outcome.executions;
        let _ = writeln!(
            table,
            "{:<14} {:>11} {:>8} {:>8} {:>9} {:>7.0}",
            target.name,
            outcome.executions,
            outcome.covered,
            outcome.inputs,
            outcome.findings.len(),
            outcome.took.as_secs_f64()
        );
        for finding in &outcome.findings {
            let _ = writeln!(
                table,
                "  again: cargo xtask fuzz --target {} --input {}",
                target.name,
                finding.display()
            );
        }
    }
    let _ = writeln!(table, "{:<14} {total:>11}", "total");
    say(&table)?;
    Ok(passed)
}

/// As long as continuous integration has the time for.
pub(crate) fn a_minute() -> anyhow::Result<bool> {
    run(&FuzzArgs {
        minutes: 1.0,
        targets: Vec::new(),
        list: false,
        input: None,
        minimize: false,
        seed: 1,
    })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        ::fuzz::find(name).with_context(|| {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            format!(
                "no target is called `{name}`: known are {}",
                known.join(", ")
            )
        })
    };
    names.iter().map(find).collect()
}

/// Where the inputs of a target are.
#[derive(Debug)]
struct Place {
    /// What was found to be worth keeping; it grows from run to run.
    working: PathBuf,
    /// What is committed.
    committed: PathBuf,
    findings: PathBuf,
    words: PathBuf,
}

impl Place {
    fn of(target: &Target) -> anyhow::Result<Self> {
        let base = chaos::target().join(FOLDER);
        let place = Self {
            working: base.join("corpus").join(target.name),
            committed: ::fuzz::corpora().join(target.name),
            findings: base.join("findings").join(target.name),
            words: base.join(format!("{}.dict", target.name)),
        };
        for folder in [&place.working, &place.findings] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&place.words, dictionary(target.words))?;
        Ok(place)
    }
}

/// Words in the form in which libFuzzer reads them: each in quotes, with what is not plain as hexadecimal numbers.
fn dictionary(words: &[&str]) -> String {
    let mut out = String::new();
    for word in words {
        out.push('"');
        for byte in word.bytes() {
            match byte {
                b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
                b' '..=b'~' => out.push(char::from(byte)),
                _ => {
                    let _ = write!(out, "\\x{byte:02X}");
                }
            }
        }
        out.push_str("\"\n");
    }
    out
}

fn build() -> anyhow::Result<PathBuf> {
    let host = host()?;
    let folder = chaos::target().join(FOLDER);
    tell("building the instrumented program\n");
    // With --target the flags are not those of build scripts, which would not link with them.
    let built = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--package",
            "fuzz",
            "--features",
            "engine",
        ])
        .args(["--bin", "fuzz", "--profile", "fuzz", "--target", &host])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", INSTRUMENTATION)
        .status()
        .context("cannot start cargo")?;
    if !built.success() {
        bail!("the instrumented program cannot be built; its engine takes a C++ compiler");
    }
    Ok(folder.join(host).join("fuzz").join("fuzz"))
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

/// Runs a target for a time. It goes on after a finding, as often as there is time for.
fn fuzz(
    program: &Path,
    target: &Target,
    place: &Place,
    share: Duration,
    seed: u32,
) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let mut outcome = Outcome::default();
    let mut round = 0;
    // A finding ends a run of the engine. Where one follows another there is no sense in hundreds of them.
    while round < 5 {
        let left = share.saturating_sub(began.elapsed()).as_secs();
        if left == 0 && round > 0 {
            break;
        }
        let output = engine(program, target)
            .arg(format!("-max_total_time={}", left.max(1)))
            .arg(format!("-seed={}", seed.wrapping_add(round)))
            .arg(format!("-timeout={HANG}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-max_len={}", target.longest))
            .arg(format!("-dict={}", place.words.display()))
            .arg(format!("-artifact_prefix={}/", place.findings.display()))
            .args(["-print_final_stats=1", "-reduce_inputs=1"])
            .arg(&place.working)
            .arg(&place.committed)
            .args(folders(target))
            .stdout(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let log = String::from_utf8_lossy(&output.stderr);
        fs::write(place.findings.with_extension("log"), log.as_bytes())?;
        outcome.executions += number(&log, "stat::number_of_executed_units:").unwrap_or(0);
        outcome.covered = outcome.covered.max(edges(&log));
        if output.status.success() {
            break;
        }
        let artifact = log.lines().rev().find_map(|line| {
            let (_, path) = line.split_once("Test unit written to ")?;
            Some(PathBuf::from(path.trim()))
        });
        let Some(artifact) = artifact else {
            let end: Vec<&str> = log.lines().rev().take(20).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            bail!(
                "{} ended without a finding:\n{}",
                target.name,
                end.join("\n")
            );
        };
        let why = log.lines().find(|line| line.contains("panicked at"));
        tell(&format!(
            "{}: {} ({})\n",
            target.name,
            artifact.display(),
            why.unwrap_or("it hangs, or takes too much memory").trim()
        ));
        if !outcome.findings.contains(&artifact) {
            outcome.findings.push(artifact);
        }
        round += 1;
    }
    outcome.inputs = fs::read_dir(&place.working)?.count();
    outcome.took = began.elapsed();
    Ok(outcome)
}

fn engine(program: &Path, target: &Target) -> Command {
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", target.name);
    command
}

/// The folders with good inputs of a target. The engine reads them to the bottom.
fn folders(target: &Target) -> impl Iterator<Item = &'static str> {
    target.seeds.iter().copied()
}

fn number(log: &str, name: &str) -> Option<u64> {
    let line = log.lines().rev().find(|line| line.starts_with(name))?;
    line[name.len()..].trim().parse().ok()
}

/// The number behind `cov:` in the last line that has one.
fn edges(log: &str) -> u64 {
    let words = log.lines().rev().find_map(|line| line.split_once(" cov: "));
    let number = words.and_then(|(_, rest)| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Takes over into the repository what reaches code that nothing there reaches, and drops what is no longer needed.
/// Findings of earlier runs, whose names begin with `found-`, stay.
fn minimize(program: &Path, target: &Target, place: &Place) -> anyhow::Result<()> {
    let merged = place.working.with_extension("minimized");
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged)?;
    let status = engine(program, target)
        .args(["-set_cover_merge=1", "-max_len=4096"])
        .arg(format!("-timeout={HANG}"))
        .arg(format!("-artifact_prefix={}/", place.findings.display()))
        .arg(&merged)
        .arg(&place.committed)
        .arg(&place.working)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("the corpus of {} cannot be minimized", target.name);
    }
    let mut kept: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(&merged)? {
        let entry = entry?;
        kept.push((entry.metadata()?.len(), entry.path()));
    }
    kept.retain(|(length, _)| *length <= LONGEST_KEPT);
    kept.sort();
    kept.truncate(MOST_KEPT);
    for entry in fs::read_dir(&place.committed)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("found-") && !name.starts_with("seed-") {
            fs::remove_file(&path)?;
        }
    }
    for (_, path) in kept {
        let name = path.file_name().unwrap_or_default();
        // The engine names an input by its SHA-1; the beginning of that is enough here.
        let name = name.to_string_lossy();
        fs::copy(&path, place.committed.join(&name[..name.len().min(12)]))?;
    }
    fs::remove_dir_all(&merged)?;
    Ok(())
}
