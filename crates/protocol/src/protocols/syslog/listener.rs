//! Sockets and threads: what comes in waits until it is spooled.
//!
//! Little may wait ([`Room`]). Where that much does, connections are no longer read, and their senders have to wait: a
//! process that is killed loses only what waits here and in the buffers of the operating system, which are small too.
//! UDP knows no waiting: what does not fit into the buffer of the operating system is lost there.

use super::framing::{Decoder, add};
use super::guests::{Guest, Guests};
use super::room::Room;
use super::{Carrier, Listening};
use rustix::net::sockopt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often a thread that waits looks whether it shall stop.
const TICK: Duration = Duration::from_millis(100);

/// The same for a connection, of which there may be thousands.
const CONNECTION_TICK: Duration = Duration::from_secs(1);

/// The same for a connection that comes to its end: its sender has nothing more on its way when it is silent for so long.
const SILENCE: Duration = Duration::from_millis(500);

/// A client that has not finished its TLS handshake by then is no client.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The largest datagram.
const DATAGRAM: usize = 65_535;

/// How much is read of a connection at a time.
const PIECE: usize = 16 << 10;

/// The buffer of the operating system for each connection; Linux takes twice as much. What is in it counts as received
/// for the sender, and is lost when this process is killed.
const KERNEL_BUFFER: usize = 128 << 10;

/// The operating system asks a silent sender whether it is still there, first after this time.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The messages that one read brought.
#[derive(Debug)]
struct Batch {
    messages: Vec<Box<[u8]>>,
    /// The room that they take.
    cost: usize,
}

/// What was received, and the room that it takes until [`Listener::is_spooled`] is told of it.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) messages: Vec<Box<[u8]>>,
    pub(super) cost: usize,
}

/// A socket that is listened on. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    queue: Receiver<Batch>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    /// Nothing new is taken in. Connections are read until nothing more is on its way.
    stop: AtomicBool,
    /// Connections are not read any more.
    cut: AtomicBool,
    guests: Guests,
    /// Threads of connections.
    threads: AtomicUsize,
    /// What waits to be spooled.
    room: Room,
    /// Connections that were closed because there were too many, or lost their framing, or had no TLS.
    refused: AtomicU64,
}

impl Shared {
    fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            guests: Guests::default(),
            threads: AtomicUsize::new(0),
            room: Room::default(),
            refused: AtomicU64::new(0),
        }
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

impl Listener {
    pub(super) fn bind(listening: &Listening) -> Result<Self> {
        let shared = Arc::new(Shared::new());
        let (sender, queue) = channel();
        let at = SocketAddr::new(listening.address, listening.port);
        let listening = listening.clone();
        let threads = Arc::clone(&shared);
        let (address, thread) = if listening.carrier == Carrier::Udp {
            let socket = UdpSocket::bind(at)?;
            socket.set_read_timeout(Some(TICK))?;
            let address = socket.local_addr()?;
            let run = move || datagrams(&socket, &listening, &sender, &threads);
            (address, named("syslog-udp", run)?)
        } else {
            let tls = match listening.carrier {
                Carrier::Tls => Some(Arc::new(server_config(&listening)?)),
                _ => None,
            };
            let socket = TcpListener::bind(at)?;
            socket.set_nonblocking(true)?;
            // Connections inherit it.
            sockopt::set_socket_recv_buffer_size(&socket, KERNEL_BUFFER)?;
            let address = socket.local_addr()?;
            let run = move || accept(&socket, &listening, tls.as_ref(), &sender, &threads);
            (address, named("syslog-accept", run)?)
        };
        Ok(Self {
            address,
            queue,
            shared,
            thread: Some(thread),
        })
    }

    /// Waits a moment for messages, and takes what there is, up to so many messages or bytes and one batch. `None` where
    /// none came.
    pub(super) fn receive(
        &self,
        at_most: Duration,
        messages: usize,
        bytes: usize,
    ) -> Option<Received> {
        let first = self.queue.recv_timeout(at_most).ok()?;
        let mut received = Received {
            messages: first.messages,
            cost: first.cost,
        };
        while received.messages.len() < messages && received.cost < bytes {
            let Ok(batch) = self.queue.try_recv() else {
                break;
            };
            received.messages.extend(batch.messages);
            received.cost += batch.cost;
        }
        Some(received)
    }

