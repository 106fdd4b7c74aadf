//! However a file grows, and whenever dsmith is stopped meanwhile, the same payloads come out and the same faults are
//! counted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::TimeDelta;
use fastrand::Rng;
use protocol::clock::{Clock, VirtualClock};
use protocol::secret::GivenSecrets;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use settings::{RawTable, RawValue};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How many files are tried; `DSMITH_SEEDS=FROM-TO` or `DSMITH_SEEDS=COUNT` tries others.
const SEEDS: u64 = 60;

#[derive(Default)]
struct Collected {
    payloads: Vec<String>,
    malformed: u64,
    cursor: Cursor,
    full: bool,
}

impl Sink for Collected {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full {
            return Err(SinkError::Full);
        }
        let payloads = page.payloads.iter();
        self.payloads
            .extend(payloads.map(|payload| payload.escape_ascii().to_string()));
        self.malformed += page.malformed;
        self.cursor = page.cursor.clone();
        Ok(())
    }
}

fn start(path: &Path, format: &str, cursor: &Cursor) -> Box<dyn Collector> {
    start_with(path, format, "follow", 1024, cursor)
}

fn start_with(
    path: &Path,
    format: &str,
    mode: &str,
    max_payload: i64,
    cursor: &Cursor,
) -> Box<dyn Collector> {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let values = RawTable::from_iter([
        ("path".to_owned(), text(path.to_str().unwrap())),
        ("format".to_owned(), text(format)),
        ("mode".to_owned(), text(mode)),
        ("max_payload".to_owned(), RawValue::Integer(max_payload)),
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

fn rest(collector: &mut dyn Collector, clock: &VirtualClock, sink: &mut Collected, seconds: i64) {
    let end = clock.now() + TimeDelta::seconds(seconds);
    for _ in 0..10_000 {
        match collector.step(clock, sink) {
            Step::Again => {}
            Step::Wait(until) if until <= end => clock.advance_to(until),
            _ => return,
        }
    }
    panic!("it does not come to rest");
}

fn object(rng: &mut Rng) -> String {
    let name = rng
        .choice(["a", "b", "value", "records", "n\\\"m"])
        .unwrap();
    let fill = "x{}[],\\\" ".repeat(rng.usize(0..6));
    match rng.usize(0..6) {
        0 => "{}".to_owned(),
        1 => format!("{{\"{name}\":{}}}", rng.u8(..)),
        2 => format!(
            "{{\n  \"{name}\": [\n    {},\n    {{\n\"c\":null}}\n  ]\n}}",
            rng.u8(..)
        ),
        3 => format!("{{\"{name}\":\n{{\"d\":\"{fill}\"}}\n}}"),
        4 => format!("{{\"{name}\":[{}],\"e\":\"{fill}\"}}", rng.u8(..)),
        _ => format!("{{\"{name}\":\"{fill}\"}}"),
    }
}

/// A part of a file, not always a good one.
fn part(rng: &mut Rng) -> Vec<u8> {
    let separator = rng.choice([",", ", ", ",\n", "\n,\n"]).unwrap();
    let objects = |rng: &mut Rng| {
        let objects: Vec<String> = (0..rng.usize(0..5)).map(|_| object(rng)).collect();
        objects.join(separator)
    };
    let mut text = match rng.usize(0..16) {
        0..5 => object(rng),
        5 => format!("[{}]", objects(rng)),
        6 => format!("[\n{}\n]", objects(rng)),
        7 => format!("{{\"id\":1,\"value\":[{}],\"more\":1}}", objects(rng)),
        8 => format!("{{\n\"records\": [\n{}\n]\n}}", objects(rng)),
        9 => "<13>Nov 23 10:00:00 gw login: ok".to_owned(),
        10 => (rng
            .choice([
                ",,",
                ",",
                " ",
                "]",
                "}",
                "[",
                "{",
                "\"",
                "[{user}] in",
                "7",
                "null",
            ])
            .unwrap())
        .to_owned(),
        11 => "\u{feff}{\"bom\":1}".to_owned(),
        12 => format!("long {}", "äx".repeat(rng.usize(300..1500))),
        13 => format!("{{\"long\":\"{}\"}}", "y ".repeat(rng.usize(400..1500))),
        14 => format!(
            "{{\n \"long\": [\n{}\n1]}}",
            " 12,\n".repeat(rng.usize(200..900))
        ),
        _ => format!(
            "[{},{{\"z\":\"{}\"}},{}]",
            object(rng),
            "z".repeat(1500),
            object(rng)
        ),
    };
    text += rng.choice(["\n", "\n", "\n", "\r\n", "", " "]).unwrap();
    let mut bytes = text.into_bytes();
    match rng.usize(0..12) {
        0 => bytes.truncate(rng.usize(0..=bytes.len())),
        1 => {
            let at = rng.usize(0..bytes.len());
            bytes[at] = *rng.choice(b"{}[]\",\n\\x\0").unwrap();
        }
        _ => {}
    }
    bytes
}

/// What comes out of a file that grows in these pieces.
fn grow(
    path: &Path,
    format: &str,
    pieces: &[&[u8]],
    mut disturb: impl FnMut() -> usize,
) -> (Vec<String>, u64) {
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut sink = Collected::default();
    let _ = fs::remove_file(path);
    let mut file = File::create(path).unwrap();
    let mut collector = start(path, format, &Cursor::START);
    for piece in pieces {
        file.write_all(piece).unwrap();
        match disturb() {
            0 => collector = start(path, format, &sink.cursor),
            1 => {
                sink.full = true;
                rest(&mut *collector, &clock, &mut sink, 1);
                sink.full = false;
            }
            2 => {
                // Not all of it, and then no more.
                for _ in 0..3 {
                    if let Step::Wait(_) = collector.step(&clock, &mut sink) {
                        break;
                    }
                }
                collector = start(path, format, &sink.cursor);
            }
            3 => {}
            _ => rest(&mut *collector, &clock, &mut sink, 1),
        }
    }
    rest(&mut *collector, &clock, &mut sink, 2);
    (sink.payloads, sink.malformed)
}

fn seeds() -> Range<u64> {
    match std::env::var("DSMITH_SEEDS") {
        Ok(text) => match text.split_once('-') {
            Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
            None => 0..text.parse().unwrap(),
        },
        Err(_) => 0..SEEDS,
    }
}

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("dsmith-growth-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("app.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn however_a_file_grows_the_same_comes_out() {
    let folder = Folder::new("grows");
    let path = folder.log();
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let format = rng.choice(["json", "json", "ndjson", "text"]).unwrap();
        let mut content = Vec::new();
        for _ in 0..rng.usize(1..12) {
            content.extend(part(&mut rng));
        }
        let whole = grow(&path, format, &[&content], || usize::MAX);
        for longest in [3, 200, 5000] {
            let mut pieces = Vec::new();
            let mut rest = &content[..];
            // Not more than can be done in a moment.
            let longest = longest.max(content.len() / 300);
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rng.usize(1..=longest.min(rest.len())));
                pieces.push(piece);
                rest = behind;
            }
            let found = grow(&path, format, &pieces, || rng.usize(0..12));
            let both = found.0.iter().zip(&whole.0);
            let same = both.take_while(|(found, whole)| found == whole).count();
            assert!(
                found == whole,
                "seed {seed}, pieces of up to {longest} bytes: {format} {:?}\n{} payloads, {} malformed instead of {} and \
                 {}; behind {same} that are equal {:#?} instead of {:#?}",
                content.escape_ascii().to_string(),
                found.0.len(),
                found.1,
                whole.0.len(),
                whole.1,
                &found.0[same..found.0.len().min(same + 3)],
                &whole.0[same..whole.0.len().min(same + 3)],
            );
        }
    }
}

/// What comes out of a file that is read once.
fn read_once(
    path: &Path,
    format: &str,
    content: &[u8],
    mut is_killed: impl FnMut() -> bool,
) -> Result<(Vec<String>, u64), &'static str> {
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut sink = Collected::default();
    fs::write(path, content).unwrap();
    let mut collector = start_with(path, format, "once", 1024, &Cursor::START);
    for _ in 0..1000 {
        match collector.step(&clock, &mut sink) {
            Step::Again => {}
            Step::Wait(until) => clock.advance_to(until),
            Step::Finished => return Ok((sink.payloads, sink.malformed)),
        }
        if is_killed() {
            collector = start_with(path, format, "once", 1024, &sink.cursor);
        }
    }
    Err("it is not finished")
}

