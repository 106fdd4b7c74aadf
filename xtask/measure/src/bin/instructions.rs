//! The fixed workload for callgrind; `cargo xtask bench --instructions` runs it.
//!
//! Arguments: the folder of mappings, and the name of a corpus if it should be one only.

use measure::instructions::workload;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mappings = arguments
        .next()
        .unwrap_or_else(|| "dsm-mappings".to_owned());
    let corpus = arguments.next();
    match workload(Path::new(&mappings), corpus.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
