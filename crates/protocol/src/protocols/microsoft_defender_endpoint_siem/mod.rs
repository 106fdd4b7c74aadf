//! Microsoft Defender for Endpoint SIEM REST API: the detections of the old SIEM interface, by region.
//!
//! The interface has no pages: an answer holds everything in a range of `LastProcessedTimeUtc`, and its `limit` keeps
//! the newest, so it is never sent. Where a range holds more than we take, shorter ranges are asked for, one after the
//! other.

mod parameters;
mod poll;

use crate::oauth::Audience;
use crate::protocols::common;
use crate::secret::Secrets;
use crate::source::{Deprecation, Lane, OpenError, Protocol, Source};
use poll::SiemPoll;
use settings::{Fault, FaultKind, Key, Settings};

/// The protocol.
#[derive(Debug)]
pub(super) struct DefenderEndpointSiem;

const DEPRECATION: Deprecation = Deprecation {
    message: "Microsoft deprecated this interface on 2023-12-31 and may switch it off without notice since 2024-12-31",
    successors: &["microsoft-graph-security", "microsoft-defender-endpoint"],
};

impl Protocol for DefenderEndpointSiem {
    fn name(&self) -> &'static str {
        "microsoft-defender-endpoint-siem"
    }

    fn title(&self) -> &'static str {
        "Microsoft Defender for Endpoint SIEM REST API"
    }

    fn description(&self) -> &'static str {
        "Detections of Microsoft Defender for Endpoint from the old SIEM interface, one request for each region."
    }

    fn parameters(&self) -> &'static [Key] {
        parameters::PARAMETERS
    }

    fn deprecation(&self) -> Option<&'static Deprecation> {
        Some(&DEPRECATION)
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let mut faults: Vec<Fault> = common::override_fault(parameters).into_iter().collect();
        let cloud = common::gcc_cloud(parameters);
        faults.extend(common::login_fault(parameters, cloud, "/oauth2/token"));
        let named = parameters.list("region");
        for region in parameters.list("other_region") {
            if named.contains(region) {
                faults.push(parameters.fault(
                    FaultKind::Contradiction,
                    "other_region",
                    None,
                    format!("`other_region` and `region` both hold \"{region}\""),
                    "remove one of them",
                ));
            }
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
        let http = common::http_settings(parameters, secrets)?;
        let instead = common::override_of(parameters)?;
        let credentials = common::credentials(
            parameters,
            secrets,
            common::required(parameters, "authorization_server_url")?,
            instead.as_ref(),
            Audience::Resource(common::required(parameters, "resource")?.to_owned()),
        )?;
        let cloud = common::gcc_cloud(parameters);
        let regions: Vec<&str> = match cloud.siem {
            Some(_) => vec![cloud.name],
            None => ["region", "other_region"]
                .into_iter()
                .flat_map(|key| parameters.list(key))
                .map(String::as_str)
                .collect(),
        };
        let mut lanes = Vec::new();
        for region in regions {
            let root = match (&instead, cloud.siem) {
                (Some(server), _) => server.join(&format!("/{region}")),
                (None, Some(host)) => host.to_owned(),
                (None, None) => format!("https://wdatp-alertexporter-{region}.windows.com"),
            };
            let endpoint = common::endpoint("region", &root)?;
            lanes.push(Lane {
                name: region.to_owned(),
                poll: Box::new(SiemPoll::new(
                    endpoint.join("/api/alerts"),
                    common::lookback_of(parameters),
                    common::overlap_of(parameters),
                )),
                endpoint,
                credentials: Some(credentials.clone()),
                recurrence: common::recurrence_of(parameters),
                // Microsoft publishes none.
                limits: &[],
                http: http.clone(),
            });
        }
        Ok(Source::Polling(lanes))
    }
}
