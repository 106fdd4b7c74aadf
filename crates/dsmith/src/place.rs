//! Where an author keeps mappings and fixtures.

use crate::UsageError;
use anyhow::bail;
use authoring::folder::{self, Library};
use authoring::render::{self, Format};
use clap::Args;
use dsm::Mapping;
use dsm::diagnostic::{Diagnostics, suggest};
use dsm::mapping::FILES;
use std::path::{Path, PathBuf};

/// The folders that the commands for authors work on.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// Folder with mapping folders [default: dsm-mappings].
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Folder with fixture folders [default: fixtures, beside the mappings].
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
}

impl Place {
    pub(crate) fn mappings(&self) -> PathBuf {
        let default = || PathBuf::from("dsm-mappings");
        self.mappings.clone().unwrap_or_else(default)
    }

    pub(crate) fn fixtures(&self) -> PathBuf {
        if let Some(fixtures) = &self.fixtures {
            return fixtures.clone();
        }
        let beside = self.mappings.as_ref().and_then(|path| path.parent());
        beside.map_or_else(|| PathBuf::from("fixtures"), |path| path.join("fixtures"))
    }

    /// If a name is the path of a mapping folder, its slug; unless said otherwise, mappings are where it is from now on.
    pub(crate) fn enter(&mut self, name: &str) -> Option<String> {
        let path = Path::new(name.trim_end_matches(['/', '\\']));
        if !FILES.iter().any(|file| path.join(file).is_file()) {
            return None;
        }
        let real = std::fs::canonicalize(path).ok()?;
        let slug = real.file_name()?.to_string_lossy().into_owned();
        if self.mappings.is_none() {
            // The path as it was written, so that messages stay short.
            let parent = match path.parent() {
                Some(parent) if path.file_name().is_some() && parent != Path::new("") => {
                    parent.to_owned()
                }
                _ => real.parent()?.to_owned(),
            };
            self.mappings = Some(parent);
        }
        Some(slug)
    }

    /// Whether the mappings are where nobody said that they are.
    pub(crate) fn is_missing(&self) -> bool {
        self.mappings.is_none() && !self.mappings().is_dir()
    }

    /// What to do where a folder cannot be read.
    pub(crate) fn advice(&self) -> String {
        "run it where dsm-mappings and fixtures are, or name them with --mappings and --fixtures"
            .to_owned()
    }

    /// The folder of a mapping, named by the slug of its type or by its path.
    pub(crate) fn folder(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        let slug = self.enter(name).unwrap_or_else(|| name.to_owned());
        let mappings = self.mappings();
        let folder = mappings.join(&slug);
        if folder.is_dir() {
            return Ok(folder);
        }
        let known = Library::load(&mappings)
            .map(|(library, _)| library.slugs().join(", "))
            .unwrap_or_default();
        let known: Vec<&str> = known.split(", ").filter(|slug| !slug.is_empty()).collect();
        if known.is_empty() {
            return Err(UsageError(format!(
                "no log source type `{slug}`: {} has none; {}",
                mappings.display(),
                self.advice()
            ))
            .into());
        }
        Err(UsageError(format!(
            "no log source type `{slug}` in {}: {}",
            mappings.display(),
            suggest(&slug, "types", &known)
        ))
        .into())
    }

    /// The mapping of a type, named by its slug or the path of its folder.
    pub(crate) fn mapping(&mut self, name: &str) -> anyhow::Result<(Mapping, Diagnostics)> {
        let folder = self.folder(name)?;
        let (mapping, findings) = folder::load(&folder);
        match mapping {
            Some(mapping) => Ok((mapping, findings)),
            None => {
                let text = render::render(
                    &findings,
                    Format::Human,
                    crate::terminal::stderr_is_styled(),
                );
                crate::terminal::stderr(&text);
                bail!("the mapping cannot be used; `dsmith check` reports the same")
            }
        }
    }
}
