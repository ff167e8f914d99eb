//! One place per operation: its parameters, shape rule, FLOPs and bytes, reference formula, and CPU kernel.

pub mod adam;
pub mod convolution;
mod cost;
pub mod cuda;
mod dense;
pub mod depthwise;
pub mod factorized_reduce;
pub mod head;
pub mod input;
mod linear;
pub mod node;
pub mod normalization;
pub mod pool;
pub mod sgd;
mod window;

pub use cost::{Cost, StageCost, Work};
pub use linear::Linear;
pub use window::Window;

use crate::tensor::Shape;

/// A dense convolution, `kernel x kernel`, any input channels to any output channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
}

/// A depthwise convolution (one filter a channel) followed by a pointwise one (1x1, dense), with nothing between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseSeparable {
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
}

/// Halves height and width, which are even: a 1x1 convolution of stride 2 makes the first half of the output channels, another one that starts one pixel further
/// down and right the second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactorizedReduce {
    pub input: Shape,
    pub output: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest valid tap; strict `>`, so the first in row-major order wins a tie; NaN wins.
    Max,
    /// The mean over the valid taps only.
    Average,
}

/// A pooling window over each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    pub kind: PoolKind,
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
}

/// The linear part of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Convolution(Convolution),
    DepthwiseSeparable(DepthwiseSeparable),
    FactorizedReduce(FactorizedReduce),
    Pool(Pool),
}

impl Operation {
    /// What it is to those who compute with it.
    pub const fn linear(&self) -> &dyn Linear {
        match self {
            Self::Convolution(op) => op,
            Self::DepthwiseSeparable(op) => op,
            Self::FactorizedReduce(op) => op,
            Self::Pool(op) => op,
        }
    }

    pub fn input(&self) -> Shape {
        self.linear().input()
    }

    pub fn output(&self) -> Shape {
        self.linear().output()
    }
}
