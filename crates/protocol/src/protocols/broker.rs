//! Parameters that protocols with brokers share, and what is made of them.

use crate::kafka::{Form, IdentifierPattern, Tables};
use crate::parameter::{
    Allowed, Effect, FaultCode, Kind, Origin, Parameter, ParameterFault, Parameters, Rule, When,
};
use crate::source::OpenError;

pub(super) const PATTERN: Parameter = Parameter::new(
    "log_source_identifier_pattern",
    "Log Source Identifier Pattern",
    Kind::List { max_length: 1024 },
    "Lines `identifier=expression`, as a list. The first expression that is found in an event decides which log source it \
     belongs to; `$1` in the identifier is what the first group holds. Where there is no such log source, or no expression \
     is found, the event belongs to this one.",
)
.rules(&[Rule {
    parameter: "use_as_a_gateway_log_source",
    when: When::Is("false"),
    effect: Effect::Unavailable,
}]);

pub(super) const INITIAL_POSITION: Parameter = Parameter::new(
    "initial_position",
    "Initial Position",
    Kind::String { max_length: 16 },
    "Where a group begins that has committed nothing yet. `latest` passes over what is already there.",
)
.allowed(&[
    Allowed { value: "earliest", label: "Earliest" },
    Allowed { value: "latest", label: "Latest" },
])
.default("earliest")
.origin(Origin::Dsmith);

/// Whether events may belong to other log sources.
pub(super) const fn gateway(default: &'static str) -> Parameter {
    Parameter::new(
        "use_as_a_gateway_log_source",
        "Use As A Gateway Log Source",
        Kind::Boolean,
        "Whether events may belong to other log sources, as `log_source_identifier_pattern` says.",
    )
    .default(default)
}

/// How long the group waits for a member.
pub(super) const fn session_timeout(default: &'static str) -> Parameter {
    Parameter::new(
        "session_timeout_ms",
        "Session Timeout",
        Kind::Integer { min: 6000, max: 300_000 },
        "Milliseconds without a heartbeat after which the others take over the partitions of a process.",
    )
    .default(default)
    .origin(Origin::Dsmith)
}

pub(super) const HEARTBEAT: Parameter = Parameter::new(
    "heartbeat_interval_ms",
    "Heartbeat Interval",
    Kind::Integer {
        min: 100,
        max: 100_000,
    },
    "Milliseconds from heartbeat to heartbeat: at most a third of `session_timeout_ms`.",
)
.default("3000")
.origin(Origin::Dsmith);

/// What is wrong with the parameters that are shared here.
pub(super) fn faults(parameters: &Parameters) -> Vec<ParameterFault> {
    let mut faults = Vec::new();
    if let Err(found) = IdentifierPattern::read(parameters.list(PATTERN.name)) {
        faults.extend(found.into_iter().map(|fault| ParameterFault {
            key: PATTERN.name.to_owned(),
            index: Some(fault.index),
            code: FaultCode::Pattern,
            message: format!("a line of `{}` {}", PATTERN.name, fault.problem),
            help: fault.help.to_owned(),
        }));
    }
    let timeout = number(parameters, "session_timeout_ms");
    if number(parameters, HEARTBEAT.name).saturating_mul(3) > timeout {
        faults.push(contradiction(
            HEARTBEAT.name,
            format!(
                "`{}` is more than a third of `session_timeout_ms`, {timeout}",
                HEARTBEAT.name
            ),
            "lower it, so that one lost heartbeat does not cost the partitions",
        ));
    }
    faults
}

/// A fault between parameters.
pub(super) fn contradiction(key: &str, message: String, help: &str) -> ParameterFault {
    ParameterFault {
        key: key.to_owned(),
        index: None,
        code: FaultCode::Contradiction,
        message,
        help: help.to_owned(),
    }
}

/// A whole number that validation has made sure of.
pub(super) fn number(parameters: &Parameters, key: &str) -> i64 {
    parameters.integer(key).unwrap_or_default()
}

/// Whether a group that has committed nothing yet begins at the end.
pub(super) fn is_from_end(parameters: &Parameters) -> bool {
    parameters.text(INITIAL_POSITION.name) == Some("latest")
}

/// What becomes of a record.
pub(super) fn form(parameters: &Parameters, unwrap: Option<Tables>) -> Result<Form, OpenError> {
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
