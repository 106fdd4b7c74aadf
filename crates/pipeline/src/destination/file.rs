//! Events to a file, with rotation by size and time.

use super::{Batch, Destination, Outcome};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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
    /// Who may read and write the file, as for `chmod`. One that was more open is tightened.
    pub mode: u32,
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
            file: LineFile::new(options.path.clone(), options.mode),
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
            // Another one, and not only a later one: the clock may have been set back.
            .is_some_and(|(every, period)| every.begin(now) != period);
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

/// A file that gets whole lines only.
///
/// A crash may leave a part of a line at its end. The position did not move over it, so its event comes again, and the
/// part is cut off. What others have written is never cut: a line of theirs without a line feed gets one.
#[derive(Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    /// Who may read and write it.
    mode: u32,
    file: Option<File>,
    /// Bytes in it; 0 for a pipe or a device, which is never full.
    size: u64,
    is_regular: bool,
    intent: Intent,
}

impl LineFile {
    pub(super) fn new(path: PathBuf, mode: u32) -> Self {
        Self {
            intent: Intent::beside(&path),
            path,
            mode,
            file: None,
            size: 0,
            is_regular: false,
        }
    }

    /// Opens the file if it is not open, or no longer the one that the path names, and makes its end the end of a line.
    /// Tells whether it was opened.
    fn open(&mut self) -> io::Result<bool> {
        if let Some(mut file) = self.file.take() {
            let ours = file.metadata()?;
            match fs::metadata(&self.path) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                    if self.is_regular && there.len() != self.size {
                        // Somebody else writes into it too, or has emptied it.
                        self.size = self.mend_end(&mut file)?;
                    }
                    self.file = Some(file);
                    return Ok(false);
                }
                // Somebody moved it away: a new one begins.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let parent = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        if let Some(parent) = parent {
            DirBuilder::new()
                .recursive(true)
                .mode(folder_mode(self.mode))
                .create(parent)?;
        }
        let existed = self.path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(self.mode)
            .open(&self.path)?;
        self.size = 0;
        self.is_regular = file.metadata()?.is_file();
        if self.is_regular {
            self.restrict(&file, existed)?;
            self.size = self.mend_end(&mut file)?;
        }
        if !existed {
            sync_folder(&self.path)?;
        }
        self.file = Some(file);
        Ok(true)
    }

    /// Takes rights from those who are not to read the file.
    fn restrict(&self, file: &File, existed: bool) -> io::Result<()> {
        let found = file.metadata()?.permissions().mode() & 0o777;
        let wanted = if existed {
            found & self.mode
        } else {
            self.mode
        };
        if found == wanted {
            return Ok(());
        }
        match file.set_permissions(Permissions::from_mode(wanted)) {
            Ok(()) if existed => tracing::warn!(
                file = %self.path.display(),
                "others could read this file: its mode was {found:o} and is {wanted:o} now (`mode` says otherwise)"
            ),
            Ok(()) => {}
            // It belongs to somebody else, who has decided so.
            Err(error) => tracing::warn!(
                file = %self.path.display(),
                "the mode of this file is {found:o} and cannot be made {wanted:o}: {error}"
            ),
        }
        Ok(())
    }

    /// Makes the end of the file the end of a line, and returns where it is.
    fn mend_end(&self, file: &mut File) -> io::Result<u64> {
        let metadata = file.metadata()?;
        let size = metadata.len();
        let whole = end_of_last_line(file, size)?;
        if whole == size {
            return Ok(size);
        }
        if self.intent.covers(&metadata, whole..size) {
            tracing::warn!(
                file = %self.path.display(),
                bytes = size - whole,
                "an unfinished line at the end of the file was cut off; its event is delivered again"
            );
            file.set_len(whole)?;
            return Ok(whole);
        }
        tracing::warn!(
            file = %self.path.display(),
            "the last line of the file has no line feed and is not known to be ours: it stays, and gets one"
        );
        file.write_all(b"\n")?;
        Ok(size + 1)
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
        if self.is_regular {
            let metadata = file.metadata()?;
            self.intent
                .declare(&metadata, self.size..self.size + lines.len() as u64);
        }
        if let Err((written, error)) = write_counted(file, lines) {
            let ours = self.size + written;
            // Where others have written meanwhile, or this fails too, opening it the next time looks at its end.
            if self.is_regular
                && file.metadata().is_ok_and(|now| now.len() == ours)
                && file.set_len(self.size).is_ok()
            {
                self.intent.done();
            }
            self.close();
            return Err(error);
        }
        if self.is_regular {
            self.size += lines.len() as u64;
            self.intent.done();
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

/// Who may enter a folder: whoever may read the files in it.
fn folder_mode(file: u32) -> u32 {
    file | 0o100 | (file & 0o044) >> 2
}

/// Writes all bytes; an error says how many had been written before it.
fn write_counted(file: &mut File, bytes: &[u8]) -> Result<(), (u64, io::Error)> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((written as u64, ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((written as u64, error)),
        }
    }
    Ok(())
}

/// What we are about to write into a file, noted beside it before we do: after a crash it tells our half line from the
/// last line of somebody else. It survives the process, not the machine; where it is lost, nothing is cut.
#[derive(Debug)]
struct Intent {
    path: PathBuf,
    file: Option<File>,
}

impl Intent {
    /// Of `events.log` it is `.events.log.dsmith`.
    fn beside(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self {
            path: path.with_file_name(format!(".{name}.dsmith")),
            file: None,
        }
    }

    /// Notes that these bytes of a file will be ours. Without a place for the note there is none.
    fn declare(&mut self, of: &Metadata, bytes: Range<u64>) {
        if self.file.is_none() {
            self.file = open_private(&self.path).ok();
        }
        self.note([of.dev(), of.ino(), bytes.start, bytes.end]);
    }

    /// Clears the note of what is being written: the batch is complete.
    fn done(&mut self) {
        self.note([0; 4]);
    }

    fn note(&mut self, numbers: [u64; 4]) {
        let Some(file) = &self.file else { return };
        // Of one length, so that each note covers the one before.
        let [dev, ino, start, end] = numbers;
        let note = format!("{dev:>20} {ino:>20} {start:>20} {end:>20}\n");
        if file.write_all_at(note.as_bytes(), 0).is_err() {
            self.file = None;
        }
    }

    /// Whether these bytes at the end of a file are of what we were writing last.
    fn covers(&self, of: &Metadata, bytes: Range<u64>) -> bool {
        let Ok(text) = fs::read_to_string(&self.path) else {
            return false;
        };
        let numbers: Vec<u64> = text
            .split_ascii_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        matches!(*numbers, [dev, ino, start, end]
            if (dev, ino) == (of.dev(), of.ino()) && start <= bytes.start && bytes.end <= end)
    }
}

/// Opens a file of our own for writing; a link in its place is not followed.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
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

/// Renames the file to `events-20261125T154200.123Z.log`, with a counter if there is one of that name. Where the clock was
/// set back, it gets the time of the newest one: the order of the names is the order of the files.
fn rotate(path: &Path, now: DateTime<Utc>) -> io::Result<()> {
    let (before, after) = name_parts(path);
    let now = now.format("%Y%m%dT%H%M%S%.3fZ").to_string();
    let newest = rotated(path)?.pop();
    let (stamp, mut counter) = match newest {
        Some((Stamp { time, counter }, _)) if time >= now => (time, counter + 1),
        _ => (now, 1),
    };
    loop {
        let suffix = match counter {
            1 => String::new(),
            _ => format!(".{counter:04}"),
        };
        let target = path.with_file_name(format!("{before}{stamp}{suffix}{after}"));
        if fs::symlink_metadata(&target).is_err() {
            fs::rename(path, target)?;
            return sync_folder(path);
        }
        counter += 1;
    }
}

/// What [`rotate`] puts into a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    time: String,
    counter: u64,
}

