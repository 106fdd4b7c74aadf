//! What can never win, and what is there twice.

use super::earlier::{self, Earlier, Listed};
use super::{Finding, Fix, Part, Subject, constant, matcher_subject, pattern_subject};
use crate::rewrite::{self, Edit};
use dsm::diagnostic::{Code, Diagnostic};
use dsm::field::{Field, Kind};
use dsm::lsx::{Group, Matcher, Pattern, Spanned};
use java_regex::analysis::Cover;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let known = Known::new(subject);
    for group in &subject.document.groups {
        matchers(subject, &known, group, out);
        multiples(subject, &known, group, out);
    }
    groups(subject, &known, out);
    repeated(subject, &known, out);
}

/// What is looked up for each pattern and each pair of them.
struct Known<'s> {
    covers: Vec<Option<Cover>>,
    /// The first pattern that finds the same, by pattern.
    same: Vec<usize>,
    /// Every place at which a pattern is named, by its id.
    places: HashMap<&'s str, Vec<&'s Spanned<String>>>,
    /// What comparisons have taken.
    steps: Cell<u64>,
}

impl<'s> Known<'s> {
    fn new(subject: &Subject<'s>) -> Self {
        let document = subject.document;
        let regexes = subject.regexes.iter();
        let mut first = HashMap::new();
        let same = document.patterns.iter().enumerate();
        let same = same
            .map(|(at, pattern)| *first.entry(reading(subject, pattern)).or_insert(at))
            .collect();
        let mut places: HashMap<&str, Vec<_>> = HashMap::new();
        let multiples = document.groups.iter().flat_map(|group| &group.multiples);
        let named = subject
            .matchers()
            .map(|(_, matcher)| &matcher.pattern_id)
            .chain(multiples.map(|multiple| &multiple.value.pattern_id))
            .chain(
                document
                    .patterns
                    .iter()
                    .filter_map(|other| other.within.as_ref()),
            );
        for place in named {
            places.entry(place.value.as_str()).or_default().push(place);
        }
        Self {
            covers: regexes
                .map(|regex| Cover::new(regex.as_ref()?.pattern(), regex.as_ref()?.flags()))
                .collect(),
            same,
            places,
            steps: Cell::new(0),
        }
    }

    fn named(&self, id: &str) -> &[&'s Spanned<String>] {
        self.places.get(id).map_or(&[], Vec::as_slice)
    }

    /// The first before each of a list that is found wherever it is.
    fn earlier(&self, list: &[Option<Listed<'_>>]) -> Earlier {
        let mut steps = self.steps.get();
        let found = earlier::find(list, &mut steps);
        self.steps.set(steps);
        found
    }

    /// The pattern with an id, and how it is compared with others.
    fn pattern(&self, subject: &Subject<'s>, id: &str) -> Option<(&'s Pattern, &Cover)> {
        let (index, pattern) = subject.pattern(id)?;
        Some((pattern, self.covers[index].as_ref()?))
    }
}

/// What makes a pattern find what it finds, whatever reads it.
fn reading(subject: &Subject<'_>, pattern: &Pattern) -> String {
    format!(
        "{:?}",
        (
            pattern.kind(),
            pattern.case_insensitive,
            pattern.effective_text(subject.options()),
            pattern.within.as_ref().map(|within| &within.value),
            pattern.hits.as_ref().map(|hits| hits.value),
            pattern.separator.as_ref().map(|text| &text.value),
        )
    )
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

fn matchers(subject: &Subject<'_>, known: &Known<'_>, group: &Group, out: &mut Vec<Finding>) {
    for (field, matchers) in by_field(group) {
        let (winners, earlier) = earlier_matchers(subject, known, field, &matchers);
        for (later, winner) in matchers.iter().zip(winners) {
            let Some((earlier, why)) = winner else {
                continue;
            };
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
                    known,
                    &later.span,
                    &later.pattern_id.value,
                    format!("remove matcher {} of {field}", later.order.value),
                )),
            });
        }
        if let Some(&first) = earlier.left_out.first() {
            let (first, count) = (matchers[first], earlier.left_out.len());
            out.push(left_out(
                subject,
                &format!(
                    "{count} matchers of {field}, from matcher {} on,",
                    first.order.value
                ),
                &first.span,
                matcher_subject(group, first),
            ));
        }
    }
}

