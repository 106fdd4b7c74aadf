//! Match groups: what their matchers fill, with which part of a match, and what modifiers change.

use super::text::strftime_fault;
use super::{Compiler, UNUSABLE_KEY};
use crate::device_time::{DateFormat, Dialect};
use crate::diagnostic::{Code, Diagnostic, Severity, SourceFile, listed, nearest};
use crate::field::{Field, Kind as FieldKind};
use crate::lsx::{self, PatternType, Spanned};
use crate::manifest::PropertyType;
use crate::mapping::pattern::{self, Capture, Kind, TemplatePart};
use crate::mapping::{
    BranchKind, Candidates, CustomProperty, EventMatch, Group, Matcher, Target, Uses,
};
use crate::options::IpProperty;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

impl<'a> Compiler<'a> {
    pub(super) fn group_orders(&mut self, order: &[&lsx::Group]) {
        for pair in order.windows(2) {
            if pair[0].order.value == pair[1].order.value && pair[0].order.value > 0 {
                self.out.push(
                    Diagnostic::new(
                        Code::GroupOrderDuplicate,
                        format!("two match groups have order {}", pair[1].order.value),
                        "give each group an order of its own",
                    )
                    .at(&self.file, pair[1].order.span.clone(), "tried second")
                    .at(&self.file, pair[0].order.span.clone(), "tried first"),
                );
            }
        }
    }

    pub(super) fn group(&mut self, group: &lsx::Group) -> Group {
        let file = Arc::clone(&self.file);
        let prefix = format!("group/{}", group.order.value);
        let branch = self.branch(&prefix, BranchKind::Group, &file, group.span.clone());
        let prefix = self.branches[branch].id.clone();
        let mut by_target: BTreeMap<Target, Vec<(u32, Matcher)>> = BTreeMap::new();
        let mut orders: HashMap<(Target, u32), Range<usize>> = HashMap::new();
        for matcher in &group.matchers {
            let target = self.target(&matcher.field);
            let pattern = self.matcher_pattern(matcher);
            // A fault in one attribute does not hide those in the others.
            let capture = pattern.map(|pattern| self.capture(matcher, pattern));
            let format = target.and_then(|target| self.ext_data(matcher, target));
            let order = matcher.order.value;
            if let Some(target) = target
                && order > 0
            {
                match orders.entry((target, order)) {
                    Entry::Occupied(first) => self.out.push(
                        Diagnostic::new(
                            Code::MatcherShadowed,
                            format!("two matchers of {} have order {order}", matcher.field.value),
                            "give each its own order",
                        )
                        .at(&self.file, matcher.order.span.clone(), "tried second")
                        .at(&self.file, first.get().clone(), "tried first"),
                    ),
                    Entry::Vacant(free) => {
                        free.insert(matcher.order.span.clone());
                    }
                }
            }
            let (Some(target), Some(pattern), Some(capture)) = (target, pattern, capture) else {
                continue;
            };
            let id = format!("{prefix}/{}/{order}", matcher.field.value);
            let branch = self.branch(&id, BranchKind::Matcher, &file, matcher.span.clone());
            self.pattern_of.insert(branch, pattern);
            by_target.entry(target).or_default().push((
                order,
                Matcher {
                    branch,
                    requires: self.requires(pattern),
                    direct: self.is_direct(pattern),
                    expects: self.regex_of(pattern),
                    pattern,
                    capture,
                    format,
                },
            ));
        }
        let name = Target::Field(Field::EventName);
        let mut targets: Vec<Candidates> = Vec::new();
        let mut event_name = Candidates::new(name, FieldKind::Text, Vec::new());
        for (target, mut matchers) in by_target {
            matchers.sort_by_key(|(order, _)| *order);
            let matchers = matchers.into_iter().map(|(_, matcher)| matcher).collect();
            let candidates = Candidates::new(target, self.kind(target), matchers);
            if target == name {
                event_name = candidates;
            } else {
                targets.push(candidates);
            }
        }
        self.event_name_missing(group);
        let singles = self.singles(group, &prefix, &event_name.matchers);
        let multiples = self.multiples(group, &prefix);
        Group {
            branch,
            type_override: group.type_override.as_ref().map(|id| id.value),
            event_name,
            // Made when all patterns are known.
            uses: Uses::default(),
            targets,
            singles,
            multiples,
        }
    }

