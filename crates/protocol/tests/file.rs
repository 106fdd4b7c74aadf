//! Files that grow, are rotated, are cut off and come back after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

#[path = "scenarios/logged.rs"]
mod logged;

use chrono::TimeDelta;
use protocol::clock::{Clock, VirtualClock};
use protocol::secret::GivenSecrets;
use protocol::status::{GapReason, State};
use protocol::{Collector, Cursor, LaneId, Page, Progress, Sink, SinkError, Source, Step};
use settings::{RawTable, RawValue};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dsmith-file-{name}-{}", std::process::id()));
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

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[derive(Default)]
struct Collected {
    payloads: Vec<String>,
    cursor: Cursor,
    full: bool,
}

impl Sink for Collected {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full {
            return Err(SinkError::Full);
        }
        self.payloads.extend(
            page.payloads
                .iter()
                .map(|payload| String::from_utf8_lossy(payload).into_owned()),
        );
        self.cursor = page.cursor.clone();
        Ok(())
    }
}

struct Run {
    collector: Box<dyn Collector>,
    clock: VirtualClock,
}

impl Run {
    fn new(path: &Path, parameters: &[(&str, &str)], cursor: &Cursor) -> Self {
        let mut values = RawTable::from_iter([(
            "path".to_owned(),
            RawValue::Text(path.display().to_string()),
        )]);
        values.extend(parameters.iter().map(|(key, value)| {
            let number = value.parse().map(RawValue::Integer);
            let value = number.unwrap_or_else(|_| RawValue::Text((*value).to_owned()));
            ((*key).to_owned(), value)
        }));
        let protocol = protocol::protocols::find("file").unwrap();
        let parameters = protocol.validate(&values).unwrap();
        let Source::Stream(stream) = protocol
            .open("x", &parameters, &GivenSecrets::default())
            .unwrap()
        else {
            panic!("a file is a stream");
        };
        let id = LaneId {
            log_source: "x".to_owned(),
            lane: stream.lane().to_owned(),
        };
        Self {
            collector: stream.start(id, cursor.clone()).unwrap(),
            clock: VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap()),
        }
    }

    /// Steps for so many seconds; tells whether it has finished.
    fn run(&mut self, sink: &mut Collected, seconds: i64) -> bool {
        let end = self.clock.now() + TimeDelta::seconds(seconds);
        for _ in 0..10_000 {
            match self.collector.step(&self.clock, sink) {
                Step::Again => {}
                Step::Wait(until) if until <= end => self.clock.advance_to(until),
                Step::Wait(_) => return false,
                Step::Finished => return true,
            }
        }
        panic!("it does not come to rest");
    }
}

fn taken(sink: &mut Collected) -> Vec<String> {
    std::mem::take(&mut sink.payloads)
}

#[test]
fn a_file_that_grows_is_followed_line_by_line() {
    let folder = Folder::new("grows");
    append(&folder.log(), "{\"a\":1}\n{\"b\":2}\n{\"c\":");
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &[], &Cursor::START);
    assert!(!run.run(&mut sink, 10));
    assert_eq!(taken(&mut sink), ["{\"a\":1}", "{\"b\":2}"]);
    append(&folder.log(), "3}\n");
    run.run(&mut sink, 2);
    assert_eq!(taken(&mut sink), ["{\"c\":3}"]);
    assert_eq!(run.collector.status().state, State::Ok);
}

#[test]
fn a_file_is_read_once_to_its_end_with_its_last_line() {
    let folder = Folder::new("once");
    append(&folder.log(), "one\ntwo\n\nthree");
    let mut sink = Collected::default();
    let mut run = Run::new(
        &folder.log(),
        &[("mode", "once"), ("format", "text")],
        &Cursor::START,
    );
    assert!(run.run(&mut sink, 10));
    assert_eq!(taken(&mut sink), ["one", "two", "three"]);
    assert!(
        run.collector
            .status()
            .message
            .ends_with("app.log has been read to its end")
    );
    let mut again = Run::new(
        &folder.log(),
        &[("mode", "once"), ("format", "text")],
        &sink.cursor,
    );
    assert!(again.run(&mut sink, 10));
    assert_eq!(taken(&mut sink), [""; 0]);
}

