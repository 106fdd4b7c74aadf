//! Events to a syslog receiver, over UDP, TCP or TLS, as plain syslog or over RELP.
//!
//! Over a connection a batch counts as accepted when the receiver has read it; [`session`] says how that is known. What a
//! receiver has read and loses when it dies, nobody can know. With [`relp`] it counts when the receiver has acknowledged
//! each event. A datagram counts as accepted when it was sent.

mod connection;
mod header;
mod relp;
mod session;
mod stall;
mod tls;

pub use header::{Header, host};
pub use tls::{TlsFiles, check as check_tls};

use super::{Batch, Destination, Outcome, Progress, Refusal, Standing, Urgency};
use chrono::{DateTime, Utc};
use connection::Connection;
use protocol::clock::Stop;
use relp::{Acknowledged, RelpSession};
use session::{Allowance, PlainSession};
use std::io::Write;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// How events get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each. They may be lost without anybody knowing.
    Udp,
    /// A connection.
    Tcp(Framing),
    /// A connection over TLS.
    Tls(Framing, TlsFiles),
    /// A connection with acknowledgements.
    Relp,
    /// The same over TLS.
    RelpTls(TlsFiles),
}

impl Transport {
    /// What is needed for TLS, where it is used.
    pub fn tls(&self) -> Option<&TlsFiles> {
        match self {
            Self::Udp | Self::Tcp(_) | Self::Relp => None,
            Self::Tls(_, files) | Self::RelpTls(files) => Some(files),
        }
    }

    /// The longest event that every receiver has to take, its header included, where the protocol has a limit.
    pub const fn longest_event(&self) -> Option<usize> {
        match self {
            Self::Relp | Self::RelpTls(_) => Some(relp::MAX_EVENT),
            Self::Udp | Self::Tcp(_) | Self::Tls(..) => None,
        }
    }
}

/// How a receiver knows where an event ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// A line feed behind each event, which is what QRadar expects.
    #[default]
    Newline,
    /// The length in front of each event, as RFC 6587 and RFC 5425 have it.
    OctetCounting,
}

/// When events that were sent over a connection count as accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// When the receiver has read up to our end of the connection and has closed its own.
    #[default]
    Close,
    /// When so much was sent after them, or so much time has gone by, that no buffer holds them any more. For receivers
    /// that never close.
    Window,
}

/// A syslog destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogOptions {
    /// Host and port.
    pub address: String,
    /// How the events get there.
    pub transport: Transport,
    /// The header.
    pub header: Header,
    /// The priority in it: facility times 8 plus severity.
    pub priority: u8,
    /// The host in the header; without it the log source identifier.
    pub host: Option<String>,
    /// When events count as accepted that are sent as plain syslog.
    pub confirm: Confirm,
}

impl SyslogOptions {
    /// The host in the header of a log source's events.
    pub fn host_of(&self, identifier: &str) -> String {
        header::host(self.host.as_deref().unwrap_or(identifier))
    }

    /// How many bytes stand in front of each event of a log source.
    pub fn header_length(&self, identifier: &str) -> usize {
        self.header.length(self.priority, &self.host_of(identifier))
    }

    /// Appends the events of a batch, each with its header and framed.
    fn write(&self, batch: &Batch, framing: Framing, out: &mut Vec<u8>) {
        let host = self.host_of(&batch.identifier);
        let header_length = self.header.length(self.priority, &host);
        out.reserve(batch.bytes.len() + batch.records.len() * (header_length + 8));
        for record in &batch.records {
            let line = batch.line(record);
            if framing == Framing::OctetCounting {
                // Writing into a Vec does not fail.
                let _ = write!(out, "{} ", header_length + line.len());
            }
            self.header
                .write(self.priority, &host, record.received, out);
            push_line(line, out);
            if framing == Framing::Newline {
                out.push(b'\n');
            }
        }
    }
}

/// Appends an event so that nothing in it ends a frame: a line feed does, and for many receivers a carriage return or a
/// NUL. Formats leave none of them; this is the last place where one could make two events of one.
fn push_line(line: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(line);
    if memchr::memchr3(b'\n', b'\r', 0, line).is_some() {
        for byte in out.iter_mut().skip(start) {
            if matches!(byte, b'\n' | b'\r' | 0) {
                *byte = b' ';
            }
        }
    }
}

/// A connection to a receiver, and what is on its way over it. After it is over, or broken, it is of no more use.
trait Session: Send + std::fmt::Debug {
    /// Whether it takes another batch.
    fn is_ready(&self) -> bool;

    /// Begins to send a batch. Only a session that is ready takes one.
    ///
    /// # Errors
    /// The connection is broken, for this reason.
    fn send(&mut self, batch: &Batch, options: &SyslogOptions) -> Result<(), String>;

    /// Looks after what is on its way, for a fraction of a second at most.
    fn poll(&mut self, urgency: Urgency, allowance: &mut Allowance) -> Progress;

    /// Whether it has come to its end, and everything on it was confirmed.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether nothing has moved for a while.
    fn is_stalled(&self) -> bool;

    /// Whether nothing is on its way.
    fn is_idle(&self) -> bool;

    /// Says goodbye, while nothing is on its way.
    fn close(&mut self, _until: Instant) {}

