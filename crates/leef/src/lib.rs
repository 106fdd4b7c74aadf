//! The LEEF 1.0 and 2.0 wire format: writing, reading, checking.
//!
//! LEEF (Log Event Extended Format) is how products send events to IBM QRadar.
//! An event is one line: a header with vendor, product, version and event ID,
//! then `key=value` attributes. The format has no escapes, so there are texts
//! that it cannot carry. This crate never hides that: the [`Writer`] accounts
//! for every character it could not write, the reader for every repair.
//!
//! ```
//! use leef::{Delimiter, Header, Mode, Version, Writer, WriterOptions};
//!
//! let mut writer = Writer::new(WriterOptions {
//!     version: Version::V2_0,
//!     delimiter: Delimiter::CARET,
//!     ..WriterOptions::default()
//! })?;
//! let header = Header {
//!     version: Version::V2_0,
//!     vendor: "Example",
//!     product: "Guard",
//!     product_version: "4.0",
//!     event_id: "logon-failed",
//! };
//!
//! // The buffer is the caller's and can be used again for the next event.
//! let mut buffer = Vec::new();
//! let mut event = writer.event(&mut buffer, &header)?;
//! event.attribute("src", "192.0.2.7")?;
//! event.attribute("usrName", r"EXAMPLE\user")?;
//! event.integer("sev", 5)?;
//! let report = event.finish()?;
//! assert!(report.is_lossless());
//!
//! let line = String::from_utf8(buffer)?;
//! assert_eq!(
//!     line,
//!     r"LEEF:2.0|Example|Guard|4.0|logon-failed|^|src=192.0.2.7^usrName=EXAMPLE\user^sev=5"
//! );
//!
//! let message = leef::read(&line, Mode::Strict)?;
//! assert_eq!(message.header, header);
//! assert_eq!(message.get("usrName"), Some(r"EXAMPLE\user"));
//! assert!(leef::lint::check_message(&message).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What products send is often not quite LEEF. [`Mode::Lenient`] reads it and
//! says what it had to repair:
//!
//! ```
//! use leef::{Mode, Repair};
//!
//! let line = "<13>Jan 18 11:07:53 host LEEF:1.0|Example|Guard|4.0|17| src=192.0.2.7 usrName= sev=5";
//! let message = leef::read(line, Mode::Lenient)?;
//! assert_eq!(message.prefix, "<13>Jan 18 11:07:53 host ");
//! assert_eq!(message.get("usrName"), Some(""));
//! assert!(message.repairs.contains(&Repair::SeparatorGuessed { separator: ' ' }));
//!
//! let src = message.attribute("src").ok_or("no source")?;
//! assert_eq!(&line[src.value_range.clone()], "192.0.2.7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod attribute;
mod charset;
pub mod control;
mod delimiter;
mod header;
mod key;
pub mod lint;
mod options;
mod reader;
mod repair;
mod report;
mod writer;

pub use delimiter::{Delimiter, DelimiterError};
pub use header::{Header, HeaderField, Version};
pub use key::{AsKey, Key};
pub use options::{OptionsError, Substitution, WriterOptions};
pub use reader::{Attribute, Message, Mode, ReadError, ReadOptions, find, read, read_with};
pub use repair::Repair;
pub use report::{Change, Field, Report};
pub use writer::{EVENT_ID_LIMIT, EventWriter, SANITIZED_KEY, TRUNCATED_KEY, WriteError, Writer};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
