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
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

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
    let text = |text: &str| RawValue::Text(text.to_owned());
    let values = RawTable::from_iter([
        ("path".to_owned(), text(path.to_str().unwrap())),
        ("format".to_owned(), text(format)),
        ("max_payload".to_owned(), RawValue::Integer(1024)),
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

#[test]
fn however_a_file_grows_the_same_comes_out() {
    let seeds = match std::env::var("DSMITH_SEEDS") {
        Ok(text) => match text.split_once('-') {
            Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
            None => 0..text.parse().unwrap(),
        },
        Err(_) => 0..SEEDS,
    };
    let folder = std::env::temp_dir().join(format!("dsmith-growth-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("app.log");
    for seed in seeds {
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
    fs::remove_dir_all(&folder).unwrap();
}
