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
    let mut splitter = Splitter::new(framing, limit);
    let mut block = vec![0; BLOCK];
    let mut total = 0;
    let mut sink = |frame: Frame<'_>| match frame {
        Frame::Payload { bytes, offset } => each(Item::Payload(bytes, offset)),
        Frame::Fault(fault) => each(Item::Fault(fault)),
    };
    loop {
        let count = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                splitter.finish(&mut sink);
                return Err(error);
            }
        };
        total += count as u64;
        splitter.push(&block[..count], &mut sink);
    }
    splitter.finish(&mut sink);
    Ok(total)
}

/// All files below a path, in order; a file is itself. Hidden files and snapshots are left out.
///
/// # Errors
/// A folder cannot be listed.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with('.')
                || name == UNREACHED
                || name.ends_with(".snap")
                || name.ends_with(".snap.new")
            {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The list of branches that no fixture reaches, beside the fixtures of a mapping.
pub const UNREACHED: &str = "unreached.txt";
