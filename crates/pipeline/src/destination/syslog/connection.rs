//! A connection to a syslog receiver.

use super::tls::{self, TlsFiles};
use protocol::clock::Stop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Finding the address, connecting and the TLS handshake may take this long together.
const OPENING: Duration = Duration::from_secs(15);
/// How often a wait looks whether it shall end.
const SLICE: Duration = Duration::from_millis(100);
/// The operating system asks a silent receiver whether it is still there, first after this time.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// What is read at once of what a receiver says.
const PIECE: usize = 16 << 10;

/// A socket that does not block: a call waits until a time that is set before it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    until: Instant,
}

impl Wire {
    /// Waits until the socket is ready, the time has come or something is wrong with it.
    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut sockets = [PollFd::new(&self.stream, flags)];
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream to a receiver.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(Wire),
    Tls(Box<Tls>),
}

/// A stream over TLS.
#[derive(Debug)]
pub(super) struct Tls {
    stream: StreamOwned<ClientConnection, Wire>,
    /// The receiver has said that nothing more comes.
    has_ended: bool,
    /// We have.
    is_ended: bool,
}

/// What is heard of a receiver.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing for as long as was waited.
    Nothing,
    /// So many bytes; no more than a piece is read at once.
    Said(usize),
    /// It has ended its side of the connection.
    End,
}

