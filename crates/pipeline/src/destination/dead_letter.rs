//! Events that a destination refuses for good: one line of JSON each, with the reason and the payload.

use super::file::LineFile;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

/// An event that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// Identifier of the log source.
    pub log_source: &'a str,
    /// The destination that refused it.
    pub destination: &'a str,
    /// Its number among the events of its log source.
    pub sequence: u64,
    /// When it was received.
    pub received: DateTime<Utc>,
    /// Why it was refused.
    pub reason: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
}

/// The file of a destination with the events that it refuses.
#[derive(Debug)]
pub struct DeadLetters {
    file: LineFile,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    log_source: &'a str,
    destination: &'a str,
    sequence: u64,
    received: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// For a payload that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
}

impl DeadLetters {
    /// The dead letters in a file, which is made when there is one.
    pub fn new(path: PathBuf) -> Self {
        Self {
            file: LineFile::new(path, 0o600),
        }
    }

    /// Adds events, and returns when they are durable.
    ///
    /// # Errors
    /// The file cannot be written; nothing was added.
    pub fn add(&mut self, letters: &[DeadLetter<'_>], now: DateTime<Utc>) -> io::Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let stamp = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        for letter in letters {
            let text = std::str::from_utf8(letter.payload).ok();
            let line = Line {
                time: stamp(now),
                log_source: letter.log_source,
                destination: letter.destination,
                sequence: letter.sequence,
                received: stamp(letter.received),
                reason: letter.reason,
                payload: text,
                payload_hex: text.is_none().then(|| hex(letter.payload)),
            };
            serde_json::to_writer(&mut bytes, &line)?;
            bytes.push(b'\n');
        }
        self.file.append(&bytes)?;
        self.file.sync()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
