//! Fixtures from real payloads: what names a person, a machine, a network or a tenant is replaced.
//!
//! Addresses, mail addresses, GUIDs and names of machines show by their form what they are. Names of users and hosts do
//! not: they are learnt from the keys under which they stand ([`Anonymizer::learn`]), and then replaced wherever they
//! occur. Secrets are not replaced; a payload with one is refused, and the secret is not shown.

mod detect;
mod pool;
mod work;

pub use detect::{Secret, secrets};

use crate::census::keys;
use crate::input::{self, Item};
use crate::rewrite::{self, Edit};
use aho_corasick::{AhoCorasick, MatchKind};
use detect::{Form, forms, is_bare, is_clean, is_clean_domain, is_clean_mac, is_key};
use dsm::diagnostic::SourceFile;
use framing::{DEFAULT_LIMIT, Framing};
use pool::{Pool, Sort};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

/// Replaces values consistently over all texts that it was shown.
#[derive(Debug)]
pub struct Anonymizer {
    pool: Pool,
    /// Names that stand under a key that says what they are, in lower case.
    names: BTreeMap<String, Sort>,
    /// The same as they were written.
    written: BTreeMap<String, Sort>,
    finder: Option<Finder>,
}

/// A text with stand-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anonymized {
    /// The text.
    pub text: String,
    /// In how many places it is another one.
    pub replaced: usize,
}

/// Why a text is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It holds secrets.
    #[error("it holds secrets")]
    Secrets(Vec<Secret>),
    /// A value is written in a way in which it was not found, such as with escapes; the keys under which they stand.
    #[error("values could not be replaced")]
    Left(Vec<String>),
}

/// Something that has no place in a fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its first byte.
    pub offset: usize,
    /// What it is.
    pub what: &'static str,
    /// The text; nothing for a secret.
    pub text: Option<String>,
}

/// The names of users end like this, without case and punctuation.
const USER_KEYS: &[&str] = &[
    "username",
    "usrname",
    "user",
    "suser",
    "duser",
    "userprincipalname",
    "upn",
    "accountname",
    "account",
    "loginname",
    "login",
    "actor",
    "principal",
    "fullname",
    "givenname",
    "firstname",
    "lastname",
    "surname",
    "samaccountname",
    "assignedto",
    "ownername",
    "initiatedby",
    "mailnickname",
];
/// The names of machines and of their domains.
const HOST_KEYS: &[&str] = &[
    "hostname",
    "host",
    "computername",
    "computer",
    "devicename",
    "devicednsname",
    "machinename",
    "workstation",
    "workstationname",
    "shost",
    "dhost",
    "dvchost",
    "netbiosname",
    "servername",
    "ntdomain",
    "domainname",
    "accountdomain",
    "userdomain",
    "tenantname",
    "organizationname",
];
/// Identifiers of kinds of things, which many customers share.
const SHARED_IDS: &[&str] = &[
    "eventid",
    "signatureid",
    "messageid",
    "msgid",
    "ruleid",
    "typeid",
    "categoryid",
    "techniqueid",
    "mitreid",
    "qid",
    "logonid",
    "processid",
    "threadid",
    "valid",
    "detectorid",
    "detectionid",
];
/// Names that stand on every machine.
const COMMON: &[&str] = &[
    "system",
    "root",
    "admin",
    "administrator",
    "nobody",
    "guest",
    "unknown",
    "none",
    "null",
    "n/a",
    "localhost",
    "anonymous",
    "anonymous logon",
    "local service",
    "network service",
    "nt authority",
    "true",
    "false",
    "daemon",
    "sshd",
    "service",
    "user",
    "host",
    "default",
    "workgroup",
    "builtin",
    "local",
];

/// A longer text, in bytes, is not the name of a user or a machine.
const MAX_NAME: usize = 256;

impl Anonymizer {
    /// The same seed gives the same stand-ins for the same texts.
    pub fn new(seed: u64) -> Self {
        Self {
            pool: Pool::new(seed),
            names: BTreeMap::new(),
            written: BTreeMap::new(),
            finder: None,
        }
    }

