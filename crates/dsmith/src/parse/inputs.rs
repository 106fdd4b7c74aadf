//! What is read: files, folders, standard input.

use super::work::Batch;
use crate::args::{FramingArg, ParseArgs};
use crate::{UsageError, terminal};
use authoring::input::{self, BLOCK, Blocks, HEAD, NotText};
use dsm::framing::Framing;
use indicatif::{ProgressBar, ProgressStyle};
use ordered::Source;
use std::fs::File;
use std::io::{self, Cursor, IsTerminal, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Threads beyond these would wait for the one that reads, which has its own work to do on each byte.
const MOST_THREADS: usize = 8;

/// Something to read.
#[derive(Debug)]
pub(super) enum Input {
    Stdin,
    /// A file that was named.
    Named(PathBuf),
    /// A file that was found in a folder.
    Found(PathBuf),
}

impl Input {
    /// How it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::Named(path) | Self::Found(path) => path.display().to_string(),
        }
    }

    /// Opens it, unless its beginning shows that it holds no text. A file that somebody named may hold zero bytes: they
    /// may be what is looked into. In a folder of logs it is some database or picture.
    fn open(&self) -> io::Result<impl Read + Send + use<>> {
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
        Ok(Cursor::new(head).chain(reader))
    }

    /// How many bytes it has, where that is known before it is read.
    fn size(&self) -> Option<u64> {
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

type Reader = Box<dyn Read + Send>;

/// Reads the inputs one after the other.
pub(super) struct Reading {
    inputs: std::vec::IntoIter<Input>,
    current: Option<(Arc<str>, Blocks<Reader>)>,
    framing: Framing,
    limit: usize,
    progress: ProgressBar,
}

impl Reading {
    pub(super) fn new(args: &ParseArgs, inputs: Vec<Input>, progress: ProgressBar) -> Self {
        Self {
            inputs: inputs.into_iter(),
            current: None,
            framing: match args.framing {
                FramingArg::Auto => Framing::Auto,
                FramingArg::Lines => Framing::Lines,
                FramingArg::Whole => Framing::Whole,
            },
            limit: args.max_payload,
            progress,
        }
    }
}

impl Source for Reading {
    type Batch = Batch;

    fn fill(&mut self, batch: &mut Batch) -> bool {
        loop {
            if let Some((name, blocks)) = &mut self.current {
                let filled = blocks.fill(&mut batch.block);
                batch.name = Arc::clone(name);
                match filled {
                    Ok(true) => return true,
                    Ok(false) => self.current = None,
                    Err(error) => {
                        batch.unread = Some(format!("{name}: {error}"));
                        self.current = None;
                        return true;
                    }
                }
            }
            let Some(input) = self.inputs.next() else {
                return false;
            };
            let name: Arc<str> = input.name().into();
            match input.open() {
                Ok(reader) => {
                    let reader: Reader = Box::new(self.progress.wrap_read(reader));
                    let blocks = Blocks::new(reader, self.framing, self.limit);
                    self.current = Some((name, blocks));
                }
                Err(error) => {
                    batch.block.clear();
                    batch.unread = Some(format!("{name}: {error}"));
                    return true;
                }
            }
        }
    }
}

/// How many threads are worth their while: as many as there are cores, but not more than there are blocks to read.
pub(super) fn threads(args: &ParseArgs, inputs: &[Input]) -> NonZeroUsize {
    let count = match args.threads {
        // Only one event is looked at.
        _ if args.explain => 1,
        Some(threads) => threads.get(),
        None => {
            let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
            let size: Option<u64> = inputs.iter().map(Input::size).sum();
            let blocks = size.map_or(usize::MAX, |size| {
                usize::try_from(size / BLOCK as u64).unwrap_or(usize::MAX)
            });
            cores.min(MOST_THREADS).min(blocks)
        }
    };
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

/// The inputs, and how many of them could not even be found.
pub(super) fn inputs(args: &ParseArgs) -> anyhow::Result<(Vec<Input>, u64)> {
    if args.paths.is_empty() {
        if io::stdin().is_terminal() {
            return Err(UsageError(
                "no input: name files or folders, or pipe payloads in (`-` reads from the terminal)"
                    .to_owned(),
            )
            .into());
        }
        return Ok((vec![Input::Stdin], 0));
    }
    let mut inputs = Vec::new();
    let mut refused = 0;
    for path in &args.paths {
        if path == Path::new("-") {
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            let walk = input::walk(path);
            for (path, error) in &walk.refused {
                terminal::error(&format!("{}: {error}", path.display()));
                refused += 1;
            }
            if walk.files.is_empty() {
                terminal::warning(&format!("{}: the folder holds no files", path.display()));
            }
            inputs.extend(walk.files.into_iter().map(Input::Found));
        } else {
            inputs.push(Input::Named(path.clone()));
        }
    }
    Ok((inputs, refused))
}

/// A bar where the size of the input is known, else a counter; neither where it would be in the way of the events.
pub(super) fn progress(args: &ParseArgs, inputs: &[Input]) -> ProgressBar {
    let from_terminal =
        inputs.iter().any(|input| matches!(input, Input::Stdin)) && io::stdin().is_terminal();
    if args.quiet
        || args.explain
        || from_terminal
        || io::stdout().is_terminal()
        || !terminal::is_watched()
    {
        return ProgressBar::hidden();
    }
    let total: Option<u64> = inputs.iter().map(Input::size).sum();
    let (bar, template) = match total {
        Some(total @ 1..) => (
            ProgressBar::new(total),
            "{bytes:>10} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left",
        ),
        _ => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} read, {bytes_per_sec}",
        ),
    };
    let style = ProgressStyle::with_template(template);
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
