//! What destinations do with a batch: accept it whole, refuse single events for good, or say that they are unavailable.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use chrono::{DateTime, Utc};
use pipeline::destination::{
    Batch, Confirm, DeadLetter, DeadLetters, Destination, FileDestination, FileOptions, Framing,
    Header, Outcome, Period, Progress, Record, Standing, StreamDestination, Sync,
    SyslogDestination, SyslogOptions, TlsFiles, Transport, Urgency, check_tls,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

fn at(seconds: i64) -> DateTime<Utc> {
    // 2026-11-25T15:42:00Z
    DateTime::from_timestamp(1_795_621_320 + seconds, 0).unwrap()
}

fn batch(lines: &[&str]) -> Batch {
    let mut batch = Batch {
        identifier: "contoso defender".to_owned(),
        ..Batch::default()
    };
    for (sequence, line) in (1..).zip(lines) {
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(line.as_bytes());
        batch.records.push(Record {
            bytes: start..batch.bytes.len(),
            sequence,
            received: at(0),
            labels: None,
        });
        batch.bytes.push(b'\n');
    }
    batch
}

const ACCEPTED: Outcome = Outcome::Accepted(Vec::new());

fn file_options(path: &Path) -> FileOptions {
    FileOptions {
        path: path.to_owned(),
        rotate_bytes: None,
        rotate_every: None,
        keep: None,
        mode: 0o600,
        sync: Sync::Batch,
    }
}

fn rotated(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "events.log" && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_the_lines_of_a_batch_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/folder/events.log");
    for line in ["one", "two"] {
        let mut file = FileDestination::new(file_options(&path));
        assert_eq!(file.send(&batch(&[line]), at(0)), ACCEPTED);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
}

/// What a process leaves that is killed while it writes: all of a batch up to a place within a line.
fn killed_after(path: &Path, lines: &[&str], written: u64) {
    let mut file = FileDestination::new(file_options(path));
    let before = fs::metadata(path).map_or(0, |there| there.len());
    assert_eq!(file.send(&batch(lines), at(0)), ACCEPTED);
    let ours = fs::OpenOptions::new().write(true).open(path).unwrap();
    ours.set_len(before + written).unwrap();
    // It had noted what it was about to write, and was killed before it could take the note back.
    let there = fs::metadata(path).unwrap();
    let end = before + batch(lines).bytes.len() as u64;
    let note = format!("{} {} {before} {end}\n", there.dev(), there.ino());
    let name = path.file_name().unwrap().to_str().unwrap();
    fs::write(path.with_file_name(format!(".{name}.dsmith")), note).unwrap();
}

#[test]
fn a_line_that_a_crash_left_unfinished_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.log");
    // The unfinished line is longer than the block in which its beginning is looked for.
    let long = "x".repeat(200_000);
    for (lines, written, kept) in [
        (vec!["whole", &long], 150_000, "whole\n"),
        (vec!["only half"], 4, ""),
        (vec!["whole", "half"], 6, "whole\n"),
    ] {
        for first in ["", "theirs\n"] {
            fs::write(&path, first).unwrap();
            killed_after(&path, &lines, written);
            let mut file = FileDestination::new(file_options(&path));
            assert_eq!(file.send(&batch(&["next"]), at(0)), ACCEPTED);
            let expected = format!("{first}{kept}next\n");
            assert!(fs::read_to_string(&path).unwrap() == expected);
        }
    }
}

#[test]
fn what_others_have_written_into_the_file_is_never_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.log");
    let long = "x".repeat(200_000);
    for theirs in ["precious", "a\nprecious", &long] {
        fs::write(&path, theirs).unwrap();
        let mut file = FileDestination::new(file_options(&path));
        assert_eq!(file.send(&batch(&["ours"]), at(0)), ACCEPTED);
        let expected = format!("{theirs}\nours\n");
        assert!(fs::read_to_string(&path).unwrap() == expected);
        // They write on while we have it open, after us and after an orderly end.
        for (line, again) in [("second", false), ("third", true)] {
            if again {
                file.finish();
                file = FileDestination::new(file_options(&path));
            }
            let mut other = fs::OpenOptions::new().append(true).open(&path).unwrap();
            other.write_all(b"no line feed").unwrap();
            assert_eq!(file.send(&batch(&[line]), at(0)), ACCEPTED);
        }
        let expected = format!("{expected}no line feed\nsecond\nno line feed\nthird\n");
        assert!(fs::read_to_string(&path).unwrap() == expected);
    }
    // Another file in the place of ours is theirs, whatever we had begun to write into ours.
    fs::write(&path, "").unwrap();
    killed_after(&path, &["only half"], 4);
    fs::rename(&path, dir.path().join("ours")).unwrap();
    fs::write(&path, "only").unwrap();
    let mut file = FileDestination::new(file_options(&path));
    assert_eq!(file.send(&batch(&["next"]), at(0)), ACCEPTED);
    assert_eq!(fs::read_to_string(&path).unwrap(), "only\nnext\n");
}

