//! Dense convolution.

pub mod cpu;
pub mod reference;
