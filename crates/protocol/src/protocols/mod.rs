//! The protocols: a folder for each, and the registry.

use crate::Protocol;

/// All protocols, in the order in which they are listed.
pub static REGISTRY: &[&dyn Protocol] = &[];

/// The protocol with this name.
pub fn find(name: &str) -> Option<&'static dyn Protocol> {
    REGISTRY
        .iter()
        .copied()
        .find(|protocol| protocol.name() == name)
}