#[test]
fn a_restart_goes_on_behind_what_the_sink_took() {
    let folder = Folder::new("restart");
    let lines: String = (0..5000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    append(&folder.log(), &lines);
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &[], &Cursor::START);
    // Dies after some pages.
    while sink.payloads.len() < 2000 {
        run.collector.step(&run.clock, &mut sink);
    }
    drop(run);
    append(&folder.log(), "{\"n\":5000}\n");
    Run::new(&folder.log(), &[], &sink.cursor.clone()).run(&mut sink, 5);
    let expected: Vec<String> = (0..=5000).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert!(taken(&mut sink) == expected);
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let folder = Folder::new("rotated");
    append(&folder.log(), "{\"a\":1}\n");
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &[], &Cursor::START);
    run.run(&mut sink, 2);
    fs::rename(folder.log(), folder.0.join("app.log.1")).unwrap();
    run.run(&mut sink, 20);
    append(&folder.log(), "{\"c\":3}\n");
    // Whoever writes it has not noticed yet.
    append(&folder.0.join("app.log.1"), "{\"b\":2}\n{\"last\"");
    run.run(&mut sink, 20);
    assert_eq!(
        taken(&mut sink),
        ["{\"a\":1}", "{\"b\":2}", "{\"last\"", "{\"c\":3}"]
    );
}

#[test]
fn a_file_that_was_rotated_while_nothing_ran_is_found_under_its_new_name() {
    let folder = Folder::new("rotated-away");
    append(&folder.log(), "{\"a\":1}\n");
    let mut sink = Collected::default();
    Run::new(&folder.log(), &[], &Cursor::START).run(&mut sink, 2);
    append(&folder.log(), "{\"b\":2}\n");
    fs::rename(folder.log(), folder.0.join("app.log.1")).unwrap();
    append(&folder.log(), "{\"c\":3}\n");
    Run::new(&folder.log(), &[], &sink.cursor.clone()).run(&mut sink, 20);
    assert_eq!(taken(&mut sink), ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
}

#[test]
fn a_file_that_was_cut_off_or_overwritten_is_read_from_its_beginning() {
    let folder = Folder::new("cut");
    append(&folder.log(), "{\"a\":1}\n{\"b\":2}\n");
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &[], &Cursor::START);
    run.run(&mut sink, 2);
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(folder.log())
        .unwrap();
    append(&folder.log(), "{\"c\":3}\n");
    run.run(&mut sink, 3);
    assert_eq!(taken(&mut sink), ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    // The same inode, longer than before, with another beginning.
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(folder.log())
        .unwrap();
    append(&folder.log(), "{\"d\":4}\n{\"e\":5}\n");
    Run::new(&folder.log(), &[], &sink.cursor.clone()).run(&mut sink, 3);
    assert_eq!(taken(&mut sink), ["{\"d\":4}", "{\"e\":5}"]);
}

#[test]
fn a_new_log_source_may_begin_at_the_end() {
    let folder = Folder::new("end");
    append(&folder.log(), "{\"old\":1}\n");
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &[("start", "end")], &Cursor::START);
    run.run(&mut sink, 2);
    append(&folder.log(), "{\"new\":1}\n");
    // The end was made durable before anything came.
    Run::new(&folder.log(), &[("start", "end")], &sink.cursor.clone()).run(&mut sink, 2);
    assert_eq!(taken(&mut sink), ["{\"new\":1}"]);
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for_and_then_read_whole() {
    let folder = Folder::new("missing");
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &[("start", "end")], &Cursor::START);
    run.run(&mut sink, 20);
    assert_eq!(run.collector.status().state, State::Warn);
    append(&folder.log(), "{\"a\":1}\n");
    run.run(&mut sink, 20);
    assert_eq!(taken(&mut sink), ["{\"a\":1}"]);
    let mut folder_itself = Run::new(&folder.0, &[("mode", "once")], &Cursor::START);
    folder_itself.run(&mut sink, 20);
    assert_eq!(folder_itself.collector.status().state, State::Error);
    assert!(
        folder_itself
            .collector
            .status()
            .message
            .ends_with("cannot be read: it is no regular file")
    );
}

#[test]
fn a_full_sink_stops_the_reading_and_nothing_is_lost() {
    let folder = Folder::new("full");
    append(&folder.log(), "{\"a\":1}\n{\"b\":2}\n");
    let mut sink = Collected {
        full: true,
        ..Collected::default()
    };
    let mut run = Run::new(&folder.log(), &[], &Cursor::START);
    run.run(&mut sink, 20);
    assert!(run.collector.status().paused);
    sink.full = false;
    run.run(&mut sink, 20);
    assert_eq!(taken(&mut sink), ["{\"a\":1}", "{\"b\":2}"]);
    assert!(!run.collector.status().paused);
}

