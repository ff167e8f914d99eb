//! Dense convolution.

pub mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;
