//! What Entra ID says when it gives no token, and what to do about it.

use crate::http::{Response, retry_after};
use crate::json;
use chrono::{DateTime, TimeDelta, Utc};

/// What becomes of the request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is repeated after a while that grows.
    Retry,
    /// It is repeated after this time.
    RetryAfter(TimeDelta),
    /// It is not repeated until somebody has had time to do something: to ask again and again with a wrong secret gets
    /// an application locked.
    Stop,
}

/// No token was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to do.
    pub verdict: Verdict,
    /// Entra's code, without `AADSTS`.
    pub code: Option<u32>,
    /// What is wrong, in our words: what the server writes could repeat what it was sent.
    pub message: String,
    /// What somebody can do about it.
    pub remedy: Option<String>,
}

/// Loop detection: Entra asks for minutes of silence.
const LOOP: Verdict = Verdict::RetryAfter(TimeDelta::minutes(5));

struct Known {
    codes: &'static [u32],
    verdict: Verdict,
    meaning: &'static str,
    remedy: &'static str,
}

/// Codes of Entra ID, from Microsoft's list of AADSTS error codes.
const KNOWN: &[Known] = &[
    Known {
        codes: &[7_000_215],
        verdict: Verdict::Stop,
        meaning: "the client secret is wrong",
        remedy: "use the value of the secret, not its ID, and check that it belongs to this application",
    },
    Known {
        codes: &[7_000_222],
        verdict: Verdict::Stop,
        meaning: "the client secret has expired",
        remedy: "make a new client secret for the application in Entra ID and put it where the parameter client_secret points",
    },
    Known {
        codes: &[7_000_218],
        verdict: Verdict::Stop,
        meaning: "the request carries no client secret",
        remedy: "check what the parameter client_secret points to",
    },
    Known {
        codes: &[700_016],
        verdict: Verdict::Stop,
        meaning: "the application does not exist in this tenant",
        remedy: "check client ID and tenant ID, and whether the tenant belongs to another cloud",
    },
    Known {
        codes: &[7_000_112],
        verdict: Verdict::Stop,
        meaning: "the application is disabled",
        remedy: "enable the application in Entra ID",
    },
    Known {
        codes: &[90_002, 900_023, 90_019],
        verdict: Verdict::Stop,
        meaning: "the tenant cannot be found",
        remedy: "check the tenant ID, and whether the tenant belongs to another cloud",
    },
    Known {
        codes: &[90_038],
        verdict: Verdict::Stop,
        meaning: "the tenant lives in another cloud",
        remedy: "choose the cloud of the tenant, so that its sign-in host is used",
    },
    Known {
        codes: &[500_011, 50_001, 650_057],
        verdict: Verdict::Stop,
        meaning: "the interface is not known in this tenant",
        remedy: "check the resource or scope against the cloud of the tenant, and add the permission for it to the application",
    },
    Known {
        codes: &[70_011, 28_002, 700_022, 700_023],
        verdict: Verdict::Stop,
        meaning: "the scope is not valid",
        remedy: "the scope has to be the address of one interface followed by /.default",
    },
    Known {
        codes: &[901_002],
        verdict: Verdict::Stop,
        meaning: "a resource was sent to version 2 of the token endpoint",
        remedy: "use the token endpoint that belongs to the protocol: /oauth2/token takes a resource, /oauth2/v2.0/token a scope",
    },
    Known {
        codes: &[900_144, 90_014, 9_002_313, 90_023, 90_004],
        verdict: Verdict::Stop,
        meaning: "the request for a token is malformed",
        remedy: "check the parameters of the log source for stray characters",
    },
    Known {
        codes: &[65_001, 90_094],
        verdict: Verdict::Stop,
        meaning: "nobody has consented to the permissions of the application",
        remedy: "let an administrator of the tenant grant consent to the application",
    },
    Known {
        codes: &[53_003, 530_032, 50_002, 53_000, 53_001],
        verdict: Verdict::Stop,
        meaning: "a policy of the tenant blocks the application",
        remedy: "exempt the application or this machine's address from the conditional access policy or tenant restriction",
    },
    Known {
        codes: &[700_027, 50_012],
        verdict: Verdict::Stop,
        meaning: "the client assertion is not valid",
        remedy: "use a client secret",
    },
    Known {
        codes: &[50_196],
        verdict: LOOP,
        meaning: "the same token was asked for too often",
        remedy: "check whether many log sources or another program use the same application",
    },
    Known {
        codes: &[90_055],
        verdict: Verdict::Retry,
        meaning: "the tenant is throttled",
        remedy: "check whether many log sources or another program use the same tenant",
    },
    Known {
        codes: &[90_006, 90_012, 90_024, 90_033, 90_090, 50_000],
        verdict: Verdict::Retry,
        meaning: "the sign-in service has a passing fault",
        remedy: "none needed unless it lasts; then see the service health of Entra ID",
    },
];

