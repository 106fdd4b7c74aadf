//! Payloads from files.

use framing::{Fault, Frame, Framing, Splitter};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much is read at a time, in bytes. A block, its payloads and their events fit into the nearest caches of a core.
pub const BLOCK: usize = 1 << 18;

/// A payload or a fault, with its place in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// The bytes of a payload, and the offset of the first one.
    Payload(&'a [u8], u64),
    /// What is wrong with the input.
    Fault(Fault),
}

/// What was read at once, as far as it makes whole payloads. It can be filled again, which reuses its memory.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    /// Offset of the first byte in the input.
    base: u64,
    frames: Vec<Place>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
enum Place {
    Payload {
        offset: u64,
        length: usize,
    },
    /// An index. Faults are larger than places, and rare.
    Fault(usize),
}

impl Block {
    /// The payloads and faults, in order.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.frames.iter().filter_map(|frame| match *frame {
            Place::Payload { offset, length } => {
                let start = usize::try_from(offset.checked_sub(self.base)?).ok()?;
                let bytes = self.bytes.get(start..)?.get(..length)?;
                Some(Item::Payload(bytes, offset))
            }
            Place::Fault(index) => self.faults.get(index).copied().map(Item::Fault),
        })
    }

    /// How many bytes it holds.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Nothing is in it any more. The memory for payloads of an unusual size goes.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.faults.clear();
        if self.bytes.capacity() > 4 * BLOCK {
            self.bytes = Vec::new();
        }
    }
}

/// Reads an input block by block. What a read brings is handed on at once, because the next one may take long.
#[derive(Debug)]
pub struct Blocks<R> {
    reader: R,
    splitter: Splitter,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// The blocks of an input; payloads of more than `limit` bytes are left out.
    pub fn new(reader: R, framing: Framing, limit: usize) -> Self {
        Self {
            reader,
            splitter: Splitter::new(framing, limit),
            ended: false,
        }
    }

    /// Fills a block with what comes next; `false` when there is nothing more.
    ///
    /// # Errors
    /// The reader fails, which ends the input. What came before is in the block.
    pub fn fill(&mut self, block: &mut Block) -> io::Result<bool> {
        block.clear();
        let mut result = Ok(true);
        while block.frames.is_empty() && !self.ended {
            let mut keep = |frame: Frame<'_>| {
                block.frames.push(match frame {
                    Frame::Payload { bytes, offset } => Place::Payload {
                        offset,
                        length: bytes.len(),
                    },
                    Frame::Fault(fault) => {
                        block.faults.push(fault);
                        Place::Fault(block.faults.len() - 1)
                    }
                });
            };
            let read = |space: &mut [u8]| self.reader.read(space);
            match self.splitter.push_from(BLOCK, read, &mut keep) {
                Ok(1..) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => {}
                Err(error) => result = Err(error),
            }
            self.ended = true;
            self.splitter.finish(&mut keep);
        }
        if block.frames.is_empty() {
            return result.map(|_| false);
        }
        (block.bytes, block.base) = self.splitter.take(std::mem::take(&mut block.bytes));
        result
    }
}

/// Splits everything that a reader yields, holding no more than a block and a payload at a time.
///
/// # Errors
/// The reader fails; what came before was handed out.
pub fn read<R: Read>(
    reader: R,
    framing: Framing,
    limit: usize,
    mut each: impl FnMut(Item<'_>),
) -> io::Result<()> {
    let mut blocks = Blocks::new(reader, framing, limit);
    let mut block = Block::default();
    loop {
        let more = blocks.fill(&mut block);
        block.items().for_each(&mut each);
        if !more? {
            return Ok(());
        }
    }
}

/// What a walk through a folder found.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// What could not be listed, and why.
    pub refused: Vec<(PathBuf, io::Error)>,
}

/// All files below a path, in order; a path that is not a folder is itself, whether it exists or not.
///
/// Left out are hidden files, snapshots, and everything that is neither a file nor a folder: reading a named pipe could
/// last for ever. Links to folders are not followed, since they may lead back.
pub fn walk(path: &Path) -> Walk {
    let mut walk = Walk::default();
    if !path.is_dir() {
        walk.files.push(path.to_owned());
        return walk;
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                walk.refused.push((folder, error));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    walk.refused.push((folder.clone(), error));
                    break;
                }
            };
            if is_left_out(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type();
            let is_link = kind.as_ref().is_ok_and(std::fs::FileType::is_symlink);
            let kind = if is_link {
                std::fs::metadata(&path).map(|metadata| metadata.file_type())
            } else {
                kind
            };
            match kind {
                Ok(kind) if kind.is_dir() && !is_link => folders.push(path),
                Ok(kind) if kind.is_file() => walk.files.push(path),
                Ok(_) => {}
                Err(error) => walk.refused.push((path, error)),
            }
        }
    }
    walk.files.sort();
    walk.refused.sort_by(|(a, _), (b, _)| a.cmp(b));
    walk
}

/// All files below a path, in order, as [`walk`] finds them.
///
/// # Errors
/// A folder cannot be listed.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let walk = walk(path);
    match walk.refused.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(walk.files),
    }
}

fn is_left_out(name: &str) -> bool {
    name.starts_with('.')
        || name == UNREACHED
        || name.ends_with(".snap")
        || name.ends_with(".snap.new")
}

