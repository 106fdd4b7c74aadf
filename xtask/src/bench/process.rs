//! `dsmith parse` as a process: what a second core gains, and how much memory it takes.

use super::Work;
use anyhow::{Context, bail};
use measure::corpus::Corpus;
use measure::report::{Measured, Memory, Threads};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Alerts of each kind in a block; an input is blocks of them.
const BLOCK: usize = 200;
/// Blocks in the small input, and how many times as many are in the large one.
const SMALL: usize = 5;
const TIMES: usize = 20;

pub(super) fn measure(
    dsmith: &Path,
    work: &Work,
    quick: bool,
) -> anyhow::Result<(Measured<Threads>, Measured<Memory>)> {
    let (small, large) = (work.file("small.ndjson"), work.file("large.ndjson"));
    let half = work.file("half.ndjson");
    write_input(&small, SMALL)?;
    write_input(&half, SMALL * TIMES / 2)?;
    write_input(&large, SMALL * TIMES)?;
    let program = Dsmith(dsmith);
    let threads = if !program.has_threads()? {
        Measured::not("this dsmith has no option --threads")
    } else if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        Measured::not("this machine has one core")
    } else {
        program.threads(&large, &half, work, if quick { 7 } else { 15 })?
    };
    let memory = match (program.peak(&small)?, program.peak(&large)?) {
        (Some(small_peak), Some(large_peak)) => Measured::Measured(Memory {
            small_bytes: std::fs::metadata(&small)?.len(),
            large_bytes: std::fs::metadata(&large)?.len(),
            small_peak,
            large_peak,
        }),
        _ => Measured::not("there is no /proc/PID/status with VmHWM here"),
    };
    for file in [small, half, large] {
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok((threads, memory))
}

/// Alerts of all three kinds, one a line, in turns.
fn write_input(path: &Path, blocks: usize) -> anyhow::Result<()> {
    let mut block = Vec::new();
    let corpora = Corpus::of_goals(BLOCK);
    for index in 0..BLOCK {
        for corpus in &corpora {
            block.extend_from_slice(&corpus.payloads[index]);
            block.push(b'\n');
        }
    }
    let mut out = BufWriter::new(File::create(path)?);
    for _ in 0..blocks {
        out.write_all(&block)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(out.flush()?)
}

struct Dsmith<'a>(&'a Path);

impl Dsmith<'_> {
    fn command(&self, threads: Option<&str>, input: &Path) -> Command {
        let mut command = Command::new(self.0);
        command.args(["parse", "--quiet", "--type", "microsoft-365-defender"]);
        // Device times without a year need a time of receipt; the output must not depend on when it is made.
        command.args(["--received", "2026-01-01T00:00:00Z"]);
        if let Some(threads) = threads {
            command.args(["--threads", threads]);
        }
        command
            .arg(input)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn has_threads(&self) -> anyhow::Result<bool> {
        let output = Command::new(self.0)
            .args(["parse", "--help"])
            .output()
            .context("cannot start dsmith")?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("--threads "))
    }

    /// The fastest of the rounds counts: whatever else the machine does makes a run slower, and one that wants both cores
    /// most of all.
    fn threads(
        &self,
        input: &Path,
        half: &Path,
        work: &Work,
        rounds: usize,
    ) -> anyhow::Result<Measured<Threads>> {
        let ways: [&[(&str, &Path)]; 3] = [
            &[("1", input)],
            &[("2", input)],
            &[("1", half), ("1", half)],
        ];
        let mut best = [Duration::MAX; 3];
        for _ in 0..rounds {
            for (best, programs) in best.iter_mut().zip(ways) {
                *best = (*best).min(self.side_by_side(programs)?);
            }
        }
        let mut outputs = Vec::new();
        for threads in ["1", "2"] {
            let path = work.file(&format!("output-{threads}.leef"));
            self.command(Some(threads), input)
                .stdout(File::create(&path)?)
                .status()?;
            outputs.push(path);
        }
        let same_output = same(File::open(&outputs[0])?, File::open(&outputs[1])?)?;
        for path in outputs {
            std::fs::remove_file(path)?;
        }
        let [one, two, apart] = best.map(|time| time.as_secs_f64());
        Ok(Measured::Measured(Threads {
            bytes: std::fs::metadata(input)?.len(),
            one,
            two,
            ratio: one / two,
            machine: one / apart,
            same_output,
        }))
    }

    /// How long programs take that start together, each with so many threads and an input, until the last one ends.
    fn side_by_side(&self, programs: &[(&str, &Path)]) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut running = Vec::new();
        for (threads, input) in programs {
            running.push(self.command(Some(threads), input).spawn()?);
        }
        for mut program in running {
            let status = program.wait()?;
            if !status.success() {
                bail!("dsmith parse --threads ended with {status}");
            }
        }
        Ok(start.elapsed())
    }

    /// The most memory in use at a time, in bytes. The kernel keeps it; it is asked until the process is gone, so what
    /// happens in its last millisecond may be missed.
    fn peak(&self, input: &Path) -> anyhow::Result<Option<u64>> {
        let mut child = self
            .command(None, input)
            .spawn()
            .context("cannot start dsmith")?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak = None;
        loop {
            let now = std::fs::read_to_string(&status)
                .ok()
                .as_deref()
                .and_then(high_water_mark);
            peak = peak.max(now);
            if let Some(status) = child.try_wait()? {
                if !status.success() {
                    bail!("dsmith parse ended with {status}");
                }
                return Ok(peak);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// `VmHWM` of a status file of Linux, in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether two readers give the same bytes, of which there must be some.
fn same(mut a: impl Read, mut b: impl Read) -> std::io::Result<bool> {
    const BLOCK: u64 = 1 << 20;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut any = false;
    loop {
        for (reader, block) in [(&mut a as &mut dyn Read, &mut left), (&mut b, &mut right)] {
            block.clear();
            reader.take(BLOCK).read_to_end(block)?;
        }
        if left != right || left.is_empty() {
            return Ok(any && left == right);
        }
        any = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tdsmith\nVmPeak:\t  9 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(high_water_mark(status), Some(12345 * 1024));
        assert_eq!(high_water_mark("Name:\tgone\n"), None);
    }

    #[test]
    fn outputs_are_the_same_only_byte_for_byte_and_not_when_there_are_none() {
        let same = |a: &str, b: &str| super::same(a.as_bytes(), b.as_bytes()).unwrap();
        assert!(same("a\nb\n", "a\nb\n"));
        for (a, b) in [
            ("a\nb\n", "b\na\n"),
            ("a\n", "a\nb\n"),
            ("a\nb\n", "a\n"),
            ("", ""),
        ] {
            assert!(!same(a, b), "{a:?} {b:?}");
        }
    }
}
