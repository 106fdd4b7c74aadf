//! How fast dsmith is, beside a plain parse of the same bytes in the same run.
//!
//! Absolute times say little on a machine that others use too; the ratio to [`serde_json::Value`] over the same payloads,
//! measured in turns, says much. [`corpus`] makes the payloads, [`stages`] is the work, [`pair`] lets two pieces of work
//! take turns, [`report`] holds what was measured and tells which goals are met, [`plot`] draws how cost grows, and
//! [`instructions`] counts where a clock is of no use. `benches/engine` drives the pairs with criterion, and
//! `cargo xtask bench` drives everything.

pub mod corpus;
mod generator;
pub mod instructions;
pub mod pair;
pub mod plot;
pub mod profile;
pub mod report;
pub mod stages;
pub mod synthetic;
