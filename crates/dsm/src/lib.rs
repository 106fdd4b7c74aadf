//! The DSM engine.
