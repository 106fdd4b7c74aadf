//! What stands in for real values. Equal values get equal stand-ins, different ones different.

use super::detect::is_shared;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a value is. Each kind has its own stand-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Sort {
    User,
    Host,
    Domain,
    Id,
    Address,
    Mac,
}

const USERS: [&str; 24] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "kim",
    "leo", "mallory", "nina", "oscar", "peggy", "quinn", "rupert", "sybil", "trent", "ursula",
    "victor", "wendy", "yuri",
];
const HOSTS: [&str; 16] = [
    "alder", "birch", "cedar", "elm", "fir", "hazel", "juniper", "larch", "maple", "oak", "pine",
    "rowan", "spruce", "walnut", "willow", "yew",
];
const DOMAINS: [&str; 3] = ["example.com", "example.net", "example.org"];

/// After so many candidates a stand-in may be a text that is really there: of numbers with two digits there are not more.
const WARY_STEPS: u64 = 1_000;
/// After so many candidates a value shares its stand-in with another.
const MOST_STEPS: u64 = 2_000;

/// The stand-ins that were given out.
#[derive(Debug, Default)]
pub(super) struct Pool {
    seed: u64,
    given: BTreeMap<(Sort, String), String>,
    /// What stands in for something.
    taken: BTreeSet<(Sort, String)>,
    /// What is really there.
    real: BTreeSet<(Sort, String)>,
}

impl Pool {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Keeps a value that is really there from standing in for another one.
    pub(super) fn reserve(&mut self, sort: Sort, value: String) {
        self.real.insert((sort, value));
    }

