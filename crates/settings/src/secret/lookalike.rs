//! What looks like a secret where something harmless should stand.
//!
//! People write a secret where its name or its path belongs, or a password into the address of a proxy. Messages show such
//! texts, so what may be a secret is masked. Too much is better than too little: the message says where the text stands.

use std::borrow::Cow;

const MASK: &str = "***";
/// No name of a variable is longer, as a rule.
const LONGEST_NAME: usize = 64;
/// No word in a name is longer, as a rule.
const LONGEST_WORD: usize = 24;

/// The name of an environment variable, or a mask.
pub(super) fn variable(name: &str) -> Cow<'_, str> {
    let words = || name.split(['_', '-', '.']).filter(|word| !word.is_empty());
    let is_name = name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && match words().count() {
            // `LANG`, but not `hunter2` or `letmein`: a name of one small word is rarer than a password of one.
            1 => words()
                .all(|word| is_word(word) && !word.contains(|c: char| c.is_ascii_lowercase())),
            _ => words().all(is_word),
        };
    shown(name, is_name)
}

/// A path, or as much of it as can be shown.
pub(super) fn path(path: &str) -> Cow<'_, str> {
    let last = path.rsplit('/').next().unwrap_or(path);
    let is_name = |name: &str| {
        name.split(['_', '-', '.', ' ', ':', '@', ','])
            .all(is_harmless)
    };
    // `client-secret`, `secret.txt`, `secret`, but not `hunter2`.
    let is_last = is_name(last)
        && !is_uuid(last)
        && (last.contains(['_', '-', '.']) || !(has_digit(last) && has_letter(last)));
    if is_last && path.split('/').all(is_name) {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&str> = path.split('/').collect();
    let shown: Vec<&str> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| match index + 1 == parts.len() {
            true if !is_last => MASK,
            _ if !is_name(part) => MASK,
            _ => part,
        })
        .collect();
    Cow::Owned(shown.join("/"))
}

/// A value of the configuration that is no secret by its key, without what looks like one: passwords in addresses, and
/// texts that nobody would have chosen as a name.
pub fn masked(text: &str) -> Cow<'_, str> {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(begin);
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if let Some(at) = rest
        .get(..authority)
        .and_then(|authority| authority.rfind('@'))
    {
        return Cow::Owned(format!("{scheme}{MASK}{}", &rest[at..]));
    }
    // `user:password` where a host and a port should stand, but not an address of version 6.
    if begin == 0
        && let Some((name, password)) = text.split_once(':')
        && !text.contains([' ', '/', '['])
        && !password.contains(':')
        && password.contains(|c: char| !c.is_ascii_digit())
    {
        return Cow::Owned(format!("{name}:{MASK}"));
    }
    let is_one_word = !text.contains(char::is_whitespace) && begin == 0;
    let parts = || text.split(['.', '-', '_', ':', '/', ',', '[', ']']);
    shown(
        text,
        !is_one_word || is_uuid(text) || parts().all(is_harmless),
    )
}

fn shown(text: &str, is_harmless: bool) -> Cow<'_, str> {
    if is_harmless {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(MASK.to_owned())
    }
}

/// A word of a name: letters with a number in front or behind, or something short such as `M365`.
fn is_word(word: &str) -> bool {
    let is_short = word.len() <= 6 && !word.contains(|c: char| c.is_ascii_lowercase());
    word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && word.len() <= LONGEST_WORD
        && (is_short || changes(word) <= 1)
        && !is_jumbled(word)
}

/// A word that need not be a name, but that no machine has made either.
fn is_harmless(word: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || c == '~' && word.len() <= 8;
    word.chars().all(is_plain)
        && word.len() <= 40
        && (word.len() < 8 || changes(word) <= 2 && !is_jumbled(word))
        && !(word.len() > LONGEST_WORD && has_digit(word) && has_letter(word))
}

/// How often letters and digits take turns.
fn changes(word: &str) -> usize {
    let digits: Vec<bool> = word.chars().map(|c| c.is_ascii_digit()).collect();
    digits.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Whether capitals stand where nobody writes them: more than in `ClientSecret`.
fn is_jumbled(word: &str) -> bool {
    let small: Vec<bool> = word
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.is_ascii_lowercase())
        .collect();
    let humps = small.windows(2).filter(|pair| pair[0] && !pair[1]).count();
    humps > 0 && humps + 1 > word.len() / 5
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

fn has_letter(text: &str) -> bool {
    text.contains(char::is_alphabetic)
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Invented, in the forms that secrets have.
    const SECRETS: &[&str] = &[
        "hunter2",
        "letmein",
        "Summer2024",
        "Summer2024!",
        "P@ssw0rd",
        "correct horse battery staple 1",
        "aBc8Q~Zx4vT.1kLmN0pQrStUvWxYz_AbCdEfGhIj",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "JBSWY3DPEHPK3PXP",
        "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY",
        "ZXhhbXBsZS1zZWNyZXQ=",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "11111111-2222-3333-4444-555555555555",
    ];

    #[test]
    fn a_secret_in_the_place_of_a_name_or_of_a_path_is_not_shown() {
        for secret in SECRETS {
            assert_eq!(variable(secret), MASK, "{secret}");
        }
        for secret in SECRETS.iter().filter(|secret| **secret != "letmein") {
            let folder = format!("/etc/dsmith/{secret}");
            for text in [secret, folder.as_str()] {
                assert!(!path(text).contains(secret), "{text}");
            }
        }
        assert_eq!(path("/etc/dsmith/Summer2024!"), "/etc/dsmith/***");
    }

    #[test]
    fn names_and_paths_as_people_choose_them_are_shown() {
        for name in [
            "S",
            "SECRET",
            "CONTOSO_CLIENT_SECRET",
            "DEFENDER_EU_1",
            "M365_SECRET_2",
            "contoso_secret",
            "Contoso.ClientSecret",
            "my-secret",
            "DSMITH_TEST_NOT_SET",
        ] {
            assert_eq!(variable(name), name);
        }
        for name in [
            "/run/secrets/client-secret",
            "/run/credentials/dsmith.service/defender",
            "secret",
            "../secrets/contoso.txt",
            "/srv/j.doe/.dsmith/defender_eu_1",
            "C:/dsmith/secret.txt",
            "/tmp/.tmpAbC/secret",
        ] {
            assert_eq!(path(name), name);
        }
    }

    #[test]
    fn a_value_is_shown_without_passwords_in_it() {
        for (text, expected) in [
            (
                "http://user:hunter2@proxy.example.com:8080",
                "http://***@proxy.example.com:8080",
            ),
            ("user:hunter2@proxy.example.com", "***@proxy.example.com"),
            ("user:hunter2", "user:***"),
            ("proxy.example.com:8080", "proxy.example.com:8080"),
            (
                "http://proxy.example.com/a@b",
                "http://proxy.example.com/a@b",
            ),
            ("[2001:db8::1]:8080", "[2001:db8::1]:8080"),
            ("2001:db8::1", "2001:db8::1"),
            ("aBc8Q~Zx4vT.1kLmN0pQrStUvWxYz_AbCdEfGhIj", "***"),
            ("5f4dcc3b5aa765d61d8327deb882cf99", "***"),
            (
                "11111111-2222-3333-4444-555555555555",
                "11111111-2222-3333-4444-555555555555",
            ),
            ("GCC High & DoD", "GCC High & DoD"),
            ("EU", "EU"),
            ("5M", "5M"),
            ("proxy01-eu.corp.example.com", "proxy01-eu.corp.example.com"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }
}
