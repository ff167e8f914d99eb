//! crosstalk trains weight-sharing supernets and measures how much the children that share the weights disturb each other.

pub mod backend;
pub mod cli;
pub mod data;
pub mod device;
pub mod files;
pub mod network;
pub mod ops;
pub mod plan;
pub mod rank;
pub mod records;
pub mod report;
pub mod rng;
pub mod search;
pub mod simd;
pub mod space;
pub mod study;
pub mod tables;
pub mod tensor;
pub mod tensors;
pub mod train;
