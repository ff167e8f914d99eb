//! Max and average pooling.

pub mod cpu;
mod maximum;
