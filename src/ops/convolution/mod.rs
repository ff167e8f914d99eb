//! Dense convolution.

pub mod cpu;
#[cfg(test)]
mod tests;