    /// Looks for names in the payloads of a text, which may be a whole file.
    pub fn learn(&mut self, text: &str) {
        for (_, name, sort) in named(text) {
            if !COMMON.contains(&name.to_lowercase().as_str()) {
                self.learn_name(&name, sort);
            }
        }
        for (range, form) in forms(text) {
            let piece = &text[range];
            match form {
                Form::Address(address) => self.pool.reserve(Sort::Address, address.to_string()),
                Form::Mac => {
                    let digits = piece.chars().filter(char::is_ascii_hexdigit);
                    self.pool
                        .reserve(Sort::Mac, digits.collect::<String>().to_ascii_lowercase());
                }
                Form::Guid | Form::Sid => self.pool.reserve(Sort::Id, piece.to_ascii_lowercase()),
                Form::Mail => {
                    if let Some((user, domain)) = piece.split_once('@')
                        && !is_clean_domain(domain)
                    {
                        self.learn_name(user, Sort::User);
                    }
                }
                Form::Domain => {
                    if !is_clean_domain(piece) {
                        let (labels, _) = split_domain(piece);
                        labels
                            .iter()
                            .for_each(|label| self.pool.reserve_words(Sort::Host, label));
                    }
                }
            }
        }
        self.finder = None;
    }

    fn learn_name(&mut self, name: &str, sort: Sort) {
        // `DOMAIN\user`, and the same within JSON within JSON.
        if let Some((domain, user)) = name.rsplit_once('\\') {
            let domain = domain.trim_matches('\\');
            for (part, sort) in [(domain, Sort::Host), (user, sort)] {
                self.learn_name(part, sort);
            }
            return;
        }
        // What shows its form is replaced by it.
        let is_form = forms(name)
            .iter()
            .any(|(range, _)| range.len() == name.len());
        let lower = name.to_lowercase();
        if is_form || name.chars().count() < 2 || COMMON.contains(&lower.as_str()) {
            return;
        }
        match sort {
            Sort::Id => self.pool.reserve(Sort::Id, lower.clone()),
            _ => self.pool.reserve_words(sort, name),
        }
        // What a name was first is what it is everywhere.
        let sort = *self.names.entry(lower).or_insert(sort);
        self.written.insert(name.to_owned(), sort);
    }

    /// The text with stand-ins. What it holds has to be learnt before.
    ///
    /// # Errors
    /// It holds a secret, or a name in a spelling that was not found.
    pub fn apply(&mut self, text: &str) -> Result<Anonymized, Refusal> {
        let secrets = secrets(text);
        if !secrets.is_empty() {
            return Err(Refusal::Secrets(secrets));
        }
        let mut edits: Vec<Edit> = Vec::new();
        for (range, form) in forms(text) {
            if let Some(given) = self.given(&text[range.clone()], form) {
                edits.push(Edit::replace(range, given));
            }
        }
        // A name within a mail address is replaced with all of it.
        let whole = edits.iter().map(|edit| edit.span.clone());
        let whole: Vec<Range<usize>> = whole.collect();
        for (range, spelling) in self.occurrences(text) {
            let behind = whole.partition_point(|form| form.end <= range.start);
            if whole.get(behind).is_some_and(|form| form.start < range.end) {
                continue;
            }
            let name = spelling.escaped.as_deref().unwrap_or(&text[range.clone()]);
            let given = match spelling.sort {
                Sort::Id => self.pool.id(name),
                Sort::Host if name.contains('.') => self.host(name),
                sort => self.pool.name(sort, name),
            };
            let given = match spelling.escaped {
                Some(_) => json_escaped(&given),
                None => given,
            };
            edits.push(Edit::replace(range, given));
        }
        let out = rewrite::apply(text, &edits);
        let left: BTreeSet<String> = named(&out)
            .into_iter()
            .filter(|(_, name, _)| self.names.contains_key(&name.to_lowercase()))
            .map(|(key, ..)| key)
            .collect();
        if left.is_empty() {
            Ok(Anonymized {
                text: out,
                replaced: edits.len(),
            })
        } else {
            Err(Refusal::Left(left.into_iter().collect()))
        }
    }

