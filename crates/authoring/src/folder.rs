//! Mapping folders.

use dsm::Mapping;
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile, nearest};
use dsm::mapping::{FILES, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The mappings that are at hand, by slug.
#[derive(Debug, Default)]
pub struct Library {
    mappings: BTreeMap<String, Mapping>,
    /// The slugs of those with autodetection rules, in the order in which they are asked.
    asked: Vec<String>,
}

/// Why a folder of mappings cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the folder {}: {source}", path.display())]
pub struct FolderError {
    path: PathBuf,
    source: std::io::Error,
}

impl Library {
    /// Loads every folder below `dir`, each of which is a mapping. Mappings with errors are left out.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn load(dir: &Path) -> Result<(Self, Diagnostics), FolderError> {
        let folders = folders(dir)?;
        let mut library = Self::default();
        let mut out = Diagnostics::new();
        for folder in folders {
            let (mapping, found) = load(&folder);
            out.append(found);
            library
                .mappings
                .extend(mapping.map(|mapping| (mapping.slug().to_owned(), mapping)));
        }
        library.order(&mut out);
        Ok((library, out))
    }

    /// Compiles mappings whose files are already in memory.
    pub fn from_sources(sources: impl IntoIterator<Item = Source>) -> (Self, Diagnostics) {
        let mut library = Self::default();
        let mut out = Diagnostics::new();
        for source in sources {
            let (mapping, found) = Mapping::load(&source);
            out.append(found);
            library
                .mappings
                .extend(mapping.map(|mapping| (mapping.slug().to_owned(), mapping)));
        }
        library.order(&mut out);
        (library, out)
    }

    /// A library of one mapping, or of none.
    pub fn of(mapping: Option<Mapping>) -> Self {
        let mut library = Self::default();
        library
            .mappings
            .extend(mapping.map(|mapping| (mapping.slug().to_owned(), mapping)));
        // One mapping cannot be in conflict with another.
        library.order(&mut Diagnostics::new());
        library
    }

    /// Puts the mappings into the order of autodetection.
    fn order(&mut self, out: &mut Diagnostics) {
        self.check_precedence(out);
        let precedence = |mapping: &Mapping| Some(mapping.manifest().precedence.as_ref()?.value);
        let mut asked: Vec<(u32, String)> = self
            .mappings
            .values()
            .filter_map(|mapping| Some((precedence(mapping)?, mapping.slug().to_owned())))
            .collect();
        asked.sort();
        self.asked = asked.into_iter().map(|(_, slug)| slug).collect();
    }

    fn check_precedence(&self, out: &mut Diagnostics) {
        let mut seen: BTreeMap<u32, &Mapping> = BTreeMap::new();
        for mapping in self.mappings.values() {
            let Some(precedence) = &mapping.manifest().precedence else {
                continue;
            };
            match seen.get(&precedence.value) {
                Some(first) => {
                    let mut finding = Diagnostic::new(
                        Code::PrecedenceDuplicate,
                        format!(
                            "{} and {} both have precedence {}",
                            first.slug(),
                            mapping.slug(),
                            precedence.value
                        ),
                        "give one of them another number",
                    );
                    for (mapping, text) in [(mapping, "the second"), (*first, "the first")] {
                        if let (Some(file), Some(precedence)) =
                            (mapping.manifest_file(), &mapping.manifest().precedence)
                        {
                            finding = finding.at(file, precedence.span.clone(), text);
                        }
                    }
                    out.push(finding);
                }
                None => {
                    seen.insert(precedence.value, mapping);
                }
            }
        }
    }

    /// The mapping of this slug.
    pub fn get(&self, slug: &str) -> Option<&Mapping> {
        self.mappings.get(slug)
    }

    /// The slugs, in order.
    pub fn slugs(&self) -> Vec<&str> {
        self.mappings.keys().map(String::as_str).collect()
    }

    /// The mappings, by slug.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.values()
    }

    /// The mappings with autodetection rules, in ascending precedence: the first that claims a payload has it.
    pub fn asked(&self) -> impl Iterator<Item = &Mapping> {
        self.asked.iter().filter_map(|slug| self.mappings.get(slug))
    }

    /// The mapping that claims a payload: the first in ascending precedence whose autodetection rules hold.
    pub fn recognise(&self, payload: &str) -> Option<&Mapping> {
        self.asked().find(|mapping| mapping.recognises(payload))
    }
}

