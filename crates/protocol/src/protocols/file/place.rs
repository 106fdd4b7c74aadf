//! Where reading stands in a file, and how the file is known again.

use framing::Mark;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

/// How many bytes from the beginning of a file are remembered, at most.
pub(super) const HEAD: u64 = 1024;

/// How many bytes before the place are remembered, at most. Together with [`HEAD`] they tell a file from another one that
/// begins alike.
pub(super) const TAIL: u64 = 4096;

/// Which file it is, as far as the file system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// When the file was made, in nanoseconds, where the file system knows: inodes are used again.
    pub(super) born: Option<i64>,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok();
        let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born.and_then(|time| i64::try_from(time.as_nanos()).ok()),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
            && (self.born == other.born || self.born.is_none() || other.born.is_none())
    }
}

/// Length and time of change, by which a file that has not changed is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) length: u64,
    /// Nanoseconds since the epoch.
    pub(super) modified: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let seconds = metadata.mtime().saturating_mul(1_000_000_000);
        Self {
            length: metadata.len(),
            modified: seconds.saturating_add(metadata.mtime_nsec()),
        }
    }
}

/// Where reading stands, and in which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Device and inode of the file.
    pub(super) file: (u64, u64),
    /// When the file was made, in nanoseconds, where the file system knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<i64>,
    /// Bytes that have been taken, of a compressed file those of its text.
    pub(super) offset: u64,
    /// SHA-256 over the first bytes that were taken, at most [`HEAD`].
    pub(super) head: String,
    /// SHA-256 over the last bytes that were taken, at most [`TAIL`]. Older versions did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tail: Option<String>,
    /// When the file was last changed, as of the last look, in nanoseconds. It was not changed for the last time before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<i64>,
    /// Whether nothing followed the place when the file was last looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_end: bool,
    /// Whether the place is within a list of payloads. Older versions stored it; now `state` says it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_list: bool,
    /// What a splitter knows at the place, see [`Mark::state`].
    #[serde(default, skip_serializing_if = "is_zero")]
    state: u8,
    /// Offset up to which payloads have been taken, if that is behind the place: a splitter cannot begin there.
    #[serde(default, skip_serializing_if = "is_none")]
    taken: u64,
    /// SHA-256 over the last bytes before `taken`, at most [`TAIL`]. Older versions did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_tail: Option<String>,
    /// The last bytes before [`Self::reached`], at most [`TAIL`], as long as the process lives.
    #[serde(skip)]
    pub(super) last_bytes: Vec<u8>,
}

impl Place {
    /// The beginning of a file.
    pub(super) fn beginning(identity: Identity, stamp: Stamp) -> Self {
        Self {
            file: (identity.device, identity.inode),
            born: identity.born,
            offset: 0,
            head: digest(&[]),
            tail: Some(digest(&[])),
            modified: Some(stamp.modified),
            is_end: false,
            in_list: false,
            state: 0,
            taken: 0,
            taken_tail: None,
            last_bytes: Vec::new(),
        }
    }

    /// A file of which nothing is known but that it is to be passed over.
    pub(super) fn whole(identity: Identity, stamp: Stamp) -> Self {
        Self {
            offset: stamp.length,
            head: String::new(),
            tail: None,
            is_end: true,
            ..Self::beginning(identity, stamp)
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            device: self.file.0,
            inode: self.file.1,
            born: self.born,
        }
    }

    /// The same place in a file with the same text.
    pub(super) fn moved_to(mut self, identity: Identity, stamp: Stamp) -> Self {
        self.set_identity(identity);
        self.modified = Some(stamp.modified);
        self
    }

    pub(super) fn set_identity(&mut self, identity: Identity) {
        self.file = (identity.device, identity.inode);
        self.born = identity.born;
    }

    /// Where a splitter begins.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            offset: self.offset,
            state: if self.in_list {
                Mark::IN_ARRAY
            } else {
                self.state
            },
        }
    }

    /// Offset up to which payloads have been taken.
    pub(super) fn reached(&self) -> u64 {
        self.offset.max(self.taken)
    }

    /// Moves on to a mark that another place of the same file has reached.
    pub(super) fn follow(&mut self, reached: &Self, mark: Mark) {
        self.offset = reached.offset;
        self.head.clone_from(&reached.head);
        self.tail.clone_from(&reached.tail);
        self.state = mark.state;
        self.in_list = false;
    }

    /// Payloads were taken up to where another place of the same file is, if not further.
    pub(super) fn took(&mut self, reached: &Self) {
        if reached.offset < self.taken {
            return;
        }
        self.last_bytes.clone_from(&reached.last_bytes);
        if reached.offset > self.offset {
            self.taken = reached.offset;
            self.taken_tail.clone_from(&reached.tail);
        } else {
            self.taken = 0;
            self.taken_tail = None;
        }
    }

    /// The first byte that has to be read to check that the file is still the one it was.
    pub(super) fn checked_from(&self) -> u64 {
        self.offset.saturating_sub(TAIL)
    }

    /// Where the last bytes before [`Self::reached`] begin and what their digest is, if they are not those before the
    /// place. Nothing is known of them but their length if an older version stored it.
    pub(super) fn taken_tail(&self) -> Option<(u64, Option<&str>)> {
        let is_behind = self.taken > self.offset;
        is_behind.then(|| (self.taken.saturating_sub(TAIL), self.taken_tail.as_deref()))
    }

    /// Moves on by so many bytes. `bytes` are those from `start` to the new place, and reach back to
    /// [`Self::checked_from`].
    pub(super) fn advance(&mut self, bytes: &[u8], start: u64) {
        let before = self.offset;
        self.offset = start + bytes.len() as u64;
        if before < HEAD && start == 0 {
            self.head = digest(&bytes[..bytes.len().min(HEAD as usize)]);
        }
        let last = &bytes[bytes.len().saturating_sub(TAIL as usize)..];
        self.tail = Some(digest(last));
        self.last_bytes.clear();
        self.last_bytes.extend_from_slice(last);
    }

    /// Moves on over the next bytes, where those before are in `last_bytes`.
    pub(super) fn advance_by(&mut self, next: &[u8]) {
        if next.is_empty() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.last_bytes);
        let start = self.offset - bytes.len() as u64;
        bytes.extend_from_slice(next);
        self.advance(&bytes, start);
    }

    /// Seconds of the last look, for comparison with files whose times are not kept to the nanosecond.
    pub(super) fn modified_second(&self) -> Option<i64> {
        self.modified.map(second)
    }
}

fn is_none(taken: &u64) -> bool {
    *taken == 0
}

fn is_zero(state: &u8) -> bool {
    *state == 0
}

/// The second of a time in nanoseconds.
pub(super) fn second(nanoseconds: i64) -> i64 {
    nanoseconds.div_euclid(1_000_000_000)
}

/// Twelve bytes of SHA-256 as text.
pub(super) fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    let digest = digest::digest(&digest::SHA256, bytes);
    for byte in digest.as_ref().iter().take(12) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What is stored: a position for each file that is followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Position {
    /// The second of the first search for files that fit the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) searched: Option<i64>,
    pub(super) files: Vec<Entry>,
}

/// The position of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its path. Whatever is no ASCII is percent-encoded, because a path need not be UTF-8.
    pub(super) path: String,
    /// Where the file that is read is, if it has not the path itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// Where reading stands; nothing between two files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<Place>,
    /// Generations that are done with, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) done: Vec<Place>,
}

/// What may be stored: version 1 has one place and no path.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Stored {
    Files(Position),
    File(Place),
}
