//! The simulator's own time.

use crate::stamp::Stamp;
use serde::Deserialize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How the simulator's time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// As on the wall.
    #[default]
    Real,
    /// So many times as fast.
    Times(u32),
    /// Only when [`Clock::advance`] is called.
    Stepped,
}

/// A clock that starts where the scenario says and runs at its own pace.
#[derive(Debug)]
pub struct Clock {
    start: Stamp,
    pace: Pace,
    origin: Instant,
    stepped: Mutex<Duration>,
}

impl Clock {
    /// A clock that shows `start` now.
    pub fn new(start: Stamp, pace: Pace) -> Self {
        Self {
            start,
            pace,
            origin: Instant::now(),
            stepped: Mutex::new(Duration::ZERO),
        }
    }

    /// What the clock showed first.
    pub fn start(&self) -> Stamp {
        self.start
    }

    /// What it shows now.
    pub fn now(&self) -> Stamp {
        let passed = match self.pace {
            Pace::Real => self.origin.elapsed(),
            Pace::Times(factor) => self.origin.elapsed() * factor,
            Pace::Stepped => Duration::ZERO,
        };
        self.start + passed + *crate::locked(&self.stepped)
    }

    /// Puts the clock forward, whatever its pace.
    pub fn advance(&self, by: Duration) {
        *crate::locked(&self.stepped) += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_clock_stands_still_until_it_is_advanced() {
        let start = Stamp::parse("2026-03-02T08:00:00Z").unwrap();
        let clock = Clock::new(start, Pace::Stepped);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-03-02T08:01:30Z");
    }

    #[test]
    fn a_fast_clock_runs_ahead_of_the_wall() {
        let start = Stamp::parse("2026-03-02T08:00:00Z").unwrap();
        let clock = Clock::new(start, Pace::Times(10_000));
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.now().since(start) >= Duration::from_secs(50));
    }
}
