//! Messages on the wire.
//!
//! The messages themselves are those of `lsp-server`. It also has a reader, which ends at the first message that is no
//! JSON and makes room for as many bytes as a header announces; this one goes on, and has a limit.

use lsp_server::{Message, Notification, Request, RequestId, Response};
use serde::Deserialize;
use serde_json::Value;
use std::io::{self, BufRead, Read};

/// The longest message that is read, in bytes: the text of a file as JSON, with room to spare.
pub(super) const LONGEST: u64 = 64 << 20;
/// The longest line of a header.
const HEADER: u64 = 1024;

/// What came in.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Box<Message>),
    /// Something else, and why it is none.
    Rubbish(String),
}

/// What a message may have. Which kind it is of follows from that; to try one kind after the other would read each text of
/// a file several times.
#[derive(Deserialize)]
struct Fields {
    id: Option<RequestId>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
}

impl Fields {
    fn message(self) -> Incoming {
        let Self { id, method, params } = self;
        Incoming::Message(Box::new(match (id, method) {
            (Some(id), Some(method)) => Request { id, method, params }.into(),
            (None, Some(method)) => Notification { method, params }.into(),
            // What the answer is does not matter: nothing is asked whose answer does.
            (Some(id), None) => Response::new_ok(id, Value::Null).into(),
            (None, None) => {
                let text = "a message is not understood: it has neither an id nor a method";
                return Incoming::Rubbish(text.to_owned());
            }
        }))
    }
}

/// The next message; nothing at the end.
///
/// # Errors
/// Reading fails, or the end comes within a message.
pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    let mut length = None;
    let mut is_begun = false;
    loop {
        let mut line = Vec::new();
        from.by_ref().take(HEADER).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            match length {
                Some(length) => return body(from, length).map(Some),
                None if is_begun => {
                    let text = "there is no Content-Length before the empty line";
                    return Ok(Some(Incoming::Rubbish(text.to_owned())));
                }
                // Empty lines between messages.
                None => continue,
            }
        }
        is_begun = true;
        if let Some((name, value)) = line.split_once(':')
            && name.trim().eq_ignore_ascii_case("Content-Length")
        {
            length = value.trim().parse::<u64>().ok();
        }
    }
}

fn body(from: &mut impl BufRead, length: u64) -> io::Result<Incoming> {
    let mut from = from.by_ref().take(length);
    let read = if length > LONGEST {
        io::copy(&mut from, &mut io::sink())?
    } else {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length {
            return Ok(match serde_json::from_slice::<Fields>(&bytes) {
                Ok(fields) => fields.message(),
                Err(error) => Incoming::Rubbish(format!("a message is not understood: {error}")),
            });
        }
        bytes.len() as u64
    };
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Incoming::Rubbish(format!(
        "a message of {length} bytes was passed over; the limit is {LONGEST}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> (Vec<String>, bool) {
        let mut out = Vec::new();
        loop {
            match read(&mut bytes) {
                Ok(Some(Incoming::Message(message))) => match *message {
                    Message::Notification(notification) => out.push(notification.method),
                    other => out.push(format!("{other:?}")),
                },
                Ok(Some(Incoming::Rubbish(_))) => out.push("rubbish".to_owned()),
                Ok(None) => return (out, true),
                Err(_) => return (out, false),
            }
        }
    }

    fn message(method: &str) -> String {
        let text = format!("{{\"method\":\"{method}\"}}");
        format!("Content-Length: {}\r\n\r\n{text}", text.len())
    }

    #[test]
    fn what_is_no_message_does_not_keep_the_next_one_from_being_read() {
        let long = "x".repeat(5000);
        for rubbish in [
            "Content-Length: 3\r\n\r\n{]}".to_owned(),
            "Content-Length: 2\r\n\r\n42".to_owned(),
            "Content-Length: 2\r\n\r\n{}".to_owned(),
            "Content-Length: x\r\n\r\n".to_owned(),
            "Content-Length: -1\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            format!("{long}\n\n"),
            "Content-Length: 30\n\n{\"method\":\"\\ud800\",\"params\":0}".to_owned(),
        ] {
            let text = format!("{rubbish}{}\r\n{}", message("a"), message("b"));
            let (found, ended) = all(text.as_bytes());
            assert_eq!(
                (found, ended),
                (["rubbish", "a", "b"].map(str::to_owned).to_vec(), true),
                "{rubbish}"
            );
        }
    }

    #[test]
    fn a_message_beyond_the_limit_takes_no_memory_and_its_end_is_awaited() {
        let (found, ended) = all(b"Content-Length: 99999999999999\r\n\r\nabc");
        assert_eq!((found, ended), (Vec::new(), false));
        let (found, ended) = all(b"Content-Length: 100\r\n\r\n{");
        assert_eq!((found, ended), (Vec::new(), false));
        assert_eq!(all(b""), (Vec::new(), true));
    }
}
