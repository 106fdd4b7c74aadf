//! Programs of others, started in a folder of their own on ports of this machine.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program of others.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    /// Where it was unpacked, if it is not installed.
    root: Option<PathBuf>,
}

impl Program {
    /// Where the program is: unpacked by `.ci/run` below the target folder, or installed. Daemons are often not in the
    /// path of those who are not root.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let root = target.with_file_name("receivers");
        let unpacked = ["usr/sbin", "usr/bin"].map(|folder| root.join(folder).join(name));
        if let Some(path) = unpacked.into_iter().find(|file| file.is_file()) {
            let root = Some(root);
            return Some(Self { path, root });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let installed = std::env::split_paths(&path)
            .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())?;
        // Where AppArmor knows a program by its path, it may only touch what a system's own service needs. The copy is
        // made before there are threads, which could start others while it is open.
        let path = target.join(name);
        fs::copy(installed, &path).unwrap();
        Some(Self { path, root: None })
    }

    /// Starts it as it is.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// rsyslog with a configuration, which is written into a folder.
    pub(crate) fn rsyslog(&self, folder: &Path, configuration: &str) -> Command {
        fs::write(folder.join("rsyslog.conf"), configuration).unwrap();
        let mut command = self.command();
        // Without a file for its process id.
        command.args(["-n", "-f", "rsyslog.conf", "-iNONE"]);
        if let Some(modules) = self.part("lmnet.so") {
            command.arg("-M").arg(modules);
        }
        command
    }

    /// syslog-ng in the same way.
    pub(crate) fn syslog_ng(&self, folder: &Path, configuration: &str) -> Command {
        fs::write(folder.join("syslog-ng.conf"), configuration).unwrap();
        let mut command = self.command();
        command.args(["-F", "--no-caps", "-f", "syslog-ng.conf"]);
        command.args(["-R", "ng.persist", "-p", "ng.pid", "-c", "ng.ctl"]);
        if let Some(libraries) = self.part("libsyslog-ng-") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if let Some(modules) = self.part("libafsocket.so") {
            command.arg("--module-path").arg(modules);
        }
        command
    }

    /// Whether a part of it is there, beside it or where systems have it.
    pub(crate) fn has(&self, name: &str) -> bool {
        let installed = || folder_with(Path::new("/usr/lib"), name);
        match &self.root {
            Some(_) => self.part(name).is_some(),
            None => installed().is_some(),
        }
    }

    /// The folder with a file of this name, if the program was unpacked: it does not find its own parts then.
    pub(crate) fn part(&self, start: &str) -> Option<PathBuf> {
        folder_with(&self.root.as_ref()?.join("usr/lib"), start)
    }
}

/// The folder below this one that has a file with a name that begins like this.
fn folder_with(folder: &Path, start: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let is_it = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        path.is_file() && name.is_some_and(|name| name.starts_with(start))
    };
    if entries.iter().any(is_it) {
        return Some(folder.to_owned());
    }
    let mut folders = entries.iter().filter(|path| path.is_dir());
    folders.find_map(|folder| folder_with(folder, start))
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A program at work; it ends when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it.
    pub(crate) fn begin(command: &mut Command, folder: &Path) -> Self {
        let log = folder.join("daemon.log");
        let file = fs::File::create(&log).unwrap();
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Starts it and waits until it listens on its port.
    pub(crate) fn start(command: &mut Command, folder: &Path, port: u16) -> Self {
        let mut daemon = Self::begin(command, folder);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = daemon.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(20),
                "the program does not listen on port {port} ({ended:?}): {}",
                daemon.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    /// What it wrote to its outputs.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, so that it writes what it has, and waits for that.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(30)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority and a certificate for this machine, as files `ca.pem`, `server.pem` and `server.key`.
pub(crate) fn write_certificates(folder: &Path) -> io::Result<()> {
    let key = || rcgen::KeyPair::generate().map_err(io::Error::other);
    let mut authority = rcgen::CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "authority of a test");
    let authority_key = key()?;
    let certificate = authority
        .self_signed(&authority_key)
        .map_err(io::Error::other)?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let server_key = key()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = rcgen::CertificateParams::new(names)
        .and_then(|server| server.signed_by(&server_key, &issuer))
        .map_err(io::Error::other)?;
    fs::write(folder.join("ca.pem"), certificate.pem())?;
    fs::write(folder.join("server.pem"), server.pem())?;
    fs::write(folder.join("server.key"), server_key.serialize_pem())
}
