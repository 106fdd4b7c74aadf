//! What goes to standard error, and what is known about the terminal.

use anstream::{AutoStream, ColorChoice};
use authoring::explain::visible;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use terminal_size::{Width, terminal_size_of};

/// How many columns a text may have where nobody knows the width.
const DEFAULT_WIDTH: usize = 120;

/// Writes a text; where standard error is closed there is nobody to tell.
pub(crate) fn stderr(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Writes an error.
pub(crate) fn error(message: &str) {
    labelled("\x1b[1;31merror\x1b[0m", message);
}

/// Writes a warning.
pub(crate) fn warning(message: &str) {
    labelled("\x1b[1;33mwarning\x1b[0m", message);
}

/// Writes something that is good to know.
pub(crate) fn note(message: &str) {
    labelled("\x1b[1;36mnote\x1b[0m", message);
}

/// Messages quote payloads and names of files, which may hold anything.
fn labelled(label: &str, message: &str) {
    stderr(&format!("{label}: {}\n", visible(message)));
}

/// Whether colours would be seen on standard error.
pub(crate) fn stderr_is_styled() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// Whether colours would be seen on standard output.
pub(crate) fn stdout_is_styled() -> bool {
    AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

/// How many columns standard output has, if it is a terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(Width(width), _)| width.into())
}

/// How many columns a text for people may have. Behind a pager there is still the terminal of standard error.
pub(crate) fn reading_width() -> usize {
    let stderr = || terminal_size_of(std::io::stderr()).map(|(Width(width), _)| width.into());
    stdout_width().or_else(stderr).unwrap_or(DEFAULT_WIDTH)
}

/// A bar for work that may take long, shown where somebody watches. The template is that of `indicatif`.
pub(crate) fn progress(template: &str) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A sign of life beside work of which nobody knows how long it takes. It goes when it is dropped.
pub(crate) fn waiting(what: &str) -> Waiting {
    let bar = progress("{spinner} {msg}, {elapsed}");
    bar.set_message(what.to_owned());
    if is_watched() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    Waiting(bar)
}

/// What [`waiting`] shows.
pub(crate) struct Waiting(ProgressBar);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Whether somebody watches standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
