//! What can never win, and what is there twice.

use super::{Finding, Fix, Part, Subject, constant, matcher_subject, pattern_subject};
use crate::rewrite::{self, Edit};
use dsm::diagnostic::{Code, Diagnostic};
use dsm::field::Field;
use dsm::lsx::{Group, Matcher, Pattern, Spanned};
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    for group in &subject.document.groups {
        matchers(subject, group, out);
        multiples(subject, group, out);
    }
    groups(subject, out);
    repeated(subject, out);
}

/// The matchers of each field in the order in which they are tried.
fn by_field(group: &Group) -> BTreeMap<&str, Vec<&Matcher>> {
    let mut fields: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
    for matcher in &group.matchers {
        fields
            .entry(&matcher.field.value)
            .or_default()
            .push(matcher);
    }
    for matchers in fields.values_mut() {
        matchers.sort_by_key(|matcher| matcher.order.value);
    }
    fields
}

fn matchers(subject: &Subject<'_>, group: &Group, out: &mut Vec<Finding>) {
    for matchers in by_field(group).values() {
        for (at, later) in matchers.iter().enumerate() {
            let earlier = matchers[..at]
                .iter()
                .find_map(|earlier| Some((earlier, why_first(subject, earlier, later)?)));
            let Some((earlier, why)) = earlier else {
                continue;
            };
            let field = &later.field.value;
            out.push(Finding {
                diagnostic: Diagnostic::new(
                    Code::MatcherNeverWins,
                    format!(
                        "matcher {} of {field} never wins against matcher {}: {why}",
                        later.order.value, earlier.order.value
                    ),
                    "give the narrower one the lower order, or remove it; dsmith lint --fix removes it",
                )
                .at(subject.extension(), later.span.clone(), "never wins")
                .at(subject.extension(), earlier.span.clone(), "tried before"),
                subject: matcher_subject(group, later),
                fix: Some(removal(
                    subject,
                    &later.span,
                    &later.pattern_id.value,
                    format!("remove matcher {} of {field}", later.order.value),
                )),
            });
        }
    }
}

/// Takes out an element that names a pattern, and the pattern if nothing else does.
fn removal(subject: &Subject<'_>, tag: &Range<usize>, id: &str, title: String) -> Fix {
    let text = subject.extension().text.as_str();
    let mut edits = vec![Edit::remove(rewrite::element(text, tag))];
    let users = named(subject).filter(|place| place.value == id).count();
    if users == 1
        && let Some((_, pattern)) = subject.pattern(id)
    {
        edits.push(Edit::remove(rewrite::element(text, &pattern.span)));
    }
    Fix {
        title,
        edits,
        part: Part::Extension,
    }
}

/// Every place at which a pattern is named.
fn named<'s>(subject: &Subject<'s>) -> impl Iterator<Item = &'s Spanned<String>> + use<'s> {
    let document = subject.document;
    let multiples = document.groups.iter().flat_map(|group| &group.multiples);
    subject
        .matchers()
        .map(|(_, matcher)| &matcher.pattern_id)
        .chain(multiples.map(|multiple| &multiple.value.pattern_id))
        .chain(
            document
                .patterns
                .iter()
                .filter_map(|other| other.within.as_ref()),
        )
}

/// Why a matcher has a value wherever a later one would have.
fn why_first(subject: &Subject<'_>, earlier: &Matcher, later: &Matcher) -> Option<String> {
    if reads_the_same(subject, earlier, later) {
        return Some("both read the same".to_owned());
    }
    // Of other kinds of fields a constant may be no value.
    let text = Field::from_name(&earlier.field.value)
        .is_none_or(|field| field.kind() == dsm::field::Kind::Text)
        && is_text(subject, &earlier.field.value);
    if !text {
        return None;
    }
    constant(earlier)?;
    let (first, first_pattern) = subject.pattern(&earlier.pattern_id.value)?;
    let first_regex = subject.regexes[first].as_ref()?;
    if first_pattern.within.is_none() && first_regex.is_found_everywhere() {
        return Some(format!(
            "`{}` is found in every payload",
            earlier.pattern_id.value
        ));
    }
    let (second, second_pattern) = subject.pattern(&later.pattern_id.value)?;
    let within = |pattern: &Pattern| pattern.within.as_ref().map(|id| id.value.clone());
    let second_regex = subject.regexes[second].as_ref()?;
    (within(first_pattern) == within(second_pattern) && first_regex.is_found_wherever(second_regex))
        .then(|| {
            format!(
                "`{}` is found wherever `{}` is",
                earlier.pattern_id.value, later.pattern_id.value
            )
        })
}

/// Whether a custom property takes any text; system properties are not asked here.
fn is_text(subject: &Subject<'_>, field: &str) -> bool {
    let mut custom = subject.mapping.custom_properties().iter();
    custom
        .find(|property| property.name == field)
        .is_none_or(|property| property.kind == dsm::manifest::PropertyType::String)
}

