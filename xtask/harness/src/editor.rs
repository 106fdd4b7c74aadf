//! A scripted editor: it starts a language server and speaks to it over its standard input and output.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long an answer may take before the server is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// An editor with its server, which ends with it.
#[derive(Debug)]
pub struct Editor {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    /// What came and was not asked for yet.
    kept: VecDeque<Value>,
    requests: i32,
}

impl Editor {
    /// Starts a server.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let to = child.stdin.take();
        let mut out = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let (sender, from) = channel();
        thread::spawn(move || {
            while let Ok(message) = receive(&mut out) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            to,
            from,
            kept: VecDeque::new(),
            requests: 0,
        })
    }

    /// The process of the server.
    pub fn process(&self) -> &Child {
        &self.child
    }

    /// Writes bytes that need not be a message.
    ///
    /// # Errors
    /// The server is gone.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        to.write_all(bytes)?;
        to.flush()
    }

    fn send(&mut self, mut message: Value) -> io::Result<()> {
        message["jsonrpc"] = json!("2.0");
        let text = message.to_string();
        let text = format!("Content-Length: {}\r\n\r\n{text}", text.len());
        self.write(text.as_bytes())
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// The server is gone.
    pub fn tell(&mut self, method: &str, params: &Value) -> io::Result<()> {
        self.send(json!({"method": method, "params": params}))
    }

    /// Sends a request without waiting for the answer; its number.
    ///
    /// # Errors
    /// The server is gone.
    pub fn request(&mut self, method: &str, params: &Value) -> io::Result<i32> {
        self.requests += 1;
        let id = self.requests;
        self.send(json!({"id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// The answer to a request, result or error, as it came.
    ///
    /// # Errors
    /// The server is gone, or takes its time.
    pub fn answer(&mut self, id: i32) -> io::Result<Value> {
        self.next(|message| message["id"] == id && message.get("method").is_none())
    }

    /// Sends a request and waits for what comes back, result or error.
    ///
    /// # Errors
    /// The server is gone, or takes its time.
    pub fn ask(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let id = self.request(method, params)?;
        self.answer(id)
    }

    /// The next message of this kind, sent or still to be sent. Others are kept.
    ///
    /// # Errors
    /// The server is gone, or takes its time.
    pub fn next(&mut self, is_it: impl Fn(&Value) -> bool) -> io::Result<Value> {
        if let Some(at) = self.kept.iter().position(&is_it) {
            return self.kept.remove(at).ok_or(io::ErrorKind::NotFound.into());
        }
        loop {
            let message = self.from.recv_timeout(PATIENCE).map_err(|error| {
                io::Error::new(io::ErrorKind::TimedOut, format!("no such message: {error}"))
            })?;
            if is_it(&message) {
                return Ok(message);
            }
            self.kept.push_back(message);
        }
    }

    /// The findings that are published for a version of a file, those of earlier versions passed over.
    ///
    /// # Errors
    /// The server is gone, or takes its time.
    pub fn findings(&mut self, uri: &str, version: i32) -> io::Result<Value> {
        let mut message = self.next(|message| {
            let params = &message["params"];
            message["method"] == "textDocument/publishDiagnostics"
                && params["uri"] == uri
                && params["version"] == version
        })?;
        Ok(message["params"]["diagnostics"].take())
    }

    /// Closes the connection and waits for the end of the server.
    ///
    /// # Errors
    /// The server cannot be waited for.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.to = None;
        self.child.wait()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn receive(from: &mut BufReader<ChildStdout>) -> io::Result<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("Content-Length: ") {
            length = number.parse().map_err(io::Error::other)?;
        }
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}
