//! URIs and places, as the editor writes them.

use authoring::language::Lines;
use dsm::mapping::FILES;
use lsp_types::{Position, Range, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What stays as it is in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The path of a file; nothing if the URI names something else.
pub(super) fn path_of(uri: &Uri) -> Option<PathBuf> {
    let path = uri.as_str().strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = percent_decode_str(path).decode_utf8().ok()?;
    // On Windows the drive stands behind a slash that is not part of the path.
    let path = match path.as_bytes() {
        [b'/', _, b':', ..] if cfg!(windows) => &path[1..],
        _ => &path,
    };
    Some(PathBuf::from(path))
}

/// The folder and the name of a file of a mapping.
pub(super) fn file_of(uri: &Uri) -> Option<(PathBuf, &'static str)> {
    let path = path_of(uri)?;
    let name = path.file_name()?;
    let name = FILES.into_iter().find(|known| name == *known)?;
    Some((path.parent()?.to_owned(), name))
}

pub(super) fn uri_of(path: &Path) -> Option<Uri> {
    let path = path
        .to_str()?
        .replace('\\', if cfg!(windows) { "/" } else { "\\" });
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = utf8_percent_encode(&path, PATH);
    Uri::from_str(&format!("file://{slash}{path}")).ok()
}

pub(super) fn range(lines: &Lines<'_>, span: &std::ops::Range<usize>) -> Range {
    let at = |offset| {
        let (line, character) = lines.position(offset);
        Position { line, character }
    };
    Range {
        start: at(span.start),
        end: at(span.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_back_from_its_uri_however_the_editor_writes_it() {
        let path = Path::new("/a b/ü/#1/dsm-mappings/acme/extension.xml");
        let uri = uri_of(path).unwrap();
        assert_eq!(path_of(&uri).as_deref(), Some(path));
        let (folder, name) = file_of(&uri).unwrap();
        assert_eq!(
            (folder.as_path(), name),
            (path.parent().unwrap(), "extension.xml")
        );
        for (uri, expected) in [
            ("file:///a/b", Some("/a/b")),
            ("file://localhost/a", Some("/a")),
            ("file:///a%2Fb%20c", Some("/a/b c")),
            ("file:///a%FF", None),
            ("untitled:Untitled-1", None),
            ("https://example.com/a", None),
        ] {
            let uri = Uri::from_str(uri).unwrap();
            assert_eq!(path_of(&uri).as_deref(), expected.map(Path::new), "{uri:?}");
        }
    }
}
