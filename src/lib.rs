//! crosstalk trains weight-sharing supernets and measures how much the children that share the weights disturb each other.

pub mod ops;
pub mod simd;
pub mod space;
pub mod tensor;
