//! Max and average pooling.

pub mod cpu;
mod maximum;
pub mod reference;
#[cfg(test)]
mod tests;
