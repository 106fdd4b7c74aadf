//! What shows by its form that it is a secret, an address or a name.

use super::work;
use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input, Match, PatternID};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

/// What has no place in a fixture, whatever stands for it: the whole payload is refused.
const SECRETS: &[(&str, &str)] = &[
    ("a bearer token", r"(?i)\bbearer\s+[a-z0-9._~+/-]{8,}=*"),
    (
        "basic credentials",
        r"(?i)\bauthorization\W{1,6}basic\s+[a-z0-9+/]{8,}=*",
    ),
    (
        "a JSON web token",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    ),
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    ("an access key of AWS", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    (
        "a token of GitHub",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
    ),
    ("a token of Slack", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    (
        "a connection string",
        r"(?i)\b(?:account|sharedaccess)key\s*=\s*[a-z0-9+/%]{16,}=*",
    ),
    (
        "the signature of a shared access URL",
        r"(?i)[?&]sig=[a-z0-9%+/_-]{16,}",
    ),
    (
        "a password in a URL",
        r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"]+:[^\s/@"]+@"#,
    ),
    (
        "a password or key",
        r#"(?i)(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|(?:access|refresh|id|auth|session)[_-]?token)\\?"?\s*[:=]\s*\\?"?([^\s"\\,;&}\]]+)"#,
    ),
];

/// The secret by name of its key is the last one: its value may be a mask.
const BY_KEY: usize = SECRETS.len() - 1;

/// What stands where a secret was taken out, or where there is none.
const NO_SECRETS: [&str; 13] = [
    "null",
    "none",
    "true",
    "false",
    "redacted",
    "masked",
    "hidden",
    "removed",
    "empty",
    "[redacted",
    "<redacted>",
    "n/a",
    "-",
];

static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let patterns: Vec<&str> = SECRETS.iter().map(|(_, pattern)| *pattern).collect();
    Regex::new_many(&patterns).ok()
});

/// A secret: what it is and where. The text is nowhere kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its first byte.
    pub offset: usize,
    /// What it is.
    pub what: &'static str,
}

/// The secrets of a text, in order.
pub fn secrets(text: &str) -> Vec<Secret> {
    let Some(regex) = &*SECRET else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut captures = regex.create_captures();
    let mut at = 0;
    while at <= text.len() {
        regex.captures(Input::new(text).range(at..), &mut captures);
        let Some(hit) = captures.get_match() else {
            break;
        };
        let kind = hit.pattern().as_usize();
        let is_masked = kind == BY_KEY
            && captures.get_group(1).is_some_and(|value| {
                let key = text[hit.start()..value.start].to_ascii_lowercase();
                let value = text[value.range()].to_ascii_lowercase();
                // `PWD` is a folder too.
                if key.starts_with("pwd") && value.starts_with('/') {
                    return true;
                }
                NO_SECRETS.contains(&value.as_str())
                    || value.chars().all(|c| matches!(c, '*' | 'x' | '.'))
            });
        if !is_masked {
            let (offset, what) = (hit.start(), SECRETS[kind].0);
            found.push(Secret { offset, what });
        }
        at = hit.end().max(at + 1);
    }
    found
}

/// What a piece of a text is by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Mail,
    Guid,
    Mac,
    Sid,
    Address(IpAddr),
    Domain,
}

/// Short pieces. What may be as long as the text, mail addresses and domains, is looked for apart: a search for the
/// leftmost of all would go through a long run of letters and dots again for each short piece in it.
const FORMS: &[&str] = &[
    r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b",
    r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b",
    r"\b(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}\b",
    r"\bS-1-5-21(?:-[0-9]+){3,4}\b",
    r"(?:[0-9A-Fa-f]{0,4}:){2,6}[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}",
    r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b",
];

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new_many(FORMS).ok());

/// From the sign on.
static MAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b").ok());

static DOMAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?:com|net|org|edu|gov|mil|io|dev|cloud|biz|eu|de|uk|fr|nl|ch|es|pl|se|dk|fi|ca|au|nz|jp|cn|br|ru|local|lan|internal|intra|corp|example)\b").ok()
});

/// The next piece that an expression finds. It is found again only where the text before it was taken for something else.
struct Ahead {
    regex: &'static Regex,
    /// How many bytes behind a match the search may look at, because a longer match could come.
    looks_on: usize,
    next: Option<Match>,
    is_known: bool,
}

