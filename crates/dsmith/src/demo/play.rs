//! What the demonstration plays: Microsoft's side on a bad morning, and the configuration that collects from it.

use chrono::{DateTime, Utc};
use protocol::clock::{Clock, Stop};
use simulator::{
    Client, Fault, Feed, Pace, RetryAfter, Rule, Scenario, Service, Simulator, StartError,
};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How many times as fast the time passes.
const SPEED: u32 = 480;

/// How long it is, in the time that passes fast.
pub(super) const LENGTH: Duration = Duration::from_secs(2 * 3600);

/// The interfaces, with the identifiers of the log sources that collect from them.
pub(super) const LOG_SOURCES: [(Service, &str); 3] = [
    (Service::SiemApi, "defender-siem"),
    (Service::MdeApi, "defender-endpoint"),
    (Service::Graph, "graph-security"),
];

const MINUTE: Duration = Duration::from_secs(60);

fn scenario() -> Scenario {
    let feed = |feed: Feed, per_hour: u64| Feed {
        per_hour,
        limit: Some(per_hour * 3),
        late_per_mille: 20,
        late_by: MINUTE,
        changed_per_mille: 20,
        ..feed.backlog(per_hour, 60 * MINUTE)
    };
    let between = |rule: Rule, from: u32, until: u32| rule.between(from * MINUTE, until * MINUTE);
    let service = |fault, service| Rule::always(fault).service(service);
    Scenario {
        pace: Pace::Times(SPEED),
        feeds: vec![
            feed(Feed::siem("eu"), 900),
            feed(Feed::siem("us"), 700),
            feed(Feed::mde(), 1100),
            feed(Feed::graph(), 1300),
        ],
        graph_page: 200,
        mde_page: 200,
        faults: vec![
            between(
                Rule::always(Fault::Throttled(RetryAfter::Seconds(120))).region("eu"),
                10,
                18,
            ),
            Rule::always(Fault::TokensExpire)
                .region("us")
                .requests(6, 6),
            between(service(Fault::Status(503), Service::MdeApi), 30, 50),
            between(service(Fault::ResetHalfway, Service::Graph), 40, 45),
            between(service(Fault::Entra(90_033), Service::Token), 54, 58),
            between(
                service(
                    Fault::Throttled(RetryAfter::Fraction("90.5".to_owned())),
                    Service::Graph,
                ),
                70,
                80,
            ),
            between(Rule::always(Fault::HalfJson).region("us"), 85, 92),
            service(Fault::Truncated, Service::Graph).per_mille(80),
        ],
        ..Scenario::default()
    }
}

/// Starts Microsoft's side.
pub(super) fn simulator() -> Result<Simulator, StartError> {
    Simulator::start(scenario())
}

/// The simulator's time, in which the whole run takes place.
#[derive(Debug)]
pub(super) struct FastClock(pub(super) Arc<Simulator>);

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.clock().now().time()
    }

    fn wait(&self, until: DateTime<Utc>, stop: &Stop) {
        loop {
            let left = (until - self.now()).to_std().unwrap_or_default();
            if left.is_zero() || stop.wait((left / SPEED).clamp(MINUTE / 60_000, MINUTE / 60)) {
                return;
            }
        }
    }
}

/// Writes the configuration and what it needs, and makes the folder of the events.
pub(super) fn configure(folder: &Path, simulator: &Simulator) -> io::Result<()> {
    let client = Client::default();
    let secret = folder.join("client-secret");
    fs::write(&secret, &client.secret)?;
    fs::write(
        folder.join("dsmith.toml"),
        configuration(folder, simulator, &client),
    )
}

fn configuration(folder: &Path, simulator: &Simulator, client: &Client) -> String {
    let secret = folder.join("client-secret");
    let common = format!(
        "client_id = \"{}\"
client_secret = {{ file = {:?} }}
recurrence = \"5M\"
# Only for tests: where the simulator of the demonstration listens.
endpoint_override = \"{}\"
",
        client.id,
        secret.display().to_string(),
        simulator.url()
    );
    let tenant = &client.tenant;
    let own = [
        (
            "microsoft-defender-endpoint-siem",
            format!(
                "authorization_server_url = \"https://login.microsoftonline.com/{tenant}/oauth2/token\"\nregion = [\"eu\", \"us\"]"
            ),
        ),
        (
            "microsoft-defender-endpoint",
            format!(
                "authorization_server_url = \"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token\""
            ),
        ),
        (
            "microsoft-graph-security",
            format!("tenant_id = \"{tenant}\""),
        ),
    ];
    let mut text = "# Written by `dsmith demo`.
state_directory = \"state\"

[[destination]]
name = \"leef\"
type = \"file\"
path = \"events.leef\"
format = \"leef1\"
"
    .to_owned();
    for ((_, identifier), (protocol, own)) in LOG_SOURCES.into_iter().zip(own) {
        text += &format!(
            "
[[log_source]]
identifier = \"{identifier}\"
type = \"microsoft-365-defender\"
protocol = \"{protocol}\"
destinations = [\"leef\"]

[log_source.parameters]
{own}
{common}"
        );
    }
    text
}