#[test]
fn a_restart_within_a_list_of_json_goes_on_in_it() {
    let folder = Folder::new("json");
    let list: Vec<String> = (0..3000).map(|n| format!("{{\n \"n\": {n}\n}}")).collect();
    append(&folder.log(), &format!("[{}]\n", list.join(",\n")));
    let parameters = [("format", "json"), ("mode", "once")];
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &parameters, &Cursor::START);
    while sink.payloads.len() < 1500 {
        run.collector.step(&run.clock, &mut sink);
    }
    drop(run);
    assert!(Run::new(&folder.log(), &parameters, &sink.cursor.clone()).run(&mut sink, 5));
    let expected: Vec<String> = (0..3000).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert!(taken(&mut sink) == expected);
}

fn compress(path: &Path) {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(path).unwrap()).unwrap();
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let target = path.with_file_name(format!(
        "{}.gz",
        path.file_name().unwrap().to_str().unwrap()
    ));
    fs::write(&target, packed.finish().unwrap()).unwrap();
    let file = OpenOptions::new().append(true).open(target).unwrap();
    file.set_modified(modified).unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn what_was_written_late_and_compressed_then_is_read_once() {
    let folder = Folder::new("late-gz");
    // An older one is still there, so that nobody can have removed those that come later.
    let oldest = folder.0.join("app.log.9");
    append(&oldest, "old\n");
    let file = OpenOptions::new().append(true).open(oldest).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let header = format!("{}\n", "#".repeat(5000));
    append(&folder.log(), &format!("{header}one\n"));
    let mut sink = Collected::default();
    let mut run = text(&folder.log(), &Cursor::START);
    run.run(&mut sink, 2);
    let old = folder.0.join("app.log.1");
    fs::rename(folder.log(), &old).unwrap();
    append(&folder.log(), &header);
    run.run(&mut sink, 10);
    drop(run);
    assert_eq!(taken(&mut sink).len(), 3);
    // While nothing runs: the writer had not noticed, and now the old file is compressed, and the new one goes on.
    append(&old, "late\n");
    compress(&old);
    append(&folder.log(), "two\n");
    let mut run = text(&folder.log(), &sink.cursor.clone());
    run.run(&mut sink, 5);
    let mut payloads = taken(&mut sink);
    payloads.sort();
    assert_eq!(payloads, ["late", "two"]);
    assert_eq!(run.collector.status().all_gaps(), 0);
}

#[test]
fn a_copy_that_begins_as_its_file_does_for_long_is_found() {
    let folder = Folder::new("long-header");
    let header = format!("{}\n", "#".repeat(40_000));
    append(&folder.log(), &header[..100]);
    let mut sink = Collected::default();
    text(&folder.log(), &Cursor::START).run(&mut sink, 2);
    append(&folder.log(), &format!("{}one\n", &header[100..]));
    fs::copy(folder.log(), folder.0.join("app.log.1")).unwrap();
    fs::write(folder.log(), format!("{header}two\n")).unwrap();
    let mut run = text(&folder.log(), &sink.cursor.clone());
    run.run(&mut sink, 5);
    let payloads = taken(&mut sink);
    let short: Vec<&str> = payloads
        .iter()
        .map(String::as_str)
        .filter(|line| line.len() < 10)
        .collect();
    assert_eq!(short, ["one", "two"]);
    assert_eq!(run.collector.status().gaps(GapReason::CopyTruncated), 1);
}

/// What a file in this format gives, and how much of it is malformed.
fn read_whole(name: &str, format: &str, text: &str) -> (Vec<String>, u64) {
    let folder = Folder::new(name);
    append(&folder.log(), text);
    let parameters = [("format", format), ("mode", "once")];
    let mut sink = Collected::default();
    let mut run = Run::new(&folder.log(), &parameters, &Cursor::START);
    assert!(run.run(&mut sink, 5));
    (taken(&mut sink), run.collector.status().malformed)
}