    /// What takes so much room was spooled: as much may be read.
    pub(super) fn is_spooled(&self, cost: usize) {
        self.shared.room.leave(cost);
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.shared.guests.count()
    }

    /// How many connections were refused.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Whether the thread at the socket has ended although nobody asked it to.
    pub(super) fn is_dead(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes nothing new in any more. Senders are told that we end; what they have on its way is still received.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Reads connections no further; what has been received can still be had.
    pub(super) fn cut(&self) {
        self.stop();
        self.shared.cut.store(true, Ordering::Relaxed);
        self.shared.guests.wake();
    }

    /// Whether all threads have ended, after it was stopped.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_dead() && self.shared.threads.load(Ordering::Acquire) == 0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.cut();
        self.shared.room.close();
        if let Some(thread) = self.thread.take() {
            // With the thread the socket is closed. It panics nowhere, and if it had, there would be nothing to do.
            let _ = thread.join();
        }
    }
}

fn named(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Puts messages into the queue, however long that takes; tells whether there still is one.
fn deliver(messages: Vec<Box<[u8]>>, queue: &Sender<Batch>, room: &Room) -> bool {
    if messages.is_empty() {
        return true;
    }
    let cost = messages.iter().map(|message| Room::cost(message)).sum();
    room.enter(cost) && queue.send(Batch { messages, cost }).is_ok()
}

fn datagrams(socket: &UdpSocket, listening: &Listening, queue: &Sender<Batch>, shared: &Shared) {
    let mut buffer = vec![0; DATAGRAM];
    // What has arrived before the end is still taken.
    while !shared.is_cut() {
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) => {
                let mut messages = Vec::new();
                for piece in buffer[..length].chunks(listening.max_payload) {
                    add(piece, &mut messages);
                }
                if !deliver(messages, queue, &shared.room) {
                    return;
                }
            }
            Err(error) if is_idle(&error) => {
                if shared.stops() {
                    return;
                }
            }
            // Errors of earlier answers to senders that are gone; the socket itself is well.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn accept(
    socket: &TcpListener,
    listening: &Listening,
    tls: Option<&Arc<ServerConfig>>,
    queue: &Sender<Batch>,
    shared: &Arc<Shared>,
) {
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= CONNECTION_TICK {
            looked = Instant::now();
            shared.guests.send_off_idle(listening.idle_timeout);
        }
        let Ok((stream, peer)) = socket.accept() else {
            // Connections that were made before the end are still taken: something may have been sent over them.
            if shared.stops() {
                return;
            }
            // Nobody there, or no more descriptors for a while.
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        if shared.guests.count() >= listening.max_connections && !shared.guests.send_off_idlest() {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            warn!(%peer, "a connection was refused: there are {} already", listening.max_connections);
            continue;
        }
        let (Ok(()), Ok(guest)) = (prepare(&stream), shared.guests.add(peer, &stream)) else {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let connection = Connection {
            guest: Arc::clone(&guest),
            decoder: Decoder::new(listening.framing, listening.max_payload),
            queue: queue.clone(),
            shared: Arc::clone(shared),
        };
        let tls = tls.cloned();
        shared.threads.fetch_add(1, Ordering::Relaxed);
        let spawned = named("syslog-connection", move || {
            let shared = Arc::clone(&connection.shared);
            let guest = Arc::clone(&connection.guest);
            if let Err(error) = connection.run(stream, tls) {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                warn!(%peer, "a connection was closed: {error}");
            }
            shared.guests.remove(&guest);
            shared.threads.fetch_sub(1, Ordering::Release);
        });
        if let Err(error) = spawned {
            shared.threads.fetch_sub(1, Ordering::Release);
            shared.guests.remove(&guest);
            shared.refused.fetch_add(1, Ordering::Relaxed);
            warn!(%peer, "a connection was refused: no thread for it: {error}");
        }
    }
}

fn prepare(stream: &TcpStream) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(CONNECTION_TICK))?;
    stream.set_write_timeout(Some(CONNECTION_TICK))?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    Ok(())
}

/// A socket on which nothing is waited for after a time, also while bytes trickle in.
#[derive(Debug)]
struct Limited {
    stream: TcpStream,
    until: Option<Instant>,
}

