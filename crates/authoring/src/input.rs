//! Payloads from files.

use dsm::framing::{Fault, Frame, Framing, Splitter};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How much is read at a time.
const BLOCK: usize = 1 << 18;

/// A payload or a fault, with its place in the input.
#[derive(Debug)]
pub enum Item<'a> {
    /// The bytes of a payload, and the offset of the first one.
    Payload(&'a [u8], u64),
    /// What is wrong with the input.
    Fault(Fault),
    /// All that was read so far was handed out, and reading on may take long.
    Pause,
}

/// Splits everything that a reader yields, holding no more than a payload at a time. Returns how many bytes there were.
///
/// # Errors
/// The reader fails; what came before was handed out.
pub fn read<R: Read>(
    mut reader: R,
    framing: Framing,
    limit: usize,
    mut each: impl FnMut(Item<'_>),
) -> std::io::Result<u64> {
    fn hand_on<'f>(each: &mut impl FnMut(Item<'_>), frame: Frame<'f>) {
        match frame {
            Frame::Payload { bytes, offset } => each(Item::Payload(bytes, offset)),
            Frame::Fault(fault) => each(Item::Fault(fault)),
        }
    }
    let mut splitter = Splitter::new(framing, limit);
    let mut block = vec![0; BLOCK];
    let mut total = 0;
    loop {
        let count = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                splitter.finish(|frame| hand_on(&mut each, frame));
                return Err(error);
            }
        };
        total += count as u64;
        splitter.push(&block[..count], |frame| hand_on(&mut each, frame));
        each(Item::Pause);
    }
    splitter.finish(|frame| hand_on(&mut each, frame));
    Ok(total)
}

/// What a walk through a folder found.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// What could not be listed, and why.
    pub refused: Vec<(PathBuf, std::io::Error)>,
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
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
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
