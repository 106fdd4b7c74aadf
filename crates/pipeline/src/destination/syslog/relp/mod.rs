//! RELP, the Reliable Event Logging Protocol of rsyslog: syslog with acknowledgements.
//!
//! Each event is a transaction, and the server answers each. An event counts as delivered when its answer has the code 200.
//! Whatever else happens ends the session, and what is not acknowledged is sent again in another one. What was acknowledged
//! in a batch that was not acknowledged wholly is left out when the batch comes again. When an event is refused, the session
//! ends only after everything that is on its way is answered: else what the server has stored behind it would come again
//! with each try.
//!
//! [`frame`] is what goes over the wire, [`window`] which transactions are open, and neither does IO.

mod frame;
mod window;

use super::connection::{Connection, STOPPED};
use super::stall::Watch;
use super::{Allowance, Session, SyslogOptions, TlsFiles, push_line};
use crate::destination::{Batch, Progress, Record, Standing, Urgency};
use chrono::{DateTime, Utc};
pub(super) use frame::MAX_EVENT;
use frame::{Reader, Said, write, write_head};
use protocol::clock::Stop;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};
use window::{Answer, Window};

/// What we offer. Version 0 is what all servers know; the specification calls itself version 1, and has the same frames.
const OFFERS: &str = concat!(
    "relp_version=0\nrelp_software=dsmith,",
    env!("CARGO_PKG_VERSION"),
    "\ncommands=syslog"
);
const VERSIONS: [&str; 2] = ["0", "1"];
/// The number of the first transaction, which opens the session.
const FIRST: u32 = 1;
const OK: u16 = 200;
/// The server may take so long to open a session.
const OPENING: Duration = Duration::from_secs(15);
/// The server may take so long to answer that we close.
const CLOSING: Duration = Duration::from_secs(2);
/// How long one call waits.
const SLICE: Duration = Duration::from_millis(100);
/// A server that says more than this between two acknowledgements is none.
const MOST_HEARD: usize = 1 << 20;
/// What is read at once.
const PIECE: usize = 16 << 10;
/// Acknowledged events whose batch does not come again are forgotten when there are more.
const MOST_KEPT: usize = 20_000;

/// By what an event is known when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EventId {
    sequence: u64,
    received: DateTime<Utc>,
    /// Of the log source and the text: a record of coalescing can come again with another count.
    digest: u64,
}

impl EventId {
    fn new(identifier: &str, record: &Record, line: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        identifier.hash(&mut hasher);
        line.hash(&mut hasher);
        Self {
            sequence: record.sequence,
            received: record.received,
            digest: hasher.finish(),
        }
    }
}

/// Events that were acknowledged, while their batch was not wholly.
#[derive(Debug, Default)]
pub(super) struct Acknowledged(HashSet<EventId>);

/// A session over a connection.
#[derive(Debug)]
pub(super) struct RelpSession {
    address: String,
    connection: Connection,
    /// Frames that are not written wholly, and how much of them is.
    unwritten: Vec<u8>,
    written: usize,
    /// Bytes of all frames before these.
    before: u64,
    is_flushed: bool,
    window: Window,
    /// The code with which an event was refused. Then nothing more is sent.
    refused: Option<u16>,
    reader: Reader,
    /// Bytes that were heard since the last answer.
    heard: usize,
    watch: Watch,
    acknowledged: Acknowledged,
}

impl RelpSession {
    /// Opens a session. It ends early when `stop` is set. `given_up` is how many before it were given up in a row, and
    /// `acknowledged` what was acknowledged in these; it is taken when the session is open.
    pub(super) fn open(
        options: &SyslogOptions,
        tls: Option<&TlsFiles>,
        given_up: u32,
        acknowledged: &mut Acknowledged,
        stop: &Stop,
    ) -> Result<Self, String> {
        let address = &options.address;
        let mut session = Self {
            address: address.clone(),
            connection: Connection::open(address, tls, stop)?,
            unwritten: Vec::new(),
            written: 0,
            before: 0,
            is_flushed: false,
            window: Window::new(frame::next_number(FIRST)),
            refused: None,
            reader: Reader::default(),
            heard: 0,
            watch: Watch::new(given_up),
            acknowledged: Acknowledged::default(),
        };
        let offers = session
            .ask(FIRST, "open", OFFERS, OPENING, stop)?
            .ok_or_else(|| {
                format!(
                    "{address} opens no session within {} s; is it a RELP server?",
                    OPENING.as_secs()
                )
            })?;
        check_offers(&offers).map_err(|reason| format!("{address} {reason}"))?;
        session.acknowledged = std::mem::take(acknowledged);
        Ok(session)
    }

