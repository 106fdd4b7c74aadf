//! How much may be received and not yet spooled.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What may wait to be spooled, in bytes. A page is half of it: the next one is received while the first is written.
pub(super) const ROOM: usize = 2 << 20;

/// What a message takes besides its bytes, about: its place in a list and in the memory of the process.
const MESSAGE: usize = 64;

/// Bounds what waits. Who brings more waits for room.
#[derive(Debug, Default)]
pub(super) struct Room {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Nobody takes anything out any more.
    is_closed: bool,
}

impl Room {
    /// The room that a message takes.
    pub(super) fn cost(message: &[u8]) -> usize {
        message.len() + MESSAGE
    }

    /// Takes room, and waits until there is some; tells whether that is still possible. What is larger than everything
    /// waits until nothing else is there.
    pub(super) fn enter(&self, cost: usize) -> bool {
        let fits = |state: &State| state.used == 0 || state.used + cost <= ROOM;
        let mut state = self
            .freed
            .wait_while(self.lock(), |state| !state.is_closed && !fits(state))
            .unwrap_or_else(PoisonError::into_inner);
        state.used += cost;
        !state.is_closed
    }

    /// Gives room back.
    pub(super) fn leave(&self, cost: usize) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(cost);
        self.freed.notify_all();
    }

    /// Ends all waiting.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_waits_than_there_is_room_for_and_everybody_gets_in() {
        let room = Arc::new(Room::default());
        let inside = Arc::new(AtomicUsize::new(0));
        let (sender, queue) = std::sync::mpsc::channel();
        let senders: Vec<_> = (1..=20)
            .map(|number| {
                let (room, inside, sender) =
                    (Arc::clone(&room), Arc::clone(&inside), sender.clone());
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        let cost = number * 100_000;
                        assert!(room.enter(cost));
                        let now = inside.fetch_add(cost, Ordering::SeqCst) + cost;
                        assert!(now <= ROOM || now == cost, "{now}");
                        sender.send(cost).unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        let mut count = 0;
        for cost in queue {
            inside.fetch_sub(cost, Ordering::SeqCst);
            room.leave(cost);
            count += 1;
        }
        assert_eq!(count, 1000);
        for sender in senders {
            sender.join().unwrap();
        }
    }

    #[test]
    fn nobody_waits_for_a_room_that_is_closed() {
        let room = Arc::new(Room::default());
        assert!(room.enter(ROOM));
        let waiting = Arc::clone(&room);
        let waits = std::thread::spawn(move || waiting.enter(1));
        room.close();
        assert!(!waits.join().unwrap());
    }
}