impl Ahead {
    fn new(regex: &'static LazyLock<Option<Regex>>, looks_on: usize) -> Option<Self> {
        Some(Self {
            regex: LazyLock::force(regex).as_ref()?,
            looks_on,
            next: None,
            is_known: false,
        })
    }

    fn from(&mut self, text: &str, at: usize) -> Option<Match> {
        if !self.is_known || self.next.is_some_and(|next| next.start() < at) {
            self.is_known = true;
            self.next = self.regex.find(Input::new(text).range(at..));
            if cfg!(test) {
                let end = self.next.map_or(text.len(), |next| next.end());
                let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.:@_".contains(byte);
                let run = text.as_bytes()[end..]
                    .iter()
                    .take_while(|byte| goes_on(byte));
                work::count(end - at + run.count().min(self.looks_on));
            }
        }
        self.next
    }
}

/// The mail addresses of a text, by their signs.
struct Mails {
    regex: &'static Regex,
    /// The next sign, and the range of the address around it.
    sign: usize,
    around: Option<Range<usize>>,
    /// Where the search for the sign behind it begins.
    behind: usize,
}

impl Mails {
    fn new() -> Option<Self> {
        Some(Self {
            regex: LazyLock::force(&MAIL).as_ref()?,
            sign: 0,
            around: None,
            behind: 0,
        })
    }

    /// The next address, or the rest of the one that begins before `at`.
    fn from(&mut self, text: &str, at: usize) -> Option<Range<usize>> {
        loop {
            if let Some(Range { start, end }) = self.around
                && at < self.sign
            {
                return Some(start.max(at)..end);
            }
            let sign = self.behind + text[self.behind..].find('@')?;
            let is_local = |byte: &u8| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'\'' | b'-')
            };
            let before = &text.as_bytes()[self.behind..sign];
            let local = before
                .iter()
                .rev()
                .take_while(|byte| is_local(byte))
                .count();
            let tail = Input::new(text).range(sign..).anchored(Anchored::Yes);
            let tail = self.regex.find(tail);
            work::count(tail.map_or(sign, |tail| tail.end()) - self.behind);
            self.around = tail
                .filter(|_| local > 0)
                .map(|tail| sign - local..tail.end());
            (self.sign, self.behind) = (sign, sign + 1);
        }
    }
}

/// The pieces of a text that show by their form what they are, in order.
pub(super) fn forms(text: &str) -> Vec<(Range<usize>, Form)> {
    let (Some(mut mails), Some(mut short), Some(mut domains)) = (
        Mails::new(),
        Ahead::new(&FORM, 64),
        Ahead::new(&DOMAIN, usize::MAX),
    ) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at <= text.len() {
        // The leftmost counts; of those that begin together a mail address, and a domain last.
        let mail = mails.from(text, at).map(|range| (range, 0));
        let piece = short.from(text, at).map(|hit| (hit.range(), 1));
        let domain = domains.from(text, at).map(|hit| (hit.range(), 2));
        let all = [mail, piece, domain].into_iter().flatten();
        let Some((range, sort)) = all.min_by_key(|(range, sort)| (range.start, *sort)) else {
            break;
        };
        let form = match sort {
            0 => Some(Form::Mail),
            1 => match short.next {
                Some(hit) => form(text, &range, hit.pattern()),
                None => None,
            },
            _ => is_domain(text, &range).then_some(Form::Domain),
        };
        at = match form {
            Some(form) => {
                let end = range.end;
                found.push((range, form));
                end
            }
            None if sort == 1 => behind_piece(text, &range),
            // It is long as the text may be, and holds nothing else: a mail address begins where it does.
            None => range.end,
        };
    }
    found
}

