//! The database file: its format, who may use it, and what is wrong when it cannot be used.

use super::private;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The format of the state that this program reads and writes.
pub const FORMAT: u32 = 1;

/// SQLite's application id: `dsmi`. It tells our file from any other database.
const APPLICATION: i32 = 0x6473_6d69;
pub(super) const DATABASE: &str = "state.db";
/// SQLite's log of what is not in the database yet.
pub(super) const WAL: &str = "state.db-wal";
pub(super) const SHM: &str = "state.db-shm";
pub(super) const LOCK: &str = "lock";
/// Room that is set aside for delivery on a full disk.
pub(super) const RESERVE: &str = "reserve";
/// What a run writes for `dsmith status`.
pub(super) const STATUS: &str = "status.json";
pub(super) const STATUS_NEW: &str = "status.json.new";
pub(super) const DEAD_LETTERS: &str = "dead-letters";
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(40);
const PAGE_BYTES: i64 = 16 << 10;
/// Free pages that a file may keep for the next burst: 64 MiB.
const SPARE_PAGES: i64 = 4096;
/// Pages that are given back at a time, so that delivery never waits for long.
const SHRINK_PAGES: i64 = 512;
/// The same on a disk with little room, where the log must not grow by much: 1 MiB.
const SHRINK_PAGES_SCARCE: i64 = 64;
/// How often in a row pages are given back on a disk with little room.
const SHRINK_STEPS: u32 = 16;
/// The log is cut to this size when it begins anew: 16 MiB, what it has after a checkpoint of SQLite's own.
const WAL_BYTES: i64 = 16 << 20;
/// With less than this a disk is full: no file of SQLite's grows by less.
const FULL_BYTES: u64 = 64 << 10;
/// Room that is set aside for delivery: more than the database grows between two checkpoints, and some commits.
pub(super) const RESERVE_BYTES: u64 = 8 << 20;

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
CREATE INDEX chunk_order ON chunk (log_source, next, first, bytes);
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
    /// What should be there is not.
    #[error(
        "the state in {} is not whole, events are missing: {missing}; restore {DATABASE} from a copy, with {WAL} if there is one{}", dir.display(),
        if *can_be_given_up { ", or go on without them: dsmith run --forget-missing" } else { "" }
    )]
    Incomplete {
        /// The state directory.
        dir: PathBuf,
        /// What is missing, for people.
        missing: String,
        /// Whether the state is of use without it.
        can_be_given_up: bool,
    },
    /// A file of the state is not what it has to be, so that others could read or replace it.
    #[error("the state in {} is not used: {reason}", dir.display())]
    Unsafe {
        /// The state directory.
        dir: PathBuf,
        /// What is wrong, and the remedy.
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
            // The index of the log cannot grow.
            Some(ErrorCode::SystemIoFailure)
                if available(&dir).is_some_and(|room| room < FULL_BYTES) =>
            {
                Self::DiskFull {
                    available: available(&dir).unwrap_or(0),
                    dir,
                }
            }
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

    pub(super) fn io(dir: &Path, error: &std::io::Error) -> Self {
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
    private::folder(dir)?;
    private::files(dir)?;
    let lock = lock(dir)?;
    refuse_lost(dir)?;
    // SQLite gives the mode of the database to its other files.
    private::create(&dir.join(DATABASE))
        .map_err(|error| private::refusal(dir, DATABASE, &error))?;
    let opened = connect_both(dir).or_else(|error| match error {
        // Without any room not even the log can be opened.
        StoreError::DiskFull { .. } | StoreError::Io { .. } if free_reserve(dir) => {
            connect_both(dir)
        }
        error => Err(error),
    });
    let (writer, reader) = opened?;
    Ok(Opened {
        lock,
        writer,
        reader,
    })
}

fn connect_both(dir: &Path) -> Result<(Connection, Connection), StoreError> {
    let writer = connect(
        dir,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    prepare(dir, &writer)?;
    let reader = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Ok((writer, reader))
}

/// Refuses an empty database, or none, beside what a run has left: SQLite would remove the log and begin anew.
fn refuse_lost(dir: &Path) -> Result<(), StoreError> {
    let size = |name: &str| {
        let there = std::fs::symlink_metadata(dir.join(name));
        there.ok().map(|there| there.len())
    };
    let (database, log) = (size(DATABASE), size(WAL).unwrap_or(0));
    let reason = match database {
        Some(0) if log > 0 => format!("{DATABASE} is empty, and {WAL} beside it is not"),
        None if log > 0 => format!("{DATABASE} is gone, and {WAL} is still there"),
        Some(0) if size(STATUS).is_some() => {
            format!("{DATABASE} is empty, although a run has used it")
        }
        _ => return Ok(()),
    };
    Err(StoreError::Damaged {
        dir: dir.to_owned(),
        reason,
    })
}

/// Sets room aside, if it is not and there is enough besides.
pub(super) fn keep_reserve(dir: &Path, free: u64) {
    let path = dir.join(RESERVE);
    let is_kept = std::fs::symlink_metadata(&path).is_ok_and(|there| there.len() >= RESERVE_BYTES);
    let has_room =
        || available(dir).is_some_and(|room| room > free.saturating_add(2 * RESERVE_BYTES));
    if is_kept || !has_room() {
        return;
    }
    // Without it delivery may stop on a full disk, which nothing can be done about now.
    let _ = private::create(&path).and_then(|mut file| {
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_BYTES) {
            Ok(()) => Ok(()),
            // The file system cannot; zeros take room too.
            Err(_) => file.write_all(&vec![0; usize::try_from(RESERVE_BYTES).unwrap_or(0)]),
        }
    });
}

/// Gives the room that was set aside to whoever needs it now. Tells whether there was any.
pub(super) fn free_reserve(dir: &Path) -> bool {
    std::fs::remove_file(dir.join(RESERVE)).is_ok()
}

/// Whether room is set aside.
pub(super) fn has_reserve(dir: &Path) -> bool {
    dir.join(RESERVE).exists()
}

/// Opens what is there for looking only.
pub(super) fn open_to_read(dir: &Path) -> Result<Connection, StoreError> {
    refuse_lost(dir)?;
    if !dir.join(DATABASE).is_file() {
        return Err(StoreError::Absent {
            dir: dir.to_owned(),
        });
    }
    let opened = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| format(dir, &connection).map(|format| (connection, format)));
    let (connection, format) = opened.or_else(|error| match error {
        // On a read-only disk there can be no index of a log. Without a log none is needed.
        StoreError::Io { .. } if std::fs::metadata(dir.join(WAL)).is_err() => {
            let connection = connect_unchanging(dir)?;
            let format = format(dir, &connection)?;
            Ok((connection, format))
        }
        error => Err(error),
    })?;
    match format {
        Some(FORMAT) => Ok(connection),
        _ => Err(StoreError::Absent {
            dir: dir.to_owned(),
        }),
    }
}

