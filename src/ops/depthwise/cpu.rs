//! Depthwise separable convolution with vector instructions.
//!
//! Forward: each image is normalized once into a bordered copy; strips of depthwise output `h` go straight into the pointwise product and are never stored.
//! Backward recomputes the copy and `h`, one image at a time: `dW_pointwise = h^T dy`, `dh = dy W^T` into a bordered image, then the flipped filter over `dh` for
//! the input gradient and one register a tap for `dW_depthwise`.
//!
//! Weights and their gradients: depthwise `[ky][kx][ci]`, pointwise `[ci][co]`, stored channels, padding zero.

use super::{Filter, FilterWeights};
use crate::ops::dense::{Dense, DenseWeights, Tap};
use crate::ops::input::{
    Epilogue, Moments, OutputGradient, OutputGradientReader, Padded, SegmentGradient, clear_sums, fill, spread_pixels,
    strip_rows, strips,
};
use crate::ops::{DepthwiseSeparable, Images};
use crate::tensor::padded_channels;

/// The forward weights of a depthwise separable convolution.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[ky][kx][ci]`
    pub depthwise: &'a [f32],
    /// `[ci][co]`
    pub pointwise: &'a [f32],
}

/// The weight gradients of one chunk, laid out like [`Weights`], overwritten.
#[derive(Debug)]
pub struct WeightGradients<'a> {
    pub depthwise: &'a mut [f32],
    pub pointwise: &'a mut [f32],
}

/// Convolves some images: `output = [image][row][column][co]`, overwritten. The statistics of the output are merged into `moments`.
///
/// # Panics
/// If a slice is shorter than its shape says, or the kernel larger than 7.
pub fn forward(
    operation: &DepthwiseSeparable,
    images: Images,
    weights: Weights,
    output: &mut [f32],
    mut moments: Option<&mut Moments>,
) {
    let Images { level, input, count, scratch } = images;
    let DepthwiseSeparable { window, input: from, output: to } = *operation;
    let channels = padded_channels(to.channels);
    let padded = Padded::new((from.height, from.width), input.channels(), window.padding);
    let taps = padded.taps(&window);
    let h_size = Padded::new((strip_rows(to.width), to.width), padded.channels, 0);
    let [copy, h] = scratch.split([padded.len(window.stride), h_size.len(1)]);
    let pointwise = [Tap::pointwise(weights.pointwise, padded.channels, channels)];
    padded.fill_border(copy, 0.0);
    for image in 0..count {
        fill(level, input, image, 0..from.height, (from.height, from.width), copy, &padded);
        for strip in strips(to.height, to.width) {
            level.run(Filter {
                input: &copy[strip.start * window.stride * padded.row()..],
                taps: &taps,
                window: &window,
                channels: padded.channels,
                input_step: window.stride * padded.channels,
                input_row: window.stride * padded.row(),
                weights: weights.depthwise,
                output: h,
                output_step: padded.channels,
                output_row: h_size.row(),
                rows: strip.len(),
                pixels: to.width,
            });
            let row = to.width * channels;
            let start = (image * to.height + strip.start) * row;
            let rows = &mut output[start..start + strip.len() * row];
            level.run(Dense {
                input: h,
                taps: &pointwise,
                input_step: padded.channels,
                input_row: 0,
                weights_row: 0,
                output_channels: channels,
                output: rows,
                output_step: channels,
                output_row: 0,
                rows: 1,
                pixels: strip.len() * to.width,
            });
            if let Some(moments) = &mut moments {
                moments.add_strip(level, rows);
            }
        }
    }
}

/// What `backward` wants besides the weights: the flipped filter `[ky'][kx'][ci]`, then the transposed pointwise weights `[co][ci]`; once per stage and step. As
/// many numbers as both weights together.
///
/// # Panics
/// If `prepared` is shorter than that.
pub fn prepare_backward(operation: &DepthwiseSeparable, weights: Weights, prepared: &mut [f32]) {
    let taps = operation.window.taps();
    let inputs = weights.depthwise.len() / taps;
    let outputs = weights.pointwise.len() / inputs;
    let (flipped, transposed) = prepared.split_at_mut(taps * inputs);
    for tap in 0..taps {
        flipped[(taps - 1 - tap) * inputs..][..inputs].copy_from_slice(&weights.depthwise[tap * inputs..][..inputs]);
    }
    for ci in 0..inputs {
        for co in 0..outputs {
            transposed[co * inputs + ci] = weights.pointwise[ci * outputs + co];
        }
    }
}

