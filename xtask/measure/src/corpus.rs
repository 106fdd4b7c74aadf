//! The payloads that are measured: invented, and the same everywhere.
//!
//! Every corpus is made from [`SEED`] by a generator of our own, so that neither a version of a library nor the machine
//! changes a byte of it.

use super::generator::{self, Random};

/// The seed of the generator.
pub const SEED: u64 = 0x00d5_317e;

/// Payloads of one kind.
#[derive(Debug)]
pub struct Corpus {
    /// Its name in tables.
    pub name: &'static str,
    /// The mapping folder that reads it.
    pub slug: &'static str,
    /// Whether a plain JSON parse of the same bytes is a sensible measure. Where it is not (text, or JSON that such a
    /// parse gives up on early), the measure is the parse of as many bytes of SIEM alerts.
    pub comparable: bool,
    /// The payloads.
    pub payloads: Vec<Vec<u8>>,
}

/// Records in one envelope of the streaming API.
const RECORDS: usize = 50;

const DEFENDER: &str = "microsoft-365-defender";

impl Corpus {
    /// Name of the corpus of streaming records.
    pub const STREAMING: &'static str = "streaming records";

    /// Alerts of the SIEM API: one flat object of 47 members.
    pub fn siem(count: usize) -> Self {
        Self::make("siem alerts", DEFENDER, true, count, generator::siem)
    }

    /// Alerts of Microsoft Graph: 1 to 8 evidences.
    pub fn graph(count: usize) -> Self {
        Self::make("graph alerts", DEFENDER, true, count, generator::graph)
    }

    /// Records of the streaming API, each by itself, as the framing hands them out.
    pub fn streaming(count: usize) -> Self {
        Self::make(Self::STREAMING, DEFENDER, true, count, generator::streaming)
    }

    /// Syslog lines with name=value pairs, for the example VPN.
    pub fn vpn(count: usize) -> Self {
        Self::make("vpn pairs", "example-vpn", false, count, generator::vpn)
    }

    /// Syslog lines of sshd: regular expressions and nothing else.
    pub fn sshd(count: usize) -> Self {
        Self::make(
            "sshd lines",
            "openssh-server",
            false,
            count,
            generator::sshd,
        )
    }

    /// The three that the goals are about.
    pub fn of_goals(count: usize) -> Vec<Self> {
        vec![
            Self::siem(count),
            Self::graph(count),
            Self::streaming(count),
        ]
    }

    /// What a sender does by mistake or on purpose.
    pub fn hostile(count: usize) -> Vec<Self> {
        let make = |name, generate: fn(&mut Random) -> Vec<u8>| Self {
            name,
            slug: DEFENDER,
            comparable: false,
            payloads: payloads(count, generate),
        };
        vec![
            make("nested 400 deep", |r| generator::nested(r, 400, true)),
            make("nested 10,000 deep", |r| {
                generator::nested(r, 10_000, false)
            }),
            make("members twice", generator::twice),
            make("all escaped", generator::escaped),
            make("not utf-8", generator::not_utf8),
            make("truncated", generator::truncated),
        ]
    }

    fn make(
        name: &'static str,
        slug: &'static str,
        comparable: bool,
        count: usize,
        generate: fn(&mut Random) -> String,
    ) -> Self {
        Self {
            name,
            slug,
            comparable,
            payloads: payloads(count, |r| generate(r).into_bytes()),
        }
    }

    /// Bytes in all payloads.
    pub fn bytes(&self) -> usize {
        self.payloads.iter().map(Vec::len).sum()
    }

    /// The payloads as a source sends them: one a line, or in envelopes where `enveloped`.
    pub fn wire(payloads: &[Vec<u8>], enveloped: bool) -> Vec<u8> {
        let mut out = Vec::new();
        if !enveloped {
            for payload in payloads {
                out.extend_from_slice(payload);
                out.push(b'\n');
            }
            return out;
        }
        for records in payloads.chunks(RECORDS) {
            out.extend_from_slice(br#"{"records":["#);
            for (index, record) in records.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(record);
            }
            out.extend_from_slice(b"]}\n");
        }
        out
    }
}

