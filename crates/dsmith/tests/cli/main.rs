//! The command line as its users meet it: arguments in, lines and exit codes out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod anonymize;
mod bad_input;
mod census;
mod check;
mod check_config;
mod collected;
mod corpus;
mod coverage;
mod diff;
mod examples;
mod explain;
mod export;
mod formats;
mod guide;
mod input;
mod lint;
mod lsp;
mod new;
mod private;
mod protocols;
mod run;
mod support;
mod terminal;
mod test_source;
mod tests;
mod threads;
mod types;
