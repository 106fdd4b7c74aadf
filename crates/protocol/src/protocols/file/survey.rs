//! Which generations of a file there are, and which of them is the one that was read.

use super::names::{Packing, Style, dated, differ_in_numbers, generation, unpacked};
use super::opened::Opened;
use super::place::{HEAD, Identity, Place, Stamp, second};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// At most so many generations are looked at; of more, the newest.
const MAX_GENERATIONS: usize = 10_000;

/// So little that was read does not tell a file from others, which may begin alike.
pub(super) const WEAK: u64 = 8192;

/// So many bytes behind a place are compared at a time to tell a file from a copy of its beginning, and so many at most.
const CONTINUATION: usize = 16 * 1024;
const MAX_CONTINUATION: u64 = 64 << 20;

/// A name in a folder, and the inode behind it.
type Name = (OsString, u64);

/// The names in folders, each folder read once.
#[derive(Debug, Default)]
pub(super) struct Folders(BTreeMap<PathBuf, Rc<Vec<Name>>>);

impl Folders {
    /// What is in them may have changed.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    fn names(&mut self, folder: &Path) -> Result<Rc<Vec<Name>>> {
        if let Some(names) = self.0.get(folder) {
            return Ok(Rc::clone(names));
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            names.push((entry.file_name(), entry.ino()));
        }
        let names = Rc::new(names);
        self.0.insert(folder.to_owned(), Rc::clone(&names));
        Ok(names)
    }
}

/// A file that may be a generation of the one that is followed.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) stamp: Stamp,
    pub(super) packing: Packing,
    style: Style,
    /// Whether it has the name that is followed.
    pub(super) is_named: bool,
    /// Whether it is followed by its own name.
    pub(super) is_foreign: bool,
}

impl Candidate {
    /// Opens it, unless it is another file by now.
    pub(super) fn open(&self) -> Result<Opened> {
        let opened = Opened::open(&self.path)?;
        if opened.identity.is(&self.identity) {
            Ok(opened)
        } else {
            Err(ErrorKind::NotFound.into())
        }
    }

    /// Whether it may have been written to after the last look at a place.
    pub(super) fn is_since(&self, place: &Place) -> bool {
        place
            .modified_second()
            .is_none_or(|time| second(self.stamp.modified) >= time)
    }

    /// Whether it was last changed when the file of a place was at the last look.
    pub(super) fn is_as_old_as(&self, place: &Place) -> bool {
        place.modified == Some(self.stamp.modified)
    }

    fn has(&self, place: &Place) -> bool {
        let opened = self.open();
        opened.is_ok_and(|mut opened| opened.has(place).unwrap_or(false))
    }

    /// Whether something follows a place in it.
    pub(super) fn goes_on_behind(&self, place: &Place) -> bool {
        match self.packing {
            Packing::Plain => self.stamp.length > place.reached(),
            // What is compressed is not written to any more.
            Packing::Gzip => {
                let ends = self.open().and_then(|mut opened| opened.ends_at(place));
                !place.is_end && !place.head.is_empty() && ends.is_ok_and(|ends| !ends)
            }
            Packing::Foreign(_) => false,
        }
    }

    /// Whether it is the file of a place, by its inode and what is in it.
    pub(super) fn is_at(&self, place: &Place) -> bool {
        if !self.identity.is(&place.identity()) {
            return false;
        }
        // A compressed file is written once. Nothing of it need be unpacked again.
        let is_unchanged = place.modified == Some(self.stamp.modified);
        (self.packing != Packing::Plain && is_unchanged) || self.has(place)
    }
}

/// What was found of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Located {
    /// In this candidate.
    At(usize),
    /// Another file with the same beginning has the name now.
    Replaced(usize),
    /// In this candidate, which is a copy that ends before the place.
    Behind(usize),
    Nowhere,
}

impl Located {
    pub(super) fn index(self) -> Option<usize> {
        match self {
            Self::At(index) | Self::Replaced(index) | Self::Behind(index) => Some(index),
            Self::Nowhere => None,
        }
    }
}

/// The generations of a file, the oldest first, the file with the name last.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) candidates: Vec<Candidate>,
    /// How many older ones were not looked at.
    pub(super) left_out: usize,
    /// A folder that may not be listed, so that nothing is known of the files in it.
    pub(super) unlisted: Option<PathBuf>,
    /// Device and inode of the candidates: a file may have several names.
    known: BTreeSet<(u64, u64)>,
}

/// Names that tell which file is older.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Numbers,
    /// Names that are alike but for their numbers, of which the first one is a year, a date or a time.
    Dates(Vec<u8>),
}

/// What to look for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The name that is followed.
    pub(super) path: &'a Path,
    /// Where the file that was read was seen last, if it is not the path.
    pub(super) at: Option<&'a Path>,
    /// Another folder to which files are rotated.
    pub(super) folder: Option<&'a Path>,
    /// Places whose files are wanted whatever their names.
    pub(super) places: &'a [&'a Place],
    pub(super) is_foreign: &'a dyn Fn(&Path) -> bool,
}

