//! RELP servers written from the specification, that misbehave: they acknowledge late, in any order, twice or not at all,
//! refuse, close in the middle, restart, or talk. Every event that was not acknowledged comes again, and no other.

use super::LONG;
use super::bench::{BATCH, Bench, deliver_all, number, step_until};
use pipeline::deliver::{Deliverer, Step};
use pipeline::destination::{Confirm, Transport};
use pipeline::metrics::DestinationState;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// As the documentation has it.
const WINDOW: usize = 2_000;
/// What rsyslog answers.
const OFFERS: &str = "200 OK\nrelp_version=0\nrelp_software=fake,1.0\ncommands=syslog";

impl Bench {
    fn over_relp(&self, address: SocketAddr) -> Deliverer<'_> {
        self.deliverer_over(address, Transport::Relp, Confirm::Close)
    }
}

/// What a client sends.
#[derive(Debug)]
struct Frame {
    number: u32,
    command: String,
    data: Vec<u8>,
}

/// The server's side of a connection.
struct Peer {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// The number that the next frame must have.
    next: u32,
}

impl Peer {
    /// Waits for a connection, and for a client that opens a session.
    fn accept(listener: &TcpListener) -> Option<Self> {
        let (stream, _) = listener.accept().unwrap();
        let mut peer = Self {
            stream,
            bytes: Vec::new(),
            next: 1,
        };
        let open = peer.read()?;
        assert_eq!(open.command, "open");
        let offers = String::from_utf8(open.data).unwrap();
        let offers: Vec<&str> = offers.lines().collect();
        assert!(offers.contains(&"relp_version=0"), "{offers:?}");
        assert!(offers.contains(&"commands=syslog"), "{offers:?}");
        assert!(
            offers
                .iter()
                .any(|offer| offer.starts_with("relp_software=dsmith,"))
        );
        Some(peer)
    }

    /// The same, and the session is opened.
    fn open(listener: &TcpListener) -> Option<Self> {
        let mut peer = Self::accept(listener)?;
        peer.answer(1, OFFERS);
        Some(peer)
    }

    /// The next frame, if it is there.
    fn frame(&mut self) -> Option<Frame> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        let head = self.bytes.get(..end.unwrap_or(self.bytes.len()).min(60))?;
        let head = String::from_utf8_lossy(head);
        let mut parts = head.splitn(4, ' ');
        let (number, command) = (parts.next()?, parts.next()?);
        let length = parts.next()?;
        let is_complete = parts.next().is_some();
        if !is_complete && end.is_none() {
            return None;
        }
        let mut start = number.len() + command.len() + length.len() + 2;
        let count: usize = length.parse().unwrap();
        start += usize::from(count > 0);
        let data = self.bytes.get(start..start + count)?.to_vec();
        let end = *self.bytes.get(start + count)?;
        assert_eq!(end, b'\n', "{head}");
        let frame = Frame {
            number: number.parse().unwrap(),
            command: command.to_owned(),
            data,
        };
        self.bytes.drain(..=start + count);
        assert_eq!(frame.number, self.next);
        self.next = if self.next == 999_999_999 {
            1
        } else {
            self.next + 1
        };
        Some(frame)
    }

    /// Waits for a frame; nothing at the end of the connection.
    fn read(&mut self) -> Option<Frame> {
        self.stream.set_read_timeout(None).unwrap();
        loop {
            if let Some(frame) = self.frame() {
                return Some(frame);
            }
            if self.fill() != Some(true) {
                return None;
            }
        }
    }

    /// Reads what is there; nothing at the end, `false` where nothing comes.
    fn fill(&mut self) -> Option<bool> {
        let mut bytes = [0; 50_000];
        match self.stream.read(&mut bytes) {
            Ok(0) => None,
            Ok(length) => {
                self.bytes.extend_from_slice(&bytes[..length]);
                Some(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Some(false)
            }
            Err(_) => None,
        }
    }

    fn answer(&mut self, number: u32, data: &str) {
        self.say(&format!("{number} rsp {} {data}\n", data.len()));
    }

    /// The client may be gone.
    fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Ends our side, and reads on until the client has ended its own.
    fn end(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.stream.set_read_timeout(None).unwrap();
        while self.fill() == Some(true) {}
    }
}

