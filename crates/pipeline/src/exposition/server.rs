//! A small HTTP server for a few pages that no client can keep from the others.
//!
//! One thread talks to all clients without ever waiting for one of them, and a second one renders the metrics, because
//! that reads the state and may have to wait for the disk. So neither a slow client nor a slow disk delays `/healthz`. A
//! client has a time to ask and a time to take the answer, and is cut off when it is over. When there are too many, the
//! one that has been asking for longest makes room.

use protocol::clock::Stop;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Most clients at a time.
const MAX_CLIENTS: usize = 64;

/// From the connection to the end of the request.
const ASKING: Duration = Duration::from_secs(5);

/// From the end of the request until the client has taken the whole answer.
const ANSWERING: Duration = Duration::from_secs(10);

/// How long a client may take to close its side after it has got everything. Closing before that could take the answer
/// away from it.
const PARTING: Duration = Duration::from_secs(1);

/// Longest request.
const MAX_REQUEST: usize = 8192;

/// How often the server looks whether it is to stop, in milliseconds.
const TICK: i64 = 50;

/// The same while metrics are being rendered.
const SHORT_TICK: i64 = 5;

/// What is served.
pub trait Pages: Send + Sync + std::fmt::Debug {
    /// All metrics. It may take its time.
    ///
    /// # Errors
    /// Why there are none.
    fn metrics(&self) -> Result<String, String>;

    /// What keeps the run from being ready; nothing if it is. It does not wait for anything.
    fn not_ready(&self) -> Vec<String>;
}

/// Serves metrics and health.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    pages: Arc<dyn Pages>,
}

/// A client that is connected.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    stage: Stage,
    /// When it is cut off.
    until: Instant,
}

#[derive(Debug)]
enum Stage {
    /// So much of the request has arrived.
    Asking(Vec<u8>),
    /// It waits for metrics.
    Waiting,
    /// So much of the answer has been taken.
    Answering(Arc<[u8]>, usize),
    /// It has got everything.
    Parting,
}

/// Whether a client stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
}

impl Server {
    /// Listens at an address.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn bind(address: SocketAddr, pages: Arc<dyn Pages>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, pages })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn run(&self, stop: &Stop) -> io::Result<()> {
        let (jobs, todo) = mpsc::sync_channel(1);
        let (done, results) = mpsc::channel();
        let pages = Arc::clone(&self.pages);
        // It ends when `jobs` is dropped. Nobody waits for it: it may hang with the disk.
        std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                while todo.recv().is_ok() {
                    if done.send(pages.metrics()).is_err() {
                        return;
                    }
                }
            })?;
        let mut serving = Serving {
            server: self,
            clients: Vec::new(),
            jobs,
            results,
            is_rendering: false,
            deaf_until: None,
        };
        while !stop.is_set() {
            serving.step();
        }
        Ok(())
    }
}

struct Serving<'a> {
    server: &'a Server,
    /// In the order in which they came.
    clients: Vec<Client>,
    jobs: SyncSender<()>,
    results: Receiver<Result<String, String>>,
    is_rendering: bool,
    /// No client is accepted before this time, because the system refused one.
    deaf_until: Option<Instant>,
}

