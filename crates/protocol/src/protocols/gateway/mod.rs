//! A log source behind a gateway: another log source reads its payloads and finds its identifier in them.
//!
//! In QRadar such a log source has the protocol of its gateway. Here it says that it collects nothing by itself, so that
//! nothing has to be given that would not be used.

use crate::protocols::common;
use crate::secret::Secrets;
use crate::source::{Keeps, OpenError, Protocol, Source};
use settings::{Key, Settings};

/// The protocol.
#[derive(Debug)]
pub(super) struct Gateway;

static PARAMETERS: &[Key] = &[common::EPS_THROTTLE];

impl Protocol for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn title(&self) -> &'static str {
        "Gateway Log Source"
    }

    fn description(&self) -> &'static str {
        "Collects nothing by itself. The log source gets what another one in gateway use reads under its identifier."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn keeps(&self) -> Keeps {
        Keeps::Remote
    }

    fn open(&self, _: &str, _: &Settings, _: &dyn Secrets) -> Result<Source, OpenError> {
        Ok(Source::Polling(Vec::new()))
    }
}
