//! A writer that rotates its file in every known way, against a collector that is stopped, killed and paused at random.
//!
//! The writer knows nothing of the collector. What is compared is what it wrote, what the sink took, and what still lies
//! on the disk: a line that was not collected has to be gone from the disk, and there has to be a gap in the status.
//! Time is virtual, and so are the times of the files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use protocol::clock::{Clock, VirtualClock};
use protocol::secret::GivenSecrets;
use protocol::status::GapReason;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use settings::{RawTable, RawValue};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// How many schedules are tried; `DSMITH_SEEDS=FROM-TO` or `DSMITH_SEEDS=COUNT` tries others.
const SEEDS: u64 = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// `app.log.1` is the newest.
    Numbers,
    /// `app.log-20260102`
    Dates,
    /// `app.log-2026010213`
    Hours,
    /// `app.log-20260102-1767312000`
    Epochs,
    /// `app.log.2026-01-02_13-00-00`, as Python writes it.
    Python,
    /// `app-20260102.log`, logrotate's `extension`.
    Inside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rename,
    CopyTruncate,
    Recreate,
    /// The name is a symbolic link that leads to another file after a rotation.
    Symlink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compress {
    No,
    AtOnce,
    /// With the next rotation.
    Later,
    /// In a format that is not read.
    Foreign,
}

#[derive(Debug, Clone)]
struct Plan {
    names: Names,
    ways: Vec<Way>,
    compress: Compress,
    keep: usize,
    /// How many bytes each file begins with that are the same in all of them.
    header: usize,
    /// The writer keeps the old file open for a while after it was renamed.
    lingers: bool,
    /// A pattern instead of a path.
    pattern: bool,
}

impl Plan {
    fn random(rng: &mut Rng) -> Self {
        let names = [
            Names::Numbers,
            Names::Numbers,
            Names::Dates,
            Names::Hours,
            Names::Epochs,
            Names::Python,
            Names::Inside,
        ];
        let compress = [
            Compress::No,
            Compress::No,
            Compress::AtOnce,
            Compress::Later,
            Compress::Later,
            Compress::Foreign,
        ];
        let ways = match rng.usize(0..10) {
            0..4 => vec![Way::Rename],
            4..6 => vec![Way::CopyTruncate],
            6 => vec![Way::Recreate],
            7 => vec![Way::Symlink],
            // A file that is made and deleted between two looks leaves no trace, so that deleting is by itself.
            _ => vec![Way::Rename, Way::CopyTruncate],
        };
        // Where all files begin alike and the oldest are removed, nothing tells one that is left from one that is gone.
        let keep = if rng.u8(0..4) == 0 {
            rng.usize(1..4)
        } else {
            500
        };
        let headers: &[usize] = if keep < 500 {
            &[0, 0, 14, 60]
        } else {
            &[0, 0, 0, 14, 60, 1100, 5000]
        };
        let is_link = ways == [Way::Symlink];
        Self {
            names: *rng.choice(&names).unwrap(),
            compress: if is_link {
                Compress::No
            } else {
                *rng.choice(&compress).unwrap()
            },
            keep,
            header: *rng.choice(headers).unwrap(),
            lingers: rng.bool(),
            pattern: rng.u8(0..4) == 0 && !is_link,
            ways,
        }
    }

    /// Whether nothing is ever removed that was not read.
    fn is_harmless(&self) -> bool {
        self.keep >= 500
            && self.compress != Compress::Foreign
            && !self.ways.contains(&Way::CopyTruncate)
            && !self.ways.contains(&Way::Recreate)
    }
}

/// A generation of the file, newest last.
#[derive(Debug, Clone)]
struct Old {
    path: PathBuf,
    compress_later: bool,
}