/// How many bytes tell what a file is.
pub const HEAD: usize = 8192;

/// What the beginning of a file says about the rest, where it is not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// It is compressed; the name of the format and the command that undoes it.
    #[error(
        "this is compressed ({format}); unpack it first, for example: {command} FILE | dsmith parse"
    )]
    Compressed {
        /// The name of the format.
        format: &'static str,
        /// What unpacks it.
        command: &'static str,
    },
    /// It holds zero bytes, as text does not.
    #[error("this is binary (it holds zero bytes)")]
    Binary,
}

/// Whether a file that begins like this is no text. Text in UTF-16 is the splitter's business.
pub fn not_text(head: &[u8]) -> Option<NotText> {
    const MAGIC: &[(&[u8], &str, &str)] = &[
        (b"\x1f\x8b", "gzip", "zcat"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstdcat"),
        (b"\xfd7zXZ\0", "xz", "xzcat"),
        (b"BZh", "bzip2", "bzcat"),
        (b"PK\x03\x04", "zip", "unzip -p"),
    ];
    for (magic, format, command) in MAGIC {
        // `BZh` alone could begin a word; no text has a control character or a non-ASCII byte so early.
        let rest = &head[magic.len().min(head.len())..];
        if head.starts_with(magic)
            && rest.iter().take(16).any(|byte| {
                !byte.is_ascii() || (byte.is_ascii_control() && !byte.is_ascii_whitespace())
            })
        {
            return Some(NotText::Compressed { format, command });
        }
    }
    let is_utf16 = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    (!is_utf16 && head.contains(&0)).then_some(NotText::Binary)
}

/// The list of branches that no fixture reaches, beside the fixtures of a mapping.
pub const UNREACHED: &str = "unreached.txt";

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields pieces one by one, and fails where there is none.
    struct Pieces(Vec<Option<&'static [u8]>>);

    impl Read for Pieces {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0).ok_or(io::ErrorKind::ConnectionReset)?;
            space[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn texts(block: &Block) -> Vec<String> {
        let text = |item| match item {
            Item::Payload(bytes, at) => format!("{}@{at}", String::from_utf8_lossy(bytes)),
            Item::Fault(fault) => format!("{:?}@{}", fault.kind, fault.offset),
        };
        block.items().map(text).collect()
    }

    #[test]
    fn what_a_read_brings_does_not_wait_for_the_next_one() {
        let reader = Pieces(vec![
            Some(b"one\ntwo\nthr"),
            Some(b"ee"),
            Some(b"\n{\"a\":"),
            Some(b"1}\n{"),
        ]);
        let mut blocks = Blocks::new(reader, Framing::Auto, 100);
        let mut block = Block::default();
        for (wanted, left) in [
            (&["one@0", "two@4"][..], 3),
            (&["three@8"], 1),
            (&["{\"a\":1}@14"], 0),
            (&["Truncated@22", "{@22"], 0),
        ] {
            assert!(blocks.fill(&mut block).unwrap());
            assert_eq!(texts(&block), wanted);
            assert_eq!(blocks.reader.0.len(), left);
        }
        assert!(!blocks.fill(&mut block).unwrap());
        assert_eq!(block.items().count(), 0);
    }

    #[test]
    fn a_reader_that_fails_costs_nothing_of_what_came_before() {
        let reader = Pieces(vec![Some(b"one\n{\"a\":"), None, Some(b"1}\n")]);
        let mut blocks = Blocks::new(reader, Framing::Auto, 100);
        let mut block = Block::default();
        assert!(blocks.fill(&mut block).unwrap());
        assert_eq!(texts(&block), ["one@0"]);
        let error = blocks.fill(&mut block).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(texts(&block), ["Truncated@4", "{\"a\":@4"]);
        assert!(!blocks.fill(&mut block).unwrap());
        assert_eq!(block.items().count(), 0);
    }

    #[test]
    fn memory_for_a_payload_of_unusual_size_is_not_kept() {
        let long = [vec![b'x'; 16 * BLOCK], b"\nshort\n".repeat(100_000)].concat();
        let mut blocks = Blocks::new(long.as_slice(), Framing::Auto, 1 << 30);
        let mut block = Block::default();
        let mut sizes = Vec::new();
        while blocks.fill(&mut block).unwrap() {
            sizes.push(block.bytes.capacity());
        }
        assert!(sizes[0] >= 16 * BLOCK, "{sizes:?}");
        let last = sizes[sizes.len() - 1];
        assert!(last <= 4 * BLOCK, "{sizes:?}");
    }

    #[test]
    fn compressed_and_binary_files_are_told_from_text() {
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
        assert!(matches!(
            not_text(gzip),
            Some(NotText::Compressed { format: "gzip", .. })
        ));
        assert!(matches!(
            not_text(b"BZh91AY&SY\x82\x83"),
            Some(NotText::Compressed {
                format: "bzip2",
                ..
            })
        ));
        assert_eq!(not_text(b"\x7fELF\x02\x01\x01\0"), Some(NotText::Binary));
        for text in [
            &b""[..],
            b"BZh is a word here\n",
            b"{\"a\":1}",
            b"\xe9t\xe9 in Latin-1",
            b"\xff\xfe{\0}\0",
        ] {
            assert_eq!(not_text(text), None, "{text:?}");
        }
    }
}
