//! Factorized reduction.

pub mod cpu;
pub mod reference;
