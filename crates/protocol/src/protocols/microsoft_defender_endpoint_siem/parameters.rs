//! The parameters, row by row as in IBM's table.

use crate::parameter::{Allowed, Effect, Kind, Parameter, Rule, When};
use crate::protocols::common::{self, uuid};

const IN_GCC: Rule = Rule {
    parameter: "use_gcc_endpoints",
    when: When::Is("true"),
    effect: Effect::Unavailable,
};

const OUTSIDE_GCC: Rule = Rule {
    parameter: "use_gcc_endpoints",
    when: When::Is("false"),
    effect: Effect::Unavailable,
};

pub(super) static PARAMETERS: &[Parameter] = &[
    Parameter::new(
        "authorization_server_url",
        "Authorization Server URL",
        Kind::String { max_length: 255 },
        "Token endpoint of the tenant: `https://login.microsoftonline.com/<Tenant_ID>/oauth2/token`.",
    )
    .required()
    .pattern(
        concat!("^https://login\\.microsoftonline\\.(com|us)/", uuid!(), "/oauth2/token$"),
        "https://login.microsoftonline.com/<Tenant_ID>/oauth2/token with the tenant ID as a UUID",
    ),
    Parameter::new(
        "resource",
        "Resource",
        Kind::String { max_length: 255 },
        "What the token is for.",
    )
    .required()
    .default("https://graph.windows.net"),
    common::CLIENT_ID,
    common::CLIENT_SECRET,
    Parameter::new(
        "region",
        "Region",
        Kind::List { max_length: 32 },
        "Regions whose detections are collected, each by itself.",
    )
    .required()
    .allowed(&[
        Allowed { value: "eu", label: "EU" },
        Allowed { value: "us", label: "US" },
        Allowed { value: "uk", label: "UK" },
    ])
    .rules(&[
        Rule {
            parameter: "other_region",
            when: When::Given,
            effect: Effect::Optional,
        },
        IN_GCC,
    ]),
    Parameter::new(
        "other_region",
        "Other Region",
        Kind::List { max_length: 32 },
        "Regions that are not in the list, with commas between them. A region is the part `eu` of \
         `wdatp-alertexporter-eu.windows.com`.",
    )
    .pattern(
        "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        "the name of a region, such as au",
    )
    .any_case()
    .rules(&[IN_GCC]),
    Parameter::new(
        "use_gcc_endpoints",
        "Use GCC Endpoints",
        Kind::Boolean,
        "Whether the tenant lives in a cloud of the US government.",
    )
    .default("false"),
    Parameter::new(
        "gcc_type",
        "GCC Type",
        Kind::String { max_length: 32 },
        "Which cloud of the US government.",
    )
    .required()
    .allowed(&[
        Allowed { value: "GCC", label: "GCC" },
        Allowed { value: "GCC High & DoD", label: "GCC High & DOD" },
    ])
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
