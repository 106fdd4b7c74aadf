//! A broker of others on loopback, which speaks Kafka's protocol, and a client of others for it.
//!
//! Both come from packages of Python, which `.ci/run` unpacks beside what cargo builds. The broker keeps everything in
//! memory: when it ends, topics, records and offsets are gone.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take until the broker listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct BrokerPrograms {
    broker: PathBuf,
    python: PathBuf,
}

impl BrokerPrograms {
    /// The programs below `receivers/kafka` in cargo's target folder; `None` where they were not unpacked.
    pub fn find(target: &Path) -> Option<Self> {
        let folder = target.join("receivers/kafka");
        let programs = Self {
            broker: folder.join("tansu"),
            python: folder.join("python/bin/python"),
        };
        (programs.broker.is_file() && programs.python.is_file()).then_some(programs)
    }

    /// A script in Python, in which `confluent_kafka` can be imported. It gets these arguments.
    pub fn script(&self, text: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command
            .arg("-c")
            .arg(text)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }
}

/// A broker at work. It is killed when this is dropped.
#[derive(Debug)]
pub struct Broker {
    programs: BrokerPrograms,
    child: Child,
    port: u16,
}

impl Broker {
    /// Starts a broker on a free port of loopback and waits until it listens. What it says goes to a file.
    ///
    /// # Errors
    /// If it cannot be started, or does not listen in time.
    pub fn start(programs: &BrokerPrograms, log: &Path) -> io::Result<Self> {
        // It cannot choose a port itself, because it tells its port to clients.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Self::start_on(programs, log, port, port)
    }

    /// The same for a broker that clients are to reach by another port, where somebody stands before it.
    ///
    /// # Errors
    /// If it cannot be started, or does not listen in time.
    pub fn start_behind(programs: &BrokerPrograms, log: &Path, front: u16) -> io::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Self::start_on(programs, log, port, front)
    }

    fn start_on(programs: &BrokerPrograms, log: &Path, port: u16, told: u16) -> io::Result<Self> {
        let url = format!("tcp://127.0.0.1:{port}");
        let told = format!("tcp://127.0.0.1:{told}");
        let log = File::create(log)?;
        let child = Command::new(&programs.broker)
            .args(["broker", "--storage-engine", "memory://tansu/"])
            .args(["--listener-url", &url, "--advertised-listener-url", &told])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut broker = Self {
            programs: programs.clone(),
            child,
            port,
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = broker.child.try_wait()? {
                return Err(io::Error::other(format!("the broker ended: {status}")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// If the broker does not make it.
    pub fn topic(&self, name: &str, partitions: u32) -> io::Result<()> {
        let made = Command::new(&self.programs.broker)
            .args(["topic", "create", "--broker"])
            .arg(format!("tcp://{}", self.address()))
            .args(["--partitions", &partitions.to_string(), name])
            .stdin(Stdio::null())
            .output()?;
        if made.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        Err(io::Error::other(said))
    }

    /// Stops it where it is: connections stay, and nobody answers.
    ///
    /// # Errors
    /// If there is no program `kill`.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If there is no program `kill`.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> io::Result<()> {
        // The standard library sends SIGKILL only.
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status()?;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
