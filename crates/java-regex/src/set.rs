//! Patterns that run over the same text: what they have in common is done once.
//!
//! Two things are. One walk over the text finds the literal texts without which patterns cannot match, so that most
//! patterns never run, and costs the same for ten patterns and for a thousand. And where patterns begin alike, as all
//! patterns for a syslog message begin with the header, the places to which that beginning leads are found once, and each
//! pattern goes on from there. Neither changes what is found.

use super::direct::{self, Direct, First, Outcome};
use super::literals;
use super::parser;
use super::syntax::{Assertion, Node};
use super::{Answer, BudgetExceeded, JavaRegex, Slots, fits};
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use std::collections::BTreeMap;

/// With fewer patterns than that it is quicker to run each than to look for all their texts.
const MIN_PATTERNS: usize = 8;

/// The most bytes of all their texts together: the automaton takes some hundred times as much.
const MAX_TEXTS: usize = 1 << 16;

/// Beginnings within beginnings; patterns that differ further in are not told apart.
const MAX_DEPTH: usize = 32;

/// Patterns that run over the same text, by numbers that the owner chooses.
#[derive(Debug, Default)]
pub struct RegexSet {
    literals: Option<Literals>,
    heads: Vec<Option<Head>>,
    /// By pattern, what comes behind the head that it begins with, if it has one in common with others.
    tails: Vec<Option<Tail>>,
}

/// The texts that patterns need.
#[derive(Debug)]
struct Literals {
    automaton: DFA,
    /// By text, the patterns that can match if it is there.
    wakes: Vec<Vec<usize>>,
    /// A bit for each pattern that needs some.
    needy: Vec<u64>,
    /// The head behind which the texts stand, if it is the same for all.
    behind: Option<usize>,
}

/// What one pattern needs.
struct Need {
    pattern: usize,
    /// One of these,
    texts: Vec<String>,
    /// behind this head.
    behind: Option<usize>,
}

/// A sequence that several patterns begin with, or go on with behind another head.
#[derive(Debug)]
struct Head {
    behind: Option<usize>,
    direct: Direct,
}

/// The rest of a pattern behind a head, from one of its parts on.
#[derive(Debug)]
struct Tail {
    head: usize,
    start: usize,
    direct: Direct,
}

/// What is known of the text at hand. Reuse it: its memory stays.
#[derive(Debug, Default)]
pub struct SetState {
    awake: Vec<usize>,
    /// A bit for each of them.
    is_awake: Vec<u64>,
    seen: Vec<bool>,
    ends: Vec<Ends>,
    memory: direct::Memory,
}

impl SetState {
    /// The patterns, of those that need some literal text, for which it is there; in no order.
    pub fn awake(&self) -> &[usize] {
        &self.awake
    }
}

/// Where a head can end, the best first.
#[derive(Debug, Default)]
struct Ends {
    places: Vec<u32>,
    known: Knowledge,
}

