//! Texts that make a pattern take its time.
//!
//! A backtracking matcher is slow where a part that repeats can take the same characters in several ways, and what comes
//! behind it fails. So an attack is a text of three parts: what leads to the repetition, what it takes, over and over, and
//! something on which it fails. The parts are guessed from the tree; then the matcher is run, and only what it really did
//! counts.
//!
//! Since Java 9 the outermost loop of a pattern remembers where it has failed, and so does the matcher. Which Java a QRadar
//! runs on is not documented, so attacks are measured without that memory, and then with it too.

use std::collections::BTreeSet;

use crate::charset::CharSet;
use crate::program::{self, Program};
use crate::syntax::{GroupKind, Node, Tree};
use crate::{JavaRegex, Slots, backtrack};

/// How the steps grow with the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// A few more characters multiply the steps.
    Exponential,
    /// A text of twice the length takes about 2 to the power of this many times the steps.
    Polynomial(u32),
}

/// A text on which a pattern takes many steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attack {
    /// What leads to the repetition.
    pub prefix: String,
    /// What is repeated.
    pub pump: String,
    /// How often.
    pub repeats: usize,
    /// What fails.
    pub suffix: String,
    /// How many steps were taken before the search was given up: the budget.
    pub steps: u64,
    /// How they grow.
    pub growth: Growth,
    /// How many steps it takes a matcher that remembers where a loop has failed, as Java does since version 9.
    pub remembering: u64,
}

impl Attack {
    /// The whole text.
    pub fn text(&self) -> String {
        text(&self.prefix, &self.pump, self.repeats, &self.suffix)
    }
}

fn text(prefix: &str, pump: &str, repeats: usize, suffix: &str) -> String {
    [prefix, &pump.repeat(repeats), suffix].concat()
}

/// How many texts are tried on one pattern at most, and how many of them are looked at closely.
const MAX_TRIES: usize = 2_000;
const CLOSELY: usize = 8;
/// How many steps a first try may take, and one of a series.
const DEAR: u64 = 60_000;
const SERIES: u64 = 300_000;
/// How often the pump is repeated in a first try.
const FIRST: usize = 24;
/// The longest text that is made of a part, in bytes, and how many sets and repetitions are looked at.
const TEXT: usize = 4096;
const SETS: usize = 64;
const SITES: usize = 256;

/// Looks for an attack; see [`JavaRegex::attack`].
pub(super) fn find(regex: &JavaRegex, tree: &Tree, longest: usize, budget: u64) -> Option<Attack> {
    let mut search = Search {
        program: program::compile_forgetful(tree),
        groups: tree.groups,
        longest,
        budget,
        slots: Slots::default(),
    };
    let mut dear: Vec<(u64, Parts)> = candidates(tree)
        .into_iter()
        .take(MAX_TRIES)
        .filter_map(|parts| {
            let small = search.steps(&parts, FIRST / 2, DEAR);
            let first = search.steps(&parts, FIRST, DEAR);
            // Twice the pumps and about twice the steps: the time is in proportion to the text.
            (first >= DEAR || first > 3 * small).then_some((first, parts))
        })
        .collect();
    // Of those that are equally dear the shortest goes first.
    dear.sort_by_key(|(steps, parts)| (u64::MAX - steps, length(parts, 1)));
    dear.truncate(CLOSELY);
    let exponential = dear.iter().find(|(_, parts)| search.is_exponential(parts));
    let mut attack = match exponential {
        Some((_, parts)) => search.shortest(parts, Growth::Exponential)?,
        None => dear
            .iter()
            .filter_map(|(_, parts)| {
                let growth = search.degree(parts)?;
                search.shortest(parts, growth)
            })
            .min_by_key(|attack| attack.text().len())?,
    };
    attack.remembering = regex.steps(&attack.text(), &mut search.slots, budget);
    Some(attack)
}

type Parts = (String, String, String);

fn length((prefix, pump, suffix): &Parts, repeats: usize) -> usize {
    prefix.len() + pump.len() * repeats + suffix.len()
}

struct Search {
    program: Program,
    groups: usize,
    longest: usize,
    budget: u64,
    slots: Slots,
}