/// What comes out of a file that is rotated when it has this content, before what comes out of the next one.
fn rotate(
    path: &Path,
    format: &str,
    content: &[u8],
    rng: &mut Rng,
) -> Result<(Vec<String>, u64), &'static str> {
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut sink = Collected::default();
    let (first, second) = content.split_at(rng.usize(0..=content.len()));
    fs::write(path, first).unwrap();
    let mut collector = start(path, format, &Cursor::START);
    rest(&mut *collector, &clock, &mut sink, 1);
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(second).unwrap();
    for _ in 0..rng.usize(0..4) {
        collector.step(&clock, &mut sink);
    }
    fs::rename(path, path.with_extension("log.1")).unwrap();
    fs::write(path, "{\"next\":1}\n").unwrap();
    if rng.bool() {
        collector = start(path, format, &sink.cursor);
    }
    for _ in 0..1000 {
        match collector.step(&clock, &mut sink) {
            Step::Wait(until) => clock.advance_to(until),
            _ if rng.u8(..) < 10 => collector = start(path, format, &sink.cursor),
            _ => {}
        }
        if sink
            .payloads
            .last()
            .is_some_and(|last| last.contains("next"))
        {
            sink.payloads.pop();
            return Ok((sink.payloads, sink.malformed));
        }
    }
    Err("the rotated file is not left")
}

