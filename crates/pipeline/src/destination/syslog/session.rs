//! What is on its way over one connection, and how it comes to count as accepted.
//!
//! Plain syslog has no acknowledgement, and that the operating system has taken what was written means nothing: it may
//! still be here, or wait unread at the receiver. But TCP tells one thing about the program at the other end. When we end
//! our side of the connection, the receiver can read up to that end and no further, and then it closes its own side. If it
//! closes before it has read everything, its system breaks the connection off instead. So a connection is ended every few
//! seconds, or after a number of bytes, and when it comes to an orderly end, all that was on it has been read.
//!
//! One thing looks the same: a receiver or proxy that ends only its own side, keeps the connection without reading, and
//! dies later.

use super::connection::{Connection, Heard};
use super::stall::Watch;
use super::{Confirm, Framing, Session, SyslogOptions};
use crate::destination::{Batch, Progress, Standing, Urgency};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is on its way is confirmed when the oldest of it has waited so long, or is so much. A crash, or a connection that
/// breaks, repeats what is not confirmed.
const CONFIRM_AFTER: Duration = Duration::from_secs(5);
pub(super) const CONFIRM_BYTES: u64 = 4 << 20;
/// Where nothing is left to be sent, it is confirmed at once, but only so often in a row: each time costs a connection.
/// Each `CONFIRM_AFTER` it may be one time more.
const AT_ONCE: u32 = 10;
/// Where a receiver never closes, a batch counts as accepted after this time, if nothing went wrong.
const TRUST_AFTER: Duration = Duration::from_secs(30);
/// How long one call waits.
const SLICE: Duration = Duration::from_millis(100);
/// A receiver of syslog has nothing to say. One that says more than this is none.
const MOST_HEARD: usize = 1 << 20;

/// How often more something may be confirmed at once.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u32,
    refilled: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: AT_ONCE,
            refilled: Instant::now(),
        }
    }
}

impl Allowance {
    /// Takes one try; false if none is left.
    fn take(&mut self) -> bool {
        while self.left < AT_ONCE && self.refilled.elapsed() >= CONFIRM_AFTER {
            self.left += 1;
            self.refilled += CONFIRM_AFTER;
        }
        if self.left == AT_ONCE {
            self.refilled = Instant::now();
        }
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

/// A connection and what is on its way over it.
#[derive(Debug)]
pub(super) struct PlainSession {
    address: String,
    connection: Connection,
    framing: Framing,
    confirm: Confirm,
    /// What is still to be written, and how much of it is.
    unwritten: Vec<u8>,
    written: usize,
    /// Bytes that were handed over since the session began.
    sent: u64,
    /// The batches on their way, the oldest first.
    batches: VecDeque<OnItsWay>,
    ending: Ending,
    heard: usize,
    watch: Watch,
}

/// A batch on its way.
#[derive(Debug)]
struct OnItsWay {
    /// Bytes of the session up to its end.
    end: u64,
    since: Instant,
}

/// How far a connection has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It goes on.
    No,
    /// Our end is to be said.
    Begun,
    /// The receiver is to end its side.
    Said,
    /// It has; its system is to confirm ours.
    Answered,
}

impl PlainSession {
    /// A session over a connection. `given_up` is how many before it were given up in a row.
    pub(super) fn new(
        options: &SyslogOptions,
        framing: Framing,
        connection: Connection,
        given_up: u32,
    ) -> Self {
        Self {
            address: options.address.clone(),
            connection,
            framing,
            confirm: options.confirm,
            unwritten: Vec::new(),
            written: 0,
            sent: 0,
            batches: VecDeque::new(),
            ending: Ending::No,
            heard: 0,
            watch: Watch::new(given_up),
        }
    }

    fn write(&mut self, until: Instant) -> Result<(), String> {
        let written = self.try_write(until);
        written.map_err(|error| format!("cannot send to {}: {error}", self.address))
    }

    fn try_write(&mut self, until: Instant) -> std::io::Result<()> {
        let rest = self.unwritten.get(self.written..).unwrap_or_default();
        let written = self.connection.write(rest, until)?;
        if written > 0 {
            self.written += written;
            self.watch.moves();
        }
        if self.written == self.unwritten.len() && self.connection.flush(until)? {
            self.unwritten.clear();
            self.written = 0;
        }
        Ok(())
    }

