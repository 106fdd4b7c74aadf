//! The program that libFuzzer drives: one target, named by the environment.

#![no_main]

use fuzz::Target;
use std::sync::OnceLock;

static TARGET: OnceLock<&Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match fuzz::find(&name) {
        Some(target) => {
            let _ = TARGET.set(target);
        }
        None => {
            eprintln!("FUZZ_TARGET names no target: `{name}`");
            std::process::exit(64);
        }
    }
}, |input: &[u8]| {
    if let Some(target) = TARGET.get() {
        fuzz::check(target, input);
    }
});
