//! Checks of declarations themselves, for tests of those who declare.

use crate::check::Reader;
use crate::key::{Key, Takes};
use regex_automata::meta::Regex;
use std::collections::BTreeSet;

/// What is wrong with declarations and those of all tables within: names that are there twice, rules about keys that do not
/// exist, patterns that do not compile, defaults that the key itself refuses.
#[must_use]
pub fn unsound(keys: &'static [Key]) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for key in keys {
        let name = key.name;
        let mut say = |what: String| found.push(format!("`{name}`: {what}"));
        for name in [Some(name), key.formerly].into_iter().flatten() {
            if !names.insert(name) {
                say(format!("`{name}` is there twice"));
            }
        }
        if !key.meaning.ends_with(['.', ')']) {
            say("its meaning is no sentence".to_owned());
        }
        for rule in key.rules {
            if keys.iter().all(|other| other.name != rule.key) {
                say(format!("there is no `{}`", rule.key));
            }
        }
        if let Some(pattern) = key.pattern {
            let is_anchored = pattern.regex.starts_with('^') && pattern.regex.ends_with('$');
            if !is_anchored || Regex::new(pattern.regex).is_err() {
                say("its pattern does not compile or is not anchored".to_owned());
            }
        }
        if let Some(default) = key.default
            && !Reader::default().takes_default(key, default)
        {
            say(format!("it refuses its default {default}"));
        }
        if let Takes::Table(keys) | Takes::Tables(keys) = key.takes {
            found.extend(unsound(keys));
        }
    }
    found
}
