//! Time as something that is handed in, and a way to be told to stop.
//!
//! There are two times. [`Clock::now`] passes evenly and never jumps: whatever waits, waits by it. [`Clock::wall`] is what
//! the machine's clock shows, which somebody may set at any moment: it is for what others see, such as time stamps, the
//! times in requests, and names of files. Nothing is ever waited for by it.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now, by which is waited. It is what the machine's clock showed when the process began, and what has passed
    /// since; the machine's clock may be set meanwhile, and this one does not notice.
    fn now(&self) -> DateTime<Utc>;

    /// What the machine's clock shows.
    fn wall(&self) -> DateTime<Utc> {
        self.now()
    }

    /// How much time has passed since a moment that stays the same while the process runs, for those who count time and do
    /// not tell it: [`Self::now`] as a length.
    fn elapsed(&self) -> Duration {
        (self.now() - DateTime::UNIX_EPOCH)
            .to_std()
            .unwrap_or_default()
    }

    /// Waits until [`Self::now`] is a time, or until `stop` is set.
    fn wait(&self, until: DateTime<Utc>, stop: &Stop);

    /// How far the machine's clock has been set since the process began: forward, or back where it is negative. Less than
    /// a second is none.
    fn set_by(&self) -> TimeDelta {
        let by = self.wall() - self.now();
        if by.abs() < SMALLEST_JUMP {
            return TimeDelta::zero();
        }
        by
    }
}

/// By less than this a clock is corrected, and not set.
const SMALLEST_JUMP: TimeDelta = TimeDelta::seconds(1);

/// Notices that the machine's clock is set.
#[derive(Debug, Default)]
pub struct ClockWatch {
    known: TimeDelta,
}

impl ClockWatch {
    /// By how much the clock has been set since the last look, if it has.
    pub fn look(&mut self, clock: &dyn Clock) -> Option<TimeDelta> {
        let by = clock.set_by();
        let jump = by - self.known;
        if jump.abs() < SMALLEST_JUMP {
            return None;
        }
        self.known = by;
        Some(jump)
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// What the machine's clock showed when it was first asked, and how long the machine had been running then.
static BEGINNING: OnceLock<(DateTime<Utc>, TimeDelta)> = OnceLock::new();

/// How long the machine has been running. Where the system tells, the time in which it was suspended counts too: servers
/// have not slept meanwhile.
fn running() -> TimeDelta {
    #[cfg(target_os = "linux")]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let id = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(id);
    TimeDelta::seconds(time.tv_sec) + TimeDelta::nanoseconds(time.tv_nsec)
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let running = running();
        let (began, then) = BEGINNING.get_or_init(|| (SystemTime::now().into(), running));
        *began + (running - *then)
    }

    fn wall(&self) -> DateTime<Utc> {
        SystemTime::now().into()
    }

    fn wait(&self, until: DateTime<Utc>, stop: &Stop) {
        loop {
            // In slices, because the time of a suspended machine counts and does not wake us.
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
pub struct VirtualClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    now: DateTime<Utc>,
    /// How far the wall clock is ahead.
    set_by: TimeDelta,
}

impl VirtualClock {
    /// A clock that shows this time.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(Times {
            now: start,
            set_by: TimeDelta::zero(),
        })))
    }

    /// Moves the clock forward: so much time passes.
    pub fn advance(&self, by: TimeDelta) {
        lock(&self.0).now += by;
    }

    /// Moves the clock to a time, never back.
    pub fn advance_to(&self, to: DateTime<Utc>) {
        let mut times = lock(&self.0);
        times.now = to.max(times.now);
    }

    /// Sets the clock of the machine, forward or back. No time passes.
    pub fn set(&self, by: TimeDelta) {
        lock(&self.0).set_by += by;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        lock(&self.0).now
    }

    fn wall(&self) -> DateTime<Utc> {
        let times = lock(&self.0);
        times.now + times.set_by
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
    fn a_clock_that_is_set_is_noticed_once_with_the_size_of_the_jump_and_nobody_waits_for_it() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = VirtualClock::new(start);
        let mut watch = ClockWatch::default();
        assert_eq!(watch.look(&clock), None);
        for (set, seen) in [
            (TimeDelta::milliseconds(400), None),
            (TimeDelta::hours(-3), Some(-10_799)),
            (TimeDelta::days(30), Some(30 * 86_400)),
            (TimeDelta::zero(), None),
        ] {
            clock.set(set);
            let jump = watch.look(&clock).map(|jump| jump.num_seconds());
            assert_eq!(jump, seen, "{set}");
            assert_eq!(watch.look(&clock), None);
            assert_eq!(clock.now(), start);
        }
        clock.set(TimeDelta::days(-365));
        clock.wait(start + TimeDelta::minutes(5), &Stop::new());
        assert_eq!(clock.now(), start + TimeDelta::minutes(5));
    }

    #[test]
    fn the_time_of_the_machine_passes_and_agrees_with_its_clock_at_first() {
        let before = SystemClock.now();
        assert!(SystemClock.now() >= before);
        assert_eq!(SystemClock.set_by(), TimeDelta::zero());
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
