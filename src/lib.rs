//! crosstalk trains weight-sharing supernets and measures how much the children that share the weights disturb each other.

pub mod cli;
pub mod data;
pub mod ops;
pub mod rng;
pub mod space;
pub mod tensor;