#[test]
fn only_the_beginning_of_a_file_has_a_byte_order_mark() {
    let (payloads, malformed) =
        read_whole("mark", "text", "\u{feff}one\r\n\n  \n\u{feff}two\nthree");
    assert_eq!(payloads, ["one", "\u{feff}two", "three"]);
    assert_eq!(malformed, 0);
    let (payloads, malformed) = read_whole("mark", "ndjson", "\u{feff}{}\n oops\n,,\n{\"b\":2}");
    assert_eq!(payloads, ["{}", " oops", ",,", "{\"b\":2}"]);
    assert_eq!(malformed, 2);
}

#[test]
fn a_line_over_the_limit_is_passed_on_in_pieces_and_counted() {
    let long = "x".repeat(5 << 19);
    let (payloads, malformed) = read_whole("long", "text", &format!("one\n{long}\ntwo\n"));
    let lengths: Vec<usize> = payloads.iter().map(String::len).collect();
    assert_eq!(lengths, [3, 1 << 20, 1 << 20, 1 << 19, 3]);
    assert_eq!(malformed, 1);
}

#[test]
fn a_json_value_that_does_not_end_takes_no_neighbour_along() {
    let text = "{\"a\":1}\n{\"b\":[\n{\"c\":\n{\"d\":4}\n{\"e\":\n  5}\n[{\"f\":6},\n {\"g\":7}] {\"h\":8}";
    let folder = Folder::new("broken");
    append(&folder.log(), text);
    let mut sink = Collected::default();
    // Nobody waits for the end that does not come.
    let mut run = Run::new(&folder.log(), &[("format", "json")], &Cursor::START);
    run.run(&mut sink, 2);
    let payloads = taken(&mut sink);
    for good in [
        "{\"a\":1}",
        "{\"d\":4}",
        "{\"e\":5}",
        "{\"f\":6}",
        "{\"g\":7}",
        "{\"h\":8}",
    ] {
        assert!(
            payloads.iter().any(|payload| payload == good),
            "{good}: {payloads:?}"
        );
    }
    assert_eq!(run.collector.status().malformed, 2, "{payloads:?}");
}

#[test]
fn members_of_an_envelope_are_named_in_the_log() {
    logged::install().unwrap();
    let text = "{\"id\":\"outer\",\"value\":[{\"a\":1},{\"b\":2}],\"more\":1}\n";
    let (payloads, malformed) = read_whole("members", "json", text);
    assert_eq!(payloads, ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(malformed, 0);
    logged::show("");
    let logged = logged::take();
    assert!(
        logged.contains("byte 0: an envelope of payloads has members that are left out: \"id\""),
        "{logged}"
    );
}

#[test]
fn a_file_in_utf_16_is_a_gap_that_says_so() {
    let folder = Folder::new("utf-16");
    fs::write(folder.log(), b"\xff\xfeo\0n\0e\0\n\0").unwrap();
    let mut sink = Collected::default();
    let mut run = text(&folder.log(), &Cursor::START);
    run.run(&mut sink, 5);
    assert_eq!(taken(&mut sink), [""; 0]);
    let status = run.collector.status();
    assert_eq!(
        (status.gaps(GapReason::Unreadable), status.state),
        (1, State::Warn)
    );
    assert!(status.message.contains("UTF-16"), "{}", status.message);
}

#[test]
fn a_position_within_a_list_that_an_older_version_stored_is_read() {
    let folder = Folder::new("old-list");
    append(&folder.log(), "[{\"a\":1},7,\n[8]]\n");
    let mut sink = Collected::default();
    let parameters = [("format", "json")];
    Run::new(&folder.log(), &parameters, &Cursor::START).run(&mut sink, 2);
    assert_eq!(taken(&mut sink), ["{\"a\":1}", "7", "[8]"]);
    let metadata = fs::metadata(folder.log()).unwrap();
    use std::os::unix::fs::MetadataExt;
    // SHA-256 of the first eight bytes.
    let stored = format!(
        r#"{{"version":2,"position":{{"files":[{{"path":"{}","place":{{"file":[{},{}],"offset":8,"head":"c8f08656d4f6a64be48fbc40","in_list":true}}}}]}}}}"#,
        folder.log().display(),
        metadata.dev(),
        metadata.ino()
    );
    sink.cursor = Cursor::from_text(stored);
    Run::new(&folder.log(), &parameters, &sink.cursor.clone()).run(&mut sink, 2);
    assert_eq!(taken(&mut sink), ["7", "[8]"]);
}

#[test]
fn a_cursor_of_another_protocol_is_an_error() {
    let parameters = protocol::protocols::find("file")
        .unwrap()
        .validate(&RawTable::from_iter([(
            "path".to_owned(),
            RawValue::Text("x".to_owned()),
        )]))
        .unwrap();
    let source =
        protocol::protocols::find("file")
            .unwrap()
            .open("x", &parameters, &GivenSecrets::default());
    let Ok(Source::Stream(stream)) = source else {
        panic!("a file is a stream");
    };
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: "file".to_owned(),
    };
    let cursor = Cursor::from_text(r#"{"version":1,"position":{"bookmark":"2026"}}"#);
    assert!(stream.start(id, cursor).is_err());
}

/// Lines with a number, a thousand bytes each.
fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{n:0999}\n")).collect()
}