    /// What was acknowledged of batches that were not confirmed.
    fn into_acknowledged(self: Box<Self>) -> Acknowledged {
        Acknowledged::default()
    }
}

/// Sends events to a syslog receiver.
#[derive(Debug)]
pub struct SyslogDestination {
    options: SyslogOptions,
    session: Option<Box<dyn Session>>,
    /// What was acknowledged over connections before.
    acknowledged: Acknowledged,
    /// How many sessions in a row were given up because nothing moved.
    given_up: u32,
    allowance: Allowance,
    socket: Option<UdpSocket>,
    buffer: Vec<u8>,
    stop: Stop,
}

/// Longest time that closing a connection may take.
const GOODBYE: Duration = Duration::from_secs(5);

impl SyslogDestination {
    /// A destination. It connects when there is something to send.
    pub fn new(options: SyslogOptions) -> Self {
        Self {
            options,
            session: None,
            acknowledged: Acknowledged::default(),
            given_up: 0,
            allowance: Allowance::default(),
            socket: None,
            buffer: Vec::new(),
            stop: Stop::new(),
        }
    }

    /// A session that takes a batch.
    fn session(&mut self) -> Result<Box<dyn Session>, String> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.is_idle())
        {
            // The receiver may have ended it meanwhile.
            self.poll(Urgency::Flowing);
        }
        match self.session.take() {
            Some(session) if session.is_ready() => Ok(session),
            Some(session) => {
                self.session = Some(session);
                Err("the batch before is still being sent".to_owned())
            }
            None => self.open(),
        }
    }

    fn open(&mut self) -> Result<Box<dyn Session>, String> {
        let Self {
            options,
            acknowledged,
            given_up,
            stop,
            ..
        } = self;
        let tls = options.transport.tls();
        let (Transport::Tcp(framing) | Transport::Tls(framing, _)) = options.transport else {
            let session = RelpSession::open(options, tls, *given_up, acknowledged, stop)?;
            return Ok(Box::new(session));
        };
        let connection = Connection::open(&options.address, tls, stop)?;
        let session = PlainSession::new(options, framing, connection, *given_up);
        Ok(Box::new(session))
    }

    fn send_stream(&mut self, batch: &Batch) -> Result<(), String> {
        let mut session = self.session()?;
        session.send(batch, &self.options)?;
        self.session = Some(session);
        Ok(())
    }

    /// Lets go of the session.
    fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.acknowledged = session.into_acknowledged();
        }
    }

    fn send_datagrams(&mut self, batch: &Batch) -> Result<Vec<Refusal>, String> {
        let address = &self.options.address;
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connection::datagrams(address, &self.stop)?,
        };
        let host = self.options.host_of(&batch.identifier);
        let mut refused = Vec::new();
        for (index, record) in batch.records.iter().enumerate() {
            self.buffer.clear();
            let options = &self.options;
            options
                .header
                .write(options.priority, &host, record.received, &mut self.buffer);
            push_line(batch.line(record), &mut self.buffer);
            match socket.send(&self.buffer) {
                Ok(_) => {}
                Err(error) if is_too_long(&error) => refused.push(Refusal {
                    index,
                    reason: format!("{} bytes do not fit into a datagram", self.buffer.len()),
                }),
                Err(error) => return Err(format!("cannot send to {address}: {error}")),
            }
        }
        self.socket = Some(socket);
        Ok(refused)
    }
}

fn is_too_long(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

impl Destination for SyslogDestination {
    fn send(&mut self, batch: &Batch, _now: DateTime<Utc>) -> Outcome {
        let result = match self.options.transport {
            Transport::Udp => self.send_datagrams(batch).map(Outcome::Accepted),
            _ => self.send_stream(batch).map(|()| Outcome::Sent),
        };
        result.unwrap_or_else(Outcome::Unavailable)
    }

    fn poll(&mut self, urgency: Urgency) -> Progress {
        let Some(session) = &mut self.session else {
            return Progress::default();
        };
        let progress = session.poll(urgency, &mut self.allowance);
        if progress.confirmed > 0 {
            self.given_up = 0;
        }
        match &progress.standing {
            Standing::Broken(_) if session.is_stalled() => self.given_up += 1,
            Standing::Broken(_) => {}
            _ if session.is_over() => {}
            _ => return progress,
        }
        let is_idle = session.is_idle();
        self.end_session();
        if is_idle {
            // It ended while nothing was on its way, which is no fault.
            return Progress {
                standing: Standing::Ready,
                ..progress
            };
        }
        progress
    }

    fn stop_with(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    fn finish(&mut self) -> usize {
        self.socket = None;
        let deadline = Instant::now() + GOODBYE;
        let mut confirmed = 0;
        while self
            .session
            .as_ref()
            .is_some_and(|session| !session.is_idle())
            && Instant::now() < deadline
        {
            let progress = self.poll(Urgency::Hurry);
            confirmed += progress.confirmed;
            if matches!(progress.standing, Standing::Broken(_)) {
                break;
            }
        }
        let mut session = self.session.take();
        if let Some(session) = session.as_mut().filter(|session| session.is_idle()) {
            session.close(deadline);
        }
        confirmed
    }
}