/// Where something else may begin in or behind a piece that is not what it looks like: a part of a longer number.
fn behind_piece(text: &str, range: &Range<usize>) -> usize {
    let bytes = text.as_bytes();
    let step = text[range.start..].chars().next().map_or(1, char::len_utf8);
    let run = |is_in: fn(&u8) -> bool| {
        let rest = bytes[range.start..].iter();
        range.start + rest.take_while(|byte| is_in(byte)).count()
    };
    let piece = &text[range.clone()];
    let next = if piece.contains(':') {
        // Between colons no address begins; behind the last one of the run something may.
        let end = run(|byte| byte.is_ascii_hexdigit() || *byte == b':');
        let last = bytes[range.start..end]
            .iter()
            .rposition(|byte| *byte == b':');
        last.map_or(range.start, |last| range.start + last + 1)
    } else if piece.contains('.') {
        run(|byte| byte.is_ascii_digit() || *byte == b'.')
    } else {
        // A label of a domain, with 63 characters, may begin at each hyphen.
        run(|byte| byte.is_ascii_hexdigit() || *byte == b'-').saturating_sub(64)
    };
    work::count(next.saturating_sub(range.start));
    next.max(range.start + step)
}

fn form(text: &str, range: &Range<usize>, pattern: PatternID) -> Option<Form> {
    let piece = &text[range.clone()];
    let before = text[..range.start].chars().next_back();
    let after = text[range.end..].chars().next();
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match pattern.as_usize() {
        0 => Some(Form::Guid),
        1 | 2 => {
            let is_longer = [before, after].iter().any(|c| matches!(c, Some(':' | '-')));
            (!is_longer).then_some(Form::Mac)
        }
        3 => Some(Form::Sid),
        4 | 5 => {
            if is_word(before) || is_word(after) || after == Some(':') || before == Some(':') {
                return None;
            }
            let address: Ipv6Addr = piece.parse().ok()?;
            Some(Form::Address(address.into()))
        }
        _ => {
            if goes_on(text, range.end) || before == Some('.') || is_word(before) {
                return None;
            }
            let address: Ipv4Addr = piece.parse().ok()?;
            Some(Form::Address(address.into()))
        }
    }
}

/// Whether a number or a name goes on behind a dot.
fn goes_on(text: &str, end: usize) -> bool {
    let behind = text[end..].strip_prefix('.');
    behind.is_some_and(|behind| behind.starts_with(char::is_alphanumeric))
}

fn is_domain(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    !goes_on(text, range.end)
        && !matches!(before, Some('#' | '.' | '@'))
        && !text[range.end..].starts_with('(')
        && !is_key(text, range.end)
}

/// Whether what ends here is the name of something: a key of JSON or of a pair.
pub(super) fn is_key(text: &str, end: usize) -> bool {
    let rest = &text[end..];
    if rest.starts_with('=') {
        return true;
    }
    let Some(rest) = rest.strip_prefix("\\\"").or_else(|| rest.strip_prefix('"')) else {
        return false;
    };
    rest.trim_start().starts_with(':')
}

/// Whether an address names nobody: of the documentation, of a private network, or of no machine in particular. Half of an
/// IPv6 address may be a MAC address, which names a machine wherever it is.
pub(super) fn is_clean(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            is_shared(address)
                || v4.is_documentation()
                || v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_link_local()
                || (a == 198 && b & 0xfe == 18)
                || a == 255
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_clean(v4.into()),
            None => {
                v6.segments()[..2] == [0x2001, 0xdb8]
                    || v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || (is_shared(address) || v6.is_unicast_link_local()) && !holds_mac(v6)
            }
        },
    }
}

/// Whether many networks use an address: RFC 1918, RFC 6598, RFC 4193. It names nobody, but all of them together show how
/// a network is built.
pub(super) fn is_shared(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Whether the lower half was made of a MAC address (RFC 4291, modified EUI-64).
fn holds_mac(v6: Ipv6Addr) -> bool {
    let octets = v6.octets();
    octets[11..13] == [0xff, 0xfe]
}

/// Whether nothing has to stand in for an address: it is clean, and shows nothing of a network either.
pub(super) fn is_bare(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            v6.to_ipv4_mapped().is_some_and(|v4| is_bare(v4.into()))
        }
        _ => is_clean(address) && !is_shared(address),
    }
}

