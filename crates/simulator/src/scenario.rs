//! What the simulator plays: who may sign in, which alerts there are, what goes wrong. A TOML file, or built in Rust.

use crate::alert::TENANT;
use crate::clock::Pace;
use crate::fault::Rule;
use crate::stamp::Stamp;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// One of the interfaces that are played.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// The token endpoints, `/{tenant}/oauth2/token` and `/{tenant}/oauth2/v2.0/token`.
    Token,
    /// The legacy SIEM REST API, `/{region}/api/alerts`.
    SiemApi,
    /// The Defender for Endpoint API, `/api/alerts`.
    MdeApi,
    /// Microsoft Graph, `/v1.0/security/alerts_v2`.
    Graph,
}

impl Service {
    /// As written in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::SiemApi => "siem-api",
            Self::MdeApi => "mde-api",
            Self::Graph => "graph",
        }
    }
}

/// Everything that the simulator is told before it starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Decides every alert.
    pub seed: u64,
    /// What the clock shows first; the time of the machine if it is not given.
    pub start: Option<Stamp>,
    /// How the clock runs: `"real"`, `"stepped"`, or `{ times = 60 }`.
    pub pace: Pace,
    /// How long a token is valid.
    #[serde(deserialize_with = "duration")]
    pub token_lifetime: Duration,
    /// Whether the SIEM API serves alerts of exactly `sinceTimeUtc`; Microsoft does not say.
    pub since_is_inclusive: bool,
    /// The most alerts in one response of the Defender for Endpoint API.
    pub mde_page: usize,
    /// The most alerts in one response of Microsoft Graph.
    pub graph_page: usize,
    /// In which order results come where a query asks for none.
    pub order: Order,
    /// Whether skip tokens hold on to the result of the first page. Microsoft promises no such thing: by default each
    /// page is cut from what there is when it is asked for, so pages shift while alerts appear and change.
    pub frozen_results: bool,
    /// Whether the last page has a next link too, which leads to an empty page.
    pub spurious_links: bool,
    /// By how many seconds the clock behind the header `Date` is ahead of the one that stamps alerts, or behind it where
    /// the number is negative.
    pub date_ahead: i64,
    /// Whether answers have the header `Date`.
    pub date: bool,
    /// Whether alerts hold only what tells them apart, for tests that need very many.
    pub brief: bool,
    /// The most requests in a minute of the clock to each interface but the token endpoint; more get status 429.
    pub requests_per_minute: Option<u32>,
    /// Who may sign in.
    #[serde(rename = "client")]
    pub clients: Vec<Client>,
    /// Where alerts come from.
    #[serde(rename = "feed")]
    pub feeds: Vec<Feed>,
    /// What goes wrong. The first rule that fits a request counts.
    #[serde(rename = "fault")]
    pub faults: Vec<Rule>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            start: None,
            pace: Pace::Real,
            token_lifetime: Duration::from_secs(3599),
            since_is_inclusive: true,
            mde_page: 10_000,
            graph_page: 1000,
            order: Order::default(),
            frozen_results: false,
            spurious_links: false,
            date_ahead: 0,
            date: true,
            brief: false,
            requests_per_minute: None,
            clients: vec![Client::default()],
            feeds: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// The order of a result where a query asks for none. Microsoft documents none, and shows the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By the time of the last change, the newest first.
    #[default]
    NewestFirst,
    /// By the time of the last change, the oldest first.
    OldestFirst,
    /// By the time at which an alert was made, the newest first.
    NewestMadeFirst,
    /// By nothing that has a meaning, but the same in every answer.
    Arbitrary,
    /// Another one in every answer.
    Random,
}

/// An application that is registered in a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Client {
    /// The tenant, a GUID.
    pub tenant: String,
    /// The application, a GUID.
    pub id: String,
    /// The value of its secret.
    pub secret: String,
    /// Whether the secret is past its date.
    pub secret_expired: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            tenant: TENANT.to_owned(),
            id: "c11e27aa-0b52-4e0f-9d7a-0ddba11c0de5".to_owned(),
            // With the characters that have to be encoded in a form.
            secret: "not~a/real+secret=8Q".to_owned(),
            secret_expired: false,
        }
    }
}

