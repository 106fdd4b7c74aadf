//! The elements of an extension: from their attributes to what [`Document`](super::Document) holds.
//!
//! An element with a fault is kept, with an empty text or a zero in the place of what is missing, so that its other
//! faults are found in the same run.

use super::attributes::Attributes;
use super::parse::{Element, Open, Parser};
use super::{
    Body, EventMatchMultiple, EventMatchSingle, Group, Hits, Matcher, Modifiers, Pattern,
    PatternType, SendIdentity, Spanned,
};
use crate::diagnostic::{Code, Diagnostic, suggest};

/// What people write for a type of pattern, where neither spelling nor containment leads there.
const TYPE_ALIASES: &[(&str, PatternType)] = &[
    ("regex", PatternType::JavaPattern),
    ("regexp", PatternType::JavaPattern),
    ("regular-expression", PatternType::JavaPattern),
    ("string", PatternType::JavaPattern),
    ("nvp", PatternType::NameValuePairKey),
    ("kv", PatternType::NameValuePairKey),
    ("csv", PatternType::GenericListKey),
];

const MATCHERS: &str = "matchers and modifiers";

impl Parser<'_> {
    pub(super) fn pattern(&mut self, attributes: &mut Attributes) -> Open {
        self.count(|counts| &mut counts.patterns, "patterns", &attributes.span);
        let id = attributes.required(self, "pattern", "id");
        let declared_type = attributes
            .take("type")
            .and_then(|value| self.pattern_type(value));
        let hits = attributes.take_ours("hits").and_then(|value| {
            let hits = match value.value.as_str() {
                "first" => Hits::First,
                "joined" => Hits::Joined,
                _ => {
                    self.invalid(
                        &value,
                        format!("`{}` is not a choice of hits", value.value),
                        "write first (the first hit with a value) or joined (all of them)"
                            .to_owned(),
                        "the attribute says what several hits of one key path mean",
                    );
                    return None;
                }
            };
            Some(Spanned::new(hits, value.span))
        });
        let separator = attributes.take_ours("separator");
        if let (Some(hits), Some(kind)) = (&hits, &declared_type)
            && kind.value != PatternType::JsonKeypath
        {
            self.misleading(
                hits,
                format!("dsmith:hits on a pattern of type {}", kind.value.name()),
                "remove it",
                "only a JSON key path can have several hits",
            );
        }
        let mut flag = |name| attributes.boolean(self, name).is_some_and(|b| b.value);
        let pattern = Pattern {
            declared_type,
            case_insensitive: flag("case-insensitive"),
            trim_whitespace: flag("trim-whitespace"),
            use_default_pattern: flag("use-default-pattern"),
            body: Body::default(),
            body_span: attributes.span.clone(),
            within: attributes.take_ours("within"),
            hits,
            separator,
            span: attributes.span.clone(),
            id,
        };
        Open::Pattern(Box::new(pattern))
    }

    fn pattern_type(&mut self, value: Spanned<String>) -> Option<Spanned<PatternType>> {
        let position = PatternType::NAMES
            .iter()
            .position(|name| *name == value.value);
        if let Some(index) = position {
            return Some(Spanned::new(PatternType::ALL[index], value.span));
        }
        let alias = TYPE_ALIASES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&value.value));
        let types = suggest(&value.value, "types", PatternType::NAMES);
        let help = match alias {
            Some((_, kind)) => format!("did you mean `{}`? {types}", kind.name()),
            None => types,
        };
        self.invalid(
            &value,
            format!("`{}` is not a type of pattern", value.value),
            help,
            "the type says how the text of the pattern is read; without it that is JavaPattern, a regular expression",
        );
        None
    }

    pub(super) fn group(&mut self, attributes: &mut Attributes) -> Open {
        self.count(
            |counts| &mut counts.groups,
            "match groups",
            &attributes.span,
        );
        let group = Group {
            order: attributes.order(self, "match-group"),
            description: attributes
                .take("description")
                .map(|v| v.value)
                .unwrap_or_default(),
            type_override: attributes.number(self, "device-type-id-override"),
            matchers: Vec::new(),
            singles: Vec::new(),
            multiples: Vec::new(),
            span: attributes.span.clone(),
        };
        Open::Group(Box::new(group))
    }

    /// The group that is open, which is where matchers and modifiers are read.
    fn open_group(&mut self) -> Option<&mut Group> {
        match self.open.last_mut() {
            Some(Element {
                open: Open::Group(group),
                ..
            }) => Some(group),
            _ => None,
        }
    }

    pub(super) fn matcher(&mut self, element: PatternType, attributes: &mut Attributes) -> Open {
        self.count(|counts| &mut counts.matchers, MATCHERS, &attributes.span);
        let name = element.element();
        let field = attributes.required(self, name, "field");
        let pattern_id = attributes.required(self, name, "pattern-id");
        let order = attributes.order(self, name);
        let take = |attributes: &mut Attributes, only: PatternType, name: &str| {
            (element == only).then(|| attributes.take(name)).flatten()
        };
        let capture_group = take(attributes, PatternType::JavaPattern, "capture-group");
        if let Some(group) = &capture_group
            && group.value.trim().is_empty()
        {
            self.invalid(
                group,
                "capture-group is empty".to_owned(),
                "write the number of a group, or remove it to take the whole match".to_owned(),
                "it names no part of the match",
            );
        }
        let pair = take(attributes, PatternType::NameValuePairKey, "delimiter-pair");
        let list = take(attributes, PatternType::GenericListKey, "delimiter");
        let name_value = take(
            attributes,
            PatternType::NameValuePairKey,
            "delimiter-namevalue",
        );
        for (name, value) in [
            ("delimiter-pair", &pair),
            ("delimiter", &list),
            ("delimiter-namevalue", &name_value),
        ] {
            if let Some(value) = value {
                self.delimiter(name, value);
            }
        }
        let matcher = Matcher {
            element,
            capture_group: capture_group.filter(|group| !group.value.trim().is_empty()),
            enable_substitutions: attributes.boolean(self, "enable-substitutions"),
            ext_data: attributes.take("ext-data"),
            delimiter: pair.or(list),
            name_value_delimiter: name_value,
            span: attributes.span.clone(),
            field,
            pattern_id,
            order,
        };
        if let Some(group) = self.open_group() {
            group.matchers.push(matcher);
        }
        Open::Leaf
    }

    fn delimiter(&mut self, name: &str, value: &Spanned<String>) {
        if value.value.is_empty() {
            self.invalid(
                value,
                format!("{name} is empty"),
                "write the characters that separate, or remove the attribute for the default"
                    .to_owned(),
                "nothing can be split by an empty text",
            );
        }
        for (escape, reference) in [("\\t", "&#9;"), ("\\n", "&#10;")] {
            if value.value.contains(escape) {
                self.misleading(
                    value,
                    format!("{name} holds a backslash and a letter, `{escape}`"),
                    format!("write {reference}"),
                    "XML has no escapes with a backslash, so the two characters are looked for",
                );
            }
        }
    }

    pub(super) fn single(&mut self, attributes: &mut Attributes) -> Open {
        self.count(|counts| &mut counts.matchers, MATCHERS, &attributes.span);
        let single = EventMatchSingle {
            event_name: attributes.required(self, "event-match-single", "event-name"),
            modifiers: self.modifiers(attributes),
        };
        let span = attributes.span.clone();
        if let Some(group) = self.open_group() {
            group.singles.push(Spanned::new(single, span));
        }
        Open::Leaf
    }

    pub(super) fn multiple(&mut self, attributes: &mut Attributes) -> Open {
        self.count(|counts| &mut counts.matchers, MATCHERS, &attributes.span);
        let multiple = EventMatchMultiple {
            pattern_id: attributes.required(self, "event-match-multiple", "pattern-id"),
            capture_group: attributes.number(self, "capture-group-index"),
            modifiers: self.modifiers(attributes),
        };
        let span = attributes.span.clone();
        if let Some(group) = self.open_group() {
            group.multiples.push(Spanned::new(multiple, span));
        }
        Open::Leaf
    }

    fn modifiers(&mut self, attributes: &mut Attributes) -> Modifiers {
        let severity = attributes
            .take("severity")
            .map(|value| self.severity(value));
        let send_identity = attributes.take("send-identity").map(|value| {
            let known = SendIdentity::NAMES
                .iter()
                .find(|(name, _)| *name == value.value);
            if known.is_none() {
                let names: Vec<&str> = SendIdentity::NAMES.iter().map(|(name, _)| *name).collect();
                self.invalid(
                    &value,
                    format!("`{}` is not a value of send-identity", value.value),
                    suggest(&value.value, "values", &names),
                    "QRadar knows these four values",
                );
            }
            known.map(|(_, value)| *value).unwrap_or_default()
        });
        Modifiers {
            category: attributes.take("device-event-category").map(|v| v.value),
            severity,
            send_identity: send_identity.unwrap_or_default(),
            force_lookup: attributes
                .boolean(self, "force-qidmap-lookup-on-fixup")
                .is_some_and(|b| b.value),
        }
    }

    fn severity(&mut self, value: Spanned<String>) -> u8 {
        let text = value.value.trim();
        if let Ok(severity @ 1..=10) = text.parse::<u8>() {
            return severity;
        }
        let message = if text.parse::<f64>().is_ok() {
            format!("severity `{text}` lies outside 1 to 10")
        } else {
            format!("severity `{text}` is not a number")
        };
        self.out.push(
            Diagnostic::new(
                Code::SeverityOutOfRange,
                message,
                "write a whole number from 1 (lowest) to 10",
            )
            .at(self.file, value.span, "5 is used"),
        );
        5
    }

    fn misleading<T>(
        &mut self,
        value: &Spanned<T>,
        message: String,
        help: impl Into<String>,
        why: &str,
    ) {
        self.out.push(
            Diagnostic::new(Code::AttributeMisleading, message, help)
                .because(why)
                .at(self.file, value.span.clone(), ""),
        );
    }

    pub(super) fn invalid(
        &mut self,
        value: &Spanned<String>,
        message: String,
        help: String,
        why: &str,
    ) {
        self.out.push(
            Diagnostic::new(Code::ValueInvalid, message, help)
                .because(why)
                .at(self.file, value.span.clone(), ""),
        );
    }
}
