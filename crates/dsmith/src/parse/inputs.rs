//! What is read: files, folders, standard input.

use crate::args::ParseArgs;
use crate::{UsageError, terminal};
use authoring::input::{self, HEAD, NotText};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

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
    pub(super) fn open(&self, stop: &Stop) -> io::Result<impl Read + use<>> {
        let mut reader: Box<dyn Read> = match self {
            Self::Stdin => Box::new(io::stdin().lock()),
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
        Ok(Stoppable {
            inner: Cursor::new(head).chain(reader),
            stop: stop.clone(),
        })
    }

    fn size(&self) -> u64 {
        match self {
            Self::Stdin => 0,
            Self::Named(path) | Self::Found(path) => {
                path.metadata().map_or(0, |metadata| metadata.len())
            }
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

/// A switch that ends reading, for when nobody is interested in the rest.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Rc<Cell<bool>>);

impl Stop {
    pub(super) fn pull(&self) {
        self.0.set(true);
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.0.get()
    }
}

struct Stoppable<R> {
    inner: R,
    stop: Stop,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_pulled() {
            return Ok(0);
        }
        self.inner.read(buffer)
    }
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
    let total: u64 = inputs.iter().map(Input::size).sum();
    let is_known = total > 0 && !inputs.iter().any(|input| matches!(input, Input::Stdin));
    let (bar, template) = if is_known {
        (
            ProgressBar::new(total),
            "{bytes:>10} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left",
        )
    } else {
        (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} read, {bytes_per_sec}",
        )
    };
    let style = ProgressStyle::with_template(template);
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