/// What a sink took, as numbers.
fn numbers(sink: &mut Collected) -> Vec<u32> {
    taken(sink)
        .iter()
        .map(|line| line.parse().unwrap())
        .collect()
}

fn text(path: &Path, cursor: &Cursor) -> Run {
    Run::new(path, &[("format", "text")], cursor)
}

/// Reads as `run --once` does: until the collector says that it has caught up, and no longer.
fn read_once(path: &Path, sink: &mut Collected) -> Run {
    let mut run = text(path, &sink.cursor.clone());
    for _ in 0..10_000 {
        let step = run.collector.step(&run.clock, sink);
        match (run.collector.progress(), step) {
            (Progress::Behind, Step::Again) => {}
            (Progress::Behind, Step::Wait(until)) => run.clock.advance_to(until),
            _ => return run,
        }
    }
    panic!("it does not come to an end");
}

fn rotate(folder: &Folder, generations: u32) {
    for number in (1..=generations).rev() {
        let of = |number| match number {
            0 => folder.log(),
            number => folder.0.join(format!("app.log.{number}")),
        };
        let _ = fs::rename(of(number - 1), of(number));
    }
}

#[test]
fn one_run_reads_all_generations_and_the_file_with_the_name_and_waits_for_nothing() {
    let folder = Folder::new("all-generations");
    append(&folder.log(), &lines(0..5));
    let mut sink = Collected::default();
    let run = read_once(&folder.log(), &mut sink);
    assert_eq!(run.collector.progress(), Progress::CaughtUp);
    append(&folder.log(), &lines(5..10));
    rotate(&folder, 3);
    append(&folder.log(), &lines(10..2000));
    rotate(&folder, 3);
    append(&folder.log(), &lines(2000..2010));
    let run = read_once(&folder.log(), &mut sink);
    assert_eq!(run.collector.progress(), Progress::CaughtUp);
    assert_eq!(
        run.clock.now(),
        Run::new(&folder.log(), &[], &Cursor::START).clock.now()
    );
    assert_eq!(numbers(&mut sink), (0..2010).collect::<Vec<_>>());
    assert_eq!(run.collector.status().all_gaps(), 0);
}

#[test]
fn a_run_over_a_missing_file_or_an_unfinished_line_is_blocked_and_says_so() {
    let folder = Folder::new("blocked");
    let mut sink = Collected::default();
    let blocked = |run: &Run| match run.collector.progress() {
        Progress::Blocked(reason) => reason,
        progress => panic!("{progress:?}"),
    };
    assert!(blocked(&read_once(&folder.log(), &mut sink)).contains("app.log cannot be read"));
    append(&folder.log(), "one\ntwo");
    let reason = blocked(&read_once(&folder.log(), &mut sink));
    assert!(reason.contains("no line end follows"), "{reason}");
    assert_eq!(taken(&mut sink), ["one"]);
    append(&folder.log(), "\n");
    let run = read_once(&folder.log(), &mut sink);
    assert_eq!(run.collector.progress(), Progress::CaughtUp);
    assert_eq!(taken(&mut sink), ["two"]);
}

#[test]
fn rotations_while_the_sink_is_full_lose_nothing() {
    let folder = Folder::new("full-rotated");
    append(&folder.log(), &lines(0..3000));
    let mut sink = Collected::default();
    let mut run = text(&folder.log(), &Cursor::START);
    while sink.payloads.is_empty() {
        run.collector.step(&run.clock, &mut sink);
    }
    sink.full = true;
    run.run(&mut sink, 60);
    for generation in 1..=4 {
        rotate(&folder, 9);
        append(
            &folder.log(),
            &lines(generation * 3000..(generation + 1) * 3000),
        );
        run.run(&mut sink, 60);
    }
    sink.full = false;
    run.run(&mut sink, 60);
    assert_eq!(numbers(&mut sink), (0..15_000).collect::<Vec<_>>());
    assert_eq!(run.collector.status().all_gaps(), 0);
}

