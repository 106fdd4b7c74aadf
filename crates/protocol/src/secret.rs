//! Secrets: where they are, and what they are once somebody has looked.

pub use settings::{SecretRef, masked};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex_automata::meta::Regex;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Read;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// A secret. It has no `Display` and no `Serialize`, its `Debug` is a mask, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Shortest text that [`Secret::mask`] looks for: shorter ones are found in innocent words.
    const SHORTEST_MASKED: usize = 4;

    /// A secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text. Whoever takes it must not let it get into messages, logs or files.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text with this secret masked wherever it occurs, for texts that others wrote.
    pub fn mask(&self, text: &str) -> String {
        if self.0.len() < Self::SHORTEST_MASKED {
            return text.to_owned();
        }
        text.replace(self.0.as_str(), "***")
    }
}

/// Shortest part of a secret that is masked, in bytes: a server may repeat a part only.
const SHORTEST_PART: usize = 8;

/// Longest text of others that is shown, in characters.
const MAX_PRESENTABLE: usize = 500;

/// What looks like a secret, whoever it belongs to: what follows the names under which secrets travel, the two schemes of
/// `Authorization`, JSON web tokens, and long runs that nobody would write by hand.
const FORMS: [&str; 4] = [
    r#"(?i)\b(?:(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api[-_]?key)\b["']?\s*[:=]\s*["']?((?:[A-Za-z]+\s+)?[^\s"',;&}\])]+)"#,
    r#"(?i)\b[a-z0-9_-]*(?:token|secret|password|passwd|pwd|assertion|signature|sig|accesskey)(?:["']?\s*=\s*["']?|["']\s*:\s*["'])([^\s"',;&}\])]+)"#,
    r"(?:\b[Bb]earer|BEARER|\b[Bb]asic|BASIC|\b[Nn]egotiate|\bSharedAccessSignature)\s+([A-Za-z0-9._~+/=%-]*[A-Z0-9][A-Za-z0-9._~+/=%-]*)",
    r"(\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*)",
];

/// A text that may hold what others said, fit to be logged and shown: first masked, then cut. Masked are these secrets,
/// also as they stand in a form and in part, and what looks like one. It becomes one line.
pub(crate) fn presentable<'s>(text: &str, secrets: impl Iterator<Item = &'s Secret>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = mask_parts(&secret.mask(&text), secret.expose());
        let encoded = utf8_percent_encode(secret.expose(), NON_ALPHANUMERIC).to_string();
        text = mask_parts(&text, &encoded);
    }
    static COMPILED: OnceLock<Vec<Regex>> = OnceLock::new();
    let forms = COMPILED.get_or_init(|| {
        FORMS
            .iter()
            .filter_map(|form| Regex::new(form).ok())
            .collect()
    });
    for form in forms {
        text = mask_form(form, &text);
    }
    let mut line: String = text
        .chars()
        .map(|c| if is_plain(c) { c } else { ' ' })
        .collect();
    if let Some((end, _)) = line.char_indices().nth(MAX_PRESENTABLE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Whether a character leaves a line and its direction as they are.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn mask_form(form: &Regex, text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for captures in form.captures_iter(text) {
        if let Some(value) = captures.get_group(1) {
            masked.push_str(&text[end..value.start]);
            masked.push_str("***");
            end = value.end;
        }
    }
    masked.push_str(&text[end..]);
    masked
}

/// Masks words that are a part of the secret or hold one.
fn mask_parts(text: &str, secret: &str) -> String {
    if secret.len() < SHORTEST_PART {
        return text.to_owned();
    }
    let parts: HashSet<&[u8]> = secret.as_bytes().windows(SHORTEST_PART).collect();
    let is_part = |word: &str| {
        word.as_bytes()
            .windows(SHORTEST_PART)
            .any(|part| parts.contains(part))
    };
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '<' | '>');
    text.split_inclusive(is_end)
        .map(|word| {
            let (word, end) = match word.char_indices().next_back() {
                Some((at, last)) if is_end(last) => word.split_at(at),
                _ => (word, ""),
            };
            let word = if is_part(word) { "***" } else { word };
            format!("{word}{end}")
        })
        .collect()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is nothing under this name.
    #[error("{0} is not set")]
    Missing(SecretRef),
    /// It is there, but it cannot be read.
    #[error("{reference} cannot be read: {reason}")]
    Unreadable {
        /// Where it was looked for.
        reference: SecretRef,
        /// What the operating system said.
        reason: String,
    },
    /// It is there, but it can be no secret of this kind.
    #[error("{reference} {reason}")]
    Unusable {
        /// Where it was found.
        reference: SecretRef,
        /// Why not, without the secret.
        reason: &'static str,
    },
}

