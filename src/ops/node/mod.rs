//! A node: the sum of its terms, each times its gate.

pub mod cpu;
pub mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;
