//! Time as something that is handed in, and a way to be told to stop.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// How much time has passed since a moment that stays the same while the process runs. Nobody sets it forward or back,
    /// so waits and ages go by it.
    fn elapsed(&self) -> Duration {
        (self.now() - DateTime::UNIX_EPOCH)
            .to_std()
            .unwrap_or_default()
    }

    /// Waits until a time, or until `stop` is set.
    fn wait(&self, until: DateTime<Utc>, stop: &Stop);
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        SystemTime::now().into()
    }

    fn elapsed(&self) -> Duration {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        BEGAN.get_or_init(Instant::now).elapsed()
    }

    fn wait(&self, until: DateTime<Utc>, stop: &Stop) {
        loop {
            // In slices, because the machine's clock may be set while we wait.
            let left = (until - self.now()).to_std().unwrap_or_default();
            if left.is_zero() || stop.wait(left.min(Duration::from_secs(1))) {
                return;
            }
        }
    }
}

/// A clock that moves only when it is told to, for tests: waiting moves it to the time waited for.
///
/// Clones show the same time.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

#[derive(Debug)]
struct Virtual {
    now: DateTime<Utc>,
    /// What it would show if nobody had set it.
    unset: DateTime<Utc>,
}

impl VirtualClock {
    /// A clock that shows this time.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(Virtual {
            now: start,
            unset: start,
        })))
    }

    /// Moves the clock forward: so much time passes.
    pub fn advance(&self, by: TimeDelta) {
        let mut time = lock(&self.0);
        time.now += by;
        time.unset += by;
    }

    /// Moves the clock to a time, never back.
    pub fn advance_to(&self, to: DateTime<Utc>) {
        let left = to - self.now();
        self.advance(left.max(TimeDelta::zero()));
    }

    /// Sets the clock forward or back, as a person or a time server does. No time passes.
    pub fn set(&self, by: TimeDelta) {
        lock(&self.0).now += by;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        lock(&self.0).now
    }

    fn elapsed(&self) -> Duration {
        (lock(&self.0).unset - DateTime::UNIX_EPOCH)
            .to_std()
            .unwrap_or_default()
    }

    fn wait(&self, until: DateTime<Utc>, stop: &Stop) {
        if !stop.is_set() {
            self.advance_to(until);
        }
    }
}

/// A request to stop that wakes those who wait. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop.
    pub fn set(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    /// Whether somebody has asked.
    pub fn is_set(&self) -> bool {
        *lock(&self.0.0)
    }

    /// Waits for the request at most so long, and tells whether it has come.
    pub fn wait(&self, at_most: Duration) -> bool {
        let guard = lock(&self.0.0);
        let waited = self
            .0
            .1
            .wait_timeout_while(guard, at_most, |set| !*set)
            .unwrap_or_else(PoisonError::into_inner);
        *waited.0
    }
}

/// A thread that panicked leaves a plain value behind, which is as good as ever.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_on_a_virtual_clock_moves_it_and_never_back() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = VirtualClock::new(start);
        clock.wait(start + TimeDelta::hours(24), &Stop::new());
        assert_eq!(clock.now(), start + TimeDelta::hours(24));
        clock.wait(start, &Stop::new());
        assert_eq!(clock.now(), start + TimeDelta::hours(24));
    }

    #[test]
    fn to_set_a_clock_lets_no_time_pass() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = VirtualClock::new(start);
        let elapsed = clock.elapsed();
        clock.set(TimeDelta::days(-30));
        assert_eq!(
            (clock.now(), clock.elapsed()),
            (start - TimeDelta::days(30), elapsed)
        );
        clock.advance(TimeDelta::seconds(5));
        assert_eq!(clock.elapsed(), elapsed + Duration::from_secs(5));
    }

    #[test]
    fn a_stop_wakes_a_thread_that_waits_on_the_system_clock() {
        let stop = Stop::new();
        let waiting = std::thread::spawn({
            let stop = stop.clone();
            move || SystemClock.wait(SystemClock.now() + TimeDelta::hours(1), &stop)
        });
        stop.set();
        waiting.join().unwrap();
        assert!(stop.is_set());
    }
}
