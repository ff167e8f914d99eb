//! Factorized reduction with vector instructions: a `DenseConvolution` of stride 2 with two of the taps of a 2x2 window, the first and the last, each with half of
//! the output channels.
//!
//! Weights and their gradients: for each half `[ci][co]`, stored channels of the whole output; zero in padding and in the channels of the other half.

use crate::ops::dense::{DenseConvolution, WindowTap};
use crate::ops::input::{Moments, OutputGradient, SegmentGradient};
use crate::ops::{FactorizedReduce, Images, Window};

const WINDOW: Window = Window { kernel: 2, stride: 2, dilation: 1, padding: 0 };

impl FactorizedReduce {
    fn dense(&self) -> DenseConvolution {
        let Self { input, output } = *self;
        let half = output.channels / 2;
        let first = WindowTap { number: 0, neighbours: 1, outputs: 0..half };
        let second = WindowTap { number: 3, neighbours: 1, outputs: half..output.channels };
        DenseConvolution { window: WINDOW, input, output, taps: vec![first, second] }
    }
}

/// Reduces some images: `output = [image][row][column][co]`, overwritten. The statistics of the output are merged into `moments`.
///
/// # Panics
/// If a slice is shorter than its shape says.
pub fn forward(
    operation: &FactorizedReduce,
    images: Images,
    weights: [&[f32]; 2],
    output: &mut [f32],
    moments: Option<&mut Moments>,
) {
    operation.dense().forward(images, weights.into_iter(), output, moments);
}

/// Transposed weights `[co][ci]`, the second half's first, as `backward` wants them; once per stage and step. As many numbers as both weights together.
///
/// # Panics
/// If `prepared` is shorter than that.
pub fn prepare_backward(operation: &FactorizedReduce, weights: [&[f32]; 2], prepared: &mut [f32]) {
    operation.dense().prepare_backward(weights.into_iter(), prepared);
}

/// Gradients of some images: into `segment_gradients`, one per segment (none for a network's input), and this chunk's `weight_gradients`, overwritten
/// (none where they are not wanted).
///
/// # Panics
/// If a slice is shorter than its shape says.
pub fn backward(
    operation: &FactorizedReduce,
    images: Images,
    prepared: &[f32],
    output_gradient: OutputGradient,
    segment_gradients: Option<&mut [SegmentGradient]>,
    weight_gradients: Option<&mut [&mut [f32]]>,
) {
    operation.dense().backward(images, prepared, output_gradient, segment_gradients, weight_gradients);
}
