//! Convolutions whose taps need not have all output channels.
//!
//! Forward: each image is normalized once into a bordered copy in scratch, then the dense product runs over strips of rows, whose statistics are taken while they
//! are in the cache. Backward recomputes that copy; the input gradient is the same dense product over the bordered output gradient with flipped, transposed
//! weights. At a stride, input pixels whose rows and columns leave the same remainders see the same taps (a phase): there is a product for each phase.
//!
//! Weights and their gradients: one `[ci][co]` a tap, stored channels, zero in padding and in the output channels that the tap does not have.

use super::{Dense, DenseWeights, Tap};
use crate::ops::input::{
    Epilogue, Moments, OutputGradient, OutputGradientReader, Padded, SegmentGradient, clear_sums, fill, strip_rows,
    strips,
};
use crate::ops::{Images, Window};
use crate::tensor::{CHANNEL_MULTIPLE, Shape, padded_channels};
use std::ops::Range;

/// A tap of a window, or neighbours in a row, whose pixels then count as one pixel of more channels; and the output channels that they add to.
#[derive(Clone, Debug)]
pub(crate) struct WindowTap {
    /// Number of the first in the window, in row-major order.
    pub number: usize,
    /// How many there are, one pixel apart.
    pub neighbours: usize,
    pub outputs: Range<usize>,
}

impl WindowTap {
    /// The stored channels around `outputs`.
    fn stored_outputs(&self) -> Range<usize> {
        self.outputs.start / CHANNEL_MULTIPLE * CHANNEL_MULTIPLE..padded_channels(self.outputs.end)
    }
}

pub(crate) struct DenseConvolution {
    pub window: Window,
    pub input: Shape,
    pub output: Shape,
    /// By number; those of one output channel stand side by side.
    pub taps: Vec<WindowTap>,
}

/// The input pixels whose row and column leave these remainders by the stride, and the taps that reach them.
struct Phase<'a> {
    row: usize,
    column: usize,
    taps: Vec<Tap<'a>>,
}