    fn advance(
        &mut self,
        urgency: Urgency,
        allowance: &mut Allowance,
        confirmed: &mut usize,
    ) -> Result<Standing, String> {
        let until = Instant::now() + SLICE;
        if !self.unwritten.is_empty() {
            // A receiver that waits for us to hear it would take nothing.
            self.hear(Instant::now())?;
            self.write(until)?;
            if !self.unwritten.is_empty() {
                return self.wait();
            }
        }
        if self.ending == Ending::No {
            self.hear(Instant::now())?;
            if self.confirm == Confirm::Window {
                *confirmed += self.trust();
            }
            if !self.is_due(urgency, allowance) {
                return Ok(Standing::Ready);
            }
            self.ending = Ending::Begun;
            self.watch.moves();
        }
        let failed =
            |error: std::io::Error| format!("the connection to {} breaks: {error}", self.address);
        if self.ending == Ending::Begun {
            if !self.connection.end(until).map_err(failed)? {
                return self.wait();
            }
            self.ending = Ending::Said;
        }
        if self.ending == Ending::Said {
            match self.connection.hear(until).map_err(failed)? {
                Heard::Nothing => return self.wait_for_end(confirmed),
                Heard::Said(length) => {
                    self.count_heard(length)?;
                    return self.wait();
                }
                Heard::End => self.ending = Ending::Answered,
            }
        }
        while !self.connection.is_over().map_err(|error| {
            format!(
                "{} has closed the connection before it had read everything: {error}",
                self.address
            )
        })? {
            if Instant::now() >= until {
                return self.wait();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        *confirmed += self.batches.len();
        self.batches.clear();
        Ok(Standing::Ready)
    }

    /// Whether it is time to have everything confirmed.
    fn is_due(&self, urgency: Urgency, allowance: &mut Allowance) -> bool {
        let Some(oldest) = self.batches.front() else {
            return false;
        };
        let bytes = self.batches.back().map_or(0, |newest| newest.end) - oldest.end;
        match self.confirm {
            _ if urgency == Urgency::Hurry => true,
            Confirm::Close => {
                oldest.since.elapsed() >= CONFIRM_AFTER
                    || bytes >= CONFIRM_BYTES
                    || (urgency == Urgency::Idle && allowance.take())
            }
            Confirm::Window => false,
        }
    }

    /// How many batches are so far behind, in bytes or in time, that no buffer holds them any more.
    fn trust(&mut self) -> usize {
        let sent = self.sent;
        let is_trusted = |batch: &OnItsWay| {
            sent - batch.end >= CONFIRM_BYTES || batch.since.elapsed() >= TRUST_AFTER
        };
        let count = self
            .batches
            .iter()
            .take_while(|batch| is_trusted(batch))
            .count();
        self.batches.drain(..count);
        count
    }

    /// Hears what the receiver says while we are sending.
    fn hear(&mut self, until: Instant) -> Result<(), String> {
        match self.connection.hear(until) {
            Ok(Heard::Nothing) => Ok(()),
            Ok(Heard::Said(length)) => self.count_heard(length),
            Ok(Heard::End) => Err(format!("{} has closed the connection", self.address)),
            Err(error) => Err(format!(
                "the connection to {} breaks: {error}",
                self.address
            )),
        }
    }

    fn count_heard(&mut self, length: usize) -> Result<(), String> {
        self.heard += length;
        if self.heard < MOST_HEARD {
            return Ok(());
        }
        Err(format!(
            "{} has sent {} bytes, and a syslog receiver sends none; check the address",
            self.address, self.heard
        ))
    }

    /// Waits for the receiver to end its side.
    fn wait_for_end(&mut self, confirmed: &mut usize) -> Result<Standing, String> {
        if self.confirm == Confirm::Close {
            return self.wait();
        }
        if self.watch.silence() < TRUST_AFTER {
            return Ok(Standing::Busy);
        }
        *confirmed += self.batches.len();
        self.batches.clear();
        self.ending = Ending::Answered;
        Ok(Standing::Ready)
    }

    /// Nothing more can be done now.
    fn wait(&mut self) -> Result<Standing, String> {
        let address = &self.address;
        let is_sending = self.ending == Ending::No;
        self.watch.wait(|seconds| {
            if is_sending {
                format!("{address} has taken nothing for {seconds} s")
            } else {
                format!(
                    "{address} does not close its side of the connection, {seconds} s after the end of ours: it has \
                     not read everything, or it never closes, and then `confirm = \"window\"` is needed"
                )
            }
        })
    }
}

impl Session for PlainSession {
    fn is_ready(&self) -> bool {
        self.unwritten.is_empty() && self.ending == Ending::No
    }

    fn send(&mut self, batch: &Batch, options: &SyslogOptions) -> Result<(), String> {
        if self.batches.is_empty() {
            self.watch.moves();
        }
        options.write(batch, self.framing, &mut self.unwritten);
        self.sent += self.unwritten.len() as u64;
        self.batches.push_back(OnItsWay {
            end: self.sent,
            since: Instant::now(),
        });
        self.written = 0;
        self.write(Instant::now() + SLICE)
    }

    fn poll(&mut self, urgency: Urgency, allowance: &mut Allowance) -> Progress {
        let mut progress = Progress::default();
        progress.standing = match self.advance(urgency, allowance, &mut progress.confirmed) {
            Ok(standing) => standing,
            Err(reason) => Standing::Broken(reason),
        };
        progress
    }

    fn is_over(&self) -> bool {
        self.ending == Ending::Answered && self.batches.is_empty()
    }

    fn is_stalled(&self) -> bool {
        self.watch.is_stalled()
    }

    fn is_idle(&self) -> bool {
        self.batches.is_empty()
    }
}
