//! A connection to a syslog receiver.

use super::tls::{self, TlsFiles};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// Opening a connection and each write may take this long.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A stream to a receiver.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    pub(super) fn open(address: &str, tls: Option<&TlsFiles>) -> Result<Self, String> {
        let stream = first_that_works(address, |address| {
            TcpStream::connect_timeout(&address, TIMEOUT)
        })?;
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(TIMEOUT)))
            .and_then(|()| stream.set_read_timeout(Some(TIMEOUT)));
        prepared.map_err(|error| format!("cannot use the connection to {address}: {error}"))?;
        let Some(files) = tls else {
            return Ok(Self::Tcp(stream));
        };
        let mut stream = StreamOwned::new(tls::session(files, host_of(address))?, stream);
        // The handshake now, so that its faults are told from those of writing.
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .map_err(|error| format!("TLS with {address} fails: {error}"))?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Whether the receiver has closed the connection. What is sent then is lost without an error, so it is asked before
    /// each batch and after it.
    pub(super) fn is_closed(&mut self) -> bool {
        let socket = match self {
            Self::Tcp(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        };
        if socket.set_nonblocking(true).is_err() {
            return true;
        }
        let closed = match self {
            Self::Tcp(socket) => drain(socket),
            Self::Tls(stream) => drain(&mut **stream),
        };
        let socket = match self {
            Self::Tcp(socket) => &*socket,
            Self::Tls(stream) => &stream.sock,
        };
        closed || socket.set_nonblocking(false).is_err()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Says that nothing more comes, and waits until the receiver has closed its side: it has read everything then.
    pub(super) fn finish(mut self) {
        let socket = match &mut self {
            Self::Tcp(socket) => &*socket,
            Self::Tls(stream) => {
                stream.conn.send_close_notify();
                // Whatever is wrong with the connection now, everything on it was accepted before.
                let _ = stream.conn.complete_io(&mut stream.sock);
                &stream.sock
            }
        };
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
        let mut rest = [0; 512];
        let mut socket = socket;
        while matches!(socket.read(&mut rest), Ok(1..)) {}
    }
}

/// Reads what a receiver says, which no syslog receiver does, until there is nothing; tells whether it has ended.
fn drain(stream: &mut impl Read) -> bool {
    let mut bytes = [0; 512];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// A socket for datagrams to a receiver.
pub(super) fn datagrams(address: &str) -> Result<UdpSocket, String> {
    first_that_works(address, |address| {
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

fn first_that_works<T>(
    address: &str,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, String> {
    let addresses = address
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve {address}: {error}"))?;
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
