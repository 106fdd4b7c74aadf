//! The DSM engine.

pub mod device_time;
