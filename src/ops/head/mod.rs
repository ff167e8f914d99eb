//! The head: global average pool, linear classifier, softmax cross-entropy.

pub mod cpu;
#[cfg(test)]
mod tests;
