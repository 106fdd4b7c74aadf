//! The listener with real sockets: UDP, TCP and TLS on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod loopback;

use protocol::clock::SystemClock;
use protocol::secret::GivenSecrets;
use protocol::status::State;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use settings::{RawTable, RawValue};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Collected {
    payloads: Vec<String>,
    full: bool,
}

impl Sink for Collected {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full {
            return Err(SinkError::Full);
        }
        self.take(page);
        Ok(())
    }

    fn accept_last(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        self.take(page);
        Ok(())
    }
}

impl Collected {
    fn take(&mut self, page: &Page) {
        self.payloads.extend(
            page.payloads
                .iter()
                .map(|payload| String::from_utf8_lossy(payload).into_owned()),
        );
    }
}

/// A port that nobody uses at the moment.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn collector(transport: &str, port: u16, others: &[(&str, RawValue)]) -> Box<dyn Collector> {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let mut values = RawTable::from_iter([
        ("transport".to_owned(), text(transport)),
        ("listen_address".to_owned(), text("127.0.0.1")),
        ("listen_port".to_owned(), RawValue::Integer(port.into())),
    ]);
    values.extend(
        others
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    let protocol = protocol::protocols::find("syslog").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let Source::Stream(stream) = protocol
        .open("x", &parameters, &GivenSecrets::default())
        .unwrap()
    else {
        panic!("a listener is a stream");
    };
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: stream.lane().to_owned(),
    };
    stream.start(id, Cursor::START).unwrap()
}

/// Steps until something holds.
fn until(
    collector: &mut dyn Collector,
    sink: &mut Collected,
    what: impl Fn(&dyn Collector, &Collected) -> bool,
) {
    let began = Instant::now();
    while !what(collector, sink) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?} {:?}",
            collector.status(),
            sink.payloads
        );
        collector.step(&SystemClock, sink);
    }
}

/// A collector that listens.
fn listening(
    transport: &str,
    others: &[(&str, RawValue)],
    sink: &mut Collected,
) -> (Box<dyn Collector>, u16) {
    let port = free_port();
    let mut collector = collector(transport, port, others);
    until(&mut *collector, sink, |collector, _| {
        collector.status().state == State::Ok
    });
    (collector, port)
}

fn count(expected: usize) -> impl Fn(&dyn Collector, &Collected) -> bool {
    move |_, sink| sink.payloads.len() >= expected
}

#[test]
fn a_datagram_is_a_message() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("udp", &[], &mut sink);
    let sender = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for message in [
        "<34>1 2026-11-20T12:00:00Z h app - - - one\n",
        "\n",
        "<34>Oct 11 22:14:15 h su: two\nlines\0",
    ] {
        sender
            .send_to(message.as_bytes(), ("127.0.0.1", port))
            .unwrap();
    }
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(
        sink.payloads,
        [
            "<34>1 2026-11-20T12:00:00Z h app - - - one",
            "<34>Oct 11 22:14:15 h su: two\nlines"
        ]
    );
    assert_eq!(
        collector.status().message,
        format!("listening on 127.0.0.1:{port} (UDP)")
    );
}

#[test]
fn a_connection_may_count_or_end_lines_and_its_last_words_are_heard() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("tcp", &[], &mut sink);
    let mut one = TcpStream::connect(("127.0.0.1", port)).unwrap();
    one.write_all(b"<13>a\n8 <14>b\nbb<15>c").unwrap();
    drop(one);
    until(&mut *collector, &mut sink, count(3));
    assert_eq!(sink.payloads, ["<13>a", "<14>b\nbb", "<15>c"]);
}

#[test]
fn a_connection_that_does_not_count_where_it_has_to_is_closed() {
    let mut sink = Collected::default();
    let framing = ("framing", RawValue::Text("octet-counting".to_owned()));
    let (mut collector, port) = listening("tcp", &[framing], &mut sink);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"5 <13>a<13>oops\n").unwrap();
    until(&mut *collector, &mut sink, |collector, _| {
        collector
            .status()
            .message
            .ends_with("0 connected, 1 refused")
    });
    // Nothing is lost: what could not be told apart is passed on as it is.
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(sink.payloads, ["<13>a", "<13>oops"]);
}

