//! `gradient[ci][co] += sum over pixels of input[pixel][ci] * dy[pixel][co]`, for one tap: its offset is in `input`'s start.
//!
//! A block of input channels times one to three vectors of output channels stays in registers while the sum runs over a strip of pixels.

use crate::simd::{Kernel, Simd};
use std::ops::Range;

pub(crate) struct DenseWeights<'a> {
    pub input: &'a [f32],
    pub input_channels: usize,
    /// Distance of neighbouring output pixels' places in `input`, in numbers; likewise of rows.
    pub input_step: usize,
    pub input_row: usize,
    pub dy: &'a [f32],
    pub output_channels: usize,
    /// Output channels to compute, from a multiple of 8 to another; others in the same vector may be computed too.
    pub outputs: Range<usize>,
    /// Distances of pixels and rows in `dy`.
    pub dy_step: usize,
    pub dy_row: usize,
    pub rows: usize,
    pub pixels: usize,
    /// `[ci][co]`, added to.
    pub gradient: &'a mut [f32],
}

impl DenseWeights<'_> {
    #[inline(always)]
    fn body<S: Simd>(mut self, simd: S) {
        let vectors = self.outputs.end.div_ceil(S::LANES);
        let mut vector = self.outputs.start / S::LANES;
        while vector < vectors {
            vector += match vectors - vector {
                1 => self.columns::<S, 1>(simd, vector * S::LANES),
                2 | 4 => self.columns::<S, 2>(simd, vector * S::LANES),
                _ if S::REGISTERS == 32 => self.columns::<S, 3>(simd, vector * S::LANES),
                _ => self.columns::<S, 2>(simd, vector * S::LANES),
            };
        }
    }

    /// `V` vectors of output channels from `channel`; returns `V`.
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, channel: usize) -> usize {
        let mut ci = 0;
        while ci < self.input_channels {
            let rest = self.input_channels - ci;
            ci += if V == 1 && rest >= 16 && S::REGISTERS == 32 {
                self.block::<S, 16, V>(simd, ci, channel)
            } else if V == 1 && rest == 12 && S::REGISTERS == 32 {
                // The image's four channels under three taps.
                self.block::<S, 12, V>(simd, ci, channel)
            } else if rest >= 8 && (S::REGISTERS == 32 || V == 1) {
                self.block::<S, 8, V>(simd, ci, channel)
            } else {
                self.block::<S, 4, V>(simd, ci, channel)
            };
        }
        V
    }

    /// `I` input channels from `ci`; returns `I`.
    #[inline(always)]
    fn block<S: Simd, const I: usize, const V: usize>(&mut self, simd: S, ci: usize, channel: usize) -> usize {
        let Self { output_channels, input_step, dy_step, pixels, .. } = *self;
        // SAFETY: `run` asserted that the last pixel of the last row lies in `input` and in `dy`, and that `gradient` holds all channels.
        unsafe {
            let to = self.gradient.as_mut_ptr().add(ci * output_channels + channel);
            let mut sums = [[simd.zero(); V]; I];
            for row in 0..self.rows {
                let x = self.input.as_ptr().add(row * self.input_row + ci);
                let dy = self.dy.as_ptr().add(row * self.dy_row + channel);
                for pixel in 0..pixels {
                    let mut dys = [simd.zero(); V];
                    for (v, value) in dys.iter_mut().enumerate() {
                        *value = simd.load(dy.add(pixel * dy_step + v * S::LANES));
                    }
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let value = simd.splat(*x.add(pixel * input_step + i));
                        for v in 0..V {
                            sum[v] = simd.fma(value, dys[v], sum[v]);
                        }
                    }
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                for (v, &value) in sum.iter().enumerate() {
                    let at = to.add(i * output_channels + v * S::LANES);
                    simd.store(at, simd.add(simd.load(at), value));
                }
            }
        }
        I
    }
}

impl Kernel for DenseWeights<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { rows, pixels, input_channels, output_channels, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        assert!(self.input.len() >= (rows - 1) * self.input_row + (pixels - 1) * self.input_step + input_channels);
        assert!(self.dy.len() >= (rows - 1) * self.dy_row + (pixels - 1) * self.dy_step + output_channels);
        assert!(self.gradient.len() >= input_channels * output_channels && self.outputs.end <= output_channels);
        assert!(output_channels.is_multiple_of(8) && input_channels.is_multiple_of(4));
        if output_channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