impl Connection {
    /// Connects. It ends early when `stop` is set.
    pub(super) fn open(address: &str, tls: Option<&TlsFiles>, stop: &Stop) -> Result<Self, String> {
        let deadline = Instant::now() + OPENING;
        let stream = connect(address, stop)?;
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_nonblocking(true))
            .and_then(|()| keep_alive(&stream));
        prepared.map_err(|error| format!("cannot use the connection to {address}: {error}"))?;
        let wire = Wire {
            stream,
            until: Instant::now(),
        };
        let Some(files) = tls else {
            return Ok(Self::Tcp(wire));
        };
        let mut stream = StreamOwned::new(tls::session(files, host_of(address))?, wire);
        // The handshake now, so that its faults are told from those of writing.
        while stream.conn.is_handshaking() {
            stream.sock.until = (Instant::now() + SLICE).min(deadline);
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if stop.is_set() {
                        return Err(STOPPED.to_owned());
                    }
                    if Instant::now() >= deadline {
                        return Err(format!(
                            "TLS with {address} fails: no handshake within {} s",
                            OPENING.as_secs()
                        ));
                    }
                }
                Err(error) => return Err(format!("TLS with {address} fails: {error}")),
            }
        }
        Ok(Self::Tls(Box::new(Tls {
            stream,
            has_ended: false,
            is_ended: false,
        })))
    }

    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Tcp(wire) => wire,
            Self::Tls(tls) => &mut tls.stream.sock,
        }
    }

    /// Writes what is taken before a time; tells how much that is.
    pub(super) fn write(&mut self, bytes: &[u8], until: Instant) -> io::Result<usize> {
        self.wire().until = until;
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let result = match self {
                Self::Tcp(wire) => wire.write(rest),
                Self::Tls(tls) => tls.stream.write(rest),
            };
            match result {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Hands everything to the operating system; tells whether that was done in time.
    pub(super) fn flush(&mut self, until: Instant) -> io::Result<bool> {
        self.wire().until = until;
        let result = match self {
            Self::Tcp(_) => Ok(()),
            Self::Tls(tls) => tls.stream.flush(),
        };
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says that nothing more comes. Everything is flushed before.
    pub(super) fn end(&mut self, until: Instant) -> io::Result<bool> {
        if let Self::Tls(tls) = self {
            if !std::mem::replace(&mut tls.is_ended, true) {
                tls.stream.conn.send_close_notify();
            }
            if !self.flush(until)? {
                return Ok(false);
            }
        }
        self.wire().stream.shutdown(Shutdown::Write)?;
        Ok(true)
    }

    /// Reads a piece of what the receiver says, which is discarded, and waits for it until a time.
    pub(super) fn hear(&mut self, until: Instant) -> io::Result<Heard> {
        let mut bytes = [0; PIECE];
        let length = self.read(&mut bytes, until)?;
        Ok(match length {
            None => Heard::Nothing,
            Some(0) => Heard::End,
            Some(length) => Heard::Said(length),
        })
    }

    /// Waits until the receiver says something, or takes something where `writes` is set, at most until a time.
    pub(super) fn wait(&mut self, writes: bool, until: Instant) -> io::Result<()> {
        // A receiver whose system collects small answers sends more only when ours has confirmed those before. Ours would
        // take its time for that: 40 ms for each window. The setting holds for a while only.
        #[cfg(target_os = "linux")]
        sockopt::set_tcp_quickack(&self.wire().stream, true)?;
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, writes);
        let wire = self.wire();
        wire.until = until;
        match wire.wait(flags) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// Reads what the receiver says; nothing if nothing comes until a time.
    pub(super) fn read(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<Option<usize>> {
        self.wire().until = until;
        let result = match self {
            Self::Tcp(wire) => wire.read(bytes),
            Self::Tls(tls) if tls.has_ended => tls.stream.sock.read(bytes),
            Self::Tls(tls) => match tls.stream.read(bytes) {
                Ok(0) => {
                    // The end of TLS; the end of the connection may come later.
                    tls.has_ended = true;
                    tls.stream.sock.read(bytes)
                }
                // Many receivers end the connection without ending TLS.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        };
        match result {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the connection is over on both sides, after both have said so: the receiver's system has confirmed our
    /// end then, and with it every byte before.
    ///
    /// # Errors
    /// It was broken off instead: the receiver has closed it without having read everything.
    pub(super) fn is_over(&mut self) -> io::Result<bool> {
        let stream = &self.wire().stream;
        // A socket that both sides have ended has a peer for as long as something is unconfirmed.
        let is_over = stream.peer_addr().is_err();
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(is_over),
        }
    }
}

/// Why something has ended early.
pub(super) const STOPPED: &str = "the run ends";

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    Ok(())
}

fn connect(address: &str, stop: &Stop) -> Result<TcpStream, String> {
    aside(address, stop, |address| {
        TcpStream::connect_timeout(&address, OPENING)
    })
}

/// A socket for datagrams to a receiver.
pub(super) fn datagrams(address: &str, stop: &Stop) -> Result<UdpSocket, String> {
    aside(address, stop, |address| {
        let local: SocketAddr = if address.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0_u16; 8], 0).into()
        };
        let socket = UdpSocket::bind(local)?;
        socket.connect(address)?;
        Ok(socket)
    })
}

/// What a thread that opens something tells.
enum Told<T> {
    Resolved,
    Opened(Result<T, String>),
}

/// Opens what works first of the addresses of a receiver, on a thread of its own, because neither looking up a name nor
/// connecting can be ended early.
fn aside<T: Send + 'static>(
    address: &str,
    stop: &Stop,
    open: fn(SocketAddr) -> io::Result<T>,
) -> Result<T, String> {
    let (sender, receiver) = channel();
    let owned = address.to_owned();
    std::thread::Builder::new()
        .name("connect".to_owned())
        .spawn(move || {
            let resolved = || {
                // Nobody may wait for it any more, here and below.
                let _ = sender.send(Told::Resolved);
            };
            let opened = first_that_works(&owned, resolved, open);
            let _ = sender.send(Told::Opened(opened));
        })
        .map_err(|error| format!("cannot connect to {address}: no thread for it: {error}"))?;
    let deadline = Instant::now() + OPENING + SLICE;
    let mut is_resolved = false;
    loop {
        match receiver.recv_timeout(SLICE) {
            Ok(Told::Opened(opened)) => return opened,
            Ok(Told::Resolved) => is_resolved = true,
            Err(RecvTimeoutError::Timeout) if stop.is_set() => return Err(STOPPED.to_owned()),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => {
                let seconds = OPENING.as_secs();
                return Err(if is_resolved {
                    format!("cannot connect to {address}: no answer within {seconds} s")
                } else {
                    format!("cannot resolve {address}: no name server answers within {seconds} s")
                });
            }
        }
    }
}

fn first_that_works<T>(
    address: &str,
    resolved: impl FnOnce(),
    open: fn(SocketAddr) -> io::Result<T>,
) -> Result<T, String> {
    let addresses = address
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve {address}: {error}"))?;
    resolved();
    let mut last = None;
    for candidate in addresses {
        match open(candidate) {
            Ok(opened) => return Ok(opened),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) => format!("cannot connect to {address}: {error}"),
        None => format!("{address} has no address"),
    })
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
