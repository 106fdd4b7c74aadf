//! Which event-match-multiple an event name takes.

use crate::mapping::{BranchIx, Group, Mapping, PatternKind};
use java_regex::Slots;
use std::collections::HashMap;
use std::ops::Range;

/// So many names are remembered; the others are matched each time. A device has few names for its events.
const MAX_NAMES: usize = 256;
/// A longer name is not remembered.
const MAX_NAME: usize = 128;

/// What the patterns of a group say about a name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct NameMatch {
    /// The first that matches, by its place in the group.
    pub(super) multiple: Option<usize>,
    /// The part of the name that its group has captured.
    pub(super) captured: Option<Range<usize>>,
    /// How many patterns used up their budget.
    pub(super) budget_exceeded: u32,
}

/// The names seen so far. The same name takes the same way again.
#[derive(Debug, Default)]
pub(super) struct Names {
    slots: Slots,
    known: HashMap<String, (BranchIx, NameMatch), foldhash::fast::FixedState>,
}

impl Names {
    pub(super) fn find(&mut self, mapping: &Mapping, group: &Group, name: &str) -> NameMatch {
        if group.multiples.is_empty() {
            return NameMatch::default();
        }
        match self.known.get(name) {
            Some((branch, found)) if *branch == group.branch => return found.clone(),
            _ => {}
        }
        let found = self.search(mapping, group, name);
        let is_known = self.known.contains_key(name);
        if is_known || (self.known.len() < MAX_NAMES && name.len() <= MAX_NAME) {
            let entry = (group.branch, found.clone());
            self.known.insert(name.to_owned(), entry);
        }
        found
    }

    fn search(&mut self, mapping: &Mapping, group: &Group, name: &str) -> NameMatch {
        let mut found = NameMatch::default();
        let budget = mapping.options().regex_step_budget;
        for (index, multiple) in group.multiples.iter().enumerate() {
            let (pattern, capture) = multiple.on;
            let PatternKind::Regex(regex) = &mapping.patterns[pattern].kind else {
                continue;
            };
            match regex.find(name, &mut self.slots, budget) {
                Ok(true) => {
                    found.multiple = Some(index);
                    found.captured = capture.and_then(|group| self.slots.get(group));
                    break;
                }
                Ok(false) => {}
                Err(_) => found.budget_exceeded += 1,
            }
        }
        found
    }
}