    fn event_name_missing(&mut self, group: &lsx::Group) {
        let name = Field::EventName.name();
        let meant = |field: &str| {
            // A matcher without its field may be the one, and so may a misspelt one.
            field.is_empty()
                || field == name
                || (Field::from_name(field).is_none()
                    && nearest(field, Field::NAMES.iter().copied()) == Some(name))
        };
        if self.document.unread
            || self.document.mentioned.contains(name)
            || group.matchers.iter().any(|m| meant(&m.field.value))
        {
            return;
        }
        let of = match group.order.value {
            0 => "the match group".to_owned(),
            order => format!("match group {order}"),
        };
        self.report(
            Code::EventNameMissing,
            &group.span,
            format!("{of} has no matcher for EventName"),
            "add one; a constant is a pattern that matches, with capture-group=\"Name\" enable-substitutions=\"true\"",
        );
    }

    fn target(&mut self, field: &Spanned<String>) -> Option<Target> {
        if field.value.is_empty() {
            return None;
        }
        if let Some(field) = Field::from_name(&field.value) {
            return Some(Target::Field(field));
        }
        if let Some(&index) = self.custom_by_name.get(&field.value) {
            self.named.insert(index);
            return Some(Target::Custom(index));
        }
        // The property may be declared in a part of the manifest that could not be read.
        if self.manifest.unread {
            return None;
        }
        let known = Rc::clone(&self.known_fields);
        let bare = self.source.is_none();
        let near = self.suggester.nearest(&field.value, &known);
        // The property that was meant is not unfilled.
        self.named
            .extend(near.and_then(|name| self.custom_by_name.get(name)));
        let help = if bare {
            let names = listed(Field::NAMES);
            let did_you_mean =
                near.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            format!(
                "{did_you_mean}system properties: {names}; it is kept as a custom property here"
            )
        } else {
            let declare = "another property is declared as [[property]] in manifest.toml";
            let list = listed(&known);
            match near {
                Some(name) => format!("did you mean `{name}`? {declare}; known are {list}"),
                None => {
                    format!("declare it as [[property]] in manifest.toml, or name one of {list}")
                }
            }
        };
        let mut finding = Diagnostic::new(
            Code::FieldUnknown,
            format!("`{}` is not a property", field.value),
            help,
        )
        .at(&self.file, field.span.clone(), "");
        if bare {
            finding = finding.with_severity(Severity::Warning);
        }
        self.out.push(finding);
        if !bare {
            return None;
        }
        let leef_key = self.leef_keys.free(&field.value);
        Some(Target::Custom(self.add_custom(CustomProperty {
            name: field.value.clone(),
            kind: PropertyType::String,
            leef_key,
            description: String::new(),
            format: None,
        })))
    }

    pub(super) fn kind(&self, target: Target) -> FieldKind {
        let options = &self.manifest.options;
        match target {
            Target::Field(field) => field.kind(),
            Target::Custom(index) => match (self.custom[index].kind, options.ip_property) {
                (PropertyType::Ip, IpProperty::Ipv4) => FieldKind::Ipv4,
                (kind, _) => kind.kind(),
            },
        }
    }

    fn capture(&mut self, matcher: &lsx::Matcher, compiled: usize) -> Capture {
        let groups = match &self.patterns[compiled].kind {
            Kind::Regex(regex) => regex.group_count(),
            _ => return Capture::Group(0),
        };
        let Some(text) = &matcher.capture_group else {
            return Capture::Group(0);
        };
        let substitutions = matcher
            .enable_substitutions
            .as_ref()
            .is_some_and(|flag| flag.value);
        let missing = |this: &mut Self, group: usize| {
            this.group_missing(group, groups, &text.span, &matcher.pattern_id);
        };
        if !substitutions && let Ok(group) = text.value.trim().parse::<usize>() {
            if group > groups {
                missing(self, group);
                return Capture::Group(0);
            }
            return Capture::Group(group);
        }
        let editor = text.value.match_indices('$').find_map(|(at, _)| {
            text.value[at + 1..]
                .chars()
                .next()
                .filter(char::is_ascii_digit)
        });
        if substitutions && let Some(digit) = editor {
            self.out.push(
                Diagnostic::new(
                    Code::AttributeMisleading,
                    format!("`${digit}` in a capture-group is not replaced"),
                    format!("write `\\{digit}`"),
                )
                .because("`$` and a digit is the notation of the DSM Editor; in an extension it stands for itself")
                .at(&self.file, text.span.clone(), ""),
            );
        }
        if !substitutions && let Some(digit) = editor {
            self.report(
                Code::TemplateWithoutFlag,
                &text.span,
                format!("capture-group `{}` is in the notation of the DSM Editor", text.value),
                format!("write {digit}, or `\\{digit}` with enable-substitutions=\"true\" in a longer text"),
            );
        } else if !substitutions {
            self.report(
                Code::TemplateWithoutFlag,
                &text.span,
                format!("capture-group `{}` is a template", text.value),
                "add enable-substitutions=\"true\"",
            );
        }
        let parts = pattern::template(&text.value);
        for (at, part) in parts.iter().enumerate() {
            let TemplatePart::Group(group) = part else {
                continue;
            };
            if *group > groups {
                missing(self, *group);
            }
            if let Some(TemplatePart::Literal(next)) = parts.get(at + 1)
                && next.starts_with(|c: char| c.is_ascii_digit())
            {
                self.report(
                    Code::TemplateGroupAboveNine,
                    &text.span,
                    format!("`\\{group}{}` is group {group} followed by a digit", &next[..1]),
                    "use non-capturing groups (?:...) so that the group you need is among the first nine",
                );
            }
        }
        Capture::Template(parts)
    }

