//! `dsmith check`.

use crate::args::{CheckArgs, CheckFormat};
use crate::{Exit, UsageError, explain, library, terminal};
use anyhow::{Context, bail};
use authoring::folder::{self, Library};
use authoring::render::{self, Format};
use dsm::diagnostic::Diagnostics;
use dsm::mapping::FILES;
use std::io::Write;
use std::path::Path;

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    let mut findings = Diagnostics::new();
    let mut mappings = 0;
    let default = Path::new("dsm-mappings");
    if args.paths.is_empty() && !default.is_dir() {
        let (library, found) = library::embedded();
        mappings += library.slugs().len();
        findings.append(found);
    }
    let paths: Vec<&Path> = if args.paths.is_empty() {
        default.is_dir().then_some(default).into_iter().collect()
    } else {
        args.paths.iter().map(AsRef::as_ref).collect()
    };
    for path in paths {
        mappings += check(path, &mut findings)?;
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
        if args.explain {
            anstream::stdout().write_all(explain::of_findings(&findings).as_bytes())?;
        }
        let count = if mappings == 1 {
            "1 mapping".to_owned()
        } else {
            format!("{mappings} mappings")
        };
        let summary = render::summary(&findings).unwrap_or_else(|| "no findings".to_owned());
        terminal::stderr(&format!("{count} checked: {summary}\n"));
    }
    Ok(if findings.has_errors() {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// Checks an extension, a mapping folder, or a folder of them; tells how many mappings there were.
fn check(path: &Path, findings: &mut Diagnostics) -> anyhow::Result<usize> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_extension = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
    if metadata.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !is_extension && FILES.contains(&name.as_ref()) {
            return Err(UsageError(format!(
                "{} is a part of a mapping: check the folder it is in",
                path.display()
            ))
            .into());
        }
        let (_, found) = folder::load_extension(path);
        findings.append(found);
        return Ok(1);
    }
    if FILES.iter().any(|name| path.join(name).is_file()) {
        let (_, found) = folder::load(path);
        findings.append(found);
        return Ok(1);
    }
    let (_, found) = Library::load(path)?;
    findings.append(found);
    // As the library does.
    let count = std::fs::read_dir(path)?
        .filter_map(Result::ok)
        .filter(|entry| {
            entry.path().is_dir() && !entry.file_name().to_string_lossy().starts_with(['.', '_'])
        })
        .count();
    if count == 0 {
        bail!(
            "{} is neither a mapping ({}) nor a folder of mappings",
            path.display(),
            FILES.join(", ")
        );
    }
    Ok(count)
}
