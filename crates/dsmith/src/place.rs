//! Where an author keeps mappings and fixtures.

use clap::Args;
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

    /// What to do where a folder cannot be read.
    pub(crate) fn advice(&self) -> String {
        "run it where dsm-mappings and fixtures are, or name them with --mappings and --fixtures"
            .to_owned()
    }
}
