//! A node: the sum of its terms, each times its gate.

pub mod cpu;
#[cfg(test)]
mod tests;
