//! 3x3 convolutions of stride 1 by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, arXiv 1509.09308): sixteen products a tile of 2x2 output pixels
//! and pair of channels in place of 36.
//!
//! A group of rows of tiles goes through together: the pixels under each tile become 4x4 points, each point's matrix `[tile][ci]` is multiplied by that of the
//! filters `[ci][co]`, and the products become pixels. All factors are 0, 1 and 1/2, so rounding stays near that of the direct sums. The weights' gradient is the
//! sum over tiles of the points of the input times those of the output gradient; the input's gradient is a convolution of the output gradient with flipped,
//! transposed filters.

mod filters;
mod tiles;

use super::{Dense, DenseWeights, Tap};
use crate::ops::input::{
    Epilogue, Moments, OutputGradient, OutputGradientReader, Padded, SegmentGradient, clear_sums, fill,
};
use crate::ops::{Convolution, Images, Window};
use crate::simd::Level;
use crate::tensor::padded_channels;
use filters::{FromPoints, ToPoints};
use std::ops::Range;
use tiles::{GradientTiles, InputTiles, OutputTiles};

/// Points of a tile: 4x4.
const POINTS: usize = 16;
/// Numbers of all points of a group, about: what leaves room for three such buffers in the second-level cache.
const GROUP: usize = 1 << 14;
/// Tiles that a block of a product may read beyond the last.
const OVERRUN: usize = 16;
/// Numbers between the matrices of two points: no power of two, which would put all points of a tile into one set of the cache.
const GAP: usize = 16;
/// Pixels over which sums stay in f32.
const STRIP: usize = 64;

/// A 3x3 convolution that keeps the size.
pub(crate) struct Winograd {
    height: usize,
    width: usize,
    /// Stored channels.
    inputs: usize,
    outputs: usize,
}

impl Winograd {
    /// The operation on an input of `inputs` stored channels, where it is of this kind and its maps are cut into whole tiles.
    pub fn of(operation: &Convolution, inputs: usize) -> Option<Self> {
        let Convolution { window, input, output } = *operation;
        let whole = input.height.is_multiple_of(2) && input.width.is_multiple_of(2);
        let fits = window == Window::same(3, 1, 1) && whole && inputs.is_multiple_of(8);
        let outputs = padded_channels(output.channels);
        fits.then_some(Self { height: input.height, width: input.width, inputs, outputs })
    }

    /// Numbers of scratch that one of the passes takes at most, beside two images with their borders.
    pub fn scratch_len(&self) -> usize {
        let [inputs, outputs] = [self.inputs, self.outputs].map(|channels| self.points(channels));
        inputs + 2 * outputs + 2 * POINTS * self.inputs * self.outputs + self.group() * 2 * self.width * self.inputs
    }

    /// Tiles in a row.
    fn across(&self) -> usize {
        self.width / 2
    }

    /// Rows of tiles of a group.
    fn group(&self) -> usize {
        (GROUP / (POINTS * self.inputs.max(self.outputs) * self.across())).max(1)
    }

    /// Distance of two points' matrices.
    fn distance(&self, channels: usize) -> usize {
        self.group() * self.across() * channels + GAP
    }

    /// Numbers of all points of a group.
    fn points(&self, channels: usize) -> usize {
        POINTS * self.distance(channels) + OVERRUN * channels
    }

    /// Rows of tiles of `images` images, group by group.
    fn groups(&self, images: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (all, group) = (images * self.height / 2, self.group());
        (0..all).step_by(group).map(move |first| first..(first + group).min(all))
    }

    /// Image of a row of tiles, and the row in it.
    fn place(&self, row: usize) -> (usize, usize) {
        (row / (self.height / 2), row % (self.height / 2))
    }

    fn padded(&self, channels: usize) -> Padded {
        Padded::new((self.height, self.width), channels, 1)
    }

    /// As `DenseConvolution::forward`; the weights `[ky][kx][ci][co]`.
    pub fn forward(&self, images: Images, weights: &[f32], output: &mut [f32], mut moments: Option<&mut Moments>) {
        let Images { level, input, count, scratch } = images;
        let Self { inputs, outputs, .. } = *self;
        let padded = self.padded(inputs);
        let matrix = inputs * outputs;
        let [copy, filters, points, products] =
            scratch.split([padded.len(1), POINTS * matrix, self.points(inputs), self.points(outputs)]);
        level.run(ToPoints { filters: weights, matrix, points: filters });
        padded.fill_border(copy, 0.0);
        for group in self.groups(count) {
            for (index, row) in group.clone().enumerate() {
                let (image, row) = self.place(row);
                if row == 0 {
                    fill(level, input, image, 0..self.height, (self.height, self.width), copy, &padded);
                }
                self.input_points(level, &copy[2 * row * padded.row()..], inputs, index, points);
            }
            self.multiply(level, group.len(), points, inputs, filters, outputs, products);
            let row = 2 * self.width * outputs;
            let pixels = &mut output[group.start * row..group.end * row];
            self.output_pixels(level, products, outputs, group.len(), pixels);
            if let Some(moments) = &mut moments {
                pixels.chunks(STRIP * outputs).for_each(|strip| moments.add_strip(level, strip));
            }
        }
    }

