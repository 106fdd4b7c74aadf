//! Checking events against the rules of the format.
//!
//! An event without findings is written by a [`Writer`](crate::Writer) without
//! any loss, and QRadar can make sense of its predefined attributes. An event
//! with findings may still be written; the findings tell what will happen to
//! it.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use crate::attribute::{self, Kind, Predefined};
use crate::charset::{Charset, Place};
use crate::header::{Header, HeaderField};
use crate::reader::Message;
use crate::report::Field;
use crate::writer::{EVENT_ID_LIMIT, SANITIZED_KEY, TRUNCATED_KEY};

/// Which rule an event does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// A vendor, product or version is empty.
    EmptyHeaderField,
    /// The event ID is empty or blank.
    EmptyEventId,
    /// The event ID has more than 255 characters.
    LongEventId,
    /// A text of the header holds a character that LEEF cannot carry there.
    HeaderCharacter,
    /// A key is not a letter followed by letters and digits.
    InvalidKey,
    /// A key occurs twice.
    DuplicateKey,
    /// A custom key is a predefined key in another case.
    KeyCase,
    /// A key is set aside by IBM.
    ReservedKey,
    /// A key is used to mark changed events.
    MarkKey,
    /// A value holds a character that LEEF cannot carry there.
    ValueCharacter,
    /// A value has more characters than its attribute allows.
    LongValue,
    /// A value is not an IP address.
    InvalidIp,
    /// A value is not a MAC address.
    InvalidMac,
    /// A value is not a port.
    InvalidPort,
    /// A value is not an integer.
    InvalidInteger,
    /// A value is not a severity from 1 to 10.
    InvalidSeverity,
    /// A value is not a protocol number or keyword.
    InvalidProtocol,
    /// A value is not `true` or `false`.
    InvalidBoolean,
    /// A value is not a two-letter code.
    InvalidTwoLetters,
    /// `devTime` needs a `devTimeFormat`.
    DevTimeFormatMissing,
    /// `devTimeFormat` stands without `devTime`.
    DevTimeMissing,
    /// An identity attribute stands without `identSrc`.
    IdentSrcMissing,
}

impl Code {
    /// A stable name, such as `invalid-ip`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyHeaderField => "empty-header-field",
            Self::EmptyEventId => "empty-event-id",
            Self::LongEventId => "long-event-id",
            Self::HeaderCharacter => "header-character",
            Self::InvalidKey => "invalid-key",
            Self::DuplicateKey => "duplicate-key",
            Self::KeyCase => "key-case",
            Self::ReservedKey => "reserved-key",
            Self::MarkKey => "mark-key",
            Self::ValueCharacter => "value-character",
            Self::LongValue => "long-value",
            Self::InvalidIp => "invalid-ip",
            Self::InvalidMac => "invalid-mac",
            Self::InvalidPort => "invalid-port",
            Self::InvalidInteger => "invalid-integer",
            Self::InvalidSeverity => "invalid-severity",
            Self::InvalidProtocol => "invalid-protocol",
            Self::InvalidBoolean => "invalid-boolean",
            Self::InvalidTwoLetters => "invalid-two-letters",
            Self::DevTimeFormatMissing => "dev-time-format-missing",
            Self::DevTimeMissing => "dev-time-missing",
            Self::IdentSrcMissing => "ident-src-missing",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rule that an event does not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// Where.
    pub field: Field,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.code, self.message, self.help)
    }
}

