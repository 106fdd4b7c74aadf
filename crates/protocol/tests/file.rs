//! Files that grow, are rotated, are cut off and come back after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::TimeDelta;
use protocol::clock::{Clock, VirtualClock};
use protocol::parameter::Value;
use protocol::secret::GivenSecrets;
use protocol::status::State;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source, Step};
use std::collections::BTreeMap;
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
        let mut values =
            BTreeMap::from([("path".to_owned(), Value::Text(path.display().to_string()))]);
        values.extend(
            parameters
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Value::Text((*value).to_owned()))),
        );
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

#[test]
fn a_cursor_of_another_protocol_is_an_error() {
    let parameters = protocol::protocols::find("file")
        .unwrap()
        .validate(&BTreeMap::from([(
            "path".to_owned(),
            Value::Text("x".to_owned()),
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