impl Ends {
    /// All places.
    fn complete(&self) -> Option<&[u32]> {
        (self.known == Knowledge::Complete).then_some(self.places.as_slice())
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    #[default]
    NotAsked,
    Complete,
    /// There are too many.
    GivenUp,
}

impl RegexSet {
    /// A set of patterns, each with its number.
    pub fn new<'r>(patterns: impl IntoIterator<Item = (usize, &'r JavaRegex)>) -> RegexSet {
        // They have been read before.
        let read = patterns.into_iter().filter_map(|(number, regex)| {
            let tree = parser::parse(regex.pattern(), regex.flags()).ok()?;
            let is_anchored = matches!(tree.parts(), [Node::Assert(Assertion::TextStart), _, ..]);
            let direct = regex.inner.direct.as_ref();
            let shares = is_anchored && direct.is_some_and(|direct| !direct.has_looks());
            Some(((number, tree.parts().to_vec()), shares))
        });
        let (members, others): (Vec<_>, Vec<_>) = read.partition(|(_, shares)| *shares);
        let members: Vec<&Member> = members.iter().map(|(member, _)| member).collect();
        let others = others.iter().map(|(member, _)| member);
        let mut heads = Heads::default();
        heads.grow(&members, 0, 0, None, 0);
        let Heads { heads, tails } = heads;
        let mut needs: Vec<Need> = Vec::new();
        for (number, parts) in members.into_iter().chain(others) {
            let tail = tails.get(*number).and_then(Option::as_ref);
            // A beginning that is shared says nothing about a single pattern.
            let (start, head) = tail.map_or((0, None), |tail| (tail.start, Some(tail.head)));
            if let Some(texts) = literals::required(&parts[start..]) {
                needs.push(Need {
                    pattern: *number,
                    texts,
                    behind: head.map(|head| root(&heads, head)),
                });
            }
        }
        RegexSet {
            literals: Literals::new(needs),
            heads,
            tails,
        }
    }

    /// Whether [`begin`](Self::begin) can tell that a pattern does not match.
    pub fn needs_literal(&self, pattern: usize) -> bool {
        let literals = self.literals.as_ref();
        literals.is_some_and(|literals| has_bit(&literals.needy, pattern))
    }

    /// Begins with a text.
    pub fn begin(&self, text: &str, state: &mut SetState) {
        if self.heads.len() != state.ends.len() {
            state.ends.resize_with(self.heads.len(), Ends::default);
        }
        for ends in &mut state.ends {
            ends.known = Knowledge::NotAsked;
        }
        let Some(literals) = &self.literals else {
            return;
        };
        let SetState { ends, memory, .. } = state;
        let places = match literals.behind {
            Some(head) if fits(text) => self.ends(head, text, ends, memory),
            _ => None,
        };
        // Where there is no place, nothing is behind it.
        let first = places.map(|places| places.iter().min().map(|place| *place as usize));
        let start = first.map_or(0, |first| first.unwrap_or(text.len()));
        literals.find(text.as_bytes().get(start..).unwrap_or_default(), state);
    }

    /// [`JavaRegex::find`] for a pattern of the set and the text that was begun with.
    ///
    /// # Errors
    ///
    /// As there. A pattern that cannot match, because it needs a text that is not there, takes no steps.
    pub fn find(
        &self,
        pattern: usize,
        regex: &JavaRegex,
        text: &str,
        state: &mut SetState,
        slots: &mut Slots,
        budget: u64,
    ) -> Result<bool, BudgetExceeded> {
        if self.needs_literal(pattern) && !has_bit(&state.is_awake, pattern) {
            slots.answer = Answer::None;
            return Ok(false);
        }
        if let Some(Tail { head, direct, .. }) = self.tails.get(pattern).and_then(Option::as_ref)
            && fits(text)
            && let Some(places) = self.ends(*head, text, &mut state.ends, &mut state.memory)
        {
            let groups = regex.group_count() + 1;
            match direct.find_behind(text, places, groups, &mut slots.direct) {
                Outcome::GivenUp => {}
                found => return Ok(slots.answer_directly(found == Outcome::Found)),
            }
        }
        regex.find(text, slots, budget)
    }

    /// Where a head can end, unless that is in too many places.
    fn ends<'s>(
        &self,
        head: usize,
        text: &str,
        all: &'s mut [Ends],
        memory: &mut direct::Memory,
    ) -> Option<&'s [u32]> {
        let Head { behind, direct } = self.heads[head].as_ref()?;
        if all[head].known == Knowledge::NotAsked {
            if let Some(before) = *behind {
                self.ends(before, text, all, memory);
            }
            // A head stands behind the one that it goes on from.
            let (before, own) = all.split_at_mut(head);
            let own = own.first_mut()?;
            let starts = match behind {
                Some(before_it) => before.get(*before_it)?.complete(),
                None => Some([0].as_slice()),
            };
            own.places.clear();
            let is_complete = starts.is_some_and(|starts| {
                let mut starts = starts.iter();
                starts.all(|&start| direct.ends(text, start, memory, &mut own.places))
            });
            own.known = if is_complete {
                Knowledge::Complete
            } else {
                Knowledge::GivenUp
            };
        }
        all[head].complete()
    }
}

impl Literals {
    fn new(needs: Vec<Need>) -> Option<Literals> {
        if needs.len() < MIN_PATTERNS {
            return None;
        }
        let mut wakes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut needy = Vec::new();
        let behind = needs.first().and_then(|need| need.behind);
        let behind = behind.filter(|_| needs.iter().all(|need| need.behind == behind));
        for need in needs {
            set_bit(&mut needy, need.pattern);
            for text in need.texts {
                wakes.entry(text).or_default().push(need.pattern);
            }
        }
        // Without an automaton, all patterns run.
        if wakes.keys().map(String::len).sum::<usize>() > MAX_TEXTS {
            return None;
        }
        let automaton = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(wakes.keys())
            .ok()?;
        Some(Literals {
            automaton,
            wakes: wakes.into_values().collect(),
            needy,
            behind,
        })
    }