impl Survey {
    pub(super) fn of(wanted: Wanted<'_>, folders: &mut Folders) -> Result<Self> {
        let named = match std::fs::metadata(wanted.path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_link = std::fs::symlink_metadata(wanted.path).is_ok_and(|found| found.is_symlink());
        let target = is_link
            .then(|| std::fs::canonicalize(wanted.path).ok())
            .flatten();
        let mut survey = Self::default();
        let mut places: Vec<PathBuf> = Vec::new();
        let files = [Some(wanted.path), target.as_deref(), wanted.at];
        let of_files = files.into_iter().flatten().map(folder_of);
        for folder in of_files.chain(wanted.folder.map(Path::to_owned)) {
            if !places.contains(&folder) {
                places.push(folder);
            }
        }
        let base = wanted.path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
        let targets = [target.as_deref(), wanted.at];
        let targets: Vec<&[u8]> = targets
            .into_iter()
            .flatten()
            .filter_map(|path| path.file_name().map(OsStrExt::as_bytes))
            .collect();
        for folder in &places {
            let names = match folders.names(folder) {
                Ok(names) => names,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                // Whoever may enter a folder may read a file in it, without seeing what else there is.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    survey.unlisted = Some(folder.clone());
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (name, inode) in names.iter() {
                let bytes = name.as_bytes();
                let is_wanted = wanted.places.iter().any(|place| place.file.1 == *inode);
                // The files that a link leads to are named after each other, and not after the link.
                let is_target = targets.iter().any(|target| {
                    *target == bytes || (is_link && differ_in_numbers(target, bytes))
                });
                let style = if is_link && is_target {
                    Some(Style::Mark)
                } else {
                    let found = (is_wanted || is_target).then_some(Style::Mark);
                    generation(base, bytes).or(found)
                };
                if let Some(style) = style {
                    survey.add(folder.join(name), style, wanted);
                }
            }
        }
        if let Some(metadata) = named {
            let identity = Identity::of(&metadata);
            survey
                .candidates
                .retain(|candidate| !candidate.identity.is(&identity));
            survey.sort();
            survey.candidates.push(Candidate {
                path: wanted.path.to_owned(),
                identity,
                stamp: Stamp::of(&metadata),
                packing: packing(wanted.path),
                style: Style::Mark,
                is_named: true,
                is_foreign: false,
            });
        } else {
            survey.sort();
        }
        Ok(survey)
    }

    fn add(&mut self, path: PathBuf, style: Style, wanted: Wanted<'_>) {
        // A link leads to a file that is found where it is.
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            return;
        };
        if !metadata.is_file() || path == wanted.path {
            return;
        }
        let identity = Identity::of(&metadata);
        if !self.known.insert((identity.device, identity.inode)) {
            return;
        }
        self.candidates.push(Candidate {
            identity,
            stamp: Stamp::of(&metadata),
            packing: packing(&path),
            style,
            is_named: false,
            is_foreign: (wanted.is_foreign)(&path),
            path,
        });
    }

    fn sort(&mut self) {
        // A file that is being compressed is there twice, and one of the two is not whole.
        let plain: Vec<PathBuf> = self
            .candidates
            .iter()
            .filter(|candidate| candidate.packing == Packing::Plain)
            .map(|candidate| candidate.path.clone())
            .collect();
        if plain.len() < self.candidates.len() {
            let plain: BTreeSet<PathBuf> = plain.into_iter().collect();
            self.candidates.retain(|candidate| {
                candidate.packing == Packing::Plain || !plain.contains(&stem(&candidate.path))
            });
        }
        // Compressing keeps the time of the last change, though not always its fraction.
        self.candidates.sort_by(|one, other| {
            let key = |candidate: &Candidate| {
                let number = match candidate.style {
                    Style::Number(number) => number,
                    Style::Mark => 0,
                };
                let name = stem(&candidate.path);
                let length = name.as_os_str().len();
                (
                    second(candidate.stamp.modified),
                    Reverse(number),
                    length,
                    name,
                )
            };
            key(one).cmp(&key(other))
        });
        // Clocks go wrong, and a slow writer writes to an old file after the next one: what the names tell counts more.
        let mut groups: BTreeMap<Order, Vec<usize>> = BTreeMap::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            let group = match candidate.style {
                Style::Number(_) => Some(Order::Numbers),
                Style::Mark => {
                    dated(&file_name(&stem(&candidate.path))).map(|(like, _)| Order::Dates(like))
                }
            };
            if let Some(group) = group {
                groups.entry(group).or_default().push(index);
            }
        }
        for (group, places) in groups {
            let members = places.iter().map(|index| self.candidates[*index].clone());
            let mut members: Vec<Candidate> = members.collect();
            match group {
                Order::Numbers => members.sort_by_key(|candidate| match candidate.style {
                    Style::Number(number) => Reverse(number),
                    Style::Mark => Reverse(0),
                }),
                Order::Dates(_) => members.sort_by_cached_key(|candidate| {
                    dated(&file_name(&stem(&candidate.path))).map(|(_, numbers)| numbers)
                }),
            }
            for (index, candidate) in places.into_iter().zip(members) {
                self.candidates[index] = candidate;
            }
        }
        self.left_out = self.candidates.len().saturating_sub(MAX_GENERATIONS);
        self.candidates.drain(..self.left_out);
    }

