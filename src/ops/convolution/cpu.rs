//! Dense convolution with vector instructions.
//!
//! Forward: each image is normalized once into a bordered copy in scratch, then the dense product runs over strips of rows, whose statistics are taken while they
//! are in the cache. Backward recomputes that copy; the input gradient is the same dense product over the bordered output gradient (spread by the
//! stride) with flipped, transposed weights.
//!
//! Weights and their gradients: `[ky][kx][ci][co]`, stored channels, padding zero.

use crate::ops::Convolution;
use crate::ops::dense::{Dense, DenseWeights};
use crate::ops::input::{
    Epilogue, Input, Moments, OutputGradient, OutputGradientReader, Padded, SegmentGradient, clear_sums, fill, strips,
};
use crate::simd::{Level, Scratch};
use crate::tensor::padded_channels;

/// Convolves `images` images: `output = [image][row][column][co]`, overwritten. The statistics of the output are merged into `moments`.
///
/// # Panics
/// If a slice is shorter than its shape says, or the kernel larger than 7.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    level: Level,
    operation: &Convolution,
    input: &Input,
    images: usize,
    weights: &[f32],
    output: &mut [f32],
    mut moments: Option<&mut Moments>,
    scratch: &mut Scratch,
) {
    let Convolution { window, input: from, output: to } = *operation;
    let channels = padded_channels(to.channels);
    let padded = Padded::new((from.height, from.width), input.channels(), window.padding);
    let taps = padded.taps(&window);
    let [copy] = scratch.split([padded.len(window.stride)]);
    padded.fill_border(copy, 0.0);
    for image in 0..images {
        fill(level, input, image, 0..from.height, (from.height, from.width), copy, &padded);
        for strip in strips(to.height, to.width) {
            let row = to.width * channels;
            let start = (image * to.height + strip.start) * row;
            let rows = &mut output[start..start + strip.len() * row];
            level.run(Dense {
                input: &copy[strip.start * window.stride * padded.row()..],
                taps: &taps,
                input_channels: padded.channels,
                input_step: window.stride * padded.channels,
                input_row: window.stride * padded.row(),
                weights,
                output_channels: channels,
                output: rows,
                rows: strip.len(),
                pixels: to.width,
            });
            if let Some(moments) = &mut moments {
                moments.add_strip(level, rows);
            }
        }
    }
}

/// Flipped and transposed weights `[ky'][kx'][co][ci]`, as `backward` wants them; once per stage and step. As many numbers as `weights`.
///
/// # Panics
/// If `prepared` is shorter than `weights`.
pub fn prepare_backward(operation: &Convolution, weights: &[f32], prepared: &mut [f32]) {
    let taps = operation.window.taps();
    let outputs = padded_channels(operation.output.channels);
    let inputs = weights.len() / (taps * outputs);
    for tap in 0..taps {
        let from = &weights[tap * inputs * outputs..][..inputs * outputs];
        let to = &mut prepared[(taps - 1 - tap) * inputs * outputs..][..inputs * outputs];
        for ci in 0..inputs {
            for co in 0..outputs {
                to[co * inputs + ci] = from[ci * outputs + co];
            }
        }
    }
}

/// Gradients of `images` images: into `segment_gradients`, one per segment (none for a network's input), and this chunk's `weight_gradient`, overwritten.
///
/// # Panics
/// If a slice is shorter than its shape says, or the padding larger than the kernel's reach.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    level: Level,
    operation: &Convolution,
    input: &Input,
    images: usize,
    prepared: &[f32],
    output_gradient: OutputGradient,
    mut segment_gradients: Option<&mut [SegmentGradient]>,
    weight_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    let Convolution { window, input: from, output: to } = *operation;
    assert!(window.padding <= window.dilation * (window.kernel - 1), "padding beyond the kernel's reach");
    let channels = padded_channels(to.channels);
    let size = (from.height, from.width);
    let padded = Padded::new(size, input.channels(), window.padding);
    let spread = Padded::transposed(&window, size, channels);
    let taps = padded.taps(&window);
    let spread_taps = spread.taps(&window);
    let strip_numbers = crate::ops::input::strip_rows(from.width) * from.width * padded.channels;
    let [copy, dy, du, coefficients] =
        scratch.split([padded.len(1), spread.len(1), strip_numbers, OutputGradientReader::coefficients(channels)]);
    let reader = OutputGradientReader::new(output_gradient, channels, coefficients);
    padded.fill_border(copy, 0.0);
    dy.fill(0.0);
    weight_gradient.fill(0.0);
    if let Some(gradients) = segment_gradients.as_deref_mut() {
        clear_sums(gradients);
    }
    let (dy_row, dy_step) = (window.stride * spread.row(), window.stride * channels);
    for image in 0..images {
        fill(level, input, image, 0..from.height, size, copy, &padded);
        let pixels = image * to.pixels();
        reader.read(level, pixels, (to.height, to.width), &mut dy[spread.interior()..], dy_row, dy_step);
        for strip in strips(to.height, to.width) {
            level.run(DenseWeights {
                input: &copy[strip.start * window.stride * padded.row()..],
                taps: &taps,
                input_channels: padded.channels,
                input_step: window.stride * padded.channels,
                input_row: window.stride * padded.row(),
                dy: &dy[spread.interior() + strip.start * dy_row..],
                output_channels: channels,
                dy_step,
                dy_row,
                rows: strip.len(),
                pixels: to.width,
                gradient: weight_gradient,
            });
        }
        let Some(gradients) = segment_gradients.as_deref_mut() else { continue };
        let mut epilogue = Epilogue { input, gradients };
        for strip in strips(from.height, from.width) {
            level.run(Dense {
                input: &dy[strip.start * spread.row()..],
                taps: &spread_taps,
                input_channels: channels,
                input_step: channels,
                input_row: spread.row(),
                weights: prepared,
                output_channels: padded.channels,
                output: du,
                rows: strip.len(),
                pixels: from.width,
            });
            let start = (image * from.height + strip.start) * from.width;
            epilogue.write(level, du, start, strip.len() * from.width);
        }
    }
}
