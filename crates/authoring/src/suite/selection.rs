//! Which fixtures are run.

use super::fixtures;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which fixtures are run: by default all of them.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Log source types by slug, and parts of names of fixtures (`<slug>/<shape>/<file>`); all, if there are none.
    pub names: Vec<String>,
    /// Files that have changed, as canonical paths. A fixture is run if it, its snapshot or a file of its mapping is one
    /// of them.
    pub changed: Option<BTreeSet<PathBuf>>,
}

/// What is run of one log source type.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) slug: String,
    pub(super) fixtures: Vec<PathBuf>,
    /// All its fixtures are run, so something can be said about what they do not reach.
    pub(super) is_whole: bool,
}

impl Selection {
    /// Only one log source type.
    pub fn of_type(slug: impl Into<String>) -> Self {
        Self {
            names: vec![slug.into()],
            changed: None,
        }
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.names.is_empty() && self.changed.is_none()
    }

    /// What is run of a type; nothing if it is not asked for. Names that lead to something are taken off the list. A name
    /// that is one of the slugs means that type, and not fixtures of others whose names have it in them.
    pub(super) fn part(
        &self,
        mapping: &Path,
        folder: &Path,
        slug: &str,
        slugs: &BTreeSet<String>,
        unknown: &mut BTreeSet<&str>,
    ) -> std::io::Result<Option<Part>> {
        unknown.remove(slug);
        let named = self.names.is_empty() || self.names.iter().any(|name| name == slug);
        let all = fixtures(folder)?;
        let count = all.len();
        let mut kept = Vec::new();
        for fixture in all {
            let name = name_of(&fixture, folder, slug);
            let by_name = self
                .names
                .iter()
                .filter(|part| !slugs.contains(*part) && name.contains(part.as_str()));
            let mut is_named = named;
            for part in by_name {
                unknown.remove(part.as_str());
                is_named = true;
            }
            if is_named {
                kept.push(fixture);
            }
        }
        if let Some(changed) = &self.changed {
            let mapping = canonical(mapping);
            if !changed.iter().any(|path| path.starts_with(&mapping)) {
                kept.retain(|fixture| {
                    let fixture = canonical(fixture);
                    changed.contains(&super::snapshot_of(&fixture)) || changed.contains(&fixture)
                });
            }
        }
        let is_whole = kept.len() == count && (named || count > 0);
        let is_asked_for = !kept.is_empty() || (named && self.changed.is_none());
        Ok(is_asked_for.then(|| Part {
            slug: slug.to_owned(),
            fixtures: kept,
            is_whole,
        }))
    }
}

/// `<slug>/<shape>/<file>`, with slashes on every system.
pub(super) fn name_of(fixture: &Path, folder: &Path, slug: &str) -> String {
    format!("{slug}/{}", name_below(fixture, folder))
}

/// `<shape>/<file>`, with slashes on every system.
pub(crate) fn name_below(fixture: &Path, folder: &Path) -> String {
    let below = fixture.strip_prefix(folder).unwrap_or(fixture).iter();
    let parts: Vec<_> = below.map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The path as it really is, or as it was given if there is nothing.
fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
