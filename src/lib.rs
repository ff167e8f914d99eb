//! crosstalk trains weight-sharing supernets and measures how much the children that share the weights disturb each other.

pub mod cli;
pub mod files;
pub mod ops;
pub mod records;
pub mod report;
pub mod space;
pub mod tensor;
pub mod tensors;