/// Checks an event before it is written with `delimiter` between attributes.
#[must_use]
pub fn check<'e>(
    header: &Header<'_>,
    attributes: impl IntoIterator<Item = (&'e str, &'e str)>,
    delimiter: char,
) -> Vec<Finding> {
    let charset = Charset::with_separator(delimiter);
    let mut findings = Vec::new();
    check_header(header, &charset, &mut findings);

    let mut seen = HashSet::new();
    let mut identity = Vec::new();
    let mut dev_time = None;
    let mut dev_time_format = None;
    for (key, value) in attributes {
        let mut found = |code, message: String, help: &str| {
            findings.push(Finding {
                code,
                field: Field::Attribute(key.to_owned()),
                message,
                help: help.to_owned(),
            });
        };
        if !seen.insert(key) {
            found(
                Code::DuplicateKey,
                format!("the key {key:?} occurs twice"),
                "give each key once: QRadar may ignore all but the first",
            );
        }
        if let Some((at, _)) = charset.next_bad(value.as_bytes(), 0, Place::Value) {
            found(
                Code::ValueCharacter,
                format!("the value of {key:?} holds {}", character(value, at)),
                "remove it: LEEF has no escape for it, a writer would substitute it",
            );
        }
        match attribute::predefined(key) {
            None => check_custom_key(key, &mut found),
            Some(predefined) => {
                if predefined.reserved {
                    found(
                        Code::ReservedKey,
                        format!("the key `{key}` is reserved"),
                        "leave it out: IBM sets it aside for later versions",
                    );
                }
                check_value(predefined, value, &mut found);
                match key {
                    "devTime" => dev_time = dev_time.or(Some(value)),
                    "devTimeFormat" => dev_time_format = dev_time_format.or(Some(value)),
                    _ if key.starts_with("ident") && key != "identSrc" => identity.push(key),
                    _ => {}
                }
            }
        }
    }

    let mut found = |code, key: &str, message: String, help: &str| {
        findings.push(Finding {
            code,
            field: Field::Attribute(key.to_owned()),
            message,
            help: help.to_owned(),
        });
    };
    let has_format = dev_time_format.is_some_and(|format| !format.trim().is_empty());
    match dev_time {
        Some(time) if !has_format && !is_epoch(time) => found(
            Code::DevTimeFormatMissing,
            "devTime",
            format!("`devTime` is {time:?} and there is no `devTimeFormat`"),
            "write the seconds (10 digits) or milliseconds (13 digits) of the epoch, or add `devTimeFormat`",
        ),
        None if dev_time_format.is_some() => found(
            Code::DevTimeMissing,
            "devTimeFormat",
            "`devTimeFormat` stands without `devTime`".to_owned(),
            "add `devTime` or leave `devTimeFormat` out",
        ),
        _ => {}
    }
    if !seen.contains("identSrc") {
        for key in identity {
            found(
                Code::IdentSrcMissing,
                key,
                format!("`{key}` stands without `identSrc`"),
                "add `identSrc`: QRadar ties an identity to an address",
            );
        }
    }
    findings
}

/// Checks an event that was read.
#[must_use]
pub fn check_message(message: &Message<'_>) -> Vec<Finding> {
    check(
        &message.header,
        message.attributes.iter().map(|a| (a.key, a.value)),
        message.delimiter,
    )
}

fn check_header(header: &Header<'_>, charset: &Charset, findings: &mut Vec<Finding>) {
    for field in HeaderField::ALL {
        let text = header.get(field);
        let mut found = |code, message: String, help: &str| {
            findings.push(Finding {
                code,
                field: Field::Header(field),
                message,
                help: help.to_owned(),
            });
        };
        if field == HeaderField::EventId {
            let characters = text.chars().count();
            if text.trim().is_empty() {
                found(
                    Code::EmptyEventId,
                    "the event ID is empty".to_owned(),
                    "give the event a stable identifier: QRadar looks it up by that",
                );
            } else if characters > EVENT_ID_LIMIT {
                found(
                    Code::LongEventId,
                    format!("the event ID has {characters} characters"),
                    "shorten it to 255 characters",
                );
            }
        } else if text.is_empty() {
            found(
                Code::EmptyHeaderField,
                format!("the {field} is empty"),
                "name the product that the event comes from",
            );
        }
        if let Some((at, _)) = charset.next_bad(text.as_bytes(), 0, Place::Header) {
            found(
                Code::HeaderCharacter,
                format!("the {field} holds {}", character(text, at)),
                "remove it: LEEF has no escape for it, a writer would substitute it",
            );
        }
    }
}

fn check_custom_key(key: &str, found: &mut impl FnMut(Code, String, &str)) {
    if !attribute::is_valid_key(key) {
        found(
            Code::InvalidKey,
            format!("{key:?} cannot be a key"),
            "use a letter followed by letters and digits",
        );
    } else if let Some(predefined) = attribute::predefined_ignoring_case(key) {
        found(
            Code::KeyCase,
            format!("the key `{key}` is not predefined"),
            &format!("write `{}`: keys are case sensitive", predefined.key),
        );
    } else if matches!(key, SANITIZED_KEY | TRUNCATED_KEY) {
        found(
            Code::MarkKey,
            format!("the key `{key}` marks changed events"),
            "use another key",
        );
    }
}