    fn group_missing(
        &mut self,
        group: usize,
        groups: usize,
        place: &Range<usize>,
        id: &Spanned<String>,
    ) {
        let index = self.by_id.get(id.value.as_str()).copied();
        // That an empty pattern or a key path has no groups goes without saying.
        if [Code::PatternEmpty, Code::PatternTypeMismatch]
            .into_iter()
            .any(|code| index.is_some_and(|index| self.reported.contains(&(index, code))))
        {
            return;
        }
        let has = match groups {
            0 => "has no group".to_owned(),
            1 => "has one group".to_owned(),
            _ => format!("has {groups} groups"),
        };
        let mut finding = Diagnostic::new(
            Code::CaptureGroupMissing,
            format!("group {group} does not exist: pattern `{}` {has}", id.value),
            "count the opening parentheses; (?:...) does not count",
        )
        .at(&self.file, place.clone(), "");
        if let Some(index) = index {
            let body = self.document.patterns[index].body_span.clone();
            finding = finding.at(&self.file, body, has);
        }
        self.out.push(finding);
    }

    fn ext_data(&mut self, matcher: &lsx::Matcher, target: Target) -> Option<DateFormat> {
        let text = matcher.ext_data.as_ref()?;
        if self.kind(target) != FieldKind::Time {
            self.report(
                Code::ExtDataMisplaced,
                &text.span,
                format!("ext-data on {}", matcher.field.value),
                "remove it, or move it to the matcher for DeviceTime",
            );
            return None;
        }
        if let Some(error) = strftime_fault(&text.value) {
            let place = in_attribute(&self.file, text, &error.span);
            self.report(Code::DateFormatInvalid, &place, error.message, error.help);
            return None;
        }
        match DateFormat::new(&text.value, Dialect::Joda) {
            Ok(format) => Some(format),
            Err(error) => {
                let place = in_attribute(&self.file, text, &error.span);
                self.report(
                    Code::DateFormatInvalid,
                    &place,
                    error.message,
                    error.help.unwrap_or_default(),
                );
                None
            }
        }
    }

    fn singles(
        &mut self,
        group: &lsx::Group,
        prefix: &str,
        event_name: &[Matcher],
    ) -> Vec<EventMatch<String>> {
        let constants: Option<Vec<&str>> =
            event_name.iter().map(|m| constant(&m.capture)).collect();
        let yielded: HashSet<&str> = constants.iter().flatten().copied().collect();
        let file = Arc::clone(&self.file);
        let mut singles = Vec::new();
        let mut seen: HashMap<&str, &Range<usize>> = HashMap::new();
        for single in &group.singles {
            let name = &single.value.event_name;
            if name.value.is_empty() {
                continue;
            }
            if let Some(first) = seen.get(name.value.as_str()) {
                self.out.push(
                    Diagnostic::new(
                        Code::EventMatchDuplicate,
                        format!("two event-match-single elements name `{}`", name.value),
                        "put what they change into one element",
                    )
                    .at(&self.file, name.span.clone(), "never applies")
                    .at(&self.file, (*first).clone(), "applies"),
                );
            } else {
                seen.insert(&name.value, &name.span);
            }
            if let Some(constants) = &constants
                && !constants.is_empty()
                && !yielded.contains(name.value.as_str())
            {
                let what = "names that this group yields";
                let help = self.suggester.suggest(&name.value, what, constants);
                self.report(
                    Code::EventMatchUnreachable,
                    &name.span,
                    format!(
                        "no matcher of this group yields the event name `{}`",
                        name.value
                    ),
                    help,
                );
            }
            let id = format!("{prefix}/event-match-single/{}", name.value);
            let branch = self.branch(&id, BranchKind::EventMatch, &file, single.span.clone());
            singles.push(EventMatch {
                branch,
                on: name.value.clone(),
                modifiers: single.value.modifiers.clone(),
            });
        }
        singles
    }