/// A source of alerts: one region of the SIEM API, or one of the other interfaces.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Feed {
    /// The interface that serves it.
    pub service: Service,
    /// The region; empty for all but the SIEM API.
    pub region: String,
    /// How many alerts there are before the clock starts.
    pub backlog: u64,
    /// Over which time they were made.
    #[serde(deserialize_with = "duration")]
    pub backlog_over: Duration,
    /// How many are made in an hour of the clock.
    pub per_hour: u64,
    /// After how many in all no further ones are made.
    pub limit: Option<u64>,
    /// How many of a thousand have the time stamp of the one before.
    pub same_time_per_mille: u16,
    /// How many of a thousand are shown later than their time stamp says.
    pub late_per_mille: u16,
    /// How much later at most.
    #[serde(deserialize_with = "duration")]
    pub late_by: Duration,
    /// How many of a thousand are changed later, so that they are to be collected anew. Not for the SIEM API.
    pub changed_per_mille: u16,
    /// How much later.
    #[serde(deserialize_with = "duration")]
    pub changed_after: Duration,
    /// How often each of these is changed.
    pub changed_times: u8,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            service: Service::SiemApi,
            region: String::new(),
            backlog: 0,
            backlog_over: Duration::from_secs(3600),
            per_hour: 0,
            limit: None,
            same_time_per_mille: 50,
            late_per_mille: 0,
            late_by: Duration::from_secs(20),
            changed_per_mille: 0,
            changed_after: Duration::from_secs(300),
            changed_times: 1,
        }
    }
}

impl Feed {
    /// A region of the SIEM API without alerts so far.
    pub fn siem(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            ..Self::default()
        }
    }

    /// The Defender for Endpoint API without alerts so far.
    pub fn mde() -> Self {
        Self {
            service: Service::MdeApi,
            ..Self::default()
        }
    }

    /// Microsoft Graph without alerts so far.
    pub fn graph() -> Self {
        Self {
            service: Service::Graph,
            ..Self::default()
        }
    }

    /// So many alerts in the time before the start.
    #[must_use]
    pub fn backlog(mut self, alerts: u64, over: Duration) -> Self {
        self.backlog = alerts;
        self.backlog_over = over;
        self
    }
}

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The text is no scenario.
    #[error("the scenario cannot be read: {0}")]
    Text(#[from] toml::de::Error),
    /// A feed that no interface could serve.
    #[error("feed {0}: {1}")]
    Feed(usize, &'static str),
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// If the text is no TOML, has unknown or wrong members, or describes what cannot be.
    pub fn read(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        for (number, feed) in self.feeds.iter().enumerate() {
            let fault = |text| Err(ScenarioError::Feed(number + 1, text));
            match feed.service {
                Service::Token => return fault("the token endpoint serves no alerts"),
                Service::SiemApi if feed.region.is_empty() => {
                    return fault("a feed of the SIEM API needs a region");
                }
                Service::MdeApi | Service::Graph if !feed.region.is_empty() => {
                    return fault("only the SIEM API has regions");
                }
                _ => {}
            }
            let place = |feed: &Feed| (feed.service, feed.region.clone());
            if self.feeds[..number]
                .iter()
                .any(|other| place(other) == place(feed))
            {
                return fault("there is one already for this interface and region");
            }
        }
        Ok(())
    }
}

/// Reads `90s`, `5m`, `2h`, `1d`, `250ms`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| {
        serde::de::Error::custom(format_args!(
            "`{text}` is no duration such as 250ms, 90s, 5m, 2h or 1d"
        ))
    })
}

/// A number with its unit: `250ms`, `90s`, `5m`, `2h`, `1d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let seconds = match &text[digits..] {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, RetryAfter};

    #[test]
    fn a_scenario_is_read_from_a_file() {
        let scenario = Scenario::read(
            r#"
            seed = 7
            start = "2026-03-02T08:00:00Z"
            pace = { times = 60 }
            token-lifetime = "10m"

            [[client]]
            tenant = "3f1c7a52-9d04-4b6e-8a11-5e0c0ffee100"
            id = "c11e27aa-0b52-4e0f-9d7a-0ddba11c0de5"
            secret = "x"

            [[feed]]
            service = "siem-api"
            region = "eu"
            backlog = 500
            per-hour = 1200

            [[fault]]
            service = "siem-api"
            region = "eu"
            requests = [2, 3]
            fault = { throttled = { fraction = "2.128" } }
            "#,
        )
        .unwrap();
        assert_eq!(scenario.pace, Pace::Times(60));
        assert_eq!(scenario.token_lifetime, Duration::from_secs(600));
        assert_eq!(scenario.feeds[0].backlog, 500);
        assert_eq!(
            scenario.faults[0].fault,
            Fault::Throttled(RetryAfter::Fraction("2.128".to_owned()))
        );
    }

    #[test]
    fn unknown_members_are_refused_with_their_place() {
        let error = Scenario::read("sede = 7\n").unwrap_err().to_string();
        assert!(
            error.contains("sede") && error.contains("line 1"),
            "{error}"
        );
    }

    #[test]
    fn feeds_that_no_interface_could_serve_are_refused() {
        for (feed, expected) in [
            ("service = \"siem-api\"", "needs a region"),
            ("service = \"graph\"\nregion = \"eu\"", "only the SIEM API"),
            ("service = \"token\"", "serves no alerts"),
            (
                "service = \"graph\"\n[[feed]]\nservice = \"graph\"",
                "feed 2: there is one",
            ),
        ] {
            let error = Scenario::read(&format!("[[feed]]\n{feed}")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
        for wrong in ["", "5", "m", "5 m", "-5m", "5w"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }
}
