//! Experiments on trained supernets.

mod interference;
pub mod metrics;
pub mod replay;

pub use interference::{Interference, Measure, SharedSummary, measure};