#[test]
fn a_connection_too_many_is_closed_and_the_others_go_on() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tcp",
        &[("max_connections", RawValue::Integer(1))],
        &mut sink,
    );
    let mut first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    first.write_all(b"<13>a\n").unwrap();
    until(&mut *collector, &mut sink, count(1));
    let mut second = TcpStream::connect(("127.0.0.1", port)).unwrap();
    second
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let end = second.read(&mut [0; 1]);
    assert!(
        matches!(&end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    );
    first.write_all(b"<13>b\n").unwrap();
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(sink.payloads, ["<13>a", "<13>b"]);
}

#[test]
fn a_full_sink_makes_senders_wait_and_nothing_is_lost() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("tcp", &[], &mut sink);
    sink.full = true;
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for n in 0..200_000 {
            stream
                .write_all(format!("<13>{n} {}\n", "x".repeat(200)).as_bytes())
                .unwrap();
        }
    });
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().paused
    });
    // More than all buffers hold: the sender is stuck.
    std::thread::sleep(Duration::from_millis(300));
    assert!(!sender.is_finished());
    sink.full = false;
    until(&mut *collector, &mut sink, count(200_000));
    sender.join().unwrap();
    for (n, payload) in sink.payloads.iter().enumerate() {
        assert!(payload.starts_with(&format!("<13>{n} ")), "{n}: {payload}");
    }
}

#[test]
fn closing_hands_over_what_was_received_and_frees_the_port() {
    let mut sink = Collected::default();
    let (mut first, port) = listening("tcp", &[], &mut sink);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"<13>a\n<13>b").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    first.close(&SystemClock, &mut sink);
    assert_eq!(sink.payloads, ["<13>a", "<13>b"]);
    let mut again = collector("tcp", port, &[]);
    until(&mut *again, &mut sink, |collector, _| {
        collector.status().state == State::Ok
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_remedy_and_tried_again() {
    let mut sink = Collected::default();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut collector = collector("tcp", taken.local_addr().unwrap().port(), &[]);
    collector.step(&SystemClock, &mut sink);
    let status = collector.status();
    assert_eq!(status.state, State::Error);
    assert_eq!(
        status.remedy.as_deref(),
        Some("choose another listen_port, or stop the program that has it")
    );
    drop(taken);
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().state == State::Ok
    });
}

/// A folder with an authority, a server's certificate and key, and a client's.
struct Certificates(PathBuf);

