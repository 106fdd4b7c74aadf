//! Tokens for brokers, from the same place as those for interfaces.

use super::Sasl;
use super::fault::{Fault, Subject};
use crate::clock::{Clock, SystemClock};
use crate::driver::{Action, Trouble};
use crate::http::{Transport, TransportError, UreqTransport};
use crate::oauth::{ClientCredentials, Token};
use crate::status::State;
use chrono::TimeDelta;
use rdkafka::client::OAuthToken;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How soon is asked again after a fault that passes.
const RETRY: TimeDelta = TimeDelta::seconds(10);

/// Gets tokens, and does not ask again and again where it was refused for good.
#[derive(Debug)]
pub struct Tokens {
    credentials: ClientCredentials,
    transport: Arc<dyn Transport>,
    refused: Mutex<Option<Refused>>,
}

#[derive(Debug)]
struct Refused {
    /// By [`Clock::elapsed`].
    until: Duration,
    trouble: Trouble,
}

impl Tokens {
    /// Who gets tokens for this way of signing in; nobody where none are needed.
    ///
    /// # Errors
    /// A file with certificate authorities cannot be read.
    pub fn of(sasl: Option<&Sasl>) -> Result<Option<Self>, TransportError> {
        match sasl {
            Some(Sasl::Token { credentials, http }) => {
                let transport = Arc::new(UreqTransport::new((**http).clone())?);
                Ok(Some(Self::new((**credentials).clone(), transport)))
            }
            _ => Ok(None),
        }
    }

    fn new(credentials: ClientCredentials, transport: Arc<dyn Transport>) -> Self {
        Self {
            credentials,
            transport,
            refused: Mutex::new(None),
        }
    }

    /// A new token, for librdkafka.
    ///
    /// # Errors
    /// Why there is none, without secrets.
    pub fn issue(tokens: Option<&Self>) -> Result<OAuthToken, Fault> {
        let fault = |state, message, remedy: Option<String>| Fault {
            subject: Subject::SignIn,
            state,
            message,
            remedy: remedy.unwrap_or_else(|| "none needed if it passes".to_owned()),
        };
        let Some(tokens) = tokens else {
            let message = "no token: nobody is configured to get one".to_owned();
            return Err(fault(State::Error, message, None));
        };
        let token = tokens
            .token(&SystemClock)
            .map_err(|trouble| fault(trouble.state, trouble.message, trouble.remedy))?;
        Ok(OAuthToken {
            token: token.access.expose().to_owned(),
            principal_name: tokens.credentials.client_id.clone(),
            lifetime_ms: (token.expires_at + SystemClock.set_by()).timestamp_millis(),
        })
    }

    /// A new token.
    fn token(&self, clock: &dyn Clock) -> Result<Token, Trouble> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = clock.now();
        let elapsed = clock.elapsed();
        if let Some(refused) = refused.as_ref().filter(|refused| elapsed < refused.until) {
            return Err(refused.trouble.clone());
        }
        let answer = match self.transport.send(&self.credentials.request()) {
            Ok(response) => self
                .credentials
                .read(&response, asked)
                .map_err(|refusal| Trouble::of_refusal(&refusal)),
            Err(error) => Err(Trouble::of_transport(&error)),
        };
        *refused = answer.as_ref().err().map(|trouble| Refused {
            until: elapsed
                + match trouble.action {
                    Action::GiveUp(pause) => pause,
                    Action::Retry(_, Some(wait)) => wait,
                    _ => RETRY,
                }
                .to_std()
                .unwrap_or_default(),
            trouble: trouble.clone(),
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::http::{Endpoint, Request, Response};
    use crate::oauth::Audience;
    use crate::secret::Secret;
    use chrono::DateTime;

    /// Answers in turn.
    #[derive(Debug)]
    struct Answers(Mutex<Vec<(u16, &'static str)>>);

    impl Transport for Answers {
        fn send(&self, request: &Request) -> Result<Response, TransportError> {
            let body = request
                .body
                .as_ref()
                .map(Secret::expose)
                .unwrap_or_default();
            assert!(body.contains("scope=https%3A%2F%2Fcontoso.servicebus.windows.net%2F.default"));
            let (status, body) = self.0.lock().unwrap().remove(0);
            Ok(Response {
                status,
                headers: Vec::new(),
                body: body.as_bytes().to_vec(),
            })
        }
    }

    fn tokens(answers: &[(u16, &'static str)]) -> Tokens {
        let url = "https://login.example.com/t/oauth2/v2.0/token";
        let credentials = ClientCredentials {
            url: url.to_owned(),
            endpoint: Endpoint::parse(url).unwrap(),
            client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
            client_secret: Secret::new("hunter2-hunter2"),
            audience: Audience::Scope("https://contoso.servicebus.windows.net/.default".to_owned()),
        };
        Tokens::new(credentials, Arc::new(Answers(Mutex::new(answers.to_vec()))))
    }

    #[test]
    fn a_secret_that_has_expired_is_not_tried_again_at_once() {
        let clock = VirtualClock::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let tokens = tokens(&[
            (401, r#"{"error":"invalid_client","error_codes":[7000222]}"#),
            (
                200,
                r#"{"access_token":"good","token_type":"Bearer","expires_in":3600}"#,
            ),
        ]);
        for _ in 0..5 {
            let trouble = tokens.token(&clock).unwrap_err();
            assert!(trouble.message.contains("expired"), "{}", trouble.message);
            clock.advance(TimeDelta::seconds(10));
        }
        clock.advance(TimeDelta::hours(1));
        assert_eq!(tokens.token(&clock).unwrap().access.expose(), "good");
        assert!(!format!("{tokens:?}").contains("hunter2"));
    }

    #[test]
    fn a_passing_fault_is_tried_again_soon() {
        let clock = VirtualClock::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let tokens = tokens(&[
            (503, ""),
            (200, r#"{"access_token":"good","expires_in":3600}"#),
        ]);
        assert!(tokens.token(&clock).is_err());
        clock.advance(TimeDelta::seconds(10));
        assert!(tokens.token(&clock).is_ok());
    }
}
