//! The head: global average pool, linear classifier, softmax cross-entropy.

pub mod cpu;
pub mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;
