//! OAuth 2.0 client credentials as Entra ID speaks them, in both versions of its token endpoint.

mod entra;

pub use entra::{Refusal, Verdict};

use crate::http::{Endpoint, Method, Request, Response};
use crate::json;
use crate::secret::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a form as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A token is asked for again this long before it ends, so that it does not end on the way.
const EARLY: TimeDelta = TimeDelta::minutes(5);

/// How long a token is used where the answer does not say how long it lives.
const UNKNOWN_LIFE: TimeDelta = TimeDelta::minutes(5);

/// No token is used longer, whatever the answer says.
const LONGEST_LIFE: TimeDelta = TimeDelta::hours(24);

/// The longest token that we carry in a header.
const MAX_TOKEN: usize = 32 * 1024;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Version 1 of the endpoint, `/oauth2/token`: the resource.
    Resource(String),
    /// Version 2 of the endpoint, `/oauth2/v2.0/token`: the scope, which ends in `/.default`.
    Scope(String),
}

/// Where tokens come from, and who asks for them.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// The token endpoint.
    pub url: String,
    /// The server of the token endpoint.
    pub endpoint: Endpoint,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What the token is for.
    pub audience: Audience,
}

/// A token and how long it may be used.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub access: Secret,
    /// From here on another one is asked for.
    pub refresh_at: DateTime<Utc>,
    /// From here on the server no longer takes it.
    pub expires_at: DateTime<Utc>,
}

impl ClientCredentials {
    /// The request for a token.
    pub fn request(&self) -> Request {
        let (name, audience) = match &self.audience {
            Audience::Resource(resource) => ("resource", resource),
            Audience::Scope(scope) => ("scope", scope),
        };
        let encode = |text| utf8_percent_encode(text, FORM);
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&{name}={}",
            encode(&self.client_id),
            encode(self.client_secret.expose()),
            encode(audience),
        );
        Request {
            method: Method::Post,
            url: self.url.clone(),
            headers: vec![
                ("accept", "application/json".to_owned()),
                (
                    "content-type",
                    "application/x-www-form-urlencoded".to_owned(),
                ),
            ],
            bearer: None,
            body: Some(Secret::new(body)),
        }
    }

    /// Reads the answer to the request that was sent at `asked`.
    pub fn read(&self, response: &Response, asked: DateTime<Utc>) -> Result<Token, Refusal> {
        if response.status != 200 {
            return Err(Refusal::read(response, asked));
        }
        let unexpected =
            |what: &str| Refusal::unexpected(format!("the token endpoint answers {what}"));
        let names = ["access_token", "token_type", "expires_in"];
        let [access, kind, life] = json::members(&response.body, names)
            .ok_or_else(|| unexpected("with a body that is no JSON object"))?;
        let access = access
            .and_then(json::text)
            .ok_or_else(|| unexpected("without an access_token"))?;
        let printable = access.bytes().all(|b| b.is_ascii_graphic());
        if access.is_empty() || access.len() > MAX_TOKEN || !printable {
            return Err(unexpected("with an access_token that no header can carry"));
        }
        let bearer = kind
            .and_then(json::text)
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !bearer {
            return Err(unexpected("with a token that is no bearer token"));
        }
        // `expires_on` is a time of the server's clock, `expires_in` a length; only the latter does not depend on
        // whether the clocks agree. Version 1 writes it as a text.
        let life = life
            .and_then(json::whole_number)
            .and_then(TimeDelta::try_seconds)
            .map_or(UNKNOWN_LIFE, |life| {
                life.clamp(TimeDelta::zero(), LONGEST_LIFE)
            });
        Ok(Token {
            access: Secret::new(access),
            refresh_at: asked + life - EARLY.min(life / 5),
            expires_at: asked + life,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(audience: Audience) -> ClientCredentials {
        let url = "https://login.example.com/t/oauth2/token";
        ClientCredentials {
            url: url.to_owned(),
            endpoint: Endpoint::parse(url).unwrap(),
            client_id: "an id".to_owned(),
            client_secret: Secret::new("a+b/c=d&e~"),
            audience,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn read(body: &str) -> Result<Token, Refusal> {
        let response = Response {
            status: 200,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        };
        credentials(Audience::Resource(String::new())).read(&response, now())
    }

    #[test]
    fn a_secret_with_signs_of_forms_arrives_as_it_is() {
        let request =
            credentials(Audience::Resource("https://graph.windows.net".to_owned())).request();
        assert_eq!(
            request.body.unwrap().expose(),
            "grant_type=client_credentials&client_id=an%20id&client_secret=a%2Bb%2Fc%3Dd%26e~\
             &resource=https%3A%2F%2Fgraph.windows.net"
        );
        let request =
            credentials(Audience::Scope("https://a.example.com/.default".to_owned())).request();
        assert!(
            request
                .body
                .unwrap()
                .expose()
                .ends_with("&scope=https%3A%2F%2Fa.example.com%2F.default")
        );
    }

    #[test]
    fn the_life_of_a_token_may_be_a_number_or_a_text() {
        let life = |body: &str| (read(body).unwrap().refresh_at - now()).num_seconds();
        assert_eq!(life(r#"{"access_token":"t","expires_in":3599}"#), 3299);
        assert_eq!(
            life(
                r#"{"token_type":"bearer","access_token":"t","expires_in":"3599","expires_on":"1"}"#
            ),
            3299
        );
        assert_eq!(life(r#"{"access_token":"t","expires_in":60}"#), 48);
        assert_eq!(life(r#"{"access_token":"t"}"#), 240);
        assert_eq!(life(r#"{"access_token":"t","expires_in":"soon"}"#), 240);
        assert_eq!(life(r#"{"access_token":"t","expires_in":-5}"#), 0);
        assert_eq!(
            life(r#"{"access_token":"t","expires_in":9223372036854775807}"#),
            240
        );
        assert_eq!(
            life(r#"{"access_token":"t","expires_in":99999999999}"#),
            86_100
        );
    }

    #[test]
    fn an_answer_without_a_usable_token_is_a_passing_fault_and_shows_nothing_of_it() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"access_token":5}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"eyJ\r\nx-evil: 1"}"#,
            r#"{"access_token":"eyJ","token_type":"mac"}"#,
        ] {
            let refusal = read(body).unwrap_err();
            assert_eq!(refusal.verdict, Verdict::Retry, "{body}");
            assert!(!refusal.message.contains("eyJ"), "{body}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let credentials = credentials(Audience::Resource("r".to_owned()));
        let shown = format!(
            "{credentials:?} {:?} {:?}",
            credentials.request(),
            read(r#"{"access_token":"eyJtoken"}"#)
        );
        assert!(
            !shown.contains("a+b/c") && !shown.contains("a%2Bb") && !shown.contains("eyJ"),
            "{shown}"
        );
    }
}