impl Serving<'_> {
    fn step(&mut self) {
        self.wait();
        self.accept();
        self.collect();
        let now = Instant::now();
        let mut clients = std::mem::take(&mut self.clients);
        // All are tried, whether something has happened or not: there are few, and none is waited for.
        clients.retain_mut(|client| now < client.until && self.attend(client, now) == Fate::Stays);
        self.clients = clients;
        let is_wanted = |client: &Client| matches!(client.stage, Stage::Waiting);
        if !self.is_rendering && self.clients.iter().any(is_wanted) {
            self.is_rendering = self.jobs.try_send(()).is_ok();
        }
    }

    /// Waits until something can be done, or for a tick.
    fn wait(&self) {
        let is_deaf = self.deaf_until.is_some_and(|until| Instant::now() < until);
        let listening = if is_deaf {
            PollFlags::empty()
        } else {
            PollFlags::IN
        };
        let mut polled = vec![PollFd::new(&self.server.listener, listening)];
        polled.extend(self.clients.iter().map(|client| {
            let events = match client.stage {
                Stage::Asking(_) | Stage::Parting => PollFlags::IN,
                Stage::Waiting => PollFlags::empty(),
                Stage::Answering(..) => PollFlags::OUT,
            };
            PollFd::new(&client.stream, events)
        }));
        let millis = if self.is_rendering { SHORT_TICK } else { TICK };
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: millis * 1_000_000,
        };
        if poll(&mut polled, Some(&timeout)).is_err() {
            // Interrupted, as a rule.
            std::thread::sleep(Duration::from_millis(SHORT_TICK.unsigned_abs()));
        }
    }

    fn accept(&mut self) {
        // At most as many as there is room for, so that the others get their turn.
        for _ in 0..MAX_CLIENTS {
            match self.server.listener.accept() {
                Ok((stream, _)) => {
                    if stream.set_nonblocking(true).is_err() {
                        continue;
                    }
                    if self.clients.len() >= MAX_CLIENTS {
                        let asks = |client: &Client| matches!(client.stage, Stage::Asking(_));
                        let longest = self.clients.iter().position(asks).unwrap_or(0);
                        self.clients.remove(longest);
                    }
                    self.clients.push(Client {
                        stream,
                        stage: Stage::Asking(Vec::new()),
                        until: Instant::now() + ASKING,
                    });
                    self.deaf_until = None;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Whoever asked and went away is not our concern.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    // No more files, as a rule: it would be ready again at once.
                    self.deaf_until = Some(Instant::now() + Duration::from_millis(200));
                    return;
                }
            }
        }
    }

    /// Gives metrics that have been rendered to those who wait for them.
    fn collect(&mut self) {
        let Ok(result) = self.results.try_recv() else {
            return;
        };
        self.is_rendering = false;
        let answer = match &result {
            Ok(text) => answer("200 OK", text),
            Err(error) => answer("500 Internal Server Error", &format!("{error}\n")),
        };
        for client in &mut self.clients {
            if matches!(client.stage, Stage::Waiting) {
                client.stage = Stage::Answering(Arc::clone(&answer), 0);
            }
        }
    }

    /// Does for a client what can be done without waiting.
    fn attend(&self, client: &mut Client, now: Instant) -> Fate {
        if let Stage::Asking(request) = &mut client.stage {
            match read_request(&mut client.stream, request) {
                Ok(Asked::Unfinished) => return Fate::Stays,
                Ok(Asked::Path(path)) => {
                    client.stage = self.stage_of(path.as_deref());
                    client.until = now + ANSWERING;
                }
                Err(_) => return Fate::Goes,
            }
        }
        if let Stage::Answering(answer, sent) = &mut client.stage {
            while let Some(rest) = answer.get(*sent..).filter(|rest| !rest.is_empty()) {
                match client.stream.write(rest) {
                    Ok(0) => return Fate::Goes,
                    Ok(count) => *sent += count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Fate::Stays,
                    Err(_) => return Fate::Goes,
                }
            }
            if client.stream.shutdown(Shutdown::Write).is_err() {
                return Fate::Goes;
            }
            client.stage = Stage::Parting;
            client.until = now + PARTING;
        }
        if matches!(client.stage, Stage::Waiting) {
            // A connection that is gone would keep `poll` from waiting.
            return match client.stream.take_error() {
                Ok(None) => Fate::Stays,
                _ => Fate::Goes,
            };
        }
        if matches!(client.stage, Stage::Parting) {
            let mut rest = [0; 1024];
            return match client.stream.read(&mut rest) {
                Ok(1..) => Fate::Stays,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
                {
                    Fate::Stays
                }
                _ => Fate::Goes,
            };
        }
        Fate::Stays
    }

    fn stage_of(&self, path: Option<&str>) -> Stage {
        let (status, body) = match path {
            Some("/metrics") => return Stage::Waiting,
            Some("/healthz") => ("200 OK", "ok\n".to_owned()),
            Some("/readyz") => {
                let reasons = self.server.pages.not_ready();
                if reasons.is_empty() {
                    ("200 OK", "ready\n".to_owned())
                } else {
                    ("503 Service Unavailable", reasons.join("\n") + "\n")
                }
            }
            Some(_) => (
                "404 Not Found",
                "see /metrics, /healthz, /readyz\n".to_owned(),
            ),
            None => ("400 Bad Request", "only GET is understood\n".to_owned()),
        };
        Stage::Answering(answer(status, &body), 0)
    }
}

fn answer(status: &str, body: &str) -> Arc<[u8]> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
    .into()
}

/// How far a request has come.
enum Asked {
    Unfinished,
    /// The path of a GET request without its query; nothing if it is another request or too long.
    Path(Option<String>),
}

