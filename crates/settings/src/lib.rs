//! Keys of configuration files, declared once.
//!
//! A [`Key`] says what it takes, its default, and when it is available. From a list of keys come:
//!
//! - [`Reader::table`]: the values of a table in a file, with every [`Fault`] at once, each with its place and its remedy;
//! - [`page::table`]: the table of a reference page;
//! - [`schema::object`]: the JSON Schema for editors.
//!
//! ```
//! use settings::{Document, Key, Reader, Takes};
//!
//! const KEYS: &[Key] = &[
//!     Key::new("address", Takes::HostPort, "Host and port of the receiver.").required(),
//!     Key::new("transport", Takes::Choice(&["udp", "tcp"]), "How events get there.").default("tcp"),
//! ];
//!
//! let document = Document::parse("address = \"siem.example.com:514\"\ntransprt = \"udp\"\n");
//! let mut reader = Reader::new(&document);
//! let settings = reader.table(KEYS, "the file", &document.root, 0..0);
//! assert_eq!(settings.text("address"), Some("siem.example.com:514"));
//! assert_eq!(settings.text("transport"), Some("tcp"));
//! assert_eq!(reader.faults[0].message, "`transprt` is not a key of the file");
//! assert!(reader.faults[0].help.starts_with("did you mean `transport`?"));
//! ```
//!
//! Secrets never stand in a file, only where they are: see [`SecretRef`]. What looks like one in a wrong place is masked
//! in messages.

mod check;
mod key;
mod names;
pub mod page;
mod raw;
pub mod schema;
mod secret;
mod sound;
mod toml_faults;
mod units;
mod values;
mod words;

pub use check::{Fault, FaultKind, Reader};
pub use key::{Effect, Key, Pattern, Rule, Takes, When};
pub use names::{MAX_COMPARED, listed, nearest, suggest};
pub use raw::{Document, Raw, RawEntry, RawTable, RawValue};
pub use secret::{SecretRef, masked};
pub use sound::unsound;
pub use values::{Settings, Spanned};
