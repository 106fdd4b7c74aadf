//! Which pattern that stands before another one is found wherever that one is.
//!
//! Most patterns have letters that follow each other, and one pattern covers another only if these stand in the other one
//! too. So an index of them says which pairs are worth a proof: a few for each pattern. Where they are more, work ends at a
//! limit, and who was not compared is told.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use java_regex::analysis::Cover;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// The most steps of all comparisons of a mapping. A step is a part of a pattern compared with a part of another, or a
/// place where letters of a pattern stand in another one.
pub(super) const MAX_STEPS: u64 = 40_000_000;

/// One of a list of patterns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'c> {
    pub(super) cover: &'c Cover,
    /// What it runs over; only those that run over the same are compared.
    pub(super) within: Option<&'c str>,
    /// Whether one that is found wherever a later one is would win against that one.
    pub(super) wins: bool,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Earlier {
    /// For each of the list, the first before it that is found wherever it is.
    pub(super) first: Vec<Option<usize>>,
    /// Which of the list were not compared with all before them.
    pub(super) left_out: Vec<usize>,
}

/// Looks for the first before each of a list. An entry without a pattern keeps its place. What it takes is added to `steps`.
pub(super) fn find(list: &[Option<Listed<'_>>], steps: &mut u64) -> Earlier {
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, listed) in list.iter().enumerate() {
        if let Some(listed) = listed.filter(|listed| listed.wins) {
            for key in listed.cover.keys() {
                by_key.entry(key).or_default().push(at);
            }
        }
    }
    // The empty key is in every text, and there is nothing to search for.
    let loose = by_key.remove("").unwrap_or_default();
    let (keys, places): (Vec<&str>, Vec<Vec<usize>>) = by_key.into_iter().unzip();
    let index = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(&keys);
    let mut found = Earlier::default();
    for (at, listed) in list.iter().enumerate() {
        let mut known = BTreeSet::new();
        let mut first = None;
        if let Some(listed) = listed {
            // Lists of places in ascending order, of which the one with the lowest place comes next.
            let mut next = BinaryHeap::new();
            let mut push = |places: &'_ [usize], list: usize, from: usize| {
                if let Some(place) = places.get(from).filter(|place| **place < at) {
                    next.push(Reverse((*place, list, from)));
                }
            };
            push(&loose, keys.len(), 0);
            match &index {
                Ok(index) => {
                    for hit in index.find_overlapping_iter(listed.cover.text()) {
                        *steps += 1;
                        if *steps > MAX_STEPS {
                            break;
                        }
                        let key = hit.pattern().as_usize();
                        if known.insert(key) {
                            push(&places[key], key, 0);
                        }
                    }
                }
                // More letters than an index takes: everything is compared, up to the limit.
                Err(_) => (0..keys.len()).for_each(|key| push(&places[key], key, 0)),
            }
            while let Some(Reverse((place, key, from))) = next.pop() {
                if *steps > MAX_STEPS {
                    break;
                }
                *steps += 1;
                if let Some(earlier) = &list[place]
                    && earlier.within == listed.within
                    && earlier.cover.is_found_wherever(listed.cover, steps)
                {
                    first = Some(place);
                    break;
                }
                let places = places.get(key).unwrap_or(&loose);
                if let Some(place) = places.get(from + 1).filter(|place| **place < at) {
                    next.push(Reverse((*place, key, from + 1)));
                }
            }
        }
        if first.is_none() && *steps > MAX_STEPS && listed.is_some() && at > 0 {
            found.left_out.push(at);
        }
        found.first.push(first);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use java_regex::Flags;

    const MANY: usize = 20_000;

    fn covers(patterns: impl Iterator<Item = String>) -> Vec<Cover> {
        patterns
            .map(|text| Cover::new(&text, Flags::default()).unwrap())
            .collect()
    }

    fn find_in(covers: &[Cover]) -> (Earlier, u64) {
        let listed = |cover| Listed {
            cover,
            within: None,
            wins: true,
        };
        let list: Vec<_> = covers.iter().map(|cover| Some(listed(cover))).collect();
        let mut steps = 0;
        (find(&list, &mut steps), steps)
    }

    /// What is found without an index and without a limit.
    fn find_slowly(covers: &[Cover]) -> Vec<Option<usize>> {
        let before = |at: usize| {
            (0..at).find(|earlier| covers[*earlier].is_found_wherever(&covers[at], &mut 0))
        };
        (0..covers.len()).map(before).collect()
    }

    #[test]
    fn the_steps_for_twenty_thousand_patterns_are_in_proportion_to_their_number() {
        let shapes: [fn(usize) -> String; 4] = [
            |at| format!(r"%ASA-\d-{at:06}: (\S+)"),
            |at| format!("(?i)event {at} (?:was )?denied"),
            |at| format!(r"^<\d+>\w+ {at}$|^{at}:"),
            // Each twice: the first of them is found wherever the second is.
            |at| format!(r"user{:05}=(\w+)", at / 2),
        ];
        for shape in shapes {
            let all = covers((0..MANY).map(shape));
            let (_, few) = find_in(&all[..MANY / 4]);
            let (found, many) = find_in(&all);
            assert!(found.left_out.is_empty(), "{}", shape(1));
            assert!(
                many <= 6 * few && many <= 500 * MANY as u64,
                "{}: {} steps for {}, {} for {MANY}",
                shape(1),
                few,
                MANY / 4,
                many
            );
        }
        let all = covers((0..MANY).map(shapes[3]));
        let first = find_in(&all).0.first;
        let pairs = (0..MANY).map(|at| (at % 2 == 1).then(|| at - 1));
        assert!(first.into_iter().eq(pairs));
    }

    #[test]
    fn where_every_pattern_resembles_every_other_work_ends_at_the_limit_and_who_was_left_out_is_told()
     {
        let shapes: [fn(usize) -> String; 3] = [
            // Letters that all of them have are the most that they have.
            |at| format!("the same letters in all of them (?:{at}|-)x"),
            // None of them has letters.
            |at| format!(r"\d{{{}}}\s{{{}}}", MANY + 1 - at, at + 1),
            // The letters of each are in those of all that follow.
            |at| format!("{}[^a]", "a".repeat(1 + at % 60)),
        ];
        for shape in shapes {
            let all = covers((0..MANY).map(shape));
            let (found, steps) = find_in(&all);
            assert!(steps < MAX_STEPS + (1 << 20), "{}: {}", shape(1), steps);
            let first = found.left_out.first().copied().unwrap_or(MANY);
            assert!(first > 500, "{}: {first}", shape(1));
            // Whoever has nobody before it is in the list, from some place on.
            for at in first..MANY {
                assert!(
                    found.first[at].is_some() || found.left_out.contains(&at) || at < first + 1,
                    "{}: {at}",
                    shape(1)
                );
                if at > first + 50 {
                    break;
                }
            }
        }
    }

    #[test]
    fn the_index_changes_nothing_about_what_is_found() {
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let pieces = [
            "a", "b", "ab", "(a)", "B", "(?i)b", r"\w", r"\d+", "[ab]", "[aA]", "(?:a|b)", "x*",
            ".", "c?", "^", "|", "",
        ];
        for _ in 0..60 {
            let patterns: Vec<String> = (0..40)
                .map(|_| {
                    (0..1 + next(4))
                        .map(|_| pieces[next(pieces.len() as u64) as usize])
                        .collect()
                })
                .collect();
            let all = covers(patterns.iter().cloned());
            assert_eq!(find_in(&all).0.first, find_slowly(&all), "{patterns:?}");
        }
    }
}
