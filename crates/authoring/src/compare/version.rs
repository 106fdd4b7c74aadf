//! A version of a mapping: a folder, an extension, or a folder in a revision of git.

use crate::folder;
use crate::git::{self, GitError};
use dsm::Mapping;
use dsm::diagnostic::{Diagnostics, SourceFile};
use dsm::mapping::{FILES, Source};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// A mapping folder.
    Folder(PathBuf),
    /// A bare extension.
    Extension(PathBuf),
    /// A mapping folder in a revision.
    Revision {
        /// A folder inside the repository, which paths may be relative to.
        within: PathBuf,
        /// The revision.
        revision: String,
        /// The mapping folder, as git takes paths behind a colon: from the top of the repository, or from `within` if it
        /// begins with `./`.
        path: String,
    },
}

/// Why a version cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Git cannot give it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// It is on no disk, and git does not know it either.
    #[error("`{0}` is neither a mapping folder nor an extension here, and no revision of git: {1}")]
    Unknown(String, GitError),
    /// The revision lacks a file.
    #[error("{revision} has no {path}/{file}")]
    FileMissing {
        /// The revision.
        revision: String,
        /// The folder.
        path: String,
        /// The file.
        file: &'static str,
    },
    /// A file of the revision is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(String),
    /// It is neither.
    #[error("`{0}` is neither a mapping folder, nor an extension, nor REVISION:FOLDER")]
    Unclear(String),
}

impl Version {
    /// What a word of the command line stands for. A revision alone means the folder of `other` in it, so that
    /// `HEAD~1` can be compared with a folder.
    ///
    /// # Errors
    /// It stands for nothing.
    pub fn of(word: &str, other: Option<&Path>) -> Result<Self, VersionError> {
        if let Some(version) = Self::on_disk(word) {
            return Ok(version);
        }
        if let Some((revision, path)) = word.split_once(':')
            && !revision.is_empty()
            && !path.is_empty()
        {
            return Ok(Self::Revision {
                within: PathBuf::from("."),
                revision: revision.to_owned(),
                path: path.trim_end_matches('/').to_owned(),
            });
        }
        let Some(other) = other else {
            return Err(VersionError::Unclear(word.to_owned()));
        };
        // The folder itself may be new: where it lies is older.
        let real = std::fs::canonicalize(other).unwrap_or_else(|_| other.to_owned());
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(VersionError::Unclear(word.to_owned()));
        };
        Ok(Self::Revision {
            within: parent.to_owned(),
            revision: word.to_owned(),
            path: format!("./{}", name.to_string_lossy()),
        })
    }

    /// The folder or extension of this name, if there is one.
    pub fn on_disk(word: &str) -> Option<Self> {
        let path = Path::new(word);
        if path.is_file() {
            return Some(Self::Extension(path.to_owned()));
        }
        let is_mapping = FILES.iter().any(|file| path.join(file).is_file());
        is_mapping.then(|| Self::Folder(path.to_owned()))
    }

    /// The name of the log source type.
    pub fn slug(&self) -> String {
        let path = match self {
            Self::Folder(path) => std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()),
            Self::Extension(path) => path.with_extension(""),
            Self::Revision { path, .. } => PathBuf::from(path),
        };
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Compiles it. There is no mapping if the findings have an error.
    ///
    /// # Errors
    /// Git cannot give the files.
    pub fn load(&self) -> Result<(Option<Mapping>, Diagnostics), VersionError> {
        match self {
            Self::Folder(path) => Ok(folder::load_as(path, self.slug())),
            Self::Extension(path) => Ok(folder::load_extension(path)),
            Self::Revision {
                within,
                revision,
                path,
            } => {
                git::commit(within, revision).map_err(|error| match error {
                    GitError::Failed { .. } => VersionError::Unknown(revision.clone(), error),
                    error => error.into(),
                })?;
                let file = |file: &'static str| -> Result<Arc<SourceFile>, VersionError> {
                    let name = format!("{revision}:{path}/{file}");
                    let bytes =
                        git::blob(within, &name)?.ok_or_else(|| VersionError::FileMissing {
                            revision: revision.clone(),
                            path: path.clone(),
                            file,
                        })?;
                    let text = String::from_utf8(bytes)
                        .map_err(|_| VersionError::NotUtf8(name.clone()))?;
                    Ok(SourceFile::new(name, text))
                };
                let [manifest, extension, qidmap, event_mappings] = FILES;
                let (mapping, findings) = Mapping::load(&Source {
                    slug: self.slug(),
                    manifest: file(manifest)?,
                    extension: file(extension)?,
                    qidmap: file(qidmap)?,
                    event_mappings: file(event_mappings)?,
                });
                Ok((mapping.filter(|_| !findings.has_errors()), findings))
            }
        }
    }
}
