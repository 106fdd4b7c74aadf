//! What is wrong with a log source at brokers, and when it is over.

use super::fault::{Fault, Subject};
use crate::source::LaneId;
use crate::status::{LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use tracing::warn;

/// How long a fault of one record is shown.
const SHOWN: TimeDelta = TimeDelta::minutes(5);

/// After this time without a broker somebody should have a look.
const LONG: TimeDelta = TimeDelta::minutes(2);

/// How often is looked whether something is still so.
const LOOK: TimeDelta = TimeDelta::seconds(5);

/// At most one thing at a time: the clearest.
#[derive(Debug, Default)]
pub(super) struct Health(Option<Known>);

#[derive(Debug)]
struct Known {
    fault: Fault,
    since: DateTime<Utc>,
    looked: DateTime<Utc>,
}

impl Health {
    /// What is wrong.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.0.as_ref().map(|known| &known.fault)
    }

    /// Whether what is wrong is about one of these.
    pub(super) fn is_about(&self, subjects: &[Subject]) -> bool {
        self.fault()
            .is_some_and(|fault| subjects.contains(&fault.subject))
    }

    /// Something is wrong, or still is.
    pub(super) fn blame(
        &mut self,
        fault: Fault,
        lane: &LaneId,
        status: &mut LaneStatus,
        now: DateTime<Utc>,
    ) {
        // Where a broker says what is wrong, that all brokers are gone says nothing more.
        let clearer = [Subject::Tls, Subject::SignIn, Subject::Client];
        if fault.subject == Subject::Connection && self.is_about(&clearer) {
            return;
        }
        if fault.subject == Subject::Record {
            status.malformed += 1;
        }
        status.failures = status.failures.saturating_add(1);
        if let Some(known) = &mut self.0
            && known.fault.subject == fault.subject
        {
            // Of records it is another one; of all else it goes on, and how long it has lasted counts.
            if fault.subject == Subject::Record {
                known.since = now;
            }
            let state = known.fault.state.max(fault.state);
            known.fault = Fault { state, ..fault };
            return;
        }
        warn!(lane = %lane, "{}", fault.message);
        if fault.state == State::Error {
            status.rounds_failed += 1;
        }
        self.0 = Some(Known {
            fault,
            since: now,
            looked: now,
        });
    }

    /// What is wrong is over, if it is about one of these.
    pub(super) fn clear(&mut self, subjects: &[Subject], status: &mut LaneStatus) {
        if self.is_about(subjects) {
            self.0 = None;
            status.failures = 0;
        }
    }

    /// What time alone does.
    pub(super) fn age(&mut self, status: &mut LaneStatus, now: DateTime<Utc>) {
        let Some(Known { fault, since, .. }) = &mut self.0 else {
            return;
        };
        match fault.subject {
            Subject::Record if now - *since > SHOWN => self.0 = None,
            Subject::Connection if now - *since > LONG && fault.state != State::Error => {
                fault.state = State::Error;
                status.rounds_failed += 1;
            }
            _ => {}
        }
    }

    /// Whether it is time to look if this is still wrong. The next time comes later.
    pub(super) fn is_to_be_looked_at(&mut self, subject: Subject, now: DateTime<Utc>) -> bool {
        match &mut self.0 {
            Some(known) if known.fault.subject == subject && now - known.looked > LOOK => {
                known.looked = now;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn fault(subject: Subject, state: State) -> Fault {
        Fault {
            subject,
            state,
            message: format!("{subject:?}"),
            remedy: String::new(),
        }
    }

    fn lane() -> LaneId {
        LaneId {
            log_source: "x".to_owned(),
            lane: "consumer".to_owned(),
        }
    }

    #[test]
    fn the_clearest_fault_is_kept() {
        let (mut health, mut status) = (Health::default(), LaneStatus::default());
        let mut blame = |health: &mut Health, subject, state, seconds| {
            health.blame(fault(subject, state), &lane(), &mut status, at(seconds));
        };
        blame(&mut health, Subject::Connection, State::Warn, 0);
        blame(&mut health, Subject::SignIn, State::Error, 1);
        blame(&mut health, Subject::Connection, State::Warn, 2);
        assert!(health.is_about(&[Subject::SignIn]));
        assert_eq!(status.rounds_failed, 1);
        health.clear(&[Subject::Connection], &mut status);
        assert!(health.fault().is_some());
        health.clear(&[Subject::SignIn], &mut status);
        assert!(health.fault().is_none());
    }

    #[test]
    fn a_broker_that_stays_away_becomes_an_error() {
        let (mut health, mut status) = (Health::default(), LaneStatus::default());
        for seconds in 0..130 {
            let fault = fault(Subject::Connection, State::Warn);
            health.blame(fault, &lane(), &mut status, at(seconds));
            health.age(&mut status, at(seconds));
            let is_error = health.fault().unwrap().state == State::Error;
            assert_eq!(is_error, seconds > 120, "{seconds}");
        }
        assert_eq!(status.rounds_failed, 1);
    }

    #[test]
    fn a_damaged_record_is_counted_and_shown_for_a_while() {
        let (mut health, mut status) = (Health::default(), LaneStatus::default());
        for seconds in [0, 200] {
            let fault = fault(Subject::Record, State::Warn);
            health.blame(fault, &lane(), &mut status, at(seconds));
        }
        assert_eq!(status.malformed, 2);
        health.age(&mut status, at(499));
        assert!(health.fault().is_some());
        health.age(&mut status, at(501));
        assert!(health.fault().is_none());
    }

    #[test]
    fn what_lasts_is_looked_at_now_and_then() {
        let (mut health, mut status) = (Health::default(), LaneStatus::default());
        health.blame(
            fault(Subject::Topic, State::Error),
            &lane(),
            &mut status,
            at(0),
        );
        assert!(!health.is_to_be_looked_at(Subject::Topic, at(4)));
        assert!(health.is_to_be_looked_at(Subject::Topic, at(6)));
        assert!(!health.is_to_be_looked_at(Subject::Topic, at(7)));
        assert!(!health.is_to_be_looked_at(Subject::Group, at(60)));
    }
}
