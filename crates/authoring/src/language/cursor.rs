//! What a place in an extension is for, told from the text before it alone: whoever types is in the middle of something
//! that no parser can read yet.

use dsm::keypath::{self, Step};
use dsm::lsx::PatternType;
use std::ops::Range;

/// What could be written at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The value of an attribute, as far as it is there.
    Attribute {
        element: String,
        name: String,
        typed: Range<usize>,
    },
    /// A part of a JSON key path.
    KeyPath {
        /// The pattern that it runs within.
        within: Option<String>,
        /// The steps before it.
        steps: Vec<Step>,
        part: Part,
        /// What is there of it, behind the quote.
        typed: Range<usize>,
        /// Whether the quote is there.
        quoted: bool,
        /// Whether it stands in CDATA.
        in_cdata: bool,
    },
}

/// The part of a key path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A member.
    Member,
    /// A member of what a filter looks at, below these.
    FilterName(Vec<String>),
    /// The text that a filter compares these with.
    FilterValue(Vec<String>),
}

/// What could be written at a place; nothing where nothing is known of it.
pub(super) fn wanted(text: &str, offset: usize) -> Option<Wanted> {
    let before = text.get(..offset)?;
    attribute(before).or_else(|| body(before))
}

/// A start tag that was read as far as it goes.
struct Tag<'t> {
    /// Attributes that are complete.
    attributes: Vec<(&'t str, &'t str)>,
    /// The attribute whose value is not closed, and where that begins.
    open: Option<(&'t str, usize)>,
    /// Where the tag ends, if it does.
    end: Option<usize>,
    is_empty: bool,
}

/// Reads a tag from behind its name.
fn tag(text: &str, mut at: usize) -> Option<Tag<'_>> {
    let mut tag = Tag {
        attributes: Vec::new(),
        open: None,
        end: None,
        is_empty: false,
    };
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..];
        if rest.is_empty() {
            return Some(tag);
        }
        if rest.starts_with('>') || rest.starts_with("/>") {
            tag.is_empty = rest.starts_with('/');
            tag.end = Some(at + if tag.is_empty { 2 } else { 1 });
            return Some(tag);
        }
        let length = rest
            .find(|c: char| c == '=' || c == '>' || c == '<' || c.is_whitespace())
            .unwrap_or(rest.len());
        let name = &rest[..length];
        let Some(value) = rest[length..].trim_start().strip_prefix('=') else {
            // A name without a value, or something that is no tag at all.
            return rest[length..].trim_start().is_empty().then_some(tag);
        };
        let value = value.trim_start();
        let Some(quote) = value.chars().next() else {
            return Some(tag);
        };
        if quote != '"' && quote != '\'' {
            return None;
        }
        let start = text.len() - value.len() + 1;
        match text[start..].find(quote) {
            Some(close) => {
                tag.attributes.push((name, &text[start..start + close]));
                at = start + close + 1;
            }
            None => {
                tag.open = Some((name, start));
                return Some(tag);
            }
        }
    }
}

/// The element whose name begins at a place, if it is one that is of interest.
fn element(rest: &str) -> Option<&'static str> {
    let own = ["pattern", "event-match-single", "event-match-multiple"];
    let all = PatternType::ELEMENTS.iter().chain(&own);
    all.copied().find(|name| {
        let rest = rest.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
    })
}

/// Within the quotes of an attribute.
fn attribute(before: &str) -> Option<Wanted> {
    // In the text of a pattern and in values a `<` may stand that begins no tag, so it may not be the last one.
    let mut tags = before.rmatch_indices('<').take(8);
    let (name, found, start) = tags.find_map(|(at, _)| {
        let name = element(&before[at + 1..])?;
        let (attribute, start) = tag(before, at + 1 + name.len())?.open?;
        Some((name, attribute, start))
    })?;
    Some(Wanted::Attribute {
        element: name.to_owned(),
        name: found.to_owned(),
        typed: start..before.len(),
    })
}

/// Within the text of a pattern.
fn body(before: &str) -> Option<Wanted> {
    const CDATA: &str = "<![CDATA[";
    let (at, _) = before.rmatch_indices("<pattern").next()?;
    let tag = tag(before, at + "<pattern".len())?;
    let mut start = tag.end?;
    let value = |name: &str| {
        let mut all = tag.attributes.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    };
    if tag.is_empty || value("type") != Some(PatternType::JsonKeypath.name()) {
        return None;
    }
    let in_cdata = before[start..].trim_start().starts_with(CDATA);
    if in_cdata {
        start += before[start..].find(CDATA)? + CDATA.len();
    }
    let written = &before[start..];
    if written.contains(if in_cdata { "]]>" } else { "<" }) {
        return None;
    }
    let path = path_start(written)?;
    let partial = partial(&written[path..])?;
    Some(Wanted::KeyPath {
        within: value("dsmith:within").map(str::to_owned),
        steps: partial.steps,
        part: partial.part,
        typed: start + path + partial.typed..before.len(),
        quoted: partial.quoted,
        in_cdata,
    })
}