/// Gradients of some images: into `segment_gradients`, one per segment (none for a network's input), and this chunk's `weight_gradients`, overwritten
/// (none where they are not wanted).
///
/// # Panics
/// If a slice is shorter than its shape says, or the padding larger than the kernel's reach.
pub fn backward(
    operation: &DepthwiseSeparable,
    images: Images,
    depthwise: &[f32],
    prepared: &[f32],
    output_gradient: OutputGradient,
    mut segment_gradients: Option<&mut [SegmentGradient]>,
    mut weight_gradients: Option<WeightGradients>,
) {
    let Images { level, input, count, scratch } = images;
    let DepthwiseSeparable { window, input: from, output: to } = *operation;
    assert!(window.padding <= window.dilation * (window.kernel - 1), "padding beyond the kernel's reach");
    let channels = padded_channels(to.channels);
    let size = (from.height, from.width);
    let padded = Padded::new(size, input.channels(), window.padding);
    let spread = Padded::transposed(&window, size, padded.channels);
    let taps = padded.taps(&window);
    let spread_taps = spread.taps(&window);
    let (flipped, transposed) = prepared.split_at(window.taps() * padded.channels);
    let transposed = [Tap::pointwise(transposed, channels, padded.channels)];
    let output_strip = Padded::new((strip_rows(to.width), to.width), padded.channels, 0);
    let dy_strip = Padded::new((strip_rows(to.width), to.width), channels, 0);
    let input_strip = strip_rows(from.width) * from.width * padded.channels;
    let [copy, spread_dh, h, dh, dy, du, coefficients] = scratch.split([
        padded.len(window.stride),
        spread.len(1),
        output_strip.len(1),
        output_strip.len(1),
        dy_strip.len(1),
        input_strip,
        OutputGradientReader::coefficients(channels),
    ]);
    let reader = OutputGradientReader::new(output_gradient, channels, coefficients);
    padded.fill_border(copy, 0.0);
    spread_dh.fill(0.0);
    if let Some(WeightGradients { depthwise, pointwise }) = &mut weight_gradients {
        depthwise.fill(0.0);
        pointwise.fill(0.0);
    }
    if let Some(gradients) = segment_gradients.as_deref_mut() {
        clear_sums(gradients);
    }
    let (dh_row, dh_step) = (window.stride * spread.row(), window.stride * padded.channels);
    for image in 0..count {
        if weight_gradients.is_some() {
            fill(level, input, image, 0..from.height, size, copy, &padded);
        }
        for strip in strips(to.height, to.width) {
            let x = &copy[strip.start * window.stride * padded.row()..];
            let pixels = strip.len() * to.width;
            let start = (image * to.height + strip.start) * to.width;
            reader.read(level, start, (1, pixels), dy, 0, channels);
            if let Some(gradients) = &mut weight_gradients {
                level.run(Filter {
                    input: x,
                    taps: &taps,
                    window: &window,
                    channels: padded.channels,
                    input_step: window.stride * padded.channels,
                    input_row: window.stride * padded.row(),
                    weights: depthwise,
                    output: h,
                    output_step: padded.channels,
                    output_row: output_strip.row(),
                    rows: strip.len(),
                    pixels: to.width,
                });
                level.run(DenseWeights {
                    input: h,
                    input_channels: padded.channels,
                    input_step: padded.channels,
                    input_row: 0,
                    dy,
                    output_channels: channels,
                    outputs: 0..channels,
                    dy_step: channels,
                    dy_row: 0,
                    rows: 1,
                    pixels,
                    gradient: gradients.pointwise,
                });
            }
            level.run(Dense {
                input: dy,
                taps: &transposed,
                input_step: channels,
                input_row: 0,
                weights_row: 0,
                output_channels: padded.channels,
                output: dh,
                output_step: padded.channels,
                output_row: 0,
                rows: 1,
                pixels,
            });
            if let Some(gradients) = &mut weight_gradients {
                level.run(FilterWeights {
                    input: x,
                    taps: &taps,
                    channels: padded.channels,
                    input_step: window.stride * padded.channels,
                    input_row: window.stride * padded.row(),
                    dh,
                    dh_step: padded.channels,
                    dh_row: to.width * padded.channels,
                    rows: strip.len(),
                    pixels: to.width,
                    gradient: gradients.depthwise,
                });
            }
            let target = &mut spread_dh[spread.interior() + strip.start * dh_row..];
            spread_pixels(&dh[..pixels * padded.channels], to.width, padded.channels, target, dh_row, dh_step);
        }
        let Some(gradients) = segment_gradients.as_deref_mut() else { continue };
        let mut epilogue = Epilogue { input, gradients };
        for strip in strips(from.height, from.width) {
            level.run(Filter {
                input: &spread_dh[strip.start * spread.row()..],
                taps: &spread_taps,
                window: &window,
                channels: padded.channels,
                input_step: padded.channels,
                input_row: spread.row(),
                weights: flipped,
                output: du,
                output_step: padded.channels,
                output_row: from.width * padded.channels,
                rows: strip.len(),
                pixels: from.width,
            });
            let start = (image * from.height + strip.start) * from.width;
            epilogue.write(level, du, start, strip.len() * from.width);
        }
    }
}