impl Search {
    fn steps(&mut self, (prefix, pump, suffix): &Parts, repeats: usize, budget: u64) -> u64 {
        let text = text(prefix, pump, repeats, suffix);
        let memory = &mut self.slots.memory;
        // That the budget is used up is told by the number.
        let _ = backtrack::find(&self.program, self.groups, &text, memory, budget);
        memory.steps
    }

    /// How often the pump may be repeated.
    fn fits(&self, parts: &Parts) -> usize {
        let rest = self.longest.saturating_sub(length(parts, 0));
        rest / parts.1.len().max(1)
    }

    /// The shortest such text that uses up the budget, if there is one.
    fn shortest(&mut self, parts: &Parts, growth: Growth) -> Option<Attack> {
        let (mut low, mut high) = (0, self.fits(parts));
        if self.steps(parts, high, self.budget) < self.budget {
            return None;
        }
        while high - low > 1 + low / 32 {
            let middle = low + (high - low) / 2;
            if self.steps(parts, middle, self.budget) < self.budget {
                low = middle;
            } else {
                high = middle;
            }
        }
        let (prefix, pump, suffix) = parts.clone();
        Some(Attack {
            prefix,
            pump,
            repeats: high,
            suffix,
            steps: self.budget,
            growth,
            remembering: 0,
        })
    }

    /// Whether one pump more multiplies the steps, and goes on doing so: a power grows ever more slowly.
    fn is_exponential(&mut self, parts: &Parts) -> bool {
        let mut series = Vec::new();
        for repeats in 1..=40 {
            let steps = self.steps(parts, repeats, SERIES);
            if steps >= SERIES {
                break;
            }
            series.push(steps.max(1) as f64);
        }
        let factor = |at: usize| (series[at] / series[at - 2]).sqrt();
        let Some(last) = series.len().checked_sub(1).filter(|last| *last >= 6) else {
            // So dear after so few characters.
            return series.len() >= 2 && series.len() < 7;
        };
        factor(last) >= 1.3 && factor(last) >= 0.7 * factor(last / 2)
    }

    /// The power, measured on the longest texts that do not take too long; nothing if it is one.
    fn degree(&mut self, parts: &Parts) -> Option<Growth> {
        let most = self.budget.saturating_mul(4);
        let (fits, mut repeats) = (self.fits(parts), 16);
        while repeats * 2 <= fits && self.steps(parts, repeats * 2, most) < most {
            repeats *= 2;
        }
        let whole = self.steps(parts, repeats, most) as f64;
        let half = self.steps(parts, repeats / 2, most).max(1) as f64;
        let power = (whole / half).log2().round();
        (power >= 2.0).then_some(Growth::Polynomial(power as u32))
    }
}

/// The parts of texts that are worth a try, each once.
fn candidates(tree: &Tree) -> Vec<Parts> {
    let mut sites = Sites::default();
    sites.visit(&tree.root, String::new());
    sites.sets(&tree.root);
    let rest = witness(&tree.root, 1);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (prefix, body) in &sites.found {
        let mut pumps = variants(body);
        let mut own = Vec::new();
        collect_sets(body, &mut own);
        // Characters that this part shares with others: the parts can hand them to each other.
        for set in &own {
            pumps.extend(
                sites
                    .all
                    .iter()
                    .filter_map(|other| sample(&set.intersect(other))),
            );
        }
        // What leads here, over and over: a search that may start anywhere starts at each.
        pumps.push(prefix.clone());
        let taken = own
            .iter()
            .fold(CharSet::empty(), |taken, set| taken.union(set));
        let breaker = sample(&taken.negate()).unwrap_or_default();
        // What the pattern cannot do without stands behind the breaker, where it is of no use.
        let suffixes = [
            breaker.clone(),
            String::new(),
            format!("{breaker}{breaker}{rest}"),
            "\n".to_owned(),
            format!("\n\n{rest}"),
        ];
        let mut pumps: Vec<String> = pumps.into_iter().filter(|pump| !pump.is_empty()).collect();
        pumps.truncate(24);
        if out.len() >= MAX_TRIES {
            break;
        }
        for prefix in [prefix.as_str(), ""] {
            for pump in &pumps {
                for suffix in &suffixes {
                    let parts = (prefix.to_owned(), pump.clone(), suffix.clone());
                    if seen.insert(parts.clone()) {
                        out.push(parts);
                    }
                }
            }
        }
    }
    out
}