fn event(frame: &Frame) -> usize {
    assert_eq!(frame.command, "syslog");
    number(std::str::from_utf8(&frame.data).unwrap())
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn each_event_is_a_transaction_and_the_end_is_said() {
    let bench = Bench::new(5_000, 100);
    let (listener, address) = listen();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::open(&listener).unwrap();
        let mut found = Vec::new();
        loop {
            let frame = peer.read().unwrap();
            if frame.command == "close" {
                assert_eq!(frame.data, b"");
                peer.answer(frame.number, "200 OK");
                peer.say("0 serverclose 0\n");
                assert!(peer.read().is_none());
                return found;
            }
            found.push(event(&frame));
            peer.answer(frame.number, "200 OK");
        }
    });
    let mut deliverer = bench.over_relp(address);
    deliver_all(&mut deliverer);
    deliverer.finish();
    assert_eq!(server.join().unwrap(), Vec::from_iter(0..bench.events));
    assert_eq!(bench.waiting(), 0);
    assert_eq!(bench.metrics.status().failures, 0);
}

/// The server reads whatever comes and acknowledges nothing, until it is told to.
#[test]
fn the_window_bounds_what_is_on_its_way_and_a_server_that_acknowledges_nothing_is_reported() {
    let bench = Bench::new(6_000, 100);
    let (listener, address) = listen();
    let received = Arc::new(AtomicUsize::new(0));
    let acknowledges = Arc::new(AtomicBool::new(false));
    let (counter, switch) = (Arc::clone(&received), Arc::clone(&acknowledges));
    let server = std::thread::spawn(move || {
        let mut peer = Peer::open(&listener).unwrap();
        peer.stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let mut held = Vec::new();
        let mut found = Vec::new();
        while let Some(has_come) = peer.fill() {
            while let Some(frame) = peer.frame() {
                if frame.command == "close" {
                    return found;
                }
                found.push(event(&frame));
                counter.fetch_add(1, Ordering::Relaxed);
                held.push(frame.number);
            }
            if !has_come && switch.load(Ordering::Relaxed) {
                // The last one first.
                while let Some(number) = held.pop() {
                    peer.answer(number, "200");
                }
            }
        }
        found
    });
    let mut deliverer = bench.over_relp(address);
    let metrics = Arc::clone(&bench.metrics);
    step_until(&mut deliverer, |_| {
        metrics.status().state == DestinationState::Unavailable
    });
    let message = metrics.status().message;
    assert!(
        message.contains("has acknowledged nothing for"),
        "{message}"
    );
    assert_eq!(received.load(Ordering::Relaxed), WINDOW);
    assert_eq!(bench.waiting(), bench.events as u64);
    acknowledges.store(true, Ordering::Relaxed);
    deliver_all(&mut deliverer);
    deliverer.finish();
    // A stall is said without ending the session, so that nothing comes twice.
    assert_eq!(server.join().unwrap(), Vec::from_iter(0..bench.events));
    assert_eq!(metrics.status().state, DestinationState::Ok);
}

/// A server that closes after each few acknowledgements, fewer than a batch: what was acknowledged, in any order, is not
/// sent again, and so everything arrives once.
#[test]
fn what_was_acknowledged_is_not_sent_again() {
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bench = Bench::new(1_500, 50);
        let (listener, address) = listen();
        let server = std::thread::spawn(move || {
            let mut found: BTreeMap<usize, u32> = BTreeMap::new();
            while found.len() < 1_500 {
                let mut peer = Peer::open(&listener).unwrap();
                let timeout = Duration::from_millis(5);
                peer.stream.set_read_timeout(Some(timeout)).unwrap();
                let mut left = random.usize(1..400);
                while left > 0 {
                    let Some(frame) = peer.frame() else {
                        // Where nothing comes, what is left was not acknowledged.
                        if peer.fill() == Some(true) {
                            continue;
                        }
                        break;
                    };
                    if random.u8(0..3) > 0 {
                        *found.entry(event(&frame)).or_default() += 1;
                        peer.answer(frame.number, "200 OK");
                        left -= 1;
                    }
                }
                if random.bool() {
                    peer.say("0 serverclose 0\n");
                }
                peer.end();
            }
            found
        });
        let mut deliverer = bench.over_relp(address);
        deliver_all(&mut deliverer);
        drop(deliverer);
        let found = server.join().unwrap();
        assert!(found.values().all(|times| *times == 1), "seed {seed}");
        assert_eq!(bench.waiting(), 0, "seed {seed}");
    }
}

