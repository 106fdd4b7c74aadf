//! `dsmith` as a program in a folder of its own, set up to collect from a [`Simulator`]: for tests that start it, stop it
//! and kill it.

use simulator::Simulator;
use simulator::key_of;
use simulator::{Client, Service};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The environment variable that the configuration takes the client secret from.
const SECRET: &str = "SIMULATED_CLIENT_SECRET";

/// The program and its folder.
#[derive(Debug, Clone)]
pub struct Collector {
    program: PathBuf,
    folder: PathBuf,
    /// A command that starts the program, such as one that puts it into a namespace.
    before: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Collector {
    /// This program, in this folder, which has to exist.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: folder.into(),
            before: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The same program in another folder, started in the same way.
    pub(crate) fn in_folder(&self, folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            ..self.clone()
        }
    }

    /// Starts the program by this command from now on. The command has to become the program in the end, so that signals
    /// reach it.
    pub(crate) fn set_before(&mut self, command: Vec<String>) {
        self.before = command;
    }

    /// Starts the program with these variables from now on.
    pub(crate) fn set_environment(
        &mut self,
        variables: impl IntoIterator<Item = (&'static str, PathBuf)>,
    ) {
        self.environment = variables.into_iter().collect();
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where destinations write their files.
    pub fn output(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Writes `dsmith.toml`: a log source for each interface of the simulator that has feeds, and these destinations,
    /// each a TOML table in double brackets. All log sources go to all of them.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, simulator: &Simulator, destinations: &str) -> io::Result<()> {
        let names: Vec<&str> = destinations
            .lines()
            .filter_map(|line| line.strip_prefix("name = "))
            .collect();
        let mut text = format!("state_directory = \"state\"\n\n{destinations}\n");
        for service in [Service::SiemApi, Service::MdeApi, Service::Graph] {
            let regions = simulator.regions(service);
            if !regions.is_empty() {
                text += &log_source(service, &regions, &simulator.url(), &names);
            }
        }
        fs::create_dir_all(self.output())?;
        fs::write(self.folder.join("dsmith.toml"), text)
    }

    /// Starts `dsmith run`, with `--once` if it is to end when there is nothing more to collect. What it says goes to a
    /// log in the folder.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, once: bool) -> io::Result<Running> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut command = match self.before.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["run", "-c", "dsmith.toml"])
            .args(once.then_some("--once"))
            .current_dir(&self.folder)
            .env(SECRET, Client::default().secret)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Running {
            child: command.spawn()?,
        })
    }

    /// All that the program has said, over all its runs.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        let bytes = fs::read(self.folder.join("log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines that it has said.
    pub(crate) fn end_of_log(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The files of the output, rotated ones included.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = fs::read_dir(self.output())?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<PathBuf>>>()?;
        // What dsmith keeps beside a file for itself is hidden.
        let is_hidden = |path: &PathBuf| {
            let name = path.file_name();
            name.is_some_and(|name| name.to_string_lossy().starts_with('.'))
        };
        files.retain(|path| !is_hidden(path));
        files.sort();
        Ok(files)
    }

    /// All lines of the output, without their line feeds. A piece behind the last line feed of a file is a line too.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn lines(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut read: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        // Files may be renamed meanwhile: one that was seen under two names counts once, and one that was seen under
        // none makes it begin again.
        while !self.read_all(&mut read)? {
            read.clear();
        }
        let mut lines = Vec::new();
        for text in read.values() {
            let parts = text.split_inclusive(|byte| *byte == b'\n');
            lines.extend(parts.map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec()));
        }
        Ok(lines)
    }

    /// Reads every file, by its number in the file system; tells whether all were there and none has come.
    fn read_all(&self, read: &mut BTreeMap<u64, Vec<u8>>) -> io::Result<bool> {
        let files = self.files()?;
        for path in &files {
            let mut file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                file => file?,
            };
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            read.insert(file.metadata()?.ino(), text);
        }
        Ok(self.files()? == files)
    }
}

fn log_source(service: Service, regions: &[String], url: &str, destinations: &[&str]) -> String {
    let client = Client::default();
    let (protocol, sign_in) = match service {
        Service::Graph => (
            "microsoft-graph-security",
            format!("tenant_id = \"{}\"", client.tenant),
        ),
        Service::MdeApi => (
            "microsoft-defender-endpoint",
            format!(
                "authorization_server_url = \"https://login.microsoftonline.com/{}/oauth2/v2.0/token\"",
                client.tenant
            ),
        ),
        _ => (
            "microsoft-defender-endpoint-siem",
            format!(
                "authorization_server_url = \"https://login.microsoftonline.com/{}/oauth2/token\"\nregion = {regions:?}",
                client.tenant
            ),
        ),
    };
    let mut text = String::new();
    let _ = write!(
        text,
        "
[[log_source]]
identifier = \"{}\"
type = \"microsoft-365-defender\"
protocol = \"{protocol}\"
destinations = [{}]

[log_source.parameters]
{sign_in}
client_id = \"{}\"
client_secret = {{ env = \"{SECRET}\" }}
recurrence = \"1M\"
initial_lookback = \"180D\"
endpoint_override = \"{url}\"
",
        service.name(),
        destinations.join(", "),
        client.id,
    );
    text
}

/// The keys of lines; of what is no alert the text itself, which no ledger knows.
pub fn keys_of(lines: &[Vec<u8>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| key_of(line).unwrap_or_else(|| String::from_utf8_lossy(line).into_owned()))
        .collect()
}

/// The program at work. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end, at most so long.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            let ended = self.ended()?;
            if ended.is_some() || begun.elapsed() > at_most {
                return Ok(ended);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to stop, with SIGTERM.
    ///
    /// # Errors
    /// If there is no program `kill`.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal("TERM")
    }

    /// Sends it a signal by its name.
    ///
    /// # Errors
    /// If there is no program `kill`.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        // The standard library sends SIGKILL only.
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status()?;
        Ok(())
    }

    /// Kills it, with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
