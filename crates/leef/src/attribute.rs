//! The 45 attributes that the format itself defines.

/// What the value of a predefined attribute must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Any text, up to [`Predefined::limit`] characters if there is one.
    Text,
    /// A point in time: ten digits (seconds), thirteen digits (milliseconds),
    /// or a text for which `devTimeFormat` gives the pattern.
    Date,
    /// A `SimpleDateFormat` pattern.
    DatePattern,
    /// An IANA protocol number or a keyword.
    Protocol,
    /// 1 (lowest) to 10 (highest).
    Severity,
    /// A decimal integer.
    Integer,
    /// 0 to 65535.
    Port,
    /// An IPv4 or IPv6 address.
    Ip,
    /// Six pairs of hexadecimal digits with colons between them.
    Mac,
    /// `true` or `false`.
    Boolean,
    /// Two letters: ISO 639-1 or ISO 3166.
    TwoLetters,
}

/// One predefined attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Predefined {
    /// The key; keys are case sensitive.
    pub key: &'static str,
    /// What the value must be.
    pub kind: Kind,
    /// The most characters that a value may have.
    pub limit: Option<usize>,
    /// QRadar normalizes it without a custom property.
    pub normalized: bool,
    /// Set aside by IBM for later: must not be used.
    pub reserved: bool,
}

/// Finds a predefined attribute by its exact key.
#[must_use]
pub fn predefined(key: &str) -> Option<&'static Predefined> {
    PREDEFINED.iter().find(|attribute| attribute.key == key)
}

/// Finds a predefined attribute by its key in any case, such as `usrname`.
#[must_use]
pub fn predefined_ignoring_case(key: &str) -> Option<&'static Predefined> {
    PREDEFINED
        .iter()
        .find(|attribute| attribute.key.eq_ignore_ascii_case(key))
}

/// Tells whether a key has the form that the format asks of custom keys and
/// that all predefined ones have: an ASCII letter, then ASCII letters and
/// digits.
#[must_use]
pub const fn is_valid_key(key: &str) -> bool {
    let key = key.as_bytes();
    if key.is_empty() || !key[0].is_ascii_alphabetic() {
        return false;
    }
    // No early end, which would keep the bytes from being looked at side by side.
    let (mut valid, mut at) = (true, 1);
    while at < key.len() {
        valid &= key[at].is_ascii_alphanumeric();
        at += 1;
    }
    valid
}

const fn normalized(key: &'static str, kind: Kind) -> Predefined {
    Predefined {
        key,
        kind,
        limit: None,
        normalized: true,
        reserved: false,
    }
}

const fn plain(key: &'static str, kind: Kind) -> Predefined {
    Predefined {
        normalized: false,
        ..normalized(key, kind)
    }
}

const fn reserved(key: &'static str, kind: Kind) -> Predefined {
    Predefined {
        reserved: true,
        ..plain(key, kind)
    }
}

const fn at_most(limit: usize, attribute: Predefined) -> Predefined {
    Predefined {
        limit: Some(limit),
        ..attribute
    }
}

/// The predefined attributes, in the order of IBM's table.
///
/// IBM's table leaves the normalized column of `identHostName` unclear; it is
/// taken to be normalized, as the rest of its group is. `identSecondlp` is
/// spelled with a small L, as IBM spells it.
pub static PREDEFINED: [Predefined; 45] = [
    normalized("cat", Kind::Text),
    normalized("devTime", Kind::Date),
    plain("devTimeFormat", Kind::DatePattern),
    normalized("proto", Kind::Protocol),
    normalized("sev", Kind::Severity),
    normalized("src", Kind::Ip),
    normalized("dst", Kind::Ip),
    normalized("srcPort", Kind::Port),
    normalized("dstPort", Kind::Port),
    normalized("srcPreNAT", Kind::Ip),
    normalized("dstPreNAT", Kind::Ip),
    normalized("srcPostNAT", Kind::Ip),
    normalized("dstPostNAT", Kind::Ip),
    at_most(255, normalized("usrName", Kind::Text)),
    normalized("srcMAC", Kind::Mac),
    normalized("dstMAC", Kind::Mac),
    normalized("srcPreNATPort", Kind::Port),
    normalized("dstPreNATPort", Kind::Port),
    normalized("srcPostNATPort", Kind::Port),
    normalized("dstPostNATPort", Kind::Port),
    normalized("identSrc", Kind::Ip),
    at_most(255, normalized("identHostName", Kind::Text)),
    at_most(255, normalized("identNetBios", Kind::Text)),
    at_most(255, normalized("identGrpName", Kind::Text)),
    Predefined {
        reserved: true,
        ..normalized("identMAC", Kind::Mac)
    },
    plain("vSrc", Kind::Ip),
    at_most(255, plain("vSrcName", Kind::Text)),
    at_most(255, plain("accountName", Kind::Text)),
    plain("srcBytes", Kind::Integer),
    plain("dstBytes", Kind::Integer),
    plain("srcPackets", Kind::Integer),
    plain("dstPackets", Kind::Integer),
    plain("totalPackets", Kind::Integer),
    plain("role", Kind::Text),
    plain("realm", Kind::Text),
    plain("policy", Kind::Text),
    plain("resource", Kind::Text),
    plain("url", Kind::Text),
    plain("groupID", Kind::Text),
    plain("domain", Kind::Text),
    reserved("isLoginEvent", Kind::Boolean),
    reserved("isLogoutEvent", Kind::Boolean),
    reserved("identSecondlp", Kind::Ip),
    at_most(2, reserved("calLanguage", Kind::TwoLetters)),
    at_most(2, reserved("calCountryOrRegion", Kind::TwoLetters)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_consistent() {
        for (at, attribute) in PREDEFINED.iter().enumerate() {
            assert!(is_valid_key(attribute.key), "{}", attribute.key);
            for other in &PREDEFINED[at + 1..] {
                assert!(!attribute.key.eq_ignore_ascii_case(other.key));
            }
        }
        let reserved: Vec<_> = PREDEFINED.iter().filter(|a| a.reserved).collect();
        assert_eq!(reserved.len(), 6);
        assert_eq!(PREDEFINED.iter().filter(|a| a.normalized).count(), 24);
        assert_eq!(PREDEFINED.iter().filter(|a| a.limit.is_some()).count(), 8);
    }

    #[test]
    fn lookup_is_exact_unless_asked() {
        assert_eq!(predefined("usrName").map(|a| a.limit), Some(Some(255)));
        assert_eq!(predefined("usrname"), None);
        assert_eq!(
            predefined_ignoring_case("USRNAME").map(|a| a.key),
            Some("usrName")
        );
        assert_eq!(predefined("msg"), None);
        assert_eq!(predefined_ignoring_case("userName"), None);
    }

    #[test]
    fn keys_are_letters_and_digits() {
        assert!(is_valid_key("a"));
        assert!(is_valid_key("alertId2"));
        for key in ["", "2a", "a b", "a=b", "process_path", "é", "a\t"] {
            assert!(!is_valid_key(key), "{key:?}");
        }
    }
}
