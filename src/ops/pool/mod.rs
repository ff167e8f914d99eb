//! Max and average pooling.

pub mod cpu;
mod maximum;
#[cfg(test)]
mod tests;
