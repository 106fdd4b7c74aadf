//! An open file, and how it is known again.

use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// How many bytes from the beginning of a file are remembered, at most.
const HEAD: u64 = 1024;

/// Where reading has come to, and in which file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Device and inode of the file.
    pub(super) file: (u64, u64),
    /// Bytes that have been taken.
    pub(super) offset: u64,
    /// SHA-256 over the first bytes that were taken, at most [`HEAD`]: an inode is used again.
    pub(super) head: String,
    /// Whether the place is within a list of payloads.
    #[serde(default)]
    pub(super) in_list: bool,
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    identity: (u64, u64),
    /// Where the first byte of `buffer` lies in the file.
    pub(super) offset: u64,
    /// What has been read and not taken yet.
    pub(super) buffer: Vec<u8>,
    /// The head, once all of it has been taken.
    head: Option<String>,
}

impl Opened {
    /// Opens a file; what is no file, such as a pipe, is an error and not waited for.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            identity: (metadata.dev(), metadata.ino()),
            file,
            offset: 0,
            buffer: Vec::new(),
            head: None,
        })
    }

    /// Whether this is the file of a place: the same inode, no shorter, with the same beginning.
    pub(super) fn is_at(&self, place: &Place) -> Result<bool> {
        Ok(self.identity == place.file
            && self.file.metadata()?.len() >= place.offset
            && self.digest(place.offset)? == place.head)
    }

    /// Whether this is the file with this name now.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        std::fs::metadata(path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    /// Goes on at an offset.
    pub(super) fn seek(&mut self, offset: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.offset = offset;
        self.buffer.clear();
        self.head = None;
        Ok(())
    }

    /// The length of the file.
    pub(super) fn len(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether the file has become shorter than what was read of it.
    pub(super) fn was_truncated(&self) -> Result<bool> {
        Ok(self.len()? < self.offset + self.buffer.len() as u64)
    }

    /// Reads on, up to so many bytes; tells how many there were.
    pub(super) fn read(&mut self, at_most: u64) -> Result<usize> {
        (&mut self.file).take(at_most).read_to_end(&mut self.buffer)
    }

    /// The place behind the first so many bytes of the buffer.
    pub(super) fn place(&mut self, taken: usize, in_list: bool) -> Result<Place> {
        let offset = self.offset + taken as u64;
        let head = match &self.head {
            Some(head) => head.clone(),
            None => {
                let head = self.digest(offset)?;
                if offset >= HEAD {
                    self.head = Some(head.clone());
                }
                head
            }
        };
        Ok(Place {
            file: self.identity,
            offset,
            head,
            in_list,
        })
    }

    fn digest(&self, offset: u64) -> Result<String> {
        let mut head = vec![0; usize::try_from(offset.min(HEAD)).unwrap_or_default()];
        self.file.read_exact_at(&mut head, 0)?;
        let mut text = String::new();
        for byte in digest::digest(&digest::SHA256, &head)
            .as_ref()
            .iter()
            .take(12)
        {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }
}

/// The file of a place: the one with this name, or another one in the same folder.
pub(super) fn find(path: &Path, place: &Place) -> Option<Opened> {
    let is_same = |opened: &Opened| opened.is_at(place).unwrap_or(false);
    if let Some(opened) = Opened::open(path).ok().filter(is_same) {
        return Some(opened);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .ok()?
        .filter_map(std::result::Result::ok)
        .filter(|entry| {
            entry
                .metadata()
                .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == place.file)
        })
        .filter_map(|entry| Opened::open(&entry.path()).ok())
        .find(is_same)
}