impl Stamp {
    /// Reads it, if it is one and not a part of somebody else's name.
    fn read(text: &str) -> Option<Self> {
        const SHAPE: &str = "00000000T000000.000Z";
        let (time, rest) = text.split_at_checked(SHAPE.len())?;
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        let counter = match rest.strip_prefix('.') {
            None if rest.is_empty() => 1,
            Some(digits) if digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            _ => return None,
        };
        (shape == SHAPE).then(|| Self {
            time: time.to_owned(),
            counter,
        })
    }
}

/// The rotated files of a file, oldest first.
fn rotated(path: &Path) -> io::Result<Vec<(Stamp, PathBuf)>> {
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
        if let Some(stamp) = stamp.and_then(Stamp::read) {
            rotated.push((stamp, entry.path()));
        }
    }
    rotated.sort();
    Ok(rotated)
}

/// Removes the oldest rotated files beyond a number of them.
fn remove_oldest(path: &Path, keep: usize) -> io::Result<()> {
    let rotated = rotated(path)?;
    let surplus = rotated.len().saturating_sub(keep);
    for (_, path) in &rotated[..surplus] {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_rotation_gives_are_removed() {
        let read = |text: &str| Stamp::read(text).map(|stamp| stamp.counter);
        assert_eq!(read("20261125T154200.123Z"), Some(1));
        assert_eq!(read("20261125T154200.123Z.0002"), Some(2));
        assert_eq!(read("20261125T154200.123Z.10000"), Some(10_000));
        for other in [
            "2026",
            "20261125T154200.123Z.old",
            "copy",
            "20261125T154200.123Z.02",
            "20261125T154200.12\u{e9}Z",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