    /// What stands in for a piece that shows its form; nothing if it tells nothing.
    fn given(&mut self, piece: &str, form: Form) -> Option<String> {
        match form {
            Form::Address(address) => {
                (!is_bare(address)).then(|| self.pool.address(address).to_string())
            }
            Form::Mac => (!is_clean_mac(piece)).then(|| self.pool.mac(piece)),
            Form::Guid => piece
                .contains(|c: char| !matches!(c, '0' | '-'))
                .then(|| self.pool.id(piece)),
            Form::Sid => {
                let (head, tail) = piece.split_at("S-1-5-21".len());
                // The number of a well-known account or group is the same everywhere.
                let (machine, account) = tail.rsplit_once('-')?;
                let machine = self.pool.id(machine);
                Some(format!("{head}{machine}-{account}"))
            }
            Form::Mail => {
                let (user, domain) = piece.split_once('@')?;
                if is_clean_domain(domain) {
                    return None;
                }
                let user = self.pool.name(Sort::User, user);
                Some(format!("{user}@{}", self.host(domain)))
            }
            Form::Domain => (!is_clean_domain(piece)).then(|| self.host(piece)),
        }
    }

    /// The labels of a machine and its domain, each by itself.
    fn host(&mut self, name: &str) -> String {
        let (labels, domain) = split_domain(name);
        let mut out = String::new();
        for label in labels {
            match label {
                "www" | "mail" | "api" | "ftp" | "smtp" | "ns1" | "ns2" => out.push_str(label),
                _ => out.push_str(&self.pool.name(Sort::Host, label)),
            }
            out.push('.');
        }
        out + &self.pool.domain(domain)
    }

    /// Where names stand that were learnt. A part of a longer word is none, and neither is the name of a key.
    fn occurrences(&mut self, text: &str) -> Vec<(Range<usize>, Spelling)> {
        if self.finder.is_none() && !self.names.is_empty() {
            self.finder = Finder::new(&self.written);
        }
        let mut found = Vec::new();
        for (automaton, spellings) in self.finder.iter().flat_map(|finder| &finder.parts) {
            let mut at = 0;
            while let Some(hit) = automaton.find(aho_corasick::Input::new(text).range(at..)) {
                work::count(hit.end() - at);
                if is_whole_word(text, &hit.range()) && !is_key(text, hit.end()) {
                    found.push((hit.range(), spellings[hit.pattern().as_usize()].clone()));
                    at = hit.end();
                } else {
                    // Whatever begins within it at the beginning of a word may be one.
                    at = next_word(text, hit.start());
                }
            }
            work::count(text.len().saturating_sub(at));
        }
        // The first one counts, and of those that begin together the longest.
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut end = 0;
        found.retain(|(range, _)| {
            let is_free = range.start >= end;
            if is_free {
                end = range.end;
            }
            is_free
        });
        found
    }
}

/// A way in which a name is written.
#[derive(Debug, Clone)]
struct Spelling {
    /// The name, where the text has escapes in its place.
    escaped: Option<String>,
    sort: Sort,
}

/// Looks for many names at once. To make an automaton takes time with the square of their number, so there are several.
#[derive(Debug)]
struct Finder {
    parts: Vec<(AhoCorasick, Vec<Spelling>)>,
}

/// How many texts an automaton looks for.
const PART: usize = 10_000;

impl Finder {
    fn new(names: &BTreeMap<String, Sort>) -> Option<Self> {
        let (mut texts, mut spellings) = (Vec::new(), Vec::new());
        for (name, sort) in names {
            // The automaton takes upper for lower case in ASCII only.
            let plain = [name.clone(), name.to_lowercase(), name.to_uppercase()];
            for text in BTreeSet::from(plain) {
                texts.push(text);
                let (escaped, sort) = (None, *sort);
                spellings.push(Spelling { escaped, sort });
            }
            let escapes = BTreeSet::from([json_escaped(name), ascii_escaped(name)]);
            for text in escapes.into_iter().filter(|text| text != name) {
                texts.push(text);
                let (escaped, sort) = (Some(name.clone()), *sort);
                spellings.push(Spelling { escaped, sort });
            }
        }
        for text in &texts {
            // A text that repeats itself costs the automaton the square of its length.
            work::count(text.len() * text.len());
        }
        let parts = texts.chunks(PART).zip(spellings.chunks(PART));
        let parts = parts.map(|(texts, spellings)| {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .ascii_case_insensitive(true)
                .build(texts)
                .ok()?;
            Some((automaton, spellings.to_vec()))
        });
        Some(Self {
            parts: parts.collect::<Option<_>>()?,
        })
    }
}

