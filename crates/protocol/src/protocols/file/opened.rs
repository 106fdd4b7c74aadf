//! An open file, as it is or compressed, and how it is known again.

use super::names::{Packing, unpacked};
use super::place::{HEAD, Identity, Place, Stamp, digest};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much of a compressed file is unpacked at a time while it is searched for a place.
const STRIDE: usize = 256 * 1024;

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Plain(File),
    Gzip(Box<Unpacker>),
}

/// The text of a compressed file, read from front to back.
#[derive(Debug)]
struct Unpacker {
    file: File,
    decoder: MultiGzDecoder<BufReader<File>>,
    /// Where the first byte of `ahead` lies in the text.
    at: u64,
    ahead: Vec<u8>,
    is_over: bool,
    /// Why there is no more, although the text has not come to its end.
    fault: Option<(ErrorKind, String)>,
}

impl Unpacker {
    fn new(file: File) -> Result<Self> {
        Ok(Self {
            decoder: Self::decoder(&file)?,
            file,
            at: 0,
            ahead: Vec::new(),
            is_over: false,
            fault: None,
        })
    }

    fn decoder(mut file: &File) -> Result<MultiGzDecoder<BufReader<File>>> {
        file.seek(SeekFrom::Start(0))?;
        Ok(MultiGzDecoder::new(BufReader::new(file.try_clone()?)))
    }

    fn read(&mut self, from: u64, at_most: usize, into: &mut Vec<u8>) -> Result<()> {
        if from < self.at {
            self.decoder = Self::decoder(&self.file)?;
            self.at = 0;
            self.ahead.clear();
            self.is_over = false;
            self.fault = None;
        }
        loop {
            let skip = usize::try_from(from - self.at).unwrap_or(usize::MAX);
            let skip = skip.min(self.ahead.len());
            self.ahead.drain(..skip);
            self.at += skip as u64;
            if self.is_over || (self.at == from && self.ahead.len() >= at_most) {
                break;
            }
            let wanted = if self.at == from {
                at_most - self.ahead.len()
            } else {
                STRIDE
            };
            // What comes before a fault is kept.
            let read = (&mut self.decoder)
                .take(wanted as u64)
                .read_to_end(&mut self.ahead);
            match read {
                Ok(count) => self.is_over = count < wanted,
                Err(error) => {
                    self.is_over = true;
                    self.fault = Some((error.kind(), error.to_string()));
                }
            }
        }
        if self.at == from {
            into.extend_from_slice(&self.ahead[..self.ahead.len().min(at_most)]);
        }
        Ok(())
    }
}

impl Opened {
    /// Opens a file; what is no file, such as a pipe, is an error and not waited for.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(Error::other("it is no regular file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // A rotated file only: what is called so by somebody else is read as it is.
        let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
        let mut magic = [0; 2];
        let is_packed = unpacked(name).1 == Packing::Gzip
            && file.read_at(&mut magic, 0)? == 2
            && magic == [0x1f, 0x8b];
        Ok(Self {
            path: path.to_owned(),
            identity: Identity::of(&metadata),
            content: if is_packed {
                Content::Gzip(Box::new(Unpacker::new(file)?))
            } else {
                Content::Plain(file)
            },
        })
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self.content, Content::Gzip(_))
    }

    /// Why a compressed file ended where it was read last, although its text has no end there.
    pub(super) fn fault(&self) -> Option<Error> {
        match &self.content {
            Content::Gzip(unpacker) => {
                let fault = unpacker.fault.as_ref();
                fault.map(|(kind, message)| Error::new(*kind, message.clone()))
            }
            Content::Plain(_) => None,
        }
    }

    /// The state of the file, of a compressed one as it is on the disk.
    pub(super) fn stamp(&self) -> Result<Stamp> {
        let file = match &self.content {
            Content::Plain(file) => file,
            Content::Gzip(unpacker) => &unpacker.file,
        };
        Ok(Stamp::of(&file.metadata()?))
    }

    /// Reads at most so many bytes from a place on, all that there are.
    pub(super) fn read(&mut self, from: u64, at_most: usize, into: &mut Vec<u8>) -> Result<()> {
        into.clear();
        let file = match &mut self.content {
            Content::Plain(file) => file,
            Content::Gzip(unpacker) => return unpacker.read(from, at_most, into),
        };
        into.resize(at_most, 0);
        let mut filled = 0;
        while filled < at_most {
            match file.read_at(&mut into[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        into.truncate(filled);
        Ok(())
    }

    /// Whether the text up to a place is what was read of it.
    pub(super) fn has(&mut self, place: &Place) -> Result<bool> {
        if let Content::Plain(file) = &self.content
            && file.metadata()?.len() < place.reached()
        {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        let head = place.offset.min(HEAD) as usize;
        self.read(0, head, &mut bytes)?;
        if bytes.len() < head || digest(&bytes) != place.head {
            return Ok(false);
        }
        let from = place.checked_from();
        let length = (place.offset - from) as usize;
        self.read(from, length, &mut bytes)?;
        let has_tail = bytes.len() == length
            && place
                .tail
                .as_ref()
                .is_none_or(|tail| digest(&bytes) == *tail);
        Ok(has_tail && self.has_taken(place)?)
    }

    /// Whether the text goes up to where payloads were taken behind a place, and ends there with what was read.
    pub(super) fn has_taken(&mut self, place: &Place) -> Result<bool> {
        let Some((from, tail)) = place.taken_tail() else {
            return Ok(true);
        };
        let length = (place.reached() - from) as usize;
        let mut bytes = Vec::new();
        self.read(from, length, &mut bytes)?;
        Ok(bytes.len() == length && tail.is_none_or(|tail| digest(&bytes) == tail))
    }

    /// Whether nothing follows what was taken.
    pub(super) fn ends_at(&mut self, place: &Place) -> Result<bool> {
        let mut bytes = Vec::new();
        self.read(place.reached(), 1, &mut bytes)?;
        Ok(bytes.is_empty())
    }

    /// Whether this is the text up to a place that lies behind the end of this file: a copy that was made before the rest
    /// was written. It is known only of what was read by this process, and near the place.
    pub(super) fn is_beginning_of(&mut self, place: &Place) -> Result<bool> {
        let from = place.reached() - place.last_bytes.len() as u64;
        let mut bytes = Vec::new();
        self.read(from, place.last_bytes.len(), &mut bytes)?;
        Ok(!bytes.is_empty() && place.last_bytes.starts_with(&bytes))
    }

    /// The place behind everything that is in the file.
    pub(super) fn end(&mut self) -> Result<Place> {
        let stamp = self.stamp()?;
        let mut place = Place::beginning(self.identity, stamp);
        place.is_end = true;
        let mut bytes = Vec::new();
        if !self.is_packed() && stamp.length > HEAD {
            self.read(0, HEAD as usize, &mut bytes)?;
            place.advance(&bytes, 0);
            place.offset = stamp.length;
            let start = place.checked_from();
            self.read(start, (stamp.length - start) as usize, &mut bytes)?;
            place.advance(&bytes, start.max(1));
            place.offset = start + bytes.len() as u64;
            return Ok(place);
        }
        loop {
            let start = place.checked_from();
            let back = (place.offset - start) as usize;
            self.read(start, back + STRIDE, &mut bytes)?;
            if bytes.len() <= back {
                return Ok(place);
            }
            place.advance(&bytes, start);
        }
    }
}
