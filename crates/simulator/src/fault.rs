//! What can go wrong, and when.

use crate::random::Random;
use crate::scenario::{Service, duration};
use serde::Deserialize;
use std::time::Duration;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This status, with an error body as the interface writes it: 401, 403, 500, 502, 503, 504...
    Status(u16),
    /// Status 429, and how long to wait.
    Throttled(RetryAfter),
    /// The token endpoint refuses with this Entra error code.
    Entra(u32),
    /// All tokens end now; this request is the first that notices.
    TokensExpire,
    /// The answer comes in pieces of so many bytes with a pause between them.
    Slow {
        /// Bytes in a piece.
        piece: usize,
        /// Time of the machine, not of the clock.
        #[serde(deserialize_with = "duration")]
        pause: Duration,
    },
    /// No answer; the connection stays open until the client or the simulator closes it.
    Silence,
    /// The connection is reset before the answer.
    Reset,
    /// The connection is reset after half of the answer.
    ResetHalfway,
    /// The connection is closed in order after half of the body, against what the header promised.
    Truncated,
    /// The body is the first half of the JSON, with a matching length.
    HalfJson,
    /// The body is no JSON.
    InvalidJson,
    /// The body is JSON, nested this deep.
    DeepJson(u32),
    /// Status 200 with a web page, as captive portals and proxies do.
    WebPage,
    /// Status 200 without a body.
    EmptyBody,
    /// So many bytes of white space in the body: a huge page with the right content.
    Huge(u64),
    /// Every alert stands in the page twice.
    Twice,
    /// The next link leads to this address, whatever the page holds.
    NextLink(String),
    /// A redirect to this address.
    Redirect(String),
}

/// What status 429 says about waiting.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// There is no header.
    Missing,
    /// Whole seconds.
    Seconds(u32),
    /// Seconds with a fraction, as Microsoft Graph sends them.
    Fraction(String),
    /// An HTTP date, so many seconds after the clock's now.
    Date(u32),
    /// Something that is none of these.
    Text(String),
}

/// A fault and the requests that it befalls.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Only requests to this interface.
    #[serde(default)]
    pub service: Option<Service>,
    /// Only requests to this region.
    #[serde(default)]
    pub region: Option<String>,
    /// The first and the last request, counted from 1 for each interface and region; not given: all.
    #[serde(default)]
    pub requests: Option<(u64, u64)>,
    /// Each so-and-so-many-th request.
    #[serde(default)]
    pub every: Option<u64>,
    /// So many of a thousand requests, at random.
    #[serde(default)]
    pub per_mille: Option<u16>,
    /// Not before this time after the clock's start.
    #[serde(default, deserialize_with = "some_duration")]
    pub from: Option<Duration>,
    /// Not after this time after the clock's start.
    #[serde(default, deserialize_with = "some_duration")]
    pub until: Option<Duration>,
    /// Only requests that follow a next link.
    #[serde(default)]
    pub links: bool,
    /// What happens.
    pub fault: Fault,
}

fn some_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

impl Rule {
    /// This fault for every request.
    pub fn always(fault: Fault) -> Self {
        Self {
            service: None,
            region: None,
            requests: None,
            every: None,
            per_mille: None,
            from: None,
            until: None,
            links: false,
            fault,
        }
    }

    /// Only for this interface.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Only for this region of the SIEM API.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.service = Some(Service::SiemApi);
        self.region = Some(region.to_owned());
        self
    }

    /// Only for these requests, counted from 1 for each interface and region.
    #[must_use]
    pub fn requests(mut self, first: u64, last: u64) -> Self {
        self.requests = Some((first, last));
        self
    }

    /// Only between these times after the clock's start.
    #[must_use]
    pub fn between(mut self, from: Duration, until: Duration) -> Self {
        self.from = Some(from);
        self.until = Some(until);
        self
    }

    /// Only for so many of a thousand requests.
    #[must_use]
    pub fn per_mille(mut self, cases: u16) -> Self {
        self.per_mille = Some(cases);
        self
    }

    /// Only requests that follow a next link.
    #[must_use]
    pub fn links(mut self) -> Self {
        self.links = true;
        self
    }

    /// Whether it befalls this request.
    pub(crate) fn fits(&self, request: &Counted<'_>, seed: u64) -> bool {
        self.service
            .is_none_or(|service| service == request.service)
            && self
                .region
                .as_deref()
                .is_none_or(|region| region == request.region)
            && self
                .requests
                .is_none_or(|(first, last)| (first..=last).contains(&request.number))
            && self
                .every
                .is_none_or(|every| request.number.is_multiple_of(every.max(1)))
            && (!self.links || request.is_link)
            && self.from.is_none_or(|from| request.passed >= from)
            && self.until.is_none_or(|until| request.passed <= until)
            && self.per_mille.is_none_or(|cases| {
                let words = [
                    seed,
                    request.service as u64,
                    crate::random::word(request.region),
                    request.number,
                ];
                Random::new(&words).per_mille(cases)
            })
    }
}

/// A request, as rules see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) service: Service,
    pub(crate) region: &'a str,
    /// Counted from 1 for each interface and region.
    pub(crate) number: u64,
    /// Since the clock's start.
    pub(crate) passed: Duration,
    /// Whether it follows a next link.
    pub(crate) is_link: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64, passed: u64) -> Counted<'static> {
        Counted {
            service: Service::SiemApi,
            region: "eu",
            number,
            passed: Duration::from_secs(passed),
            is_link: false,
        }
    }

    fn hit(rule: &Rule) -> Vec<u64> {
        (1..=10)
            .filter(|number| rule.fits(&request(*number, number * 60), 1))
            .collect()
    }

    #[test]
    fn rules_name_requests_by_number_interval_and_time() {
        let rule = || Rule::always(Fault::Reset);
        assert_eq!(hit(&rule().requests(3, 4)), [3, 4]);
        let every = Rule {
            every: Some(4),
            ..rule()
        };
        assert_eq!(hit(&every), [4, 8]);
        let minutes = |n: u64| Duration::from_secs(60 * n);
        assert_eq!(hit(&rule().between(minutes(2), minutes(3))), [2, 3]);
        assert!(hit(&rule().region("us")).is_empty());
        assert!(hit(&rule().service(Service::Graph)).is_empty());
        assert_eq!(hit(&rule()).len(), 10);
    }

    #[test]
    fn random_rules_hit_the_same_requests_on_every_run() {
        let rule = Rule::always(Fault::Reset).per_mille(300);
        let hits = |seed| {
            (1..=1000)
                .filter(|number| rule.fits(&request(*number, 0), seed))
                .collect::<Vec<_>>()
        };
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
        assert!((200..400).contains(&hits(1).len()));
    }
}
