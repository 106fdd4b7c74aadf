//! `[group]`.

use super::Findings;
use super::destinations::{brokers, check_broker_keys};
use crate::group::GroupOptions;
use dsm::diagnostic::Code;
use settings::{Settings, Spanned};

pub(super) fn read(findings: &mut Findings<'_>, root: &Settings) -> Option<Spanned<GroupOptions>> {
    let table = root.table("group")?;
    check_broker_keys(findings, table);
    for name in ["name", "topic"] {
        let Some(text) = table.text(name) else {
            continue;
        };
        // What Kafka takes for the name of a topic; a group is as easily told apart by it.
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_name = text.len() <= 249 && text.chars().all(is_legal);
        if !is_name {
            findings.report(
                Code::ConfigValueInvalid,
                &table.span_of(name),
                format!("`{text}` cannot be the {name} of a group"),
                "use up to 249 letters, digits, points, underscores and hyphens",
            );
        }
    }
    let number = |name: &str| table.number(name).unwrap_or_default();
    let options = GroupOptions {
        brokers: brokers(findings, table),
        name: table.text("name")?.to_owned(),
        topic: table.text("topic")?.to_owned(),
        partitions: u32::try_from(number("partitions")).unwrap_or(1),
        session_timeout: i64::try_from(number("session_timeout_ms")).unwrap_or(i64::MAX),
    };
    Some(Spanned::new(options, table.span.clone()))
}
