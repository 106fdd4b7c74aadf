//! A gate before a broker that lets everybody in: who wants to sign in needs the right password or token. Who does not
//! want to sign in passes, so that a test can write while nobody may read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Kafka's numbers of the requests that the gate answers itself.
const HANDSHAKE: [u8; 2] = [0, 17];
const AUTHENTICATE: [u8; 2] = [0, 36];

/// The error SASL_AUTHENTICATION_FAILED.
const REFUSED: i16 = 58;

/// A gate. Its thread ends with the test program.
#[derive(Clone)]
pub(crate) struct Gate(Arc<State>);

struct State {
    port: u16,
    broker: Mutex<String>,
    admits: Mutex<Admits>,
    open: Mutex<Vec<TcpStream>>,
}

/// Whether this is what somebody may sign in with.
type Admits = Box<dyn Fn(&str) -> bool + Send>;

impl Gate {
    /// Opens it. Nobody may sign in yet.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let state = Arc::new(State {
            port: listener.local_addr().unwrap().port(),
            broker: Mutex::default(),
            admits: Mutex::new(Box::new(|_| false)),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A connection that breaks is the client's affair.
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Self(state)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// The broker behind it.
    pub(crate) fn lead_to(&self, broker: String) {
        *self.0.broker.lock().unwrap() = broker;
    }

    /// From now on only these may sign in. All connections are cut, as a broker does when a key is renewed.
    pub(crate) fn admit(&self, admits: impl Fn(&str) -> bool + Send + 'static) {
        *self.0.admits.lock().unwrap() = Box::new(admits);
        for stream in self.0.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut broker = TcpStream::connect(&*self.broker.lock().unwrap())?;
        self.open.lock().unwrap().push(client.try_clone()?);
        let (mut from, mut to) = (broker.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        // While it signs in a client sends nothing else, so that answers cannot overtake each other.
        while let Some(request) = read(&mut client)? {
            match request.get(..2) {
                Some(key) if key == HANDSHAKE => {
                    // No error, and two mechanisms.
                    answer(
                        &mut client,
                        &request,
                        b"\0\0\0\0\0\x02\0\x05PLAIN\0\x0bOAUTHBEARER",
                    )?;
                }
                Some(key) if key == AUTHENTICATE => {
                    let shown = String::from_utf8_lossy(&request).into_owned();
                    let admits = (self.admits.lock().unwrap())(&shown);
                    let (code, said) = match admits {
                        true => (0, String::new()),
                        // Brokers repeat too much sometimes.
                        false => (REFUSED, format!("not admitted: {}", secret(&shown))),
                    };
                    let mut body = code.to_be_bytes().to_vec();
                    body.extend(u16::try_from(said.len()).unwrap().to_be_bytes());
                    body.extend(said.as_bytes());
                    // No data; and from the first version on, no end of the session.
                    body.extend([0; 4]);
                    if request.get(2..4) != Some(&[0, 0]) {
                        body.extend([0; 8]);
                    }
                    answer(&mut client, &request, &body)?;
                    if !admits {
                        break;
                    }
                }
                _ => {
                    broker.write_all(&u32::try_from(request.len()).unwrap().to_be_bytes())?;
                    broker.write_all(&request)?;
                }
            }
        }
        broker.shutdown(Shutdown::Both)
    }
}

/// The password in what was shown.
fn secret(shown: &str) -> &str {
    shown.rsplit('\0').next().unwrap_or_default()
}

fn read(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if let Err(error) = client.read_exact(&mut length) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    client.read_exact(&mut request)?;
    Ok(Some(request))
}

/// An answer begins with the number that the request has behind its key and version.
fn answer(client: &mut TcpStream, request: &[u8], body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 4).unwrap();
    client.write_all(&length.to_be_bytes())?;
    client.write_all(request.get(4..8).unwrap_or_default())?;
    client.write_all(body)
}
