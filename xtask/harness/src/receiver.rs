//! The other end of a delivery: a server on loopback that takes lines.

use crate::locked;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Debug, Default)]
struct Received {
    keep: bool,
    lines: Mutex<Vec<Vec<u8>>>,
    count: AtomicU64,
    bytes: AtomicU64,
    torn: AtomicU64,
    /// Connections are taken, and nothing is read of them.
    is_silent: AtomicBool,
    stop: AtomicBool,
}

/// Takes lines over TCP, from any number of connections, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    received: Arc<Received>,
    listener: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1 and keeps every line.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start() -> io::Result<Self> {
        Self::listen_on(SocketAddr::from(([127, 0, 0, 1], 0)), true)
    }

    /// Listens on this address and keeps every line.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::listen_on(address, true)
    }

    /// Listens on a free port of 127.0.0.1 and only counts lines.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start_counting() -> io::Result<Self> {
        Self::listen_on(SocketAddr::from(([127, 0, 0, 1], 0)), false)
    }

    fn listen_on(address: SocketAddr, keep: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let received = Arc::new(Received {
            keep,
            ..Received::default()
        });
        let shared = Arc::clone(&received);
        let thread = std::thread::spawn(move || shared.listen(&listener));
        Ok(Self {
            address,
            received,
            listener: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many whole lines have come.
    pub fn count(&self) -> u64 {
        self.received.count.load(Ordering::Acquire)
    }

    /// How many bytes have come in whole lines.
    pub fn bytes(&self) -> u64 {
        self.received.bytes.load(Ordering::Acquire)
    }

    /// How many connections ended within a line. Such a piece is not among the lines.
    pub fn torn(&self) -> u64 {
        self.received.torn.load(Ordering::Acquire)
    }

    /// Reads nothing of any connection from now on, or goes on reading. What has come waits in the buffers of the system; a
    /// receiver that is dropped while it is silent loses it, as one that hangs and is killed does.
    pub fn set_silent(&self, is_silent: bool) {
        self.received.is_silent.store(is_silent, Ordering::Release);
    }

    /// The lines, without their line feeds; none if they are only counted.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        locked(&self.received.lines).clone()
    }
}

impl Receiver {
    /// Ends it: what it has read to the last, and how many connections ended within a line. What has come and was not read
    /// is lost.
    pub fn end(self) -> (Vec<Vec<u8>>, u64) {
        let received = Arc::clone(&self.received);
        drop(self);
        let lines = std::mem::take(&mut *locked(&received.lines));
        (lines, received.torn.load(Ordering::Acquire))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.received.stop.store(true, Ordering::Relaxed);
        // The listener waits for a connection, so it gets one.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(thread) = self.listener.take() {
            let _ = thread.join();
        }
    }
}

impl Received {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        let mut connections: Vec<JoinHandle<()>> = Vec::new();
        for stream in listener.incoming() {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(self);
            connections.retain(|connection| !connection.is_finished());
            connections.push(std::thread::spawn(move || {
                // A connection that breaks is the sender's affair.
                let _ = shared.read(stream);
            }));
        }
        for connection in connections {
            let _ = connection.join();
        }
    }

    fn read(&self, stream: TcpStream) -> io::Result<()> {
        // Short, so that the sign to stop is seen.
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        let mut reader = BufReader::with_capacity(256 * 1024, stream);
        let mut line = Vec::new();
        loop {
            while reader.buffer().is_empty() && self.is_silent.load(Ordering::Acquire) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            match reader.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => {
                    self.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
                    if self.keep {
                        line.pop();
                        locked(&self.lines).push(std::mem::take(&mut line));
                    }
                    line.clear();
                    self.count.fetch_add(1, Ordering::Release);
                }
                Err(error) if is_pause(&error) => {
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                }
                ended => {
                    self.torn
                        .fetch_add(u64::from(!line.is_empty()), Ordering::Relaxed);
                    return ended.map(|_| ());
                }
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Instant;

    #[test]
    fn whole_lines_are_kept_and_torn_ones_counted() {
        let receiver = Receiver::start().unwrap();
        let mut stream = TcpStream::connect(receiver.address()).unwrap();
        stream.write_all(b"one\ntw").unwrap();
        // Longer than the wait for more, which must not tear the line.
        std::thread::sleep(Duration::from_millis(120));
        stream.write_all(b"o\nthr").unwrap();
        drop(stream);
        let begun = Instant::now();
        while receiver.torn() == 0 && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(receiver.lines(), [b"one", b"two"]);
        assert_eq!(
            (receiver.count(), receiver.bytes(), receiver.torn()),
            (2, 8, 1)
        );
    }
}