/// Where the path begins that the end of a text belongs to: a text may be a format with paths in braces.
fn path_start(text: &str) -> Option<usize> {
    let start = text.len() - text.trim_start().len();
    if text[start..].starts_with('/') && !text[start..].starts_with("/{") {
        return Some(start);
    }
    let mut open = None;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if open.is_some() => quoted = !quoted,
            '{' if !quoted => open = Some(at + 1),
            '}' if !quoted => open = None,
            _ => {}
        }
    }
    let open = open?;
    Some(open + text[open..].len() - text[open..].trim_start().len())
}

/// A path that is not complete.
struct Partial {
    steps: Vec<Step>,
    part: Part,
    /// Where the part begins.
    typed: usize,
    quoted: bool,
}

/// Reads a path up to the part that its end is in.
fn partial(text: &str) -> Option<Partial> {
    let mut at = 0;
    // The part that is being written, and where what is before it ends.
    let (complete, part, typed, quoted) = loop {
        let start = at;
        at += eaten(text, at, "/");
        if at > start && at == text.len() {
            break (start, Part::Member, at, false);
        }
        if text[at..].starts_with('"') {
            match quoted_end(text, at) {
                Some(end) => at = end,
                None => break (start, Part::Member, at + 1, true),
            }
        }
        while text[at..].starts_with('[') {
            let bracket = at;
            match selector(text, at)? {
                Selector::Ends(end) => at = end,
                Selector::In(part, typed, quoted) => {
                    // What the filter belongs to is read as a path of its own.
                    let steps = steps(&text[..bracket])?;
                    return Some(Partial {
                        steps,
                        part,
                        typed,
                        quoted,
                    });
                }
            }
        }
        if at == start || at == text.len() {
            return None;
        }
    };
    let complete = &text[..complete];
    let mut steps = steps(complete)?;
    // Empty brackets at the end of a path are the list itself; before another step they are its elements.
    if complete.ends_with("[]") {
        steps.push(Step::Each);
    }
    Some(Partial {
        steps,
        part,
        typed,
        quoted,
    })
}

fn steps(complete: &str) -> Option<Vec<Step>> {
    if complete.is_empty() || complete == "/" {
        return Some(Vec::new());
    }
    Some(keypath::json_path(complete).ok()?.steps)
}

enum Selector {
    /// It is complete, up to here.
    Ends(usize),
    /// A part of a filter is being written; where it begins, and whether its quote is there.
    In(Part, usize, bool),
}

fn selector(text: &str, start: usize) -> Option<Selector> {
    let mut at = start + 1;
    if eaten(text, at, "?") == 0 {
        let end = text[at..].find(|c: char| !c.is_ascii_digit())? + at;
        return (eaten(text, end, "]") == 1).then_some(Selector::Ends(end + 1));
    }
    at += 1;
    at += eaten(text, at, "/");
    let mut names = Vec::new();
    loop {
        if at == text.len() {
            return Some(Selector::In(Part::FilterName(names), at, false));
        }
        let Some(end) = quoted_end(text, at) else {
            let is_open = text[at..].starts_with('"');
            return is_open.then_some(Selector::In(Part::FilterName(names), at + 1, true));
        };
        names.push(unquoted(&text[at + 1..end - 1]));
        at = end;
        if eaten(text, at, "/") == 0 {
            break;
        }
        at += 1;
    }
    at += text[at..].len() - text[at..].trim_start_matches(' ').len();
    at += eaten(text, at, "!");
    if eaten(text, at, "=") == 0 {
        return None;
    }
    at += 1;
    at += text[at..].len() - text[at..].trim_start_matches(' ').len();
    if at == text.len() {
        return Some(Selector::In(Part::FilterValue(names), at, false));
    }
    let Some(end) = quoted_end(text, at) else {
        let is_open = text[at..].starts_with('"');
        return is_open.then_some(Selector::In(Part::FilterValue(names), at + 1, true));
    };
    (eaten(text, end, "]") == 1).then_some(Selector::Ends(end + 1))
}

/// The length of a token, if it stands at a place.
fn eaten(text: &str, at: usize, token: &str) -> usize {
    let there = text.get(at..).is_some_and(|rest| rest.starts_with(token));
    if there { token.len() } else { 0 }
}

