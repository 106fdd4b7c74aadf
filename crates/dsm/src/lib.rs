//! The DSM engine: a mapping is compiled once, payloads go in, normalized events come out.
//!
//! ```text
//! extension.xml ─┐
//! manifest.toml ─┼─> Mapping ─┐
//! qidmap.csv ... ┘            ├─> Normalizer ─> Event ─> LEEF, CEF, JSON
//! bytes ─────────> Payload ───┘
//! ```
//!
//! The crate is pure: it does no IO, reads no clock and no environment, starts no thread. Same mapping, same payload,
//! same options: same bytes. Loading returns every finding as data ([`diagnostic`]); normalizing never fails.
//!
//! ```
//! use dsm::diagnostic::SourceFile;
//! use dsm::{Mapping, Normalizer, Payload};
//!
//! let extension = SourceFile::new("x.xml", r#"
//! <device-extension xmlns="event_parsing/device_extension">
//!   <pattern id="login" xmlns=""><![CDATA[login (\w+) for (\w+)]]></pattern>
//!   <match-group order="1" xmlns="">
//!     <matcher field="EventName" order="1" pattern-id="login" capture-group="1"/>
//!     <matcher field="UserName" order="1" pattern-id="login" capture-group="2"/>
//!   </match-group>
//! </device-extension>"#);
//! let (mapping, findings) = Mapping::from_extension("example", &extension);
//! let mapping = mapping.ok_or_else(|| format!("{findings:?}"))?;
//!
//! let payload = Payload::from("<13>Nov 23 10:00:00 gw login failed for alice");
//! let event = Normalizer::new(&mapping).normalize(&payload, chrono::DateTime::UNIX_EPOCH);
//! assert_eq!(event.event_id.as_deref(), Some("failed"));
//! # Ok::<(), String>(())
//! ```

pub mod categories;
mod codes;
pub mod device_time;
pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod extract;
pub mod field;
pub mod keypath;
pub mod lsx;
pub mod manifest;
pub mod mapping;
pub mod options;
pub mod output;
pub mod qidmap;
mod steps;
mod syslog;

pub use engine::Normalizer;
pub use event::{Event, Payload, Status};
pub use mapping::{Mapping, Target};
