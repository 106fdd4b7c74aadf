//! File: payloads from a file of this machine, read once or followed as it grows.

mod collector;
mod followed;
mod names;
mod opened;
mod paths;
mod pattern;
mod place;
mod reader;
mod survey;
mod turn;
mod vanished;

use crate::Cursor;
use crate::cursor::CursorError;
use crate::probe::Probe;
use crate::protocols::common;
use crate::secret::Secrets;
use crate::source::{Collector, LaneId, OpenError, Protocol, Source, Stream};
use collector::FileCollector;
use framing::Framing;
use opened::Opened;
use pattern::Pattern;
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};
use std::path::{Path, PathBuf};

/// The protocol.
#[derive(Debug)]
pub(super) struct File;

const DEFAULT_MAX_PAYLOAD: usize = 1 << 20;
const DEFAULT_MAX_FILES: usize = 1000;

static PARAMETERS: &[Key] = &[
    Key::new("path", Takes::Path, "The file, or a pattern for files with `*`, `?` and `[…]`, such as `/var/log/app/*.log`. Files that fit a pattern \
         later are read from their beginning. Where a file is rotated, its older generations are read to their ends \
         before the new one, also after a restart: under the usual names (`app.log.1`, `app.log-20261130`, \
         `app-20261130.log`), compressed with gzip too.")
    .required(),
    Key::new("format", Takes::Choice(&["ndjson", "json", "text"]), "What is in the file. `ndjson` and `text`: each line is a payload. `json`: values over any number of lines; of a \
         list, and of a list of objects in the member `value` or `records` of an object, each element is a payload. What \
         is something else is passed on by lines, and counted as malformed.")
    .default("ndjson"),
    Key::new("mode", Takes::Choice(&["follow", "once"]), "`follow` waits for more at the end of the file, `once` stops there.")
    .default("follow"),
    Key::new("start", Takes::Choice(&["beginning", "end"]), "Where a new log source begins to read. `end` passes over what is already there.")
    .default("beginning")
    .rules(&[Rule {
        key: "mode",
        when: When::Is("once"),
        effect: Effect::Unavailable,
    }]),
    Key::new("rotated_to", Takes::Path, "The folder to which files are moved when they are rotated, if it is another one (`olddir` of logrotate)."),
    Key::new("max_files", Takes::Integer(1, 2000), "How many files that fit a pattern are read. There is a warning where there are more.")
    .default("1000"),
    Key::new("max_payload", Takes::Integer(1024, 33_554_432), "Longest payload in bytes. A longer one is passed on in pieces, and counted as malformed.")
    .default("1048576"),
    common::EPS_THROTTLE,
];

impl Protocol for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn title(&self) -> &'static str {
        "File"
    }

    fn description(&self) -> &'static str {
        "Payloads from a file of this machine, read once or followed as it grows. It has no counterpart in QRadar."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let path = parameters.path("path");
        let is_recursive = path.is_some_and(|path| path.iter().any(|part| part == "**"));
        let fault = parameters.fault(FaultKind::Pattern, "path", None, "`**` is no wildcard here", "`*` stands for one folder or a part of a name: write one for each level, or a log source for each \
                   folder");
        is_recursive.then_some(fault).into_iter().collect()
    }

    fn open(
        &self,
        _identifier: &str,
        parameters: &Settings,
        _secrets: &dyn Secrets,
    ) -> Result<Source, OpenError> {
        let path = parameters
            .path("path")
            .ok_or_else(|| common::missing("path"))?
            .to_owned();
        Ok(Source::Stream(Box::new(Reading {
            pattern: Pattern::of(&path),
            path,
            rotated_to: parameters.path("rotated_to").map(Path::to_owned),
            max_files: parameters
                .integer("max_files")
                .and_then(|files| usize::try_from(files).ok())
                .unwrap_or(DEFAULT_MAX_FILES),
            format: match parameters.text("format") {
                Some("json") => Framing::Json,
                Some("text") => Framing::Lines,
                _ => Framing::JsonLines,
            },
            once: parameters.text("mode") == Some("once"),
            from_end: parameters.text("start") == Some("end"),
            max_payload: parameters
                .integer("max_payload")
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(DEFAULT_MAX_PAYLOAD),
        })))
    }
}

/// What is to be read, and how.
#[derive(Debug)]
struct Reading {
    path: PathBuf,
    /// Set where `path` stands for several files.
    pattern: Option<Pattern>,
    rotated_to: Option<PathBuf>,
    max_files: usize,
    format: Framing,
    once: bool,
    from_end: bool,
    max_payload: usize,
}

impl Reading {
    /// Whether a file with this path is to be read.
    fn is_meant(&self, path: &Path) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(path),
            None => self.path == path,
        }
    }
}

impl Stream for Reading {
    fn lane(&self) -> &str {
        "file"
    }

    fn probe(&self) -> Vec<Probe> {
        let name = format!("file {}", self.path.display());
        if let Some(pattern) = &self.pattern {
            let remedy = "check the parameter path and who may read the folder";
            return vec![match pattern.search(self.max_files, &|_| true) {
                Ok(matches) if matches.paths.is_empty() => {
                    Probe::failed(name, "no file fits".to_owned(), Some(remedy))
                }
                Ok(matches) => Probe::passed(
                    name,
                    format!("{} files fit", matches.paths.len() + matches.more),
                ),
                Err(error) => Probe::failed(name, error.to_string(), Some(remedy)),
            }];
        }
        let opened = Opened::open(&self.path).and_then(|mut opened| {
            opened.read(0, 1, &mut Vec::new())?;
            Ok(opened.stamp()?.length)
        });
        vec![match opened {
            Ok(length) => Probe::passed(name, format!("{length} bytes")),
            Err(error) => Probe::failed(
                name,
                error.to_string(),
                Some("check the parameter path and who may read the file"),
            ),
        }]
    }

    fn start(
        self: Box<Self>,
        lane: LaneId,
        cursor: Cursor,
    ) -> Result<Box<dyn Collector>, CursorError> {
        Ok(Box::new(FileCollector::new(*self, lane, &cursor)?))
    }
}
