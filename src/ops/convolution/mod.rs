//! Dense convolution.

pub mod cpu;
pub mod cuda;
pub mod reference;
