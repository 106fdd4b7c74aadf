//! The parameters, row by row as in IBM's table.

use crate::protocols::common::{self, uuid};
use settings::{Effect, Key, Rule, Takes, When};

const IN_GCC: Rule = Rule {
    key: "use_gcc_endpoints",
    when: When::Is("true"),
    effect: Effect::Unavailable,
};

const OUTSIDE_GCC: Rule = Rule {
    key: "use_gcc_endpoints",
    when: When::Is("false"),
    effect: Effect::Unavailable,
};

pub(super) static PARAMETERS: &[Key] = &[
    Key::new("authorization_server_url", Takes::Text(255), "Token endpoint of the tenant: `https://login.microsoftonline.com/<Tenant_ID>/oauth2/token`.").label("Authorization Server URL")
    .required()
    .pattern(
        concat!("^https://login\\.microsoftonline\\.(com|us)/", uuid!(), "/oauth2/token$"),
        "https://login.microsoftonline.com/<Tenant_ID>/oauth2/token with the tenant ID as a UUID",
    ),
    Key::new("resource", Takes::Text(255), "What the token is for.").label("Resource")
    .required()
    .default("https://graph.windows.net"),
    common::CLIENT_ID,
    common::CLIENT_SECRET,
    Key::new("region", Takes::ListOrCommas(&Takes::Choice(&["eu", "us", "uk"])), "Regions whose detections are collected, each by itself.").label("Region")
    .required()
    .rules(&[
        Rule {
            key: "other_region",
            when: When::Given,
            effect: Effect::Optional,
        },
        IN_GCC,
    ]),
    Key::new("other_region", Takes::ListOrCommas(&Takes::Text(32)), "Regions that are not in the list, with commas between them. A region is the part `eu` of \
         `wdatp-alertexporter-eu.windows.com`.").label("Other Region")
    .pattern(
        "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        "the name of a region, such as au",
    )
    .any_case()
    .rules(&[IN_GCC]),
    Key::new("use_gcc_endpoints", Takes::Boolean, "Whether the tenant lives in a cloud of the US government.").label("Use GCC Endpoints")
    .default("false"),
    Key::new("gcc_type", Takes::Choice(&["GCC", "GCC High & DoD"]), "Which cloud of the US government.").label("GCC Type")
    .required()
    .rules(&[OUTSIDE_GCC]),
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