struct Writer {
    folder: PathBuf,
    plan: Plan,
    clock: VirtualClock,
    rng: Rng,
    file: Option<File>,
    /// The file that was renamed away, which the writer still has open.
    old_file: Option<File>,
    old: Vec<Old>,
    lines: Vec<String>,
    generation: u32,
    /// What was written between copying and truncating.
    between: BTreeSet<String>,
    /// A line of which the first half is written.
    half: Option<String>,
    /// How many files were made, and the first line of the present content of the last one.
    made: u32,
    first_line: usize,
    /// What was truncated: which file, and the lines in it.
    truncated: Vec<(u32, Range<usize>)>,
}

impl Writer {
    fn new(folder: &Path, plan: Plan, clock: VirtualClock, rng: Rng) -> Self {
        Self {
            folder: folder.to_owned(),
            plan,
            clock,
            rng,
            file: None,
            old_file: None,
            old: Vec::new(),
            lines: Vec::new(),
            generation: 0,
            between: BTreeSet::new(),
            half: None,
            made: 0,
            first_line: 0,
            truncated: Vec::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("app.log")
    }

    fn put(file: &File, text: &str, clock: &VirtualClock) {
        let mut file = file;
        clock.advance(TimeDelta::milliseconds(1));
        file.write_all(text.as_bytes()).unwrap();
        file.set_modified(clock.now().into()).unwrap();
    }

    fn create(&mut self) {
        self.generation += 1;
        self.made += 1;
        self.first_line = self.lines.len();
        let path = if self.plan.ways == [Way::Symlink] {
            fs::create_dir_all(self.folder.join("data")).unwrap();
            let target = self
                .folder
                .join(format!("data/app-{:04}.log", self.generation));
            File::create(&target).unwrap();
            let link = self.folder.join("link.new");
            symlink(&target, &link).unwrap();
            fs::rename(link, self.path()).unwrap();
            target
        } else {
            self.path()
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        self.begin(&file);
        self.file = Some(file);
    }

    /// Writes what every file begins with.
    fn begin(&self, file: &File) {
        if self.plan.header > 0 {
            let header = format!("{}\n", "#".repeat(self.plan.header - 1));
            Self::put(file, &header, &self.clock);
        } else {
            file.set_modified(self.clock.now().into()).unwrap();
        }
    }

    fn write(&mut self) {
        if self.file.is_none() {
            self.create();
        }
        let count = if self.rng.u8(0..10) == 0 {
            self.rng.usize(0..4000)
        } else {
            self.rng.usize(0..20)
        };
        let mut text = self.half.take().map_or_else(String::new, |half| {
            self.lines.push(half.clone());
            format!("{}\n", &half[half.len() / 2..])
        });
        for _ in 0..count {
            let line = self.line();
            text += &line;
            text.push('\n');
            self.lines.push(line);
        }
        if self.rng.u8(0..6) == 0 {
            let half = self.line();
            text += &half[..half.len() / 2];
            self.half = Some(half);
        }
        // A writer that has the old file open has not noticed the rotation.
        let file = self.old_file.as_ref().or(self.file.as_ref()).unwrap();
        Self::put(file, &text, &self.clock);
    }

    fn line(&mut self) -> String {
        let length = self.rng.usize(0..80);
        format!(
            "line {:06}.{:06} {}",
            self.lines.len(),
            self.rng.u32(0..1_000_000),
            "x".repeat(length)
        )
    }

    fn finish_half(&mut self) {
        if let Some(half) = self.half.take() {
            let file = self.old_file.as_ref().or(self.file.as_ref()).unwrap();
            let text = format!("{}\n", &half[half.len() / 2..]);
            Self::put(file, &text, &self.clock);
            self.lines.push(half);
        }
    }

    /// Lines that came and went without a trace: they were in a file of which nothing had been read, it was truncated, and
    /// the copy was removed.
    fn traceless(&self, seen: &BTreeMap<&str, i32>) -> BTreeSet<String> {
        let mut traceless = BTreeSet::new();
        let mut known = BTreeSet::new();
        for (file, lines) in &self.truncated {
            let lines = &self.lines[lines.clone()];
            if lines.iter().any(|line| seen.contains_key(line.as_str())) {
                known.insert(*file);
            } else if !known.contains(file) && self.plan.header == 0 {
                traceless.extend(lines.iter().cloned());
            }
        }
        traceless
    }

    /// The writer notices that its file was rotated.
    fn reopen(&mut self) {
        if self.old_file.is_some() {
            self.finish_half();
            self.old_file = None;
        }
    }

    fn rotate(&mut self, between: &mut dyn FnMut()) {
        self.reopen();
        if self.file.is_none() {
            return;
        }
        let way = *self.rng.choice(&self.plan.ways).unwrap();
        // Nobody can put a line together again that was cut through.
        self.finish_half();
        match way {
            Way::Symlink => self.create(),
            Way::Recreate => self.recreate(),
            Way::Rename => {
                self.compress_older(between);
                let path = self.next_name();
                fs::rename(self.path(), &path).unwrap();
                between();
                let old = self.file.take();
                if self.rng.bool() {
                    self.create();
                    // What is written to a file that was compressed is nowhere.
                    let is_kept =
                        !matches!(self.plan.compress, Compress::AtOnce | Compress::Foreign);
                    if self.plan.lingers && is_kept {
                        self.old_file = old;
                    }
                }
                self.add_old(path, between);
            }
            Way::CopyTruncate => {
                self.compress_older(between);
                let path = self.next_name();
                fs::copy(self.path(), &path).unwrap();
                let copy = OpenOptions::new().append(true).open(&path).unwrap();
                copy.set_modified(self.clock.now().into()).unwrap();
                let is_empty = fs::metadata(&path).unwrap().len() == 0;
                if self.rng.u8(0..4) == 0 && !is_empty {
                    // This is what `copytruncate` loses.
                    between();
                    let line = self.line();
                    Self::put(
                        self.file.as_ref().unwrap(),
                        &format!("{line}\n"),
                        &self.clock,
                    );
                    self.between.insert(line.clone());
                    self.lines.push(line);
                }
                let file = self.file.as_ref().unwrap();
                file.set_len(0).unwrap();
                self.truncated
                    .push((self.made, self.first_line..self.lines.len()));
                self.first_line = self.lines.len();
                file.set_modified(self.clock.now().into()).unwrap();
                if self.rng.bool() {
                    between();
                }
                self.begin(self.file.as_ref().unwrap());
                self.add_old(path, between);
            }
        }
    }

    fn recreate(&mut self) {
        let before = fs::metadata(self.path()).unwrap();
        // The coarse clock of the file system must not make the new file look like the old one: in the field there is
        // more than one tick between them.
        loop {
            let _ = fs::remove_file(self.path());
            self.file = None;
            File::create(self.path()).unwrap();
            let after = fs::metadata(self.path()).unwrap();
            if after.ino() != before.ino() || after.created().ok() != before.created().ok() {
                break;
            }
        }
        self.create();
    }

    fn next_name(&mut self) -> PathBuf {
        let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let time = start + TimeDelta::hours(37 * i64::from(self.generation));
        self.generation += 1;
        let name = match self.plan.names {
            Names::Numbers => {
                // The oldest first, so that nothing is overwritten.
                let count = self.old.len();
                for (index, old) in self.old.iter_mut().enumerate() {
                    let number = count - index + 1;
                    let ending = old.path.to_str().unwrap().rsplit('.').next().unwrap();
                    let ending = match ending {
                        "gz" | "xz" => format!(".{ending}"),
                        _ => String::new(),
                    };
                    let path = self.folder.join(format!("app.log.{number}{ending}"));
                    fs::rename(&old.path, &path).unwrap();
                    old.path = path;
                }
                "app.log.1".to_owned()
            }
            Names::Dates => time.format("app.log-%Y%m%d").to_string(),
            Names::Hours => time.format("app.log-%Y%m%d%H").to_string(),
            Names::Epochs => time.format("app.log-%Y%m%d-%s").to_string(),
            Names::Python => time.format("app.log.%Y-%m-%d_%H-%M-%S").to_string(),
            Names::Inside => time.format("app-%Y%m%d.log").to_string(),
        };
        self.folder.join(name)
    }

    fn add_old(&mut self, path: PathBuf, between: &mut dyn FnMut()) {
        let mut old = Old {
            path,
            compress_later: self.plan.compress == Compress::Later,
        };
        match self.plan.compress {
            Compress::AtOnce => compress(&mut old.path, "gz", between),
            Compress::Foreign => compress(&mut old.path, "xz", between),
            _ => {}
        }
        self.old.push(old);
        while self.old.len() > self.plan.keep {
            fs::remove_file(self.old.remove(0).path).unwrap();
        }
    }

    fn compress_older(&mut self, between: &mut dyn FnMut()) {
        for old in &mut self.old {
            if std::mem::take(&mut old.compress_later) {
                compress(&mut old.path, "gz", between);
            }
        }
    }
}

/// Compresses as `gzip` does: the source is removed when the other file is whole.
fn compress(path: &mut PathBuf, ending: &str, between: &mut dyn FnMut()) {
    let text = fs::read(&*path).unwrap();
    let modified = fs::metadata(&*path).unwrap().modified().unwrap();
    let target = PathBuf::from(format!("{}.{ending}", path.display()));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&text).unwrap();
    let packed = encoder.finish().unwrap();
    let mut file = File::create(&target).unwrap();
    if ending == "gz" {
        file.write_all(&packed[..packed.len() / 2]).unwrap();
        between();
        file.write_all(&packed[packed.len() / 2..]).unwrap();
    } else {
        file.write_all(b"\xfd7zXZ\0").unwrap();
    }
    file.set_modified(modified).unwrap();
    fs::remove_file(&*path).unwrap();
    *path = target;
}

#[derive(Default)]
struct Collected {
    lines: Vec<String>,
    cursor: Cursor,
    full: bool,
}

impl Sink for Collected {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full {
            return Err(SinkError::Full);
        }
        assert!(page.cursor.as_text().unwrap().len() <= Cursor::MAX_BYTES);
        let lines = page.payloads.iter();
        self.lines
            .extend(lines.map(|line| String::from_utf8(line.to_vec()).unwrap()));
        self.cursor = page.cursor.clone();
        Ok(())
    }
}

