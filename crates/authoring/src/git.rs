//! What git knows about files. The program `git` is called, without a shell: authors have it, and it knows every kind of
//! repository.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why git cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The program cannot be started.
    #[error("cannot start git: {0}; it has to be installed and in the PATH")]
    NotStarted(std::io::Error),
    /// It says no.
    #[error("git {command}: {message}")]
    Failed {
        /// What was asked, such as `diff`.
        command: &'static str,
        /// The first line of what it said.
        message: String,
    },
    /// A revision that git would take for an option.
    #[error("`{0}` is not a revision: it begins with a hyphen")]
    NotARevision(String),
}

/// Files below some folders that are not what they were in a revision, new ones that are not ignored included, as
/// canonical paths. Files that are gone are among them.
///
/// # Errors
/// There is no git, no repository, or no such revision.
pub fn changed_files(revision: &str, folders: &[&Path]) -> Result<BTreeSet<PathBuf>, GitError> {
    check_revision(revision)?;
    let mut changed = BTreeSet::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let top = run(folder, "rev-parse", &["--show-toplevel"])?;
        let top = PathBuf::from(String::from_utf8_lossy(&top).trim_end_matches(['\n', '\r']));
        let top = std::fs::canonicalize(&top).unwrap_or(top);
        let tracked = run(
            folder,
            "diff",
            &["--name-only", "--no-renames", "-z", revision, "--", "."],
        )?;
        let new = run(
            folder,
            "ls-files",
            &["--others", "--exclude-standard", "--full-name", "-z"],
        )?;
        for name in [tracked, new]
            .iter()
            .flat_map(|list| list.split(|byte| *byte == 0))
            .filter(|name| !name.is_empty())
        {
            changed.insert(top.join(String::from_utf8_lossy(name).as_ref()));
        }
    }
    Ok(changed)
}

/// A file of a revision, by its name `REVISION:PATH`; nothing if the revision has no such file. A path that begins with
/// `./` is relative to the folder, any other to the top of the repository.
///
/// # Errors
/// There is no git, or no repository.
pub fn blob(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, GitError> {
    check_revision(name)?;
    match run(folder, "cat-file", &["-e", name]) {
        Ok(_) => run(folder, "cat-file", &["blob", name]).map(Some),
        Err(GitError::Failed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The commit that a name stands for.
///
/// # Errors
/// There is no git, no repository, or no such revision.
pub fn commit(folder: &Path, revision: &str) -> Result<String, GitError> {
    check_revision(revision)?;
    let name = format!("{revision}^{{commit}}");
    let id = run(folder, "rev-parse", &["--verify", &name])?;
    Ok(String::from_utf8_lossy(&id).trim().to_owned())
}

fn check_revision(revision: &str) -> Result<(), GitError> {
    if revision.starts_with('-') {
        return Err(GitError::NotARevision(revision.to_owned()));
    }
    Ok(())
}

fn run(folder: &Path, command: &'static str, args: &[&str]) -> Result<Vec<u8>, GitError> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .arg(command)
        .args(args.iter().map(OsStr::new))
        .stdin(Stdio::null())
        // Messages are quoted, so their language should be ours.
        .env("LC_ALL", "C")
        .output()
        .map_err(GitError::NotStarted)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or_default();
    let message = first.trim_start_matches("fatal: ").to_owned();
    Err(GitError::Failed { command, message })
}