/// Graph alerts of exactly so many bytes (at least 1,000), filled up with evidences or with one long text.
pub fn graph_of_size(count: usize, bytes: usize, evidences: bool) -> Vec<Vec<u8>> {
    payloads(count, |r| generator::graph_of_size(r, bytes, evidences))
}

fn payloads(count: usize, mut generate: impl FnMut(&mut Random) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut random = Random(SEED);
    (0..count).map(|_| generate(&mut random)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Corpus> {
        let mut all = Corpus::of_goals(60);
        all.extend([Corpus::vpn(60), Corpus::sshd(60)]);
        all.extend(Corpus::hostile(60));
        all
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_a_longer_corpus_begins_with_the_shorter_one() {
        for (a, b) in all().iter().zip(&all()) {
            assert_eq!(a.payloads, b.payloads, "{}", a.name);
            let different: std::collections::BTreeSet<_> = a.payloads.iter().collect();
            assert!(different.len() > 50, "{} repeats itself", a.name);
        }
        assert_eq!(Corpus::graph(60).payloads[..20], Corpus::graph(20).payloads);
    }

    #[test]
    fn a_corpus_does_not_change_by_accident() {
        // FNV-1a over all bytes: published figures are about these payloads and no others.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in all().iter().flat_map(|corpus| corpus.payloads.concat()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        assert_eq!(hash, 0x36fd_63c3_fef4_0af7, "{hash:#x}");
    }

    #[test]
    fn corpora_that_are_measured_against_their_own_parse_are_json() {
        for corpus in Corpus::of_goals(200) {
            assert!(corpus.comparable);
            for payload in &corpus.payloads {
                let parsed = serde_json::from_slice::<serde_json::Value>(payload);
                assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(payload));
            }
        }
    }

    #[test]
    fn graph_alerts_have_one_to_eight_evidences() {
        let mut seen = std::collections::BTreeSet::new();
        for payload in &Corpus::graph(300).payloads {
            let alert: serde_json::Value = serde_json::from_slice(payload).unwrap();
            seen.insert(alert["evidence"].as_array().unwrap().len());
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 8]
        );
    }

    #[test]
    fn alerts_of_a_size_have_that_size_and_are_json() {
        for (bytes, evidences) in [
            (1_000, true),
            (1_000, false),
            (30_000, true),
            (30_000, false),
        ] {
            for payload in graph_of_size(3, bytes, evidences) {
                assert_eq!(payload.len(), bytes);
                let alert: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                let count = alert["evidence"].as_array().unwrap().len();
                assert_eq!(count > 20, evidences && bytes > 20_000, "{count}");
            }
        }
    }

    #[test]
    fn hostile_payloads_are_what_their_names_say() {
        let hostile = Corpus::hostile(30);
        let of = |name: &str| {
            let corpus = hostile.iter().find(|corpus| corpus.name == name);
            corpus.unwrap().payloads.iter()
        };
        assert!(of("not utf-8").all(|payload| std::str::from_utf8(payload).is_err()));
        for name in ["truncated", "nested 10,000 deep"] {
            assert!(
                of(name)
                    .all(|payload| serde_json::from_slice::<serde_json::Value>(payload).is_err())
            );
        }
        for name in ["members twice", "all escaped"] {
            assert!(
                of(name)
                    .all(|payload| serde_json::from_slice::<serde_json::Value>(payload).is_ok())
            );
        }
    }

    #[test]
    fn envelopes_hold_all_records_in_order() {
        let corpus = Corpus::streaming(120);
        let wire = Corpus::wire(&corpus.payloads, true);
        let mut found = Vec::new();
        let mut splitter = framing::Splitter::new(framing::Framing::Auto, framing::DEFAULT_LIMIT);
        let mut sink = |frame: framing::Frame<'_>| match frame {
            framing::Frame::Payload { bytes, .. } => found.push(bytes.to_vec()),
            framing::Frame::Fault(fault) => panic!("{}", fault.kind),
        };
        splitter.push(&wire, &mut sink);
        splitter.finish(&mut sink);
        assert_eq!(found, corpus.payloads);
    }
}
