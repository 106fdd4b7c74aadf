//! SIGTERM ends a run, whatever the other side does, and what was not delivered is delivered by the next run. The exit code
//! tells whether each wait has honoured the end (0) or the process had to be cut off (1).

use crate::site::{
    NO_FREE_DISK, Process, Site, deaf, file_destination, file_source, graph_source, receiver,
    silent,
};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// A receiver that does to each connection what it was made for.
struct Bad {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Bytes that were read or written.
    bytes: Arc<AtomicU64>,
}

impl Bad {
    fn start(treat: fn(&mut TcpStream) -> std::io::Result<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bad = Self {
            address: listener.local_addr().unwrap(),
            stop: Arc::default(),
            bytes: Arc::default(),
        };
        let (stop, bytes) = (Arc::clone(&bad.stop), Arc::clone(&bad.bytes));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stop, bytes, mut stream) =
                    (Arc::clone(&stop), Arc::clone(&bytes), stream.unwrap());
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let Ok(count) = treat(&mut stream) else {
                            return;
                        };
                        bytes.fetch_add(count as u64, Ordering::Relaxed);
                    }
                });
            }
        });
        bad
    }

    /// One that reads so slowly that a batch takes minutes.
    fn slow() -> Self {
        Self::start(|stream| {
            thread::sleep(Duration::from_secs(3));
            let mut some = vec![0; 64 << 10];
            stream.read(&mut some)
        })
    }

    /// One that talks without end, and reads nothing.
    fn talkative() -> Self {
        Self::start(|stream| stream.write(&[b'x'; 64 << 10]))
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn to_receiver(address: SocketAddr) -> Site {
    let config = format!(
        "{NO_FREE_DISK}{}{}{}",
        file_destination("out"),
        receiver("bad", address),
        file_source("build-02", "in.log", &["out", "bad"])
    );
    Site::new(&config)
}

/// Ends it, and sees that the next run delivers what is left.
#[track_caller]
fn ends_and_goes_on(site: &Site, mut process: Process, lines: usize) {
    process.signal("TERM");
    assert_eq!(process.ends(site), 0, "{}", site.log());
    let good = harness::Receiver::start().unwrap();
    let config = fs::read_to_string(site.at("dsmith.toml")).unwrap();
    let was = config
        .lines()
        .find(|line| line.starts_with("address = "))
        .unwrap();
    let now = config.replace(was, &format!("address = \"{}\"", good.address()));
    fs::write(site.at("dsmith.toml"), now).unwrap();
    let (code, log) = site.once("60s");
    assert_eq!(code, 0, "{log}");
    assert_eq!(site.lines("out.log"), lines);
}

#[test]
fn with_a_receiver_that_reads_slowly_and_the_batch_is_not_lost() {
    let bad = Bad::slow();
    let site = to_receiver(bad.address);
    site.append_padded("in.log", 4000, 8000);
    let process = site.start(&[]);
    site.wait_until("event at the file", |site| site.lines("out.log") == 4000);
    site.wait_until("byte at the receiver", |_| bad.bytes() > 64 << 10);
    ends_and_goes_on(&site, process, 4000);
}

#[test]
fn with_a_receiver_that_talks_without_end() {
    let bad = Bad::talkative();
    let site = to_receiver(bad.address);
    site.append("in.log", 2000);
    let process = site.start(&[]);
    site.wait_until("event at the file", |site| site.lines("out.log") == 2000);
    site.wait_until("talk", |_| bad.bytes() > 8 << 20);
    ends_and_goes_on(&site, process, 2000);
}

#[test]
fn with_a_receiver_to_which_no_connection_comes_about() {
    let (address, _listener, _queued) = deaf();
    let site = to_receiver(address);
    site.append("in.log", 100);
    let process = site.start(&[]);
    site.wait_until("event at the file", |site| site.lines("out.log") == 100);
    ends_and_goes_on(&site, process, 100);
}

#[test]
fn with_servers_that_do_not_answer_or_cannot_be_reached() {
    let (silent, _held) = silent();
    let (deaf, _listener, _queued) = deaf();
    for address in [silent, deaf] {
        let site = Site::new(&format!(
            "{NO_FREE_DISK}{}{}",
            file_destination("out"),
            graph_source("contoso", &format!("http://{address}"), &["out"])
        ));
        let mut process = site.start(&[]);
        site.wait_until("start", |site| site.log().contains("collecting"));
        process.signal("TERM");
        assert_eq!(process.ends(&site), 0, "{}", site.log());
    }
}

#[test]
fn with_slow_clients_of_the_metrics() {
    let (address, listener) = silent();
    drop(listener);
    let config = format!(
        "{NO_FREE_DISK}[metrics]\naddress = \"{address}\"\n{}{}",
        file_destination("out"),
        file_source("build-02", "in.log", &["out"])
    );
    let site = Site::new(&config);
    site.append("in.log", 10);
    let mut process = site.start(&[]);
    site.wait_until("metrics", |_| TcpStream::connect(address).is_ok());
    let clients: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"GET /metr");
            stream
        })
        .collect();
    process.signal("TERM");
    assert_eq!(process.ends(&site), 0, "{}", site.log());
    drop(clients);
}

#[test]
fn a_reload_waits_for_no_receiver_and_delays_neither_other_destinations_nor_the_end() {
    let bad = Bad::talkative();
    let site = to_receiver(bad.address);
    site.append("in.log", 2000);
    let mut process = site.start(&[]);
    site.wait_until("event at the file", |site| site.lines("out.log") == 2000);
    site.wait_until("talk", |_| bad.bytes() > 8 << 20);
    process.signal("HUP");
    site.wait_until("reload", |site| {
        site.log().contains("the new configuration is in force")
    });
    site.append("in.log", 10);
    site.wait_until("event behind the reload", |site| {
        site.lines("out.log") == 2010
    });
    assert!(process.is_running());
    ends_and_goes_on(&site, process, 2010);
}

#[test]
fn with_a_log_that_nobody_reads() {
    let site = Site::new(&format!(
        "{NO_FREE_DISK}{}{}",
        file_destination("out"),
        file_source("build-02", "in.log", &["out"])
    ));
    let (reader, mut writer) = std::io::pipe().unwrap();
    // As much as the pipe takes: the first message waits for ever.
    writer.write_all(&[b'x'; 64 << 10]).unwrap();
    let mut process = site.start_with_log(writer.try_clone().unwrap().into());
    site.wait_until("state", |site| site.at("state/state.db").exists());
    process.signal("TERM");
    // No wait in the run could help here, so the process is cut off.
    assert_eq!(process.ends(&site), 1);
    drop((reader, writer));
}
