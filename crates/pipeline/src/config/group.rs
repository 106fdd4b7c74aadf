//! `[group]`.

use super::destinations::{brokers, check_broker_keys};
use super::table::{Reader, Table};
use crate::group::GroupOptions;
use dsm::diagnostic::Code;
use dsm::lsx::Spanned;
use std::path::Path;

pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Table<'_, '_>,
    base: &Path,
) -> Option<Spanned<GroupOptions>> {
    let table = root.sub(reader, "group")?;
    check_broker_keys(reader, &table);
    for name in ["name", "topic"] {
        let Some(text) = table.text(name) else {
            continue;
        };
        // What Kafka takes for the name of a topic; a group is as easily told apart by it.
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_name = text.len() <= 249 && text.chars().all(is_legal);
        if !is_name {
            reader.report(
                Code::ConfigValueInvalid,
                &table.span_of(name),
                format!("`{text}` cannot be the {name} of a group"),
                "use up to 249 letters, digits, points, underscores and hyphens",
            );
        }
    }
    let number = |name: &str| table.number(name).unwrap_or_default();
    let options = GroupOptions {
        brokers: brokers(reader, &table, base),
        name: table.text("name")?,
        topic: table.text("topic")?,
        partitions: u32::try_from(number("partitions")).unwrap_or(1),
        session_timeout: i64::try_from(number("session_timeout_ms")).unwrap_or(i64::MAX),
    };
    Some(Spanned::new(options, table.span.clone()))
}