#[test]
fn dead_letters_cut_nothing_of_others_either() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letters/out.ndjson");
    fs::create_dir(dir.path().join("letters")).unwrap();
    fs::write(&path, "precious").unwrap();
    let letter = DeadLetter {
        log_source: "alpha",
        destination: "out",
        sequence: 1,
        received: at(0),
        reason: "too long",
        payload: b"x",
    };
    DeadLetters::new(path.clone())
        .add(&[letter], at(0))
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("precious\n{"), "{text}");
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_with_events_is_private_unless_the_configuration_says_otherwise() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    for (wanted, folder) in [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)] {
        let options = FileOptions {
            mode: wanted,
            ..file_options(&dir.path().join(format!("{wanted:o}/events.log")))
        };
        let mut file = FileDestination::new(options.clone());
        assert_eq!(file.send(&batch(&["one"]), at(0)), ACCEPTED);
        assert_eq!(mode(&options.path), wanted);
        assert_eq!(mode(options.path.parent().unwrap()), folder);
        // A file that was more open is tightened; one that was more private stays so.
        for (before, after) in [(0o666, wanted), (0o400 | 0o200, 0o600)] {
            fs::set_permissions(&options.path, fs::Permissions::from_mode(before)).unwrap();
            let mut file = FileDestination::new(options.clone());
            assert_eq!(file.send(&batch(&["two"]), at(0)), ACCEPTED);
            assert_eq!(mode(&options.path), after, "{before:o}");
        }
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_make_the_newest_rotated_file_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.log");
    let mut file = FileDestination::new(FileOptions {
        rotate_bytes: Some(4),
        keep: Some(2),
        ..file_options(&path)
    });
    for (line, seconds) in [
        ("aaa", 0),
        ("bbb", 1),
        ("ccc", -86_400),
        ("ddd", -86_399),
        ("eee", 5),
    ] {
        assert_eq!(file.send(&batch(&[line]), at(seconds)), ACCEPTED);
    }
    let kept: Vec<String> = rotated(dir.path())
        .iter()
        .map(|name| fs::read_to_string(dir.path().join(name)).unwrap())
        .collect();
    assert_eq!(kept, ["ccc\n", "ddd\n"]);
}

#[test]
fn a_file_rotates_before_it_would_be_larger_than_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.log");
    let mut file = FileDestination::new(FileOptions {
        rotate_bytes: Some(10),
        keep: Some(2),
        ..file_options(&path)
    });
    for line in [
        "aaaa",
        "bbbb",
        "cccc",
        "dddd",
        "larger than the limit",
        "eeee",
        "ffff",
    ] {
        assert_eq!(file.send(&batch(&[line]), at(0)), ACCEPTED);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "eeee\nffff\n");
    assert_eq!(
        rotated(dir.path()),
        [
            "events-20261125T154200.000Z.0002.log",
            "events-20261125T154200.000Z.0003.log"
        ]
    );
    let oldest = dir.path().join("events-20261125T154200.000Z.0002.log");
    assert_eq!(fs::read_to_string(oldest).unwrap(), "cccc\ndddd\n");
}

