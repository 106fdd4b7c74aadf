//! A log source that stands for others: which identifier an event belongs to.
//!
//! The pattern is QRadar's *Log Source Identifier Pattern*: lines of the form `identifier=expression`. The first
//! expression that is found in the payload decides, and `$1` to `$9` in its identifier are what its groups hold.

use regex_automata::meta::Regex;
use regex_automata::util::{captures::Captures, syntax};
use std::sync::Arc;

/// Longest identifier that QRadar takes.
const MAX_IDENTIFIER: usize = 255;

/// How much of a payload an expression sees, so that a payload of unusual size costs no more than others.
const MAX_SEARCHED: usize = 1 << 20;

/// Memory that one compiled expression may take.
const MAX_COMPILED: usize = 1 << 20;

/// Which events belong to which log source.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdentifierPattern(Arc<[Line]>);

#[derive(Debug)]
struct Line {
    parts: Vec<Part>,
    regex: Regex,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct PatternFault {
    /// Which line, counted from 0.
    pub(crate) index: usize,
    /// What is wrong with it.
    pub(crate) problem: String,
    /// What to do.
    pub(crate) help: &'static str,
}

impl IdentifierPattern {
    /// Reads the lines and reports every fault at once.
    pub(crate) fn read<S: AsRef<str>>(lines: &[S]) -> Result<Self, Vec<PatternFault>> {
        let mut read = Vec::new();
        let mut faults = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            match Line::read(line.as_ref()) {
                Ok(line) => read.push(line),
                Err((problem, help)) => faults.push(PatternFault {
                    index,
                    problem,
                    help,
                }),
            }
        }
        if faults.is_empty() {
            Ok(Self(read.into()))
        } else {
            Err(faults)
        }
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The identifier that a payload belongs to; `None` where no expression is found in it.
    pub(crate) fn identify(&self, payload: &[u8]) -> Option<String> {
        let searched = &payload[..payload.len().min(MAX_SEARCHED)];
        self.0.iter().find_map(|line| line.identify(searched))
    }
}

impl Line {
    fn read(line: &str) -> Result<Self, (String, &'static str)> {
        let (identifier, expression) = line.split_once('=').ok_or((
            "has no `=`".to_owned(),
            "write identifier=expression, such as fw-$1=host=(\\w+)",
        ))?;
        let parts = parts(identifier.trim());
        if parts.is_empty() || expression.is_empty() {
            let side = if parts.is_empty() { "before" } else { "behind" };
            return Err((
                format!("has nothing {side} its `=`"),
                "write identifier=expression, such as fw-$1=host=(\\w+)",
            ));
        }
        let regex = Regex::builder()
            .configure(Regex::config().nfa_size_limit(Some(MAX_COMPILED)).utf8_empty(false))
            .syntax(syntax::Config::new().utf8(false))
            .build(expression)
            .map_err(|error| {
                let reason = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                // The parser draws the expression over several lines; its last line says what is wrong.
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                (
                    format!("holds an expression that cannot be used: {reason}"),
                    "look-around and back references are not supported here; write the expression without them",
                )
            })?;
        let groups = regex
            .group_info()
            .group_len(regex_automata::PatternID::ZERO);
        let missing = parts.iter().find_map(|part| match part {
            Part::Group(group) if *group >= groups => Some(*group),
            _ => None,
        });
        if let Some(group) = missing {
            return Err((
                format!(
                    "uses ${group}, but its expression has {} groups",
                    groups - 1
                ),
                "put what the identifier takes from the payload into ( and )",
            ));
        }
        Ok(Self { parts, regex })
    }

    fn identify(&self, payload: &[u8]) -> Option<String> {
        let mut captures: Captures = self.regex.create_captures();
        self.regex.captures(payload, &mut captures);
        if !captures.is_match() {
            return None;
        }
        let mut identifier = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => identifier.push_str(text),
                Part::Group(group) => {
                    let found = captures
                        .get_group(*group)
                        .map(|span| &payload[span.range()]);
                    let found = String::from_utf8_lossy(found.unwrap_or_default());
                    identifier.extend(found.chars().filter(|c| !c.is_control()));
                }
            }
        }
        let mut end = identifier.len().min(MAX_IDENTIFIER);
        while !identifier.is_char_boundary(end) {
            end -= 1;
        }
        let identifier = identifier[..end].trim();
        (!identifier.is_empty()).then(|| identifier.to_owned())
    }
}

/// The parts of an identifier: texts, and groups written `$1` or `\1`.
fn parts(identifier: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut characters = identifier.chars().peekable();
    while let Some(character) = characters.next() {
        let group = match character {
            '$' | '\\' => characters.peek().and_then(|next| next.to_digit(10)),
            _ => None,
        };
        match group {
            Some(group) => {
                characters.next();
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Group(group as usize));
            }
            None => text.push(character),
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(lines: &[&str], payload: &str) -> Option<String> {
        IdentifierPattern::read(lines)
            .unwrap()
            .identify(payload.as_bytes())
    }

    #[test]
    fn the_first_expression_that_is_found_decides() {
        let lines = ["vpc=\\sREJECT\\s", "vpc-$1-$2=\\s(ACCEPT)\\s(OK)", "rest=."];
        assert_eq!(identify(&lines, "a REJECT OK").as_deref(), Some("vpc"));
        assert_eq!(
            identify(&lines, "a ACCEPT OK").as_deref(),
            Some("vpc-ACCEPT-OK")
        );
        assert_eq!(identify(&lines, "a").as_deref(), Some("rest"));
        assert_eq!(identify(&lines, ""), None);
    }

    #[test]
    fn only_the_first_equals_sign_divides() {
        assert_eq!(
            identify(&["h-\\1=host=(\\w+)"], "x host=web7 y").as_deref(),
            Some("h-web7")
        );
        assert_eq!(identify(&["cost$=a"], "a").as_deref(), Some("cost$"));
        assert_eq!(identify(&["$0=a."], "xab").as_deref(), Some("ab"));
    }

    #[test]
    fn what_a_payload_puts_into_an_identifier_is_made_harmless() {
        let pattern = IdentifierPattern::read(&["$1=h=(?s-u:([^;]*))"]).unwrap();
        let identify = |payload: &[u8]| pattern.identify(payload);
        assert_eq!(identify(b"h=a\r\n\x1b[1mb;").as_deref(), Some("a[1mb"));
        assert_eq!(identify(b"h=\xff;").as_deref(), Some("\u{fffd}"));
        assert_eq!(identify(b"h=  ;"), None);
        let long = format!("h={};", "\u{e4}".repeat(5000));
        assert_eq!(identify(long.as_bytes()).unwrap().len(), 254);
    }

    #[test]
    fn every_fault_is_reported_with_its_line() {
        let lines = ["a", "=b", "c=", "d=(", "e$2=(x)", "f=a(?=b)", "good=x"];
        let faults = IdentifierPattern::read(&lines).unwrap_err();
        let said: Vec<String> = faults
            .iter()
            .map(|fault| format!("{} {}", fault.index, fault.problem))
            .collect();
        assert_eq!(
            said,
            [
                "0 has no `=`",
                "1 has nothing before its `=`",
                "2 has nothing behind its `=`",
                "3 holds an expression that cannot be used: unclosed group",
                "4 uses $2, but its expression has 1 groups",
                "5 holds an expression that cannot be used: look-around, including look-ahead and look-behind, is not supported",
            ]
        );
    }

    #[test]
    fn an_expression_that_would_take_too_much_memory_is_a_fault() {
        assert!(IdentifierPattern::read(&["a=(\\w{500}){500}"]).is_err());
    }
}