impl Limited {
    fn check(&self) -> Result<()> {
        match self.until {
            Some(until) if Instant::now() >= until => Err(Error::other(format!(
                "no TLS handshake within {} s",
                HANDSHAKE.as_secs()
            ))),
            _ => Ok(()),
        }
    }
}

impl Read for Limited {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.check()?;
        self.stream.read(bytes)
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.check()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

struct Connection {
    guest: Arc<Guest>,
    decoder: Decoder,
    queue: Sender<Batch>,
    shared: Arc<Shared>,
}

/// A connection, with TLS or without.
trait Peer: Read {
    fn socket(&self) -> &TcpStream;
    /// Says that nothing comes from us, as nothing ever did, so that the sender knows that we end.
    fn end(&mut self);
}

impl Peer for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn end(&mut self) {
        // Where it fails, reading tells.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Peer for StreamOwned<ServerConnection, Limited> {
    fn socket(&self) -> &TcpStream {
        &self.sock.stream
    }

    fn end(&mut self) {
        self.conn.send_close_notify();
        let _ = self.conn.write_tls(&mut self.sock);
        let _ = self.sock.stream.shutdown(Shutdown::Write);
    }
}

impl Connection {
    fn run(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<()> {
        debug!(peer = %self.guest.peer, "connected");
        match tls {
            None => self.read(stream),
            Some(config) => {
                let socket = Limited {
                    stream,
                    until: Some(Instant::now() + HANDSHAKE),
                };
                let session = ServerConnection::new(config).map_err(Error::other)?;
                let mut stream = StreamOwned::new(session, socket);
                while stream.conn.is_handshaking() {
                    match stream.conn.complete_io(&mut stream.sock) {
                        Ok(_) => {}
                        Err(error) if is_idle(&error) && !self.shared.stops() => {}
                        Err(error) => return Err(error),
                    }
                }
                stream.sock.until = None;
                self.read(stream)
            }
        }
    }

    fn read(mut self, mut stream: impl Peer) -> Result<()> {
        let mut buffer = [0; PIECE];
        let mut is_ending = false;
        let outcome = loop {
            if self.shared.is_cut() {
                break Ok(());
            }
            if self.shared.stops() && !is_ending {
                is_ending = true;
                stream.end();
                stream.socket().set_read_timeout(Some(SILENCE))?;
            }
            if !self.shared.guests.wait_for_memory(&self.guest) {
                continue;
            }
            match stream.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    let mut messages = Vec::new();
                    let framed = self.decoder.push(&buffer[..length], &mut messages);
                    self.shared.guests.holds(&self.guest, self.decoder.held());
                    if !self.hand_over(messages) {
                        return Ok(());
                    }
                    if framed.is_err() {
                        break Err(Error::other(
                            "a message does not begin with the number of its bytes",
                        ));
                    }
                }
                // A sender that is silent now has nothing on its way.
                Err(error) if is_idle(&error) && is_ending => break Ok(()),
                Err(error) if is_idle(&error) => {}
                // Many senders close without saying goodbye; what they sent before is whole.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let mut messages = Vec::new();
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(super::Framing::Auto, 1));
        decoder.finish(&mut messages);
        self.hand_over(messages);
        outcome
    }

    /// Hands messages over, however long that takes; tells whether that is still possible.
    fn hand_over(&self, messages: Vec<Box<[u8]>>) -> bool {
        if messages.is_empty() {
            return true;
        }
        // While we let it wait, it is not idle.
        self.guest.begin_waiting();
        let delivered = deliver(messages, &self.queue, &self.shared.room);
        self.guest.has_sent();
        delivered
    }
}

fn is_idle(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn server_config(listening: &Listening) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?;
    let builder = match &listening.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(path, &error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable(path, &error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&listening.key)
        .map_err(|error| unusable(&listening.key, &error.to_string()))?;
    builder
        .with_single_cert(certificates(&listening.certificate)?, key)
        .map_err(|error| unusable(&listening.certificate, &error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates = read.map_err(|error| unusable(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(path, "it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, reason: &str) -> Error {
    Error::other(format!("{} cannot be used: {reason}", path.display()))
}