/// Who knows the secrets.
pub trait Secrets {
    /// The secret that a reference leads to.
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError>;
}

/// The environment and the files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSecrets;

/// Longer than any password, and short enough that a wrong path does no harm.
const MAX_BYTES: u64 = 64 * 1024;

impl Secrets for SystemSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let unusable = |reason| SecretError::Unusable {
            reference: reference.clone(),
            reason,
        };
        let text = match reference {
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(text) => Zeroizing::new(text),
                Err(std::env::VarError::NotPresent) => {
                    return Err(SecretError::Missing(reference.clone()));
                }
                Err(std::env::VarError::NotUnicode(_)) => return Err(unusable("is not UTF-8")),
            },
            SecretRef::File(path) => {
                let unreadable = |error: std::io::Error| SecretError::Unreadable {
                    reference: reference.clone(),
                    reason: error.to_string(),
                };
                let file = std::fs::File::open(path).map_err(unreadable)?;
                let mut bytes = Zeroizing::new(Vec::new());
                file.take(MAX_BYTES + 1)
                    .read_to_end(&mut bytes)
                    .map_err(unreadable)?;
                if bytes.len() as u64 > MAX_BYTES {
                    return Err(unusable("holds more than 64 KiB, which is no secret"));
                }
                let text = std::str::from_utf8(&bytes).map_err(|_| unusable("is not UTF-8"))?;
                let text = text.strip_suffix('\n').unwrap_or(text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                Zeroizing::new(text.to_owned())
            }
        };
        checked(text.as_str(), unusable)
    }
}

/// Secrets that are given, for tests and for the demonstration.
#[derive(Debug, Clone, Default)]
pub struct GivenSecrets(BTreeMap<SecretRef, Secret>);

impl GivenSecrets {
    /// Adds the secret of an environment variable that need not exist.
    #[must_use]
    pub fn with(mut self, variable: &str, secret: &str) -> Self {
        self.0
            .insert(SecretRef::Env(variable.to_owned()), Secret::new(secret));
        self
    }
}

impl Secrets for GivenSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        self.0
            .get(reference)
            .cloned()
            .ok_or_else(|| SecretError::Missing(reference.clone()))
    }
}

