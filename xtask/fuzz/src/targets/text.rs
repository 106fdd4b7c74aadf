//! Regular expressions and dates.

use super::payload::RECEIVED;
use crate::input::{byte, line, text};
use dsm::device_time::{DateFormat, Dialect, TimeContext, recognise};
use java_regex::{Flags, JavaRegex, RegexSet, SetState, Slots};
use std::ops::Range;

/// Enough for any ordinary expression over the texts here, and few enough that a hostile one costs little.
const BUDGET: u64 = 20_000;

pub(super) fn regex(input: &[u8]) {
    let (how, input) = byte(input);
    let (pattern, subject) = line(input);
    let subject = text(subject);
    let flags = Flags {
        case_insensitive: how & 1 != 0,
        ..Flags::default()
    };
    let Ok(regex) = JavaRegex::new(&pattern, flags) else {
        return;
    };
    let mut slots = Slots::default();
    let quick = regex.find(&subject, &mut slots, BUDGET);
    let quick_groups = groups(&regex, &slots);
    for range in quick_groups.iter().flatten() {
        assert!(
            subject.get(range.clone()).is_some(),
            "a group lies in the text"
        );
    }
    let slow = regex.find_by_backtracking(&subject, &mut slots, BUDGET);
    // Whoever runs out of budget has no answer to compare.
    if let (Ok(quick), Ok(slow)) = (&quick, &slow) {
        assert_eq!(quick, slow, "found, or not");
        assert_eq!(quick_groups, groups(&regex, &slots), "and where");
    }
    // In a set, beside expressions that begin as it does and that do not.
    let other = JavaRegex::new("src=(\\S+)", Flags::default()).expect("this is an expression");
    let set = RegexSet::new([(0, &regex), (1, &other), (2, &regex)]);
    let mut state = SetState::default();
    set.begin(&subject, &mut state);
    let in_set = set.find(2, &regex, &subject, &mut state, &mut slots, BUDGET);
    if let (Ok(in_set), Ok(quick)) = (&in_set, &quick) {
        assert_eq!(in_set, quick, "found in a set, or not");
        assert_eq!(quick_groups, groups(&regex, &slots), "and where");
    }
}

fn groups(regex: &JavaRegex, slots: &Slots) -> Vec<Option<Range<usize>>> {
    (0..=regex.group_count())
        .map(|group| slots.get(group))
        .collect()
}

pub(super) fn dates(input: &[u8]) {
    let (how, input) = byte(input);
    let (pattern, stamp) = line(input);
    let stamp = text(stamp);
    let dialect = if how & 1 == 0 {
        Dialect::Joda
    } else {
        Dialect::SimpleDateFormat
    };
    let context = TimeContext::new(RECEIVED);
    if let Ok(format) = DateFormat::new(&pattern, dialect) {
        let _ = format.parse(&stamp, &context);
        let _ = format.parse(&pattern, &context);
    }
    let _ = recognise(&stamp, &context);
}
