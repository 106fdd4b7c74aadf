//! The command line as its users meet it: arguments in, lines and exit codes out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod bad_input;
mod check;
mod check_config;
mod export;
mod formats;
mod input;
mod lint;
mod protocols;
mod support;
mod terminal;
mod threads;
mod types;