    fn find(&self, text: &[u8], state: &mut SetState) {
        let SetState {
            awake,
            is_awake,
            seen,
            ..
        } = state;
        awake.clear();
        is_awake.clear();
        is_awake.resize(self.needy.len(), 0);
        seen.clear();
        seen.resize(self.wakes.len(), false);
        let dfa = &self.automaton;
        // It cannot fail: the automaton was built for searches like this.
        let Ok(mut at) = dfa.start_state(Anchored::No) else {
            is_awake.clone_from(&self.needy);
            return;
        };
        let mut rest = text;
        while let Some((state, behind)) = next_match(dfa, at, rest) {
            (at, rest) = (state, behind);
            for index in 0..dfa.match_len(at) {
                let text = dfa.match_pattern(at, index).as_usize();
                if std::mem::replace(&mut seen[text], true) {
                    continue;
                }
                for &pattern in &self.wakes[text] {
                    if !has_bit(is_awake, pattern) {
                        set_bit(is_awake, pattern);
                        awake.push(pattern);
                    }
                }
            }
        }
    }
}

/// The next state in which texts end, and what follows there. The search of the library notes where it is at each byte;
/// this loop is what there is to do.
#[inline(never)]
fn next_match<'t>(dfa: &DFA, mut at: StateID, text: &'t [u8]) -> Option<(StateID, &'t [u8])> {
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        at = dfa.next_state(Anchored::No, at, *byte);
        rest = behind;
        if dfa.is_match(at) {
            return Some((at, rest));
        }
    }
    None
}

fn has_bit(bits: &[u64], at: usize) -> bool {
    bits.get(at / 64)
        .is_some_and(|word| word >> (at % 64) & 1 == 1)
}

fn set_bit(bits: &mut Vec<u64>, at: usize) {
    if bits.len() <= at / 64 {
        bits.resize(at / 64 + 1, 0);
    }
    bits[at / 64] |= 1 << (at % 64);
}

/// So many parts are matched about as quickly as it is looked up where they end.
const SMALL_HEAD: usize = 2;

type Member = (usize, Vec<Node>);

/// Finds what patterns begin with.
#[derive(Default)]
struct Heads {
    /// A head has its place before what comes behind it is known, which tells how it has to end.
    heads: Vec<Option<Head>>,
    tails: Vec<Option<Tail>>,
}

impl Heads {
    /// Puts members, which have their first `equal` parts in common, under a head, if they have something in common
    /// behind the `from` parts that are in the head before. Tells how what the members have behind `from` begins.
    fn grow(
        &mut self,
        members: &[&Member],
        from: usize,
        equal: usize,
        behind: Option<usize>,
        depth: usize,
    ) -> First {
        let parts = members.first().map_or(&[][..], |(_, parts)| parts);
        let common = (equal..parts.len()).find(|&at| {
            let is_same = |(_, other): &&Member| other.get(at) == Some(&parts[at]);
            parts[at].has_capture() || !members.iter().all(is_same)
        });
        let common = common.unwrap_or(parts.len());
        let is_text = |part: &Node| part.single().is_some() || matches!(part, Node::Assert(_));
        let classes = classes(members, common);
        // A text is compared so quickly that it may as well be part of the tails.
        let last = parts[from..common].iter().rposition(|part| !is_text(part));
        let own = last.filter(|last| {
            let count = parts[from..=from + last]
                .iter()
                .filter(|part| !is_text(part));
            let most = classes.iter().map(Vec::len).max().unwrap_or(0);
            // Nor does a head pay that spares one pattern little.
            members.len() > 1 && (count.count() > SMALL_HEAD || members.len() - most > 1)
        });
        let own = own.map(|last| {
            self.heads.push(None);
            (self.heads.len() - 1, from + last + 1)
        });
        let (behind_tails, start) = own.map_or((behind, from), |(head, end)| (Some(head), end));
        let mut after = First::NOTHING;
        for class in classes {
            after = after.or(match class.as_slice() {
                [_, _, ..] if depth < MAX_DEPTH => {
                    self.grow(&class, start, common, behind_tails, depth + 1)
                }
                _ => self.end(&class, start, behind_tails),
            });
        }
        let Some((head, end)) = own else { return after };
        match direct::part(&parts[from..end], after) {
            Some(direct) => {
                let begins = direct.begins();
                self.heads[head] = Some(Head { behind, direct });
                begins
            }
            // All parts are of patterns that fit, and so they fit.
            None => First::ANYTHING,
        }
    }

