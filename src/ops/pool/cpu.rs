//! Max and average pooling with vector instructions.
//!
//! Both work on a bordered copy of each image (border minus infinity, or zero). Backward of the max pool recomputes each window's largest tap from the stored
//! input, then gathers. The average divides by the number of valid taps.

use super::maximum::{Gather, Positions, Values, Windows};
use crate::ops::depthwise::Filter;
use crate::ops::input::{
    Epilogue, Input, Moments, OutputGradient, OutputGradientReader, Padded, SegmentGradient, clear_sums, fill,
    spread_pixels, strip_rows, strips,
};
use crate::ops::{Pool, PoolKind, Window};
use crate::simd::{Level, Scratch};

/// Pools `images` images: `output = [image][row][column][channel]`, overwritten. The statistics of the output are merged into `moments`.
///
/// # Panics
/// If a slice is shorter than its shape says, or the kernel larger than 7.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    level: Level,
    operation: &Pool,
    input: &Input,
    images: usize,
    output: &mut [f32],
    mut moments: Option<&mut Moments>,
    scratch: &mut Scratch,
) {
    let Pool { kind, window, input: from, output: to } = *operation;
    let size = (from.height, from.width);
    let padded = Padded::new(size, input.channels(), window.padding);
    let channels = padded.channels;
    let taps = padded.taps(&window);
    let [copy, ones] = scratch.split([padded.len(window.stride), window.taps() * channels]);
    padded.fill_border(copy, if kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 });
    ones.fill(1.0);
    for image in 0..images {
        fill(level, input, image, 0..from.height, size, copy, &padded);
        for strip in strips(to.height, to.width) {
            let row = to.width * channels;
            let start = (image * to.height + strip.start) * row;
            let rows = &mut output[start..start + strip.len() * row];
            let x = &copy[strip.start * window.stride * padded.row()..];
            let (input_step, input_row) = (window.stride * channels, window.stride * padded.row());
            match kind {
                PoolKind::Max => level.run(Values(Windows {
                    input: x,
                    taps: &taps,
                    channels,
                    input_step,
                    input_row,
                    output: rows,
                    output_step: channels,
                    output_row: row,
                    rows: strip.len(),
                    pixels: to.width,
                })),
                PoolKind::Average => {
                    level.run(Filter {
                        input: x,
                        taps: &taps,
                        window: &window,
                        channels,
                        input_step,
                        input_row,
                        weights: ones,
                        output: rows,
                        output_step: channels,
                        output_row: row,
                        rows: strip.len(),
                        pixels: to.width,
                    });
                    divide_by_valid_taps(&window, size, strip.clone(), to.width, rows);
                }
            }
            if let Some(moments) = &mut moments {
                moments.add_strip(level, rows);
            }
        }
    }
}

/// Gradients of `images` images into `segment_gradients`, one per segment.
///
/// # Panics
/// If a slice is shorter than its shape says, or the padding larger than the kernel's reach.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    level: Level,
    operation: &Pool,
    input: &Input,
    images: usize,
    output_gradient: OutputGradient,
    segment_gradients: &mut [SegmentGradient],
    scratch: &mut Scratch,
) {
    let Pool { kind, window, input: from, output: to } = *operation;
    assert!(window.padding <= window.dilation * (window.kernel - 1), "padding beyond the kernel's reach");
    let size = (from.height, from.width);
    let padded = Padded::new(size, input.channels(), window.padding);
    let channels = padded.channels;
    let spread = Padded::transposed(&window, size, channels);
    let taps = padded.taps(&window);
    let spread_taps = spread.taps(&window);
    let max = kind == PoolKind::Max;
    let [copy, positions, dy, packed, ones, du, coefficients] = scratch.split([
        if max { padded.len(window.stride) } else { 0 },
        if max { spread.len(1) } else { 0 },
        spread.len(1),
        if max { 0 } else { to.pixels() * channels },
        window.taps() * channels,
        strip_rows(from.width) * from.width * channels,
        OutputGradientReader::coefficients(channels),
    ]);
    let reader = OutputGradientReader::new(output_gradient, channels, coefficients);
    dy.fill(0.0);
    ones.fill(1.0);
    if max {
        padded.fill_border(copy, f32::NEG_INFINITY);
        positions.fill(-1.0);
    }
    clear_sums(segment_gradients);
    let (dy_row, dy_step) = (window.stride * spread.row(), window.stride * channels);
    let mut epilogue = Epilogue { input, gradients: segment_gradients };
    for image in 0..images {
        let start = image * to.pixels();
        if max {
            fill(level, input, image, 0..from.height, size, copy, &padded);
            level.run(Positions(Windows {
                input: copy,
                taps: &taps,
                channels,
                input_step: dy_step,
                input_row: window.stride * padded.row(),
                output: &mut positions[spread.interior()..],
                output_step: dy_step,
                output_row: dy_row,
                rows: to.height,
                pixels: to.width,
            }));
            reader.read(level, start, (to.height, to.width), &mut dy[spread.interior()..], dy_row, dy_step);
        } else {
            reader.read(level, start, (1, to.pixels()), packed, 0, channels);
            divide_by_valid_taps(&window, size, 0..to.height, to.width, packed);
            spread_pixels(packed, to.width, channels, &mut dy[spread.interior()..], dy_row, dy_step);
        }
        for strip in strips(from.height, from.width) {
            let first = strip.start * spread.row();
            if max {
                level.run(Gather {
                    positions: &positions[first..],
                    dy: &dy[first..],
                    taps: &spread_taps,
                    channels,
                    row: spread.row(),
                    output: du,
                    rows: strip.len(),
                    pixels: from.width,
                });
            } else {
                level.run(Filter {
                    input: &dy[first..],
                    taps: &spread_taps,
                    window: &window,
                    channels,
                    input_step: channels,
                    input_row: spread.row(),
                    weights: ones,
                    output: du,
                    output_step: channels,
                    output_row: from.width * channels,
                    rows: strip.len(),
                    pixels: from.width,
                });
            }
            let start = (image * from.height + strip.start) * from.width;
            epilogue.write(level, du, start, strip.len() * from.width);
        }
    }
}

/// Taps of the window at output position `index` that fall into `size` pixels, along one axis.
fn valid_taps(window: &Window, index: usize, size: usize) -> usize {
    (0..window.kernel)
        .filter(|tap| {
            let place = index * window.stride + tap * window.dilation;
            place >= window.padding && place - window.padding < size
        })
        .count()
}

/// Divides rows `rows` of an output, `values = [row][pixel][channel]`, by each window's number of valid taps.
fn divide_by_valid_taps(
    window: &Window,
    (height, width): (usize, usize),
    rows: std::ops::Range<usize>,
    pixels: usize,
    values: &mut [f32],
) {
    let channels = values.len() / (rows.len() * pixels);
    for (row, values) in rows.zip(values.chunks_exact_mut(pixels * channels)) {
        let vertical = valid_taps(window, row, height);
        for (column, pixel) in values.chunks_exact_mut(channels).enumerate() {
            let count = (vertical * valid_taps(window, column, width)) as f32;
            pixel.iter_mut().for_each(|value| *value /= count);
        }
    }
}
