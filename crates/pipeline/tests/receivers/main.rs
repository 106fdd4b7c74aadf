//! Syslog receivers that misbehave: they never read, read slowly, die, restart, half-close or talk. Whatever a receiver
//! does, every event that it has not read comes again, and delivery waits for nobody without end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod bench;
mod relp;

use bench::{Bench, at, deliver_all, number, step_until};
use pipeline::deliver::Step;
use pipeline::destination::Confirm;
use pipeline::metrics::DestinationState;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(120);

/// Reads whole lines to the end of a connection.
fn lines(stream: impl Read) -> Vec<usize> {
    let mut found = Vec::new();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        if line.ends_with('\n') {
            found.push(number(&line));
        }
        line.clear();
    }
    found
}

#[test]
fn a_receiver_that_never_reads_has_received_nothing() {
    let bench = Bench::new(20_000, 1000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut deliverer = bench.deliverer(address);
    // Far more than all buffers hold, so that delivery has to wait.
    let mut waits = 0;
    step_until(&mut deliverer, |step| {
        waits += u32::from(matches!(step, Step::Wait(_)));
        waits > 20
    });
    assert_eq!(bench.waiting(), bench.events as u64, "nothing was read");
    drop(deliverer);

    // It is killed, and another one reads.
    drop(listener);
    let listener = TcpListener::bind(address).unwrap();
    let receiver = std::thread::spawn(move || {
        let mut found = BTreeSet::new();
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let lines = lines(stream);
            if lines.is_empty() {
                break;
            }
            found.extend(lines);
        }
        found
    });
    let mut deliverer = bench.deliverer(address);
    deliver_all(&mut deliverer);
    deliverer.finish();
    drop(TcpStream::connect(address));
    assert_eq!(receiver.join().unwrap().len(), bench.events);
    assert_eq!(bench.waiting(), 0);
}

/// A stall is said without ending the connection, so that nothing comes twice once the receiver reads.
#[test]
fn a_receiver_that_hangs_is_reported_and_gets_each_event_once_when_it_reads_again() {
    let bench = Bench::new(20_000, 1000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut deliverer = bench.deliverer(listener.local_addr().unwrap());
    let metrics = Arc::clone(&bench.metrics);
    step_until(&mut deliverer, |_| {
        metrics.status().state == DestinationState::Unavailable
    });
    let status = metrics.status();
    assert!(status.message.contains("has taken nothing"), "{status:?}");
    assert_eq!(status.last_success, None);
    assert_eq!(bench.waiting(), bench.events as u64);
    let receiver = std::thread::spawn(move || {
        let mut found = Vec::new();
        while found.len() < 20_000 {
            found.extend(lines(listener.accept().unwrap().0));
        }
        found
    });
    deliver_all(&mut deliverer);
    deliverer.finish();
    assert_eq!(receiver.join().unwrap(), Vec::from_iter(0..bench.events));
    assert_eq!(metrics.status().state, DestinationState::Ok);
}

#[test]
fn a_slow_receiver_gets_each_event_once_and_in_order() {
    let bench = Bench::new(6_000, 1000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = std::thread::spawn(move || {
        struct Slow(TcpStream);
        impl Read for Slow {
            fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
                std::thread::sleep(Duration::from_millis(1));
                let length = bytes.len().min(4096);
                self.0.read(&mut bytes[..length])
            }
        }
        let mut found = Vec::new();
        while found.len() < 6_000 {
            found.extend(lines(Slow(listener.accept().unwrap().0)));
        }
        found
    });
    let mut deliverer = bench.deliverer(address);
    deliver_all(&mut deliverer);
    deliverer.finish();
    assert_eq!(receiver.join().unwrap(), Vec::from_iter(0..bench.events));
    assert_eq!(bench.metrics.status().failures, 0);
}

/// How a receiver ends a connection.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// It closes at once, with whatever is unread.
    Close,
    /// It ends its own side, reads on to the end, and closes. One that is killed then instead has told us the same as
    /// one that has read everything: this cannot be told apart.
    HalfClose,
    /// It stops reading for a moment, and is killed then.
    Hang,
}