#[test]
fn a_truncated_file_that_has_grown_again_is_read_from_its_beginning_and_it_is_said() {
    let folder = Folder::new("regrown");
    append(&folder.log(), &lines(0..5000));
    let mut sink = Collected::default();
    let mut run = text(&folder.log(), &Cursor::START);
    run.run(&mut sink, 5);
    let truncate = || {
        let file = OpenOptions::new().write(true).open(folder.log()).unwrap();
        file.set_len(0).unwrap();
    };
    truncate();
    append(&folder.log(), &lines(5000..12_000));
    run.run(&mut sink, 5);
    assert_eq!(numbers(&mut sink), (0..12_000).collect::<Vec<_>>());
    assert_eq!(run.collector.status().gaps(GapReason::Overwritten), 1);
    assert_eq!(run.collector.status().state, State::Warn);
    assert!(run.collector.status().message.contains("was truncated"));
    // While nothing runs, with a head of 1,100 bytes that stays the same.
    let head = format!("{}\n", "0".repeat(1100));
    truncate();
    append(&folder.log(), &(head.clone() + &lines(0..1000)));
    run.run(&mut sink, 5);
    drop(run);
    truncate();
    append(&folder.log(), &(head + &lines(1000..3000)));
    taken(&mut sink);
    let mut run = text(&folder.log(), &sink.cursor.clone());
    run.run(&mut sink, 5);
    assert_eq!(numbers(&mut sink)[1..], (1000..3000).collect::<Vec<_>>());
    assert_eq!(run.collector.status().gaps(GapReason::Overwritten), 1);
}

#[test]
fn a_link_that_leads_to_another_file_is_followed_over_all_that_came_between() {
    let folder = Folder::new("link");
    fs::create_dir(folder.0.join("data")).unwrap();
    let link = |number: u32| {
        let target = folder.0.join(format!("data/app.{number:03}.log"));
        append(&target, "");
        let _ = fs::remove_file(folder.log());
        std::os::unix::fs::symlink(target, folder.log()).unwrap();
    };
    link(1);
    append(&folder.log(), &lines(0..300));
    let mut sink = Collected::default();
    text(&folder.log(), &Cursor::START).run(&mut sink, 5);
    append(&folder.log(), &lines(300..600));
    link(2);
    append(&folder.log(), &lines(600..900));
    link(3);
    append(&folder.log(), &lines(900..1200));
    let run = read_once(&folder.log(), &mut sink);
    assert_eq!(numbers(&mut sink), (0..1200).collect::<Vec<_>>());
    assert_eq!(run.collector.status().all_gaps(), 0);
}

#[test]
fn files_that_fit_a_pattern_are_read_each_by_itself_also_those_that_come_later() {
    let folder = Folder::new("pattern");
    let file = |name: &str| folder.0.join(name);
    append(&file("a.log"), "a1\n");
    append(&file("b.log"), "b1\n");
    append(&file("a.log.1"), "old\n");
    append(&file("other.txt"), "no\n");
    let mut sink = Collected::default();
    let path = file("*.log");
    let mut run = text(&path, &Cursor::START);
    run.run(&mut sink, 10);
    assert_eq!(taken(&mut sink), ["a1", "b1"]);
    append(&file("c.log"), "c1\n");
    append(&file("a.log"), "a2\n");
    run.run(&mut sink, 10);
    drop(run);
    fs::rename(file("b.log"), file("b.log.1")).unwrap();
    append(&file("b.log.1"), "b2\n");
    append(&file("b.log"), "b3\n");
    append(&file("d.log"), "d1\n");
    let run = read_once(&path, &mut sink);
    assert_eq!(run.collector.progress(), Progress::CaughtUp);
    let mut found = taken(&mut sink);
    found.sort();
    assert_eq!(found, ["a2", "b2", "b3", "c1", "d1"]);
    assert_eq!(run.collector.status().all_gaps(), 0);
    assert!(
        run.collector
            .status()
            .message
            .starts_with("reading 4 files of")
    );
}

