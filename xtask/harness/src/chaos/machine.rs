//! What an adversary needs of the machine: a small disk, a clock and a name that can be changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name that the receiver is known by.
pub(super) const RECEIVER: &str = "receiver.chaos.example";

/// Room for the state, in megabytes.
const DISK: u32 = 24;

/// A file system of its own for the state, in memory. It goes away when this is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts it at a folder, which is made.
    pub(super) fn mount(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let size = format!("size={DISK}m,mode=0700");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&folder))?;
        Ok(Self { folder })
    }

    /// Takes all the room that is left.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut file = File::create(self.filler())?;
        let block = [0; 64 * 1024];
        loop {
            match file.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it back.
    pub(super) fn empty(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    /// Makes it read-only, or writable again. Nobody may write to it at that moment.
    pub(super) fn remount(&self, is_read_only: bool) -> io::Result<()> {
        let how = if is_read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        run(Command::new("mount").args(["-o", how]).arg(&self.folder))
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}

/// The clock of the program, through a library that is loaded before all others (libfaketime). Waiting goes by the true
/// clock.
#[derive(Debug)]
pub(super) struct FakedClock {
    library: PathBuf,
    /// Says how far the clock is off.
    file: PathBuf,
}

impl FakedClock {
    pub(super) fn new(library: PathBuf, folder: &Path) -> io::Result<Self> {
        let clock = Self {
            library,
            file: folder.join("clock"),
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// Puts the clock so many seconds ahead.
    pub(super) fn set(&self, seconds: i64) -> io::Result<()> {
        // In one step, so that nobody reads half a number.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n"))?;
        fs::rename(next, &self.file)
    }

    /// What the program has to be started with.
    pub(super) fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}

/// Names of machines as the program sees them: a file in the place of `/etc/hosts`, in a mount namespace of its own.
#[derive(Debug)]
pub(super) struct Names(PathBuf);

impl Names {
    /// Fails where namespaces cannot be made.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        run(Command::new("unshare").args(["--mount", "true"]))?;
        Ok(Self(folder.join("hosts")))
    }

    /// Says where the receiver is from now on. The file is written in place, because it is what was mounted.
    pub(super) fn receiver_is_at(&self, address: IpAddr) -> io::Result<()> {
        let text = format!("127.0.0.1 localhost\n{address} {RECEIVER}\n");
        fs::write(&self.0, text)
    }

    /// What has to stand before a command so that it sees these names.
    pub(super) fn before(&self) -> Vec<String> {
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let hosts = self.0.display().to_string();
        ["unshare", "--mount", "sh", "-c", script, &hosts]
            .map(str::to_owned)
            .to_vec()
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.trim().to_owned()))
}
