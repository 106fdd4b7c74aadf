//! Events to a stream of this process: standard output.

use super::{Batch, Destination, Outcome};
use chrono::{DateTime, Utc};
use std::io::{ErrorKind, Write};

/// Writes lines to a stream.
pub struct StreamDestination(Box<dyn Write + Send>);

impl std::fmt::Debug for StreamDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamDestination")
    }
}

impl StreamDestination {
    /// A destination that writes to a stream.
    pub fn new(stream: impl Write + Send + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl Destination for StreamDestination {
    fn send(&mut self, batch: &Batch, _now: DateTime<Utc>) -> Outcome {
        let written = self.0.write_all(&batch.bytes).and_then(|()| self.0.flush());
        match written {
            Ok(()) => Outcome::Accepted(Vec::new()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                Outcome::Closed("nobody reads standard output any more".to_owned())
            }
            Err(error) => Outcome::Unavailable(format!("cannot write to standard output: {error}")),
        }
    }
}