    /// The file with the name, if there is one.
    pub(super) fn named(&self) -> Option<&Candidate> {
        self.candidates.last().filter(|last| last.is_named)
    }

    /// Finds the file of a place. `done` are files that are known to be others, `packed` is the compressed file that may
    /// be it.
    pub(super) fn locate(&self, place: &Place, done: &[&Place], packed: Option<usize>) -> Located {
        let by_identity = self
            .candidates
            .iter()
            .position(|candidate| candidate.is_at(place));
        if let Some(index) = by_identity {
            return Located::At(self.copy_of(place, index, done).unwrap_or(index));
        }
        // A file that was truncated has left its content to a copy; where a whole disk was restored, nothing has its old
        // inode. Otherwise a file that was not compressed still has it, and one that looks alike is another one.
        let has_moved = !self
            .candidates
            .iter()
            .any(|candidate| candidate.identity.device == place.file.0);
        let named = self.named();
        let was_truncated = self
            .candidates
            .iter()
            .any(|candidate| candidate.identity.is(&place.identity()));
        let is_other = |candidate: &Candidate| {
            done.iter()
                .any(|done| candidate.identity.is(&done.identity()))
        };
        let suspects = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(index, candidate)| {
                let is_possible = match candidate.packing {
                    Packing::Plain => was_truncated || has_moved,
                    Packing::Gzip => packed == Some(*index),
                    Packing::Foreign(_) => false,
                };
                is_possible
                    && !candidate.is_named
                    && candidate.is_since(place)
                    && !is_other(candidate)
            });
        let suspects: Vec<(usize, &Candidate)> = suspects.collect();
        let at = suspects.iter().find(|(_, candidate)| candidate.has(place));
        if let Some((index, _)) = at {
            return Located::At(*index);
        }
        if was_truncated {
            let is_behind = |candidate: &Candidate| {
                candidate
                    .open()
                    .and_then(|mut opened| opened.is_beginning_of(place))
                    .unwrap_or(false)
            };
            let behind = suspects.iter().find(|(_, candidate)| is_behind(candidate));
            if let Some((index, _)) = behind {
                return Located::Behind(*index);
            }
            return Located::Nowhere;
        }
        let replaced = named.filter(|named| place.reached() >= HEAD && named.has(place));
        match replaced {
            Some(_) => Located::Replaced(self.candidates.len() - 1),
            None => Located::Nowhere,
        }
    }

    /// The copy that has what was in a file when its place was taken, where the file has been truncated since without
    /// that showing: all files begin alike, and nothing else was read.
    fn copy_of(&self, place: &Place, index: usize, done: &[&Place]) -> Option<usize> {
        if place.reached() >= WEAK {
            return None;
        }
        let file = &self.candidates[index];
        self.candidates[..index].iter().position(|candidate| {
            !matches!(candidate.packing, Packing::Foreign(_))
                && !candidate.is_foreign
                && candidate.is_since(place)
                && !done
                    .iter()
                    .any(|done| candidate.identity.is(&done.identity()))
                && candidate.has(place)
                && !Self::is_continued(candidate, file, place)
        })
    }

    /// Whether a file goes on as a copy does behind a place, as far as the copy goes.
    fn is_continued(copy: &Candidate, file: &Candidate, place: &Place) -> bool {
        let compare = || {
            let (mut copy, mut file) = (copy.open()?, file.open()?);
            let (mut from_copy, mut from_file) = (Vec::new(), Vec::new());
            let mut at = place.reached();
            while at - place.reached() < MAX_CONTINUATION {
                copy.read(at, CONTINUATION, &mut from_copy)?;
                file.read(at, CONTINUATION, &mut from_file)?;
                if !from_file.starts_with(&from_copy) {
                    return Ok(false);
                }
                if from_copy.len() < CONTINUATION {
                    break;
                }
                at += CONTINUATION as u64;
            }
            Ok::<_, std::io::Error>(true)
        };
        compare().unwrap_or(true)
    }
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn file_name(path: &Path) -> Vec<u8> {
    path.file_name()
        .map_or(&b""[..], OsStrExt::as_bytes)
        .to_vec()
}

fn packing(path: &Path) -> Packing {
    unpacked(&file_name(path)).1
}

/// The path without the ending of a compressed file.
pub(super) fn stem(path: &Path) -> PathBuf {
    match packing(path) {
        Packing::Plain => path.to_owned(),
        _ => path.with_extension(""),
    }
}
