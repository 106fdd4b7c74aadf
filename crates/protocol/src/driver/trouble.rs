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

/// The error codes of Microsoft's interfaces. Nothing else that a server says is shown: it could repeat what it was sent.
const CODES: &[&str] = &[
    "AccessDenied",
    "AuthenticationError",
    "Authorization_IdentityNotFound",
    "Authorization_RequestDenied",
    "BadRequest",
    "Conflict",
    "DisabledFeature",
    "DisallowedOperation",
    "Forbidden",
    "GatewayTimeout",
    "InternalServerError",
    "InvalidAuthenticationToken",
    "InvalidInput",
    "InvalidRequest",
    "MethodNotAllowed",
    "NotFound",
    "Request_BadRequest",
    "Request_ResourceNotFound",
    "Request_UnsupportedQuery",
    "ResourceNotFound",
    "ServiceNotAvailable",
    "ServiceUnavailable",
    "Throttled",
    "TooManyRequests",
    "Unauthorized",
    "UnknownError",
    "accessDenied",
    "activityLimitReached",
    "generalException",
    "invalidRequest",
    "notSupported",
    "quotaLimitReached",
    "resourceNotFound",
    "serviceNotAvailable",
    "unauthenticated",
];

/// How many permissions of those that a server names are shown.
const MAX_PERMISSIONS: usize = 6;

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
            .and_then(|value| retry_after(value, response.date().unwrap_or(now)));
        let words = known_words(&response.body);
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

/// What a server says in the error envelope of Microsoft's interfaces, as far as it is known to be harmless: one of its
/// codes, and the names of permissions.
fn known_words(body: &[u8]) -> Option<String> {
    let [error] = json::members(body, ["error"])?;
    let [code, message] = json::members(error?.get().as_bytes(), ["code", "message"])?;
    let code = code.and_then(json::text);
    let code = CODES.iter().find(|known| code.as_deref() == Some(known));
    let message = message.and_then(json::text).unwrap_or_default();
    let mut permissions: Vec<&str> = Vec::new();
    for word in message.split(|c: char| !c.is_ascii_alphabetic() && c != '.') {
        let word = word.trim_end_matches('.');
        if is_permission(word)
            && !permissions.contains(&word)
            && permissions.len() < MAX_PERMISSIONS
        {
            permissions.push(word);
        }
    }
    let said: Vec<&str> = code.copied().into_iter().chain(permissions).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// Whether this is the name of a permission of Microsoft's interfaces, such as `SecurityAlert.Read.All`.
fn is_permission(word: &str) -> bool {
    let mut parts = word.split('.');
    let is_name = |part: Option<&str>| part.is_some_and(|part| (2..=40).contains(&part.len()));
    is_name(parts.next())
        && matches!(parts.next(), Some("Read" | "ReadWrite"))
        && matches!(parts.next(), None | Some("All"))
        && parts.next().is_none()
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
        let body = r#"{"error":{"code":"Forbidden","message":"Missing\napplication roles. API required roles: SecurityAlert.Read.All,SecurityAlert.ReadWrite.All, application roles: SECRET.","target":"x"}}"#;
        let trouble = of_status(403, &[], body);
        assert_eq!(
            trouble.message,
            "the server refuses access (403): Forbidden, SecurityAlert.Read.All, SecurityAlert.ReadWrite.All"
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
    fn nothing_that_a_server_says_is_shown_but_what_is_known() {
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"error":"x"}"#,
            r#"{"error":{"code":5,"message":[]}}"#,
            r#"{"error":{"code":" "}}"#,
            r#"{"error":{"code":"eyJ0eXAiOiJKV1Qi","message":"authorization: Bearer eyJ0eXAiOiJKV1Qi"}}"#,
            r#"{"error":{"code":"Bearer","message":"s3cr3t.Read s3cr3t.Read.All.More Read.All"}}"#,
        ] {
            assert_eq!(known_words(body.as_bytes()), None, "{body}");
        }
        let many: String = ('a'..='z').map(|c| format!("A{c}.Read.All ")).collect();
        let body = format!(r#"{{"error":{{"code":"NotFound","message":"{many}"}}}}"#);
        let said = known_words(body.as_bytes()).unwrap();
        assert_eq!(said.split(", ").count(), 1 + MAX_PERMISSIONS);
    }

    #[test]
    fn a_date_to_wait_for_is_one_of_the_servers_clock() {
        let headers = [
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("date", "Sun, 06 Nov 1994 08:48:37 GMT"),
        ];
        assert_eq!(
            of_status(429, &headers, "").action,
            Action::Retry(RetryReason::Throttled, Some(TimeDelta::seconds(60)))
        );
    }
}