/// A server that stores whatever comes but one event, which it refuses so many times before it takes it too. It answers all
/// that has come at once, in any order. It tells how often it has stored each event.
fn picky_server(
    listener: TcpListener,
    mut random: fastrand::Rng,
    refused: usize,
    times: u32,
) -> JoinHandle<BTreeMap<usize, u32>> {
    std::thread::spawn(move || {
        let mut found: BTreeMap<usize, u32> = BTreeMap::new();
        let mut left = times;
        loop {
            let mut peer = Peer::open(&listener).unwrap();
            let timeout = Duration::from_millis(20);
            peer.stream.set_read_timeout(Some(timeout)).unwrap();
            let mut held = Vec::new();
            while let Some(has_come) = peer.fill() {
                while let Some(frame) = peer.frame() {
                    if frame.command == "close" {
                        peer.answer(frame.number, "200 OK");
                        return found;
                    }
                    let event = event(&frame);
                    let is_refused = event == refused && left > 0;
                    if is_refused {
                        left -= 1;
                    } else {
                        *found.entry(event).or_default() += 1;
                    }
                    held.push((frame.number, is_refused));
                }
                if has_come {
                    continue;
                }
                random.shuffle(&mut held);
                for (number, is_refused) in held.drain(..) {
                    peer.answer(number, if is_refused { "500 never" } else { "200 OK" });
                }
            }
        }
    })
}

#[test]
fn an_event_that_is_refused_again_and_again_repeats_no_other() {
    for seed in 0..5 {
        let mut random = fastrand::Rng::with_seed(seed);
        let events = random.usize(2_500..6_000);
        let refused = random.usize(0..events);
        let times = random.u32(1..6);
        let bench = Bench::new(events, random.usize(20..300));
        let (listener, address) = listen();
        let server = picky_server(listener, random.fork(), refused, times);
        let mut deliverer = bench.over_relp(address);
        deliver_all(&mut deliverer);
        deliverer.finish();
        let found = server.join().unwrap();
        assert_eq!(found.len(), events, "seed {seed}");
        let repeats: u32 = found.values().map(|times| times - 1).sum();
        assert_eq!(repeats, 0, "seed {seed}: {times} refusals");
        assert_eq!(
            bench.metrics.status().failures,
            u64::from(times),
            "seed {seed}"
        );
        assert_eq!(bench.waiting(), 0, "seed {seed}");
    }
}

/// What it does not answer comes again, and nobody waits for that without end.
#[test]
fn a_server_that_refuses_an_event_and_answers_nothing_more_is_left() {
    let bench = Bench::new(1_000, 100);
    let (listener, address) = listen();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::open(&listener).unwrap();
        let refused = peer.read().unwrap();
        peer.answer(refused.number, "500 never");
        while peer.read().is_some() {}
        let mut peer = Peer::open(&listener).unwrap();
        let mut found = Vec::new();
        loop {
            let frame = peer.read().unwrap();
            peer.answer(frame.number, "200 OK");
            if frame.command == "close" {
                return found;
            }
            found.push(event(&frame));
        }
    });
    let mut deliverer = bench.over_relp(address);
    let metrics = Arc::clone(&bench.metrics);
    step_until(&mut deliverer, |_| metrics.status().failures > 0);
    let message = metrics.status().message;
    assert!(
        message.contains("refuses an event with the code 500"),
        "{message}"
    );
    deliver_all(&mut deliverer);
    deliverer.finish();
    assert_eq!(server.join().unwrap(), Vec::from_iter(0..bench.events));
}

/// What a server of a random schedule does with a connection.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It works until the client goes.
    Lives,
    /// It closes at once, with whatever is unread and unanswered.
    Dies,
    /// It says that it closes, and does.
    Leaves,
    /// It closes in the middle of an answer.
    BreaksOff,
    /// It refuses an event.
    Refuses,
    /// It answers what it was not asked.
    Errs,
    /// It refuses the session.
    RefusesSession,
}

