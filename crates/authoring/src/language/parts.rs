//! The parts of an extension that an editor asks about, and an extension that tries every pattern by itself.

use crate::rewrite::{cdata, escaped};
use dsm::Mapping;
use dsm::diagnostic::SourceFile;
use dsm::lsx::{self, DSMITH_NAMESPACE, Document, Hits, Matcher, NAMESPACE, Pattern, PatternType};
use dsm::options::Options;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// A branch of the extension as it is in the editor.
#[derive(Debug)]
pub(super) struct Part<'d> {
    /// The name by which the mapping knows it.
    pub(super) id: String,
    /// The start tag.
    pub(super) span: &'d Range<usize>,
    /// The pattern that it uses.
    pub(super) pattern: Option<&'d lsx::Spanned<String>>,
    pub(super) kind: PartKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    Group,
    Matcher,
    EventMatch,
}

/// The groups, matchers and modifiers, named as [`dsm::mapping::Branch`] names them.
pub(super) fn parts(document: &Document) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut add = |id: String, span, pattern, kind| {
        let count = seen.entry(id.clone()).or_default();
        *count += 1;
        let id = match *count {
            1 => id,
            count => format!("{id}#{count}"),
        };
        parts.push(Part {
            id: id.clone(),
            span,
            pattern,
            kind,
        });
        id
    };
    for group in &document.groups {
        let id = format!("group/{}", group.order.value);
        let prefix = add(id, &group.span, None, PartKind::Group);
        for matcher in &group.matchers {
            let id = format!("{prefix}/{}/{}", matcher.field.value, matcher.order.value);
            add(
                id,
                &matcher.span,
                Some(&matcher.pattern_id),
                PartKind::Matcher,
            );
        }
        for single in &group.singles {
            let id = format!(
                "{prefix}/event-match-single/{}",
                single.value.event_name.value
            );
            add(id, &single.span, None, PartKind::EventMatch);
        }
        for multiple in &group.multiples {
            let pattern = &multiple.value.pattern_id;
            let id = format!("{prefix}/event-match-multiple/{}", pattern.value);
            add(id, &multiple.span, Some(pattern), PartKind::EventMatch);
        }
    }
    parts
}

/// A mapping in which each pattern fills a property of its own, in one group that always applies; and the pattern of each
/// property. Patterns that only event names are matched with are left out: they are not for payloads.
pub(super) fn probe(
    extension: &Arc<SourceFile>,
    options: &Options,
) -> Option<(Mapping, HashMap<String, String>)> {
    const ALWAYS: &str = "dsmith:always";
    let document = lsx::parse(extension).0;
    let mut users: HashMap<&str, &Matcher> = HashMap::new();
    for matcher in document.groups.iter().flat_map(|group| &group.matchers) {
        users.entry(&matcher.pattern_id.value).or_insert(matcher);
    }
    let names: BTreeSet<&str> = document
        .groups
        .iter()
        .flat_map(|group| &group.multiples)
        .map(|multiple| multiple.value.pattern_id.value.as_str())
        .collect();
    let mut text = format!(
        "<p:device-extension xmlns:p=\"{NAMESPACE}\" xmlns:dsmith=\"{DSMITH_NAMESPACE}\">\n\
         <pattern id=\"{ALWAYS}\">(?s)^.?</pattern>\n"
    );
    let mut matchers = format!(
        "<match-group order=\"1\">\n<matcher field=\"EventName\" order=\"1\" pattern-id=\"{ALWAYS}\" \
         capture-group=\"any\" enable-substitutions=\"true\"/>\n"
    );
    let mut ids = HashMap::new();
    for (index, pattern) in document.patterns.iter().enumerate() {
        write_pattern(&mut text, pattern);
        let id = pattern.id.value.as_str();
        let user = users.get(id).copied();
        if user.is_none() && names.contains(id) {
            continue;
        }
        let name = format!("pattern {index}");
        write_matcher(&mut matchers, &name, pattern, user);
        ids.insert(name, id.to_owned());
    }
    text.push_str(&matchers);
    text.push_str("</match-group>\n</p:device-extension>\n");
    let file = SourceFile::new("probe", text);
    let (mapping, _) = Mapping::from_extension_with("probe", &file, options.clone());
    Some((mapping?, ids))
}

fn write_pattern(out: &mut String, pattern: &Pattern) {
    let _ = write!(out, "<pattern id=\"{}\"", escaped(&pattern.id.value));
    let mut attribute = |name: &str, value: &str| {
        let _ = write!(out, " {name}=\"{}\"", escaped(value));
    };
    if let Some(kind) = &pattern.declared_type {
        attribute("type", kind.value.name());
    }
    if pattern.case_insensitive {
        attribute("case-insensitive", "true");
    }
    if pattern.trim_whitespace {
        attribute("trim-whitespace", "true");
    }
    if let Some(within) = &pattern.within {
        attribute("dsmith:within", &within.value);
    }
    if let Some(hits) = &pattern.hits {
        attribute(
            "dsmith:hits",
            match hits.value {
                Hits::First => "first",
                Hits::Joined => "joined",
            },
        );
    }
    if let Some(separator) = &pattern.separator {
        attribute("dsmith:separator", &separator.value);
    }
    let _ = writeln!(out, ">{}</pattern>", cdata(&pattern.body.text));
}

/// A matcher that takes of the pattern what its first user does, or the whole match.
fn write_matcher(out: &mut String, field: &str, pattern: &Pattern, user: Option<&Matcher>) {
    let element = user.map_or(pattern.kind(), |user| user.element);
    let id = escaped(&pattern.id.value);
    let _ = write!(
        out,
        "<{} field=\"{field}\" order=\"1\" pattern-id=\"{id}\"",
        element.element()
    );
    let mut attribute = |name: &str, value: &str| {
        let _ = write!(out, " {name}=\"{}\"", escaped(value));
    };
    if element == PatternType::JavaPattern {
        let capture = user.and_then(|user| user.capture_group.as_ref());
        let group = capture.and_then(|capture| capture.value.trim().parse::<u32>().ok());
        attribute("capture-group", &group.unwrap_or(0).to_string());
    }
    if let Some(delimiter) = user.and_then(|user| user.delimiter.as_ref()) {
        let name = match element {
            PatternType::NameValuePairKey => "delimiter-pair",
            _ => "delimiter",
        };
        attribute(name, &delimiter.value);
    }
    if let Some(delimiter) = user.and_then(|user| user.name_value_delimiter.as_ref()) {
        attribute("delimiter-namevalue", &delimiter.value);
    }
    out.push_str("/>\n");
}