/// Opens a database that nobody can change.
fn connect_unchanging(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(DATABASE).to_string_lossy().into_owned();
    let path = path
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Connection::open_with_flags(
        format!("file:{path}?immutable=1"),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    )
    .map_err(|error| StoreError::sqlite(dir, &error))
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
    let mut file =
        private::create(&dir.join(LOCK)).map_err(|error| private::refusal(dir, LOCK, &error))?;
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
        (0, 0) if pragma("page_count")? == 0 || is_begun(dir, connection)? => Ok(None),
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

/// Whether the database was begun by a run that ended before there was anything in it. A run that has come further has
/// written its status.
fn is_begun(dir: &Path, connection: &Connection) -> Result<bool, StoreError> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| StoreError::sqlite(dir, &error))?;
    Ok(tables == 0 && std::fs::symlink_metadata(dir.join(STATUS)).is_err())
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
        connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))?;
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

/// Gives back some free pages, if there are more than a burst needs, or the disk has little room.
pub(super) fn shrink(connection: &Connection, is_scarce: bool) -> rusqlite::Result<()> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let vacuum = |pages: i64| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    };
    if is_scarce {
        for _ in 0..SHRINK_STEPS {
            if pragma("freelist_count")? == 0 {
                break;
            }
            vacuum(SHRINK_PAGES_SCARCE)?;
        }
        return checkpoint(connection, "PASSIVE").map(|_| ());
    }
    let free = pragma("freelist_count")?;
    if free <= SPARE_PAGES || free * 2 < pragma("page_count")? {
        return Ok(());
    }
    vacuum(SHRINK_PAGES)
}

/// Bytes by which the database file will grow with the next checkpoint.
pub(super) fn growth(dir: &Path, connection: &Connection) -> rusqlite::Result<u64> {
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let there = std::fs::metadata(dir.join(DATABASE)).map_or(0, |file| file.len());
    Ok(super::unsigned(pages * size).saturating_sub(there))
}

/// Takes what is in the log to the database. `PASSIVE` waits for nobody; after `RESTART` the log begins anew, in the room
/// that it has. Tells whether all of it was taken.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let (busy, pages, taken): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && pages == taken)
    })
}

/// Free bytes of the file system, if it says.
pub(super) fn available(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
