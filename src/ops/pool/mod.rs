//! Max and average pooling.

pub mod cpu;
pub mod cuda;
mod maximum;
pub mod reference;
#[cfg(test)]
mod tests;
