//! Mappings in the forms that QRadar takes.
//!
//! [`lsx()`] writes the extension, [`qidmap()`] the QID records for `qidmap_cli.sh`, [`requests()`] custom properties, QID
//! records and event mappings for the REST API. What QRadar cannot do is left out, and listed as a [`Loss`] with the
//! payloads that rely on it.

mod lower;
mod lsx;
pub mod qradar;

pub use lower::{Way, ways};
pub use lsx::{ExportError, Loss, Lsx, lsx};
pub use qradar::{Requests, requests};

use dsm::Mapping;
use dsm::mapping::Source;
use serde_json::{Value, json};

impl Loss {
    /// The loss as an object.
    pub fn json(&self) -> Value {
        json!({
            "subject": self.subject,
            "reason": self.reason,
            "payloads": self.events(),
            "fixtures": self.fixtures,
        })
    }
}

/// The QID records as `qidmap_cli.sh -i` reads them: without the heading line, of which its examples have none.
///
/// # Errors
/// The mapping has errors.
pub fn qidmap(source: &Source) -> Result<String, ExportError> {
    let (mapping, findings) = Mapping::load(source);
    mapping.ok_or(ExportError::Invalid(findings))?;
    let text = source.qidmap.text.trim_start_matches('\u{feff}');
    Ok(match text.split_once('\n') {
        Some((heading, rows)) if heading.starts_with("qid,") => rows.to_owned(),
        _ => text.to_owned(),
    })
}
