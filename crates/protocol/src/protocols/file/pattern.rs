//! Patterns for the paths of files: `*`, `?` and `[…]` in any part of a path.

use super::names::{Style, generation, unpacked};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// At most so many names are looked at in one search.
const MAX_NAMES: usize = 2_000_000;

/// A path with wildcards.
#[derive(Debug, Clone)]
pub(super) struct Pattern(PathBuf);

/// What a search has found.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The first so many paths, by their order.
    pub(super) paths: BTreeSet<PathBuf>,
    /// How many there are besides.
    pub(super) more: usize,
    /// How many names were looked at.
    pub(super) names: usize,
}

impl Pattern {
    /// The pattern in a path; nothing where it has no wildcards, or a file bears just this name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let has_wildcard = path
            .as_os_str()
            .as_bytes()
            .iter()
            .any(|byte| matches!(byte, b'*' | b'?' | b'['));
        (has_wildcard && std::fs::symlink_metadata(path).is_err()).then(|| Self(path.to_owned()))
    }

    /// Whether a path fits.
    pub(super) fn matches(&self, path: &Path) -> bool {
        let (mut pattern, mut path) = (self.0.components(), path.components());
        loop {
            match (pattern.next(), path.next()) {
                (None, None) => return true,
                (Some(pattern), Some(path))
                    if part_matches(pattern.as_os_str(), path.as_os_str()) => {}
                _ => return false,
            }
        }
    }

    /// All files that fit and are wanted, at most so many of them.
    pub(super) fn search(
        &self,
        at_most: usize,
        is_wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<Matches> {
        let mut matches = Matches::default();
        let parts: Vec<Component<'_>> = self.0.components().collect();
        let limits = (at_most, is_wanted);
        walk(PathBuf::new(), &parts, limits, &mut matches)?;
        Ok(matches)
    }
}

/// The file of which another one is an older generation by its name, if there is such a file.
pub(super) fn base_of(path: &Path, is_file: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let name = path.file_name()?.as_bytes();
    let (whole, _) = unpacked(name);
    let ending = memchr::memrchr(b'.', whole).map_or(&b""[..], |dot| &whole[dot..]);
    let cuts = (1..whole.len()).filter(|cut| matches!(whole[*cut], b'.' | b'-' | b'_'));
    let bases = cuts.flat_map(|cut| [whole[..cut].to_vec(), [&whole[..cut], ending].concat()]);
    std::iter::once(whole.to_vec())
        .chain(bases)
        // One that counts within the name may be another file of its own.
        .filter(|base| match generation(base, name) {
            Some(Style::Number(_)) => name.starts_with(base),
            Some(Style::Mark) => true,
            None => false,
        })
        .map(|base| path.with_file_name(OsStr::from_bytes(&base)))
        .find(|base| is_file(base))
}

fn walk(
    mut folder: PathBuf,
    mut parts: &[Component<'_>],
    (at_most, is_wanted): (usize, &dyn Fn(&Path) -> bool),
    matches: &mut Matches,
) -> Result<()> {
    while let Some((part, rest)) = parts.split_first() {
        if has_wildcard(part.as_os_str()) {
            break;
        }
        folder.push(part);
        parts = rest;
    }
    let Some((part, rest)) = parts.split_first() else {
        // A folder, a pipe or a socket that has a fitting name is not meant.
        let is_file = std::fs::metadata(&folder).is_ok_and(|metadata| metadata.is_file());
        if is_file && is_wanted(&folder) {
            matches.paths.insert(folder);
            if matches.paths.len() > at_most {
                matches.paths.pop_last();
                matches.more += 1;
            }
        }
        return Ok(());
    };
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    };
    let entries = match std::fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        matches.names += 1;
        if matches.names > MAX_NAMES {
            return Err(std::io::Error::other(format!(
                "the pattern leads to more than {MAX_NAMES} names: narrow it"
            )));
        }
        let name = entry?.file_name();
        if part_matches(part.as_os_str(), &name) {
            walk(folder.join(name), rest, (at_most, is_wanted), matches)?;
        }
    }
    Ok(())
}

fn has_wildcard(part: &OsStr) -> bool {
    part.as_bytes()
        .iter()
        .any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether a name fits one part of a pattern. As in a shell, a wildcard does not stand for the dot of a hidden file.
fn part_matches(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    // Where the last `*` was, and how much of the name it has taken: if the rest does not fit, it takes one more.
    let (mut at, mut taken) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while taken < name.len() {
        let next = match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, taken));
                at += 1;
                continue;
            }
            Some(b'?') => Some(at + 1),
            Some(b'[') => match class(&pattern[at..], name[taken]) {
                Some((length, true)) => Some(at + length),
                Some((_, false)) => None,
                None => (name[taken] == b'[').then_some(at + 1),
            },
            Some(byte) => (*byte == name[taken]).then_some(at + 1),
            None => None,
        };
        match (next, star) {
            (Some(next), _) => {
                at = next;
                taken += 1;
            }
            (None, Some((place, from))) => {
                star = Some((place, from + 1));
                at = place + 1;
                taken = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The length of a class in brackets, and whether it has a byte; nothing where the bracket is not closed.
fn class(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let is_negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = 1 + usize::from(is_negated);
    let mut at = first;
    let mut is_in = false;
    loop {
        let from = *pattern.get(at)?;
        if from == b']' && at > first {
            return Some((at + 1, is_in != is_negated));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(to)) if *to != b']' => {
                is_in |= (from..=*to).contains(&byte);
                at += 3;
            }
            _ => {
                is_in |= from == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        part_matches(OsStr::new(pattern), OsStr::new(name))
    }

    #[test]
    fn wildcards_are_those_of_a_shell() {
        for (pattern, name) in [
            ("*.log", "app.log"),
            ("*.log", "a.log.log"),
            ("a*b*c", "aXbbXc"),
            ("app-?.log", "app-1.log"),
            ("app-[0-9a].log", "app-a.log"),
            ("[!a]*", "b"),
            ("[]x]", "]"),
            ("[", "["),
            ("a[*]b", "a*b"),
            (".*", ".hidden"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.log", "app.log.1"),
            ("*.log", ".log"),
            ("a*b*c", "aXbbX"),
            ("app-?.log", "app-.log"),
            ("app-[0-9].log", "app-x.log"),
            ("[!a]*", "abc"),
            ("a[*]b", "axb"),
            ("*", ".hidden"),
            ("", "x"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        // Many stars do not take exponential time.
        assert!(!fits(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn a_pattern_goes_through_folders_and_no_wildcard_over_their_limits() {
        let pattern = Pattern(PathBuf::from("/var/log/*/app.log"));
        assert!(pattern.matches(Path::new("/var/log/a/app.log")));
        assert!(!pattern.matches(Path::new("/var/log/app.log")));
        assert!(!pattern.matches(Path::new("/var/log/a/b/app.log")));
        assert!(Pattern::of(Path::new("/var/log/app.log")).is_none());
    }
}
