//! The syslog header in front of an event.

use chrono::{DateTime, SecondsFormat, Utc};
use std::io::Write;

/// The form of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// The short form that IBM shows for LEEF: `<13>1 2026-11-25T15:42:00.000Z host `.
    #[default]
    Ibm,
    /// RFC 5424, with an application name and nothing for the rest.
    Rfc5424,
    /// RFC 3164: `<13>Nov 25 15:42:00 host `. It has no year and no zone; the time is UTC.
    Rfc3164,
    /// No header.
    None,
}

/// The application name in RFC 5424.
const APPLICATION: &str = "dsmith";
/// RFC 5424: HOSTNAME is 1 to 255 printable characters.
const MAX_HOST: usize = 255;

impl Header {
    /// Appends the header.
    pub(crate) fn write(self, priority: u8, host: &str, time: DateTime<Utc>, out: &mut Vec<u8>) {
        let stamp = || time.to_rfc3339_opts(SecondsFormat::Millis, true);
        // Writing into a Vec does not fail.
        let _ = match self {
            Self::Ibm => write!(out, "<{priority}>1 {} {host} ", stamp()),
            Self::Rfc5424 => write!(out, "<{priority}>1 {} {host} {APPLICATION} - - - ", stamp()),
            Self::Rfc3164 => write!(out, "<{priority}>{} {host} ", time.format("%b %e %H:%M:%S")),
            Self::None => Ok(()),
        };
    }

    /// How long the header is, which does not depend on the time.
    pub fn length(self, priority: u8, host: &str) -> usize {
        let mut out = Vec::new();
        self.write(priority, host, DateTime::UNIX_EPOCH, &mut out);
        out.len()
    }
}

/// A text as the host of a header, by which QRadar finds the log source: printable ASCII without blanks.
pub fn host(text: &str) -> String {
    let host: String = text
        .chars()
        .take(MAX_HOST)
        .map(|c| if c.is_ascii_graphic() { c } else { '-' })
        .collect();
    if host.is_empty() {
        "-".to_owned()
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(header: Header) -> String {
        let mut out = Vec::new();
        let time = DateTime::from_timestamp_millis(1_783_468_800_520).unwrap();
        header.write(13, "host", time, &mut out);
        assert_eq!(out.len(), header.length(13, "host"));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn headers_have_the_forms_that_their_documents_give() {
        assert_eq!(header(Header::Ibm), "<13>1 2026-07-08T00:00:00.520Z host ");
        assert_eq!(
            header(Header::Rfc5424),
            "<13>1 2026-07-08T00:00:00.520Z host dsmith - - - "
        );
        assert_eq!(header(Header::Rfc3164), "<13>Jul  8 00:00:00 host ");
        assert_eq!(header(Header::None), "");
    }

    #[test]
    fn any_identifier_becomes_a_host_that_a_header_can_carry() {
        assert_eq!(host("contoso-defender"), "contoso-defender");
        assert_eq!(host("a b\n\u{e9}<"), "a-b--<");
        assert_eq!(host(""), "-");
        assert_eq!(host(&"x".repeat(300)).len(), 255);
    }
}