/// Reads what has arrived of a request.
fn read_request(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<Asked> {
    let mut part = [0; 1024];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => request.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Asked::Unfinished),
            Err(error) => return Err(error),
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(request) {
            Ok(httparse::Status::Complete(_)) => {
                let path = parsed.path.filter(|_| parsed.method == Some("GET"));
                let path = path.map(|path| path.split('?').next().unwrap_or(path).to_owned());
                return Ok(Asked::Path(path));
            }
            Ok(httparse::Status::Partial) if request.len() < MAX_REQUEST => {}
            _ => return Ok(Asked::Path(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};
    use std::thread::JoinHandle;

    /// Longer than anything here takes on a slow machine.
    const LONG: Duration = Duration::from_secs(60);

    /// Metrics that are there when the gate is open.
    #[derive(Debug, Default)]
    struct Gate {
        is_open: Mutex<bool>,
        opened: Condvar,
    }

    impl Gate {
        fn open(&self) {
            *self.is_open.lock().unwrap() = true;
            self.opened.notify_all();
        }
    }

    impl Pages for Gate {
        fn metrics(&self) -> Result<String, String> {
            let is_open = self.is_open.lock().unwrap();
            drop(self.opened.wait_while(is_open, |is_open| !*is_open));
            // More than a socket takes at once.
            Ok("x".repeat(8 << 20))
        }

        fn not_ready(&self) -> Vec<String> {
            vec!["alpha/eu: no connection".to_owned()]
        }
    }

    struct Running {
        address: SocketAddr,
        gate: Arc<Gate>,
        stop: Stop,
        thread: Option<JoinHandle<()>>,
    }

    impl Running {
        fn start() -> Self {
            let gate = Arc::new(Gate::default());
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let server = Server::bind(any, Arc::clone(&gate) as Arc<dyn Pages>).unwrap();
            let (address, stop) = (server.address().unwrap(), Stop::new());
            let told = stop.clone();
            let thread = std::thread::spawn(move || server.run(&told).unwrap());
            Self {
                address,
                gate,
                stop,
                thread: Some(thread),
            }
        }

        fn connect(&self) -> TcpStream {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream
        }

        fn ask(&self, path: &str) -> TcpStream {
            let mut stream = self.connect();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            stream
        }

        fn get(&self, path: &str) -> String {
            read_all(self.ask(path))
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.gate.open();
            self.stop.set();
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn read_all(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn idle_and_trickling_clients_delay_nobody_and_are_cut_off() {
        let server = Running::start();
        let mut slow: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
        for (number, stream) in slow.iter_mut().enumerate() {
            if number % 2 == 0 {
                // It may have been cut off to make room for the others.
                let _ = stream.write_all(b"GET /heal");
            }
        }
        for _ in 0..20 {
            assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
            assert!(server.get("/readyz").contains("503"));
            for stream in &mut slow {
                let _ = stream.write_all(b"t");
            }
        }
        for stream in &mut slow {
            let mut end = [0];
            // Closed, or reset where bytes came after that; not timed out.
            match stream.read(&mut end) {
                Ok(count) => assert_eq!(count, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
            }
        }
    }

    #[test]
    fn metrics_that_hang_delay_neither_health_nor_more_clients() {
        let server = Running::start();
        let asking: Vec<TcpStream> = (0..10).map(|_| server.ask("/metrics")).collect();
        for _ in 0..20 {
            assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
        }
        server.gate.open();
        for stream in asking {
            let answer = read_all(stream);
            assert!(answer.starts_with("HTTP/1.1 200 OK"));
            assert!(answer.ends_with(&"x".repeat(1000)) && answer.len() > 8 << 20);
        }
    }

    #[test]
    fn a_client_that_does_not_take_its_answer_is_cut_off() {
        let server = Running::start();
        server.gate.open();
        let mut asking = server.ask("/metrics");
        // It takes the first bytes only, and everything else while the server lets it wait no more.
        let mut first = [0; 16];
        asking.read_exact(&mut first).unwrap();
        assert!(server.get("/healthz").contains("ok"));
        std::thread::sleep(ANSWERING + Duration::from_secs(1));
        let mut rest = Vec::new();
        // What is in the buffers of the system still arrives.
        let _ = asking.read_to_end(&mut rest);
        assert!(rest.len() < 8 << 20, "{}", rest.len());
    }

    #[test]
    fn what_is_no_get_request_is_answered_and_the_answer_arrives() {
        let server = Running::start();
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * MAX_REQUEST));
        for request in ["nonsense\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", &long] {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).unwrap();
            assert!(read_all(stream).starts_with("HTTP/1.1 400"), "{request}");
        }
        assert!(server.get("/other").starts_with("HTTP/1.1 404"));
    }
}