#[test]
fn files_over_the_limit_are_not_read_and_that_is_said() {
    let folder = Folder::new("many");
    for number in 0..30 {
        append(&folder.0.join(format!("{number:02}.log")), "x\n");
    }
    let mut sink = Collected::default();
    let path = folder.0.join("*.log");
    let mut parameters = RawTable::from_iter([
        (
            "path".to_owned(),
            RawValue::Text(path.display().to_string()),
        ),
        ("format".to_owned(), RawValue::Text("text".to_owned())),
    ]);
    parameters.set("max_files".to_owned(), RawValue::Integer(20));
    let protocol = protocol::protocols::find("file").unwrap();
    let parameters = protocol.validate(&parameters).unwrap();
    let opened = protocol.open("x", &parameters, &GivenSecrets::default());
    let Ok(Source::Stream(stream)) = opened else {
        panic!("a file is a stream");
    };
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: "file".to_owned(),
    };
    let mut run = Run {
        collector: stream.start(id, Cursor::START).unwrap(),
        clock: VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap()),
    };
    run.run(&mut sink, 20);
    assert_eq!(taken(&mut sink).len(), 20);
    let status = run.collector.status();
    assert_eq!(status.gaps(GapReason::TooMany), 1);
    assert_eq!(status.state, State::Warn);
    assert!(
        status.message.contains("10 more are not read"),
        "{}",
        status.message
    );
}

#[test]
fn a_pattern_over_any_number_of_levels_is_refused_before_it_runs() {
    let values = RawTable::from_iter([(
        "path".to_owned(),
        RawValue::Text("/var/log/**/app.log".to_owned()),
    )]);
    let protocol = protocol::protocols::find("file").unwrap();
    let faults = protocol.validate(&values).unwrap_err();
    assert!(faults[0].message.contains("`**` is no wildcard"));
}

#[test]
fn a_position_that_the_first_version_stored_is_read() {
    let folder = Folder::new("version-1");
    append(&folder.log(), "one\ntwo\n");
    let metadata = fs::metadata(folder.log()).unwrap();
    let (device, inode) = {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    };
    // SHA-256 of `one` and a line end, the first twelve bytes.
    let stored = format!(
        r#"{{"version":1,"position":{{"file":[{device},{inode}],"offset":4,"head":"2c8b08da5ce60398e1f19af0","in_list":false}}}}"#
    );
    rotate(&folder, 1);
    append(&folder.log(), "three\n");
    let mut sink = Collected {
        cursor: Cursor::from_text(stored),
        ..Collected::default()
    };
    let run = read_once(&folder.log(), &mut sink);
    assert_eq!(taken(&mut sink), ["two", "three"]);
    assert_eq!(run.collector.status().all_gaps(), 0);
}

#[test]
fn a_generation_that_cannot_be_unpacked_is_named_and_counted() {
    let folder = Folder::new("unreadable");
    append(&folder.log(), &lines(0..10));
    let mut sink = Collected::default();
    text(&folder.log(), &Cursor::START).run(&mut sink, 5);
    append(&folder.log(), &lines(10..20));
    fs::remove_file(folder.log()).unwrap();
    append(&folder.0.join("app.log.2.xz"), "packed");
    let file = fs::File::options()
        .append(true)
        .open(folder.0.join("app.log.2.xz"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(2))
        .unwrap();
    // The second half of it is missing.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(lines(20..4000).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    fs::write(folder.0.join("app.log.1.gz"), &packed[..packed.len() / 2]).unwrap();
    append(&folder.log(), &lines(4000..4010));
    let run = read_once(&folder.log(), &mut sink);
    let status = run.collector.status();
    assert_eq!(status.gaps(GapReason::Unreadable), 2);
    assert!(
        status.message.contains("app.log.1.gz is damaged"),
        "{}",
        status.message
    );
    let found = numbers(&mut sink);
    assert!(found.contains(&4009) && found.contains(&20) && !found.contains(&3999));
}

const IN_PIECES: [(&str, &str); 2] = [("format", "json"), ("max_payload", "1024")];

/// Reads a document that is longer than a payload may be, in pieces, and not to its end.
fn read_long_document(log: &Path, sink: &mut Collected) -> Run {
    append(log, &format!("{{\n\"list\": [{}", "\n 1234,".repeat(1500)));
    let mut run = Run::new(log, &IN_PIECES, &Cursor::START);
    run.run(sink, 2);
    assert!(taken(sink).len() > 8);
    run
}

fn overwrite(path: &Path, text: &str) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(0).unwrap();
    append(path, text);
}

