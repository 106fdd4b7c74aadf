//! Which mapping an author's command is about, and which payloads show what it does.

use crate::place::Place;
use crate::{UsageError, library, terminal};
use anyhow::{Context, bail};
use authoring::folder;
use authoring::render::{self, Format};
use authoring::replay::Corpus;
use clap::Args;
use dsm::mapping::Source;
use std::path::{Path, PathBuf};

/// What lint and export have in common.
#[derive(Debug, Args)]
pub(crate) struct AuthorArgs {
    /// Log source type, or its mapping folder; where there is no dsm-mappings, a mapping of this program.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// Payloads that show what the mapping does: a file, or a folder of files; the fixtures, if it is not given.
    #[arg(long, value_name = "PATH")]
    corpus: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// A mapping folder, or a mapping of this program.
#[derive(Debug)]
pub(crate) struct Author {
    /// Its files.
    pub(crate) source: Source,
    /// The folder; none for a mapping of this program.
    folder: Option<PathBuf>,
    /// The payloads.
    pub(crate) corpus: Corpus,
}

impl AuthorArgs {
    pub(crate) fn read(&self) -> anyhow::Result<Author> {
        let mut place = self.place.clone();
        let slug = place.enter(&self.slug);
        let folder = match &slug {
            None if place.is_missing() => None,
            _ => Some(place.folder(slug.as_ref().unwrap_or(&self.slug))?),
        };
        let source = match &folder {
            Some(folder) => source(folder)?,
            None => library::embedded_source(&self.slug)?,
        };
        let corpus = match &self.corpus {
            Some(path) if !path.exists() => bail!("{} does not exist", path.display()),
            Some(path) => {
                let _waiting = terminal::waiting("reads payloads");
                Corpus::read(path).with_context(|| unreadable(path))?
            }
            None => Corpus::of_fixtures(&place.fixtures().join(&source.slug))
                .with_context(|| unreadable(&place.fixtures().join(&source.slug)))?,
        };
        Ok(Author {
            source,
            folder,
            corpus,
        })
    }
}

fn source(folder: &Path) -> anyhow::Result<Source> {
    let slug = folder.file_name().unwrap_or_default().to_string_lossy();
    let (source, findings) = folder::read_as(folder, slug.into_owned());
    let Some(source) = source else {
        let styled = terminal::stderr_is_styled();
        terminal::stderr(&render::render(&findings, Format::Human, styled));
        bail!("{} cannot be used", folder.display());
    };
    Ok(source)
}

fn unreadable(path: &Path) -> String {
    format!("cannot read the payloads of {}", path.display())
}

impl Author {
    /// The folder, or why there is none to write to.
    pub(crate) fn folder(&self, what: &str) -> anyhow::Result<&Path> {
        self.folder.as_deref().ok_or_else(|| {
            UsageError(format!(
                "{} is a mapping of this program: {what} needs a mapping folder, such as dsm-mappings/{}",
                self.source.slug, self.source.slug
            ))
            .into()
        })
    }
}

/// `1 thing`, `2 things`.
pub(crate) fn counted(count: usize, name: &str) -> String {
    match count {
        1 => format!("1 {name}"),
        _ => format!("{count} {name}s"),
    }
}
