//! The attributes of one element.

use super::parse::Parser;
use super::{DSMITH_NAMESPACE, Spanned};
use crate::diagnostic::{Code, Diagnostic, suggest};
use quick_xml::events::BytesStart;
use std::ops::Range;

/// The attributes of one element, taken out one by one; what remains is unknown.
pub(super) struct Attributes {
    list: Vec<Attribute>,
    pub(super) span: Range<usize>,
}

struct Attribute {
    ours: bool,
    name: String,
    name_span: Range<usize>,
    value: Spanned<String>,
}

impl Attributes {
    pub(super) fn read(parser: &mut Parser<'_>, tag: &BytesStart<'_>, span: &Range<usize>) -> Self {
        let mut this = Self {
            list: Vec::new(),
            span: span.clone(),
        };
        let content: &str = tag;
        // The content of the tag begins after `<`; attributes borrow from it, so pointers tell their place.
        let place = |part: &str| {
            let start =
                span.start + 1 + (part.as_ptr() as usize).wrapping_sub(content.as_ptr() as usize);
            start..start + part.len()
        };
        let mut found = Vec::new();
        for attribute in tag.attributes() {
            match attribute {
                Ok(attribute) => {
                    let name: &str = attribute.key.into_inner();
                    let raw: &str = &attribute.value;
                    found.push((name.to_owned(), place(name), raw.to_owned(), place(raw)));
                }
                Err(error) => parser.out.push(
                    Diagnostic::new(
                        Code::XmlMalformed,
                        format!("{error}"),
                        "write each attribute once, as name=\"value\"",
                    )
                    .at(parser.file, span.clone(), "in this element"),
                ),
            }
        }
        for (name, _, raw, _) in &found {
            if let Some(prefix) = name.strip_prefix("xmlns:")
                && raw == DSMITH_NAMESPACE
            {
                parser.prefixes.push(prefix.to_owned());
            }
        }
        for (name, name_span, raw, value_span) in found {
            if name == "xmlns"
                || name.starts_with("xmlns:")
                || name.starts_with("xml:")
                || name.starts_with("xsi:")
            {
                continue;
            }
            let value = match quick_xml::escape::unescape(&raw) {
                Ok(value) => value.into_owned(),
                Err(error) => {
                    parser.out.push(
                        Diagnostic::new(
                            Code::DtdRefused,
                            format!("{error}"),
                            "only &lt; &gt; &amp; &quot; &apos; and character numbers are known",
                        )
                        .at(parser.file, value_span.clone(), ""),
                    );
                    raw
                }
            };
            let (ours, local) = match name.split_once(':') {
                Some((prefix, local)) if parser.prefixes.iter().any(|p| p == prefix) => {
                    (true, local.to_owned())
                }
                _ => (false, name),
            };
            this.list.push(Attribute {
                ours,
                name: local,
                name_span,
                value: Spanned::new(value, value_span),
            });
        }
        this
    }

    fn remove(&mut self, ours: bool, name: &str) -> Option<Spanned<String>> {
        let index = self
            .list
            .iter()
            .position(|a| a.ours == ours && a.name == name)?;
        Some(self.list.remove(index).value)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Spanned<String>> {
        self.remove(false, name)
    }

    pub(super) fn take_ours(&mut self, name: &str) -> Option<Spanned<String>> {
        self.remove(true, name)
    }

    pub(super) fn required(
        &mut self,
        parser: &mut Parser<'_>,
        element: &str,
        name: &str,
    ) -> Option<Spanned<String>> {
        let value = self.take(name).filter(|value| !value.value.is_empty());
        if value.is_none() {
            parser.out.push(
                Diagnostic::new(
                    Code::AttributeMissing,
                    format!("`{element}` has no `{name}`"),
                    format!("add {name}=\"...\" to this element"),
                )
                .at(parser.file, self.span.clone(), ""),
            );
        }
        value
    }

    pub(super) fn boolean(&mut self, parser: &mut Parser<'_>, name: &str) -> Option<Spanned<bool>> {
        let value = self.take(name)?;
        let truth = match value.value.trim() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                parser.invalid(
                    &value,
                    format!("`{}` is not a value of {name}", value.value),
                    "write true or false".to_owned(),
                );
                return None;
            }
        };
        Some(Spanned::new(truth, value.span))
    }

    pub(super) fn number(&mut self, parser: &mut Parser<'_>, name: &str) -> Option<Spanned<u32>> {
        let value = self.take(name)?;
        let Ok(number) = value.value.trim().parse() else {
            parser.invalid(
                &value,
                format!("`{}` is not a value of {name}", value.value),
                "write a whole number".to_owned(),
            );
            return None;
        };
        Some(Spanned::new(number, value.span))
    }

    pub(super) fn order(&mut self, parser: &mut Parser<'_>, element: &str) -> Option<Spanned<u32>> {
        let value = self.required(parser, element, "order")?;
        match value.value.trim().parse::<u32>() {
            Ok(order @ 1..) => Some(Spanned::new(order, value.span)),
            _ => {
                parser.out.push(
                    Diagnostic::new(
                        Code::OrderInvalid,
                        format!("order `{}` is not a positive integer", value.value),
                        "write a whole number above zero; the lowest is tried first",
                    )
                    .at(parser.file, value.span, ""),
                );
                None
            }
        }
    }

    pub(super) fn report_rest(self, parser: &mut Parser<'_>, element: &str) {
        for attribute in self.list {
            let known = known_attributes(element);
            let (name, help) = if attribute.ours {
                let help = suggest(
                    &attribute.name,
                    "our attributes",
                    &["within", "hits", "separator"],
                );
                (format!("dsmith:{}", attribute.name), help)
            } else {
                let help = suggest(&attribute.name, "attributes of this element", known);
                (attribute.name, help)
            };
            parser.out.push(
                Diagnostic::new(
                    Code::AttributeUnknown,
                    format!("`{element}` has no attribute `{name}`"),
                    help,
                )
                .at(parser.file, attribute.name_span, ""),
            );
        }
    }
}

fn known_attributes(element: &str) -> &'static [&'static str] {
    match element {
        "pattern" => &[
            "id",
            "case-insensitive",
            "trim-whitespace",
            "use-default-pattern",
            "type",
        ],
        "match-group" => &["order", "description", "device-type-id-override"],
        "matcher" => &[
            "field",
            "pattern-id",
            "order",
            "capture-group",
            "enable-substitutions",
            "ext-data",
        ],
        "namevaluepair-matcher" => &[
            "field",
            "pattern-id",
            "order",
            "enable-substitutions",
            "ext-data",
            "delimiter-pair",
            "delimiter-namevalue",
        ],
        "genericlist-matcher" => &[
            "field",
            "pattern-id",
            "order",
            "enable-substitutions",
            "ext-data",
            "delimiter",
        ],
        "event-match-single" => &[
            "event-name",
            "device-event-category",
            "severity",
            "send-identity",
            "force-qidmap-lookup-on-fixup",
        ],
        "event-match-multiple" => &[
            "pattern-id",
            "capture-group-index",
            "device-event-category",
            "severity",
            "send-identity",
            "force-qidmap-lookup-on-fixup",
        ],
        _ => &[
            "field",
            "pattern-id",
            "order",
            "enable-substitutions",
            "ext-data",
        ],
    }
}
