//! The database file: its format, who may use it, and what is wrong when it cannot be used.

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The format of the state that this program reads and writes.
pub const FORMAT: u32 = 1;

/// SQLite's application id: `dsmi`. It tells our file from any other database.
const APPLICATION: i32 = 0x6473_6d69;
const DATABASE: &str = "state.db";
const LOCK: &str = "lock";
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(40);
const PAGE_BYTES: i64 = 16 << 10;
/// Free pages that a file may keep for the next burst: 64 MiB.
const SPARE_PAGES: i64 = 4096;
/// Pages that are given back at a time, so that delivery never waits for long.
const SHRINK_PAGES: i64 = 512;

const SCHEMA: &str = "
CREATE TABLE log_source (
    id INTEGER PRIMARY KEY,
    identifier TEXT NOT NULL UNIQUE,
    next_sequence INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE lane (
    log_source INTEGER NOT NULL,
    name TEXT NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (log_source, name)
) WITHOUT ROWID;
CREATE TABLE position (
    log_source INTEGER NOT NULL,
    destination TEXT NOT NULL,
    next INTEGER NOT NULL,
    keep INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (log_source, destination)
) WITHOUT ROWID;
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    log_source INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    received INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    payloads BLOB NOT NULL
);
CREATE INDEX chunk_order ON chunk (log_source, next, bytes);
";

/// The state cannot be used, or not now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The spool has reached its limit.
    #[error(
        "the spool is full: {waiting} of {limit} bytes wait for delivery; collection pauses until destinations accept \
         events (raise `limits.spool` if they are only slow)"
    )]
    Full {
        /// Bytes that wait.
        waiting: u64,
        /// The limit.
        limit: u64,
    },
    /// What a log source may hold in memory is held.
    #[error(
        "{events} events with {bytes} bytes wait in memory for delivery, which is what this log source may hold; \
         collection pauses until destinations accept events (raise `limits.memory` and `limits.memory_events` if they \
         are only slow)"
    )]
    MemoryFull {
        /// Bytes that wait.
        bytes: u64,
        /// Events that wait.
        events: u64,
    },
    /// The file system has no room.
    #[error(
        "the disk of {} is nearly full: {available} bytes are free; collection pauses until there is room \
         (`limits.free_disk` says how much)", dir.display()
    )]
    DiskFull {
        /// The state directory.
        dir: PathBuf,
        /// Bytes that are free.
        available: u64,
    },
    /// Another process has the directory.
    #[error(
        "the state directory {} is in use by process {process}: stop it first, or give this one another \
         `state_directory`", dir.display()
    )]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// Its process id, as far as known.
        process: String,
    },
    /// A later version wrote the state.
    #[error(
        "the state in {} has format {found}, and this program reads format {FORMAT}: run the version of dsmith that \
         wrote it, or give this one another `state_directory`", dir.display()
    )]
    Newer {
        /// The state directory.
        dir: PathBuf,
        /// The format that was found.
        found: u32,
    },
    /// There is no state where one is asked for.
    #[error("there is no state in {}: nothing has run with this `state_directory` yet", dir.display())]
    Absent {
        /// The state directory.
        dir: PathBuf,
    },
    /// What is there cannot be read.
    #[error(
        "the state in {} cannot be read: {reason}; restore {DATABASE} from a copy, or move it away: what waits in it \
         is then not delivered, and collection begins anew", dir.display()
    )]
    Damaged {
        /// The state directory.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the state in {} cannot be used: {reason}", dir.display())]
    Io {
        /// The state directory.
        dir: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Whether it is worth trying again later without anybody repairing something first: the state is whole.
    pub fn is_pause(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::MemoryFull { .. } | Self::DiskFull { .. }
        )
    }

    pub(super) fn sqlite(dir: &Path, error: &rusqlite::Error) -> Self {
        let dir = dir.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull {
                available: available(&dir).unwrap_or(0),
                dir,
            },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged {
                dir,
                reason: error.to_string(),
            },
            _ => Self::Io {
                dir,
                reason: error.to_string(),
            },
        }
    }

    fn io(dir: &Path, error: &std::io::Error) -> Self {
        Self::Io {
            dir: dir.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// A lock on the directory; the system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(
    #[expect(dead_code, reason = "the lock lives as long as the file is open")] File,
);

pub(super) struct Opened {
    pub(super) lock: Lock,
    pub(super) writer: Connection,
    pub(super) reader: Connection,
}

pub(super) fn open(dir: &Path) -> Result<Opened, StoreError> {
    make_folder(dir).map_err(|error| StoreError::io(dir, &error))?;
    let lock = lock(dir)?;
    let writer = connect(
        dir,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    prepare(dir, &writer)?;
    let reader = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Ok(Opened {
        lock,
        writer,
        reader,
    })
}

/// Payloads wait here, so a folder that we make is its owner's alone.
fn make_folder(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(dir)
}

/// Opens what is there for looking only.
pub(super) fn open_to_read(dir: &Path) -> Result<Connection, StoreError> {
    if !dir.join(DATABASE).is_file() {
        return Err(StoreError::Absent {
            dir: dir.to_owned(),
        });
    }
    let connection = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let format = format(dir, &connection)?;
    match format {
        Some(FORMAT) => Ok(connection),
        _ => Err(StoreError::Absent {
            dir: dir.to_owned(),
        }),
    }
}

/// Whether a process holds the directory, and which.
pub(super) fn holder(dir: &Path) -> Option<String> {
    let mut file = File::open(dir.join(LOCK)).ok()?;
    flock(&file, FlockOperation::NonBlockingLockShared)
        .is_err()
        .then(|| process(&mut file))
}

/// What a lock file says about who holds it.
fn process(file: &mut File) -> String {
    let mut text = String::new();
    // The number is a courtesy; that the lock is held is known without it.
    let _ = file.take(32).read_to_string(&mut text);
    match text.trim() {
        "" => "unknown".to_owned(),
        number => number.to_owned(),
    }
}

fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join(LOCK))
        .map_err(|error| StoreError::io(dir, &error))?;
    // Somebody who only looks holds it for a moment.
    let mut tries = 0;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        tries += 1;
        if tries == LOCK_TRIES {
            return Err(StoreError::InUse {
                dir: dir.to_owned(),
                process: process(&mut file),
            });
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    let _ = file.set_len(0);
    let _ = write!(file, "{}", std::process::id());
    Ok(Lock(file))
}

fn connect(dir: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let error = |error| StoreError::sqlite(dir, &error);
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(DATABASE), flags).map_err(error)?;
    connection
        .busy_timeout(Duration::from_secs(10))
        .map_err(error)?;
    connection
        .pragma_update(None, "cache_size", -8192)
        .map_err(error)?;
    Ok(connection)
}

