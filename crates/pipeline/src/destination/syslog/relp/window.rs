//! The transactions of a session that are not answered yet.
//!
//! A transaction is an event. It gets its number when it is added, may be sent when there is room in the window, and leaves
//! when the batch that it belongs to is acknowledged wholly. A server may answer in any order.

use super::EventId;
use super::frame::{LAST_NUMBER, next_number};
use std::collections::VecDeque;

/// So many events, or bytes, may be on their way without an answer. It is what a connection that breaks repeats at most; our
/// own end repeats one batch more.
pub(super) const MOST_EVENTS: usize = 2_000;
pub(super) const MOST_BYTES: u64 = 2 << 20;

#[derive(Debug)]
pub(super) struct Window {
    /// The number of the next transaction.
    next: u32,
    /// Bytes of all frames that were added.
    end: u64,
    /// The transactions of batches that are not acknowledged wholly, the oldest first. Their numbers follow each other.
    open: VecDeque<Transaction>,
    /// How many of them, from the oldest on, are acknowledged without a gap.
    acknowledged: usize,
    /// Bytes of all frames up to there.
    acknowledged_end: u64,
    /// How many of them may be sent.
    released: usize,
    batches: VecDeque<BatchOnItsWay>,
    /// How many events are in these.
    events: usize,
}

#[derive(Debug)]
struct Transaction {
    event: EventId,
    /// Bytes of all frames up to the end of this one.
    end: u64,
    answer: Option<Answer>,
}

/// What a server says about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it.
    Stored,
    /// It does not take it.
    Refused,
}

impl Transaction {
    fn is_acknowledged(&self) -> bool {
        self.answer == Some(Answer::Stored)
    }
}

#[derive(Debug)]
struct BatchOnItsWay {
    transactions: usize,
    /// Events that were acknowledged in a session before, and are not sent again.
    acknowledged: Vec<EventId>,
}

/// An answer to something that was not asked, or was answered already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unasked;

impl Window {
    /// A window whose first transaction has this number.
    pub(super) fn new(first: u32) -> Self {
        Self {
            next: first,
            end: 0,
            open: VecDeque::new(),
            acknowledged: 0,
            acknowledged_end: 0,
            released: 0,
            batches: VecDeque::new(),
            events: 0,
        }
    }

    /// The number of the next transaction.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Begins a batch.
    pub(super) fn begin_batch(&mut self) {
        self.batches.push_back(BatchOnItsWay {
            transactions: 0,
            acknowledged: Vec::new(),
        });
    }

    /// Adds an event to the batch, with the length of its frame, under the number [`Self::next`].
    pub(super) fn add(&mut self, event: EventId, length: usize) {
        self.next = next_number(self.next);
        self.end += length as u64;
        self.open.push_back(Transaction {
            event,
            end: self.end,
            answer: None,
        });
        if let Some(batch) = self.batches.back_mut() {
            batch.transactions += 1;
            self.events += 1;
        }
    }

    /// Adds an event to the batch that is acknowledged already.
    pub(super) fn add_acknowledged(&mut self, event: EventId) {
        if let Some(batch) = self.batches.back_mut() {
            batch.acknowledged.push(event);
            self.events += 1;
        }
    }

