//! File: payloads from a file of this machine, read once or followed as it grows.

mod collector;
mod framing;
mod opened;

use crate::Cursor;
use crate::cursor::CursorError;
use crate::parameter::{Allowed, Effect, Kind, Origin, Parameter, Parameters, Rule, When};
use crate::probe::Probe;
use crate::protocols::common;
use crate::secret::Secrets;
use crate::source::{Collector, LaneId, OpenError, Protocol, Source, Stream};
use collector::FileCollector;
use framing::Format;
use opened::Opened;
use std::path::PathBuf;

/// The protocol.
#[derive(Debug)]
pub(super) struct File;

const DEFAULT_MAX_PAYLOAD: usize = 1 << 20;

static PARAMETERS: &[Parameter] = &[
    Parameter::new(
        "path",
        "Path",
        Kind::Path,
        "The file. Where it is rotated, the old one is read to its end before the new one, also after a restart, as long \
         as it lies in the same folder and is not compressed.",
    )
    .required()
    .origin(Origin::Dsmith),
    Parameter::new(
        "format",
        "Format",
        Kind::String { max_length: 16 },
        "What is in the file. `ndjson` and `text`: each line is a payload. `json`: values over any number of lines; of a \
         list, and of a list in the member `value` or `records` of an object, each element is a payload.",
    )
    .allowed(&[
        Allowed { value: "ndjson", label: "NDJSON" },
        Allowed { value: "json", label: "JSON" },
        Allowed { value: "text", label: "Text" },
    ])
    .default("ndjson")
    .origin(Origin::Dsmith),
    Parameter::new(
        "mode",
        "Mode",
        Kind::String { max_length: 16 },
        "`follow` waits for more at the end of the file, `once` stops there.",
    )
    .allowed(&[
        Allowed { value: "follow", label: "Follow" },
        Allowed { value: "once", label: "Once" },
    ])
    .default("follow")
    .origin(Origin::Dsmith),
    Parameter::new(
        "start",
        "Start",
        Kind::String { max_length: 16 },
        "Where a new log source begins to read. `end` passes over what is already there.",
    )
    .allowed(&[
        Allowed { value: "beginning", label: "Beginning" },
        Allowed { value: "end", label: "End" },
    ])
    .default("beginning")
    .rules(&[Rule {
        parameter: "mode",
        when: When::Is("once"),
        effect: Effect::Unavailable,
    }])
    .origin(Origin::Dsmith),
    Parameter::new(
        "max_payload",
        "Maximum Payload Length",
        Kind::Integer {
            min: 1024,
            max: 33_554_432,
        },
        "Longest payload in bytes. A longer one is passed on in pieces.",
    )
    .default("1048576")
    .origin(Origin::Dsmith),
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

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn open(
        &self,
        _identifier: &str,
        parameters: &Parameters,
        _secrets: &dyn Secrets,
    ) -> Result<Source, OpenError> {
        Ok(Source::Stream(Box::new(Reading {
            path: parameters
                .path("path")
                .ok_or_else(|| common::missing("path"))?
                .to_owned(),
            format: match parameters.text("format") {
                Some("json") => Format::Json,
                Some("text") => Format::Text,
                _ => Format::Ndjson,
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
    format: Format,
    once: bool,
    from_end: bool,
    max_payload: usize,
}

impl Stream for Reading {
    fn lane(&self) -> &str {
        "file"
    }

    fn probe(&self) -> Vec<Probe> {
        let name = format!("file {}", self.path.display());
        let opened = Opened::open(&self.path).and_then(|mut opened| {
            opened.read(1)?;
            opened.len()
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