    fn end(&mut self, members: &[&Member], from: usize, behind: Option<usize>) -> First {
        let mut begins = First::NOTHING;
        for (number, parts) in members {
            let Some(tail) = direct::part(&parts[from..], First::ANYTHING) else {
                return First::ANYTHING;
            };
            begins = begins.or(tail.begins());
            if let Some(head) = behind {
                if self.tails.len() <= *number {
                    self.tails.resize_with(number + 1, || None);
                }
                self.tails[*number] = Some(Tail {
                    head,
                    start: from,
                    direct: tail,
                });
            }
        }
        begins
    }
}

/// The first of the heads that lead to one.
fn root(heads: &[Option<Head>], mut head: usize) -> usize {
    while let Some(before) = heads[head].as_ref().and_then(|head| head.behind) {
        head = before;
    }
    head
}

/// The members in classes of those whose part at a place is the same; one that has no part there is alone.
fn classes<'m>(members: &[&'m Member], at: usize) -> Vec<Vec<&'m Member>> {
    let mut classes: Vec<Vec<&Member>> = Vec::new();
    let mut known: BTreeMap<&Node, usize> = BTreeMap::new();
    for member in members {
        let part = member.1.get(at).filter(|part| !part.has_capture());
        let class = part.map_or(classes.len(), |part| {
            *known.entry(part).or_insert(classes.len())
        });
        match classes.get_mut(class) {
            Some(class) => class.push(member),
            None => classes.push(vec![member]),
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;
    use proptest::prelude::*;

    const BUDGET: u64 = 100_000;

    fn set(patterns: &[&str], flags: Flags) -> (RegexSet, Vec<JavaRegex>) {
        let regexes = patterns
            .iter()
            .map(|pattern| JavaRegex::new(pattern, flags).unwrap());
        let regexes: Vec<JavaRegex> = regexes.collect();
        // Numbers with gaps.
        let numbered = regexes.iter().enumerate();
        (
            RegexSet::new(numbered.map(|(at, regex)| (3 * at, regex))),
            regexes,
        )
    }

    fn groups(regex: &JavaRegex, slots: &Slots) -> Vec<Option<std::ops::Range<usize>>> {
        (0..=regex.group_count())
            .map(|group| slots.get(group))
            .collect()
    }

    const HEADER: &str =
        r"^(?:<\d{1,3}>)?(?:1 )?(?:\w{3} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT\S+) \S+ ";

    fn syslog(tails: &[&str]) -> Vec<String> {
        tails.iter().map(|tail| format!("{HEADER}{tail}")).collect()
    }

    const TAILS: [&str; 10] = [
        r"sshd\[\d+\]: Accepted password for (\S+)",
        r"sshd\[\d+\]: Accepted (\S+) for (\S+) from (\S+)$",
        r"sshd\[\d+\]: Failed \S+ for (?:invalid user )?(.*) from (\S+)",
        r"sshd(?:-session)?\[(\d+)\]",
        r"sshd\[\d+\]: (?:message repeated (\d+) times: \[ )?Connection closed by ",
        r"su: (.*)",
        r"(?:cron|CRON)\[\d+\]: (.*?)$",
        r"kernel: .*SRC=(\S+)",
        r"kernel: .*DST=(\S+)",
        r".*user=(?!root)(\w+)",
    ];

    #[test]
    fn patterns_that_begin_alike_share_their_beginnings_and_sleep_without_their_texts() {
        let patterns = syslog(&TAILS);
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let (set, regexes) = set(&patterns, Flags::default());
        assert!(set.heads.iter().flatten().count() >= 2);
        let mut state = SetState::default();
        let text =
            "<38>1 2026-01-01T00:00:00Z host sshd[12]: Accepted publickey for u from 192.0.2.1";
        set.begin(text, &mut state);
        let mut awake = state.awake().to_vec();
        awake.sort_unstable();
        // Of the first and the fifth, longer texts are wanted than are there.
        assert_eq!(awake, [3, 9]);
        for (at, regex) in regexes.iter().enumerate() {
            let (mut slots, mut expected) = (Slots::default(), Slots::default());
            let found = set.find(3 * at, regex, text, &mut state, &mut slots, BUDGET);
            assert_eq!(
                found,
                regex.find_by_backtracking(text, &mut expected, BUDGET)
            );
            assert_eq!(groups(regex, &slots), groups(regex, &expected));
            assert_eq!(found, Ok([1, 3].contains(&at)));
        }
    }

    #[test]
    fn what_stands_in_the_beginning_wakes_nobody() {
        let patterns = syslog(&TAILS[..9]);
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let (set, regexes) = set(&patterns, Flags::default());
        let mut state = SetState::default();
        // The host has the name of a program.
        for (text, awake) in [
            ("<38>1 2026-01-01T00:00:00Z cron[1] su: x", vec![15]),
            ("cron[1]: su: x", vec![]),
        ] {
            set.begin(text, &mut state);
            assert_eq!(state.awake(), awake, "{text}");
            for (at, regex) in regexes.iter().enumerate() {
                let mut slots = Slots::default();
                let found = set.find(3 * at, regex, text, &mut state, &mut slots, BUDGET);
                assert_eq!(found, regex.find_by_backtracking(text, &mut slots, BUDGET));
            }
        }
    }

    /// Patterns made of pieces, so that many begin alike, and texts that nearly match.
    fn pieces(from: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(from), 0..most)
            .prop_map(|pieces| pieces.concat())
    }

    const HEADS: &[&str] = &[
        "",
        "^",
        "^a",
        "^<\\d+>",
        "^(?:<\\d+>)?",
        "^[ab]*",
        "^.*",
        "^(?:ab|a|b)+",
        "^\\S+ ",
        "(?m)^a",
    ];
    const PARTS: &[&str] = &[
        "a",
        "b",
        "ab",
        "abc",
        " ",
        "\\S+",
        "\\S+?",
        "(a)",
        "(?:a|ab)",
        "(?:abc )?",
        "([^ ]*)",
        ".*",
        "(.*?)",
        "\\d{1,2}",
        "abc=",
        "bca",
        "(?:abc|bca|é=)",
        "$",
        "\\b",
        "(?=a)",
        "[ab]",
        "(?:ab){2}",
        "é",
        "(?i:aBc)",
        "a++",
    ];
    const TEXTS: &[&str] = &[
        "a", "b", "ab", "abc", "ABC", " ", "<1>", "<23>", "é", "abc=", "bca", "É", "\n", "12",
        "\u{212A}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_pattern_of_a_set_finds_what_it_finds_alone(
            patterns in prop::collection::vec((prop::sample::select(HEADS), pieces(PARTS, 5)), 1..32),
            heads in 1usize..4,
            texts in prop::collection::vec(pieces(TEXTS, 12), 4),
            case_insensitive: bool,
            unicode_case: bool,
        ) {
            // Few beginnings, so that they are shared.
            let first = patterns.iter().take(heads).map(|(head, _)| *head).collect::<Vec<_>>();
            let patterns: Vec<String> = patterns
                .iter()
                .enumerate()
                .map(|(at, (_, tail))| format!("{}{tail}", first[at % first.len()]))
                .collect();
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let flags = Flags { case_insensitive, unicode_case, ..Flags::default() };
            let (set, regexes) = set(&patterns, flags);
            let mut state = SetState::default();
            for text in &texts {
                set.begin(text, &mut state);
                for (at, regex) in regexes.iter().enumerate() {
                    let (mut slots, mut expected) = (Slots::default(), Slots::default());
                    let found = set.find(3 * at, regex, text, &mut state, &mut slots, BUDGET);
                    // The other engines may know what this one does not find out within its budget.
                    let Ok(alone) = regex.find_by_backtracking(text, &mut expected, BUDGET) else {
                        continue;
                    };
                    prop_assert_eq!(found, Ok(alone), "{} in {:?}", patterns[at], text);
                    prop_assert_eq!(groups(regex, &slots), groups(regex, &expected), "{} in {:?}", patterns[at], text);
                }
            }
        }
    }
}