#[test]
fn wherever_a_file_ends_it_is_left_and_nothing_of_it_is_lost() {
    let folder = Folder::new("ends");
    let path = folder.log();
    let mut contents: Vec<Vec<u8>> = [
        "{\"value\":[{\"a\":1}]}\n".to_owned(),
        "{\"id\":1,\n\"records\": [\n{\"a\":1},\n{\n\"b\":\n[2]}\n]\n,\"more\":1}\n{\"c\":3}"
            .to_owned(),
        format!(
            "{{\n\"value\": [\n{}\n], \"count\": 3}}",
            ["{\n\"a\": 1\n}"; 3].join(",\n")
        ),
        // Exactly as long as one piece and two.
        format!("{{\n\"long\": \"{}\"}}", "y".repeat(2048)),
        format!("[1, {{\n\"long\": [{}", "\n 1234567,".repeat(300)),
        format!("[1, {{\"long\": [{}", "1234567,".repeat(300)),
    ]
    .map(String::into_bytes)
    .to_vec();
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let parts = (0..rng.usize(1..4)).map(|_| part(&mut rng));
        contents.push(parts.collect::<Vec<_>>().concat());
    }
    for (seed, content) in contents.iter().enumerate() {
        let mut rng = Rng::with_seed(seed as u64);
        let format = match seed {
            0..=5 => "json",
            _ => rng
                .choice(["json", "json", "json", "ndjson", "text"])
                .unwrap(),
        };
        // Every end where there are not too many, and those where a piece is full.
        let stride = content.len() / 50 + 1;
        let mut ends: BTreeSet<usize> = (0..=content.len()).step_by(stride).collect();
        ends.extend((1024..=content.len()).step_by(1024));
        for end in ends {
            let content = &content[..end];
            let tell = || {
                format!(
                    "content {seed} up to byte {end}: {format} {:?}",
                    content.escape_ascii().to_string()
                )
            };
            let whole = read_once(&path, format, content, || false)
                .unwrap_or_else(|error| panic!("{error}: {}", tell()));
            let killed = read_once(&path, format, content, || rng.bool());
            assert!(
                killed.as_ref() == Ok(&whole),
                "{killed:?} instead of {whole:?} when it is killed: {}",
                tell()
            );
            let rotated = rotate(&path, format, content, &mut rng);
            assert!(
                rotated.as_ref() == Ok(&whole),
                "{rotated:?} instead of {whole:?} when it is rotated: {}",
                tell()
            );
        }
    }
}

#[test]
fn an_envelope_that_ends_behind_its_array_is_left_and_counted() {
    let folder = Folder::new("envelope");
    let read = |content: &str| read_once(&folder.log(), "json", content.as_bytes(), || false);
    let payloads = vec!["{\\\"a\\\":1}".to_owned()];
    let whole = read("{\"value\":[{\"a\":1}]}");
    assert_eq!(whole, Ok((payloads.clone(), 0)));
    assert_eq!(read("{\"value\":[{\"a\":1}]"), Ok((payloads.clone(), 1)));
    assert_eq!(read("{\"value\":[{\"a\":1}] "), Ok((payloads, 1)));
}

#[test]
fn a_long_value_that_ends_with_a_piece_is_left() {
    let folder = Folder::new("pieces");
    for length in 2040..2056 {
        let content = format!("{{\n\"a\":[{}", "1,\n ".repeat(600));
        let content = &content.as_bytes()[..length];
        let (payloads, malformed) = read_once(&folder.log(), "json", content, || false).unwrap();
        assert_eq!(malformed, 1, "{length} bytes");
        let payloads = payloads.concat().replace("\\n", "\n").replace("\\\"", "\"");
        // White space at the end of a payload is no part of it.
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        let content = str::from_utf8(content).unwrap();
        assert_eq!(letters(&payloads), letters(content), "{length} bytes");
    }
}

