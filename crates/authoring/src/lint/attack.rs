//! Regular expressions that take their time.

use super::{Finding, Fix, Part, Subject, constant, pattern_subject};
use crate::explain::{shorten, visible};
use crate::rewrite::Edit;
use dsm::diagnostic::{Code, Diagnostic};
use dsm::lsx::{Pattern, PatternType};
use java_regex::analysis::{Attack, Growth};

/// The longest payload that an attack may need, in bytes: what QRadar takes over TCP unless somebody raises it.
pub(super) const PAYLOAD: usize = 4096;

/// Expressions that backtrack, each with the text that proves it.
pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let budget = subject.options().regex_step_budget;
    for (pattern, regex) in subject.document.patterns.iter().zip(&subject.regexes) {
        let Some(attack) = regex
            .as_ref()
            .and_then(|regex| regex.attack(PAYLOAD, budget))
        else {
            continue;
        };
        // What begins with `.*` is slow for that reason, and has a lint of its own.
        let is_leading = pattern.within.is_none() && leading_run(&pattern.body.text).is_some();
        if is_leading && attack.growth != Growth::Exponential {
            continue;
        }
        out.push(finding(subject, pattern, &attack, budget));
    }
}

fn finding(subject: &Subject<'_>, pattern: &Pattern, attack: &Attack, budget: u64) -> Finding {
    let id = &pattern.id.value;
    let length = attack.text().len();
    let (code, how, help) = match attack.growth {
        Growth::Exponential => (
            Code::RegexExponential,
            "exponentially".to_owned(),
            "let only one part of the pattern take each character: do not repeat what already repeats, or make the repetition possessive (`*+`, `++`)",
        ),
        Growth::Polynomial(power) => (
            Code::RegexPolynomial,
            format!("with the power {power} of the length"),
            "begin with ^ or with a text that is rare, let neighbours take different characters ([^;]* instead of .*), or make a repetition possessive (`*+`, `++`)",
        ),
    };
    let remembering = if attack.remembering >= budget {
        "Java 9 and later need as many".to_owned()
    } else {
        format!("Java 9 and later need {}", attack.remembering)
    };
    let diagnostic = Diagnostic::new(
        code,
        format!("pattern `{id}` backtracks {how}: more than {} steps on {length} bytes", attack.steps),
        help,
    )
    .because(format!(
        "{}; measured on {}, where {remembering}; dsmith gives up after {budget} steps, QRadar does not",
        code.why(),
        shown(attack),
    ))
    .at(subject.extension(), pattern.body_span.clone(), "");
    Finding {
        diagnostic,
        subject: pattern_subject(pattern),
        fix: None,
    }
}

/// The attack as a short formula: `"user=" + "a" x 29 + "!"`.
fn shown(attack: &Attack) -> String {
    let quoted = |text: &str| format!("\"{}\"", shorten(&visible(text), 60));
    let mut parts = Vec::new();
    if !attack.prefix.is_empty() {
        parts.push(quoted(&attack.prefix));
    }
    parts.push(format!("{} x {}", quoted(&attack.pump), attack.repeats));
    if !attack.suffix.is_empty() {
        parts.push(quoted(&attack.suffix));
    }
    parts.join(" + ")
}

/// Expressions that begin with `.*` and its likes.
pub(super) fn leading(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    for (index, pattern) in subject.document.patterns.iter().enumerate() {
        // A value is short; the payload may be long.
        if subject.regexes[index].is_none() || pattern.within.is_some() {
            continue;
        }
        let text = pattern.body.text.as_str();
        let Some(run) = leading_run(text) else {
            continue;
        };
        let written = &text[run.clone()];
        let span = pattern.body.file_span(&run);
        let rest = &text[run.end..];
        let fix =
            (text.len() > run.len() && can_go(subject, pattern, written, rest)).then(|| Fix {
                title: format!("remove `{written}` from pattern `{}`", pattern.id.value),
                edits: vec![Edit::remove(span.clone())],
                part: Part::Extension,
            });
        let help = if fix.is_some() {
            format!(
                "remove `{written}`: what comes behind it is looked for everywhere anyway; dsmith lint --fix does"
            )
        } else if written.ends_with('?') {
            format!("remove `{written}`, or anchor the pattern with ^")
        } else {
            format!(
                "anchor the pattern with ^, or remove `{written}`; without it the first place of the line is found instead of the last"
            )
        };
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::RegexLeadingDot,
                format!("pattern `{}` begins with `{written}`", pattern.id.value),
                help,
            )
            .at(subject.extension(), span, ""),
            subject: pattern_subject(pattern),
            fix,
        });
    }
}

/// The place of a `.*`, `.+` or lazy kin at the beginning, behind inline flags.
fn leading_run(text: &str) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    if text.starts_with("(?") {
        let close = text.find(')')?;
        if text[2..close]
            .chars()
            .all(|c| c.is_ascii_alphabetic() || c == '-')
        {
            start = close + 1;
        }
    }
    let rest = &text[start..];
    let run = [".*?", ".+?", ".*+", ".++", ".*", ".+"]
        .into_iter()
        .find(|run| rest.starts_with(run))?;
    // All there is: it is meant to take the whole line.
    (rest.len() > run.len()).then(|| start..start + run.len())
}

/// Whether everybody gets the same without it: it may be empty, and only groups or the fact of a match are used.
fn can_go(subject: &Subject<'_>, pattern: &Pattern, written: &str, rest: &str) -> bool {
    if !written.starts_with(".*")
        || written.ends_with('+')
        || rest.starts_with(['?', '|'])
        || has_alternatives(rest)
    {
        return false;
    }
    let id = pattern.id.value.as_str();
    let lazy = written.ends_with('?');
    let is_base = subject.document.patterns.iter().any(|other| {
        other
            .within
            .as_ref()
            .is_some_and(|within| within.value == id)
    });
    let multiples = subject
        .document
        .groups
        .iter()
        .flat_map(|group| &group.multiples);
    let over_names = multiples
        .filter(|multiple| multiple.value.pattern_id.value == id)
        .any(|multiple| multiple.value.capture_group.is_some());
    !is_base
        && !over_names
        && subject
            .matchers()
            .filter(|(_, matcher)| matcher.pattern_id.value == id)
            .all(|(_, matcher)| {
                let group = matcher
                    .capture_group
                    .as_ref()
                    .map(|group| group.value.trim());
                // A greedy run decides which of several places is found.
                constant(matcher).is_some()
                    || lazy
                        && matcher.element == PatternType::JavaPattern
                        && group.is_some_and(|group| group != "0" && !group.contains("\\0"))
            })
}

/// Whether there is a `|` outside groups and classes: the run belongs to the first branch only.
fn has_alternatives(text: &str) -> bool {
    let (mut depth, mut class, mut escaped) = (0i32, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => class = false,
            '[' => class = true,
            _ if class => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_run_is_found_behind_flags_and_not_elsewhere() {
        let run = |text: &str| leading_run(text).map(|run| text[run].to_owned());
        assert_eq!(run(".*user=(x)").as_deref(), Some(".*"));
        assert_eq!(run("(?i).+?user").as_deref(), Some(".+?"));
        for text in ["^.*a", "(.*)a", ".*", "a.*", "(?:.*)a", "\\.*a"] {
            assert_eq!(run(text), None, "{text}");
        }
    }

    #[test]
    fn alternatives_inside_groups_and_classes_do_not_count() {
        assert!(has_alternatives("a|b"));
        for text in ["(a|b)", "[|]", "\\|", "[\\]|]"] {
            assert!(!has_alternatives(text), "{text}");
        }
    }
}
