//! `dsmith test-source`: QRadar's "Test" of a log source.

use crate::args::TestSourceArgs;
use crate::{Exit, UsageError, terminal};
use anyhow::{Context, bail};
use authoring::explain::visible;
use authoring::render::{self, Format};
use protocol::clock::SystemClock;
use protocol::probe::{Outcome, Probe, probe};
use protocol::reference::in_words;
use protocol::secret::SystemSecrets;
use std::io::Write as _;

/// Names of tests are shorter, as a rule.
const NAME_WIDTH: usize = 44;

pub(crate) fn run(args: &TestSourceArgs) -> anyhow::Result<Exit> {
    crate::memory::keep_private();
    let (config, findings) = pipeline::config::load(&args.config.path);
    if findings.has_errors() {
        let text = render::render(&findings, Format::Human, terminal::stderr_is_styled());
        terminal::stderr(&text);
        bail!(
            "{} has errors, so nothing is tested",
            args.config.path.display()
        );
    }
    let sources = config.map(|config| config.log_sources).unwrap_or_default();
    let wanted = sources
        .iter()
        .find(|source| source.identifier.value == args.identifier);
    let Some(source) = wanted else {
        let known: Vec<&str> = sources
            .iter()
            .map(|source| source.identifier.value.as_str())
            .collect();
        return Err(UsageError(format!(
            "{} has no log source `{}`: known are {}",
            args.config.path.display(),
            args.identifier,
            known.join(", ")
        ))
        .into());
    };
    let protocol = source.protocol.context("the log source has no protocol")?;
    if let Some(deprecation) = protocol.deprecation() {
        terminal::warning(&format!(
            "`{}` is deprecated: {}",
            protocol.name(),
            in_words(deprecation)
        ));
    }
    let opened = protocol
        .open(&args.identifier, &source.parameters, &SystemSecrets)
        .with_context(|| format!("log source `{}`", args.identifier))?;
    let mut written = Ok(());
    let passed = probe(opened, &SystemClock, &mut |probe| {
        if written.is_ok() {
            written = anstream::stdout().write_all(line(probe).as_bytes());
        }
    });
    written?;
    Ok(if passed { Exit::Success } else { Exit::Failure })
}

/// A test, with the remedy below it where it failed.
fn line(probe: &Probe) -> String {
    let name = visible(&probe.name);
    match &probe.outcome {
        Outcome::Passed(seen) => {
            format!(
                "\x1b[32mok\x1b[0m      {name:NAME_WIDTH$}  {}\n",
                visible(seen)
            )
        }
        Outcome::Failed { reason, remedy } => {
            let remedy = remedy.as_ref().map_or_else(String::new, |remedy| {
                format!("{:8}\x1b[1mhelp:\x1b[0m {}\n", "", visible(remedy))
            });
            format!(
                "\x1b[1;31mFAILED\x1b[0m  {name:NAME_WIDTH$}  {}\n{remedy}",
                visible(reason)
            )
        }
    }
}
