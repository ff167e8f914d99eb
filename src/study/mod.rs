//! Experiments on trained supernets.

mod interference;

pub use interference::{Interference, SharedSummary, measure};
