//! Parameters that protocols with brokers share, and what is made of them.

use crate::kafka::{Form, IdentifierPattern, Tables};
use crate::source::OpenError;
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};

pub(super) const PATTERN: Key = Key::new("log_source_identifier_pattern", Takes::ListOrCommas(&Takes::Text(1024)), "Lines `identifier=expression`, as a list. The first expression that is found in an event decides which log source it \
     belongs to; `$1` in the identifier is what the first group holds. Where there is no such log source, or no expression \
     is found, the event belongs to this one.").label("Log Source Identifier Pattern")
.rules(&[Rule {
    key: "use_as_a_gateway_log_source",
    when: When::Is("false"),
    effect: Effect::Unavailable,
}]);

pub(super) const INITIAL_POSITION: Key = Key::new("initial_position", Takes::Choice(&["earliest", "latest"]), "Where a group begins that has committed nothing yet. `latest` passes over what is already there.")
.default("earliest");

/// Whether events may belong to other log sources.
pub(super) const fn gateway(default: &'static str) -> Key {
    Key::new(
        "use_as_a_gateway_log_source",
        Takes::Boolean,
        "Whether events may belong to other log sources, as `log_source_identifier_pattern` says.",
    )
    .label("Use As A Gateway Log Source")
    .default(default)
}

/// How long the group waits for a member.
pub(super) const fn session_timeout(default: &'static str) -> Key {
    Key::new("session_timeout_ms", Takes::Integer(6000, 300_000), "Milliseconds without a heartbeat after which the others take over the partitions of a process.")
    .default(default)
}

pub(super) const HEARTBEAT: Key = Key::new(
    "heartbeat_interval_ms",
    Takes::Integer(100, 100_000),
    "Milliseconds from heartbeat to heartbeat: at most a third of `session_timeout_ms`.",
)
.default("3000");

/// What is wrong with the parameters that are shared here.
pub(super) fn faults(parameters: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Err(found) = IdentifierPattern::read(parameters.list(PATTERN.name)) {
        faults.extend(found.into_iter().map(|fault| {
            parameters.fault(
                FaultKind::Pattern,
                PATTERN.name,
                Some(fault.index),
                format!("a line of `{}` {}", PATTERN.name, fault.problem),
                fault.help,
            )
        }));
    }
    let timeout = number(parameters, "session_timeout_ms");
    if number(parameters, HEARTBEAT.name).saturating_mul(3) > timeout {
        faults.push(parameters.fault(
            FaultKind::Contradiction,
            HEARTBEAT.name,
            None,
            format!(
                "`{}` is more than a third of `session_timeout_ms`, {timeout}",
                HEARTBEAT.name
            ),
            "lower it, so that one lost heartbeat does not cost the partitions",
        ));
    }
    faults
}

/// A whole number that validation has made sure of.
pub(super) fn number(parameters: &Settings, key: &str) -> i64 {
    parameters.integer(key).unwrap_or_default()
}

/// Whether a group that has committed nothing yet begins at the end.
pub(super) fn is_from_end(parameters: &Settings) -> bool {
    parameters.text(INITIAL_POSITION.name) == Some("latest")
}

/// What becomes of a record.
pub(super) fn form(parameters: &Settings, unwrap: Option<Tables>) -> Result<Form, OpenError> {
    let identifiers = IdentifierPattern::read(parameters.list(PATTERN.name)).map_err(|faults| {
        let reasons: Vec<String> = faults.into_iter().map(|fault| fault.problem).collect();
        OpenError::Parameter {
            key: PATTERN.name,
            reason: reasons.join("; "),
        }
    })?;
    Ok(Form {
        unwrap,
        identifiers,
    })
}