fn checked(
    text: &str,
    unusable: impl Fn(&'static str) -> SecretError,
) -> Result<Secret, SecretError> {
    if text.is_empty() {
        return Err(unusable("is empty"));
    }
    if text.contains(char::is_control) {
        return Err(unusable("holds control characters or several lines"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_a_mask_and_not_the_secret() {
        let secret = Secret::new("hunter2-hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        let secrets = GivenSecrets::default().with("A", "hunter2-hunter2");
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_is_masked_in_the_text_of_others() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret.mask("you sent hunter2!"), "you sent ***!");
    }

    #[test]
    fn a_secret_is_masked_before_a_text_is_cut_whole_in_part_and_in_a_form() {
        let token = Secret::new("simulated.0.0123456789abcdef+/x~");
        let shown = |text: &str| presentable(text, [&token].into_iter());
        let hidden = |text: &str| {
            let shown = shown(text);
            for part in ["simulated", "01234567", "9abcdef", "x~"] {
                assert!(!shown.contains(part), "{text}: {shown}");
            }
            shown
        };
        assert_eq!(
            hidden("you sent simulated.0.0123456789abcdef+/x~ to us"),
            "you sent *** to us"
        );
        hidden("you sent simulated.0.0123456789abcd...");
        hidden("x=simulated.0.0123456789abcdef%2B%2Fx%7E&y");
        // Wherever the cut falls, no part is left.
        for blanks in 460..520 {
            hidden(&format!(
                "{}simulated.0.0123456789abcdef+/x~ end",
                "a ".repeat(blanks / 2)
            ));
        }
        assert_eq!(
            shown(&"ü".repeat(100_000)).chars().count(),
            MAX_PRESENTABLE + 1
        );
        assert_eq!(shown("a\r\nb\u{1b}[2J\u{202e}c\u{2028}d"), "a  b [2J c d");
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_whoever_it_belongs_to() {
        let shown = |text: &str| presentable(text, std::iter::empty());
        for (text, expected) in [
            ("Authorization: Bearer abc.DEF-123", "Authorization: ***"),
            (
                "authorization=Basic dXNlcjpwYXNz; x",
                "authorization=***; x",
            ),
            (
                r#"{"Authorization":"Bearer abc"}"#,
                r#"{"Authorization":"***"}"#,
            ),
            (
                "proxy-authorization: secretword",
                "proxy-authorization: ***",
            ),
            ("Cookie: a=b; c", "Cookie: ***; c"),
            ("sent bearer aB3 there", "sent bearer *** there"),
            ("BEARER XYZ", "BEARER ***"),
            (
                "client_secret=abc&grant_type=x",
                "client_secret=***&grant_type=x",
            ),
            (
                r#""access_token":"abc","n":1"#,
                r#""access_token":"***","n":1"#,
            ),
            ("?sv=2020&sig=ab%2Bc&x=1", "?sv=2020&sig=***&x=1"),
            (
                "SharedAccessKey=abc=;EntityPath=x",
                "SharedAccessKey=***;EntityPath=x",
            ),
            ("got eyJ0eXAiOiJKV1QiLCJ.eyJh.x-_ from", "got *** from"),
        ] {
            assert_eq!(shown(text), expected);
        }
        for text in [
            "no token: the client secret is wrong (AADSTS7000215)",
            "the server does not accept the token (401): Unauthorized",
            "basic authentication failed",
            "invalid peer certificate: UnknownIssuer",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_file_gives_its_text_without_the_last_line_break() {
        let folder = std::env::temp_dir().join(format!("dsmith-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let resolve = |text: &[u8]| {
            let path = folder.join("secret");
            std::fs::write(&path, text).unwrap();
            SystemSecrets.resolve(&SecretRef::File(path))
        };
        assert_eq!(resolve(b"a b~c\r\n").unwrap().expose(), "a b~c");
        assert_eq!(resolve(b" a ").unwrap().expose(), " a ");
        let said = |text: &[u8]| resolve(text).unwrap_err().to_string();
        assert!(said(b"\n").ends_with("secret is empty"));
        assert!(said(b"a\nb\n").ends_with("holds control characters or several lines"));
        assert!(said(&[0xff, 0xfe]).ends_with("is not UTF-8"));
        assert!(said(&[b'a'; 70_000]).ends_with("holds more than 64 KiB, which is no secret"));
        std::fs::remove_dir_all(&folder).unwrap();
        let gone = SystemSecrets.resolve(&SecretRef::File(folder.join("secret")));
        assert!(matches!(gone, Err(SecretError::Unreadable { .. })));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let reference = SecretRef::Env("DSMITH_TEST_NOT_SET".to_owned());
        let error = SystemSecrets.resolve(&reference).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable DSMITH_TEST_NOT_SET is not set"
        );
    }
}