    /// Keeps the words of a name from standing in for another one.
    pub(super) fn reserve_words(&mut self, sort: Sort, name: &str) {
        let words = name
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty());
        for word in words {
            self.reserve(sort, word.to_lowercase());
        }
    }

    /// The stand-in for a value: the first of the candidates that nothing else has. They begin where the value leads to, so
    /// that it mostly gets the same one in another run. A candidate is made of a number and of how many were tried before.
    fn give(&mut self, sort: Sort, value: &str, candidate: impl Fn(u64, u64) -> String) -> String {
        let key = (sort, value.to_owned());
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let start = self.number(sort, value, 0);
        let mut step = 0;
        let given = loop {
            let given = candidate(start.wrapping_add(step), step);
            let entry = (sort, given.clone());
            let is_free =
                !self.taken.contains(&entry) && (step >= WARY_STEPS || !self.real.contains(&entry));
            // What stands in for itself would not be replaced.
            if given != value && is_free || step == MOST_STEPS {
                break given;
            }
            step += 1;
        };
        self.taken.insert((sort, given.clone()));
        self.given.insert(key, given.clone());
        given
    }

    /// A number that depends on the seed and the value only. The standard hasher with its fixed keys would do, but its
    /// function may change between releases; this one is FNV-1a, mixed once more.
    fn number(&self, sort: Sort, value: &str, round: u64) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        hash.write(&self.seed.to_le_bytes());
        hash.write(&[sort as u8]);
        hash.write(&round.to_le_bytes());
        hash.write(value.as_bytes());
        let mut x = hash.finish();
        x ^= x >> 30;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
        x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// An address of the documentation, and for one of a private network another one of it. When the former are used up,
    /// they come from the network for benchmarks.
    pub(super) fn address(&mut self, address: IpAddr) -> IpAddr {
        let text = address.to_string();
        let given = match address {
            IpAddr::V4(v4) => self.give(Sort::Address, &text, |number, step| {
                v4_candidate(v4, number, step).to_string()
            }),
            IpAddr::V6(v6) => {
                if let Some(IpAddr::V4(v4)) = v6.to_ipv4_mapped().map(|v4| self.address(v4.into()))
                {
                    return v4.to_ipv6_mapped().into();
                }
                let low = self.number(Sort::Address, &text, 1);
                self.give(Sort::Address, &text, |number, _| {
                    v6_candidate(v6, number, low).to_string()
                })
            }
        };
        given.parse().unwrap_or(address)
    }

    /// A MAC address of the documentation (RFC 7042), written like the other.
    pub(super) fn mac(&mut self, text: &str) -> String {
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let given = self.give(Sort::Mac, &digits.to_ascii_lowercase(), |number, _| {
            // Only 256 are set aside; what follows them is locally administered.
            let (low, wraps) = (number & 0xff, number >> 8 & 0xff);
            format!("02005e00{wraps:02x}{low:02x}")
        });
        written_like(text, &given)
    }

    /// Digits for digits and letters for letters; a text of hexadecimal digits stays one.
    pub(super) fn id(&mut self, text: &str) -> String {
        let plain = text.to_ascii_lowercase();
        let (seed, key) = (self.number(Sort::Id, &plain, 1), plain.clone());
        let is_hex = plain
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || !b.is_ascii_alphanumeric());
        let given = self.give(Sort::Id, &plain, |number, _| {
            let mut state = seed ^ number;
            key.chars()
                .enumerate()
                .map(|(at, c)| {
                    state = state
                        .wrapping_mul(0x5851_f42d_4c95_7f2d)
                        .wrapping_add(0x1405_7b7e_f767_814f);
                    let random = state >> 33;
                    match c {
                        // A number must not begin with a zero in JSON.
                        '1'..='9' if at == 0 => pick(b"123456789", random),
                        '0'..='9' => pick(b"0123456789", random),
                        'a'..='z' if is_hex => pick(b"abcdef", random),
                        'a'..='z' => pick(b"abcdefghijklmnopqrstuvwxyz", random),
                        other => other,
                    }
                })
                .collect()
        });
        written_like(text, &given)
    }

    /// An invented name, each part of it by itself: `jane.doe` keeps its dot, `PC-0423` its hyphen and its four digits.
    pub(super) fn name(&mut self, sort: Sort, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let class = |c: char| (c.is_alphabetic(), c.is_numeric());
            let end = rest
                .find(|c| class(c) != class(first))
                .unwrap_or(rest.len());
            let (run, behind) = rest.split_at(end);
            rest = behind;
            match class(first) {
                (true, _) => {
                    let given = self.word(sort, &run.to_lowercase());
                    out.push_str(&cased_like(run, &given));
                }
                (_, true) if run.len() > 1 => out.push_str(&self.id(run)),
                _ => out.push_str(run),
            }
        }
        out
    }

    fn word(&mut self, sort: Sort, word: &str) -> String {
        let words: &[&str] = match sort {
            Sort::Host => &HOSTS,
            _ => &USERS,
        };
        let count = words.len() as u64;
        self.give(sort, word, |number, step| {
            let index = usize::try_from(number % count).unwrap_or_default();
            // The words are few: when all are given out, letters behind them make more.
            let suffix = (0..step / count).take(8).enumerate();
            let suffix: String = suffix
                .map(|(place, _)| {
                    pick(
                        b"abcdefghijklmnopqrstuvwxyz",
                        number.rotate_right(8 * place as u32),
                    )
                })
                .collect();
            format!("{}{suffix}", words[index])
        })
    }

    /// A domain of the documentation; after the first three those below the top level `example`.
    pub(super) fn domain(&mut self, text: &str) -> String {
        let domains = (Sort::Domain, String::new())..(Sort::Id, String::new());
        let taken = self.taken.range(domains).take(DOMAINS.len()).count();
        self.give(Sort::Domain, &text.to_ascii_lowercase(), |number, _| {
            if taken < DOMAINS.len() {
                DOMAINS[usize::try_from(number % 3).unwrap_or_default()].to_owned()
            } else {
                format!("site{}.example", number % 100_000)
            }
        })
    }
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn pick(from: &[u8], number: u64) -> char {
    let index = usize::try_from(number % from.len() as u64).unwrap_or_default();
    char::from(from[index])
}

/// Of what kind an address is decides how many of its bits stay.
fn v4_candidate(real: Ipv4Addr, number: u64, step: u64) -> Ipv4Addr {
    let [low, high, third, ..] = number.to_le_bytes();
    // Zero and 255 at the end are networks and broadcasts more often than machines.
    let host = low.clamp(1, 254);
    match (real.octets(), step) {
        ([10, ..], _) => Ipv4Addr::new(10, third, high, host),
        ([172, ..], _) if real.is_private() => Ipv4Addr::new(172, 16 | third & 15, high, host),
        ([192, ..], _) if real.is_private() => Ipv4Addr::new(192, 168, high, host),
        ([100, ..], _) if is_shared(real.into()) => Ipv4Addr::new(100, 64 | third & 63, high, host),
        // By then everything in the networks of the documentation was tried.
        (_, 768..) => Ipv4Addr::new(198, 18 + (third & 1), high, low),
        _ if high % 3 == 0 => Ipv4Addr::new(192, 0, 2, host),
        _ if high % 3 == 1 => Ipv4Addr::new(198, 51, 100, host),
        _ => Ipv4Addr::new(203, 0, 113, host),
    }
}