#[test]
fn a_file_rotates_when_a_period_begins_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.log");
    let options = FileOptions {
        rotate_every: Some(Period::Hour),
        ..file_options(&path)
    };
    let mut file = FileDestination::new(options.clone());
    file.send(&batch(&["15:42"]), at(0));
    file.send(&batch(&["15:59"]), at(17 * 60 + 59));
    assert!(rotated(dir.path()).is_empty());
    file.send(&batch(&["16:00"]), at(18 * 60));
    assert_eq!(rotated(dir.path()), ["events-20261125T160000.000Z.log"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "16:00\n");

    // After a restart the time of the last line counts.
    let written = std::time::SystemTime::from(at(18 * 60));
    fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(written)
        .unwrap();
    let mut file = FileDestination::new(options);
    file.send(&batch(&["16:01"]), at(19 * 60));
    assert_eq!(rotated(dir.path()).len(), 1);
    drop(file);
    fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(written)
        .unwrap();
    let mut file = FileDestination::new(FileOptions {
        rotate_every: Some(Period::Day),
        ..file_options(&path)
    });
    file.send(&batch(&["next day"]), at(86_400));
    assert_eq!(rotated(dir.path()).len(), 2);
    assert_eq!(fs::read_to_string(&path).unwrap(), "next day\n");
}

#[test]
fn a_file_that_was_moved_away_or_deleted_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.log");
    let mut file = FileDestination::new(file_options(&path));
    file.send(&batch(&["one"]), at(0));
    fs::rename(&path, dir.path().join("moved")).unwrap();
    assert_eq!(file.send(&batch(&["two"]), at(0)), ACCEPTED);
    fs::remove_file(&path).unwrap();
    assert_eq!(file.send(&batch(&["three"]), at(0)), ACCEPTED);
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn a_file_that_cannot_be_written_is_unavailable_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("folder/events.log");
    fs::write(dir.path().join("folder"), "in the way").unwrap();
    let mut file = FileDestination::new(file_options(&path));
    let Outcome::Unavailable(reason) = file.send(&batch(&["one"]), at(0)) else {
        panic!("accepted");
    };
    assert!(reason.contains("folder/events.log"), "{reason}");
    fs::remove_file(dir.path().join("folder")).unwrap();
    assert_eq!(file.send(&batch(&["one"]), at(0)), ACCEPTED);
}

#[test]
fn a_full_device_is_unavailable_and_devices_are_never_rotated() {
    let mut full = FileDestination::new(file_options(Path::new("/dev/full")));
    assert!(matches!(
        full.send(&batch(&["one"]), at(0)),
        Outcome::Unavailable(_)
    ));
    let mut null = FileDestination::new(FileOptions {
        rotate_bytes: Some(1),
        ..file_options(Path::new("/dev/null"))
    });
    for _ in 0..3 {
        assert_eq!(null.send(&batch(&["one"]), at(0)), ACCEPTED);
    }
}

#[test]
fn standard_output_whose_reader_has_ended_is_closed_for_good() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut stream = StreamDestination::new(writer);
    assert_eq!(stream.send(&batch(&["one"]), at(0)), ACCEPTED);
    drop(reader);
    assert!(matches!(
        stream.send(&batch(&["two"]), at(0)),
        Outcome::Closed(_)
    ));
}

#[test]
fn dead_letters_say_why_and_carry_any_payload() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead-letters/qradar.ndjson");
    let mut letters = DeadLetters::new(path.clone());
    let letter = DeadLetter {
        log_source: "alpha",
        destination: "qradar",
        sequence: 7,
        received: at(0),
        reason: "too long",
        payload: b"line\nbreak",
    };
    let binary = DeadLetter {
        sequence: 8,
        payload: b"\xff\x00",
        ..letter.clone()
    };
    letters.add(&[letter], at(60)).unwrap();
    letters.add(&[binary], at(61)).unwrap();
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"time":"2026-11-25T15:43:00.000Z","logSource":"alpha","destination":"qradar","sequence":7,"received":"2026-11-25T15:42:00.000Z","reason":"too long","payload":"line\nbreak"}"#
    );
    assert!(
        lines[1].ends_with(r#""payloadHex":"ff00"}"#),
        "{}",
        lines[1]
    );
}

fn syslog(address: std::net::SocketAddr, transport: Transport) -> SyslogDestination {
    SyslogDestination::new(SyslogOptions {
        address: address.to_string(),
        transport,
        header: Header::Ibm,
        priority: 13,
        host: None,
        confirm: Confirm::Close,
    })
}