impl Refusal {
    /// Reads an answer that is no token.
    pub(super) fn read(response: &Response, now: DateTime<Utc>) -> Self {
        let [error, codes] =
            json::members(&response.body, ["error", "error_codes"]).unwrap_or_default();
        let error = error.and_then(json::text).filter(|error| {
            error.len() <= 40 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        });
        let codes: Vec<u32> = codes
            .and_then(|codes| serde_json::from_str(codes.get()).ok())
            .unwrap_or_default();
        let known = codes.iter().find_map(|code| {
            KNOWN
                .iter()
                .find(|known| known.codes.contains(code))
                .map(|known| (*code, known))
        });
        let code = known.map(|(code, _)| code).or(codes.first().copied());
        let name = match (code, &error) {
            (Some(code), _) => format!("AADSTS{code}"),
            (None, Some(error)) => error.to_string(),
            (None, None) => format!("status {}", response.status),
        };
        let (verdict, message, remedy) = if let Some((_, known)) = known {
            let message = format!("no token: {} ({name})", known.meaning);
            (known.verdict, message, Some(known.remedy.to_owned()))
        } else {
            let passing = matches!(response.status, 408 | 429 | 500..)
                || error.as_deref() == Some("temporarily_unavailable");
            if passing {
                let message = format!("no token: the sign-in service has a passing fault ({name})");
                (Verdict::Retry, message, None)
            } else if error.is_some() || code.is_some() {
                let message = format!("no token: the sign-in service refuses ({name})");
                let remedy = code.map_or_else(
                    || "check the parameters for the authorization of the log source".to_owned(),
                    |code| format!("see https://login.microsoftonline.com/error?code={code}"),
                );
                (Verdict::Stop, message, Some(remedy))
            } else {
                let message = format!(
                    "no token: the sign-in host answers with status {}",
                    response.status
                );
                let remedy =
                    "check the authorization server, and whether a proxy answers in its place"
                        .to_owned();
                (Verdict::Stop, message, Some(remedy))
            }
        };
        // A wait that the server names holds for every fault that passes.
        let wait = response
            .header("retry-after")
            .and_then(|value| retry_after(value, response.date().unwrap_or(now)));
        let verdict = match (verdict, wait) {
            (Verdict::Retry, Some(wait)) => Verdict::RetryAfter(wait),
            (verdict, _) => verdict,
        };
        Self {
            verdict,
            code,
            message,
            remedy,
        }
    }

    /// An answer that claims to be a token and is none.
    pub(super) fn unexpected(message: String) -> Self {
        Self {
            verdict: Verdict::Retry,
            code: None,
            message,
            remedy: Some(
                "check the authorization server, and whether a proxy answers in its place"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, headers: &[(&str, &str)], body: &str) -> Refusal {
        let response = Response {
            status,
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec(),
        };
        Refusal::read(
            &response,
            DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        )
    }

    #[test]
    fn a_wrong_secret_stops_and_says_what_to_do() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: you sent s3cr3t","error_codes":[7000215]}"#;
        let refusal = refusal(401, &[], body);
        assert_eq!(refusal.verdict, Verdict::Stop);
        assert_eq!(
            refusal.message,
            "no token: the client secret is wrong (AADSTS7000215)"
        );
        assert!(refusal.remedy.as_deref().unwrap().contains("not its ID"));
        assert!(!format!("{refusal:?}").contains("s3cr3t"));
    }

    #[test]
    fn passing_faults_are_tried_again_and_the_rest_is_not() {
        let codes = |codes: &str| {
            refusal(
                400,
                &[],
                &format!(r#"{{"error":"x","error_codes":{codes}}}"#),
            )
            .verdict
        };
        assert_eq!(codes("[90033]"), Verdict::Retry);
        assert_eq!(codes("[50196]"), Verdict::RetryAfter(TimeDelta::minutes(5)));
        assert_eq!(codes("[90038]"), Verdict::Stop);
        assert_eq!(codes("[1,7000222]"), Verdict::Stop);
        assert_eq!(codes("[123456789]"), Verdict::Stop);
        let verdict = |status, body| refusal(status, &[], body).verdict;
        assert_eq!(
            verdict(400, r#"{"error":"temporarily_unavailable"}"#),
            Verdict::Retry
        );
        assert_eq!(verdict(400, r#"{"error":"invalid_scope"}"#), Verdict::Stop);
        assert_eq!(verdict(503, "<html>"), Verdict::Retry);
        assert_eq!(verdict(404, "<html>"), Verdict::Stop);
        assert_eq!(verdict(429, ""), Verdict::Retry);
    }

    #[test]
    fn a_wait_that_the_server_names_is_kept_but_makes_nothing_passing() {
        let wait = [("retry-after", "2.5")];
        assert_eq!(
            refusal(429, &wait, "").verdict,
            Verdict::RetryAfter(TimeDelta::milliseconds(2500))
        );
        assert_eq!(
            refusal(401, &wait, r#"{"error_codes":[7000222]}"#).verdict,
            Verdict::Stop
        );
    }

    #[test]
    fn hostile_bodies_give_a_status_and_no_echo() {
        for body in [
            r#"{"error":{"a":1},"error_codes":{"b":2}}"#,
            r#"{"error":"Echo s3cr3t","error_codes":["s3cr3t"]}"#,
            r#"{"error_codes":[99999999999999999999]}"#,
            "[[[[[[",
        ] {
            let refusal = refusal(400, &[], body);
            assert_eq!(
                refusal.message, "no token: the sign-in host answers with status 400",
                "{body}"
            );
        }
    }

    #[test]
    fn no_code_has_two_meanings() {
        let mut codes: Vec<u32> = KNOWN
            .iter()
            .flat_map(|known| known.codes)
            .copied()
            .collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
