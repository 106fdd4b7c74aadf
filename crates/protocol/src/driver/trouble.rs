//! What went wrong, what to do about it, and what somebody else can do about it.

use crate::http::{Response, TransportError, retry_after};
use crate::json;
use crate::oauth::{Refusal, Verdict};
use crate::source::ReadError;
use crate::status::{RetryReason, State};
use chrono::{DateTime, TimeDelta, Utc};

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) action: Action,
    /// How bad it is, seen once.
    pub(crate) state: State,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

/// What the driver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tries again, after the wait that the server orders or one that grows.
    Retry(RetryReason, Option<TimeDelta>),
    /// Gets another token and tries again.
    Reauthenticate,
    /// Begins the result again, if it is somewhere within it.
    Rewind,
    /// Asks for less, if less can be asked for.
    Narrow,
    /// Leaves it until the next recurrence, but at least for so long.
    GiveUp(TimeDelta),
}

/// The pause after a fault that does not go away by itself.
pub(crate) const PAUSE: TimeDelta = TimeDelta::minutes(5);

/// The pause after a refusal that must not be provoked again and again.
pub(crate) const LONG_PAUSE: TimeDelta = TimeDelta::hours(1);

/// The wait where a server throttles and does not say for how long.
const THROTTLED: TimeDelta = TimeDelta::seconds(60);

/// The remedy for what passes by itself on the server's side.
const LATER: &str = "none needed unless it lasts; then see the service health of the vendor";

/// How much of a server's own words is shown.
const MAX_WORDS: usize = 240;

impl Trouble {
    pub(crate) fn new(
        action: Action,
        state: State,
        message: impl Into<String>,
        remedy: Option<&str>,
    ) -> Self {
        Self {
            action,
            state,
            message: message.into(),
            remedy: remedy.map(str::to_owned),
        }
    }

    /// What a response with a status outside 200 to 299 means. `permission` is what the source says about 403.
    pub(crate) fn of_status(
        response: &Response,
        permission: Option<&str>,
        now: DateTime<Utc>,
    ) -> Self {
        let status = response.status;
        let wait = response
            .header("retry-after")
            .and_then(|value| retry_after(value, now));
        let words = words(&response.body);
        let said = |text: &str| {
            words
                .as_ref()
                .map_or_else(|| text.to_owned(), |words| format!("{text}: {words}"))
        };
        let retry = |reason, wait, text: &str, remedy| {
            Self::new(
                Action::Retry(reason, wait),
                State::Warn,
                said(text),
                Some(remedy),
            )
        };
        let give_up =
            |text: &str, remedy| Self::new(Action::GiveUp(PAUSE), State::Error, said(text), remedy);
        match status {
            401 => Self::new(
                Action::Reauthenticate,
                State::Error,
                said("the server does not accept the token (401)"),
                Some("check resource or scope, tenant and cloud: the token is for another interface, or the application was removed"),
            ),
            403 => give_up(
                "the server refuses access (403)",
                Some(permission.unwrap_or("give the application the permission for this interface and let an administrator consent")),
            ),
            429 => retry(
                RetryReason::Throttled,
                Some(wait.unwrap_or(THROTTLED)),
                "the server throttles (429)",
                "none needed unless it lasts; then poll less often, or find out who else asks with this application",
            ),
            503 if wait.is_some() => {
                retry(RetryReason::Throttled, wait, "the server is busy (503)", LATER)
            }
            408 | 500..=599 => retry(
                RetryReason::ServerError,
                wait,
                &format!("the server has a fault ({status})"),
                LATER,
            ),
            400 | 404 | 410 => Self {
                action: Action::Rewind,
                ..give_up(
                    &format!("the server does not understand the request ({status})"),
                    Some("check the parameters of the log source, above all cloud, region and filters"),
                )
            },
            _ => give_up(
                &format!("the server answers with status {status}"),
                Some("check the parameters of the log source, and whether a proxy answers in the server's place"),
            ),
        }
    }

    /// What the lack of a response means.
    pub(crate) fn of_transport(error: &TransportError) -> Self {
        let retry = |reason, remedy| {
            Self::new(
                Action::Retry(reason, None),
                State::Warn,
                error.to_string(),
                Some(remedy),
            )
        };
        let is_certificate = |reason: &str| reason.contains("certificate");
        match error {
            TransportError::Dns(_) => retry(
                RetryReason::Connection,
                "check the host name and the name servers of this machine",
            ),
            TransportError::Connect { .. } => retry(
                RetryReason::Connection,
                "check the route, the firewall and the proxy settings",
            ),
            TransportError::Tls { reason, .. } => Self {
                state: State::Error,
                ..retry(
                    RetryReason::Connection,
                    if is_certificate(reason) {
                        "if a proxy inspects TLS, name its certificate authority in the parameter ca_file; else check the clock of this machine"
                    } else {
                        "check whether something between here and the server interferes with TLS"
                    },
                )
            },
            TransportError::Proxy(_) => Self {
                state: State::Error,
                ..retry(
                    RetryReason::Connection,
                    "check proxy_server, proxy_port, proxy_username and proxy_password, and what the proxy allows",
                )
            },
            TransportError::Timeout(_) => retry(
                RetryReason::Timeout,
                "none needed unless it lasts; then check the route and the proxy",
            ),
            TransportError::Broken(_) => retry(
                RetryReason::Connection,
                "none needed unless it lasts; then check the route and the proxy",
            ),
            TransportError::Protocol(_) => retry(
                RetryReason::Unreadable,
                "check whether a proxy answers in the server's place",
            ),
            TransportError::TooLarge { .. } => Self::new(
                Action::Narrow,
                State::Error,
                error.to_string(),
                Some("nothing smaller can be asked for: check whether the server is the right one"),
            ),
            TransportError::Redirect(_) => Self::new(
                Action::GiveUp(PAUSE),
                State::Error,
                error.to_string(),
                Some(
                    "check the parameters of the log source, and whether a proxy answers in the server's place",
                ),
            ),
            TransportError::Local(_) => {
                Self::new(Action::GiveUp(PAUSE), State::Error, error.to_string(), None)
            }
        }
    }

