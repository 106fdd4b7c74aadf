//! As much of an HTTP/1.1 server as the simulator needs, with the ways in which it may misbehave.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest request line with headers, the longest body.
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 1024 * 1024;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As sent, without scheme and host.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    /// The parameters of the query, decoded.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        form(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// Where the client thinks that it is.
    pub(crate) fn root(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("127.0.0.1"))
    }
}

/// Reads `a=b&c=d` with `%XX` and `+`.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let hex = tail
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, hex) {
            (_, Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent-encodes all but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Manner {
    #[default]
    Whole,
    Slow {
        piece: usize,
        pause: Duration,
    },
    Silence,
    Reset,
    ResetHalfway,
    Truncated,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// So much white space before the body.
    pub(crate) padding: u64,
    pub(crate) chunked: bool,
    pub(crate) manner: Manner,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
            body,
            ..Self::default()
        }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A connection, and the sign that it is to end.
pub(crate) struct Connection<'a> {
    stream: TcpStream,
    buffer: Vec<u8>,
    stop: &'a AtomicBool,
}

/// What became of a request line that was waited for.
pub(crate) enum Next {
    Request(Request),
    /// It was none; this is to be said, and the connection closed.
    Refused(u16),
    Closed,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(stream: TcpStream, stop: &'a AtomicBool) -> io::Result<Self> {
        // Short, so that the sign to stop is seen.
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            stop,
        })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reads some bytes; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.buffer.extend_from_slice(&piece[..length]);
                    return Ok(true);
                }
                Err(error) if is_pause(&error) && !self.stopped() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the next request.
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        let (mut request, head, length) = loop {
            let mut slots = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Request::new(&mut slots);
            match parsed.parse(&self.buffer) {
                Ok(httparse::Status::Complete(head)) => {
                    let request = request(&parsed);
                    let length = match request.header("content-length").map(str::parse::<usize>) {
                        None => 0,
                        Some(Ok(length)) if length <= MAX_BODY => length,
                        Some(_) => return Ok(Next::Refused(413)),
                    };
                    break (request, head, length);
                }
                Ok(httparse::Status::Partial) if self.buffer.len() < MAX_HEAD => {
                    if !self.fill()? {
                        return Ok(Next::Closed);
                    }
                }
                Ok(httparse::Status::Partial) | Err(_) => return Ok(Next::Refused(400)),
            }
        };
        if request.header("transfer-encoding").is_some() {
            return Ok(Next::Refused(411));
        }
        while self.buffer.len() < head + length {
            if !self.fill()? {
                return Ok(Next::Closed);
            }
        }
        request.body = self.buffer[head..head + length].to_vec();
        self.buffer.drain(..head + length);
        Ok(Next::Request(request))
    }

    /// Sends an answer; tells whether it was sent to its end, and so whether the connection can go on.
    pub(crate) fn send(&mut self, reply: &Reply) -> io::Result<bool> {
        match reply.manner {
            Manner::Silence => {
                while !self.stopped() && self.fill()? {}
                return Ok(false);
            }
            Manner::Reset => return self.reset(),
            _ => {}
        }
        let length = reply.body.len() as u64 + reply.padding;
        let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
        for (name, value) in &reply.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        // A body in chunks has an end of its own, so it cannot be longer than promised.
        let chunked = reply.chunked && reply.manner == Manner::Whole && reply.padding == 0;
        let _ = if chunked {
            write!(head, "transfer-encoding: chunked\r\n\r\n")
        } else {
            write!(head, "content-length: {length}\r\n\r\n")
        };
        self.stream.write_all(head.as_bytes())?;
        self.pad(reply.padding)?;
        let half = &reply.body[..reply.body.len() / 2];
        match reply.manner {
            Manner::ResetHalfway => {
                self.stream.write_all(half)?;
                self.stream.flush()?;
                // What has arrived before a reset may be thrown away; give the client the time to read it.
                std::thread::sleep(Duration::from_millis(20));
                self.reset()
            }
            Manner::Truncated => {
                self.stream.write_all(half)?;
                Ok(false)
            }
            Manner::Slow { piece, pause } => {
                for piece in reply.body.chunks(piece.max(1)) {
                    if self.stopped() {
                        return Ok(false);
                    }
                    self.stream.write_all(piece)?;
                    std::thread::sleep(pause);
                }
                Ok(true)
            }
            _ if chunked => {
                for piece in reply.body.chunks(32 * 1024) {
                    self.stream
                        .write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    self.stream.write_all(piece)?;
                    self.stream.write_all(b"\r\n")?;
                }
                self.stream.write_all(b"0\r\n\r\n")?;
                Ok(true)
            }
            _ => {
                self.stream.write_all(&reply.body)?;
                Ok(true)
            }
        }
    }

    fn pad(&mut self, mut bytes: u64) -> io::Result<()> {
        let blank = [b' '; 64 * 1024];
        while bytes > 0 && !self.stopped() {
            let piece = bytes.min(blank.len() as u64);
            self.stream.write_all(&blank[..piece as usize])?;
            bytes -= piece;
        }
        Ok(())
    }

    /// Closes after an answer to a request that was not read to its end: what is unread would reset the connection
    /// before the client has the answer.
    pub(crate) fn finish(mut self) {
        if self.stream.shutdown(std::net::Shutdown::Write).is_ok() {
            let mut piece = [0; 16 * 1024];
            while matches!(self.stream.read(&mut piece), Ok(length) if length > 0) {}
        }
    }

    /// Closes without the farewell of TCP.
    fn reset(&mut self) -> io::Result<bool> {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        Ok(false)
    }
}

/// Whether a read merely has to be tried again.
fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn request(parsed: &httparse::Request<'_, '_>) -> Request {
    let target = parsed.path.unwrap_or("/");
    // A proxy asks for the whole address.
    let target = target
        .strip_prefix("http://")
        .map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: target.to_owned(),
        headers: parsed
            .headers
            .iter()
            .map(|header| {
                let value = String::from_utf8_lossy(header.value).into_owned();
                (header.name.to_owned(), value)
            })
            .collect(),
        body: Vec::new(),
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let pairs = form("a=1%2B2&b=x+y&%24filter=z&flag&broken=%zz%4");
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("a", "1+2"),
                ("b", "x y"),
                ("$filter", "z"),
                ("flag", ""),
                ("broken", "%zz%4")
            ]
        );
    }

    #[test]
    fn encoding_can_be_undone() {
        let text = "a b+c&d=é'$";
        assert_eq!(decode(&encode(text)), text);
    }
}
