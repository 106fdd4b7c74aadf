//! Microsoft Defender for Endpoint REST API: the alerts of Defender for Endpoint with their evidence.

use crate::cloud::Cloud;
use crate::http::Endpoint;
use crate::oauth::{Audience, ClientCredentials};
use crate::protocols::common::{self, uuid};
use crate::protocols::odata::Collection;
use crate::secret::Secrets;
use crate::source::{Lane, OpenError, Protocol, RateLimit, Source};
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};

/// The protocol.
#[derive(Debug)]
pub(super) struct DefenderEndpoint;

/// What Microsoft lets one application ask for in one tenant.
const LIMITS: &[RateLimit] = &[
    RateLimit {
        requests: 100,
        seconds: 60,
    },
    RateLimit {
        requests: 1500,
        seconds: 3600,
    },
];

/// The interface gives up to 10,000, but an alert with its evidence can have tens of thousands of bytes.
const TOP: u32 = 1000;

static PARAMETERS: &[Key] = &[
    Key::new("authorization_server_url", Takes::Text(255), "Token endpoint of the tenant: `https://login.microsoftonline.com/<Tenant_ID>/oauth2/v2.0/token`.").label("Authorization Server URL")
    .required()
    .pattern(
        concat!("^https://login\\.microsoftonline\\.(com|us)/", uuid!(), "/oauth2/v2\\.0/token$"),
        "https://login.microsoftonline.com/<Tenant_ID>/oauth2/v2.0/token with the tenant ID as a UUID",
    ),
    Key::new("resource", Takes::Text(255), "What the token is for, without `/.default`. Without it the resource of the cloud is used.").label("Resource")
    .pattern("^https://[a-z0-9.-]+$", "an address without a path, such as https://api.securitycenter.microsoft.com"),
    common::CLIENT_ID,
    common::CLIENT_SECRET,
    Key::new("region", Takes::Labelled(&[("eu", "EU"), ("us", "US"), ("uk", "UK"), ("au", "Australia"), ("swa", "Southwest Asia")]), "Region whose servers are asked, for shorter ways. Without it Microsoft finds the region of the tenant.").label("Region")
    .rules(&[Rule {
        key: "use_gcc_endpoints",
        when: When::Is("true"),
        effect: Effect::Unavailable,
    }]),
    Key::new("use_gcc_endpoints", Takes::Boolean, "Whether the tenant lives in a cloud of the US government.").label("Use GCC Endpoints")
    .default("false"),
    Key::new("gcc_type", Takes::Choice(&["GCC", "GCC High & DoD"]), "Which cloud of the US government.").label("GCC Type")
    .required()
    .rules(&[Rule {
        key: "use_gcc_endpoints",
        when: When::Is("false"),
        effect: Effect::Unavailable,
    }]),
    common::USE_PROXY,
    common::PROXY_SERVER,
    common::PROXY_PORT,
    common::PROXY_USERNAME,
    common::PROXY_PASSWORD,
    common::recurrence("5M"),
    common::EPS_THROTTLE,
    common::INITIAL_LOOKBACK,
    common::OVERLAP,
    common::CA_FILE,
    common::CA_FILE_ONLY,
    common::ENDPOINT_OVERRIDE,
];

impl Protocol for DefenderEndpoint {
    fn name(&self) -> &'static str {
        "microsoft-defender-endpoint"
    }

    fn title(&self) -> &'static str {
        "Microsoft Defender for Endpoint REST API"
    }

    fn description(&self) -> &'static str {
        "Alerts of Microsoft Defender for Endpoint with their evidence. An alert comes again whenever it changes."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let mut faults: Vec<Fault> = common::override_fault(parameters).into_iter().collect();
        let cloud = common::gcc_cloud(parameters);
        faults.extend(common::login_fault(parameters, cloud, "/oauth2/v2.0/token"));
        if let Some(resource) = parameters.text("resource")
            && resource.ends_with(".us") != cloud.defender_audience.ends_with(".us")
        {
            faults.push(parameters.fault(
                FaultKind::Contradiction,
                "resource",
                None,
                format!(
                    "`resource` does not belong to the cloud {} that the other parameters choose",
                    cloud.label
                ),
                format!("remove it, or write {}", cloud.defender_audience),
            ));
        }
        faults
    }

    fn is_portable(&self) -> bool {
        true
    }

    fn open(
        &self,
        _identifier: &str,
        parameters: &Settings,
        secrets: &dyn Secrets,
    ) -> Result<Source, OpenError> {
        let cloud = common::gcc_cloud(parameters);
        let instead = common::override_of(parameters)?;
        let resource = parameters
            .text("resource")
            .unwrap_or(cloud.defender_audience);
        let credentials: ClientCredentials = common::credentials(
            parameters,
            secrets,
            common::required(parameters, "authorization_server_url")?,
            instead.as_ref(),
            Audience::Scope(format!("{resource}/.default")),
        )?;
        let endpoint = match instead {
            Some(server) => server,
            None => common::endpoint("region", &root(cloud, parameters.text("region")))?,
        };
        Ok(Source::Polling(vec![Lane {
            name: "alerts".to_owned(),
            poll: Box::new(collection(endpoint.clone(), parameters)),
            endpoint,
            credentials: Some(credentials),
            recurrence: common::recurrence_of(parameters),
            limits: LIMITS,
            http: common::http_settings(parameters, secrets)?,
        }]))
    }
}

fn root(cloud: &Cloud, region: Option<&str>) -> String {
    match region {
        Some(region) => cloud
            .defender
            .replacen("https://", &format!("https://{region}."), 1),
        None => cloud.defender.to_owned(),
    }
}

fn collection(endpoint: Endpoint, parameters: &Settings) -> Collection {
    Collection {
        endpoint,
        path: "/api/alerts",
        id: "id",
        stamp: "lastUpdateTime",
        filter: None,
        options: "&$expand=evidence",
        headers: &[],
        top: TOP,
        skips: true,
        lookback: common::lookback_of(parameters),
        overlap: common::overlap_of(parameters),
        permission: "give the application the permission Alert.Read.All of WindowsDefenderATP and let an administrator consent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud;

    #[test]
    fn each_region_has_its_host() {
        assert_eq!(
            root(&cloud::COMMERCIAL, Some("eu")),
            "https://eu.api.security.microsoft.com"
        );
        assert_eq!(
            root(&cloud::COMMERCIAL, None),
            "https://api.security.microsoft.com"
        );
        assert_eq!(
            root(&cloud::GCC, None),
            "https://api-gcc.securitycenter.microsoft.us"
        );
    }
}
