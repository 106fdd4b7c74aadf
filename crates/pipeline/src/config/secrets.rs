//! Secrets that somebody wrote into the file: they must not be shown again in a message about it.

use dsm::diagnostic::{Diagnostics, SourceFile, nearest};
use settings::{Raw, RawTable, RawValue, SecretRef, masked as without_secrets};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

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
pub(super) fn lookalikes(table: &RawTable, out: &mut Vec<Range<usize>>) {
    for (key, entry) in &table.0 {
        lookalikes_under(key, &entry.raw, out);
    }
}

fn lookalikes_under(key: &str, value: &Raw, out: &mut Vec<Range<usize>>) {
    match &value.value {
        RawValue::Text(text) if looks_like_secret(key, text) => out.push(value.span.clone()),
        RawValue::Table(inner) => lookalikes(inner, out),
        RawValue::List(items) => {
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
pub(super) fn places(value: &Raw, out: &mut Vec<Range<usize>>) {
    match &value.value {
        RawValue::List(items) => items.iter().for_each(|item| places(item, out)),
        RawValue::Table(table) => {
            for (key, entry) in &table.0 {
                if !matches!(key.as_str(), "env" | "file") {
                    places(&entry.raw, out);
                }
            }
        }
        RawValue::Boolean(_) => {}
        _ => out.push(value.span.clone()),
    }
}

/// The places of secrets anywhere in a table, by the names of the keys.
pub(super) fn telling_places(table: &RawTable, out: &mut Vec<Range<usize>>) {
    for (key, entry) in &table.0 {
        if is_telling(key) {
            places(&entry.raw, out);
            continue;
        }
        match &entry.raw.value {
            RawValue::Table(inner) => telling_places(inner, out),
            RawValue::List(items) => {
                for item in items {
                    if let RawValue::Table(inner) = &item.value {
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