/// The mapping folders in a folder, in order; hidden ones and those that begin with `_` are passed over.
///
/// # Errors
/// The folder cannot be listed.
pub fn folders(dir: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let error = |source| FolderError {
        path: dir.to_owned(),
        source,
    };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(error)? {
        let entry = entry.map_err(error)?;
        let hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        if entry.path().is_dir() && !hidden {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Loads one mapping folder; its name is the slug.
pub fn load(folder: &Path) -> (Option<Mapping>, Diagnostics) {
    let slug = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    load_as(folder, slug)
}

/// Loads a mapping folder under another name than its own.
pub fn load_as(folder: &Path, slug: String) -> (Option<Mapping>, Diagnostics) {
    let (source, mut out) = read_as(folder, slug);
    let Some(source) = source else {
        return (None, out);
    };
    let (mapping, found) = Mapping::load(&source);
    out.append(found);
    out.sort();
    let usable = !out.has_errors();
    (mapping.filter(|_| usable), out)
}

/// Reads the files of a mapping folder under a name, without a look into them.
pub fn read_as(folder: &Path, slug: String) -> (Option<Source>, Diagnostics) {
    read_edited(folder, slug, &BTreeMap::new())
}

/// The same, where some files are not as they are on the disk; by name.
pub fn read_edited(
    folder: &Path,
    slug: String,
    edited: &BTreeMap<String, Arc<SourceFile>>,
) -> (Option<Source>, Diagnostics) {
    let mut out = Diagnostics::new();
    let place = SourceFile::new(folder.display().to_string(), "");
    if !is_slug(&slug) {
        out.push(
            Diagnostic::new(
                Code::SlugInvalid,
                format!("`{slug}` is not in kebab-case"),
                match to_slug(&slug) {
                    Some(name) => format!("rename the folder to {name}"),
                    None => "rename the folder, for example to acme-firewall".to_owned(),
                },
            )
            .at(&place, 0..0, ""),
        );
    }
    let mut unexpected = unexpected_files(folder);
    let mut read = |name: &str| {
        let path = folder.join(name);
        if let Some(file) = edited.get(name) {
            return Some(Arc::clone(file));
        }
        match read_text(&path) {
            Ok(file) => Some(file),
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                // A misspelt name is one fault, not a missing file and one too many.
                let misspelt = unexpected
                    .iter()
                    .position(|other| nearest(other, [name]).is_some())
                    .map(|index| unexpected.remove(index));
                let help = match misspelt {
                    Some(other) => format!("{other} is there: rename it to {name}"),
                    None => format!("create {}", path.display()),
                };
                out.push(
                    Diagnostic::new(Code::FileMissing, format!("{name} is missing"), help).at(
                        &place,
                        0..0,
                        "",
                    ),
                );
                None
            }
            Err(error) => {
                out.push(unreadable(&path, &error));
                None
            }
        }
    };
    let [manifest, extension, qidmap, event_mappings] = FILES.map(&mut read);
    for name in unexpected {
        let place = SourceFile::new(folder.join(&name).display().to_string(), "");
        out.push(
            Diagnostic::new(
                Code::FileUnexpected,
                format!("{name} is read by nothing"),
                format!(
                    "remove it; a mapping folder holds {} and README.md, where notes have their place",
                    FILES.join(", ")
                ),
            )
            .at(&place, 0..0, ""),
        );
    }
    let (Some(manifest), Some(extension), Some(qidmap), Some(event_mappings)) =
        (manifest, extension, qidmap, event_mappings)
    else {
        out.sort();
        return (None, out);
    };
    let source = Source {
        slug,
        manifest,
        extension,
        qidmap,
        event_mappings,
    };
    (Some(source), out)
}

/// Loads a bare extension.
///
/// # Errors
/// The file cannot be read; the finding says why.
pub fn load_extension(path: &Path) -> (Option<Mapping>, Diagnostics) {
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match read_text(path) {
        Ok(file) => Mapping::from_extension(&name, &file),
        Err(error) => {
            let mut out = Diagnostics::new();
            out.push(unreadable(path, &error));
            (None, out)
        }
    }
}

/// The files of a folder that have no business there, in order.
fn unexpected_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| {
            !name.starts_with('.') && name != "README.md" && !FILES.contains(&name.as_str())
        })
        .collect();
    names.sort();
    names
}

enum ReadError {
    Io(std::io::Error),
    /// UTF-16, told by the mark at its beginning.
    Utf16,
    /// Something else; line and column from 1, and the byte there.
    NotUtf8(usize, usize, u8),
    TooLarge(u64),
}

/// Far more than any mapping file has.
const MAX_FILE: u64 = 64 << 20;

fn read_text(path: &Path) -> Result<Arc<SourceFile>, ReadError> {
    let size = std::fs::metadata(path).map_err(ReadError::Io)?.len();
    if size > MAX_FILE {
        return Err(ReadError::TooLarge(size));
    }
    let bytes = std::fs::read(path).map_err(ReadError::Io)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile::new(path.display().to_string(), text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                return Err(ReadError::Utf16);
            }
            let before = String::from_utf8_lossy(&bytes[..at]).into_owned();
            let (line, column) = SourceFile::new("", before).line_column(at);
            Err(ReadError::NotUtf8(line, column, bytes[at]))
        }
    }
}

fn unreadable(path: &Path, error: &ReadError) -> Diagnostic {
    let (message, help) = match error {
        ReadError::Io(error) => (format!("{error}"), "check the path and the permissions"),
        ReadError::Utf16 => ("the file is UTF-16".to_owned(), "save it as UTF-8"),
        ReadError::NotUtf8(line, column, byte) => (
            format!("byte {byte:#04x} in line {line}, column {column} is not UTF-8"),
            "save the file as UTF-8; it is probably in a Windows code page",
        ),
        ReadError::TooLarge(size) => (
            format!("the file has {size} bytes"),
            "a mapping file of more than 64 MiB is surely not one",
        ),
    };
    let place = SourceFile::new(path.display().to_string(), "");
    Diagnostic::new(Code::FileUnreadable, message, help).at(&place, 0..0, "")
}

/// The slug that a name was probably meant to be.
pub fn to_slug(name: &str) -> Option<String> {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let slug = words.join("-");
    is_slug(&slug).then_some(slug)
}

/// Lower case letters, digits and single hyphens.
pub fn is_slug(name: &str) -> bool {
    !name.is_empty()
        && name.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_kebab_case() {
        for good in ["a", "acme-firewall", "microsoft-365-defender"] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "Acme", "a_b", "a--b", "-a", "a b", "é"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