/// Whether a domain tells nothing: of the documentation, or of a vendor whose interfaces everybody names.
pub(super) fn is_clean_domain(domain: &str) -> bool {
    const KNOWN: [&str; 15] = [
        "example.com",
        "example.net",
        "example.org",
        "contoso.com",
        "fabrikam.com",
        "microsoft.com",
        "microsoftonline.com",
        "office.com",
        "azure.com",
        "windows.com",
        "live.com",
        "w3.org",
        "kubernetes.io",
        "googleapis.com",
        "xmlsoap.org",
    ];
    let domain = domain.to_ascii_lowercase();
    domain.ends_with(".example")
        || KNOWN.iter().any(|known| {
            domain
                .strip_suffix(known)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// Whether a MAC address is one of the documentation, of those that stand in, or of no machine.
pub(super) fn is_clean_mac(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let digits = digits.to_ascii_lowercase();
    digits.starts_with("00005e0053")
        || digits.starts_with("02005e00")
        || digits == "000000000000"
        || digits == "ffffffffffff"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_within_a_longer_one_is_none_and_what_follows_is_found() {
        assert_eq!(
            pieces("1.2.3.4.5 aa-bb-cc-dd-ee-ff-00-x.acme.com 10:20:30:10.1.2.3 a:b:c:d.acme.com"),
            ["cc-dd-ee-ff-00-x.acme.com", "10.1.2.3", "d.acme.com"]
        );
        assert_eq!(
            pieces("@@a@b.acme.com@c.de a@b@c.de x@y 1.2.3.4@acme.com jo@acme.com.1 ü@acme.com"),
            ["a@b.acme.com", "b@c.de", "1.2.3.4@acme.com", "jo@acme.com"]
        );
    }

    fn pieces(text: &str) -> Vec<&str> {
        forms(text)
            .into_iter()
            .map(|(range, _)| &text[range])
            .collect()
    }

    #[test]
    fn addresses_are_found_and_numbers_of_versions_and_times_are_not() {
        assert_eq!(
            pieces(
                "from 10.1.2.3:80 [2001:470::1] at 10:20:30 ::1 fe80::1%eth0 ::ffff:10.1.2.3 v1.2.3.4.5 300.1.2.3"
            ),
            [
                "10.1.2.3",
                "2001:470::1",
                "::1",
                "fe80::1",
                "::ffff:10.1.2.3"
            ]
        );
        assert_eq!(
            pieces("mac AA-BB-CC-00-11-22, aa:bb:cc:00:11:22"),
            ["AA-BB-CC-00-11-22", "aa:bb:cc:00:11:22"]
        );
        assert_eq!(
            pieces("2026-11-23T10:00:00Z and 2026-11-23 10:00:00.123"),
            [""; 0]
        );
    }

    #[test]
    fn addresses_are_clean_if_they_name_nobody() {
        for clean in [
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.0",
            "224.0.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "2001:db8::1",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_clean(clean.parse().unwrap()), "{clean}");
        }
        for unclean in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "fe80::a683:e7ff:fe00:1122",
            "fd00::a683:e7ff:fe00:1122",
        ] {
            assert!(!is_clean(unclean.parse().unwrap()), "{unclean}");
        }
    }

    #[test]
    fn names_of_machines_are_found_and_names_of_files_and_types_are_not() {
        assert_eq!(
            pieces(
                "pc7.corp.acme.com jane@acme.co.uk kernel32.dll #microsoft.graph.security.alert alert.json"
            ),
            ["pc7.corp.acme.com", "jane@acme.co.uk"]
        );
        assert_eq!(pieces(r#"{"site.com": 1}"#), [""; 0]);
    }

    #[test]
    fn secrets_are_found_and_masks_are_not() {
        for text in [
            "Authorization: Bearer abcdef0123456789",
            r#"{"password":"hunter2"}"#,
            r#"{"body":"{\"client_secret\":\"s3cr3tvalue\"}"}"#,
            "-----BEGIN RSA PRIVATE KEY-----",
            "https://joe:pa55@host/",
            "DefaultEndpointsProtocol=https;AccountKey=AAAABBBBCCCCDDDDEEEEFFFF==",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        ] {
            assert!(!secrets(text).is_empty(), "{text}");
        }
        for text in [
            r#"{"password":"********"}"#,
            r#"{"password":null,"apiKey":""}"#,
            "Failed password for root from 192.0.2.1",
            "bearer of news",
            "sudo: alice : PWD=/var/tmp ; USER=root",
            "action=token-refresh",
        ] {
            assert_eq!(secrets(text), [], "{text}");
        }
    }
}
