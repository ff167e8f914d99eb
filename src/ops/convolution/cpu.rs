//! Dense convolution with vector instructions: a `Winograd` where it is of that kind, or a `DenseConvolution` whose taps have all output channels.
//!
//! Weights and their gradients: `[ky][kx][ci][co]`, stored channels, padding zero.

use crate::ops::dense::{DenseConvolution, WindowTap, Winograd};
use crate::ops::input::{Moments, OutputGradient, SegmentGradient};
use crate::ops::{Convolution, Images};

impl Convolution {
    fn dense(&self) -> DenseConvolution {
        let Self { window, input, output } = *self;
        // The taps of a row stand side by side unless they are dilated.
        let neighbours = if window.dilation == 1 { window.kernel } else { 1 };
        let numbers = (0..window.taps()).step_by(neighbours);
        let taps = numbers.map(|number| WindowTap { number, neighbours, outputs: 0..output.channels });
        DenseConvolution { window, input, output, taps: taps.collect() }
    }
}

/// Numbers of scratch that one of the passes takes at most, beside images with their borders, for an input of `inputs` stored channels.
pub fn scratch_len(operation: &Convolution, inputs: usize) -> usize {
    Winograd::of(operation, inputs).map_or(0, |winograd| winograd.scratch_len())
}

/// Convolves some images: `output = [image][row][column][co]`, overwritten. The statistics of the output are merged into `moments`.
///
/// # Panics
/// If a slice is shorter than its shape says, or the kernel larger than 7.
pub fn forward(
    operation: &Convolution,
    images: Images,
    weights: &[f32],
    output: &mut [f32],
    moments: Option<&mut Moments>,
) {
    if let Some(winograd) = Winograd::of(operation, images.input.channels()) {
        return winograd.forward(images, weights, output, moments);
    }
    let dense = operation.dense();
    let weights = weights.chunks_exact(weights.len() / dense.taps.len());
    dense.forward(images, weights, output, moments);
}

/// Flipped and transposed weights `[ky'][kx'][co][ci]`, as `backward` wants them; once per stage and step. As many numbers as `weights`.
///
/// # Panics
/// If `prepared` is shorter than `weights`.
pub fn prepare_backward(operation: &Convolution, weights: &[f32], prepared: &mut [f32]) {
    let dense = operation.dense();
    dense.prepare_backward(weights.chunks_exact(weights.len() / dense.taps.len()), prepared);
}

/// Gradients of some images: into `segment_gradients`, one per segment (none for a network's input), and this chunk's `weight_gradient`, overwritten
/// (none where it is not wanted).
///
/// # Panics
/// If a slice is shorter than its shape says, or the padding larger than the kernel's reach.
pub fn backward(
    operation: &Convolution,
    images: Images,
    prepared: &[f32],
    output_gradient: OutputGradient,
    segment_gradients: Option<&mut [SegmentGradient]>,
    weight_gradient: Option<&mut [f32]>,
) {
    if let Some(winograd) = Winograd::of(operation, images.input.channels()) {
        return winograd.backward(images, prepared, output_gradient, segment_gradients, weight_gradient);
    }
    let dense = operation.dense();
    let mut of_taps: Option<Vec<&mut [f32]>> = weight_gradient.map(|gradient| {
        let len = gradient.len() / dense.taps.len();
        gradient.chunks_exact_mut(len).collect()
    });
    dense.backward(images, prepared, output_gradient, segment_gradients, of_taps.as_deref_mut());
}