impl Certificates {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("dsmith-syslog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&authority_key).unwrap().pem();
        std::fs::write(folder.join("ca.pem"), pem).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        for name in ["server", "client"] {
            let key = rcgen::KeyPair::generate().unwrap();
            let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = parameters.signed_by(&key, &issuer).unwrap();
            std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> RawValue {
        RawValue::Text(self.0.join(name).display().to_string())
    }

    fn client(
        &self,
        port: u16,
        with_certificate: bool,
    ) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let read = |name: &str| CertificateDer::from_pem_file(self.0.join(name)).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(read("ca.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if with_certificate {
            let key = PrivateKeyDer::from_pem_file(self.0.join("client.key")).unwrap();
            builder
                .with_client_auth_cert(vec![read("client.pem")], key)
                .unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        rustls::StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap())
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn messages_come_over_tls_and_a_stranger_disturbs_nobody() {
    let certificates = Certificates::new("tls");
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tls",
        &[
            ("certificate_file", certificates.path("server.pem")),
            ("private_key_file", certificates.path("server.key")),
        ],
        &mut sink,
    );
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(b"<13>no tls here\n").unwrap();
    let mut client = certificates.client(port, false);
    client.write_all(b"<13>a\n6 <14>bc").unwrap();
    client.flush().unwrap();
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(sink.payloads, ["<13>a", "<14>bc"]);
    until(&mut *collector, &mut sink, |collector, _| {
        collector
            .status()
            .message
            .ends_with("1 connected, 1 refused")
    });
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_asked_for() {
    let certificates = Certificates::new("mutual");
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tls",
        &[
            ("certificate_file", certificates.path("server.pem")),
            ("private_key_file", certificates.path("server.key")),
            ("client_ca_file", certificates.path("ca.pem")),
        ],
        &mut sink,
    );
    let mut nobody = certificates.client(port, false);
    let _ = nobody.write_all(b"<13>x\n").and_then(|()| nobody.flush());
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().message.ends_with("1 refused")
    });
    let mut somebody = certificates.client(port, true);
    somebody.write_all(b"<13>a\n").unwrap();
    somebody.flush().unwrap();
    until(&mut *collector, &mut sink, count(1));
    assert_eq!(sink.payloads, ["<13>a"]);
}

#[test]
fn a_certificate_that_cannot_be_read_is_an_error_that_names_the_file() {
    let certificates = Certificates::new("unreadable");
    let missing: &Path = Path::new("/nonexistent/server.pem");
    let mut sink = Collected::default();
    let mut collector = collector(
        "tls",
        free_port(),
        &[
            (
                "certificate_file",
                RawValue::Text(missing.display().to_string()),
            ),
            ("private_key_file", certificates.path("server.key")),
        ],
    );
    collector.step(&SystemClock, &mut sink);
    let status = collector.status();
    assert_eq!(status.state, State::Error);
    assert!(
        status
            .message
            .starts_with("nothing can be received: /nonexistent/server.pem cannot be used: "),
        "{}",
        status.message
    );
}

/// Sends numbered messages until the receiver ends the connection, as rsyslog and syslog-ng do: before each write they
/// look whether it has. Tells how many were written.
fn send_until_closed(mut stream: impl Write, socket: &TcpStream) -> usize {
    socket.set_nonblocking(true).unwrap();
    for number in 0.. {
        if matches!(socket.peek(&mut [0; 1]), Ok(0)) {
            return number;
        }
        let message = format!("<13>{number} {}\n", "x".repeat(200));
        let mut rest = message.as_bytes();
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    unreachable!()
}

/// The end comes while senders are sending: everything that they have sent before they knew of it is received, also
/// where the sink takes nothing more, and also what is sent over a connection that nobody has accepted yet.
#[test]
fn nothing_that_was_sent_before_the_end_is_lost() {
    for full in [false, true] {
        let mut sink = Collected::default();
        let (mut collector, port) = listening("tcp", &[], &mut sink);
        let senders: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    send_until_closed(&stream, &stream)
                })
            })
            .collect();
        until(&mut *collector, &mut sink, count(20_000));
        if full {
            sink.full = true;
            until(&mut *collector, &mut sink, |collector, _| {
                collector.status().paused
            });
            // Until all buffers are full.
            std::thread::sleep(Duration::from_millis(300));
        }
        let mut late = TcpStream::connect(("127.0.0.1", port)).unwrap();
        late.write_all(b"<13>late").unwrap();
        collector.close(&SystemClock, &mut sink);
        let sent: usize = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        // A message of which only the beginning was on its way comes as a piece.
        let whole = sink.payloads.iter().filter(|payload| payload.len() > 200);
        assert_eq!(whole.count(), sent);
        assert!(sink.payloads.contains(&"<13>late".to_owned()));
    }
}

#[test]
fn nothing_that_was_sent_over_tls_before_the_end_is_lost() {
    let certificates = Certificates::new("end");
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tls",
        &[
            ("certificate_file", certificates.path("server.pem")),
            ("private_key_file", certificates.path("server.key")),
        ],
        &mut sink,
    );
    let mut client = certificates.client(port, false);
    let sender = std::thread::spawn(move || {
        // The handshake, which would wait for no more than a moment below.
        client.write_all(b"<13>first\n").unwrap();
        client.flush().unwrap();
        let mut number = 1;
        client
            .sock
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        loop {
            // It hears the end of TLS.
            if matches!(client.read(&mut [0; 1]), Ok(0)) {
                client.conn.send_close_notify();
                client.flush().unwrap();
                return number;
            }
            for _ in 0..100 {
                number += 1;
                let message = format!("<13>{number} {}\n", "x".repeat(200));
                client.write_all(message.as_bytes()).unwrap();
            }
            client.flush().unwrap();
        }
    });
    until(&mut *collector, &mut sink, count(1_000));
    collector.close(&SystemClock, &mut sink);
    assert_eq!(sink.payloads.len(), sender.join().unwrap());
}

/// A sender that goes on without heeding the end does not hold it up.
#[test]
fn a_sender_that_never_stops_is_cut_off_at_the_end() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("tcp", &[], &mut sink);
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        while stream.write_all(&b"<13>x\n".repeat(100)).is_ok() {}
    });
    until(&mut *collector, &mut sink, count(1_000));
    collector.close(&SystemClock, &mut sink);
    sender.join().unwrap();
}

