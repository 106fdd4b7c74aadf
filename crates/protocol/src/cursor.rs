//! Positions: what a lane has to know to go on where it stopped.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The position of a lane: JSON of a version that the plugin knows, or nothing yet.
///
/// It is stored together with the payloads that led to it. A cursor never holds a secret. It stays below
/// [`Cursor::MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(Option<Box<str>>);

/// What is written: the version stands beside the plugin's own members.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    version: u32,
    position: T,
}

/// The version alone, read first, because the rest may have another shape.
#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// A stored cursor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// A newer program has written it.
    #[error(
        "the stored position has version {found}, this program reads {known}: use the newer program, or reset the position of this log source"
    )]
    Newer {
        /// The version in the cursor.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// It is not what any program wrote.
    #[error(
        "the stored position cannot be read ({0}): restore the state from a backup, or reset the position of this log source"
    )]
    Damaged(String),
}

impl Cursor {
    /// More bytes than a plugin ever writes.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Nothing has been collected yet.
    pub const START: Self = Self(None);

    /// The text to store; `None` where nothing has been collected yet.
    pub fn as_text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// A cursor from a stored text. Whether it can be read shows when the plugin decodes it.
    pub fn from_text(text: impl Into<Box<str>>) -> Self {
        Self(Some(text.into()))
    }

    /// Writes a position.
    pub fn encode<T: Serialize>(version: u32, position: &T) -> Self {
        let envelope = Envelope { version, position };
        // Positions are made of texts, numbers and lists; none of them fails to serialize.
        Self(
            serde_json::to_string(&envelope)
                .ok()
                .map(String::into_boxed_str),
        )
    }

    /// The version of a position; `None` where nothing has been collected yet.
    pub fn version(&self) -> Result<Option<u32>, CursorError> {
        let Some(text) = &self.0 else {
            return Ok(None);
        };
        let only: VersionOnly =
            serde_json::from_str(text).map_err(|error| CursorError::Damaged(error.to_string()))?;
        Ok(Some(only.version))
    }

    /// Reads a position; `None` where nothing has been collected yet.
    pub fn decode<T: DeserializeOwned>(&self, known: u32) -> Result<Option<T>, CursorError> {
        let Some(text) = &self.0 else {
            return Ok(None);
        };
        let damaged = |error: serde_json::Error| CursorError::Damaged(error.to_string());
        let VersionOnly { version } = serde_json::from_str(text).map_err(damaged)?;
        if version > known {
            return Err(CursorError::Newer {
                found: version,
                known,
            });
        }
        let Envelope { position, .. } = serde_json::from_str(text).map_err(damaged)?;
        Ok(Some(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_stored() {
        let cursor = Cursor::encode(1, &vec!["a", "b"]);
        assert_eq!(
            cursor.as_text(),
            Some(r#"{"version":1,"position":["a","b"]}"#)
        );
        let stored = Cursor::from_text(cursor.as_text().unwrap());
        assert_eq!(
            stored.decode::<Vec<String>>(1),
            Ok(Some(vec!["a".to_owned(), "b".to_owned()]))
        );
        assert_eq!(Cursor::START.decode::<Vec<String>>(1), Ok(None));
    }

    #[test]
    fn an_unreadable_cursor_is_an_error_and_not_a_new_start() {
        let newer = Cursor::from_text(r#"{"version":7,"position":{"other":true}}"#);
        let error = newer.decode::<Vec<String>>(1).unwrap_err();
        assert_eq!(error, CursorError::Newer { found: 7, known: 1 });
        for text in ["", "null", "{}", r#"{"version":1,"position":{}}"#] {
            let error = Cursor::from_text(text).decode::<Vec<String>>(1);
            assert!(matches!(error, Err(CursorError::Damaged(_))), "{text}");
        }
    }
}
