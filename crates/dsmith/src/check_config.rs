//! `dsmith check-config`.

use crate::args::{CheckConfigArgs, CheckFormat};
use crate::{Exit, library, terminal};
use authoring::folder::Library;
use authoring::render::{self, Format};
use dsm::diagnostic::{Diagnostics, Severity};
use pipeline::config::{self, Config};
use protocol::secret::SystemSecrets;
use std::io::Write;
use std::path::Path;

pub(crate) fn run(args: &CheckConfigArgs) -> anyhow::Result<Exit> {
    crate::memory::keep_private();
    // What is missing here may be there where it runs.
    let (loaded, mut findings) = load(&args.config.path, Severity::Warning)?;
    if let Some((config, _)) = &loaded
        && !findings.has_errors()
    {
        config.check_state(&mut findings);
    }
    let format = match args.format {
        CheckFormat::Human => Format::Human,
        CheckFormat::Json => Format::Json,
        CheckFormat::Github => Format::Github,
        CheckFormat::Sarif => Format::Sarif,
    };
    let text = render::render(&findings, format, terminal::stdout_is_styled());
    anstream::stdout().write_all(text.as_bytes())?;
    if args.format == CheckFormat::Human {
        let summary = render::summary(&findings).unwrap_or_else(|| "no findings".to_owned());
        let content = loaded.map_or_else(String::new, |(config, _)| {
            format!(
                "{}, {}: ",
                counted(config.log_sources.len(), "log source"),
                counted(config.destinations.len(), "destination")
            )
        });
        terminal::stderr(&format!("{content}{summary}\n"));
    }
    Ok(if findings.has_errors() {
        Exit::Failure
    } else {
        Exit::Success
    })
}

fn counted(count: usize, name: &str) -> String {
    match count {
        1 => format!("1 {name}"),
        _ => format!("{count} {name}s"),
    }
}

/// Reads a configuration and the mappings that it needs, with all that is wrong with either. `severity` is how bad it is
/// that a secret or a file is missing.
pub(crate) fn load(
    path: &Path,
    severity: Severity,
) -> anyhow::Result<(Option<(Config, Library)>, Diagnostics)> {
    let (config, mut findings) = config::load(path);
    let Some(config) = config else {
        return Ok((None, findings));
    };
    let (library, found) = match &config.mappings {
        Some(folder) => Library::load(folder)?,
        None => library::embedded(),
    };
    // A mapping that no log source uses does not matter here.
    let used = |finding: &dsm::diagnostic::Diagnostic| {
        config.log_sources.iter().any(|source| {
            let slug = source.log_source_type.value.as_str();
            Path::new(finding.place().0)
                .parent()
                .and_then(Path::file_name)
                == Some(slug.as_ref())
                || Path::new(finding.place().0).file_name() == Some(slug.as_ref())
        })
    };
    let mut found = found;
    found.retain(used);
    config.check_types(&library.slugs(), &mut findings);
    config.check_surroundings(&SystemSecrets, severity, &mut findings);
    config.check_opening(&SystemSecrets, severity, &mut findings);
    findings.sort();
    findings.append(found);
    Ok((Some((config, library)), findings))
}
