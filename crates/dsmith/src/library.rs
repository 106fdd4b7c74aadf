//! Where mappings come from: this program, or a folder.

use crate::{UsageError, terminal};
use anyhow::{Context, bail};
use authoring::folder::{self, Library};
use authoring::render::{self, Format};
use dsm::diagnostic::{Diagnostics, SourceFile, suggest};
use dsm::mapping::{FILES, Source};
use std::path::Path;
use std::sync::Arc;

/// Slugs and the texts of their files, in the order of [`FILES`].
const EMBEDDED: &[(&str, [&str; 4])] = include!(concat!(env!("OUT_DIR"), "/mappings.rs"));

fn source(slug: &str, texts: &[&str; 4]) -> Source {
    let file = |index: usize| -> Arc<SourceFile> {
        SourceFile::new(
            format!("dsm-mappings/{slug}/{}", FILES[index]),
            texts[index],
        )
    };
    Source {
        slug: slug.to_owned(),
        manifest: file(0),
        extension: file(1),
        qidmap: file(2),
        event_mappings: file(3),
    }
}

/// The mappings of this program.
pub(crate) fn embedded() -> (Library, Diagnostics) {
    Library::from_sources(EMBEDDED.iter().map(|(slug, texts)| source(slug, texts)))
}

/// The files of a mapping of this program.
pub(crate) fn embedded_source(slug: &str) -> anyhow::Result<Source> {
    let found = EMBEDDED.iter().find(|(known, _)| *known == slug);
    found
        .map(|(slug, texts)| source(slug, texts))
        .ok_or_else(|| {
            let known: Vec<&str> = EMBEDDED.iter().map(|(slug, _)| *slug).collect();
            unknown_type(slug, "", &known)
        })
}

/// The mapping of a type, or all of them, and whether some of them have errors; findings go to standard error.
pub(crate) fn load(dir: Option<&Path>, slug: Option<&str>) -> anyhow::Result<(Library, bool)> {
    let (library, findings) = match (dir, slug) {
        (None, None) => embedded(),
        (None, Some(slug)) => Library::from_sources([embedded_source(slug)?]),
        (Some(dir), None) => Library::load(dir)?,
        (Some(dir), Some(slug)) => {
            let path = dir.join(slug);
            if !path.is_dir() {
                let (library, _) = Library::load(dir)?;
                let place = format!(" in {}", dir.display());
                return Err(unknown_type(slug, &place, &library.slugs()));
            }
            let (mapping, findings) = folder::load(&path);
            (Library::of(mapping), findings)
        }
    };
    show(&findings);
    if slug.is_some() && library.slugs().is_empty() {
        bail!("the mapping cannot be used; `dsmith check` reports the same");
    }
    Ok((library, findings.has_errors()))
}

pub(crate) fn unknown_type(slug: &str, place: &str, known: &[&str]) -> anyhow::Error {
    let known = if known.is_empty() {
        "there are none".to_owned()
    } else {
        suggest(slug, "types", known)
    };
    UsageError(format!("no log source type `{slug}`{place}: {known}")).into()
}

/// The mapping made of a bare extension.
pub(crate) fn load_extension(path: &Path) -> anyhow::Result<dsm::Mapping> {
    let (mapping, findings) = folder::load_extension(path);
    show(&findings);
    mapping.with_context(|| format!("{} cannot be used", path.display()))
}

fn show(findings: &Diagnostics) {
    if !findings.is_empty() {
        terminal::stderr(&render::render(
            findings,
            Format::Human,
            terminal::stderr_is_styled(),
        ));
    }
}
