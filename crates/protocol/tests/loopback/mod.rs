//! A server on this machine that does what it is told, byte by byte.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens with a connection, once its request has been read.
pub type Answer = Box<dyn FnMut(&mut dyn Conversation) + Send>;

/// The two ends of a connection, with or without TLS.
pub trait Conversation: Read + Write {}
impl<T: Read + Write> Conversation for T {}

/// A server that runs until the test ends.
pub struct Server {
    pub address: SocketAddr,
    requests: Receiver<String>,
    stop: Arc<Mutex<bool>>,
}

impl Server {
    /// Answers one connection after the other, each as the next element says; a connection may carry several requests.
    pub fn new(answers: Vec<Answer>) -> Self {
        Self::run(answers, None)
    }

    /// The same with TLS.
    pub fn with_tls(answers: Vec<Answer>, config: Arc<rustls::ServerConfig>) -> Self {
        Self::run(answers, Some(config))
    }

    fn run(answers: Vec<Answer>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let stop = Arc::new(Mutex::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            for mut answer in answers {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                if *stopped.lock().unwrap() {
                    return;
                }
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                let mut serve = |stream: &mut dyn Conversation| {
                    let request = read_request(stream);
                    if !request.is_empty() {
                        let _ = sender.send(request);
                        answer(stream);
                    }
                };
                match &tls {
                    None => serve(&mut { stream }),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(&mut rustls::StreamOwned::new(connection, stream));
                    }
                }
            }
        });
        Self {
            address,
            requests,
            stop,
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request that came.
    pub fn request(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// Whether a request has come.
    pub fn was_asked(&self) -> bool {
        self.requests.try_recv().is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.stop.lock().unwrap() = true;
        // Wakes the thread, if it still waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// Head and body of a request.
pub fn read_request(stream: &mut dyn Conversation) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return String::new(),
        }
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    request.extend(body);
    String::from_utf8_lossy(&request).into_owned()
}

/// Sends these bytes and closes the connection.
pub fn says(bytes: impl Into<Vec<u8>>) -> Answer {
    let bytes = bytes.into();
    Box::new(move |stream| {
        let _ = stream.write_all(&bytes);
        let _ = stream.flush();
    })
}

/// A whole answer.
pub fn answers(status: &str, headers: &str, body: &str) -> Answer {
    says(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    ))
}

/// A certificate authority with a certificate for localhost: its PEM, and the configuration of a server.
pub fn certificate() -> (String, Arc<rustls::ServerConfig>) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Example Authority");
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    (pem, Arc::new(config))
}
