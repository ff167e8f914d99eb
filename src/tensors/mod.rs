//! Named tensors in `.safetensors` files, read, written and compared.

mod compare;
mod error;
mod read;
mod tensor;
mod write;

pub use compare::{Comparison, TensorDifference, compare};
pub use error::TensorError;
pub use tensor::{Tensor, TensorFile, Values};

#[cfg(test)]
mod tests;
