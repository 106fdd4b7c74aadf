//! What goes to standard error.

use anstream::{AutoStream, ColorChoice};
use std::io::{IsTerminal, Write};

/// Writes a text; where standard error is closed there is nobody to tell.
pub(crate) fn stderr(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Writes an error.
pub(crate) fn error(message: &str) {
    stderr(&format!("\x1b[1;31merror\x1b[0m: {message}\n"));
}

/// Writes a warning.
pub(crate) fn warning(message: &str) {
    stderr(&format!("\x1b[1;33mwarning\x1b[0m: {message}\n"));
}

/// Whether colours would be seen on standard error.
pub(crate) fn stderr_is_styled() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// Whether colours would be seen on standard output.
pub(crate) fn stdout_is_styled() -> bool {
    AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

/// Whether somebody watches standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
