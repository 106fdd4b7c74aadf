//! Who is connected, and what that costs.

use std::collections::BTreeMap;
use std::io::Result;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::warn;

/// What all connections together may hold of messages that have not ended, in bytes.
pub(super) const MEMORY: usize = 32 << 20;

/// A connection that brought a message within this time keeps its place, however many others want one.
const KEEPS_ITS_PLACE: Duration = Duration::from_secs(10);

/// How often one that waits for memory looks again.
const LOOK: Duration = Duration::from_millis(500);

/// The connections.
#[derive(Debug)]
pub(super) struct Guests {
    began: Instant,
    guests: Mutex<BTreeMap<u64, Arc<Guest>>>,
    next: AtomicU64,
    /// What they hold together.
    held: AtomicUsize,
    /// Somebody holds less than before.
    freed: Condvar,
    freed_lock: Mutex<()>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) peer: SocketAddr,
    number: u64,
    began: Instant,
    socket: TcpStream,
    /// When it brought its last message, or came: milliseconds since the listener began.
    last_message: AtomicU64,
    /// It has brought a message.
    has_sent: AtomicBool,
    /// It has brought messages and waits for us.
    waits: AtomicBool,
    /// The memory that its unfinished message takes.
    held: AtomicUsize,
    /// It was asked to go.
    leaves: AtomicBool,
}

impl Guest {
    fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.last_message.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    /// It has brought messages, and has to wait until they are taken.
    pub(super) fn begin_waiting(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Its messages were taken.
    pub(super) fn has_sent(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_message.store(now, Ordering::Relaxed);
        self.has_sent.store(true, Ordering::Relaxed);
        self.waits.store(false, Ordering::Relaxed);
    }

    /// Asks it to go: what it has sent is read to the end, and nothing more.
    fn send_off(&self) {
        self.leaves.store(true, Ordering::Relaxed);
        // Where that fails, the connection is over.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn stays(&self) -> bool {
        !self.leaves.load(Ordering::Relaxed) && !self.waits.load(Ordering::Relaxed)
    }
}

impl Default for Guests {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            guests: Mutex::default(),
            next: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            freed: Condvar::new(),
            freed_lock: Mutex::new(()),
        }
    }
}

impl Guests {
    /// How many there are. One that was asked to go does not count.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn add(&self, peer: SocketAddr, stream: &TcpStream) -> Result<Arc<Guest>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let guest = Arc::new(Guest {
            peer,
            number,
            began: self.began,
            socket: stream.try_clone()?,
            last_message: AtomicU64::new(now),
            has_sent: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            leaves: AtomicBool::new(false),
        });
        self.lock().insert(number, Arc::clone(&guest));
        Ok(guest)
    }

    /// It is gone, and what it held with it.
    pub(super) fn remove(&self, guest: &Guest) {
        self.holds(guest, 0);
        self.lock().remove(&guest.number);
    }

    /// Takes note of the memory that the unfinished message of a connection takes.
    pub(super) fn holds(&self, guest: &Guest, bytes: usize) {
        let before = guest.held.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.held.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.held.fetch_sub(before - bytes, Ordering::Relaxed);
            self.freed.notify_all();
        }
    }

    /// Waits for a while where all together hold too much, and asks the one to go that has brought no message for the
    /// longest time; tells whether this one may go on.
    pub(super) fn wait_for_memory(&self, guest: &Guest) -> bool {
        if self.held.load(Ordering::Relaxed) < MEMORY || guest.leaves.load(Ordering::Relaxed) {
            return true;
        }
        let idlest = {
            let guests = self.lock();
            let holding = guests
                .values()
                .filter(|guest| guest.stays() && guest.held.load(Ordering::Relaxed) > 0);
            holding.max_by_key(|guest| guest.idle()).cloned()
        };
        // Those that get on are only made to wait for each other.
        if let Some(idlest) = idlest.filter(|guest| guest.idle() >= KEEPS_ITS_PLACE) {
            warn!(
                peer = %idlest.peer,
                "a connection was closed: unfinished messages of all connections take {} MiB, and it has ended none \
                 for {} s; what it had sent is passed on",
                MEMORY >> 20,
                idlest.idle().as_secs()
            );
            idlest.send_off();
        }
        let lock = self
            .freed_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // It looks again in any case.
        let _ = self.freed.wait_timeout(lock, LOOK);
        self.held.load(Ordering::Relaxed) < MEMORY
    }

    /// Ends all waiting for memory.
    pub(super) fn wake(&self) {
        self.freed.notify_all();
    }

    /// Asks the one to go that has brought no message for the longest time, one that has never brought any first. Tells
    /// whether there is one that may be asked.
    pub(super) fn send_off_idlest(&self) -> bool {
        let mut guests = self.lock();
        let idlest = guests
            .values()
            .filter(|guest| guest.stays() && guest.idle() >= KEEPS_ITS_PLACE)
            .max_by_key(|guest| (!guest.has_sent.load(Ordering::Relaxed), guest.idle()))
            .cloned();
        let Some(idlest) = idlest else { return false };
        // Its place is free at once; its thread ends when it has read what was sent.
        guests.remove(&idlest.number);
        drop(guests);
        warn!(
            peer = %idlest.peer,
            "a connection was closed to make room for another: it has brought no message for {} s",
            idlest.idle().as_secs()
        );
        idlest.send_off();
        true
    }

    /// Asks those to go that have brought no message for so long.
    pub(super) fn send_off_idle(&self, longest: Duration) {
        let idle: Vec<Arc<Guest>> = {
            let guests = self.lock();
            let idle = guests.values();
            idle.filter(|guest| guest.stays() && guest.idle() >= longest)
                .cloned()
                .collect()
        };
        for guest in idle {
            warn!(peer = %guest.peer, "a connection was closed: it has brought no message for {} s", longest.as_secs());
            guest.send_off();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
