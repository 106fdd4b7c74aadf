//! Whether reading gets on. A client that neither reads nor is told that there is nothing to read may be stuck, and so may
//! the broker that looks after its group: nothing fails then, and nothing happens.

use chrono::{DateTime, TimeDelta, Utc};

/// After this time without progress somebody should have a look. Dividing partitions anew takes some seconds, and half a
/// minute where another member hands over.
pub(super) const SHOWN_AFTER: TimeDelta = TimeDelta::minutes(2);

/// After this time the client is made anew. A broker waits no longer than five minutes for a member that does not join
/// again, so what other members hold up is over by then.
const RENEWED_AFTER: TimeDelta = TimeDelta::minutes(6);

/// The longest time from one new client to the next: each takes twice as long as the one before.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// Since when nothing has got on, and what was done about it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    since: Option<DateTime<Utc>>,
    renewed_at: Option<DateTime<Utc>>,
    renewed: u32,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It gets on, or has not been standing still for long.
    Fine,
    /// It has been standing still for so long.
    Still(TimeDelta),
    /// It has been standing still for so long that another client is to try.
    Renew(TimeDelta),
}

impl Progress {
    /// Something new was read, or there is nothing to read.
    pub(super) fn moved(&mut self) {
        *self = Self::default();
    }

    /// Something was read that was read before, or it is known why nothing is read. That is no reason to make clients anew
    /// more often.
    pub(super) fn excused(&mut self) {
        self.since = None;
    }

    /// Nothing has got on since the last time. `may_renew` tells whether another client would not read again what this one
    /// has read.
    pub(super) fn look(&mut self, now: DateTime<Utc>, may_renew: bool) -> Standing {
        let since = *self.since.get_or_insert(now);
        let wait = (RENEWED_AFTER * 2_i32.pow(self.renewed.min(8))).min(LONGEST);
        let begun = self.renewed_at.map_or(since, |at| at.max(since));
        if may_renew && now - begun >= wait {
            self.renewed_at = Some(now);
            self.renewed = self.renewed.saturating_add(1);
            return Standing::Renew(now - since);
        }
        if now - since >= SHOWN_AFTER {
            return Standing::Still(now - since);
        }
        Standing::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_still_is_shown_and_the_client_is_made_anew_ever_more_rarely() {
        let begun = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut progress = Progress::default();
        let (mut shown, mut renewed) = (None, Vec::new());
        for minute in 0..300 {
            match progress.look(begun + TimeDelta::minutes(minute), true) {
                Standing::Fine => {}
                Standing::Still(lasted) => {
                    assert_eq!(lasted, TimeDelta::minutes(minute));
                    shown.get_or_insert(minute);
                }
                Standing::Renew(_) => renewed.push(minute),
            }
        }
        assert_eq!(shown, Some(2));
        assert_eq!(renewed, [6, 18, 42, 90, 150, 210, 270]);
        progress.moved();
        let later = begun + TimeDelta::minutes(300);
        assert_eq!(progress.look(later, true), Standing::Fine);
        let later = later + TimeDelta::minutes(6);
        assert_eq!(
            progress.look(later, true),
            Standing::Renew(TimeDelta::minutes(6))
        );
    }

    #[test]
    fn what_is_read_again_does_not_make_new_clients_more_frequent() {
        let begun = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut progress = Progress::default();
        let mut renewed = Vec::new();
        for minute in 0..300 {
            if matches!(
                progress.look(begun + TimeDelta::minutes(minute), true),
                Standing::Renew(_)
            ) {
                renewed.push(minute);
                // The next client reads the same records once more.
                progress.excused();
            }
        }
        assert_eq!(renewed, [6, 19, 44, 93, 154, 215, 276]);
    }

    #[test]
    fn what_would_be_read_again_holds_a_new_client_off() {
        let begun = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut progress = Progress::default();
        for minute in 0..60 {
            let standing = progress.look(begun + TimeDelta::minutes(minute), false);
            let lasted = TimeDelta::minutes(minute);
            let expected = if minute < 2 {
                Standing::Fine
            } else {
                Standing::Still(lasted)
            };
            assert_eq!(standing, expected);
        }
        let lasted = TimeDelta::minutes(60);
        assert_eq!(progress.look(begun + lasted, true), Standing::Renew(lasted));
    }
}
