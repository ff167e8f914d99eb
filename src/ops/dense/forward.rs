//! `output[pixel][co] = sum over taps, then their input channels, of input[pixel + tap][ci] * weights[tap][ci][co]`.
//!
//! A block of pixels times one to three vectors of output channels stays in registers while the sum runs; every pixel sums in the same order, whatever its block.

use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// One tap of a dense product.
pub(crate) struct Tap<'a> {
    /// Offset from a pixel's place in the input.
    pub offset: usize,
    /// `[ci][co]`; zero in input channels and output channels that the tap does not have.
    pub weights: &'a [f32],
    /// Input channels that it sums over.
    pub inputs: Range<usize>,
    /// Output channels that it adds to, from a multiple of 8 to another.
    pub outputs: Range<usize>,
}

impl<'a> Tap<'a> {
    /// The only tap of a product of pixels with `weights`.
    pub const fn pointwise(weights: &'a [f32], inputs: usize, outputs: usize) -> Self {
        Self { offset: 0, weights, inputs: 0..inputs, outputs: 0..outputs }
    }
}

/// Reads from a bordered image (or rows in scratch) whose blocks of pixels may overrun by 16 pixels; writes whole pixels only.
pub(crate) struct Dense<'a> {
    pub input: &'a [f32],
    /// Those of one output channel stand side by side.
    pub taps: &'a [Tap<'a>],
    /// Distance of neighbouring output pixels' places in `input`, in numbers; likewise of rows.
    pub input_step: usize,
    pub input_row: usize,
    /// Distance of the weights of neighbouring rows, in numbers; 0 where all rows have the same.
    pub weights_row: usize,
    pub output_channels: usize,
    pub output: &'a mut [f32],
    /// Distances of pixels and rows in `output`.
    pub output_step: usize,
    pub output_row: usize,
    pub rows: usize,
    pub pixels: usize,
}

impl Dense<'_> {
    #[inline(always)]
    fn body<S: Simd>(mut self, simd: S) {
        let mut channel = 0;
        while channel < self.output_channels {
            let wide = S::REGISTERS == 32;
            let vectors = match (self.same_taps(channel) - channel) / S::LANES {
                // Sixteen places at run-time distances would not fit the general registers: common distances are compiled in.
                0 | 1 if wide && self.pixels > 8 => match self.input_step {
                    8 => self.block::<S, 16, 1, 8>(simd, channel),
                    16 => self.block::<S, 16, 1, 16>(simd, channel),
                    24 => self.block::<S, 16, 1, 24>(simd, channel),
                    32 => self.block::<S, 16, 1, 32>(simd, channel),
                    48 => self.block::<S, 16, 1, 48>(simd, channel),
                    _ => self.block::<S, 16, 1, 0>(simd, channel),
                },
                // A vector that taps begin or end in has those of both sides.
                0 | 1 => self.block::<S, 8, 1, 0>(simd, channel),
                2 | 4 if wide => self.block::<S, 8, 2, 0>(simd, channel),
                _ if wide => self.block::<S, 8, 3, 0>(simd, channel),
                // Sixteen registers: three vectors by four pixels would leave none for the input.
                _ => self.block::<S, 4, 2, 0>(simd, channel),
            };
            channel += vectors * S::LANES;
        }
    }

    /// End of the output channels that have the taps of `channel`.
    fn same_taps(&self, channel: usize) -> usize {
        let ends = self.taps.iter().flat_map(|tap| [tap.outputs.start, tap.outputs.end]);
        ends.filter(|end| *end > channel).min().unwrap_or(self.output_channels)
    }

    /// The taps of any of `channels`.
    fn taps_of(&self, channels: Range<usize>) -> &[Tap<'_>] {
        let has = |tap: &Tap| tap.outputs.start < channels.end && tap.outputs.end > channels.start;
        let first = self.taps.iter().position(has).unwrap_or(0);
        let last = self.taps.iter().rposition(has).map_or(0, |last| last + 1);
        &self.taps[first..last]
    }

    /// All pixels, `P` at a time, `V` vectors of output channels from `channel`; returns `V`. `STEP`: the input step, or 0 if known at run time only.
    #[inline(always)]
    fn block<S: Simd, const P: usize, const V: usize, const STEP: usize>(&mut self, simd: S, channel: usize) -> usize {
        let Self { output_channels, output_step, pixels, .. } = *self;
        let output = self.output.as_mut_ptr();
        let taps = self.taps_of(channel..channel + V * S::LANES);
        let input_step = if STEP == 0 { self.input_step } else { STEP };
        for row in 0..self.rows {
            for first in (0..pixels).step_by(P) {
                // SAFETY: `run` asserted that the last block of the last row, overrun included, lies in `input`, that the taps' `weights` hold their channels for the
                // last row and that the last pixel lies in `output`.
                unsafe {
                    let base = self.input.as_ptr().add(row * self.input_row + first * input_step);
                    let mut sums = [[simd.zero(); V]; P];
                    for tap in taps {
                        let x = base.add(tap.offset);
                        let start = row * self.weights_row + tap.inputs.start * output_channels + channel;
                        let mut w = tap.weights.as_ptr().add(start);
                        for ci in tap.inputs.clone() {
                            let mut weights = [simd.zero(); V];
                            for (v, weight) in weights.iter_mut().enumerate() {
                                *weight = simd.load(w.add(v * S::LANES));
                            }
                            for (p, sum) in sums.iter_mut().enumerate() {
                                let value = simd.splat(*x.add(p * input_step + ci));
                                for v in 0..V {
                                    sum[v] = simd.fma(value, weights[v], sum[v]);
                                }
                            }
                            w = w.add(output_channels);
                        }
                    }
                    let to = output.add(row * self.output_row + first * output_step + channel);
                    for (p, sum) in sums.iter().enumerate() {
                        if first + p < pixels {
                            for (v, &value) in sum.iter().enumerate() {
                                simd.store(to.add(p * output_step + v * S::LANES), value);
                            }
                        }
                    }
                }
            }
        }
        V
    }
}

impl Kernel for Dense<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { rows, pixels, output_channels, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        let last_weights = (rows - 1) * self.weights_row;
        let reach = self.taps.iter().map(|tap| tap.offset + tap.inputs.end).max().unwrap_or(0);
        let overrun = pixels.next_multiple_of(if pixels > 8 { 16 } else { 8 });
        assert!(self.input.len() >= (rows - 1) * self.input_row + (overrun - 1) * self.input_step + reach);
        assert!(self.taps.iter().all(|tap| tap.weights.len() >= last_weights + tap.inputs.end * output_channels));
        assert!(self.output.len() >= (rows - 1) * self.output_row + (pixels - 1) * self.output_step + output_channels);
        assert!(output_channels.is_multiple_of(8));
        if output_channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
