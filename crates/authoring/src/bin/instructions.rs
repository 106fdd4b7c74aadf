//! The fixed workload for callgrind; `cargo xtask bench --instructions` runs it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mappings = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "dsm-mappings".into());
    match authoring::bench::instructions::workload(Path::new(&mappings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