#[test]
fn what_is_written_late_and_ends_behind_an_array_is_counted_once() {
    let folder = Folder::new("late");
    let (path, rotated) = (folder.log(), folder.log().with_extension("log.1"));
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut sink = Collected::default();
    fs::write(&path, "{\"a\":1}\n").unwrap();
    let mut collector = start(&path, "json", &Cursor::START);
    rest(&mut *collector, &clock, &mut sink, 2);
    fs::rename(&path, &rotated).unwrap();
    fs::write(&path, "{\"b\":2}\n").unwrap();
    rest(&mut *collector, &clock, &mut sink, 10);
    let mut file = File::options().append(true).open(&rotated).unwrap();
    file.write_all(b"{\"value\":[{\"c\":3}]").unwrap();
    rest(&mut *collector, &clock, &mut sink, 30);
    assert_eq!(sink.malformed, 1);
    let payloads = ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"];
    let payloads = payloads.map(|payload| payload.as_bytes().escape_ascii().to_string());
    assert_eq!(sink.payloads, payloads);
}

#[test]
fn nothing_is_lost_or_comes_twice_when_the_longest_payload_changes() {
    let folder = Folder::new("limit");
    let path = folder.log();
    // White space may be left out.
    let letters = |text: &str| text.split_whitespace().collect::<String>();
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let format = rng.choice(["json", "json", "ndjson", "text"]).unwrap();
        let mut content = String::new();
        for _ in 0..rng.usize(1..6) {
            content += &match rng.usize(0..4) {
                0 => object(&mut rng),
                1 => format!("long {}", "äx".repeat(rng.usize(300..3000))),
                2 => format!("{{\"long\":\"{}\"}}", "y ".repeat(rng.usize(400..3000))),
                _ => format!(
                    "{{\n \"long\": [\n{}\n1]}}",
                    " 12,\n".repeat(rng.usize(200..2000))
                ),
            };
            content.push('\n');
        }
        let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
        let mut sink = Collected::default();
        let mut payloads = String::new();
        let _ = fs::remove_file(&path);
        let mut file = File::create(&path).unwrap();
        let mut unread = content.as_bytes();
        while !unread.is_empty() {
            let (piece, behind) = unread.split_at(rng.usize(1..=unread.len().min(4000)));
            unread = behind;
            file.write_all(piece).unwrap();
            let limit = rng.choice([1024, 1500, 3000, 20_000]).unwrap();
            let mut collector = start_with(&path, format, "follow", limit, &sink.cursor);
            rest(&mut *collector, &clock, &mut sink, 1);
            payloads.extend(sink.payloads.drain(..));
        }
        let expected = letters(&content).as_bytes().escape_ascii().to_string();
        let found = letters(&payloads.replace("\\n", " ").replace("\\r", " "));
        let both = found.bytes().zip(expected.bytes());
        let same = both.take_while(|(found, wanted)| found == wanted).count();
        assert!(
            found == expected,
            "seed {seed}, {format}: {} bytes instead of {}; different from {same} on: {:?} instead of {:?}",
            found.len(),
            expected.len(),
            &found[same..found.len().min(same + 100)],
            &expected[same..expected.len().min(same + 100)],
        );
    }
}

#[test]
fn what_is_behind_the_place_that_was_reached_with_another_limit_is_counted() {
    let folder = Folder::new("other-limit");
    let path = folder.log();
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    for (first, second) in [(1024, 20_000), (1500, 1024)] {
        let mut sink = Collected::default();
        let long = format!("{{\"a\":[{}", "123,".repeat(1000));
        fs::write(&path, &long).unwrap();
        let mut collector = start_with(&path, "json", "follow", first, &Cursor::START);
        rest(&mut *collector, &clock, &mut sink, 1);
        assert_eq!(sink.malformed, 1);
        fs::write(&path, format!("{long}4]}}\n")).unwrap();
        let mut collector = start_with(&path, "json", "follow", second, &sink.cursor);
        rest(&mut *collector, &clock, &mut sink, 1);
        let found = sink.payloads.concat().replace("\\\"", "\"");
        assert!(found == format!("{long}4]}}"), "{first}, {second}");
        assert_eq!(sink.malformed, 2, "{first}, {second}");
    }
}
