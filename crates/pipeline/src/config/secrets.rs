//! Secrets that somebody wrote into the file: they must not be shown again in a message about it.

use dsm::diagnostic::{Diagnostics, SourceFile, nearest};
use protocol::secret::{SecretRef, masked as without_secrets};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Parts of names under which people keep secrets.
const TELLING: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "private_key",
];

/// Parts of names under which people write addresses, with passwords in them.
const ADDRESSES: &[&str] = &[
    "server",
    "proxy",
    "url",
    "address",
    "host",
    "endpoint",
    "user",
    "client_id",
];

/// Whether what stands under a key may hold a secret by the looks of it: instead of the place of a secret, or in an address.
fn looks_like_secret(key: &str, text: &str) -> bool {
    let key = key.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    match key.rsplit('.').next().unwrap_or(&key) {
        "env" => SecretRef::Env(text.to_owned()).looks_like_secret(),
        "file" => SecretRef::File(text.into()).looks_like_secret(),
        key => {
            ADDRESSES.iter().any(|part| key.contains(part))
                && matches!(without_secrets(text), Cow::Owned(_))
        }
    }
}

/// The places of texts anywhere in a table that look like secrets.
pub(super) fn lookalikes(table: &DeTable<'_>, out: &mut Vec<Range<usize>>) {
    for (key, value) in table.iter() {
        lookalikes_under(key.get_ref(), value, out);
    }
}

fn lookalikes_under(key: &str, value: &toml::Spanned<DeValue<'_>>, out: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(text) if looks_like_secret(key, text) => out.push(value.span()),
        DeValue::Table(inner) => lookalikes(inner, out),
        DeValue::Array(items) => {
            for item in items {
                lookalikes_under(key, item, out);
            }
        }
        _ => {}
    }
}

/// Whether a key is likely to hold a secret, whatever the protocol is.
fn is_telling(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase().replace('-', "_");
    TELLING.iter().any(|part| key.contains(part))
        || nearest(&key, ["client_secret", "proxy_password"]).is_some()
}

/// The places of all texts in a value, except those of references.
pub(super) fn places(value: &toml::Spanned<DeValue<'_>>, out: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| places(item, out)),
        DeValue::Table(table) => {
            for (key, item) in table.iter() {
                if !matches!(key.get_ref().as_ref(), "env" | "file") {
                    places(item, out);
                }
            }
        }
        DeValue::Boolean(_) => {}
        _ => out.push(value.span()),
    }
}

/// The places of secrets anywhere in a table, by the names of the keys.
pub(super) fn telling_places(table: &DeTable<'_>, out: &mut Vec<Range<usize>>) {
    for (key, value) in table.iter() {
        if is_telling(key.get_ref()) {
            places(value, out);
            continue;
        }
        match value.get_ref() {
            DeValue::Table(inner) => telling_places(inner, out),
            DeValue::Array(items) => {
                for item in items {
                    if let Some(inner) = item.get_ref().as_table() {
                        telling_places(inner, out);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The places behind equals signs on lines whose key is telling, for a file that is not valid TOML.
pub(super) fn telling_lines(text: &str, out: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some((key, value)) = line.split_once('=')
            && is_telling(key)
        {
            let from = start + key.len() + 1;
            let is_hidden = match reference(value) {
                Some((word, place)) => looks_like_secret(word, place),
                None => true,
            };
            if is_hidden {
                out.push(from..from + value.trim_end().len());
            }
        } else if let Some((key, value)) = line.split_once('=') {
            let from = start + key.len() + 1;
            let text = value.trim().trim_matches(['"', '\'']);
            if looks_like_secret(key, text) {
                out.push(from..from + value.trim_end().len());
            }
        }
        start += line.len();
    }
}

/// What a reference leads to: `env` or `file`, and the text behind it.
fn reference(value: &str) -> Option<(&str, &str)> {
    let inside = value.trim().strip_prefix('{')?;
    let (word, place) = inside.split_once('=')?;
    let word = word.trim();
    let place = place.trim().trim_end_matches('}').trim();
    matches!(word, "env" | "file").then(|| (word, place.trim_matches(['"', '\''])))
}

/// The findings with a file in which the places are masked. Every other byte stays where it was.
pub(super) fn masked(
    findings: Diagnostics,
    file: &Arc<SourceFile>,
    places: &[Range<usize>],
) -> (Arc<SourceFile>, Diagnostics) {
    if places.is_empty() {
        return (Arc::clone(file), findings);
    }
    let mut bytes = file.text.clone().into_bytes();
    for place in places {
        for byte in bytes.get_mut(place.clone()).unwrap_or_default() {
            if !matches!(byte, b'"' | b'\'' | b'\n' | b'\r' | b' ') {
                *byte = b'*';
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = SourceFile::new(file.name.clone(), text);
    let mut out = Diagnostics::new();
    for mut finding in findings {
        for label in &mut finding.labels {
            label.file = Arc::clone(&file);
        }
        out.push(finding);
    }
    (file, out)
}