/// What happens when receivers die at random moments: everything that none of them has read comes again.
#[test]
fn events_that_a_dying_receiver_had_not_read_come_again() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let events = random.usize(500..4_000);
        let bench = Bench::new(events, random.usize(20..1500));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let receiver = std::thread::spawn(move || {
            // How often each event was read.
            let mut found: BTreeMap<usize, u32> = BTreeMap::new();
            let mut deaths = random.u32(1..6);
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let stream = stream.unwrap();
                let death = if deaths == 0 {
                    None
                } else {
                    deaths -= 1;
                    Some([Death::Close, Death::HalfClose, Death::Hang][random.usize(0..3)])
                };
                let limit = match death {
                    Some(_) => random.u64(0..2_000_000),
                    None => u64::MAX,
                };
                let piece = random.usize(1..100_000);
                let mut reader = BufReader::with_capacity(piece, (&stream).take(limit));
                let mut line = String::new();
                let mut is_half_closed = false;
                loop {
                    while reader.read_line(&mut line).is_ok_and(|length| length > 0)
                        && line.ends_with('\n')
                    {
                        *found.entry(number(&line)).or_default() += 1;
                        line.clear();
                    }
                    if !matches!(death, Some(Death::HalfClose)) || is_half_closed {
                        break;
                    }
                    is_half_closed = true;
                    let _ = stream.shutdown(Shutdown::Write);
                    reader.get_mut().set_limit(u64::MAX);
                }
                match death {
                    Some(Death::Hang) => {
                        std::thread::sleep(Duration::from_millis(random.u64(0..30)));
                    }
                    Some(Death::Close | Death::HalfClose) | None => {}
                }
            }
            found
        });
        let mut deliverer = bench.deliverer(address);
        deliver_all(&mut deliverer);
        deliverer.finish();
        stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(address));
        let found = receiver.join().unwrap();
        let missing = (0..events).filter(|number| !found.contains_key(number));
        assert_eq!(missing.count(), 0, "seed {seed}");
        // Each of five deaths repeats what was on its way.
        assert!(found.values().all(|times| *times <= 6), "seed {seed}");
        assert_eq!(bench.waiting(), 0, "seed {seed}");
    }
}

#[test]
fn a_receiver_that_talks_without_end_is_no_receiver_and_holds_nothing_up() {
    let bench = Bench::new(10, 100);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let said = Arc::new(AtomicU64::new(0));
    let talker = Arc::clone(&said);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Ok(length) = stream.write(&[b'x'; 4096]) {
                talker.fetch_add(length as u64, Ordering::Relaxed);
            }
        }
    });
    let (sender, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut deliverer = bench.deliverer(address);
        let metrics = Arc::clone(&bench.metrics);
        step_until(&mut deliverer, |_| metrics.status().failures == 2);
        // In a run it would end here too.
        deliverer.finish();
        sender.send((metrics.status(), bench.waiting())).unwrap();
    });
    let (status, waiting) = done.recv_timeout(LONG).unwrap();
    assert!(
        status.message.contains("a syslog receiver sends none"),
        "{status:?}"
    );
    assert_eq!(waiting, 10);
    // What was heard, and what the buffers of both systems hold.
    let said = said.load(Ordering::Relaxed);
    assert!(said < 64 << 20, "{said}");
}

#[test]
fn a_receiver_that_never_closes_confirms_nothing_unless_it_is_known_for_that() {
    let keep = |listener: TcpListener| {
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let found = lines(&stream);
            (found, stream)
        })
    };
    for (confirm, waiting) in [(Confirm::Close, 10), (Confirm::Window, 0)] {
        let bench = Bench::new(10, 100);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = keep(listener);
        let mut deliverer = bench.deliverer_with(address, confirm);
        let metrics = Arc::clone(&bench.metrics);
        step_until(&mut deliverer, |_| {
            bench.waiting() == 0 || metrics.status().failures > 0
        });
        if confirm == Confirm::Close {
            let message = metrics.status().message;
            assert!(message.contains("confirm = \"window\""), "{message}");
        }
        assert_eq!(bench.waiting(), waiting);
        drop(deliverer);
        assert_eq!(receiver.join().unwrap().0.len(), 10);
    }
}

#[test]
fn a_connection_that_ends_while_nothing_is_on_its_way_is_no_fault() {
    let bench = Bench::new(10, 100);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = std::thread::spawn(move || lines(listener.accept().unwrap().0));
    let mut deliverer = bench.deliverer(address);
    deliver_all(&mut deliverer);
    assert_eq!(receiver.join().unwrap().len(), 10);
    for _ in 0..100 {
        deliverer.step(at(1));
    }
    assert_eq!(bench.metrics.status().state, DestinationState::Ok);
    assert_eq!(bench.metrics.status().failures, 0);
}
