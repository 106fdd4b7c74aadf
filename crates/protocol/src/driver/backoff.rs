//! How long to wait after a failure.

use chrono::TimeDelta;

/// The wait after the first failure.
const FIRST: TimeDelta = TimeDelta::seconds(5);

/// The longest wait, with or without an order of the server.
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// No server makes us wait longer.
const LONGEST_ORDERED: TimeDelta = TimeDelta::hours(1);

/// The wait after so many failures in a row: twice as long each time, and shortened by up to a half at random, so that
/// lanes that failed together do not come back together.
pub(super) fn after(failures: u32, random: &mut fastrand::Rng) -> TimeDelta {
    let doubled = FIRST * 2_i32.pow(failures.saturating_sub(1).min(10));
    doubled.min(LONGEST) * random.i32(50..=100) / 100
}

/// The wait that a server orders, as far as we obey. One that orders no wait again and again gets a little anyway.
pub(super) fn ordered(wait: TimeDelta, failures: u32) -> TimeDelta {
    let shortest = TimeDelta::seconds(failures.min(60).into());
    wait.clamp(shortest, LONGEST_ORDERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_differ_between_lanes() {
        let mut random = fastrand::Rng::with_seed(1);
        for (failures, longest) in [
            (1, 5),
            (2, 10),
            (3, 20),
            (6, 160),
            (7, 300),
            (u32::MAX, 300),
        ] {
            let waits: Vec<i64> = (0..100)
                .map(|_| after(failures, &mut random).num_milliseconds())
                .collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| (longest * 500..=longest * 1000).contains(wait)),
                "{failures}: {waits:?}"
            );
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }

    #[test]
    fn no_order_of_a_server_stops_a_lane_for_long_or_makes_it_hammer() {
        let seconds = |wait, failures| ordered(TimeDelta::seconds(wait), failures).num_seconds();
        assert_eq!(seconds(120, 3), 120);
        assert_eq!(seconds(10_000_000, 1), 3600);
        assert_eq!((seconds(0, 1), seconds(0, 7), seconds(0, 1000)), (1, 7, 60));
    }
}
