//! Where the instructions go: the functions of a file of callgrind, put together into areas of the engine.

use std::collections::BTreeMap;

/// Areas, and what the names of their functions begin with or hold. The first that fits counts; a function that was
/// inlined counts for the one that it was inlined into.
const AREAS: [(&str, &[&str]); 8] = [
    ("walk through the JSON", &["dsm::extract::json"]),
    (
        "regular expressions",
        &[
            "dsm::java_regex",
            "regex_automata",
            "regex_syntax",
            "aho_corasick",
        ],
    ),
    (
        "matchers, values, event",
        &["dsm::engine", "dsm::mapping", "dsm::event", "dsm::field"],
    ),
    ("pairs and lists", &["dsm::extract"]),
    ("LEEF line", &["leef::", "dsm::output"]),
    (
        "times and addresses",
        &["dsm::device_time", "chrono", "core::net", "dsm::syslog"],
    ),
    (
        "QID look-up, hashing",
        &["dsm::qidmap", "core::hash", "hashbrown", "foldhash"],
    ),
    (
        "allocating and copying memory",
        &[
            "malloc",
            "free",
            "realloc",
            "alloc::raw_vec",
            "memcpy",
            "memmove",
            "memset",
            "memcmp",
            "__rust",
        ],
    ),
];

/// Everything else.
const OTHER: &str = "other";

/// Instructions by corpus and area.
#[derive(Debug, Default)]
pub struct Profile {
    names: BTreeMap<String, String>,
    corpora: Vec<(String, BTreeMap<&'static str, u64>)>,
}

impl Profile {
    /// Takes the names of functions from a file of callgrind, and its costs if it `counts`.
    pub(super) fn read(&mut self, corpus: &str, file: &str, counts: bool) {
        let mut areas: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut area = OTHER;
        let mut is_of_callee = false;
        for line in file.lines() {
            if let Some(function) = line.strip_prefix("fn=") {
                area = area_of(self.name(function));
            } else if let Some(function) = line.strip_prefix("cfn=") {
                self.name(function);
            } else if line.starts_with("calls=") {
                // What the callee took stands in the next line, and once more with the callee itself.
                is_of_callee = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*'))
            {
                let cost = line
                    .split(' ')
                    .nth(1)
                    .and_then(|cost| cost.parse::<u64>().ok());
                if !is_of_callee {
                    *areas.entry(area).or_default() += cost.unwrap_or(0);
                }
                is_of_callee = false;
            }
        }
        if counts {
            self.corpora.push((corpus.to_owned(), areas));
        }
    }

    /// The name behind `(12) name` or `(12)`.
    fn name(&mut self, function: &str) -> &str {
        let (id, name) = function.split_once(' ').unwrap_or((function, ""));
        let known = self.names.entry(id.to_owned()).or_default();
        if !name.is_empty() {
            name.clone_into(known);
        }
        known
    }

    /// Shares in per cent, areas downwards and corpora across.
    #[allow(clippy::cast_precision_loss, reason = "shares for people")]
    pub fn table(&self) -> String {
        let mut rows = vec![vec!["AREA".to_owned()]];
        rows[0].extend(self.corpora.iter().map(|(corpus, _)| corpus.to_uppercase()));
        for area in AREAS.iter().map(|(area, _)| *area).chain([OTHER]) {
            let mut row = vec![area.to_owned()];
            for (_, areas) in &self.corpora {
                let total: u64 = areas.values().sum();
                let share =
                    100.0 * areas.get(area).copied().unwrap_or(0) as f64 / total.max(1) as f64;
                row.push(format!("{share:.0} %"));
            }
            rows.push(row);
        }
        super::report::aligned_numbers(&rows)
    }
}

fn area_of(function: &str) -> &'static str {
    // `<a::B as c::D>::e` is of a. A name with letters of its own before it, such as `_int_free`, is of what it holds.
    let name = function.trim_start_matches(['<', '&']);
    let is_of = |part: &&str| {
        name.starts_with(*part)
            || (!part.contains("::") && !name.contains("::") && name.contains(*part))
    };
    let mut areas = AREAS.iter();
    areas
        .find(|(_, parts)| parts.iter().any(is_of))
        .map_or(OTHER, |(area, _)| *area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_of_the_area_that_its_name_tells() {
        for (function, area) in [
            (
                "dsm::extract::json::scan::Scanner::object'2",
                "walk through the JSON",
            ),
            ("dsm::extract::delimited::pairs", "pairs and lists"),
            (
                "<leef::writer::Writer as core::fmt::Debug>::fmt",
                "LEEF line",
            ),
            (
                "<core::net::parser::Parser>::read_ipv4_addr",
                "times and addresses",
            ),
            (
                "regex_automata::hybrid::search::find_fwd",
                "regular expressions",
            ),
            (
                "__memcpy_avx_unaligned_erms",
                "allocating and copying memory",
            ),
            ("_int_free", "allocating and copying memory"),
            ("core::str::pattern::TwoWaySearcher::next", "other"),
            ("a::b::freeze", "other"),
        ] {
            assert_eq!(area_of(function), area, "{function}");
        }
    }

    #[test]
    fn only_what_a_function_itself_takes_is_counted_and_names_are_kept_from_lap_to_lap() {
        let mut profile = Profile::default();
        profile.read(
            "x",
            "fn=(1) leef::write\n5 1000\ncfn=(2) dsm::engine::walk\n",
            false,
        );
        let file =
            "fn=(1)\n16 60\ncfn=(2)\ncalls=3 0\n0 999\n+1 10\n\nfn=(2)\n* 25\n-3 5\ntotals: 100\n";
        profile.read("x", file, true);
        let table = profile.table();
        assert!(
            table.starts_with("AREA                              X\n"),
            "{table}"
        );
        assert!(
            table.contains("LEEF line                      70 %\n"),
            "{table}"
        );
        assert!(
            table.contains("matchers, values, event        30 %\n"),
            "{table}"
        );
        assert!(
            table.contains("other                           0 %\n"),
            "{table}"
        );
    }
}
