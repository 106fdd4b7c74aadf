//! Microsoft's clouds. Sign-in host, interfaces and the audiences of tokens come from one record, so that they cannot be
//! mixed: a token of one cloud is worth nothing in another.

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cloud {
    /// Its name in configuration.
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Where one signs in.
    pub login: &'static str,
    /// The root of Microsoft Graph.
    pub graph: &'static str,
    /// The root of the interface of Defender for Endpoint.
    pub defender: &'static str,
    /// What a token for Defender for Endpoint is for.
    pub defender_audience: &'static str,
    /// The old SIEM interface, where the cloud has one host for it; the commercial cloud has one for each region.
    pub siem: Option<&'static str>,
    /// What the hosts of Event Hubs end in.
    pub event_hubs: &'static str,
}

/// What the hosts of Event Hubs end in, in any cloud. Azure in China has no Defender that streams, but Event Hubs.
pub const EVENT_HUBS: [&str; 3] = [
    COMMERCIAL.event_hubs,
    GCC_HIGH.event_hubs,
    "servicebus.chinacloudapi.cn",
];

/// Everybody who is not in another one.
pub const COMMERCIAL: Cloud = Cloud {
    name: "commercial",
    label: "Commercial",
    login: "https://login.microsoftonline.com",
    graph: "https://graph.microsoft.com",
    defender: "https://api.security.microsoft.com",
    defender_audience: "https://api.securitycenter.microsoft.com",
    siem: None,
    event_hubs: "servicebus.windows.net",
};

/// US government, moderate: signs in where the commercial cloud does.
pub const GCC: Cloud = Cloud {
    name: "gcc",
    label: "GCC",
    login: "https://login.microsoftonline.com",
    graph: "https://graph.microsoft.com",
    defender: "https://api-gcc.securitycenter.microsoft.us",
    defender_audience: "https://api-gcc.securitycenter.microsoft.us",
    siem: Some("https://wdatp-alertexporter-us.gcc.securitycenter.windows.us"),
    event_hubs: "servicebus.windows.net",
};

/// US government, high.
pub const GCC_HIGH: Cloud = Cloud {
    name: "gcc-high",
    label: "GCC High",
    login: "https://login.microsoftonline.us",
    graph: "https://graph.microsoft.us",
    defender: "https://api-gov.securitycenter.microsoft.us",
    defender_audience: "https://api-gov.securitycenter.microsoft.us",
    siem: Some("https://wdatp-alertexporter-us.securitycenter.windows.us"),
    event_hubs: "servicebus.usgovcloudapi.net",
};

/// US Department of Defense.
pub const DOD: Cloud = Cloud {
    name: "dod",
    label: "DoD",
    graph: "https://dod-graph.microsoft.us",
    ..GCC_HIGH
};

/// All clouds.
pub const ALL: [Cloud; 4] = [COMMERCIAL, GCC, GCC_HIGH, DOD];

/// The cloud with this name.
pub fn find(name: &str) -> Option<&'static Cloud> {
    const CLOUDS: &[Cloud] = &ALL;
    CLOUDS.iter().find(|cloud| cloud.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Endpoint;

    #[test]
    fn every_address_is_https_and_signing_in_fits_the_domain() {
        for cloud in ALL {
            let addresses = [
                Some(cloud.login),
                Some(cloud.graph),
                Some(cloud.defender),
                Some(cloud.defender_audience),
                cloud.siem,
            ];
            for address in addresses.into_iter().flatten() {
                assert!(Endpoint::parse(address).unwrap().is_secure(), "{address}");
                assert!(!address.ends_with('/'), "{address}");
            }
            assert_eq!(
                cloud.login.ends_with(".us"),
                cloud.graph.ends_with(".us"),
                "{}",
                cloud.name
            );
            assert_eq!(find(cloud.name), Some(&cloud));
        }
    }
}
