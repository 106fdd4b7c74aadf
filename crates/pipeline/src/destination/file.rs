//! Events to a file, with rotation by size and time.

use super::{Batch, Destination, Outcome};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// When a new file begins by the clock, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Every hour.
    Hour,
    /// Every day.
    Day,
}

impl Period {
    /// The beginning of the period that a time is in.
    fn begin(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let length = match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        };
        time.duration_trunc(length).unwrap_or(time)
    }
}

/// When what was written is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Before the position moves: a power failure loses nothing.
    #[default]
    Batch,
    /// When the system likes: a power failure may lose what was written last. Killing the process loses nothing.
    Never,
}

/// A file destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The file.
    pub path: PathBuf,
    /// A new file begins before this one would have more bytes.
    pub rotate_bytes: Option<u64>,
    /// A new file begins with each period.
    pub rotate_every: Option<Period>,
    /// How many full files are kept; nothing keeps all.
    pub keep: Option<usize>,
    /// When it is forced to the disk.
    pub sync: Sync,
}

/// Writes lines to a file.
#[derive(Debug)]
pub struct FileDestination {
    options: FileOptions,
    file: LineFile,
    /// The period that the lines in the file belong to; nothing if it is not known or does not matter.
    period: Option<DateTime<Utc>>,
}

impl FileDestination {
    /// A destination that writes to a file. It is opened when there is something to write.
    pub fn new(options: FileOptions) -> Self {
        Self {
            file: LineFile::new(options.path.clone()),
            options,
            period: None,
        }
    }

    fn write(&mut self, bytes: &[u8], now: DateTime<Utc>) -> io::Result<()> {
        let opened = self.file.open()?;
        if let (true, Some(period)) = (opened, self.options.rotate_every) {
            // The lines that are there were written by another process.
            self.period = self.file.modified().map(|time| period.begin(time));
        }
        if self.is_full(bytes.len() as u64, now) {
            self.file.close();
            rotate(&self.options.path, now)?;
            self.file.open()?;
            self.period = None;
            if let Some(keep) = self.options.keep {
                remove_oldest(&self.options.path, keep)?;
            }
        }
        if let Some(period) = self.options.rotate_every {
            self.period = Some(period.begin(now));
        }
        self.file.append(bytes)?;
        match self.options.sync {
            Sync::Batch => self.file.sync(),
            Sync::Never => Ok(()),
        }
    }

    fn is_full(&self, more: u64, now: DateTime<Utc>) -> bool {
        let size = self.file.size();
        if size == 0 {
            return false;
        }
        let by_size = self
            .options
            .rotate_bytes
            .is_some_and(|limit| size + more > limit);
        let by_time = self
            .options
            .rotate_every
            .zip(self.period)
            .is_some_and(|(every, period)| every.begin(now) > period);
        by_size || by_time
    }
}

impl Destination for FileDestination {
    fn send(&mut self, batch: &Batch, now: DateTime<Utc>) -> Outcome {
        match self.write(&batch.bytes, now) {
            Ok(()) => Outcome::Accepted(Vec::new()),
            Err(error) => {
                self.file.close();
                let path = self.options.path.display();
                Outcome::Unavailable(format!("cannot write {path}: {error}"))
            }
        }
    }

    fn finish(&mut self) -> usize {
        self.file.close();
        0
    }
}

/// A file that holds whole lines only.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    file: Option<File>,
    /// Bytes in it; 0 for a pipe or a device, which is never full.
    size: u64,
    is_regular: bool,
}

