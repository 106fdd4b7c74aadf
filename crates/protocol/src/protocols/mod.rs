//! The protocols: a folder for each, and the registry.

mod apache_kafka;
mod broker;
mod common;
mod file;
mod gateway;
mod list;
mod microsoft_azure_event_hubs;
mod microsoft_defender_endpoint;
mod microsoft_defender_endpoint_siem;
mod microsoft_graph_security;
mod odata;
mod position;
pub(crate) mod syslog;

use crate::Protocol;

/// All protocols, in the order in which they are listed.
pub static REGISTRY: &[&dyn Protocol] = &[
    &microsoft_graph_security::GraphSecurity,
    &microsoft_defender_endpoint::DefenderEndpoint,
    &microsoft_defender_endpoint_siem::DefenderEndpointSiem,
    &microsoft_azure_event_hubs::EventHubs,
    &apache_kafka::ApacheKafka,
    &file::File,
    &syslog::Syslog,
    &gateway::Gateway,
];

/// The protocol with this name.
pub fn find(name: &str) -> Option<&'static dyn Protocol> {
    REGISTRY
        .iter()
        .copied()
        .find(|protocol| protocol.name() == name)
}

/// The names of all protocols, and the nearest one to a name that none has.
pub fn suggest(name: &str) -> String {
    let known: Vec<&str> = REGISTRY.iter().map(|protocol| protocol.name()).collect();
    settings::suggest(name, "protocols", &known)
}
