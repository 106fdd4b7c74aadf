//! `dsmith status`.

use crate::Exit;
use crate::args::StatusArgs;
use anyhow::bail;
use pipeline::config;
use pipeline::status::Overview;
use std::io::Write;
use std::time::SystemTime;

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let (config, findings) = config::load(&args.config);
    // Faults elsewhere in the file are no reason not to look.
    let directory = config.map(|config| config.state_directory);
    let Some(directory) = directory.filter(|directory| !directory.as_os_str().is_empty()) else {
        match findings.iter().next() {
            Some(finding) => bail!("{finding}"),
            None => bail!("{} names no `state_directory`", args.config.display()),
        }
    };
    let overview = Overview::read(&directory)?;
    let table = overview.table(SystemTime::now().into());
    anstream::stdout().write_all(table.as_bytes())?;
    Ok(Exit::Success)
}