impl LineFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            size: 0,
            is_regular: false,
        }
    }

    /// Opens the file if it is not open, or no longer the one that the path names, and cuts off a line that a crash left
    /// unfinished: the position did not move over it, so it comes again. Tells whether it was opened.
    fn open(&mut self) -> io::Result<bool> {
        if let Some(file) = &self.file {
            let ours = file.metadata()?;
            match fs::metadata(&self.path) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(false);
                }
                // Somebody moved it away: a new one begins.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.file = None;
        let parent = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        if let Some(parent) = parent {
            fs::create_dir_all(parent)?;
        }
        let existed = self.path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)?;
        self.size = 0;
        self.is_regular = file.metadata()?.is_file();
        if self.is_regular {
            let size = file.metadata()?.len();
            let whole = end_of_last_line(&mut file, size)?;
            if whole < size {
                tracing::warn!(
                    file = %self.path.display(),
                    bytes = size - whole,
                    "an unfinished line at the end of the file was cut off; its event is delivered again"
                );
                file.set_len(whole)?;
            }
            self.size = whole;
        }
        if !existed {
            sync_folder(&self.path)?;
        }
        self.file = Some(file);
        Ok(true)
    }

    fn close(&mut self) {
        self.file = None;
        self.size = 0;
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn modified(&self) -> Option<DateTime<Utc>> {
        let metadata = self.file.as_ref()?.metadata().ok()?;
        metadata.modified().ok().map(Into::into)
    }

    /// Appends whole lines: all of them, or none.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.open()?;
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the file is not open"));
        };
        if let Err(error) = file.write_all(lines) {
            // Where this fails too, opening it the next time cuts what is not whole.
            let _ = file.set_len(self.size);
            self.close();
            return Err(error);
        }
        if self.is_regular {
            self.size += lines.len() as u64;
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.file {
            Some(file) => match file.sync_data() {
                // A pipe or a terminal cannot be synced, and need not.
                Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
                result => result,
            },
            None => Ok(()),
        }
    }
}

/// Where the last line feed ends.
fn end_of_last_line(file: &mut File, size: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut end = size;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        Read::by_ref(file)
            .take(end - start)
            .read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Makes a new or a renamed file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// What stands before and behind the stamp in the names of rotated files: `events` and `.log` of `events.log`.
fn name_parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .map(|text| format!(".{}", text.to_string_lossy()));
    (format!("{stem}-"), extension.unwrap_or_default())
}

/// Renames the file to `events-20261125T154200.123Z.log`, with a counter if there is one of that name.
fn rotate(path: &Path, now: DateTime<Utc>) -> io::Result<()> {
    let (before, after) = name_parts(path);
    let stamp = now.format("%Y%m%dT%H%M%S%.3fZ");
    for counter in 1.. {
        let counter = if counter == 1 {
            String::new()
        } else {
            format!(".{counter:04}")
        };
        let target = path.with_file_name(format!("{before}{stamp}{counter}{after}"));
        if !target.exists() {
            fs::rename(path, target)?;
            return sync_folder(path);
        }
    }
    Ok(())
}

/// Removes the oldest rotated files beyond a number of them.
fn remove_oldest(path: &Path, keep: usize) -> io::Result<()> {
    let (before, after) = name_parts(path);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut rotated = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let stamp = name
            .strip_prefix(&before)
            .and_then(|rest| rest.strip_suffix(&after));
        if let Some(stamp) = stamp.filter(|stamp| is_stamp(stamp)) {
            rotated.push((stamp.to_owned(), entry.path()));
        }
    }
    rotated.sort();
    let surplus = rotated.len().saturating_sub(keep);
    for (_, path) in &rotated[..surplus] {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether a text is what [`rotate`] puts into a name, and not a part of somebody else's.
fn is_stamp(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let stamp = "00000000T000000.000Z";
    shape == stamp
        || shape
            .strip_prefix(stamp)
            .is_some_and(|counter| counter == ".0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_rotation_gives_are_removed() {
        assert!(is_stamp("20261125T154200.123Z"));
        assert!(is_stamp("20261125T154200.123Z.0002"));
        for other in [
            "2026",
            "20261125T154200.123Z.old",
            "copy",
            "20261125T154200.123Z.02",
        ] {
            assert!(!is_stamp(other), "{other}");
        }
    }
}
