//! Where a secret is: never the secret itself.

mod lookalike;

pub use lookalike::masked;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Where a secret is. Only this is ever written in configuration. Somebody may have written the secret itself in the place
/// of a name or a path, so neither `Display` nor `Debug` shows what looks like one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file; one line break at its end does not belong to it.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Env(_) => "environment variable",
            Self::File(_) => "file",
        };
        let shown = self.shown();
        if shown.is_harmless {
            return write!(f, "{what} {}", shown.text);
        }
        write!(
            f,
            "{what} {} (it looks like a secret, so it is not shown; write where the secret is, not the secret)",
            shown.text
        )
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Env(_) => "Env",
            Self::File(_) => "File",
        };
        f.debug_tuple(name).field(&self.shown().text).finish()
    }
}

/// What may be shown of a reference.
struct Shown {
    text: String,
    /// Whether that is all of it.
    is_harmless: bool,
}

impl SecretRef {
    /// Whether the secret itself seems to stand where its place should.
    pub fn looks_like_secret(&self) -> bool {
        !self.shown().is_harmless
    }

    fn shown(&self) -> Shown {
        let path;
        let shown = match self {
            Self::Env(name) => lookalike::variable(name),
            Self::File(file) => {
                path = file.to_string_lossy();
                lookalike::path(&path)
            }
        };
        Shown {
            is_harmless: matches!(shown, Cow::Borrowed(_)),
            text: shown.into_owned(),
        }
    }
}
