//! Events on the wire, in the format of a destination.

use dsm::output::{cef, json, leef::LeefOutput};
use dsm::{Event, Status};
use leef::{OptionsError, WriterOptions};
use serde::Serialize;

/// How a destination wants its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// LEEF, with everything that the writer can be told. Its size limit is set by [`Limit`].
    Leef(WriterOptions),
    /// CEF.
    Cef,
    /// One JSON object a line.
    Json,
    /// The payload as it was received. Line breaks become blanks, because one event is one line.
    Raw,
    /// The payload as it was received, for a destination where an event need not be one line.
    Verbatim,
}

impl Format {
    /// Whether an event is its payload and nothing else.
    pub const fn is_payload(self) -> bool {
        matches!(self, Self::Raw | Self::Verbatim)
    }

    /// Whether an event that is too long can be made shorter so that what is left can still be read.
    pub const fn can_shorten(self) -> bool {
        matches!(self, Self::Leef(_) | Self::Raw | Self::Verbatim)
    }
}

/// What becomes of an event that is longer than a destination takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oversize {
    /// LEEF leaves out whole attributes, the least important first, and says so; a raw payload is cut.
    Shorten,
    /// The event goes to the dead letters.
    #[default]
    Refuse,
    /// It is sent as it is.
    Send,
}

/// The longest event that a destination takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit {
    /// Bytes without a syslog header; nothing is no limit.
    pub bytes: Option<usize>,
    /// What becomes of longer ones.
    pub oversize: Oversize,
}

/// What a log source says about its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    /// Its identifier.
    pub identifier: String,
    /// Its credibility, from 0 to 10.
    pub credibility: u8,
    /// Whether events carry their payload.
    pub store_payload: bool,
}

/// What was done to an event so that it could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Characters that the format cannot carry were replaced.
    pub repaired: bool,
    /// It was too long, and some of it was left out.
    pub truncated: bool,
}

/// Writes events of one log source in one format. Holds memory that is reused; one for each thread.
#[derive(Debug)]
pub struct Formatter {
    format: Format,
    limit: Limit,
    leef: Option<LeefOutput>,
    log_source: LogSource,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonLogSource<'a> {
    identifier: &'a str,
    credibility: u8,
}

impl Formatter {
    /// A formatter.
    ///
    /// # Errors
    /// The options for LEEF contradict each other.
    pub fn new(format: Format, limit: Limit, log_source: LogSource) -> Result<Self, OptionsError> {
        let leef = match format {
            Format::Leef(options) => {
                let max_bytes = limit.bytes.filter(|_| limit.oversize == Oversize::Shorten);
                Some(LeefOutput::new(WriterOptions {
                    max_bytes,
                    ..options
                })?)
            }
            _ => None,
        };
        Ok(Self {
            format,
            limit,
            leef,
            log_source,
        })
    }