/// As it stands between the quotes of JSON.
fn json_escaped(text: &str) -> String {
    let quoted = Json::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same where the writer takes ASCII only.
fn ascii_escaped(text: &str) -> String {
    let mut out = String::new();
    for c in json_escaped(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_whole_word(text: &str, range: &Range<usize>) -> bool {
    // The name of an element is part of the format.
    if text[..range.start].ends_with('<') || text[..range.start].ends_with("</") {
        return false;
    }
    begins_word(text, range.start) && !text[range.end..].starts_with(is_in_word)
}

/// Whether a word may begin at a place.
fn begins_word(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    match (before.next(), before.next()) {
        // The letter of an escape such as `\n` is no letter of a word.
        (Some('n' | 't' | 'r'), Some('\\')) | (None, _) => true,
        (Some(c), _) => !is_in_word(c),
    }
}

/// The next place behind one at which a word may begin, or the end.
fn next_word(text: &str, at: usize) -> usize {
    let mut places = text[at..].char_indices().skip(1).map(|(step, _)| at + step);
    let next = places.find(|place| begins_word(text, *place));
    let next = next.unwrap_or(text.len());
    work::count(next - at);
    next
}

/// The labels of a machine, and its domain: the last two labels, or three where the last but one names a kind of domain.
fn split_domain(name: &str) -> (Vec<&str>, &str) {
    let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
    let labels: Vec<&str> = name.split('.').collect();
    let count = labels.len();
    let is_kind = count >= 3
        && labels[count - 1].len() == 2
        && ["co", "com", "org", "net", "ac", "gov", "edu"].contains(&labels[count - 2]);
    let kept = if is_kind { 3 } else { 2 };
    if count <= kept {
        return (Vec::new(), name);
    }
    (
        labels[..count - kept].to_vec(),
        &name[dots[count - kept - 1] + 1..],
    )
}

/// The names in the payloads of a text: the key, the name, and what it is.
fn named(text: &str) -> Vec<(String, String, Sort)> {
    let mut found = Vec::new();
    let read = input::read(text.as_bytes(), Framing::Auto, DEFAULT_LIMIT, |item| {
        if let Item::Payload(bytes, _) = item {
            let payload = dsm::Payload::decode(bytes);
            named_in(payload.text(), &mut found);
        }
    });
    // The text is in memory: reading it cannot fail.
    debug_assert!(read.is_ok());
    found
}

fn named_in(text: &str, found: &mut Vec<(String, String, Sort)>) {
    let brace = text.find('{').unwrap_or(text.len());
    let mut stream = serde_json::Deserializer::from_str(&text[brace..]).into_iter::<Json>();
    if let Some(Ok(json)) = stream.next() {
        members(&json, "", "", 0, found);
    } else {
        for (key, range) in keys::of(text) {
            add(key, "", text[range].trim(), found);
        }
    }
    let plain = text.replace("\\\\", "\\");
    // Upper case can be longer than lower case: only ASCII keeps its places.
    let lower = plain.to_ascii_lowercase();
    for (parent, separator) in [("users", '\\'), ("users", '/'), ("home", '/')] {
        let folder = format!("{separator}{parent}{separator}");
        for (at, _) in lower.match_indices(&folder) {
            let rest = &plain[at + folder.len()..];
            let end = rest.find(['\\', '/', '"', '\'', ' ', '<', '>', ',', ';']);
            let name = &rest[..end.unwrap_or(rest.len())];
            let shared = ["public", "default", "all", "shared"];
            let is_name = name.len() <= MAX_NAME && name.contains(char::is_alphanumeric);
            if is_name && !shared.contains(&name.to_lowercase().as_str()) {
                found.push((folder.clone(), name.to_owned(), Sort::User));
            }
        }
    }
}

fn members(
    json: &Json,
    key: &str,
    parent: &str,
    depth: usize,
    found: &mut Vec<(String, String, Sort)>,
) {
    match json {
        Json::Object(object) if depth < 64 => {
            for (name, member) in object {
                members(member, name, key, depth + 1, found);
            }
        }
        Json::Array(list) if depth < 64 => {
            for element in list {
                members(element, key, parent, depth + 1, found);
            }
        }
        Json::String(text) => match text.trim_start().starts_with(['{', '[']) {
            true => match serde_json::from_str::<Json>(text) {
                Ok(inner) => members(&inner, key, parent, depth + 1, found),
                Err(_) => add(key, parent, text, found),
            },
            false => add(key, parent, text, found),
        },
        Json::Number(number) => add(key, parent, &number.to_string(), found),
        Json::Object(_) | Json::Array(_) | Json::Bool(_) | Json::Null => {}
    }
}

fn add(key: &str, parent: &str, text: &str, found: &mut Vec<(String, String, Sort)>) {
    let normal = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let (key_name, parent_name) = (normal(key), normal(parent));
    let text = text.trim();
    let is_name = text.len() <= MAX_NAME && text.contains(char::is_alphanumeric);
    if !is_name || text.contains(['\n', '{']) {
        return;
    }
    let of_person = [
        "user",
        "account",
        "actor",
        "owner",
        "initiatedby",
        "manager",
        "person",
    ];
    let is_user = USER_KEYS.iter().any(|end| key_name.ends_with(end))
        || (["name", "displayname"].contains(&key_name.as_str())
            && of_person.iter().any(|end| parent_name.ends_with(end)));
    let sort = if HOST_KEYS.iter().any(|end| key_name.ends_with(end)) {
        Sort::Host
    } else if is_user {
        Sort::User
    } else if is_id(&key_name, text) {
        Sort::Id
    } else {
        return;
    };
    found.push((key.to_owned(), text.to_owned(), sort));
}

fn is_id(key: &str, text: &str) -> bool {
    let ends = ["id", "guid", "tenant", "subscription", "serialnumber"];
    ends.iter().any(|end| key.ends_with(end))
        && !SHARED_IDS.iter().any(|shared| key.ends_with(shared))
        && text.len() >= 6
        && text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':'))
}

/// What a text holds that no fixture should: secrets, and what may be somebody's. Clean are
///
/// - addresses of the documentation (RFC 5737, RFC 3849) and for benchmarks (RFC 2544), of private networks (RFC 1918,
///   RFC 6598, RFC 4193), of a link, of the machine itself, of groups, and masks;
/// - MAC addresses of the documentation (RFC 7042), and those that stand in;
/// - example domains (RFC 2606), and those of vendors whose interfaces everybody names.
///
/// Names of users and machines cannot be told from others, and are not judged.
pub fn findings(text: &str) -> Vec<Finding> {
    let secrets = secrets(text);
    let mut found = Vec::new();
    for (range, form) in forms(text) {
        let piece = &text[range.clone()];
        let what = match form {
            Form::Address(address) if !is_clean(address) => "an address that may be somebody's",
            Form::Mac if !is_clean_mac(piece) => "a MAC address that may be somebody's",
            Form::Mail => match piece.split_once('@') {
                Some((_, domain)) if !is_clean_domain(domain) => {
                    "a mail address outside the example domains"
                }
                _ => continue,
            },
            Form::Domain if !is_clean_domain(piece) => "a name outside the example domains",
            _ => continue,
        };
        // Most secrets are shorter. What stands close behind one may be a part of it, and is not shown.
        let before = secrets.partition_point(|secret| secret.offset <= range.start);
        let is_in_secret = before
            .checked_sub(1)
            .is_some_and(|last| range.start < secrets[last].offset + 200);
        if !is_in_secret {
            found.push(Finding {
                offset: range.start,
                what,
                text: Some(piece.to_owned()),
            });
        }
    }
    found.extend(secrets.into_iter().map(|Secret { offset, what }| Finding {
        offset,
        what,
        text: None,
    }));
    found.sort_by_key(|finding| finding.offset);
    found
}

/// A finding at a file, line and column as an object.
pub fn json((file, line, column): (&str, usize, usize), what: &str, text: Option<&str>) -> String {
    serde_json::json!({
        "record": "finding",
        "file": file,
        "line": line,
        "column": column,
        "what": what,
        "text": text,
    })
    .to_string()
}

/// A file that was written, and in how many places it is another one, as an object.
pub fn json_file(file: &str, replaced: usize) -> String {
    serde_json::json!({"record": "file", "file": file, "replaced": replaced}).to_string()
}

/// A file that was refused, and why, as an object. Secrets are not in it.
pub fn json_refused(name: &str, text: &str, refusal: &Refusal) -> String {
    let file = SourceFile::new(name, text);
    let (secrets, keys): (Vec<Json>, &[String]) = match refusal {
        Refusal::Secrets(secrets) => {
            let secrets = secrets.iter().map(|secret| {
                let (line, column) = file.line_column(secret.offset);
                serde_json::json!({"line": line, "column": column, "what": secret.what})
            });
            (secrets.collect(), &[])
        }
        Refusal::Left(keys) => (Vec::new(), keys),
    };
    serde_json::json!({
        "record": "refused",
        "file": name,
        "reason": refusal.to_string(),
        "secrets": secrets,
        "keys": keys,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anonymized(text: &str) -> String {
        let mut anonymizer = Anonymizer::new(0);
        anonymizer.learn(text);
        anonymizer
            .apply(text)
            .unwrap_or_else(|refusal| panic!("{refusal:?}"))
            .text
    }

    #[test]
    fn equal_values_stay_equal_wherever_they_stand() {
        let out = anonymized(
            r#"{"user":"Jane.Roe","ip":"10.20.30.40","message":"JANE.ROE came from 10.20.30.40, c:\\Users\\jroe\\x","by":"jane.roe@acme.com"}"#,
        );
        let json: Json = serde_json::from_str(&out).unwrap();
        let text = |name: &str| json[name].as_str().unwrap();
        assert!(
            !out.to_lowercase().contains("roe") && !out.contains("acme"),
            "{out}"
        );
        assert!(
            text("message").starts_with(&text("user").to_uppercase()),
            "{out}"
        );
        assert!(text("message").contains(text("ip")), "{out}");
        assert!(
            text("by").starts_with(&text("user").to_lowercase()),
            "{out}"
        );
        assert!(text("by").contains("@example."), "{out}");
        assert!(text("ip").starts_with("10."), "{out}");
    }

    #[test]
    fn keys_formats_and_what_is_clean_stay() {
        let clean = r#"{"user":"root","host":"localhost","ip":"192.0.2.7","url":"https://www.example.com/","time":"2026-11-23T10:00:00Z","eventId":"4625000"}"#;
        assert_eq!(anonymized(clean), clean);
        let out = anonymized("<13>Nov 23 10:00:00 gw fw: host=host9 user=action action=deny\n");
        assert!(
            out.contains(" action=deny") && !out.contains("user=action"),
            "{out}"
        );
    }

    #[test]
    fn what_comes_out_has_no_findings() {
        let text = r#"{"src":"8.8.8.8","mac":"a4:83:e7:00:11:22","v6":"2a00:1450::1","mail":"joe@corp.local","host":"db1.corp.local"}"#;
        assert_eq!(findings(text).len(), 5);
        assert_eq!(findings(&anonymized(text)), []);
    }

    #[test]
    fn long_runs_take_time_in_proportion() {
        let text = |unit: &str, count: usize| unit.repeat(count);
        for (what, begin, unit, end) in [
            ("tabs in a path", r"C:\\Users\\", "\t", ""),
            (
                "a name again and again",
                "user=aaaaaaaaaaaaaaaaaaaaaaaa ",
                "a",
                "=x",
            ),
            (
                "words of one letter",
                "user=a-a-a-a-a-a-a-a-a-a ",
                "a-",
                "=x",
            ),
            ("numbers with dots", "", "1.2.3.", ""),
            ("numbers and letters with dots", "", "a.1.2.3.4.", ""),
            ("pairs of digits", "", "aa-", ""),
            ("groups of digits", "", "1:", ""),
            ("labels", "", "aa-bb-cc-dd-ee-ff-00.", "com"),
            ("signs", "", "a@", ""),
            ("mail addresses", "", "a@b.c@", ""),
            ("letters without a sign", "10.1.2.3 ", "ab.", ""),
            ("folders", "", "/users/", ""),
            ("domains", "", "a.acme.com user=jo ", ""),
        ] {
            let bytes = |count: usize| {
                let text = format!("{begin}{}{end}", text(unit, count));
                work::of(|| {
                    let mut anonymizer = Anonymizer::new(0);
                    anonymizer.learn(&text);
                    let _ = anonymizer.apply(&text);
                })
            };
            let (one, two) = (bytes(2_000), bytes(4_000));
            assert!(
                two <= one * 5 / 2,
                "{what}: {one} bytes, {two} for twice the text"
            );
        }
    }

    #[test]
    fn a_secret_refuses_the_text_and_is_shown_nowhere() {
        let text = r#"{"user":"jane","header":"Authorization: Bearer s3cr3ts3cr3t"}"#;
        let mut anonymizer = Anonymizer::new(0);
        anonymizer.learn(text);
        let refusal = anonymizer.apply(text);
        assert!(matches!(refusal, Err(Refusal::Secrets(_))), "{refusal:?}");
        assert!(!format!("{refusal:?} {:?}", findings(text)).contains("s3cr3t"));
    }

    #[test]
    fn hostile_texts_take_time_in_proportion_to_their_length() {
        for piece in [
            "com.",
            "1:",
            "a=b@",
            "user=x;",
            "{\"user\":",
            "\\users\\",
            "password:",
        ] {
            let looked_at = |length: usize| {
                let text = piece.repeat(length / piece.len());
                work::of(|| {
                    let mut anonymizer = Anonymizer::new(0);
                    anonymizer.learn(&text);
                    let _ = anonymizer.apply(&text);
                    let _ = findings(&text);
                })
            };
            let (one, two) = (looked_at(50_000), looked_at(100_000));
            assert!(two <= one * 5 / 2, "{piece}: {one} and {two} bytes");
        }
    }

    #[test]
    fn many_names_are_found_as_one_is() {
        let line = |n: usize| format!("{{\"user\":\"xq{n}\",\"text\":\"xq{n} and XQ{n}\"}}\n");
        let text: String = (10_000..25_000).map(line).collect();
        let out = anonymized(&text);
        assert!(!out.to_lowercase().contains("xq"));
        for line in out.lines().step_by(1000) {
            let json: Json = serde_json::from_str(line).unwrap();
            let user = json["user"].as_str().unwrap();
            let both = format!("{user} and {}", user.to_uppercase());
            assert_eq!(json["text"], both, "{line}");
        }
    }

    #[test]
    fn names_are_found_in_other_cases_and_escapes() {
        let out = anonymized(
            r#"{"userName":"Ágnes Szabó","text":"ágnes szabó, \u00c1gnes Szab\u00f3, ÁGNES SZABÓ","hostName":"pc\u00e97x"}"#,
        );
        let lower = out.to_lowercase();
        assert!(!lower.contains("gnes") && !lower.contains("szab"), "{out}");
        assert!(serde_json::from_str::<Json>(&out).is_ok(), "{out}");
    }

    #[test]
    fn a_name_with_a_domain_is_two_names() {
        let out = anonymized(r#"{"accountName":"CORPDOM\\jroe","text":"jroe of CORPDOM"}"#);
        let json: Json = serde_json::from_str(&out).unwrap();
        let (domain, user) = json["accountName"]
            .as_str()
            .unwrap()
            .split_once('\\')
            .unwrap();
        assert_eq!(json["text"], format!("{user} of {domain}"));
        assert!(!out.contains("jroe") && !out.contains("CORPDOM"), "{out}");
    }
}