/// Waits until the connection has broken; tells why.
fn broken(destination: &mut SyslogDestination) -> String {
    let mut polls = 0;
    loop {
        let progress = destination.poll(Urgency::Flowing);
        assert_eq!(progress.confirmed, 0);
        if let Standing::Broken(reason) = progress.standing {
            return reason;
        }
        polls += 1;
        assert!(polls < 10_000, "{progress:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const HEADER: &str = "<13>1 2026-11-25T15:42:00.000Z contoso-defender ";

/// Takes one connection and reads so many lines. The caller gets the connection, because closing it early is a fault.
fn receive(listener: &TcpListener, lines: usize) -> (Vec<String>, BufReader<std::net::TcpStream>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut found = Vec::new();
    for _ in 0..lines {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        found.push(line);
    }
    (found, reader)
}

#[test]
fn lines_over_tcp_have_the_log_source_as_their_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut destination = syslog(
        listener.local_addr().unwrap(),
        Transport::Tcp(Framing::Newline),
    );
    let receiver = std::thread::spawn(move || receive(&listener, 2));
    assert_eq!(
        destination.send(&batch(&["one", "two"]), at(0)),
        Outcome::Sent
    );
    assert_eq!(
        receiver.join().unwrap().0,
        [format!("{HEADER}one\n"), format!("{HEADER}two\n")]
    );
}

#[test]
fn octet_counting_counts_header_and_event_in_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut destination = syslog(
        listener.local_addr().unwrap(),
        Transport::Tcp(Framing::OctetCounting),
    );
    let receiver = std::thread::spawn(move || {
        let (_, mut reader) = receive(&listener, 0);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(
        destination.send(&batch(&["caf\u{e9}", ""]), at(0)),
        Outcome::Sent
    );
    assert_eq!(destination.finish(), 1);
    let length = HEADER.len();
    assert_eq!(
        receiver.join().unwrap(),
        format!("{} {HEADER}caf\u{e9}{length} {HEADER}", length + 5)
    );
}

#[test]
fn a_receiver_that_goes_away_has_confirmed_nothing_and_is_connected_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut destination = syslog(address, Transport::Tcp(Framing::Newline));
    let first = std::thread::spawn(move || (receive(&listener, 1), listener));
    assert_eq!(destination.send(&batch(&["one"]), at(0)), Outcome::Sent);
    let ((_, connection), listener) = first.join().unwrap();
    drop(connection);
    let reason = broken(&mut destination);
    assert!(reason.contains("has closed the connection"), "{reason}");
    let second = std::thread::spawn(move || receive(&listener, 1));
    assert_eq!(destination.send(&batch(&["two"]), at(0)), Outcome::Sent);
    let (lines, connection) = second.join().unwrap();
    assert_eq!(lines, [format!("{HEADER}two\n")]);
    drop(connection);
    broken(&mut destination);
    let Outcome::Unavailable(reason) = destination.send(&batch(&["three"]), at(0)) else {
        panic!("accepted");
    };
    assert!(reason.contains(&address.to_string()), "{reason}");
    assert_eq!(destination.poll(Urgency::Hurry), Progress::default());
}

/// Whatever the format of an event has left in it, nothing in it ends a frame.
#[test]
fn no_byte_of_an_event_ends_a_frame() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut destination = syslog(address, Transport::Tcp(Framing::Newline));
    let receiver = std::thread::spawn(move || {
        let mut text = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut text).unwrap();
        text
    });
    let all: Vec<u8> = (0..=255).collect();
    let mut events = batch(&["", "b"]);
    events.records[0].bytes = 0..all.len();
    events.records[1].bytes = all.len()..all.len() + 1;
    events.bytes = all.iter().copied().chain(*b"b").collect();
    assert_eq!(destination.send(&events, at(0)), Outcome::Sent);
    assert_eq!(destination.finish(), 1);
    let expected = all.into_iter().map(|byte| {
        if matches!(byte, 0 | b'\n' | b'\r') {
            b' '
        } else {
            byte
        }
    });
    let mut text = HEADER.as_bytes().to_vec();
    text.extend(expected);
    text.extend_from_slice(format!("\n{HEADER}b\n").as_bytes());
    assert_eq!(receiver.join().unwrap(), text);
}

#[test]
fn a_datagram_is_an_event_and_one_that_is_too_long_is_refused_for_good() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut destination = syslog(receiver.local_addr().unwrap(), Transport::Udp);
    let long = "x".repeat(70_000);
    let Outcome::Accepted(refused) = destination.send(&batch(&["one", &long, "two"]), at(0)) else {
        panic!("unavailable");
    };
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].index, 1);
    assert!(refused[0].reason.contains("datagram"), "{refused:?}");
    let mut bytes = [0; 200];
    for expected in ["one", "two"] {
        let length = receiver.recv(&mut bytes).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes[..length]),
            format!("{HEADER}{expected}")
        );
    }
}

