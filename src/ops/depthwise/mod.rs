//! Depthwise convolution followed by a pointwise one, with nothing between.

pub mod cpu;
pub mod cuda;
mod filter;
pub mod reference;
mod weights;

pub(crate) use filter::Filter;