fn objects(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|n| format!("{{\"n\":{n}}}")).collect()
}

#[test]
fn a_file_that_is_written_anew_within_a_long_document_is_read_from_its_beginning() {
    for is_restarted in [false, true] {
        // Shorter than what was read, as long, and longer.
        for count in [2, 1200, 5000] {
            let folder = Folder::new(&format!("anew-{is_restarted}-{count}"));
            let mut sink = Collected::default();
            let mut run = read_long_document(&folder.log(), &mut sink);
            if is_restarted {
                run = Run::new(&folder.log(), &IN_PIECES, &sink.cursor);
            }
            overwrite(&folder.log(), &(objects(0..count).join("\n") + "\n"));
            run.run(&mut sink, 5);
            let what = format!("{count} objects, restarted: {is_restarted}");
            assert!(taken(&mut sink) == objects(0..count), "{what}");
            assert_eq!(
                run.collector.status().gaps(GapReason::Overwritten),
                1,
                "{what}"
            );
        }
    }
}

#[test]
fn a_document_that_was_read_in_part_is_not_taken_for_another_file() {
    for count in [2, 3000] {
        let folder = Folder::new(&format!("other-gz-{count}"));
        let mut sink = Collected::default();
        drop(read_long_document(&folder.log(), &mut sink));
        fs::remove_file(folder.log()).unwrap();
        let rotated = folder.0.join("app.log.1");
        append(&rotated, &(objects(0..count).join("\n") + "\n"));
        compress(&rotated);
        append(&folder.log(), "{\"next\":1}\n");
        let mut run = Run::new(&folder.log(), &IN_PIECES, &sink.cursor);
        run.run(&mut sink, 20);
        let mut expected = objects(0..count);
        expected.push("{\"next\":1}".to_owned());
        assert!(taken(&mut sink) == expected, "{count}");
        assert_eq!(run.collector.status().gaps(GapReason::Missing), 1);
    }
}

#[test]
fn a_long_document_is_read_on_where_it_was_compressed() {
    let folder = Folder::new("long-gz");
    let mut sink = Collected::default();
    drop(read_long_document(&folder.log(), &mut sink));
    append(&folder.log(), "\n 5]}\n{\"last\":1}\n");
    fs::rename(folder.log(), folder.0.join("app.log.1")).unwrap();
    compress(&folder.0.join("app.log.1"));
    append(&folder.log(), "{\"next\":1}\n");
    let mut run = Run::new(&folder.log(), &IN_PIECES, &sink.cursor);
    run.run(&mut sink, 20);
    let payloads = taken(&mut sink);
    let (rest, behind) = payloads.split_at(payloads.len() - 2);
    assert_eq!(behind, ["{\"last\":1}", "{\"next\":1}"]);
    assert!(rest.concat().len() < 1024 && rest.concat().ends_with("5]}"));
    assert_eq!(run.collector.status().all_gaps(), 0);
}

#[test]
fn a_position_within_a_long_document_that_an_older_version_stored_is_read() {
    for is_overwritten in [false, true] {
        let folder = Folder::new(&format!("old-{is_overwritten}"));
        let mut sink = Collected::default();
        drop(read_long_document(&folder.log(), &mut sink));
        let text = sink.cursor.as_text().unwrap();
        let (before, behind) = text.split_once(",\"taken_tail\":\"").unwrap();
        let old = format!("{before}{}", behind.split_once('"').unwrap().1);
        if is_overwritten {
            overwrite(&folder.log(), "");
        } else {
            append(&folder.log(), "\n 5]}\n");
        }
        append(&folder.log(), "{\"last\":1}\n");
        let mut run = Run::new(&folder.log(), &IN_PIECES, &Cursor::from_text(old));
        run.run(&mut sink, 5);
        let payloads = taken(&mut sink);
        let expected = 1 + usize::from(!is_overwritten);
        assert_eq!(payloads.len(), expected, "{payloads:?}");
        assert_eq!(payloads.last().unwrap(), "{\"last\":1}");
        let gaps = run.collector.status().all_gaps();
        assert_eq!(gaps, u64::from(is_overwritten));
    }
}
