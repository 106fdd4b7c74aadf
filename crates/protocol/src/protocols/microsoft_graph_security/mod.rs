//! Microsoft Graph Security API: the alerts of all Defender products with their evidence (`alerts_v2`).

use crate::cloud::{self, Cloud};
use crate::oauth::Audience;
use crate::protocols::common;
use crate::protocols::odata::Collection;
use crate::secret::Secrets;
use crate::source::{Lane, OpenError, Protocol, RateLimit, Source};
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};

/// The protocol.
#[derive(Debug)]
pub(super) struct GraphSecurity;

/// What Microsoft lets one application ask for in one tenant.
const LIMITS: &[RateLimit] = &[RateLimit {
    requests: 150,
    seconds: 60,
}];

/// An alert with its evidence can have tens of thousands of bytes.
const TOP: u32 = 500;

/// The value of `service` that is no service.
const OTHER: &str = "other";

static PARAMETERS: &[Key] = &[
    common::TENANT_ID,
    common::CLIENT_ID,
    common::CLIENT_SECRET,
    Key::new("api", Takes::Labelled(&[("alerts_v2", "Alerts V2")]), "Which interface is asked. Microsoft has withdrawn its first version, Alerts V1.").label("API")
    .default("alerts_v2"),
    Key::new("service", Takes::Labelled(&[("microsoftDefenderForEndpoint", "Microsoft Defender for Endpoint"), ("microsoftDefenderForIdentity", "Microsoft Defender for Identity"), ("microsoftDefenderForCloudApps", "Microsoft Defender for Cloud Apps"), ("microsoftDefenderForOffice365", "Microsoft Defender for Office 365"), ("microsoft365Defender", "Microsoft 365 Defender"), ("azureAdIdentityProtection", "Azure AD Identity Protection"), ("microsoftAppGovernance", "Microsoft App Governance"), ("dataLossPrevention", "Data Loss Prevention"), ("microsoftDefenderForCloud", "Microsoft Defender for Cloud"), ("microsoftSentinel", "Microsoft Sentinel"), (OTHER, "Other")]), "Restricts the alerts to those of one product.").label("Service"),
    Key::new("other_service", Takes::Text(64), "Value of `serviceSource` in Microsoft Graph, for a product that is not in the list.").label("Other Service")
    .pattern("^[A-Za-z0-9]+$", "a value of serviceSource, made of letters and digits")
    .rules(&[
        Rule { key: "service", when: When::Is(OTHER), effect: Effect::Required },
    ]),
    Key::new("event_filter", Takes::Text(1024), "Condition in OData that alerts have to meet, without `$filter=`, such as `severity eq 'high'`.").label("Event Filter"),
    Key::new("cloud", Takes::Labelled(&[(cloud::COMMERCIAL.name, cloud::COMMERCIAL.label), (cloud::GCC.name, cloud::GCC.label), (cloud::GCC_HIGH.name, cloud::GCC_HIGH.label), (cloud::DOD.name, cloud::DOD.label)]), "Cloud of the tenant. Sign-in host, interface and scope follow from it, where QRadar has the two fields Login \
         Endpoint and Graph API Endpoint.")
    .default(cloud::COMMERCIAL.name),
    common::USE_PROXY,
    common::PROXY_SERVER,
    common::PROXY_PORT,
    common::PROXY_USERNAME,
    common::PROXY_PASSWORD,
    common::recurrence("1M"),
    common::EPS_THROTTLE,
    common::INITIAL_LOOKBACK,
    common::OVERLAP,
    common::CA_FILE,
    common::CA_FILE_ONLY,
    common::ENDPOINT_OVERRIDE,
];

impl Protocol for GraphSecurity {
    fn name(&self) -> &'static str {
        "microsoft-graph-security"
    }

    fn title(&self) -> &'static str {
        "Microsoft Graph Security API"
    }

    fn description(&self) -> &'static str {
        "Alerts of all Microsoft Defender products with their evidence. An alert comes again whenever it changes."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let mut faults: Vec<Fault> = common::override_fault(parameters).into_iter().collect();
        if let Some(problem) = parameters.text("event_filter").and_then(filter_problem) {
            faults.push(parameters.fault(
                FaultKind::Pattern,
                "event_filter",
                None,
                format!("`event_filter` {problem}"),
                "write a condition such as severity eq 'high'",
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
        let cloud: &Cloud = parameters
            .text("cloud")
            .and_then(cloud::find)
            .unwrap_or(&cloud::COMMERCIAL);
        let instead = common::override_of(parameters)?;
        let tenant = common::required(parameters, "tenant_id")?;
        let credentials = common::credentials(
            parameters,
            secrets,
            &format!("{}/{tenant}/oauth2/v2.0/token", cloud.login),
            instead.as_ref(),
            Audience::Scope(format!("{}/.default", cloud.graph)),
        )?;
        let endpoint = match instead {
            Some(server) => server,
            None => common::endpoint("cloud", cloud.graph)?,
        };
        let service = match parameters.text("service") {
            Some(OTHER) => parameters.text("other_service"),
            other => other,
        };
        let service = service.map(|service| format!("serviceSource eq '{service}'"));
        let conditions: Vec<String> = service
            .into_iter()
            .chain(
                parameters
                    .text("event_filter")
                    .map(|filter| format!("({filter})")),
            )
            .collect();
        Ok(Source::Polling(vec![Lane {
            name: "alerts".to_owned(),
            poll: Box::new(Collection {
                endpoint: endpoint.clone(),
                path: "/v1.0/security/alerts_v2",
                id: "id",
                stamp: "lastUpdateDateTime",
                filter: (!conditions.is_empty()).then(|| conditions.join(" and ")),
                options: "",
                // Without it, values that were added to an enumeration later arrive as `unknownFutureValue`.
                headers: &[("prefer", "include-unknown-enum-members")],
                top: TOP,
                skips: false,
                lookback: common::lookback_of(parameters),
                overlap: common::overlap_of(parameters),
                permission: "give the application the permission SecurityAlert.Read.All of Microsoft Graph and let an administrator consent",
            }),
            endpoint,
            credentials: Some(credentials),
            recurrence: common::recurrence_of(parameters),
            limits: LIMITS,
            http: common::http_settings(parameters, secrets)?,
        }]))
    }
}

/// What is wrong with a condition. It is put in brackets, so it must not close them itself.
fn filter_problem(filter: &str) -> Option<&'static str> {
    let filter = filter.trim_start();
    if filter.starts_with("$filter") || filter.starts_with("filter=") {
        return Some("begins with `filter`, which is written by itself");
    }
    let mut open = 0_u32;
    let mut in_text = false;
    for character in filter.chars() {
        match character {
            '\'' => in_text = !in_text,
            '(' if !in_text => open += 1,
            ')' if !in_text => match open.checked_sub(1) {
                Some(left) => open = left,
                None => return Some("closes a bracket that it did not open"),
            },
            _ => {}
        }
    }
    match (in_text, open) {
        (true, _) => Some("opens a text with ' and does not close it"),
        (false, 0) => None,
        (false, _) => Some("opens a bracket that it does not close"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_cannot_get_out_of_its_brackets() {
        for good in [
            "severity eq 'high'",
            "(a eq 1) or (b eq 'it''s :)')",
            "x in ('a','b')",
        ] {
            assert_eq!(filter_problem(good), None, "{good}");
        }
        for bad in [
            "$filter=a eq 1",
            "filter=a",
            "a eq 1) or (1 eq 1",
            "(a eq 1",
            "a eq 'b",
        ] {
            assert!(filter_problem(bad).is_some(), "{bad}");
        }
    }
}