/// Says that a list was too long or too alike for all of it to be compared.
fn left_out(subject: &Subject<'_>, what: &str, span: &Range<usize>, about: String) -> Finding {
    Finding {
        diagnostic: Diagnostic::new(
            Code::MatcherNeverWins,
            format!(
                "{what} were not compared with all before them: that takes more than {} steps",
                earlier::MAX_STEPS
            ),
            "part the list by match groups, or allow this finding; nothing is known to be wrong",
        )
        .at(subject.extension(), span.clone(), "the first of them"),
        subject: about,
        fix: None,
    }
}

/// For each matcher of a field, the first one before it that has a value wherever it would have one, and why.
fn earlier_matchers<'m>(
    subject: &Subject<'_>,
    known: &Known<'_>,
    field: &str,
    matchers: &[&'m Matcher],
) -> (Vec<Option<(&'m Matcher, String)>>, Earlier) {
    // Of other kinds of fields a constant may be no value.
    let is_text = Field::from_name(field).is_none_or(|field| field.kind() == Kind::Text)
        && is_text(subject, field);
    let list: Vec<Option<Listed<'_>>> = matchers
        .iter()
        .map(|matcher| {
            let (pattern, cover) = known.pattern(subject, &matcher.pattern_id.value)?;
            Some(Listed {
                cover,
                within: pattern.within.as_ref().map(|id| id.value.as_str()),
                wins: is_text && constant(matcher).is_some(),
            })
        })
        .collect();
    let everywhere = list.iter().position(|listed| {
        listed.is_some_and(|listed| {
            listed.wins && listed.within.is_none() && listed.cover.is_found_everywhere()
        })
    });
    let earlier = known.earlier(&list);
    let mut readings = HashMap::new();
    let winners = matchers.iter().zip(&earlier.first).enumerate();
    let winners = winners
        .map(|(at, (later, wherever))| {
            let same = *readings
                .entry(reading_of(subject, known, later))
                .or_insert(at);
            // Of those at the same place the first reason is the plainest.
            let reasons = [(Some(same), 0), (everywhere, 1), (*wherever, 2)];
            let (place, reason) = reasons
                .into_iter()
                .filter_map(|(place, reason)| Some((place.filter(|place| *place < at)?, reason)))
                .min()?;
            let earlier = matchers[place];
            let (first, second) = (&earlier.pattern_id.value, &later.pattern_id.value);
            let why = match reason {
                0 => "both read the same".to_owned(),
                1 => format!("`{first}` is found in every payload"),
                _ => format!("`{first}` is found wherever `{second}` is"),
            };
            Some((earlier, why))
        })
        .collect();
    (winners, earlier)
}

/// Takes out an element that names a pattern, and the pattern if nothing else does.
fn removal(
    subject: &Subject<'_>,
    known: &Known<'_>,
    tag: &Range<usize>,
    id: &str,
    title: String,
) -> Fix {
    let text = subject.extension().text.as_str();
    let mut edits = vec![Edit::remove(rewrite::element(text, tag))];
    if known.named(id).len() == 1
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

/// Whether a custom property takes any text; system properties are not asked here.
fn is_text(subject: &Subject<'_>, field: &str) -> bool {
    let mut custom = subject.mapping.custom_properties().iter();
    custom
        .find(|property| property.name == field)
        .is_none_or(|property| property.kind == dsm::manifest::PropertyType::String)
}

/// What makes a matcher read what it reads.
fn reading_of(subject: &Subject<'_>, known: &Known<'_>, matcher: &Matcher) -> String {
    let pattern = match subject.pattern(&matcher.pattern_id.value) {
        Some((index, _)) => Ok(known.same[index]),
        None => Err(&matcher.pattern_id.value),
    };
    let value = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
    let substitutes = matcher.enable_substitutions.as_ref();
    format!(
        "{:?}",
        (
            pattern,
            matcher.element,
            substitutes.is_some_and(|flag| flag.value),
            value(&matcher.capture_group),
            value(&matcher.ext_data),
            value(&matcher.delimiter),
            value(&matcher.name_value_delimiter),
        )
    )
}

fn multiples(subject: &Subject<'_>, known: &Known<'_>, group: &Group, out: &mut Vec<Finding>) {
    let list: Vec<Option<Listed<'_>>> = group
        .multiples
        .iter()
        .map(|multiple| {
            let (_, cover) = known.pattern(subject, &multiple.value.pattern_id.value)?;
            Some(Listed {
                cover,
                within: None,
                wins: true,
            })
        })
        .collect();
    let found = known.earlier(&list);
    for (later, place) in group.multiples.iter().zip(&found.first) {
        let id = &later.value.pattern_id.value;
        let Some(earlier) = place.map(|place| &group.multiples[place]) else {
            continue;
        };
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
                known,
                &later.span,
                id,
                format!("remove event-match-multiple `{id}`"),
            )),
        });
    }
    if let Some(&first) = found.left_out.first() {
        let (first, count) = (&group.multiples[first], found.left_out.len());
        let id = &first.value.pattern_id.value;
        out.push(left_out(
            subject,
            &format!("{count} of event-match-multiple, from `{id}` on,"),
            &first.span,
            format!("group/{}/event-match-multiple/{id}", group.order.value),
        ));
    }
}