    /// Sends a command and waits for the answer while no transaction is open; nothing if none came in time.
    fn ask(
        &mut self,
        number: u32,
        command: &str,
        data: &str,
        at_most: Duration,
        stop: &Stop,
    ) -> Result<Option<Vec<u8>>, String> {
        let deadline = Instant::now() + at_most;
        let mut frame = Vec::new();
        write(number, command, data, &mut frame);
        let mut written = 0;
        let mut is_flushed = false;
        while Instant::now() < deadline {
            let until = (Instant::now() + SLICE).min(deadline);
            if !is_flushed {
                let rest = frame.get(written..).unwrap_or_default();
                let result = self.connection.write(rest, until);
                written += result.map_err(|error| self.broken(&error))?;
                is_flushed = written == frame.len()
                    && (self.connection.flush(until)).map_err(|error| self.broken(&error))?;
            }
            self.read(until)?;
            while let Some(said) = self.reader.next().map_err(|_| not_relp(&self.address))? {
                match said {
                    Said::Answer(answered, OK, data) if answered == number => {
                        return Ok(Some(data.to_vec()));
                    }
                    Said::Answer(_, code, _) => {
                        return Err(format!(
                            "{} answers `{command}` with the code {code}",
                            self.address
                        ));
                    }
                    Said::Close => return Err(self.closed()),
                    Said::Hint => {}
                }
            }
            if stop.is_set() {
                return Err(STOPPED.to_owned());
            }
        }
        Ok(None)
    }

    /// Reads a piece of what the server says, and waits for it until a time; tells whether there was one.
    fn read(&mut self, until: Instant) -> Result<bool, String> {
        let mut bytes = [0; PIECE];
        let result = self.connection.read(&mut bytes, until);
        match result.map_err(|error| self.broken(&error))? {
            None => Ok(false),
            Some(0) => Err(format!("{} has closed the connection", self.address)),
            Some(length) => {
                self.reader.take(bytes.get(..length).unwrap_or_default());
                self.heard += length;
                if self.heard < MOST_HEARD {
                    return Ok(true);
                }
                Err(format!(
                    "{} has sent {} bytes and acknowledged nothing; check the address",
                    self.address, self.heard
                ))
            }
        }
    }