    /// As `DenseConvolution::backward`; `prepared` and the weights' gradient are `[ky][kx]` matrices.
    pub fn backward(
        &self,
        images: Images,
        prepared: &[f32],
        output_gradient: OutputGradient,
        mut segment_gradients: Option<&mut [SegmentGradient]>,
        weight_gradient: Option<&mut [f32]>,
    ) {
        let Images { level, input, count, scratch } = images;
        let Self { height, width, inputs, outputs } = *self;
        let (padded, bordered) = (self.padded(inputs), self.padded(outputs));
        let matrix = inputs * outputs;
        let across = self.across();
        let [copy, dy, filters, filter_gradients, points, dy_points, gradient_points, du, coefficients] = scratch
            .split([
                padded.len(1),
                bordered.len(1),
                POINTS * matrix,
                POINTS * matrix,
                self.points(inputs),
                self.points(outputs),
                self.points(outputs),
                self.group() * 2 * width * inputs,
                OutputGradientReader::coefficients(outputs),
            ]);
        let reader = OutputGradientReader::new(output_gradient, outputs, coefficients);
        level.run(ToPoints { filters: prepared, matrix, points: filters });
        padded.fill_border(copy, 0.0);
        bordered.fill_border(dy, 0.0);
        filter_gradients.fill(0.0);
        if let Some(gradients) = segment_gradients.as_deref_mut() {
            clear_sums(gradients);
        }
        for group in self.groups(count) {
            for (index, row) in group.clone().enumerate() {
                let (image, row) = self.place(row);
                if row == 0 {
                    if weight_gradient.is_some() {
                        fill(level, input, image, 0..height, (height, width), copy, &padded);
                    }
                    let interior = &mut dy[bordered.interior()..];
                    reader.read(level, image * height * width, (height, width), interior, bordered.row(), outputs);
                }
                self.input_points(level, &dy[2 * row * bordered.row()..], outputs, index, dy_points);
                if weight_gradient.is_none() {
                    continue;
                }
                self.input_points(level, &copy[2 * row * padded.row()..], inputs, index, points);
                level.run(GradientTiles {
                    gradient: &dy[bordered.interior() + 2 * row * bordered.row()..],
                    row: bordered.row(),
                    channels: outputs,
                    tiles: across,
                    points: &mut gradient_points[index * across * outputs..],
                    distance: self.distance(outputs),
                });
            }
            if weight_gradient.is_some() {
                for (point, gradient) in filter_gradients.chunks_exact_mut(matrix).enumerate() {
                    level.run(DenseWeights {
                        input: &points[point * self.distance(inputs)..],
                        input_channels: inputs,
                        input_step: inputs,
                        input_row: 0,
                        dy: &gradient_points[point * self.distance(outputs)..],
                        output_channels: outputs,
                        outputs: 0..outputs,
                        dy_step: outputs,
                        dy_row: 0,
                        rows: 1,
                        pixels: group.len() * across,
                        gradient,
                    });
                }
            }
            let Some(gradients) = segment_gradients.as_deref_mut() else { continue };
            // The points of the input have served, and make room for the products.
            self.multiply(level, group.len(), dy_points, outputs, filters, inputs, points);
            self.output_pixels(level, points, inputs, group.len(), du);
            let mut epilogue = Epilogue { input, gradients };
            let pixels = group.start * 2 * width..group.end * 2 * width;
            for start in pixels.clone().step_by(STRIP) {
                let du = &du[(start - pixels.start) * inputs..];
                epilogue.write(level, du, start, STRIP.min(pixels.end - start));
            }
        }
        if let Some(filters) = weight_gradient {
            level.run(FromPoints { points: filter_gradients, matrix, filters });
        }
    }

    /// The points of row `index` of a group; `input` starts with the border above it.
    fn input_points(&self, level: Level, input: &[f32], channels: usize, index: usize, points: &mut [f32]) {
        level.run(InputTiles {
            input,
            row: (self.width + 2) * channels,
            channels,
            tiles: self.across(),
            points: &mut points[index * self.across() * channels..],
            distance: self.distance(channels),
        });
    }

    /// Multiplies the points of `rows` rows of tiles by the filters `[point][from][to]`.
    #[allow(clippy::too_many_arguments)]
    fn multiply(
        &self,
        level: Level,
        rows: usize,
        points: &[f32],
        from: usize,
        filters: &[f32],
        to: usize,
        products: &mut [f32],
    ) {
        level.run(Dense {
            input: points,
            taps: &[Tap::pointwise(filters, from, to)],
            input_step: from,
            input_row: self.distance(from),
            weights_row: from * to,
            output_channels: to,
            output: products,
            output_step: to,
            output_row: self.distance(to),
            rows: POINTS,
            pixels: rows * self.across(),
        });
    }

    fn output_pixels(&self, level: Level, points: &[f32], channels: usize, rows: usize, output: &mut [f32]) {
        level.run(OutputTiles {
            points,
            distance: self.distance(channels),
            channels,
            tiles: self.across(),
            rows,
            output,
        });
    }
}
