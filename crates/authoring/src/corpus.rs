//! Where payloads come from: files, folders, standard input.

use crate::input::{self, Block, Blocks, HEAD, Item, NotText};
use framing::Framing;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// Something to read.
#[derive(Debug, Clone)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file that was named.
    Named(PathBuf),
    /// A file that was found in a folder.
    Found(PathBuf),
}

/// A reader of payloads.
pub type Reader = Box<dyn Read + Send>;

impl Input {
    /// How it is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::Named(path) | Self::Found(path) => path.display().to_string(),
        }
    }

    /// Opens it, unless its beginning shows that it holds no text. A file that somebody named may hold zero bytes: they
    /// may be what is looked into. In a folder of logs it is some database or picture.
    ///
    /// # Errors
    /// It cannot be opened, or is no text.
    pub fn open(&self) -> io::Result<Reader> {
        let mut reader: Reader = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::Named(path) | Self::Found(path) => Box::new(File::open(path)?),
        };
        let head = head(&mut reader)?;
        match input::not_text(&head) {
            Some(NotText::Binary) if !matches!(self, Self::Found(_)) => {}
            Some(not_text) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, not_text));
            }
            None => {}
        }
        Ok(Box::new(Cursor::new(head).chain(reader)))
    }

    /// How many bytes it has, where that is known before it is read.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::Named(path) | Self::Found(path) => match path.metadata() {
                Ok(metadata) => metadata.is_file().then_some(metadata.len()),
                Err(_) => Some(0),
            },
        }
    }
}

/// The first bytes. One read has to do: a pipe may have no more for now, and its first line should not wait.
fn head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let count = loop {
        match reader.read(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    head.truncate(count);
    Ok(head)
}

/// What some paths lead to.
#[derive(Debug, Default)]
pub struct Listing {
    /// What can be read, in order.
    pub inputs: Vec<Input>,
    /// What could not be listed, and why.
    pub refused: Vec<(PathBuf, io::Error)>,
    /// Folders without files.
    pub empty: Vec<PathBuf>,
}

/// Files, the files of folders, and standard input for `-`.
pub fn inputs(paths: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    for path in paths {
        if path == Path::new("-") {
            listing.inputs.push(Input::Stdin);
        } else if path.is_dir() {
            let walk = input::walk(path);
            listing.refused.extend(walk.refused);
            if walk.files.is_empty() {
                listing.empty.push(path.clone());
            }
            listing
                .inputs
                .extend(walk.files.into_iter().map(Input::Found));
        } else {
            listing.inputs.push(Input::Named(path.clone()));
        }
    }
    listing
}

/// Hands out the payloads and faults of inputs one by one, with the name of the input. No more than a block of an input
/// and an unfinished payload is in memory. Tells after each block how many bytes were read. The result is what could not
/// be read, with its name.
pub fn read(
    inputs: &[Input],
    mut watch: impl FnMut(u64),
    mut each: impl FnMut(&str, Item<'_>),
) -> Vec<String> {
    let mut unread = Vec::new();
    let mut block = Block::default();
    for input in inputs {
        let name = input.name();
        let reader = match input.open() {
            Ok(reader) => reader,
            Err(error) => {
                unread.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut blocks = Blocks::new(reader, Framing::Auto, framing::DEFAULT_LIMIT);
        loop {
            let more = blocks.fill(&mut block);
            for item in block.items() {
                each(&name, item);
            }
            watch(block.size());
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    unread.push(format!("{name}: {error}"));
                    break;
                }
            }
        }
    }
    unread
}