    /// Whether no batch is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.batches.is_empty()
    }

    /// How many events wait for an acknowledgement, or for room.
    pub(super) fn waiting(&self) -> usize {
        self.open.len() - self.acknowledged
    }

    /// Whether everything may be sent, and another batch besides. All of what is not confirmed comes again when we die.
    pub(super) fn has_room(&self) -> bool {
        self.released == self.open.len() && self.events < MOST_EVENTS && self.fits(self.end + 1)
    }

    /// Whether a frame that ends there fits behind those that may be sent. Any frame may be sent alone.
    fn fits(&self, end: u64) -> bool {
        let events = self.released - self.acknowledged;
        events == 0 || events < MOST_EVENTS && end - self.acknowledged_end <= MOST_BYTES
    }

    /// Bytes of all frames up to the last one that may be sent now.
    pub(super) fn release(&mut self) -> u64 {
        while let Some(transaction) = self.open.get(self.released) {
            if !self.fits(transaction.end) {
                break;
            }
            self.released += 1;
        }
        let last = self.released.checked_sub(1);
        let last = last.and_then(|last| self.open.get(last));
        last.map_or(self.acknowledged_end, |last| last.end)
    }

    /// Bytes of all frames up to the oldest one that is not acknowledged.
    pub(super) fn oldest_end(&self) -> Option<u64> {
        let oldest = self.open.get(self.acknowledged);
        oldest.map(|transaction| transaction.end)
    }

    /// A transaction is answered.
    ///
    /// # Errors
    /// There is none of this number, or it was answered before.
    pub(super) fn answer(&mut self, number: u32, answer: Answer) -> Result<(), Unasked> {
        let all = u64::from(LAST_NUMBER);
        let from_the_end = (u64::from(self.next) + all - u64::from(number)) % all;
        let from_the_end = usize::try_from(from_the_end).map_err(|_| Unasked)?;
        let place = self.open.len().checked_sub(from_the_end).ok_or(Unasked)?;
        let released = self.released;
        let transaction = self.open.get_mut(place).filter(|_| place < released);
        let transaction = transaction.filter(|transaction| transaction.answer.is_none());
        transaction.ok_or(Unasked)?.answer = Some(answer);
        while let Some(transaction) = self
            .open
            .get(self.acknowledged)
            .filter(|oldest| oldest.is_acknowledged())
        {
            self.acknowledged_end = transaction.end;
            self.acknowledged += 1;
        }
        Ok(())
    }

    /// Whether any frame up to so many bytes has no answer.
    pub(super) fn is_awaited(&self, end: u64) -> bool {
        let mut sent = self.open.iter().take_while(|frame| frame.end <= end);
        sent.any(|frame| frame.answer.is_none())
    }

    /// Takes the oldest batches out that are acknowledged wholly; tells how many there were.
    pub(super) fn confirm(&mut self) -> usize {
        let mut confirmed = 0;
        while let Some(batch) = self.batches.front() {
            let transactions = batch.transactions;
            if transactions > self.acknowledged {
                break;
            }
            self.events -= transactions + batch.acknowledged.len();
            self.batches.pop_front();
            self.open.drain(..transactions);
            self.acknowledged -= transactions;
            self.released -= transactions;
            confirmed += 1;
        }
        confirmed
    }

    /// The events of batches on their way that are acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = EventId> {
        let before = self.batches.iter().flat_map(|batch| &batch.acknowledged);
        let now = self
            .open
            .iter()
            .filter(|transaction| transaction.is_acknowledged());
        before
            .copied()
            .chain(now.map(|transaction| transaction.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn event(sequence: u64) -> EventId {
        EventId {
            sequence,
            received: DateTime::UNIX_EPOCH,
            digest: 0,
        }
    }

    fn answer(window: &mut Window, number: u32) -> Result<(), Unasked> {
        window.answer(number, Answer::Stored)
    }

    fn add(window: &mut Window, events: std::ops::Range<u64>, length: usize) -> Vec<u32> {
        window.begin_batch();
        let numbers = events.map(|sequence| {
            let number = window.next();
            window.add(event(sequence), length);
            number
        });
        numbers.collect()
    }

    #[test]
    fn numbers_begin_again_behind_the_last_one() {
        let mut window = Window::new(LAST_NUMBER - 1);
        let numbers = add(&mut window, 0..4, 10);
        assert_eq!(numbers, [LAST_NUMBER - 1, LAST_NUMBER, 1, 2]);
        assert_eq!(window.release(), 40);
        for wrong in [LAST_NUMBER - 2, 3, 4, 500_000_000] {
            assert_eq!(answer(&mut window, wrong), Err(Unasked), "{wrong}");
        }
        for number in [1, LAST_NUMBER, 2] {
            assert_eq!(answer(&mut window, number), Ok(()));
            assert_eq!(answer(&mut window, number), Err(Unasked), "{number} twice");
            assert_eq!(window.confirm(), 0);
        }
        let acknowledged: Vec<u64> = window.acknowledged().map(|event| event.sequence).collect();
        assert_eq!(acknowledged, [1, 2, 3]);
        assert_eq!(answer(&mut window, LAST_NUMBER - 1), Ok(()));
        assert_eq!(window.confirm(), 1);
        assert!(window.is_idle());
        assert_eq!(window.acknowledged().count(), 0);
        assert_eq!(answer(&mut window, 2), Err(Unasked));
    }

    #[test]
    fn what_was_not_released_cannot_be_answered() {
        let mut window = Window::new(7);
        add(&mut window, 0..1, 10);
        assert_eq!(answer(&mut window, 7), Err(Unasked));
        assert_eq!(window.release(), 10);
        assert_eq!(answer(&mut window, 7), Ok(()));
    }

    #[test]
    fn what_is_refused_is_answered_and_not_acknowledged() {
        let mut window = Window::new(7);
        add(&mut window, 0..4, 10);
        assert_eq!(window.release(), 40);
        assert_eq!(window.answer(7, Answer::Refused), Ok(()));
        for refused in [Answer::Refused, Answer::Stored] {
            assert_eq!(window.answer(7, refused), Err(Unasked));
        }
        assert!(!window.is_awaited(19), "the second is not sent wholly");
        assert!(window.is_awaited(20));
        for number in [8, 10] {
            assert_eq!(answer(&mut window, number), Ok(()));
        }
        assert!(!window.is_awaited(29));
        assert!(window.is_awaited(40));
        assert_eq!(answer(&mut window, 9), Ok(()));
        assert!(!window.is_awaited(40));
        assert_eq!((window.confirm(), window.waiting()), (0, 4));
        let acknowledged: Vec<u64> = window.acknowledged().map(|event| event.sequence).collect();
        assert_eq!(acknowledged, [1, 2, 3]);
    }

    #[test]
    fn an_event_that_is_larger_than_the_window_goes_alone() {
        let mut window = Window::new(1);
        let length = 3 << 20;
        add(&mut window, 0..2, length);
        assert_eq!(window.release(), length as u64);
        assert!(!window.has_room());
        assert_eq!(answer(&mut window, 1), Ok(()));
        assert_eq!(window.release(), 2 * length as u64);
        assert_eq!(answer(&mut window, 2), Ok(()));
        assert!(window.has_room());
        assert_eq!(window.confirm(), 1);
    }

    /// Whatever the sizes of batches and events and the order of answers: no more is on its way than the window holds, each
    /// batch is confirmed when it and all before it are answered, and what is kept does not grow.
    #[test]
    fn no_schedule_of_answers_exceeds_the_window_or_confirms_too_soon() {
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut window = Window::new(random.u32(LAST_NUMBER - 3_000..=LAST_NUMBER));
            let largest = random.usize(1..20_000);
            // Number, length and place of all events that are not sent, and that are not answered.
            let mut unsent: VecDeque<(u32, u64, u64)> = VecDeque::new();
            let mut unanswered: Vec<(u32, u64, u64)> = Vec::new();
            // Up to which event each batch goes.
            let mut batches = VecDeque::new();
            let mut added = 0;
            let mut sent_bytes = 0;
            for _ in 0..60 {
                if window.has_room() {
                    window.begin_batch();
                    for _ in 0..random.usize(0..1_500) {
                        let length = random.usize(1..=largest);
                        unsent.push_back((window.next(), length as u64, added));
                        window.add(event(added), length);
                        added += 1;
                    }
                    batches.push_back(added);
                }
                let end = window.release();
                while let Some(event) = unsent.front().filter(|_| sent_bytes < end) {
                    sent_bytes += event.1;
                    unanswered.push(*event);
                    unsent.pop_front();
                }
                assert_eq!(sent_bytes, end, "seed {seed}");
                let bytes: u64 = unanswered.iter().map(|event| event.1).sum();
                assert!(
                    unanswered.len() <= MOST_EVENTS && bytes <= MOST_BYTES,
                    "seed {seed}"
                );
                if random.bool() {
                    random.shuffle(&mut unanswered);
                } else {
                    unanswered.sort_by_key(|event| event.2);
                }
                for (number, ..) in unanswered.drain(..random.usize(0..=unanswered.len())) {
                    assert_eq!(answer(&mut window, number), Ok(()), "seed {seed}");
                }
                let oldest = unanswered.iter().chain(&unsent).map(|event| event.2).min();
                let answered = oldest.unwrap_or(added);
                let mut expected = 0;
                while batches.front().is_some_and(|end| *end <= answered) {
                    batches.pop_front();
                    expected += 1;
                }
                assert_eq!(window.confirm(), expected, "seed {seed}");
                assert!(window.open.len() < MOST_EVENTS + 1_500, "seed {seed}");
            }
        }
    }
}