/// Where the quoted text that begins at a place ends; nothing if it does not, or there is none.
fn quoted_end(text: &str, at: usize) -> Option<usize> {
    let rest = text[at..].strip_prefix('"')?;
    let mut escaped = false;
    for (i, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1 + i + 1),
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// A name as it stands between the quotes of a path.
pub(super) fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wanted at the `|` of a text.
    fn at(text: &str) -> Option<Wanted> {
        let offset = text.find('|').unwrap();
        wanted(&text.replace('|', ""), offset)
    }

    fn path(body: &str) -> Option<(usize, Part, String, bool)> {
        let text = format!("<a>\n<pattern id=\"P\" type=\"JsonKeypath\"><![CDATA[{body}|");
        match at(&text)? {
            Wanted::KeyPath {
                steps,
                part,
                typed,
                quoted,
                ..
            } => Some((steps.len(), part, text[typed].to_owned(), quoted)),
            Wanted::Attribute { .. } => None,
        }
    }

    #[test]
    fn an_attribute_is_known_by_what_stands_before_it() {
        let attribute = |text: &str| match at(text)? {
            Wanted::Attribute { element, name, .. } => Some((element, name)),
            Wanted::KeyPath { .. } => None,
        };
        let is = |element: &str, name: &str| Some((element.to_owned(), name.to_owned()));
        assert_eq!(attribute("<matcher field=\"Us|"), is("matcher", "field"));
        assert_eq!(
            attribute(
                "<pattern id=\"x\"><![CDATA[(?<=a=\"\n)]]></pattern>\n<json-matcher\n  field='a' pattern-id = '|"
            ),
            is("json-matcher", "pattern-id")
        );
        for text in [
            "<matcher field=\"User\" |",
            "<matcher field=|",
            "<other field=\"|",
            "<pattern id=\"x\">(?<=field=\"|",
            "field=\"|",
            "|",
        ] {
            assert_eq!(attribute(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_path_is_read_up_to_the_part_that_is_written() {
        let member =
            |steps, typed: &str, quoted| Some((steps, Part::Member, typed.to_owned(), quoted));
        assert_eq!(path("/"), member(0, "", false));
        assert_eq!(path("/\"ev"), member(0, "ev", true));
        assert_eq!(path("/\"a\"/\"b\"[0]/"), member(3, "", false));
        assert_eq!(path("/\"a\"[]/\"x"), member(2, "x", true));
        assert_eq!(path("/\"a\"[?\"k\"=\"v]/\"]/\"x"), member(2, "x", true));
        assert_eq!(path("/[?\"k\"!=\"\"]/\"x"), member(1, "x", true));
        assert_eq!(path("{/\"a\"} by {/\"b\"/\"c"), member(1, "c", true));
        for complete in [
            "", "/\"a\"", "/\"a\"[", "/\"a\"[x", "/\"a\"x/", "{/\"a\"}", "/x", "{",
        ] {
            assert_eq!(path(complete), None, "{complete}");
        }
    }

    #[test]
    fn a_filter_wants_a_member_and_then_a_value() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            path("/\"a\"[?"),
            Some((1, Part::FilterName(names(&[])), String::new(), false))
        );
        assert_eq!(
            path("/\"a\"[]/\"b\"[?\"k\"/\"l"),
            Some((3, Part::FilterName(names(&["k"])), "l".to_owned(), true))
        );
        assert_eq!(
            path("/\"a\"[?\"k\"/\"l\" != \"v"),
            Some((
                1,
                Part::FilterValue(names(&["k", "l"])),
                "v".to_owned(),
                true
            ))
        );
        assert_eq!(
            path("/[?\"k\"="),
            Some((0, Part::FilterValue(names(&["k"])), String::new(), false))
        );
    }

    #[test]
    fn only_the_text_of_a_pattern_of_key_paths_wants_members() {
        for text in [
            "<pattern id=\"P\"><![CDATA[/\"a|",
            "<pattern id=\"P\" type=\"JsonKeypath\"/>/\"a|",
            "<pattern id=\"P\" type=\"JsonKeypath\"><![CDATA[/\"a\"]]></pattern> /\"a|",
            "<pattern id=\"P\" type=\"JsonKeypath\" /\"a|",
            "<patterns type=\"JsonKeypath\">/\"a|",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
        let within = at("<pattern type='JsonKeypath' dsmith:within='Base'> /\"|");
        assert!(
            matches!(&within, Some(Wanted::KeyPath { within: Some(base), in_cdata: false, .. }) if base == "Base"),
            "{within:?}"
        );
    }
}