fn start(path: &Path, cursor: &Cursor) -> Box<dyn Collector> {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let values = RawTable::from_iter([
        ("path".to_owned(), text(path.to_str().unwrap())),
        ("format".to_owned(), text("text")),
    ]);
    let protocol = protocol::protocols::find("file").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let opened = protocol.open("x", &parameters, &GivenSecrets::default());
    let Ok(Source::Stream(stream)) = opened else {
        panic!("a file is a stream");
    };
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: stream.lane().to_owned(),
    };
    stream.start(id, cursor.clone()).unwrap()
}

/// The collector of a schedule, over all its lives.
struct Reader {
    path: PathBuf,
    clock: VirtualClock,
    collector: Option<Box<dyn Collector>>,
    sink: Collected,
    gaps: BTreeMap<GapReason, u64>,
}

impl Reader {
    fn gaps(&self) -> BTreeMap<GapReason, u64> {
        let mut gaps = self.gaps.clone();
        if let Some(collector) = &self.collector {
            for reason in GapReason::ALL {
                *gaps.entry(reason).or_default() += collector.status().gaps(reason);
            }
        }
        gaps.retain(|_, count| *count > 0);
        gaps
    }

    /// What happens, for whoever looks for the reason of a failure.
    fn tell(&self, what: &str) {
        if std::env::var_os("DSMITH_TRACE").is_some() {
            let message = self
                .collector
                .as_ref()
                .map(|collector| &collector.status().message);
            let cursor = self.sink.cursor.as_text().unwrap_or_default();
            println!(
                "{} {what}: {} lines, full {}, {message:?}\n    {cursor}",
                self.clock.now(),
                self.sink.lines.len(),
                self.sink.full
            );
        }
    }

