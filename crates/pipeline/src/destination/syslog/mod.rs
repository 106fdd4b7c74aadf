//! Events to a syslog receiver, over UDP, TCP or TLS.
//!
//! Plain syslog has no acknowledgement. A batch counts as accepted when all of it was given to the connection and the
//! receiver has not closed it. What a receiver has taken into its buffers and loses when it dies, nobody can know.

mod connection;
mod header;
mod tls;

pub use header::{Header, host};
pub use tls::{TlsFiles, check as check_tls};

use super::{Batch, Destination, Outcome, Refusal};
use chrono::{DateTime, Utc};
use connection::Connection;
use std::io::Write;
use std::net::UdpSocket;

/// How the events get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each. They may be lost without anybody knowing.
    Udp,
    /// A connection.
    Tcp(Framing),
    /// A connection over TLS.
    Tls(Framing, TlsFiles),
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
}

/// Sends events to a syslog receiver.
#[derive(Debug)]
pub struct SyslogDestination {
    options: SyslogOptions,
    connection: Option<Connection>,
    socket: Option<UdpSocket>,
    buffer: Vec<u8>,
}

/// What is given to a connection at once.
const SEND_BYTES: usize = 64 << 10;

impl SyslogDestination {
    /// A destination. It connects when there is something to send.
    pub fn new(options: SyslogOptions) -> Self {
        Self {
            options,
            connection: None,
            socket: None,
            buffer: Vec::new(),
        }
    }

    fn send_stream(
        &mut self,
        batch: &Batch,
        framing: Framing,
        tls: Option<&TlsFiles>,
    ) -> Result<(), String> {
        let address = self.options.address.clone();
        let open = self
            .connection
            .take_if(|connection| !connection.is_closed());
        let mut connection = match open {
            Some(connection) => connection,
            None => Connection::open(&address, tls)?,
        };
        let failed = |error: std::io::Error| format!("cannot send to {address}: {error}");
        let host = self.options.host_of(&batch.identifier);
        let header_length = self.options.header_length(&batch.identifier);
        self.buffer.clear();
        for record in &batch.records {
            let line = batch.line(record);
            if framing == Framing::OctetCounting {
                // Writing into a Vec does not fail.
                let _ = write!(self.buffer, "{} ", header_length + line.len());
            }
            let options = &self.options;
            options
                .header
                .write(options.priority, &host, record.received, &mut self.buffer);
            self.buffer.extend_from_slice(line);
            if framing == Framing::Newline {
                self.buffer.push(b'\n');
            }
            if self.buffer.len() >= SEND_BYTES {
                connection.send(&self.buffer).map_err(failed)?;
                self.buffer.clear();
            }
        }
        connection.send(&self.buffer).map_err(failed)?;
        if connection.is_closed() {
            return Err(format!("{address} has closed the connection"));
        }
        self.connection = Some(connection);
        Ok(())
    }

    fn send_datagrams(&mut self, batch: &Batch) -> Result<Vec<Refusal>, String> {
        let address = &self.options.address;
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connection::datagrams(address)?,
        };
        let host = self.options.host_of(&batch.identifier);
        let mut refused = Vec::new();
        for (index, record) in batch.records.iter().enumerate() {
            let line = batch.line(record);
            self.buffer.clear();
            let options = &self.options;
            options
                .header
                .write(options.priority, &host, record.received, &mut self.buffer);
            self.buffer.extend_from_slice(line);
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
        let result = match self.options.transport.clone() {
            Transport::Udp => self.send_datagrams(batch),
            Transport::Tcp(framing) => self.send_stream(batch, framing, None).map(|()| Vec::new()),
            Transport::Tls(framing, files) => self
                .send_stream(batch, framing, Some(&files))
                .map(|()| Vec::new()),
        };
        match result {
            Ok(refused) => Outcome::Accepted(refused),
            Err(reason) => Outcome::Unavailable(reason),
        }
    }

    fn finish(&mut self) {
        self.socket = None;
        if let Some(connection) = self.connection.take() {
            connection.finish();
        }
    }
}