fn reads_the_same(subject: &Subject<'_>, a: &Matcher, b: &Matcher) -> bool {
    let value = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
    let flag = |matcher: &Matcher| {
        matcher
            .enable_substitutions
            .as_ref()
            .is_some_and(|flag| flag.value)
    };
    let same_pattern = a.pattern_id.value == b.pattern_id.value
        || match (
            subject.pattern(&a.pattern_id.value),
            subject.pattern(&b.pattern_id.value),
        ) {
            (Some((_, a)), Some((_, b))) => is_same(subject, a, b),
            _ => false,
        };
    same_pattern
        && a.element == b.element
        && flag(a) == flag(b)
        && value(&a.capture_group) == value(&b.capture_group)
        && value(&a.ext_data) == value(&b.ext_data)
        && value(&a.delimiter) == value(&b.delimiter)
        && value(&a.name_value_delimiter) == value(&b.name_value_delimiter)
}

/// Whether two patterns find the same, whatever reads them.
fn is_same(subject: &Subject<'_>, a: &Pattern, b: &Pattern) -> bool {
    let of = |pattern: &Pattern| {
        (
            pattern.kind(),
            pattern.case_insensitive,
            pattern.effective_text(subject.options()),
            pattern.within.as_ref().map(|within| within.value.clone()),
            pattern.hits.as_ref().map(|hits| hits.value),
            pattern.separator.as_ref().map(|text| text.value.clone()),
        )
    };
    of(a) == of(b)
}

fn multiples(subject: &Subject<'_>, group: &Group, out: &mut Vec<Finding>) {
    let regex = |id: &str| {
        let (index, _) = subject.pattern(id)?;
        subject.regexes[index].as_ref()
    };
    for (at, later) in group.multiples.iter().enumerate() {
        let id = &later.value.pattern_id.value;
        let earlier = group.multiples[..at].iter().find(|earlier| {
            match (regex(&earlier.value.pattern_id.value), regex(id)) {
                (Some(first), Some(second)) => {
                    first.is_found_everywhere() || first.is_found_wherever(second)
                }
                _ => false,
            }
        });
        let Some(earlier) = earlier else { continue };
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::MatcherNeverWins,
                format!(
                    "event-match-multiple `{id}` never applies: `{}`, before it, matches every name that it matches",
                    earlier.value.pattern_id.value
                ),
                "move the narrower one up, or remove it; dsmith lint --fix removes it",
            )
            .at(subject.extension(), later.span.clone(), "never applies")
            .at(subject.extension(), earlier.span.clone(), "tried before"),
            subject: format!("group/{}/event-match-multiple/{id}", group.order.value),
            fix: Some(removal(
                subject,
                &later.span,
                id,
                format!("remove event-match-multiple `{id}`"),
            )),
        });
    }
}

/// Groups behind one that always finds an event name.
fn groups(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let mut groups: Vec<&Group> = subject.document.groups.iter().collect();
    groups.sort_by_key(|group| group.order.value);
    let always = groups.iter().position(|group| {
        group.matchers.iter().any(|matcher| {
            matcher.field.value == Field::EventName.name()
                && constant(matcher).is_some()
                && subject
                    .pattern(&matcher.pattern_id.value)
                    .is_some_and(|(index, pattern)| {
                        let regex = subject.regexes[index].as_ref();
                        pattern.within.is_none()
                            && regex.is_some_and(dsm::java_regex::JavaRegex::is_found_everywhere)
                    })
        })
    });
    let Some(always) = always else { return };
    for later in &groups[always + 1..] {
        let first = groups[always];
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::MatcherNeverWins,
                format!(
                    "match group {} never applies: group {} finds an event name in every payload",
                    later.order.value, first.order.value
                ),
                "give the group that takes everything the highest order",
            )
            .at(subject.extension(), later.span.clone(), "never applies")
            .at(subject.extension(), first.span.clone(), "tried before"),
            subject: format!("group/{}", later.order.value),
            fix: None,
        });
    }
}

/// Patterns that are there twice.
fn repeated(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let patterns = &subject.document.patterns;
    for (at, later) in patterns.iter().enumerate() {
        // An id that is used twice is reported by the check.
        let is_own = subject.by_id.get(later.id.value.as_str()) == Some(&at);
        let first = patterns[..at].iter().find(|first| {
            is_own && first.id.value != later.id.value && is_same(subject, first, later)
        });
        let Some(first) = first else { continue };
        let (id, known) = (&later.id.value, &first.id.value);
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::PatternRepeated,
                format!("pattern `{id}` is the same as `{known}`"),
                format!("let its users name `{known}`, and remove it; dsmith lint --fix does"),
            )
            .at(subject.extension(), later.id.span.clone(), "the second")
            .at(subject.extension(), first.id.span.clone(), "the first"),
            subject: pattern_subject(later),
            fix: Some(merge(subject, later, known)),
        });
    }
}

fn merge(subject: &Subject<'_>, pattern: &Pattern, into: &str) -> Fix {
    let text = subject.extension().text.as_str();
    let id = pattern.id.value.as_str();
    let mut edits = vec![Edit::remove(rewrite::element(text, &pattern.span))];
    for place in named(subject).filter(|place| place.value == id) {
        edits.push(Edit::replace(place.span.clone(), rewrite::escaped(into)));
    }
    Fix {
        title: format!("use pattern `{into}` in place of `{id}`"),
        edits,
        part: Part::Extension,
    }
}
