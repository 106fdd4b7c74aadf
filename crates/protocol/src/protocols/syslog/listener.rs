//! Sockets and threads: what comes in goes into one bounded queue.
//!
//! Where the queue is full, connections are no longer read, and their senders have to wait. UDP knows no waiting: what
//! does not fit into the buffer of the operating system is lost there.

use super::framing::{Decoder, add};
use super::{Carrier, Listening};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Error, ErrorKind, Read, Result};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How many batches of messages may wait.
const QUEUE: usize = 256;

/// How often a thread that waits looks whether it shall stop.
const TICK: Duration = Duration::from_millis(100);

/// The same for a connection, of which there may be thousands.
const CONNECTION_TICK: Duration = Duration::from_secs(1);

/// A client that has not finished its TLS handshake by then is no client.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The largest datagram.
const DATAGRAM: usize = 65_535;

/// How much is read of a connection at a time.
const PIECE: usize = 64 * 1024;

/// The messages that one read brought.
type Batch = Vec<Box<[u8]>>;

/// A socket that is listened on. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    /// Taken out in the end, so that no thread waits for room in it.
    queue: Option<Receiver<Batch>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
    /// Connections that were closed because there were too many, or lost their framing, or had no TLS.
    refused: AtomicU64,
}

impl Shared {
    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Listener {
    pub(super) fn bind(listening: &Listening) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, queue) = sync_channel(QUEUE);
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
            let address = socket.local_addr()?;
            let run = move || accept(&socket, &listening, tls.as_ref(), &sender, &threads);
            (address, named("syslog-accept", run)?)
        };
        Ok(Self {
            address,
            queue: Some(queue),
            shared,
            thread: Some(thread),
        })
    }

    /// Waits a moment for messages. `None` where none came.
    pub(super) fn receive(&self, at_most: Duration) -> Option<Batch> {
        self.queue.as_ref()?.recv_timeout(at_most).ok()
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many connections were refused.
    pub(super) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Whether the thread at the socket has ended although nobody asked it to.
    pub(super) fn is_dead(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes nothing in any more; what has been received can still be had.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Whether all threads have ended, after it was stopped.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_dead() && self.connections() == 0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // With the thread the socket is closed. It panics nowhere, and if it had, there would be nothing to do.
            let _ = thread.join();
        }
    }
}

fn named(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Puts a batch into the queue, however long that takes; tells whether there still is one.
fn deliver(batch: Batch, queue: &SyncSender<Batch>) -> bool {
    batch.is_empty() || queue.send(batch).is_ok()
}

fn datagrams(
    socket: &UdpSocket,
    listening: &Listening,
    queue: &SyncSender<Batch>,
    shared: &Shared,
) {
    let mut buffer = vec![0; DATAGRAM];
    while !shared.stops() {
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) => {
                let mut batch = Vec::new();
                for piece in buffer[..length].chunks(listening.max_payload) {
                    add(piece, &mut batch);
                }
                if !deliver(batch, queue) {
                    return;
                }
            }
            Err(error) if is_idle(&error) => {}
            // Errors of earlier answers to senders that are gone; the socket itself is well.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn accept(
    socket: &TcpListener,
    listening: &Listening,
    tls: Option<&Arc<ServerConfig>>,
    queue: &SyncSender<Batch>,
    shared: &Arc<Shared>,
) {
    while !shared.stops() {
        let Ok((stream, peer)) = socket.accept() else {
            // Nobody there, or no more descriptors for a while.
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        if shared.connections.load(Ordering::Relaxed) >= listening.max_connections {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            warn!(%peer, "a connection was refused: there are {} already", listening.max_connections);
            continue;
        }
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Connection {
            peer,
            decoder: Decoder::new(listening.framing, listening.max_payload),
            queue: queue.clone(),
            shared: Arc::clone(shared),
        };
        let tls = tls.cloned();
        let spawned = named("syslog-connection", move || {
            let shared = Arc::clone(&connection.shared);
            if let Err(error) = connection.run(stream, tls) {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                warn!(%peer, "a connection was closed: {error}");
            }
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = spawned {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            shared.refused.fetch_add(1, Ordering::Relaxed);
            warn!(%peer, "a connection was refused: no thread for it: {error}");
        }
    }
}

struct Connection {
    peer: SocketAddr,
    decoder: Decoder,
    queue: SyncSender<Batch>,
    shared: Arc<Shared>,
}

impl Connection {
    fn run(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(CONNECTION_TICK))?;
        stream.set_write_timeout(Some(HANDSHAKE))?;
        debug!(peer = %self.peer, "connected");
        match tls {
            None => self.read(stream),
            Some(config) => {
                let mut stream =
                    StreamOwned::new(ServerConnection::new(config).map_err(Error::other)?, stream);
                let began = Instant::now();
                while stream.conn.is_handshaking() {
                    match stream.conn.complete_io(&mut stream.sock) {
                        Ok(_) => {}
                        Err(error)
                            if is_idle(&error)
                                && began.elapsed() < HANDSHAKE
                                && !self.shared.stops() => {}
                        Err(error) => return Err(error),
                    }
                }
                self.read(stream)
            }
        }
    }

    fn read(mut self, mut stream: impl Read) -> Result<()> {
        let mut buffer = vec![0; PIECE];
        let outcome = loop {
            // What is on its way when we stop is left to the sender.
            if self.shared.stops() {
                break Ok(());
            }
            match stream.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    let mut batch = Vec::new();
                    let framed = self.decoder.push(&buffer[..length], &mut batch);
                    if !deliver(batch, &self.queue) {
                        return Ok(());
                    }
                    if framed.is_err() {
                        break Err(Error::other(
                            "a message does not begin with the number of its bytes",
                        ));
                    }
                }
                Err(error) if is_idle(&error) => {}
                // Many senders close without saying goodbye; what they sent before is whole.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let mut batch = Vec::new();
        self.decoder.finish(&mut batch);
        deliver(batch, &self.queue);
        outcome
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