fn check_value(predefined: &Predefined, value: &str, found: &mut impl FnMut(Code, String, &str)) {
    let key = predefined.key;
    if predefined.kind == Kind::Text
        && let Some(limit) = predefined.limit
        && value.chars().count() > limit
    {
        let characters = value.chars().count();
        found(
            Code::LongValue,
            format!("the value of `{key}` has {characters} characters"),
            &format!("shorten it to {limit} characters"),
        );
    }
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let (right, code, what, help) = match predefined.kind {
        Kind::Text | Kind::Date | Kind::DatePattern => return,
        Kind::Protocol => (
            !value.is_empty() && (!digits || value.parse::<u8>().is_ok()),
            Code::InvalidProtocol,
            "a protocol",
            "write an IANA number from 0 to 255 or a keyword such as `tcp`",
        ),
        Kind::Severity => (
            digits && value.parse().is_ok_and(|sev: u8| (1..=10).contains(&sev)),
            Code::InvalidSeverity,
            "a severity",
            "write a number from 1 (lowest) to 10 (highest)",
        ),
        Kind::Integer => {
            let magnitude = value.strip_prefix('-').unwrap_or(value);
            (
                !magnitude.is_empty() && magnitude.bytes().all(|b| b.is_ascii_digit()),
                Code::InvalidInteger,
                "an integer",
                "write decimal digits only",
            )
        }
        Kind::Port => (
            digits && value.parse::<u16>().is_ok(),
            Code::InvalidPort,
            "a port",
            "write a number from 0 to 65535, or leave it out if it is not known",
        ),
        Kind::Ip => (
            value.parse::<IpAddr>().is_ok(),
            Code::InvalidIp,
            "an IP address",
            "write one IPv4 or IPv6 address, or leave it out if it is not known",
        ),
        Kind::Mac => (
            is_mac(value),
            Code::InvalidMac,
            "a MAC address",
            "write six pairs of hexadecimal digits with colons, such as `00:00:5e:00:53:01`",
        ),
        Kind::Boolean => (
            matches!(value, "true" | "false"),
            Code::InvalidBoolean,
            "a truth value",
            "write `true` or `false`",
        ),
        Kind::TwoLetters => (
            value.len() == 2 && value.bytes().all(|b| b.is_ascii_alphabetic()),
            Code::InvalidTwoLetters,
            "a two-letter code",
            "write an ISO 639-1 language or an ISO 3166 country",
        ),
    };
    if !right {
        found(
            code,
            format!("the value of `{key}` is {value:?}, not {what}"),
            help,
        );
    }
}

fn is_epoch(time: &str) -> bool {
    matches!(time.len(), 10 | 13) && time.bytes().all(|b| b.is_ascii_digit())
}

fn is_mac(value: &str) -> bool {
    let mut pairs = 0;
    value.split(':').all(|pair| {
        pairs += 1;
        pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit())
    }) && pairs == 6
}

