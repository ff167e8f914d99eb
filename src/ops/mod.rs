//! One place per operation: its parameters, shape rule, FLOPs and bytes, reference formula, CPU kernel and launches of CUDA kernels.

pub mod adam;
pub mod convolution;
mod cost;
pub mod cuda;
mod dense;
pub mod depthwise;
pub mod factorized_reduce;
pub mod head;
mod images;
pub mod input;
mod kind;
mod linear;
pub mod node;
pub mod normalization;
pub mod pool;
mod registry;
pub mod sgd;
mod window;

pub use cost::{Cost, StageCost, Work};
pub use images::Images;
pub use kind::{Kind, LayerWindow, Place, Unfit};
pub use linear::{Filtering, Linear, WeightShape};
pub use window::Window;

use crate::tensor::Shape;

// The linear operations: folder and type. Each has its `Kind`s, which space files name.
registry::operations! {
    convolution::Convolution,
    depthwise::DepthwiseSeparable,
    factorized_reduce::FactorizedReduce,
    pool::Pool,
}

impl Operation {
    pub fn input(&self) -> Shape {
        self.linear().input()
    }

    pub fn output(&self) -> Shape {
        self.linear().output()
    }
}