/// The repetitions of a pattern.
#[derive(Default)]
struct Sites<'t> {
    /// What leads to each, and what it repeats.
    found: Vec<(String, &'t Node)>,
    all: Vec<CharSet>,
}

impl<'t> Sites<'t> {
    /// Notes the repetitions in a node that a text leads to.
    fn visit(&mut self, node: &'t Node, prefix: String) {
        match node {
            Node::Repeat { body, max, .. } => {
                if *max > 8 && self.found.len() < SITES {
                    self.found.push((prefix.clone(), body));
                }
                self.visit(body, prefix);
            }
            Node::Concat(parts) => {
                let mut prefix = prefix;
                for part in parts {
                    self.visit(part, prefix.clone());
                    prefix.push_str(&witness(part, 1));
                    if prefix.len() > 512 {
                        break;
                    }
                }
            }
            other => {
                for child in other.children() {
                    self.visit(child, prefix.clone());
                }
            }
        }
    }

    fn sets(&mut self, node: &Node) {
        let mut sets = Vec::new();
        collect_sets(node, &mut sets);
        for set in sets {
            if self.all.len() < 32 && !self.all.contains(&set) {
                self.all.push(set);
            }
        }
    }
}

fn collect_sets(node: &Node, out: &mut Vec<CharSet>) {
    if let Node::Set(set) = node
        && out.len() < SETS
        && !out.contains(set)
    {
        out.push((**set).clone());
    }
    for child in node.children() {
        collect_sets(child, out);
    }
}

/// A character of a set that people can read, if there is one.
fn sample(set: &CharSet) -> Option<String> {
    let readable = ('a'..='z')
        .chain('0'..='9')
        .chain('A'..='Z')
        .chain('!'..='~');
    let c = readable
        .chain([' ', '\t', '\n'])
        .find(|c| set.contains(*c as u32))
        .or_else(|| {
            let ranges = set.ranges().iter();
            ranges.clone().find_map(|&(low, _)| char::from_u32(low))
        })?;
    Some(c.to_string())
}

/// A text that the node matches, with each repetition at least so many times; assertions are taken to hold. It is cut where
/// it becomes too long.
fn witness(node: &Node, least: u32) -> String {
    let mut out = String::new();
    add_witness(node, least, &mut out);
    out
}

fn add_witness(node: &Node, least: u32, out: &mut String) {
    if out.len() >= TEXT {
        return;
    }
    match node {
        Node::Set(set) => out.push_str(&sample(set).unwrap_or_default()),
        Node::LineBreak => out.push('\n'),
        Node::Grapheme => out.push('a'),
        Node::Concat(parts) => {
            for part in parts {
                add_witness(part, least, out);
                if out.len() >= TEXT {
                    break;
                }
            }
        }
        Node::Alternation(branches) => {
            if let Some(branch) = branches.first() {
                add_witness(branch, least, out);
            }
        }
        Node::Repeat { body, min, max, .. } => {
            let times = (*min).max(least.min(*max)).min(64) as usize;
            let mut one = String::new();
            add_witness(body, least, &mut one);
            for _ in 0..times.min((TEXT - out.len()) / one.len().max(1) + 1) {
                out.push_str(&one);
            }
        }
        Node::Group { kind, body } => match kind {
            GroupKind::Ahead { .. } | GroupKind::Behind { .. } => {}
            _ => add_witness(body, least, out),
        },
        Node::Empty | Node::Assert(_) | Node::BackReference { .. } => {}
    }
}