/// The format of the state; nothing if the database is empty.
fn format(dir: &Path, connection: &Connection) -> Result<Option<u32>, StoreError> {
    let pragma = |name: &str| -> Result<i32, StoreError> {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|error| StoreError::sqlite(dir, &error))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    match (application, u32::try_from(version).unwrap_or(0)) {
        (0, 0) if pragma("page_count")? == 0 => Ok(None),
        (APPLICATION, found) if found > FORMAT => Err(StoreError::Newer {
            dir: dir.to_owned(),
            found,
        }),
        (APPLICATION, found) if found > 0 => Ok(Some(found)),
        _ => Err(StoreError::Damaged {
            dir: dir.to_owned(),
            reason: format!("{DATABASE} is a database of another program"),
        }),
    }
}

fn prepare(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    let new = format(dir, connection)?.is_none();
    let run = || -> rusqlite::Result<()> {
        if new {
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        // A commit is durable when it returns: the log is synced, the database at checkpoints.
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 1024)?;
        if new {
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {SCHEMA}
                 PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
            ))?;
        }
        Ok(())
    };
    run().map_err(|error| StoreError::sqlite(dir, &error))
}

/// Gives back some free pages, if there are more than a burst needs.
pub(super) fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let free = pragma("freelist_count")?;
    if free <= SPARE_PAGES || free * 2 < pragma("page_count")? {
        return Ok(());
    }
    let mut statement =
        connection.prepare(&format!("PRAGMA incremental_vacuum({SHRINK_PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Free bytes of the file system, if it says.
pub(super) fn available(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
