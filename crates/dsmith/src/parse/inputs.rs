//! What is read: files, folders, standard input.

use super::work::Batch;
use crate::args::{FramingArg, ParseArgs};
use crate::{UsageError, terminal};
use authoring::corpus::{self, Input, Reader};
use authoring::input::{BLOCK, Blocks};
use framing::Framing;
use indicatif::{ProgressBar, ProgressStyle};
use ordered::Source;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Threads beyond these would wait for the one that reads, which has its own work to do on each byte.
const MOST_THREADS: usize = 8;

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
    let listing = corpus::inputs(&args.paths);
    for (path, error) in &listing.refused {
        terminal::error(&format!("{}: {error}", path.display()));
    }
    for path in &listing.empty {
        terminal::warning(&format!("{}: the folder holds no files", path.display()));
    }
    Ok((listing.inputs, listing.refused.len() as u64))
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
