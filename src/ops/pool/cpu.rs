//! Max and average pooling with vector instructions.
//!
//! Both work on a bordered copy of each image (border minus infinity, or zero). Backward of the max pool recomputes each window's largest tap from the stored
//! input, then gathers. The average divides by the number of valid taps.

use super::PoolKind;
use super::maximum::{Gather, Positions, Values, Windows};
use crate::ops::depthwise::Filter;
use crate::ops::input::{
    Epilogue, Moments, OutputGradient, OutputGradientReader, Padded, SegmentGradient, clear_sums, fill, spread_pixels,
    strip_rows, strips,
};
use crate::ops::{Images, Pool, Window};
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Pools some images: `output = [image][row][column][channel]`, overwritten. The statistics of the output are merged into `moments`.
///
/// # Panics
/// If a slice is shorter than its shape says, or the kernel larger than 7.
pub fn forward(operation: &Pool, images: Images, output: &mut [f32], mut moments: Option<&mut Moments>) {
    let Images { level, input, count, scratch } = images;
    let Pool { kind, window, input: from, output: to } = *operation;
    let size = (from.height, from.width);
    let padded = Padded::new(size, input.channels(), window.padding);
    let channels = padded.channels;
    let taps = padded.taps(&window);
    let [copy, ones] = scratch.split([padded.len(window.stride), window.taps() * channels]);
    padded.fill_border(copy, if kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 });
    ones.fill(1.0);
    for image in 0..count {
        fill(level, input, image, 0..from.height, size, copy, &padded);
        for strip in strips(to.height, to.width) {
            let row = to.width * channels;
            let start = (image * to.height + strip.start) * row;
            let values = &mut output[start..start + strip.len() * row];
            let x = &copy[strip.start * window.stride * padded.row()..];
            let (input_step, input_row) = (window.stride * channels, window.stride * padded.row());
            match kind {
                PoolKind::Max => level.run(Values(Windows {
                    input: x,
                    taps: &taps,
                    channels,
                    input_step,
                    input_row,
                    output: values,
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
                        output: values,
                        output_step: channels,
                        output_row: row,
                        rows: strip.len(),
                        pixels: to.width,
                    });
                    let (rows, pixels) = (strip.clone(), to.width);
                    level.run(DivideByValidTaps { window: &window, size, rows, pixels, channels, values });
                }
            }
            if let Some(moments) = &mut moments {
                moments.add_strip(level, values);
            }
        }
    }
}

/// Gradients of some images into `segment_gradients`, one per segment.
///
/// # Panics
/// If a slice is shorter than its shape says, or the padding larger than the kernel's reach.
pub fn backward(
    operation: &Pool,
    images: Images,
    output_gradient: OutputGradient,
    segment_gradients: &mut [SegmentGradient],
) {
    let Images { level, input, count, scratch } = images;
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
    for image in 0..count {
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
            let (rows, pixels, values) = (0..to.height, to.width, &mut *packed);
            level.run(DivideByValidTaps { window: &window, size, rows, pixels, channels, values });
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
#[inline(always)]
fn valid_taps(window: &Window, index: usize, size: usize) -> usize {
    // Of the first tap; those before the border and beyond the other are not valid.
    let place = index * window.stride;
    let before = window.padding.saturating_sub(place).div_ceil(window.dilation);
    let until = (size + window.padding).saturating_sub(place).div_ceil(window.dilation).min(window.kernel);
    until.saturating_sub(before)
}

/// Divides rows `rows` of an output, `values = [row][pixel][channel]`, by each window's number of valid taps: a product by its reciprocal.
struct DivideByValidTaps<'a> {
    window: &'a Window,
    /// Of the input.
    size: (usize, usize),
    rows: Range<usize>,
    pixels: usize,
    channels: usize,
    values: &'a mut [f32],
}

impl DivideByValidTaps<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let Self { window, size: (height, width), pixels, channels, .. } = self;
        for (row, values) in self.rows.zip(self.values.chunks_exact_mut(pixels * channels)) {
            let vertical = valid_taps(window, row, height);
            for (column, pixel) in values.chunks_exact_mut(channels).enumerate() {
                let share = simd.splat(1.0 / (vertical * valid_taps(window, column, width)) as f32);
                for vector in pixel.chunks_exact_mut(S::LANES) {
                    // SAFETY: the chunk holds a vector.
                    unsafe { simd.store(vector.as_mut_ptr(), simd.mul(simd.load(vector.as_ptr()), share)) };
                }
            }
        }
    }
}

impl Kernel for DivideByValidTaps<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(self.channels.is_multiple_of(8));
        if self.channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
