//! Dense convolution.

pub mod cpu;
