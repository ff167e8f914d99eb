//! Batch normalization.

pub mod cuda;
pub mod reference;