/// Groups behind one that always finds an event name.
fn groups(subject: &Subject<'_>, known: &Known<'_>, out: &mut Vec<Finding>) {
    let mut groups: Vec<&Group> = subject.document.groups.iter().collect();
    groups.sort_by_key(|group| group.order.value);
    let always = groups.iter().position(|group| {
        group.matchers.iter().any(|matcher| {
            matcher.field.value == Field::EventName.name()
                && constant(matcher).is_some()
                && known
                    .pattern(subject, &matcher.pattern_id.value)
                    .is_some_and(|(pattern, cover)| {
                        pattern.within.is_none() && cover.is_found_everywhere()
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
fn repeated(subject: &Subject<'_>, known: &Known<'_>, out: &mut Vec<Finding>) {
    let patterns = &subject.document.patterns;
    for (at, later) in patterns.iter().enumerate() {
        // An id that is used twice is reported by the check.
        let is_own = subject.by_id.get(later.id.value.as_str()) == Some(&at);
        let first = known.same[at];
        if !is_own || first == at {
            continue;
        }
        let first = &patterns[first];
        let (id, known_id) = (&later.id.value, &first.id.value);
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::PatternRepeated,
                format!("pattern `{id}` is the same as `{known_id}`"),
                format!("let its users name `{known_id}`, and remove it; dsmith lint --fix does"),
            )
            .at(subject.extension(), later.id.span.clone(), "the second")
            .at(subject.extension(), first.id.span.clone(), "the first"),
            subject: pattern_subject(later),
            fix: Some(merge(subject, known, later, known_id)),
        });
    }
}

fn merge(subject: &Subject<'_>, known: &Known<'_>, pattern: &Pattern, into: &str) -> Fix {
    let text = subject.extension().text.as_str();
    let id = pattern.id.value.as_str();
    let mut edits = vec![Edit::remove(rewrite::element(text, &pattern.span))];
    for place in known.named(id) {
        edits.push(Edit::replace(place.span.clone(), rewrite::escaped(into)));
    }
    Fix {
        title: format!("use pattern `{into}` in place of `{id}`"),
        edits,
        part: Part::Extension,
    }
}