    fn kill(&mut self) {
        self.gaps = self.gaps();
        self.collector = None;
    }

    /// At most so many steps, with waits of a few seconds in sum.
    fn steps(&mut self, count: usize, patience: i64) {
        let Self {
            path, collector, ..
        } = self;
        let collector = collector.get_or_insert_with(|| start(path, &self.sink.cursor));
        let end = self.clock.now() + TimeDelta::seconds(patience);
        for _ in 0..count {
            match collector.step(&self.clock, &mut self.sink) {
                Step::Again => {}
                Step::Wait(until) if until <= end => self.clock.advance_to(until),
                Step::Wait(_) => return,
                Step::Finished => panic!("it follows"),
            }
        }
    }

    /// Until everything that there is has been read, as `run --once` does.
    fn read_all(&mut self) -> bool {
        self.sink.full = false;
        self.steps(1, 0);
        let rounds = |reader: &Self| {
            let status = reader.collector.as_ref().unwrap().status();
            // The writer may have renamed the file and made no new one.
            let failed = !reader.path.with_file_name("app.log").exists();
            status.rounds + if failed { status.rounds_failed } else { 0 }
        };
        let before = rounds(self);
        for _ in 0..100_000 {
            self.steps(1, 100);
            if rounds(self) > before + 1 {
                return true;
            }
        }
        false
    }
}