/// A server that lives through a random schedule; it counts how often it has stored each event.
fn random_server(
    listener: TcpListener,
    mut random: fastrand::Rng,
    mut faults: u32,
    stop: Arc<AtomicBool>,
) -> JoinHandle<BTreeMap<usize, u32>> {
    use Fate::{BreaksOff, Dies, Errs, Leaves, Lives, Refuses, RefusesSession};
    std::thread::spawn(move || {
        let mut found: BTreeMap<usize, u32> = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            let fate = if faults == 0 {
                Lives
            } else {
                faults -= 1;
                random
                    .choice([Dies, Leaves, BreaksOff, Refuses, Errs, RefusesSession])
                    .unwrap()
            };
            let Some(mut peer) = Peer::accept(&listener) else {
                continue;
            };
            if matches!(fate, RefusesSession) {
                peer.answer(1, "500 not now");
                continue;
            }
            peer.answer(1, OFFERS);
            let timeout = Duration::from_millis(random.u64(1..5));
            peer.stream.set_read_timeout(Some(timeout)).unwrap();
            let shuffles = random.bool();
            let holds = random.usize(1..3_000);
            let mut left = match fate {
                Lives => usize::MAX,
                _ => random.usize(0..3_000),
            };
            let mut held = Vec::new();
            let has_ended = 'connection: loop {
                let Some(has_come) = peer.fill() else {
                    break true;
                };
                while let Some(frame) = peer.frame() {
                    if frame.command == "close" {
                        peer.answer(frame.number, "200 OK");
                        break 'connection true;
                    }
                    if left == 0 {
                        break 'connection false;
                    }
                    left -= 1;
                    *found.entry(event(&frame)).or_default() += 1;
                    held.push(frame.number);
                }
                if !has_come || held.len() >= holds {
                    if shuffles {
                        random.shuffle(&mut held);
                    }
                    for number in held.drain(..) {
                        peer.answer(number, "200 OK");
                    }
                }
            };
            if has_ended {
                continue;
            }
            match fate {
                Leaves => peer.say("0 serverclose 0\n"),
                BreaksOff => peer.say("2 rsp 6 20"),
                Refuses => peer.answer(peer.next - 1, "500 cannot"),
                Errs => peer.answer(random.u32(..), "200 OK"),
                Lives | Dies | RefusesSession => {}
            }
        }
        found
    })
}

#[test]
fn whatever_servers_do_and_whenever_we_die_nothing_is_missing_and_repeats_are_bounded() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let events = random.usize(500..8_000);
        let bench = Bench::new(events, random.usize(20..1_500));
        let (listener, address) = listen();
        let stop = Arc::new(AtomicBool::new(false));
        let faults = random.u32(0..6);
        let server = random_server(listener, random.fork(), faults, Arc::clone(&stop));
        let deaths = random.u32(0..3);
        for _ in 0..deaths {
            let mut deliverer = bench.over_relp(address);
            let mut left = random.u32(0..40);
            step_until(&mut deliverer, |step| {
                left = left.saturating_sub(1);
                left == 0 || *step == Step::Idle
            });
        }
        let mut deliverer = bench.over_relp(address);
        deliver_all(&mut deliverer);
        deliverer.finish();
        stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(address));
        let found = server.join().unwrap();
        assert_eq!(found.len(), events, "seed {seed}");
        let repeats: usize = found.values().map(|times| *times as usize - 1).sum();
        let bound = faults as usize * WINDOW + deaths as usize * (WINDOW + BATCH);
        assert!(repeats <= bound, "seed {seed}: {repeats}");
        assert_eq!(bench.waiting(), 0, "seed {seed}");
    }
}

/// A server that says this after it has read an event, as often as told.
fn talker(opening: &'static str, text: String, times: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let (listener, address) = listen();
    let said = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&said);
    std::thread::spawn(move || {
        loop {
            let Some(mut peer) = Peer::accept(&listener) else {
                continue;
            };
            peer.answer(1, opening);
            if peer.read().is_none() {
                continue;
            }
            for _ in 0..times {
                match peer.stream.write(text.as_bytes()) {
                    Ok(length) => counter.fetch_add(length as u64, Ordering::Relaxed),
                    Err(_) => break,
                };
            }
            peer.end();
        }
    });
    (address, said)
}

