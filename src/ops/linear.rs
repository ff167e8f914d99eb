//! What every linear operation is to those who compute with it.

use super::cuda::CudaLinear;
use super::input::{Moments, OutputGradient, SegmentGradient};
use super::{Images, Operation};
use crate::tensor::{Shape, padded_channels};
use std::ops::Range;

/// A weight of an operation: its shape in PyTorch, and its layout in a bank (`network::Layout`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightShape {
    /// `[outputs, inputs, kernel, kernel]`
    Dense { outputs: usize, kernel: usize },
    /// `[outputs, inputs, 1, 1]`: of a 1x1 convolution to `channels` channels those that are `outputs`.
    Columns { outputs: Range<usize>, channels: usize },
    /// `[inputs, 1, kernel, kernel]`
    Depthwise { kernel: usize },
}

/// The linear part of a stage: its shapes, its cost, its formula and its kernels.
///
/// Weights, and their gradients, stand in the order of the layer's parameters: in PyTorch's layout for the reference, in that of the bank for the kernels.
pub trait Linear: CudaLinear {
    fn input(&self) -> Shape;

    fn output(&self) -> Shape;

    /// Stored channels of its output, for an input of `inputs` stored channels.
    fn stored_outputs(&self, _inputs: usize) -> usize {
        padded_channels(self.output().channels)
    }

    /// FLOPs of the forward pass of one image: two a multiply-add, one a tap of a pool.
    fn flops(&self) -> u64;

    /// Its weights.
    fn weights(&self) -> Vec<WeightShape>;

    /// The formula in f64. Feature maps are NHWC without channel padding.
    fn reference_forward(&self, x: &[f64], weights: &[&[f64]]) -> Vec<f64>;

    /// Gradients of the input and of every weight.
    fn reference_backward(&self, x: &[f64], weights: &[&[f64]], dy: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>);

    /// What it computes before a product, if kernels that store bf16 round that: by this they are judged.
    fn filtering(&self) -> Option<&dyn Filtering> {
        None
    }

    /// Computes some images: `output = [image][row][column][channel]`, overwritten. The statistics of the output are merged into `moments`.
    ///
    /// # Panics
    /// If a slice is shorter than its shape says.
    fn cpu_forward(&self, images: Images, weights: &[&[f32]], output: &mut [f32], moments: Option<&mut Moments>);

    /// Weights as `cpu_backward` wants them, once per stage and step. As many numbers as all weights together.
    ///
    /// # Panics
    /// If `prepared` is shorter than that.
    fn cpu_prepare_backward(&self, weights: &[&[f32]], prepared: &mut [f32]);

    /// Gradients of some images: into `segment_gradients`, one per segment, and this chunk's `weight_gradients`, overwritten; none where they are not wanted.
    ///
    /// # Panics
    /// If a slice is shorter than its shape says.
    fn cpu_backward(
        &self,
        images: Images,
        weights: &[&[f32]],
        prepared: &[f32],
        output_gradient: OutputGradient,
        segment_gradients: Option<&mut [SegmentGradient]>,
        weight_gradients: Option<&mut [&mut [f32]]>,
    );

    /// Numbers of scratch that a pass takes at most beside images with their borders, for an input of `inputs` stored channels.
    fn cpu_scratch_len(&self, _inputs: usize) -> usize {
        0
    }
}

/// An operation that filters its input by its first weight, then multiplies what it filtered by the others. Kernels that store bf16 filter in f32 and round
/// what they multiply.
pub trait Filtering {
    /// What is multiplied, in f32 with the multiply-adds of the kernels, before it is rounded.
    fn filter(&self, x: &[f64], weights: &[f64]) -> Vec<f64>;

    /// Gradients of the input and of the first weight in f64, from the gradient of what is multiplied. The kernels hand the latter over as the scratch of
    /// the stage, with the channels of the input.
    fn filter_backward(&self, x: &[f64], weights: &[f64], gradient: &[f64]) -> (Vec<f64>, Vec<f64>);

    fn product(&self) -> Operation;
}