impl DenseConvolution {
    /// Convolves some images: `output = [image][row][column][co]`, overwritten. The statistics of the output are merged into `moments`.
    ///
    /// # Panics
    /// If a slice is shorter than its shape says, or the kernel larger than 7.
    pub fn forward<'a>(
        &self,
        images: Images,
        weights: impl Iterator<Item = &'a [f32]>,
        output: &mut [f32],
        mut moments: Option<&mut Moments>,
    ) {
        let Images { level, input, count, scratch } = images;
        let Self { window, input: from, output: to, .. } = *self;
        let channels = padded_channels(to.channels);
        let padded = Padded::new((from.height, from.width), input.channels(), window.padding);
        let offsets = padded.taps(&window);
        let taps = self.taps.iter().zip(weights).map(|(tap, weights)| Tap {
            offset: offsets[tap.number],
            weights,
            inputs: 0..tap.neighbours * padded.channels,
            outputs: tap.stored_outputs(),
        });
        let taps: Vec<Tap> = taps.collect();
        let [copy] = scratch.split([padded.len(window.stride)]);
        padded.fill_border(copy, 0.0);
        for image in 0..count {
            fill(level, input, image, 0..from.height, (from.height, from.width), copy, &padded);
            for strip in strips(to.height, to.width) {
                let row = to.width * channels;
                let start = (image * to.height + strip.start) * row;
                let rows = &mut output[start..start + strip.len() * row];
                level.run(Dense {
                    input: &copy[strip.start * window.stride * padded.row()..],
                    taps: &taps,
                    input_step: window.stride * padded.channels,
                    input_row: window.stride * padded.row(),
                    weights_row: 0,
                    output_channels: channels,
                    output: rows,
                    output_step: channels,
                    output_row: row,
                    rows: strip.len(),
                    pixels: to.width,
                });
                if let Some(moments) = &mut moments {
                    moments.add_strip(level, rows);
                }
            }
        }
    }

    /// Transposed weights `[co][ci]` of every tap of the window, the last first, as `backward` wants them; once per stage and step. As many numbers as the weights.
    ///
    /// # Panics
    /// If `prepared` is shorter than that.
    pub fn prepare_backward<'a>(&self, weights: impl DoubleEndedIterator<Item = &'a [f32]>, prepared: &mut [f32]) {
        let outputs = padded_channels(self.output.channels);
        let mut rest = prepared;
        let taps = self.taps.iter().rev().zip(weights.rev());
        for from in taps.flat_map(|(tap, weights)| weights.chunks_exact(weights.len() / tap.neighbours).rev()) {
            let inputs = from.len() / outputs;
            let (to, after) = rest.split_at_mut(from.len());
            rest = after;
            for ci in 0..inputs {
                for co in 0..outputs {
                    to[co * inputs + ci] = from[ci * outputs + co];
                }
            }
        }
    }

    /// The phases of an input of `inputs` stored channels, whose taps read the bordered output gradient with the weights that `prepare_backward` made.
    fn phases<'a>(&self, prepared: &'a [f32], inputs: usize, bordered: &Padded) -> Vec<Phase<'a>> {
        let Window { kernel, stride, dilation, padding } = self.window;
        // Row or column of the bordered output gradient under a tap, from that of the phase's first pixel.
        let reached = |remainder: usize, border: usize, tap: usize| {
            let place = border * stride + padding + remainder - dilation * tap;
            place.is_multiple_of(stride).then_some(place / stride)
        };
        let matrix = inputs * bordered.channels;
        let taps_of = |row: usize, column: usize| {
            let single =
                self.taps.iter().flat_map(|tap| (0..tap.neighbours).map(|next| (tap.number + next, &tap.outputs)));
            let single: Vec<(usize, &Range<usize>)> = single.collect();
            let taps =
                single.into_iter().rev().zip(prepared.chunks(matrix)).filter_map(|((number, outputs), weights)| {
                    let y = reached(row, bordered.top, number / kernel)?;
                    let x = reached(column, bordered.left, number % kernel)?;
                    let offset = y * bordered.row() + x * bordered.channels;
                    Some(Tap { offset, weights, inputs: outputs.clone(), outputs: 0..inputs })
                });
            taps.collect()
        };
        let phases = (0..stride).flat_map(|row| (0..stride).map(move |column| (row, column)));
        phases.map(|(row, column)| Phase { row, column, taps: taps_of(row, column) }).collect()
    }

    /// Gradients of some images: into `segment_gradients`, one per segment (none for a network's input), and the `weight_gradients` of this chunk, tap after
    /// tap, overwritten (none where they are not wanted).
    ///
    /// # Panics
    /// If a slice is shorter than its shape says, or the padding larger than the kernel's reach.
    pub fn backward(
        &self,
        images: Images,
        prepared: &[f32],
        output_gradient: OutputGradient,
        mut segment_gradients: Option<&mut [SegmentGradient]>,
        mut weight_gradients: Option<&mut [&mut [f32]]>,
    ) {
        let Images { level, input, count, scratch } = images;
        let Self { window, input: from, output: to, .. } = *self;
        assert!(window.padding <= window.dilation * (window.kernel - 1), "padding beyond the kernel's reach");
        let channels = padded_channels(to.channels);
        let size = (from.height, from.width);
        let padded = Padded::new(size, input.channels(), window.padding);
        let bordered = Padded::output_gradient(&window, size, channels);
        let offsets = padded.taps(&window);
        let phases = self.phases(prepared, padded.channels, &bordered);
        let strip_numbers = strip_rows(from.width) * from.width * padded.channels;
        let [copy, dy, du, coefficients] = scratch.split([
            padded.len(1),
            bordered.len(1),
            strip_numbers,
            OutputGradientReader::coefficients(channels),
        ]);
        let reader = OutputGradientReader::new(output_gradient, channels, coefficients);
        padded.fill_border(copy, 0.0);
        bordered.fill_border(dy, 0.0);
        weight_gradients.iter_mut().flat_map(|all| all.iter_mut()).for_each(|gradient| gradient.fill(0.0));
        if let Some(gradients) = segment_gradients.as_deref_mut() {
            clear_sums(gradients);
        }
        for image in 0..count {
            let pixels = image * to.pixels();
            let interior = &mut dy[bordered.interior()..];
            reader.read(level, pixels, (to.height, to.width), interior, bordered.row(), channels);
            if let Some(gradients) = weight_gradients.as_deref_mut() {
                fill(level, input, image, 0..from.height, size, copy, &padded);
                for strip in strips(to.height, to.width) {
                    for (tap, gradient) in self.taps.iter().zip(gradients.iter_mut()) {
                        level.run(DenseWeights {
                            input: &copy[strip.start * window.stride * padded.row() + offsets[tap.number]..],
                            input_channels: tap.neighbours * padded.channels,
                            input_step: window.stride * padded.channels,
                            input_row: window.stride * padded.row(),
                            dy: &dy[bordered.interior() + strip.start * bordered.row()..],
                            output_channels: channels,
                            outputs: tap.stored_outputs(),
                            dy_step: channels,
                            dy_row: bordered.row(),
                            rows: strip.len(),
                            pixels: to.width,
                            gradient,
                        });
                    }
                }
            }
            let Some(gradients) = segment_gradients.as_deref_mut() else { continue };
            let mut epilogue = Epilogue { input, gradients };
            for strip in strips(from.height, from.width) {
                for phase in &phases {
                    // The first row of the strip that is of this phase.
                    let row = strip.start + (phase.row + window.stride - strip.start % window.stride) % window.stride;
                    let place = (row - strip.start) * from.width + phase.column;
                    level.run(Dense {
                        input: &dy[row / window.stride * bordered.row()..],
                        taps: &phase.taps,
                        input_step: channels,
                        input_row: bordered.row(),
                        weights_row: 0,
                        output_channels: padded.channels,
                        output: du.get_mut(place * padded.channels..).unwrap_or_default(),
                        output_step: window.stride * padded.channels,
                        output_row: window.stride * from.width * padded.channels,
                        rows: strip.end.saturating_sub(row).div_ceil(window.stride),
                        pixels: from.width.saturating_sub(phase.column).div_ceil(window.stride),
                    });
                }
                let start = (image * from.height + strip.start) * from.width;
                epilogue.write(level, du, start, strip.len() * from.width);
            }
        }
        for (tap, gradient) in self.taps.iter().zip(weight_gradients.into_iter().flatten()) {
            for row in gradient.chunks_mut(channels) {
                row[..tap.outputs.start].fill(0.0);
                row[tap.outputs.end..].fill(0.0);
            }
        }
    }
}