/// Several texts that the node matches, each by another way through it.
fn variants(node: &Node) -> Vec<String> {
    const MOST: usize = 8;
    let mut out = match node {
        Node::Alternation(branches) => branches.iter().flat_map(variants).collect(),
        Node::Group { body, .. } => variants(body),
        Node::Repeat { body, min, .. } => {
            let mut out = variants(body);
            if *min == 0 {
                out.push(String::new());
            }
            out.push(witness(body, 1).repeat(2));
            out
        }
        Node::Concat(parts) => {
            // One part at a time goes another way.
            let mut usual: Vec<String> = Vec::new();
            let mut length = 0;
            for part in parts {
                let text = witness(part, 1);
                length += text.len();
                if length > TEXT {
                    break;
                }
                usual.push(text);
            }
            let mut out = vec![usual.concat()];
            for (at, part) in parts.iter().enumerate().take(usual.len()) {
                // Those that go another way later on would be cut off below.
                if out.len() > 4 * MOST {
                    break;
                }
                for variant in variants(part) {
                    let (before, after) = (usual[..at].concat(), usual[at + 1..].concat());
                    out.push([before, variant, after].concat());
                }
            }
            out
        }
        other => vec![witness(other, 1)],
    };
    let mut seen = BTreeSet::new();
    out.retain(|text| seen.insert(text.clone()));
    out.truncate(MOST);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flags;

    const BUDGET: u64 = 250_000;

    fn attack(pattern: &str) -> Option<Attack> {
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        let attack = regex.attack(4096, BUDGET)?;
        assert!(attack.text().len() <= 4096);
        Some(attack)
    }

    #[test]
    fn exponential_patterns_are_found_out_with_a_short_text() {
        for pattern in [
            r"^(\w+\s?)*$",
            r"^(a|a)*b",
            r"^(?:(?:a+)+|x)c",
            r"^(([a-z])+.)+[A-Z]([a-z])+$",
            r"^(?:a|aa)+$",
            r"user=(?:[a-z]+[0-9]*)*;(?=x)",
            r"^(?:\w+|[^ ;]+;?)*=$",
            r"^(?:(?:\w+\s?)*;)*$",
            r"^(?:(?:a|b|ab)+;?)+$",
            r"^(?:\w+\s?){1,40}$",
            r"^(\w)(?:\w+\s?)*\1$",
        ] {
            let attack = attack(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!(attack.growth, Growth::Exponential, "{pattern} {attack:?}");
            assert!(attack.text().len() < 100, "{pattern} {attack:?}");
        }
    }

    #[test]
    fn the_steps_are_those_that_the_matcher_takes() {
        let pattern = r"^(?:(?:\w+\s?)*;)*$";
        let attack = attack(pattern).unwrap();
        let regex = JavaRegex::new(pattern, Flags::default()).unwrap();
        let mut slots = Slots::default();
        // The inner loop is one that Java does not remember anything about.
        assert_eq!(attack.remembering, BUDGET);
        assert_eq!(regex.steps(&attack.text(), &mut slots, BUDGET), BUDGET);
        assert_eq!(
            regex.find_by_backtracking(&attack.text(), &mut slots, BUDGET),
            Err(backtrack::BudgetExceeded)
        );
        let short = text(
            &attack.prefix,
            &attack.pump,
            attack.repeats / 2,
            &attack.suffix,
        );
        assert!(regex.steps(&short, &mut slots, BUDGET) < BUDGET);
    }

    #[test]
    fn polynomial_patterns_are_found_out_with_their_power() {
        for (pattern, power) in [
            (r"^\d+\d+\d+x", 3),
            (r"^.*foo.*foo.*bar", 3),
            (r"\s+\s+$", 3),
            (r"user=(.*) from", 2),
        ] {
            let attack = attack(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!(
                attack.growth,
                Growth::Polynomial(power),
                "{pattern} {attack:?}"
            );
        }
    }

    #[test]
    fn patterns_that_take_time_in_proportion_are_left_in_peace() {
        for pattern in [
            r"^(?:<\d{1,3}>)?(\w{3} [ \d]\d [\d:]{8}) ",
            r"^[^=]+=([^;]*);",
            "foo",
            r"src=(\d{1,3}(?:\.\d{1,3}){3})",
            r"^(?:a++)+b",
            r"^(?>a+)+b",
            "",
        ] {
            assert_eq!(attack(pattern), None, "{pattern}");
        }
    }
}