/// A certificate authority with a server and a client certificate, as files.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            dir,
            issuer: Issuer::new(params, key),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a certificate for a name; its files are `<name>.pem` and `<name>.key`.
    fn issue(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }

    /// A receiver that demands a client certificate, for one connection; it returns all that it reads.
    fn serve(&self, listener: TcpListener) -> JoinHandle<Result<String, std::io::Error>> {
        let mut roots = rustls::RootCertStore::empty();
        let (certificate, key) = self.issue("receiver.example.com");
        let ca = fs::read_to_string(self.path("ca.pem")).unwrap();
        use rustls::pki_types::pem::PemObject;
        roots
            .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        )
        .build()
        .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, socket);
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            stream.conn.send_close_notify();
            stream.flush()?;
            Ok(text)
        })
    }
}

#[test]
fn tls_knows_the_receiver_by_its_authority_and_shows_a_client_certificate() {
    let authority = Authority::new();
    authority.issue("sender.example.com");
    let files = TlsFiles {
        ca: Some(authority.path("ca.pem")),
        ca_only: false,
        client: Some((
            authority.path("sender.example.com.pem"),
            authority.path("sender.example.com.key"),
        )),
        server_name: Some("receiver.example.com".to_owned()),
    };
    assert_eq!(check_tls(&files), Ok(()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = authority.serve(listener);
    let mut destination = syslog(address, Transport::Tls(Framing::Newline, files));
    for line in ["one", "two"] {
        assert_eq!(destination.send(&batch(&[line]), at(0)), Outcome::Sent);
    }
    assert_eq!(destination.finish(), 2);
    assert_eq!(
        receiver.join().unwrap().unwrap(),
        format!("{HEADER}one\n{HEADER}two\n")
    );
}

#[test]
fn tls_refuses_a_receiver_of_another_name_or_authority_and_sends_nothing() {
    let authority = Authority::new();
    let stranger = Authority::new();
    authority.issue("sender.example.com");
    let client = (
        authority.path("sender.example.com.pem"),
        authority.path("sender.example.com.key"),
    );
    for (ca, name) in [
        (authority.path("ca.pem"), "other.example.com"),
        (stranger.path("ca.pem"), "receiver.example.com"),
    ] {
        let files = TlsFiles {
            ca: Some(ca),
            ca_only: false,
            client: Some(client.clone()),
            server_name: Some(name.to_owned()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = authority.serve(listener);
        let mut destination = syslog(address, Transport::Tls(Framing::Newline, files));
        let Outcome::Unavailable(reason) = destination.send(&batch(&["secret"]), at(0)) else {
            panic!("accepted");
        };
        assert!(reason.contains("certificate"), "{reason}");
        assert!(receiver.join().unwrap().is_err());
    }
}

#[test]
fn tls_files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    authority.issue("a");
    authority.issue("b");
    fs::write(authority.path("empty.pem"), "no certificate").unwrap();
    let client =
        |certificate: &str, key: &str| Some((authority.path(certificate), authority.path(key)));
    for (ca, client, named) in [
        ("missing.pem", None, "missing.pem"),
        ("empty.pem", None, "empty.pem"),
        ("ca.pem", client("a.pem", "b.key"), "a.pem"),
        ("ca.pem", client("a.pem", "empty.pem"), "empty.pem"),
    ] {
        let files = TlsFiles {
            ca: Some(authority.path(ca)),
            ca_only: false,
            client,
            server_name: None,
        };
        let error = check_tls(&files).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_receiver_without_the_client_certificate_it_demands_leaves_the_batch_with_us() {
    let authority = Authority::new();
    let files = TlsFiles {
        ca: Some(authority.path("ca.pem")),
        ca_only: false,
        client: None,
        server_name: Some("receiver.example.com".to_owned()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = authority.serve(listener);
    let mut destination = syslog(address, Transport::Tls(Framing::Newline, files));
    // With TLS 1.3 the client is done before the server has looked at its certificate.
    let sent = destination.send(&batch(&["one"]), at(0));
    assert!(receiver.join().unwrap().is_err());
    if sent == Outcome::Sent {
        broken(&mut destination);
    } else {
        assert!(matches!(sent, Outcome::Unavailable(_)), "{sent:?}");
    }
    assert_eq!(destination.finish(), 0);
}