    /// Takes all answers that are there.
    fn hear(&mut self) -> Result<(), String> {
        let until = Instant::now() + SLICE;
        while self.read(Instant::now())? {
            while let Some(said) = self.reader.next().map_err(|_| not_relp(&self.address))? {
                match said {
                    Said::Answer(number, code, _) => {
                        let answer = match code {
                            OK => Answer::Stored,
                            _ => Answer::Refused,
                        };
                        self.window.answer(number, answer).map_err(|_| {
                            format!("{} answers what it was not asked, or twice", self.address)
                        })?;
                        if answer == Answer::Refused {
                            self.refused.get_or_insert(code);
                        }
                        self.heard = 0;
                        self.watch.moves();
                    }
                    Said::Close => return Err(self.closed()),
                    Said::Hint => {}
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// Writes what the window lets pass and the system takes.
    fn write(&mut self) -> Result<(), String> {
        let released = if self.refused.is_some() {
            self.written
        } else {
            let released = self.window.release() - self.before;
            usize::try_from(released).unwrap_or(usize::MAX)
        };
        let rest = self.unwritten.get(self.written..released);
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            let place = self.before + self.written as u64;
            let result = self.connection.write(rest, Instant::now());
            let written = result.map_err(|error| self.broken(&error))?;
            self.written += written;
            self.is_flushed = false;
            // Before the oldest event is sent wholly, it cannot be acknowledged.
            if written > 0 && self.window.oldest_end().is_some_and(|end| place < end) {
                self.watch.moves();
            }
        }
        if !self.is_flushed && self.written == released {
            let result = self.connection.flush(Instant::now());
            self.is_flushed = result.map_err(|error| self.broken(&error))?;
        }
        if self.written == self.unwritten.len() {
            self.before += self.written as u64;
            self.unwritten.clear();
            self.written = 0;
        }
        Ok(())
    }

    fn advance(&mut self, urgency: Urgency, confirmed: &mut usize) -> Result<Standing, String> {
        let until = Instant::now() + SLICE;
        loop {
            self.hear()?;
            *confirmed += self.window.confirm();
            self.write()?;
            if let Some(code) = self.refused
                && !self.window.is_awaited(self.before + self.written as u64)
            {
                return Err(self.refuses(code));
            }
            let is_ready = self.is_ready();
            if *confirmed > 0 || self.window.is_idle() || is_ready && urgency == Urgency::Flowing {
                return Ok(if is_ready {
                    Standing::Ready
                } else {
                    Standing::Busy
                });
            }
            if Instant::now() >= until {
                let waiting = self.window.waiting();
                let standing = self.watch.wait(|seconds| {
                    format!(
                        "{} has acknowledged nothing for {seconds} s, and {waiting} events wait for that",
                        self.address
                    )
                })?;
                if let (Some(code), Standing::Stalled(_)) = (self.refused, &standing) {
                    return Err(self.refuses(code));
                }
                return Ok(match standing {
                    Standing::Busy if is_ready => Standing::Ready,
                    standing => standing,
                });
            }
            let has_more = !self.is_flushed;
            let waited = self.connection.wait(has_more, until);
            waited.map_err(|error| self.broken(&error))?;
        }
    }

    fn refuses(&self, code: u16) -> String {
        format!(
            "{} refuses an event with the code {code}; it is sent again",
            self.address
        )
    }

    fn broken(&self, error: &std::io::Error) -> String {
        format!("the connection to {} breaks: {error}", self.address)
    }

    fn closed(&self) -> String {
        format!("{} has closed the session", self.address)
    }
}

fn not_relp(address: &str) -> String {
    format!("what {address} sends is not RELP; check the address and `transport`")
}

impl Session for RelpSession {
    fn is_ready(&self) -> bool {
        self.refused.is_none() && self.unwritten.is_empty() && self.window.has_room()
    }

    /// Nothing is written yet, so that nothing can go wrong: [`Self::poll`] does.
    fn send(&mut self, batch: &Batch, options: &SyslogOptions) -> Result<(), String> {
        if self.window.is_idle() {
            self.watch.moves();
        }
        self.window.begin_batch();
        let host = options.host_of(&batch.identifier);
        let header_length = options.header.length(options.priority, &host);
        let out = &mut self.unwritten;
        out.reserve(batch.bytes.len() + batch.records.len() * (header_length + 32));
        for record in &batch.records {
            let line = batch.line(record);
            let event = EventId::new(&batch.identifier, record, line);
            if self.acknowledged.0.remove(&event) {
                self.window.add_acknowledged(event);
                continue;
            }
            let start = out.len();
            write_head(
                self.window.next(),
                "syslog",
                header_length + line.len(),
                out,
            );
            options
                .header
                .write(options.priority, &host, record.received, out);
            push_line(line, out);
            out.push(b'\n');
            self.window.add(event, out.len() - start);
        }
        Ok(())
    }

    fn poll(&mut self, urgency: Urgency, _allowance: &mut Allowance) -> Progress {
        let mut confirmed = 0;
        let standing = match self.advance(urgency, &mut confirmed) {
            Ok(standing) => standing,
            Err(reason) => {
                // What was acknowledged before counts.
                confirmed += self.window.confirm();
                // However the session ended then, that an event was refused is why it had to.
                let refused = self.refused.map(|code| self.refuses(code));
                Standing::Broken(refused.unwrap_or(reason))
            }
        };
        Progress {
            confirmed,
            standing,
        }
    }

    fn is_stalled(&self) -> bool {
        self.watch.is_stalled()
    }

    fn is_idle(&self) -> bool {
        self.window.is_idle()
    }

    fn close(&mut self, until: Instant) {
        let at_most = until.saturating_duration_since(Instant::now()).min(CLOSING);
        // Whatever comes of it, everything is acknowledged.
        let _ = self.ask(self.window.next(), "close", "", at_most, &Stop::new());
    }

    fn into_acknowledged(self: Box<Self>) -> Acknowledged {
        let mut acknowledged = self.acknowledged;
        if acknowledged.0.len() > MOST_KEPT {
            acknowledged.0.clear();
        }
        acknowledged.0.extend(self.window.acknowledged());
        acknowledged
    }
}

/// Whether the session that a server offers is of use.
///
/// # Errors
/// What it does, behind its address.
fn check_offers(offers: &[u8]) -> Result<(), &'static str> {
    let values = |name: &str| {
        let mut lines = offers.split(|byte| *byte == b'\n');
        lines.find_map(|line| {
            let line = std::str::from_utf8(line).ok()?.trim_end();
            let values = line.strip_prefix(name)?.strip_prefix('=')?;
            Some(values.split(','))
        })
    };
    let is_known = |version: &str| VERSIONS.contains(&version);
    if !values("relp_version").is_some_and(|mut versions| versions.all(is_known)) {
        return Err("offers no version of RELP that is known here (0 or 1)");
    }
    if !values("commands").is_some_and(|mut commands| commands.any(|name| name == "syslog")) {
        return Err("does not offer the command `syslog`");
    }
    Ok(())
}