/// What waits in this process and in the buffers of the system when nothing is spooled any more: it bounds what a kill
/// loses.
#[test]
fn little_is_received_that_is_not_spooled() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("tcp", &[], &mut sink);
    sink.full = true;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let line = [&[b'x'; 999][..], b"\n"].concat();
    let sender = std::thread::spawn(move || {
        let mut sent = 0;
        while let Ok(length) = stream.write(&line) {
            sent += length;
            assert!(sent < 1 << 30);
        }
        // What is still in the sender's own buffer is its own.
        let unsent = rustix::net::sockopt::socket_send_buffer_size(&stream).unwrap();
        (sent, unsent, stream)
    });
    while !sender.is_finished() {
        collector.step(&SystemClock, &mut sink);
    }
    let (sent, unsent, _stream) = sender.join().unwrap();
    assert!(
        sent < unsent + (4 << 20),
        "{sent} of which {unsent} may be unsent"
    );
    assert_eq!(sink.payloads.len(), 0);
}

/// Connections that bring nothing keep those out that bring something only for a moment.
#[test]
fn where_all_places_are_taken_the_idlest_goes() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tcp",
        &[("max_connections", RawValue::Integer(5))],
        &mut sink,
    );
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut useful = connect();
    useful.write_all(b"<13>useful\n").unwrap();
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = connect();
        stream.write_all(b"<13>b").unwrap();
        idle.push(stream);
    }
    until(&mut *collector, &mut sink, count(1));
    let began = Instant::now();
    let mut number = 0;
    // As senders do, it tries again.
    while !sink.payloads.iter().any(|payload| payload == "<13>late") {
        assert!(began.elapsed() < Duration::from_secs(60));
        let mut late = connect();
        let _ = late.write_all(b"<13>late\n");
        let tried = Instant::now();
        while tried.elapsed() < Duration::from_millis(500) {
            collector.step(&SystemClock, &mut sink);
        }
        number += 1;
        if number % 4 == 0 {
            useful.write_all(b"<13>useful\n").unwrap();
        }
    }
    // What the idle one had sent is not lost, and the useful one is still there.
    until(&mut *collector, &mut sink, |_, sink| {
        sink.payloads.contains(&"<13>b".to_owned())
    });
    useful.write_all(b"<13>still here\n").unwrap();
    until(&mut *collector, &mut sink, |_, sink| {
        sink.payloads.contains(&"<13>still here".to_owned())
    });
}

#[test]
fn a_connection_that_brings_nothing_for_too_long_is_closed() {
    let mut sink = Collected::default();
    let (mut collector, port) =
        listening("tcp", &[("idle_timeout", RawValue::Integer(1))], &mut sink);
    let mut idle = TcpStream::connect(("127.0.0.1", port)).unwrap();
    idle.write_all(b"<13>half").unwrap();
    until(&mut *collector, &mut sink, count(1));
    assert_eq!(sink.payloads, ["<13>half"]);
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().message.contains("0 connected")
    });
    idle.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
}

/// Bytes that trickle do not make a handshake last longer than it may.
#[test]
fn a_handshake_that_trickles_ends() {
    let certificates = Certificates::new("trickle");
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tls",
        &[
            ("certificate_file", certificates.path("server.pem")),
            ("private_key_file", certificates.path("server.key")),
        ],
        &mut sink,
    );
    let trickle = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // The beginning of a long first message of TLS.
        let mut hello = vec![22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb, 3, 3];
        hello.resize(2000, 0);
        for byte in hello {
            if stream.write_all(&[byte]).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    });
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().message.ends_with("1 refused")
    });
    assert!(trickle.join().unwrap(), "it was not ended");
}

/// The memory of this process, in bytes.
fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

/// Many connections with long messages that do not end, and with short ones while the sink takes nothing.
#[test]
fn what_connections_hold_is_bounded_however_many_there_are() {
    let before = memory();
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tcp",
        &[("max_payload", RawValue::Integer(1 << 20))],
        &mut sink,
    );
    let senders: Vec<_> = (0..200)
        .map(|number| {
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream
                    .set_write_timeout(Some(Duration::from_secs(1)))
                    .unwrap();
                let bytes = if number < 150 {
                    [b'x'; 1000]
                } else {
                    [b'\n'; 1000]
                };
                for _ in 0..1000 {
                    let mut bytes = bytes;
                    if number >= 150 {
                        bytes.iter_mut().step_by(2).for_each(|byte| *byte = b'y');
                    }
                    if stream.write_all(&bytes).is_err() {
                        break;
                    }
                }
                stream
            })
        })
        .collect();
    sink.full = true;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        collector.step(&SystemClock, &mut sink);
    }
    let during = memory().saturating_sub(before);
    assert!(during < 120 << 20, "{} MiB", during >> 20);
    drop(senders);
    drop(collector);
}
