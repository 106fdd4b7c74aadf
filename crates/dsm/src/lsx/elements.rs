//! The elements of an extension: from their attributes to what [`Document`](super::Document) holds.

use super::attributes::Attributes;
use super::parse::{Open, Parser};
use super::{
    Body, EventMatchMultiple, EventMatchSingle, Group, Hits, Matcher, Modifiers, Pattern,
    PatternType, SendIdentity, Spanned,
};
use crate::diagnostic::{Code, Diagnostic, suggest};

impl Parser<'_> {
    pub(super) fn pattern(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let id = attributes.required(self, "pattern", "id");
        let declared_type = attributes.take("type").and_then(|value| {
            match PatternType::NAMES
                .iter()
                .position(|name| *name == value.value)
            {
                Some(index) => Some(Spanned::new(PatternType::ALL[index], value.span)),
                None => {
                    self.invalid(
                        &value,
                        format!("`{}` is not a type of pattern", value.value),
                        suggest(&value.value, "types", PatternType::NAMES),
                    );
                    None
                }
            }
        });
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
                    );
                    return None;
                }
            };
            Some(Spanned::new(hits, value.span))
        });
        let pattern = Pattern {
            declared_type,
            case_insensitive: attributes
                .boolean(self, "case-insensitive")
                .is_some_and(|b| b.value),
            trim_whitespace: attributes
                .boolean(self, "trim-whitespace")
                .is_some_and(|b| b.value),
            use_default_pattern: attributes
                .boolean(self, "use-default-pattern")
                .is_some_and(|b| b.value),
            body: Body::default(),
            body_span: attributes.span.clone(),
            within: attributes.take_ours("within"),
            hits,
            separator: attributes.take_ours("separator").map(|value| value.value),
            span: attributes.span.clone(),
            id: id?,
        };
        Some(Open::Pattern(Box::new(pattern)))
    }

    pub(super) fn group(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let order = attributes.order(self, "match-group");
        let group = Group {
            description: attributes
                .take("description")
                .map(|v| v.value)
                .unwrap_or_default(),
            type_override: attributes.number(self, "device-type-id-override"),
            matchers: Vec::new(),
            singles: Vec::new(),
            multiples: Vec::new(),
            span: attributes.span.clone(),
            order: order?,
        };
        Some(Open::Group(Box::new(group)))
    }

    pub(super) fn matcher(
        &mut self,
        element: PatternType,
        attributes: &mut Attributes,
    ) -> Option<Open> {
        let name = element.element();
        let field = attributes.required(self, name, "field");
        let pattern_id = attributes.required(self, name, "pattern-id");
        let order = attributes.order(self, name);
        let take = |attributes: &mut Attributes, only: PatternType, name: &str| {
            (element == only).then(|| attributes.take(name)).flatten()
        };
        let capture_group = take(attributes, PatternType::JavaPattern, "capture-group");
        let delimiter = take(attributes, PatternType::NameValuePairKey, "delimiter-pair")
            .or_else(|| take(attributes, PatternType::GenericListKey, "delimiter"))
            .map(|v| v.value);
        let name_value_delimiter = take(
            attributes,
            PatternType::NameValuePairKey,
            "delimiter-namevalue",
        )
        .map(|v| v.value);
        let matcher = Matcher {
            element,
            capture_group,
            enable_substitutions: attributes.boolean(self, "enable-substitutions"),
            ext_data: attributes.take("ext-data"),
            delimiter,
            name_value_delimiter,
            span: attributes.span.clone(),
            field: field?,
            pattern_id: pattern_id?,
            order: order?,
        };
        if let Some(Open::Group(group)) = self.open.last_mut() {
            group.matchers.push(matcher);
        }
        Some(Open::Leaf)
    }

    pub(super) fn single(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let event_name = attributes.required(self, "event-match-single", "event-name");
        let modifiers = self.modifiers(attributes);
        let single = EventMatchSingle {
            event_name: event_name?,
            modifiers,
        };
        if let Some(Open::Group(group)) = self.open.last_mut() {
            group
                .singles
                .push(Spanned::new(single, attributes.span.clone()));
        }
        Some(Open::Leaf)
    }

    pub(super) fn multiple(&mut self, attributes: &mut Attributes) -> Option<Open> {
        let pattern_id = attributes.required(self, "event-match-multiple", "pattern-id");
        let capture_group = attributes.number(self, "capture-group-index");
        let modifiers = self.modifiers(attributes);
        let multiple = EventMatchMultiple {
            pattern_id: pattern_id?,
            capture_group,
            modifiers,
        };
        if let Some(Open::Group(group)) = self.open.last_mut() {
            group
                .multiples
                .push(Spanned::new(multiple, attributes.span.clone()));
        }
        Some(Open::Leaf)
    }

    fn modifiers(&mut self, attributes: &mut Attributes) -> Modifiers {
        let severity =
            attributes
                .take("severity")
                .map(|value| match value.value.trim().parse::<u8>() {
                    Ok(severity @ 1..=10) => severity,
                    _ => {
                        self.out.push(
                            Diagnostic::new(
                                Code::SeverityOutOfRange,
                                format!("severity `{}` lies outside 1 to 10", value.value),
                                "write a whole number from 1 (lowest) to 10",
                            )
                            .at(self.file, value.span, "5 is used"),
                        );
                        5
                    }
                });
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

    pub(super) fn invalid(&mut self, value: &Spanned<String>, message: String, help: String) {
        self.out
            .push(Diagnostic::new(Code::ValueInvalid, message, help).at(
                self.file,
                value.span.clone(),
                "",
            ));
    }
}