fn on_disk(folder: &Path, lines: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            on_disk(&entry.path(), lines);
            continue;
        }
        let Ok(bytes) = fs::read(entry.path()) else {
            continue;
        };
        let mut text = Vec::new();
        if entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "gz")
        {
            MultiGzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
        } else {
            text = bytes;
        }
        lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
    }
}

/// Runs a schedule and says what is wrong with the outcome.
fn play(seed: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let folder =
        std::env::temp_dir().join(format!("dsmith-rotation-{}-{seed}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let plan = Plan::random(&mut rng);
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut writer = Writer::new(&folder, plan.clone(), clock.clone(), rng.fork());
    let path = if plan.pattern {
        folder.join("*.log")
    } else {
        writer.path()
    };
    let mut reader = Reader {
        path,
        clock: clock.clone(),
        collector: None,
        sink: Collected::default(),
        gaps: BTreeMap::new(),
    };
    // What is made and removed before there ever was a file to read cannot be known.
    if !plan.is_harmless() || plan.pattern || rng.bool() {
        writer.write();
    }
    // From here on everything counts: what is older than the first look is none of its business.
    reader.steps(3, 0);
    let steps = |rng: &mut Rng, reader: &mut Reader| {
        let count = rng.usize(0..12);
        reader.steps(count, rng.i64(0..4));
    };
    let mut is_down = false;
    for _ in 0..rng.usize(5..60) {
        let action = rng.usize(0..12);
        reader.tell(&format!("before action {action}"));
        match action {
            0..4 => writer.write(),
            4..6 => {
                let mut inner = rng.fork();
                writer.rotate(&mut || {
                    if !is_down && inner.u8(0..3) == 0 {
                        steps(&mut inner, &mut reader);
                    }
                });
            }
            6 => writer.reopen(),
            7 => reader.kill(),
            8 => is_down = !is_down,
            9 => reader.sink.full = !reader.sink.full,
            _ if !is_down => steps(&mut rng, &mut reader),
            _ => {}
        }
        if is_down {
            reader.kill();
        }
        if std::env::var_os("DSMITH_TRACE").is_some() {
            let mut names: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let metadata = entry.metadata().unwrap();
                    (
                        metadata.mtime(),
                        entry.file_name(),
                        metadata.ino(),
                        metadata.len(),
                    )
                })
                .collect();
            names.sort();
            println!(
                "{names:?} {} lines written, down {is_down}",
                writer.lines.len()
            );
        }
        clock.advance(TimeDelta::milliseconds(rng.i64(0..3000)));
    }
    writer.reopen();
    writer.finish_half();
    let is_over = reader.read_all();

    reader.tell("the end");
    let gaps = reader.gaps();
    let mut lost = BTreeSet::new();
    let mut seen = BTreeMap::new();
    for line in &reader.sink.lines {
        *seen.entry(line.as_str()).or_insert(0) += 1;
    }
    for line in &writer.lines {
        if !seen.contains_key(line.as_str()) {
            lost.insert(line.clone());
        }
    }
    let mut there = BTreeSet::new();
    on_disk(&folder, &mut there);
    fs::remove_dir_all(&folder).unwrap();
    let fault = |what: &str| Err(format!("seed {seed}: {what}; gaps {gaps:?}; {plan:?}"));
    if !is_over {
        return fault("it does not come to an end");
    }
    let there: Vec<_> = lost.iter().filter(|line| there.contains(*line)).collect();
    if let Some(line) = there.first() {
        return fault(&format!(
            "{} lines lie on the disk and were not read, the first is {line}",
            there.len()
        ));
    }
    if std::env::var_os("DSMITH_TRACE").is_some() {
        println!("lost: {lost:?}");
    }
    // A copy looks like a file that was renamed, if nobody looked at the file meanwhile.
    if plan.ways.len() > 1 {
        lost.retain(|line| !writer.between.contains(line));
    }
    let traceless = writer.traceless(&seen);
    lost.retain(|line| !traceless.contains(line));
    if !lost.is_empty() && gaps.is_empty() {
        return fault(&format!("{} lines were lost without a word", lost.len()));
    }
    if !lost.is_empty() && plan.is_harmless() {
        return fault(&format!("{} lines were lost", lost.len()));
    }
    // A compressed file may be one of which nothing had been read, or another one that is all that is left.
    let is_unsure =
        plan.compress != Compress::No && gaps.keys().all(|reason| *reason == GapReason::Missing);
    if plan.is_harmless() && !gaps.is_empty() && !is_unsure {
        return fault("a false alarm");
    }
    let twice = writer
        .lines
        .iter()
        .filter(|line| seen.get(line.as_str()).is_some_and(|count| *count > 1))
        .count();
    if twice > 0 && gaps.is_empty() {
        return fault(&format!("{twice} lines were read twice"));
    }
    // What was never written must not come out: lines are not torn where nobody tears them.
    let written: BTreeSet<&str> = writer.lines.iter().map(String::as_str).collect();
    let invented = reader
        .sink
        .lines
        .iter()
        .find(|line| !line.starts_with('#') && !written.contains(line.as_str()));
    if let Some(line) = invented {
        return fault(&format!("a line that nobody wrote: {line}"));
    }
    let in_order = reader
        .sink
        .lines
        .iter()
        .filter(|line| !line.starts_with('#'));
    if plan.is_harmless() && !plan.lingers && !in_order.is_sorted() {
        return fault("the lines are out of order");
    }
    Ok(())
}

#[test]
fn whatever_a_rotation_does_lines_are_read_or_their_loss_is_said() {
    let seeds = match std::env::var("DSMITH_SEEDS") {
        Ok(text) => match text.split_once('-') {
            Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
            None => 0..text.parse().unwrap(),
        },
        Err(_) => 0..SEEDS,
    };
    let count = seeds.end - seeds.start;
    let faults: Vec<String> = seeds.filter_map(|seed| play(seed).err()).collect();
    assert!(
        faults.is_empty(),
        "{} of {count} schedules:\n{}",
        faults.len(),
        faults[..faults.len().min(40)].join("\n")
    );
}
