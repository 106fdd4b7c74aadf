//! The EPS throttle: events over the limit wait in the spool, and are delivered when the rate falls.

use chrono::{DateTime, TimeDelta, Utc};

/// Lets events pass at a rate. After a pause a second's worth may pass at once.
#[derive(Debug, Clone)]
pub struct Throttle {
    /// Events per second; nothing is no limit.
    rate: Option<u32>,
    /// When the last event that has passed would have passed at an even rate.
    even: Option<DateTime<Utc>>,
}

const SECOND: TimeDelta = TimeDelta::seconds(1);
const NANOS: u64 = 1_000_000_000;

impl Throttle {
    /// A throttle for so many events per second; 0 and nothing are no limit.
    pub fn new(events_per_second: Option<u32>) -> Self {
        Self {
            rate: events_per_second.filter(|rate| *rate > 0),
            even: None,
        }
    }

    /// How many events may pass now.
    pub fn allowance(&mut self, now: DateTime<Utc>) -> usize {
        let Some(rate) = self.rate else {
            return usize::MAX;
        };
        let left = SECOND - (self.even_from(now) - now);
        let nanos = u64::try_from(left.num_nanoseconds().unwrap_or(0)).unwrap_or(0);
        usize::try_from(nanos * u64::from(rate) / NANOS).unwrap_or(usize::MAX)
    }

    /// So many events are worth a batch: those of a fifth of a second. Without it each event would be a batch of its own
    /// when there are always more than may pass.
    pub fn worthwhile(&self) -> usize {
        self.rate.map_or(1, |rate| (rate / 5).max(1) as usize)
    }

    /// Counts events that pass.
    pub fn take(&mut self, events: usize, now: DateTime<Utc>) {
        if let Some(rate) = self.rate {
            self.even = Some(self.even_from(now) + duration(events, rate));
        }
    }

    /// When so many events may pass, or as many as ever pass at once.
    pub fn ready_at(&mut self, events: usize, now: DateTime<Utc>) -> DateTime<Utc> {
        let Some(rate) = self.rate else { return now };
        let events = events.min(rate as usize);
        // Rounded up: a nanosecond earlier it would be one event less.
        let moment =
            self.even_from(now) - SECOND + duration(events, rate) + TimeDelta::nanoseconds(1);
        moment.max(now)
    }

    /// From when on the next event counts: now, or up to a second later. It is more only if somebody has set the clock
    /// back, and nobody should have to wait for that.
    fn even_from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.even.unwrap_or(now).clamp(now, now + SECOND)
    }
}

/// How long so many events take.
fn duration(events: usize, rate: u32) -> TimeDelta {
    let nanos = (events as u64).saturating_mul(NANOS) / u64::from(rate);
    TimeDelta::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_790_000_000_000 + millis).unwrap()
    }

    #[test]
    fn over_a_minute_no_more_passes_than_the_rate_allows_and_no_less() {
        for rate in [1, 3, 7, 5000, 1_000_000] {
            let mut throttle = Throttle::new(Some(rate));
            // The second's worth at the start is not counted.
            throttle.take(throttle.clone().allowance(at(0)), at(0));
            let mut passed = 0;
            for millis in 1..=60_000 {
                let allowance = throttle.allowance(at(millis));
                throttle.take(allowance, at(millis));
                passed += allowance as u64;
            }
            let expected = u64::from(rate) * 60;
            assert!(passed.abs_diff(expected) <= 1, "{rate}: {passed}");
        }
    }

    #[test]
    fn a_pause_saves_one_second_and_no_more() {
        let mut throttle = Throttle::new(Some(10));
        throttle.take(10, at(0));
        assert_eq!(throttle.allowance(at(0)), 0);
        assert_eq!(throttle.allowance(at(500)), 5);
        assert_eq!(throttle.allowance(at(3_600_000)), 10);
    }

    #[test]
    fn it_says_when_events_may_pass() {
        let mut throttle = Throttle::new(Some(3));
        throttle.take(3, at(0));
        for events in 1..=3 {
            let ready = throttle.ready_at(events, at(0));
            assert!(throttle.allowance(ready) >= events);
            assert!(throttle.allowance(ready - TimeDelta::milliseconds(1)) < events);
        }
        assert_eq!(throttle.ready_at(1000, at(0)), throttle.ready_at(3, at(0)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_delivery() {
        let mut throttle = Throttle::new(Some(10));
        throttle.take(10, at(3_600_000));
        assert_eq!(throttle.allowance(at(0)), 0);
        throttle.take(0, at(0));
        assert_eq!(throttle.allowance(at(1000)), 10);
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let mut throttle = Throttle::new(Some(0));
        throttle.take(1_000_000, at(0));
        assert_eq!(throttle.allowance(at(0)), usize::MAX);
        assert_eq!(throttle.ready_at(5, at(0)), at(0));
    }
}