    /// What an unreadable response means.
    pub(crate) fn of_reading(error: &ReadError) -> Self {
        match error {
            ReadError::Cursor(_) => Self::new(
                Action::GiveUp(LONG_PAUSE),
                State::Error,
                error.to_string(),
                None,
            ),
            ReadError::Truncated { .. } => Self::new(
                Action::Retry(RetryReason::Unreadable, None),
                State::Warn,
                error.to_string(),
                Some("none needed unless it lasts; then check whether a proxy cuts answers off"),
            ),
            _ => Self::new(
                Action::Retry(RetryReason::Unreadable, None),
                State::Warn,
                error.to_string(),
                Some("check whether a proxy answers in the server's place"),
            ),
        }
    }

    /// What the refusal of a token means.
    pub(crate) fn of_refusal(refusal: &Refusal) -> Self {
        let (action, state) = match refusal.verdict {
            Verdict::Retry => (Action::Retry(RetryReason::Token, None), State::Warn),
            Verdict::RetryAfter(wait) => {
                (Action::Retry(RetryReason::Token, Some(wait)), State::Warn)
            }
            Verdict::Stop => (Action::GiveUp(LONG_PAUSE), State::Error),
        };
        Self {
            action,
            state,
            message: refusal.message.clone(),
            remedy: refusal.remedy.clone(),
        }
    }
}

/// What a server says in the error envelope of Microsoft's interfaces, made fit to be shown.
fn words(body: &[u8]) -> Option<String> {
    let [error] = json::members(body, ["error"])?;
    let [code, message] = json::members(error?.get().as_bytes(), ["code", "message"])?;
    let text = |value| json::text(value).filter(|text| !text.trim().is_empty());
    let said: Vec<_> = [code.and_then(text), message.and_then(text)]
        .into_iter()
        .flatten()
        .collect();
    let said: String = said
        .join(", ")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_WORDS)
        .collect();
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_status(status: u16, headers: &[(&str, &str)], body: &str) -> Trouble {
        let response = Response {
            status,
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec(),
        };
        Trouble::of_status(
            &response,
            Some("grant Alert.Read.All"),
            DateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn a_missing_permission_names_the_permission_and_what_the_server_said() {
        let body = r#"{"error":{"code":"Forbidden","message":"Missing\nrole","target":"x"}}"#;
        let trouble = of_status(403, &[], body);
        assert_eq!(
            trouble.message,
            "the server refuses access (403): Forbidden, Missing role"
        );
        assert_eq!(trouble.remedy.as_deref(), Some("grant Alert.Read.All"));
        assert_eq!(trouble.action, Action::GiveUp(PAUSE));
    }

    #[test]
    fn throttling_obeys_the_server_or_waits_a_minute() {
        let wait = |headers: &[(&str, &str)]| of_status(429, headers, "").action;
        let throttled = |seconds| Action::Retry(RetryReason::Throttled, Some(seconds));
        assert_eq!(
            wait(&[("retry-after", "2.5")]),
            throttled(TimeDelta::milliseconds(2500))
        );
        assert_eq!(wait(&[]), throttled(TimeDelta::seconds(60)));
        assert_eq!(
            wait(&[("retry-after", "soon")]),
            throttled(TimeDelta::seconds(60))
        );
        assert_eq!(
            of_status(503, &[("retry-after", "7")], "").action,
            throttled(TimeDelta::seconds(7))
        );
        assert_eq!(
            of_status(500, &[], "").action,
            Action::Retry(RetryReason::ServerError, None)
        );
    }

    #[test]
    fn words_of_a_server_are_short_and_in_one_line() {
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"error":"x"}"#,
            r#"{"error":{"code":5,"message":[]}}"#,
            r#"{"error":{"code":" "}}"#,
        ] {
            assert_eq!(words(body.as_bytes()), None, "{body}");
        }
        let long = format!(
            r#"{{"error":{{"code":"A","message":"{}"}}}}"#,
            "ü".repeat(100_000)
        );
        assert_eq!(words(long.as_bytes()).unwrap().chars().count(), MAX_WORDS);
    }
}
