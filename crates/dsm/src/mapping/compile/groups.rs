//! Match groups: what their matchers fill, with which part of a match, and what modifiers change.

use super::*;

impl<'a> Compiler<'a> {
    pub(super) fn group_orders(&mut self, order: &[&lsx::Group]) {
        for pair in order.windows(2) {
            if pair[0].order.value == pair[1].order.value {
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
            if self.branches.len() > MAX_MATCHERS {
                break;
            }
            let target = self.target(&matcher.field);
            let pattern = self.matcher_pattern(matcher);
            let (Some(target), Some(pattern)) = (target, pattern) else {
                continue;
            };
            let order = matcher.order.value;
            if let Some(first) = orders.get(&(target, order)) {
                self.out.push(
                    Diagnostic::new(
                        Code::MatcherShadowed,
                        format!("two matchers of {} have order {order}", matcher.field.value),
                        "give each its own order",
                    )
                    .at(&self.file, matcher.order.span.clone(), "tried second")
                    .at(&self.file, first.clone(), "tried first"),
                );
            } else {
                orders.insert((target, order), matcher.order.span.clone());
            }
            let id = format!("{prefix}/{}/{order}", matcher.field.value);
            let branch = self.branch(&id, BranchKind::Matcher, &file, matcher.span.clone());
            self.pattern_of.insert(branch, pattern);
            let capture = self.capture(matcher, pattern);
            let format = self.ext_data(matcher, target);
            by_target.entry(target).or_default().push((
                order,
                Matcher {
                    branch,
                    requires: self.requires(pattern),
                    direct: self.is_direct(pattern),
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
        if event_name.matchers.is_empty()
            && !group.matchers.iter().any(|m| m.field.value == "EventName")
        {
            self.report(
                Code::EventNameMissing,
                &group.span,
                format!("match group {} has no matcher for EventName", group.order.value),
                "add one; a constant is written as a pattern that matches and a capture-group without \\1",
            );
        }
        let singles = self.singles(group, &prefix, &event_name.matchers);
        let multiples = self.multiples(group, &prefix);
        Group {
            branch,
            type_override: group.type_override.as_ref().map(|id| id.value),
            event_name,
            targets,
            singles,
            multiples,
        }
    }

    fn target(&mut self, field: &Spanned<String>) -> Option<Target> {
        if let Some(field) = Field::from_name(&field.value) {
            return Some(Target::Field(field));
        }
        if let Some(index) = self
            .custom
            .iter()
            .position(|property| property.name == field.value)
        {
            return Some(Target::Custom(index));
        }
        let custom: Vec<&str> = self
            .custom
            .iter()
            .map(|property| property.name.as_str())
            .collect();
        let known: Vec<&str> = Field::NAMES.iter().copied().chain(custom).collect();
        let bare = self.source.is_none();
        let help = if bare {
            format!(
                "{}; it is kept as a custom property here",
                suggest(&field.value, "system properties", Field::NAMES)
            )
        } else {
            suggest(&field.value, "system and custom properties", &known)
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
        let leef_key = self.free_leef_key(&field.value);
        self.custom.push(CustomProperty {
            name: field.value.clone(),
            kind: PropertyType::String,
            leef_key,
            description: String::new(),
            format: None,
        });
        Some(Target::Custom(self.custom.len() - 1))
    }

    /// A LEEF key made from a name, not taken by another property or by LEEF itself.
    fn free_leef_key(&self, name: &str) -> String {
        let mut key: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
            key.insert_str(0, "custom");
        }
        while leef::attribute::predefined_ignoring_case(&key).is_some()
            || crate::output::leef::RESERVED_KEYS.contains(&key.as_str())
            || self.custom.iter().any(|property| property.leef_key == key)
        {
            key.push_str("Custom");
        }
        key
    }

    pub(super) fn kind(&self, target: Target) -> FieldKind {
        match target {
            Target::Field(field) => field.kind(),
            Target::Custom(index) => self.custom[index].kind.kind(),
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
            this.report(
                Code::CaptureGroupMissing,
                &text.span,
                format!(
                    "group {group} does not exist: pattern `{}` has {groups}",
                    matcher.pattern_id.value
                ),
                "count the opening parentheses; (?:...) does not count",
            );
        };
        if !substitutions && let Ok(group) = text.value.trim().parse::<usize>() {
            if group > groups {
                missing(self, group);
                return Capture::Group(0);
            }
            return Capture::Group(group);
        }
        if !substitutions {
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
        match DateFormat::new(&text.value, Dialect::Joda) {
            Ok(format) => Some(format),
            Err(error) => {
                let start = text.span.start + error.span.start;
                let end = (text.span.start + error.span.end).min(text.span.end);
                self.report(
                    Code::DateFormatInvalid,
                    &(start..end),
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
        let constants: Option<Vec<String>> =
            constants.map(|list| list.into_iter().map(str::to_owned).collect());
        let file = Arc::clone(&self.file);
        let mut singles = Vec::new();
        for single in &group.singles {
            let name = &single.value.event_name;
            if let Some(constants) = &constants
                && !constants.is_empty()
                && !constants.contains(&name.value)
            {
                self.report(
                    Code::EventMatchUnreachable,
                    &name.span,
                    format!(
                        "no matcher of this group yields the event name `{}`",
                        name.value
                    ),
                    format!("names that this group yields: {}", constants.join(", ")),
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
            if let Some(kind) = &self.document.patterns[index].declared_type
                && kind.value != PatternType::JavaPattern
            {
                self.report(
                    Code::PatternTypeMismatch,
                    &id.span,
                    format!(
                        "event-match-multiple runs pattern `{}` as a regular expression",
                        id.value
                    ),
                    "name a pattern of type JavaPattern; it is matched against the event name",
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
                self.report(
                    Code::CaptureGroupMissing,
                    &group.span,
                    format!(
                        "group {} does not exist: pattern `{}` has {groups}",
                        group.value, id.value
                    ),
                    "count the opening parentheses; (?:...) does not count",
                );
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