/// Names the character at a position, for a message.
fn character(text: &str, at: usize) -> String {
    match text.get(at..).and_then(|rest| rest.chars().next()) {
        Some(character) => format!("{character:?}"),
        None => "a broken character".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header<'static> = Header {
        version: crate::Version::V1_0,
        vendor: "Example",
        product: "Guard",
        product_version: "1",
        event_id: "logon",
    };

    fn codes(attributes: &[(&str, &str)]) -> Vec<Code> {
        check(&HEADER, attributes.iter().copied(), '\t')
            .into_iter()
            .map(|finding| finding.code)
            .collect()
    }

    fn header_codes(header: Header<'_>) -> Vec<Code> {
        check(&header, [], '\t')
            .into_iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn a_good_event_has_no_findings() {
        let good = [
            ("cat", "Authentication"),
            ("devTime", "1767225600000"),
            ("proto", "6"),
            ("sev", "10"),
            ("src", "192.0.2.1"),
            ("dst", "2001:db8::1"),
            ("srcPort", "0"),
            ("dstPort", "65535"),
            ("srcMAC", "00:00:5E:00:53:af"),
            ("srcBytes", "12345678901234567890"),
            ("identSrc", "192.0.2.1"),
            ("identHostName", "host.example"),
            ("usrName", ""),
            ("url", "https://example.com/?a=b|c"),
            ("path", r"C:\temp"),
        ];
        assert_eq!(codes(&good), []);
    }

    #[test]
    fn types_of_predefined_attributes_are_checked() {
        let table = [
            ("src", "192.0.2.256", Code::InvalidIp),
            ("vSrc", "", Code::InvalidIp),
            ("srcMAC", "00-00-5e-00-53-01", Code::InvalidMac),
            ("dstMAC", "00:00:5e:00:53", Code::InvalidMac),
            ("srcPort", "65536", Code::InvalidPort),
            ("dstPort", "+80", Code::InvalidPort),
            ("srcPreNATPort", "http", Code::InvalidPort),
            ("srcBytes", "1.5", Code::InvalidInteger),
            ("sev", "0", Code::InvalidSeverity),
            ("sev", "11", Code::InvalidSeverity),
            ("sev", "high", Code::InvalidSeverity),
            ("proto", "256", Code::InvalidProtocol),
            ("proto", "", Code::InvalidProtocol),
        ];
        for (key, value, code) in table {
            assert_eq!(codes(&[(key, value)]), [code], "{key}={value}");
        }
    }

    #[test]
    fn keys_are_checked() {
        assert_eq!(codes(&[("file name", "x")]), [Code::InvalidKey]);
        assert_eq!(codes(&[("", "x")]), [Code::InvalidKey]);
        assert_eq!(codes(&[("Cat", "x")]), [Code::KeyCase]);
        assert_eq!(codes(&[("leefSanitized", "x")]), [Code::MarkKey]);
        assert_eq!(codes(&[("a", "1"), ("a", "1")]), [Code::DuplicateKey]);
        assert_eq!(codes(&[("isLoginEvent", "true")]), [Code::ReservedKey]);
        assert_eq!(
            codes(&[("calLanguage", "eng")]),
            [Code::ReservedKey, Code::InvalidTwoLetters]
        );
        assert_eq!(
            codes(&[("isLogoutEvent", "yes")]),
            [Code::ReservedKey, Code::InvalidBoolean]
        );
        let finding = &check(&HEADER, [("Cat", "x")], '\t')[0];
        assert_eq!(
            finding.to_string(),
            "key-case: the key `Cat` is not predefined: write `cat`: keys are case sensitive"
        );
    }

    #[test]
    fn times_need_a_format_unless_they_are_epochs() {
        assert_eq!(codes(&[("devTime", "1767225600")]), []);
        let text = ("devTime", "Jan 01 2026 00:00:00");
        let format = ("devTimeFormat", "MMM dd yyyy HH:mm:ss");
        assert_eq!(codes(&[text]), [Code::DevTimeFormatMissing]);
        assert_eq!(
            codes(&[("devTime", "17672256000")]),
            [Code::DevTimeFormatMissing]
        );
        assert_eq!(
            codes(&[text, ("devTimeFormat", " ")]),
            [Code::DevTimeFormatMissing]
        );
        assert_eq!(codes(&[format, text]), []);
        assert_eq!(codes(&[format]), [Code::DevTimeMissing]);
    }

    #[test]
    fn an_identity_needs_an_address() {
        assert_eq!(codes(&[("identNetBios", "HOST")]), [Code::IdentSrcMissing]);
        assert_eq!(
            codes(&[("identMAC", "00:00:5e:00:53:01")]),
            [Code::ReservedKey, Code::IdentSrcMissing]
        );
    }

    #[test]
    fn lengths_count_characters() {
        assert_eq!(codes(&[("usrName", &"é".repeat(255))]), []);
        assert_eq!(codes(&[("usrName", &"é".repeat(256))]), [Code::LongValue]);
        assert_eq!(codes(&[("msg", &"x".repeat(9000))]), []);
        let long = "é".repeat(256);
        let header = |event_id| Header { event_id, ..HEADER };
        assert_eq!(header_codes(header(&long)), [Code::LongEventId]);
        assert_eq!(header_codes(header(&long[..510])), []);
        assert_eq!(header_codes(header(" ")), [Code::EmptyEventId]);
    }

    #[test]
    fn characters_are_checked_by_place() {
        let header = Header {
            vendor: "A|B",
            product: "",
            product_version: "1\t",
            ..HEADER
        };
        assert_eq!(
            header_codes(header),
            [
                Code::HeaderCharacter,
                Code::EmptyHeaderField,
                Code::HeaderCharacter
            ]
        );
        for value in ["a\tb", "a\r\nb", "\0", "\u{2028}", "\u{85}"] {
            assert_eq!(
                codes(&[("msg", value)]),
                [Code::ValueCharacter],
                "{value:?}"
            );
        }
        assert_eq!(codes(&[("msg", "a^b")]), []);
        let found = check(&HEADER, [("msg", "a^b")], '^');
        assert_eq!(found[0].code, Code::ValueCharacter);
        assert_eq!(found[0].field, Field::Attribute("msg".to_owned()));
    }
}
