//! The `dsmith` command line.
fn main() {}
