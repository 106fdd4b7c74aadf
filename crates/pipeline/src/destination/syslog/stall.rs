//! How long a connection has stood still, and what is done about it.

use crate::destination::Standing;
use std::time::{Duration, Instant};

/// A connection is said to be stalled each time that nothing has moved for so long.
const STALL: Duration = Duration::from_secs(15);
/// A stalled connection is given up after this time; twice as long each time that this happens, up to an hour. What the
/// receiver's system has taken of it comes twice if the receiver reads on after all.
const GIVE_UP: Duration = Duration::from_secs(60);
const LONGEST_GIVE_UP: u32 = 6;

/// Watches whether something moves.
#[derive(Debug)]
pub(super) struct Watch {
    moved: Instant,
    /// How often it was said since then that nothing moves.
    stalls: u32,
    give_up: Duration,
}

impl Watch {
    /// `given_up` is how many connections before it were given up in a row.
    pub(super) fn new(given_up: u32) -> Self {
        Self {
            moved: Instant::now(),
            stalls: 0,
            give_up: GIVE_UP * (1 << given_up.min(LONGEST_GIVE_UP)),
        }
    }

    /// Something has moved, or begins to be waited for.
    pub(super) fn moves(&mut self) {
        self.moved = Instant::now();
        self.stalls = 0;
    }

    /// How long nothing has moved.
    pub(super) fn silence(&self) -> Duration {
        self.moved.elapsed()
    }

    /// Whether it was said that nothing moves.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalls > 0
    }

    /// Nothing more can be done now. `reason` is given the seconds for which nothing has moved.
    ///
    /// # Errors
    /// The connection is given up.
    pub(super) fn wait(&mut self, reason: impl FnOnce(u64) -> String) -> Result<Standing, String> {
        let silence = self.silence();
        if silence < STALL * (self.stalls + 1) {
            return Ok(Standing::Busy);
        }
        self.stalls += 1;
        let reason = reason(silence.as_secs());
        if silence < self.give_up {
            Ok(Standing::Stalled(reason))
        } else {
            Err(reason)
        }
    }
}
