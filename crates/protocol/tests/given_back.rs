//! The memory that connections of a listener took is given back when they are gone. It is the only test of its process,
//! because it measures the heap of all of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use peak_alloc::PeakAlloc;
use protocol::clock::SystemClock;
use protocol::secret::GivenSecrets;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source};
use settings::{RawTable, RawValue};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const CONNECTIONS: usize = 1000;
/// What each sends of a message of up to a mebibyte that it does not end.
const UNFINISHED: usize = 96 << 10;
/// What all of them may hold together, as the documentation says.
const LIMIT: usize = 32 << 20;
/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(90);

#[derive(Default)]
struct Counted {
    payloads: usize,
    bytes: usize,
}

impl Sink for Counted {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        self.payloads += page.payloads.len();
        self.bytes += page
            .payloads
            .iter()
            .map(|payload| payload.len())
            .sum::<usize>();
        Ok(())
    }
}

fn listener(port: u16) -> Box<dyn Collector> {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let values = RawTable::from_iter([
        ("transport".to_owned(), text("tcp")),
        ("listen_address".to_owned(), text("127.0.0.1")),
        ("listen_port".to_owned(), RawValue::Integer(port.into())),
        ("max_payload".to_owned(), RawValue::Integer(1 << 20)),
        ("max_connections".to_owned(), RawValue::Integer(2000)),
    ]);
    let protocol = protocol::protocols::find("syslog").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let secrets = GivenSecrets::default();
    let Source::Stream(stream) = protocol.open("x", &parameters, &secrets).unwrap() else {
        panic!("a listener is a stream");
    };
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: stream.lane().to_owned(),
    };
    stream.start(id, Cursor::START).unwrap()
}

#[track_caller]
fn until(
    collector: &mut dyn Collector,
    sink: &mut Counted,
    what: impl Fn(&dyn Collector, &Counted) -> bool,
) {
    let begun = Instant::now();
    while !what(collector, sink) {
        assert!(begun.elapsed() < LONG, "{:?}", collector.status());
        collector.step(&SystemClock, sink);
    }
}

/// The memory of this process that the system has given it, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

#[test]
fn what_a_thousand_connections_held_is_given_back_when_they_are_gone() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut collector = listener(port);
    let mut sink = Counted::default();
    let connected = |count: usize| {
        move |collector: &dyn Collector, _: &Counted| {
            let message = &collector.status().message;
            message.contains(&format!(", {count} connected"))
        }
    };
    until(&mut *collector, &mut sink, connected(0));
    let (heap, memory) = (HEAP.current_usage(), resident());
    let mut after = Vec::new();
    for round in 1..=2 {
        let sent = vec![b'x'; UNFINISHED];
        let mut senders = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut sender = TcpStream::connect(("127.0.0.1", port)).unwrap();
            sender.set_nonblocking(true).unwrap();
            // As much as the sockets take: what is not read waits there.
            let _ = sender.write(&sent);
            senders.push(sender);
        }
        drop(sent);
        until(&mut *collector, &mut sink, connected(CONNECTIONS));
        // They hold as much as they may, and no more than the pieces that each of them reads at once.
        until(&mut *collector, &mut sink, |_, _| {
            HEAP.current_usage().saturating_sub(heap) > LIMIT / 2
        });
        drop(senders);
        until(&mut *collector, &mut sink, connected(0));
        // What was sent of a message is passed on as one.
        until(&mut *collector, &mut sink, |_, sink| {
            sink.payloads == round * CONNECTIONS
        });
        after.push(HEAP.current_usage().saturating_sub(heap));
    }
    let most = HEAP.peak_usage().saturating_sub(heap);
    assert!(most < LIMIT + (48 << 20), "{} MiB at most", most >> 20);
    assert!(
        after.iter().all(|kept| *kept < 1 << 20),
        "bytes that were kept after each round: {after:?}"
    );
    let resident = resident().saturating_sub(memory);
    assert!(
        resident < 96 << 20,
        "{} MiB of the system are kept",
        resident >> 20
    );
    // What was sent in part was passed on, and nothing was made up.
    assert!(sink.bytes <= 2 * CONNECTIONS * UNFINISHED, "{}", sink.bytes);
}
