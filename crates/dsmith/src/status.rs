//! `dsmith status`.

use crate::Exit;
use crate::args::StatusArgs;
use anyhow::bail;
use pipeline::config::{self, Config};
use pipeline::status::{KnownLogSource, Overview};
use std::io::Write;
use std::time::SystemTime;

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let (config, findings) = config::load(&args.config.path);
    // Faults elsewhere in the file are no reason not to look.
    let usable = |config: &Config| !config.state_directory.as_os_str().is_empty();
    let Some(config) = config.filter(usable) else {
        match findings.iter().next() {
            Some(finding) => bail!("{finding}"),
            None => bail!("{} names no `state_directory`", args.config.path.display()),
        }
    };
    let known = config.log_sources.iter();
    let known = known.map(|source| KnownLogSource {
        identifier: &source.identifier.value,
        enabled: source.enabled,
        behind_gateway: source
            .protocol
            .is_some_and(|protocol| protocol.name() == "gateway"),
        shared: source.is_shared,
    });
    let directory = args.state_directory.as_ref();
    let directory = directory.unwrap_or(&config.state_directory);
    let overview = Overview::read(directory)?.with_log_sources(known);
    let table = overview.table(SystemTime::now().into());
    anstream::stdout().write_all(table.as_bytes())?;
    Ok(Exit::Success)
}