fn v6_candidate(real: Ipv6Addr, number: u64, low: u64) -> Ipv6Addr {
    let low = u128::from(low & 0xffff_ffff);
    if real.is_unicast_link_local() {
        return Ipv6Addr::from(0xfe80_u128 << 112 | u128::from(number & 0xffff) << 32 | low);
    }
    let head = match is_shared(real.into()) {
        true => 0xfd00_0000_u128,
        false => 0x2001_0db8,
    };
    Ipv6Addr::from(head << 96 | u128::from(number & 0xffff) << 80 | low)
}

/// The letters and digits of one text with the punctuation and the case of another.
fn written_like(shape: &str, text: &str) -> String {
    let mut letters = text.chars().filter(char::is_ascii_alphanumeric);
    let upper = shape.bytes().any(|b| b.is_ascii_uppercase())
        && !shape.bytes().any(|b| b.is_ascii_lowercase());
    shape
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() {
            true => {
                let given = letters.next().unwrap_or(c);
                if upper || c.is_ascii_uppercase() {
                    given.to_ascii_uppercase()
                } else {
                    given
                }
            }
            false => c,
        })
        .collect()
}

/// `ALICE`, `Alice` or `alice`.
fn cased_like(shape: &str, word: &str) -> String {
    let mut chars = shape.chars();
    let first_upper = chars.next().is_some_and(char::is_uppercase);
    let rest: Vec<char> = chars.collect();
    if first_upper && !rest.is_empty() && rest.iter().all(|c| c.is_uppercase()) {
        return word.to_uppercase();
    }
    if first_upper {
        let mut chars = word.chars();
        let first: String = chars
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        return first + chars.as_str();
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_addresses_stay_different_even_when_the_documentation_is_used_up() {
        let mut pool = Pool::new(0);
        let mut seen = BTreeSet::new();
        for number in 0..1000u32 {
            let real = IpAddr::V4(Ipv4Addr::from(0x0800_0000 + number));
            let given = pool.address(real);
            assert_eq!(given, pool.address(real));
            assert!(seen.insert(given), "{given}");
            let IpAddr::V4(given) = given else {
                panic!("{given}");
            };
            let [a, b, ..] = given.octets();
            assert!(
                given.is_documentation() || (a == 198 && b & 0xfe == 18),
                "{given}"
            );
        }
    }

    #[test]
    fn an_address_of_a_private_network_stays_one_of_it() {
        let mut pool = Pool::new(0);
        for (real, network) in [
            ("10.1.2.3", "10."),
            ("172.20.1.2", "172."),
            ("192.168.1.2", "192.168."),
            ("100.64.1.2", "100."),
            ("8.8.8.8", ""),
            ("fe80::a683:e7ff:fe00:1122", "fe80::"),
            ("fd12:3456::1", "fd00:"),
            ("2a00:1450::1", "2001:db8:"),
        ] {
            let real: IpAddr = real.parse().unwrap();
            let given = pool.address(real);
            assert!(
                given != real && given.to_string().starts_with(network),
                "{real} {given}"
            );
            assert_eq!(is_shared(real), is_shared(given), "{real} {given}");
            assert!(super::super::detect::is_clean(given), "{given}");
        }
    }

    #[test]
    fn different_numbers_stay_different_even_when_all_of_them_are_there() {
        let mut pool = Pool::new(0);
        let all: Vec<String> = (10..100).map(|number: u32| number.to_string()).collect();
        all.iter()
            .for_each(|number| pool.reserve(Sort::Id, number.clone()));
        let given: BTreeSet<String> = all.iter().map(|number| pool.id(number)).collect();
        assert!(given.len() > 80, "{}", given.len());
    }

    #[test]
    fn shape_case_and_separators_stay() {
        let mut pool = Pool::new(7);
        let name = pool.name(Sort::User, "jane.doe");
        assert!(name.contains('.') && name != "jane.doe", "{name}");
        assert_eq!(pool.name(Sort::User, "JANE.DOE"), name.to_uppercase());
        let host = pool.name(Sort::Host, "PC-0423");
        let digits = host.rsplit('-').next().unwrap_or_default();
        assert!(
            digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()),
            "{host}"
        );
        let guid = pool.id("6F1C2D3E-0000-4000-8000-0123456789AB");
        assert_eq!(
            guid.match_indices('-')
                .map(|(at, _)| at)
                .collect::<Vec<_>>(),
            [8, 13, 18, 23]
        );
        assert!(
            guid.chars()
                .all(|c| c == '-' || c.is_ascii_digit() || ('A'..='F').contains(&c)),
            "{guid}"
        );
    }

    #[test]
    fn the_seed_decides_and_nothing_else_does() {
        let of = |seed| {
            let mut pool = Pool::new(seed);
            (
                pool.id("a1b2c3d4e5"),
                pool.name(Sort::User, "zoe"),
                pool.mac("AA:BB:CC:00:11:22"),
            )
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