    fn multiples(
        &mut self,
        group: &lsx::Group,
        prefix: &str,
    ) -> Vec<EventMatch<(usize, Option<usize>)>> {
        let file = Arc::clone(&self.file);
        let mut multiples = Vec::new();
        for multiple in &group.multiples {
            let id = &multiple.value.pattern_id;
            let Some(index) = self.declared(id) else {
                continue;
            };
            self.declared_late(index, id);
            if let Some(kind) = &self.document.patterns[index].declared_type
                && kind.value != PatternType::JavaPattern
            {
                self.out.push(
                    Diagnostic::new(
                        Code::PatternTypeMismatch,
                        format!(
                            "event-match-multiple runs pattern `{}` as a regular expression",
                            id.value
                        ),
                        "name a pattern of type JavaPattern; it is matched against the event name",
                    )
                    .at(&self.file, id.span.clone(), "")
                    .at(&self.file, kind.span.clone(), "declared here"),
                );
            }
            let Some(compiled) = self.compile_pattern(index, PatternType::JavaPattern, "") else {
                continue;
            };
            let capture = multiple.value.capture_group.as_ref();
            if let Kind::Regex(regex) = &self.patterns[compiled].kind
                && let Some(group) = capture
                && group.value as usize > regex.group_count()
            {
                let groups = regex.group_count();
                let (number, span) = (group.value as usize, group.span.clone());
                self.group_missing(number, groups, &span, id);
                continue;
            }
            let capture = capture.map(|group| group.value as usize);
            let name = format!("{prefix}/event-match-multiple/{}", id.value);
            let branch = self.branch(&name, BranchKind::EventMatch, &file, multiple.span.clone());
            multiples.push(EventMatch {
                branch,
                on: (compiled, capture),
                modifiers: multiple.value.modifiers.clone(),
            });
        }
        multiples
    }
}

/// The place of a part of an attribute; the whole value where escapes make offsets differ.
fn in_attribute(file: &SourceFile, value: &Spanned<String>, part: &Range<usize>) -> Range<usize> {
    if file.text.get(value.span.clone()) == Some(value.value.as_str()) {
        value.span.start + part.start..value.span.start + part.end
    } else {
        value.span.clone()
    }
}

/// The text of a template without groups.
fn constant(capture: &Capture) -> Option<&str> {
    match capture {
        Capture::Template(parts) => match parts.as_slice() {
            [TemplatePart::Literal(text)] => Some(text),
            _ => None,
        },
        Capture::Group(_) => None,
    }
}

/// The LEEF keys of custom properties.
#[derive(Debug, Default)]
pub(super) struct LeefKeys {
    taken: HashSet<String>,
    /// How many properties had to get a number behind the same key.
    numbered: HashMap<String, usize>,
}

impl LeefKeys {
    pub(super) fn take(&mut self, key: &str) {
        self.taken.insert(key.to_owned());
    }

    fn is_free(&self, key: &str) -> bool {
        leef::attribute::predefined_ignoring_case(key).is_none()
            && !crate::output::leef::RESERVED_KEYS.contains(&key)
            && !self.taken.contains(key)
    }

    /// A key made from a name, not taken by another property or by LEEF itself.
    fn free(&mut self, name: &str) -> leef::Key {
        let mut key: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
            key.insert_str(0, "custom");
        }
        if !self.is_free(&key) {
            key.push_str("Custom");
        }
        if !self.is_free(&key) {
            let base = key.clone();
            let mut number = self.numbered.get(&base).copied().unwrap_or(1);
            while !self.is_free(&key) {
                crate::steps::count(1);
                number += 1;
                key = format!("{base}{number}");
            }
            self.numbered.insert(base, number);
        }
        self.take(&key);
        leef::Key::new(key).unwrap_or(UNUSABLE_KEY)
    }
}
