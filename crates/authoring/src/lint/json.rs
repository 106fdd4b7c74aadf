//! Members of JSON that are read by a regular expression.

use super::{Finding, Fix, Part, Subject, pattern_subject};
use crate::rewrite::{self, Edit};
use dsm::diagnostic::{Code, Diagnostic};
use dsm::lsx::{Matcher, Pattern, PatternType};
use java_regex::{Flags, JavaRegex, Slots};
use serde_json::Value;

/// What such an expression looks like: a name in quotes, a colon, one group.
const SHAPE: &str = r#"^(?:\(\?i\))?\\?"([\w.@$-]+)\\?"(?:\\s[*+]?| )?\\?:(?:\\s[*+]?| [*?]?)?\\?"?\(((?:[^()\\|]|\\.)+)\)\\?"?[,}]?$"#;

pub(super) fn lint(subject: &Subject<'_>, out: &mut Vec<Finding>) {
    let Ok(shape) = JavaRegex::new(SHAPE, Flags::default()) else {
        return;
    };
    let mut slots = Slots::default();
    for (index, pattern) in subject.document.patterns.iter().enumerate() {
        let Some(regex) = subject.regexes[index].as_ref() else {
            continue;
        };
        let text = pattern.effective_text(subject.options());
        if pattern.within.is_some() || shape.find(&text, &mut slots, 1_000_000) != Ok(true) {
            continue;
        }
        let Some(name) = slots.get(1).map(|range| &text[range]) else {
            continue;
        };
        let users: Vec<&Matcher> = subject
            .matchers()
            .map(|(_, matcher)| matcher)
            .filter(|matcher| matcher.pattern_id.value == pattern.id.value)
            .collect();
        if users.is_empty() || !users.iter().all(|matcher| takes_the_group(matcher)) {
            continue;
        }
        let seen = Seen::of(subject, regex, name);
        // Text that is no JSON has no members.
        if seen.matched > 0 && seen.json == 0 {
            continue;
        }
        let path = match &seen.path {
            Some(path) => path.clone(),
            None => format!("/\"{name}\""),
        };
        let fix = seen.path.as_ref().map(|path| Fix {
            title: format!("read {path} in pattern `{}`", pattern.id.value),
            edits: edits(subject, pattern, path, &users),
            part: Part::Extension,
        });
        let help = if fix.is_some() {
            format!(
                "write type=\"JsonKeypath\" and {path}, and use json-matcher; dsmith lint --fix does"
            )
        } else {
            format!(
                "write type=\"JsonKeypath\" and the path of the member, such as {path}, and use json-matcher"
            )
        };
        out.push(Finding {
            diagnostic: Diagnostic::new(
                Code::JsonByRegex,
                format!(
                    "pattern `{}` reads the member \"{name}\" of JSON by a regular expression",
                    pattern.id.value
                ),
                help,
            )
            .at(subject.extension(), pattern.body_span.clone(), ""),
            subject: pattern_subject(pattern),
            fix,
        });
    }
}

fn takes_the_group(matcher: &Matcher) -> bool {
    matcher.element == PatternType::JavaPattern
        && matcher.capture_group.as_ref().is_some_and(|group| {
            let group = group.value.trim();
            group == "1" || group == "\\1"
        })
}

/// What the payloads say.
#[derive(Default)]
struct Seen {
    matched: usize,
    json: usize,
    /// The path at which the value stood in every payload that has it.
    path: Option<String>,
}

impl Seen {
    fn of(subject: &Subject<'_>, regex: &JavaRegex, name: &str) -> Self {
        let mut seen = Self::default();
        let mut common: Option<Vec<String>> = None;
        let mut slots = Slots::default();
        for sample in &subject.corpus.samples {
            let Ok(text) = std::str::from_utf8(&sample.bytes) else {
                continue;
            };
            let found = regex.find(text, &mut slots, subject.options().regex_step_budget);
            let value = match (found, slots.get(1)) {
                (Ok(true), Some(range)) => &text[range],
                _ => continue,
            };
            seen.matched += 1;
            let Some(json) = text
                .find('{')
                .and_then(|at| serde_json::from_str::<Value>(text[at..].trim_end()).ok())
            else {
                common = Some(Vec::new());
                continue;
            };
            seen.json += 1;
            let mut paths = Vec::new();
            places(&json, name, value, &mut String::new(), &mut paths);
            match &mut common {
                None => common = Some(paths),
                Some(common) => common.retain(|path| paths.contains(path)),
            }
        }
        // The shortest is the one that is meant.
        seen.path = common
            .unwrap_or_default()
            .into_iter()
            .min_by_key(|path| (path.matches('/').count(), path.clone()));
        seen
    }
}

/// The paths of the members of a name that have a value. Lists are passed over: their elements move.
fn places(json: &Value, name: &str, value: &str, path: &mut String, out: &mut Vec<String>) {
    let Value::Object(members) = json else { return };
    for (key, member) in members {
        let length = path.len();
        path.push_str("/\"");
        path.push_str(&key.replace('\\', "\\\\").replace('"', "\\\""));
        path.push('"');
        let text = match member {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if key == name && text == value {
            out.push(path.clone());
        }
        places(member, name, value, path, out);
        path.truncate(length);
    }
}

fn edits(subject: &Subject<'_>, pattern: &Pattern, path: &str, users: &[&Matcher]) -> Vec<Edit> {
    let text = subject.extension().text.as_str();
    let mut edits = Vec::new();
    // The start tag anew, and the text between the tags.
    let tag = format!(
        "<{} id=\"{}\" type=\"JsonKeypath\">",
        name_of(text, &pattern.span),
        rewrite::escaped(&pattern.id.value)
    );
    edits.push(Edit::replace(pattern.span.clone(), tag));
    let whole = rewrite::element(text, &pattern.span);
    if let Some(end) = text[pattern.span.end..whole.end].rfind("</") {
        let body = pattern.span.end..pattern.span.end + end;
        edits.push(Edit::replace(body, rewrite::cdata(path)));
    }
    for matcher in users {
        let name = name_of(text, &matcher.span);
        let at = matcher.span.start + 1..matcher.span.start + 1 + name.len();
        edits.push(Edit::replace(at, name.replace("matcher", "json-matcher")));
        for attribute in ["capture-group", "enable-substitutions"] {
            if let Some((whole, _)) = rewrite::attribute(text, &matcher.span, attribute) {
                edits.push(Edit::remove(whole));
            }
        }
    }
    edits
}

/// The name of an element as it is written.
fn name_of<'t>(text: &'t str, tag: &std::ops::Range<usize>) -> &'t str {
    let rest = &text[tag.start + 1..tag.end];
    let end = rest
        .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .unwrap_or(rest.len());
    &rest[..end]
}