#[test]
fn a_server_that_does_not_keep_to_the_protocol_has_received_nothing_and_holds_nothing_up() {
    let endless = u64::MAX;
    let long = "x".repeat(100_000);
    for (opening, text, times, expected) in [
        (OFFERS, "HTTP/1.1 400 Bad Request\r\n\r\n", 1, "is not RELP"),
        (OFFERS, "2 rsp 999999999 200 OK", endless, "is not RELP"),
        (OFFERS, "7777777777", endless, "is not RELP"),
        (OFFERS, "2 rsp 6 200 OKx", 1, "is not RELP"),
        (OFFERS, "0 hint 0\n", endless, "and acknowledged nothing"),
        (
            OFFERS,
            &format!("0 hint 100000 {long}\n"),
            endless,
            "and acknowledged nothing",
        ),
        (OFFERS, "1 rsp 6 200 OK\n", 1, "was not asked"),
        (OFFERS, "500 rsp 6 200 OK\n", 1, "was not asked"),
        (
            OFFERS,
            "2 rsp 6 200 OK\n2 rsp 6 200 OK\n",
            1,
            "was not asked, or twice",
        ),
        (
            OFFERS,
            "2 rsp 13 500 \u{1b}[31mevil\n",
            1,
            "refuses an event with the code 500",
        ),
        (
            OFFERS,
            "2 rsp 6 404 no\n",
            1,
            "refuses an event with the code 404",
        ),
        (OFFERS, "0 serverclose 0\n", 1, "has closed the session"),
        (OFFERS, "", 1, "has closed the connection"),
        ("500 no", "", 1, "answers `open` with the code 500"),
        ("200 OK", "", 1, "offers no version of RELP"),
        (
            "200 OK\nrelp_version=2\ncommands=syslog",
            "",
            1,
            "offers no version of RELP",
        ),
        (
            "200 OK\nrelp_version=1\ncommands=eventlog",
            "",
            1,
            "does not offer the command `syslog`",
        ),
    ] {
        let bench = Bench::new(10, 100);
        let (address, said) = talker(opening, text.to_owned(), times);
        let (sender, done) = channel();
        std::thread::spawn(move || {
            let mut deliverer = bench.over_relp(address);
            let metrics = Arc::clone(&bench.metrics);
            step_until(&mut deliverer, |_| metrics.status().failures == 2);
            deliverer.finish();
            sender.send((metrics.status(), bench.waiting())).unwrap();
        });
        let (status, waiting) = done.recv_timeout(LONG).unwrap();
        assert!(status.message.contains(expected), "{text:.30}: {status:?}");
        assert!(!status.message.contains("evil"), "{status:?}");
        assert_eq!(waiting, 10);
        // What was heard, and what the buffers of both systems hold.
        assert!(said.load(Ordering::Relaxed) < 64 << 20, "{text:.30}");
    }
}

/// A server at another port answers nothing, or an answer that never ends, byte by byte.
#[test]
fn a_session_that_is_never_opened_ends_in_time() {
    let tries = ["", "1 rsp 130000 200 OK x"].map(|text| {
        let bench = Bench::new(10, 100);
        let (listener, address) = listen();
        std::thread::spawn(move || {
            let mut streams = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut bytes = text.bytes().chain(std::iter::repeat(b'x'));
                while !text.is_empty() && stream.write_all(&[bytes.next().unwrap()]).is_ok() {
                    std::thread::sleep(Duration::from_millis(2));
                }
                streams.push(stream);
            }
        });
        std::thread::spawn(move || {
            let mut deliverer = bench.over_relp(address);
            let metrics = Arc::clone(&bench.metrics);
            step_until(&mut deliverer, |_| metrics.status().failures == 1);
            (metrics.status().message, bench.waiting())
        })
    });
    for attempt in tries {
        let (message, waiting) = attempt.join().unwrap();
        assert!(message.contains("is it a RELP server?"), "{message}");
        assert_eq!(waiting, 10);
    }
}

#[test]
fn a_session_that_the_server_ends_while_nothing_is_on_its_way_is_no_fault() {
    let bench = Bench::new(10, 100);
    let (listener, address) = listen();
    let (sender, closed) = channel();
    let server = std::thread::spawn(move || {
        let mut found = Vec::new();
        for _ in 0..2 {
            let mut peer = Peer::open(&listener).unwrap();
            for _ in 0..10 {
                let frame = peer.read().unwrap();
                found.push(event(&frame));
                peer.answer(frame.number, "200 OK");
            }
            peer.say("0 serverclose 0\n");
            drop(peer);
            sender.send(()).unwrap();
        }
        found
    });
    let mut deliverer = bench.over_relp(address);
    deliver_all(&mut deliverer);
    closed.recv_timeout(LONG).unwrap();
    bench.add(10, 100);
    deliver_all(&mut deliverer);
    assert_eq!(server.join().unwrap().len(), 20);
    assert_eq!(bench.metrics.status().state, DestinationState::Ok);
    assert_eq!(bench.metrics.status().failures, 0);
}