    /// Appends an event without a line break at its end. `raw` is its payload before it was decoded.
    ///
    /// # Errors
    /// The event cannot be written in this format, for the reason given. The buffer is as it was.
    pub fn write(
        &mut self,
        event: &mut Event<'_>,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Written, String> {
        let start = out.len();
        let written = self.append(event, raw, out).and_then(|mut written| {
            self.fit(start, out, &mut written)?;
            Ok(written)
        });
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn append(
        &mut self,
        event: &mut Event<'_>,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Written, String> {
        // A stored event is nothing but its payload, and what an unknown one means is to be found out from it.
        if !self.log_source.store_payload && event.status != Status::Stored {
            event.payload = "";
        } else {
            event.with_payload = event.status != Status::Mapped;
        }
        let mut written = Written::default();
        match (self.format, &mut self.leef) {
            (Format::Leef(_), Some(leef)) => {
                let report = leef.write(event, out).map_err(|error| error.to_string())?;
                written.repaired = !report.changed.is_empty();
                written.truncated = !report.dropped.is_empty();
            }
            (Format::Cef, _) => written.repaired = cef::write(event, out),
            (Format::Json | Format::Leef(_), _) => self.append_json(event, out)?,
            (Format::Verbatim, _) => out.extend_from_slice(raw),
            (Format::Raw, _) => {
                let start = out.len();
                out.extend_from_slice(raw);
                for byte in &mut out[start..] {
                    if matches!(byte, b'\n' | b'\r') {
                        *byte = b' ';
                        written.repaired = true;
                    }
                }
            }
        }
        Ok(written)
    }

    /// The engine's line, which knows the log source type but not the log source, with the log source in front.
    fn append_json(&self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let log_source = JsonLogSource {
            identifier: &self.log_source.identifier,
            credibility: self.log_source.credibility,
        };
        out.extend_from_slice(b"{\"logSource\":");
        serde_json::to_writer(&mut *out, &log_source).map_err(|error| error.to_string())?;
        let brace = out.len();
        json::write(event, out).map_err(|error| error.to_string())?;
        out[brace] = b',';
        Ok(())
    }

    fn fit(&self, start: usize, out: &mut Vec<u8>, written: &mut Written) -> Result<(), String> {
        let length = out.len() - start;
        let Some(limit) = self.limit.bytes.filter(|limit| *limit < length) else {
            return Ok(());
        };
        match self.limit.oversize {
            Oversize::Send => Ok(()),
            Oversize::Shorten if self.format.is_payload() => {
                let mut end = start + limit;
                // Not inside a character: its other bytes begin with 10.
                while end > start && out.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    end -= 1;
                }
                out.truncate(end);
                written.truncated = true;
                Ok(())
            }
            Oversize::Shorten | Oversize::Refuse => Err(format!(
                "the event has {length} bytes, and the destination takes {limit}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsm::{Mapping, Normalizer, Payload};

    fn write(format: Format, limit: Limit, payload: &str, store: bool) -> Result<String, String> {
        let mapping = Mapping::generic();
        let payload = Payload::from(payload);
        let mut event = Normalizer::new(&mapping).normalize(&payload, chrono::DateTime::UNIX_EPOCH);
        let log_source = LogSource {
            identifier: "alpha \"1\"".to_owned(),
            credibility: 7,
            store_payload: store,
        };
        let mut out = b"before ".to_vec();
        let mut formatter = Formatter::new(format, limit, log_source).unwrap();
        let result = formatter.write(&mut event, payload.text().as_bytes(), &mut out);
        let text = String::from_utf8(out).unwrap();
        match result {
            Ok(_) => Ok(text.strip_prefix("before ").unwrap().to_owned()),
            Err(error) => {
                assert_eq!(text, "before ", "a refused event leaves nothing behind");
                Err(error)
            }
        }
    }

    fn limited(bytes: usize, oversize: Oversize) -> Limit {
        Limit {
            bytes: Some(bytes),
            oversize,
        }
    }

    #[test]
    fn json_names_the_log_source_and_stays_one_object() {
        let line = write(Format::Json, Limit::default(), "hello", true).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["logSource"]["identifier"], "alpha \"1\"");
        assert_eq!(value["logSource"]["credibility"], 7);
        assert_eq!(value["status"], "Stored");
        assert_eq!(value["payload"], "hello");
    }

    #[test]
    fn a_raw_payload_is_one_line() {
        let line = write(Format::Raw, Limit::default(), "a\r\nb\n", true).unwrap();
        assert_eq!(line, "a  b ");
    }

    #[test]
    fn an_event_that_is_too_long_is_shortened_refused_or_sent_as_the_destination_says() {
        let shorten = |bytes| {
            write(
                Format::Raw,
                limited(bytes, Oversize::Shorten),
                "caf\u{e9}!",
                true,
            )
        };
        assert_eq!(shorten(4).unwrap(), "caf");
        assert_eq!(shorten(5).unwrap(), "caf\u{e9}");
        assert_eq!(shorten(6).unwrap(), "caf\u{e9}!");
        let refused = write(Format::Raw, limited(3, Oversize::Refuse), "four", true).unwrap_err();
        assert_eq!(
            refused,
            "the event has 4 bytes, and the destination takes 3"
        );
        let sent = write(Format::Cef, limited(3, Oversize::Send), "four", true).unwrap();
        assert!(sent.starts_with("CEF:0|"));
        assert!(write(Format::Json, limited(9, Oversize::Shorten), "x", true).is_err());

        let leef = Format::Leef(WriterOptions::default());
        let long = "y".repeat(500);
        let short = write(leef, limited(80, Oversize::Shorten), &long, true).unwrap();
        assert!(short.len() <= 80, "{short}");
        assert!(short.contains("leefTruncated=true"), "{short}");
    }

    #[test]
    fn a_stored_event_keeps_its_payload_because_it_is_nothing_else() {
        let line = write(Format::Json, Limit::default(), "hello", false).unwrap();
        assert!(line.contains("hello"), "{line}");
    }

    #[test]
    fn an_unknown_event_carries_its_payload_unless_the_log_source_says_otherwise() {
        let mapping = Mapping::generic();
        let payload = Payload::from("hello");
        let line = |format, status, store_payload| {
            let mut event =
                Normalizer::new(&mapping).normalize(&payload, chrono::DateTime::UNIX_EPOCH);
            event.status = status;
            let log_source = LogSource {
                identifier: "alpha".to_owned(),
                credibility: 5,
                store_payload,
            };
            let mut out = Vec::new();
            let mut formatter = Formatter::new(format, Limit::default(), log_source).unwrap();
            formatter.write(&mut event, b"hello", &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        for format in [Format::Leef(WriterOptions::default()), Format::Cef] {
            assert!(line(format, Status::Unknown, true).contains("payload=hello"));
            assert!(!line(format, Status::Unknown, false).contains("payload"));
            assert!(!line(format, Status::Mapped, true).contains("payload"));
        }
    }
}
