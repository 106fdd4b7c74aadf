//! The command line as its users meet it: arguments in, lines and exit codes out.

mod bad_input;
mod check;
mod formats;
mod input;
mod support;
mod terminal;
mod types;
