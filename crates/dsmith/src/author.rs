//! Which mapping an author's command is about, and which payloads show what it does.

use crate::{UsageError, library};
use anyhow::{Context, bail};
use authoring::folder;
use authoring::render::{self, Format};
use authoring::replay::Corpus;
use clap::Args;
use dsm::mapping::{FILES, Source};
use std::path::{Path, PathBuf};

/// What the commands for authors have in common.
#[derive(Debug, Args)]
pub(crate) struct AuthorArgs {
    /// A log source type, or the path of a mapping folder.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// The folder of the mapping folders; without it ./dsm-mappings, and if that is not there the mappings of this program.
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Payloads that show what the mapping does: a file, or a folder of files; fixtures/SLUG if it is not given.
    #[arg(long, value_name = "PATH")]
    corpus: Option<PathBuf>,
}

/// A mapping folder, or a mapping of this program.
#[derive(Debug)]
pub(crate) struct Author {
    /// Its files.
    pub(crate) source: Source,
    /// The folder; none for a mapping of this program.
    pub(crate) folder: Option<PathBuf>,
    /// The payloads.
    pub(crate) corpus: Corpus,
}

impl AuthorArgs {
    pub(crate) fn read(&self) -> anyhow::Result<Author> {
        let folder = self.folder()?;
        let source = match &folder {
            Some(folder) => {
                let name = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                let name = name.file_name().unwrap_or_default().to_string_lossy();
                let (source, findings) = folder::read_as(folder, name.into_owned());
                match source {
                    Some(source) => source,
                    None => bail!(
                        "{} cannot be used\n{}",
                        folder.display(),
                        render::render(&findings, Format::Human, false).trim_end()
                    ),
                }
            }
            None => library::embedded_source(&self.slug)?,
        };
        let corpus = match &self.corpus {
            Some(path) if !path.exists() => bail!("{} does not exist", path.display()),
            Some(path) => read(path)?,
            None => read(&Path::new("fixtures").join(&source.slug))?,
        };
        Ok(Author {
            source,
            folder,
            corpus,
        })
    }

    /// The folder that is meant; none for a mapping of this program.
    fn folder(&self) -> anyhow::Result<Option<PathBuf>> {
        let path = Path::new(&self.slug);
        if self.mappings.is_none() && FILES.iter().any(|name| path.join(name).is_file()) {
            return Ok(Some(path.to_owned()));
        }
        let default = Path::new("dsm-mappings");
        let mappings = match &self.mappings {
            Some(mappings) => mappings.as_path(),
            None if default.is_dir() => default,
            None => return Ok(None),
        };
        let folder = mappings.join(&self.slug);
        if folder.is_dir() {
            return Ok(Some(folder));
        }
        let known: Vec<String> = std::fs::read_dir(mappings)
            .with_context(|| format!("cannot read the folder {}", mappings.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .filter(|name| !name.starts_with(['.', '_']))
            .collect();
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.sort_unstable();
        let place = format!(" in {}", mappings.display());
        Err(library::unknown_type(&self.slug, &place, &known))
    }
}

fn read(path: &Path) -> anyhow::Result<Corpus> {
    Corpus::read(path).with_context(|| format!("cannot read the payloads of {}", path.display()))
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
