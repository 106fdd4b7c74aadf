//! Payloads wait in the state directory, so it and what is in it are their owner's alone: checked, and tightened, whenever
//! it is opened.

use super::StoreError;
use super::file::{DATABASE, DEAD_LETTERS, LOCK, RESERVE, SHM, STATUS, STATUS_NEW, WAL};
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What a state directory holds.
const OURS: &[&str] = &[
    DATABASE,
    WAL,
    SHM,
    LOCK,
    RESERVE,
    STATUS,
    STATUS_NEW,
    DEAD_LETTERS,
];
/// The rights of group and others.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Makes the state directory, or tightens the one that is there. One that others use too keeps its mode.
pub(super) fn folder(dir: &Path) -> Result<(), StoreError> {
    let io = |error: io::Error| StoreError::io(dir, &error);
    if !dir.is_dir() {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        return DirBuilder::new().mode(0o700).create(dir).map_err(io);
    }
    let there = fs::metadata(dir).map_err(io)?;
    let me = rustix::process::geteuid().as_raw();
    if there.uid() != me {
        tracing::warn!(
            directory = %dir.display(),
            owner = there.uid(),
            user = me,
            "the state directory belongs to another user, who can replace what is in it: chown it to the user of this process"
        );
    }
    let mode = there.mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let is_ours = mode & STICKY == 0 && there.uid() == me && holds_only_ours(dir).map_err(io)?;
    if is_ours && fs::set_permissions(dir, Permissions::from_mode(0o700)).is_ok() {
        tracing::info!(directory = %dir.display(), "others could enter the state directory: its mode is 700 now");
    } else if mode & OTHERS_WRITE != 0 {
        tracing::warn!(
            directory = %dir.display(),
            "others may write into the state directory, so they can replace what is in it: give it a directory of its own"
        );
    }
    Ok(())
}

fn holds_only_ours(dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the files of the state private, and the database if there is none: SQLite gives its other files the same mode.
pub(super) fn files(dir: &Path) -> Result<(), StoreError> {
    for name in OURS {
        if *name == DEAD_LETTERS {
            let folder = dir.join(name);
            restrict(dir, name, &folder)?;
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                restrict(dir, name, &entry.path())?;
            }
        } else {
            restrict(dir, name, &dir.join(name))?;
        }
    }
    Ok(())
}

/// Makes a file or folder private, if it is there.
fn restrict(dir: &Path, name: &str, path: &Path) -> Result<(), StoreError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(dir, &error)),
    };
    if there.is_symlink() {
        return Err(is_link(dir, name));
    }
    if there.mode() & OTHERS == 0 {
        return Ok(());
    }
    let mode = there.mode() & 0o700;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path);
    let changed = opened.and_then(|file| file.set_permissions(Permissions::from_mode(mode)));
    match changed {
        Ok(()) => Ok(()),
        // Who cannot write it has come to look only.
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => Ok(()),
        Err(error) => Err(StoreError::Unsafe {
            dir: dir.to_owned(),
            reason: format!(
                "{name} can be read by others, and its mode cannot be changed ({error}): chown it to the user of this \
                 process, or chmod it to 600"
            ),
        }),
    }
}

/// Opens a file of our own, and makes it if there is none. A link in its place is not followed.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
}

/// What is said when [`create`] fails.
pub(super) fn refusal(dir: &Path, name: &str, error: &io::Error) -> StoreError {
    if fs::symlink_metadata(dir.join(name)).is_ok_and(|there| there.is_symlink()) {
        return is_link(dir, name);
    }
    StoreError::io(dir, error)
}

fn is_link(dir: &Path, name: &str) -> StoreError {
    StoreError::Unsafe {
        dir: dir.to_owned(),
        reason: format!(
            "{name} is a symbolic link, which is not followed: put the file itself there, or make `state_directory` the \
             directory that it leads to"
        ),
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}
