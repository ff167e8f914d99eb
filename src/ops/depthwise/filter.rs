//! One filter a channel: `output[pixel][c] = sum over taps of input[pixel + tap][c] * weights[tap][c]`.

use crate::ops::Window;
use crate::ops::input::Taps;
use crate::simd::{Kernel, Simd};

/// Output pixels whose sums stay in registers together.
const BLOCK: usize = 8;

/// Reads from a bordered image whose blocks of pixels may overrun; writes whole pixels only.
pub(crate) struct Filter<'a> {
    pub input: &'a [f32],
    /// Offset of each tap from a pixel's place in `input`.
    pub taps: &'a Taps,
    /// Kernel size and dilation; the stride shows in `input_step` and `input_row`.
    pub window: &'a Window,
    pub channels: usize,
    /// Distance of neighbouring output pixels' places in `input`, in numbers; likewise of rows.
    pub input_step: usize,
    pub input_row: usize,
    /// `[tap][c]`
    pub weights: &'a [f32],
    pub output: &'a mut [f32],
    /// Distances of pixels and rows in `output`.
    pub output_step: usize,
    pub output_row: usize,
    pub rows: usize,
    pub pixels: usize,
}

impl Filter<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let adjacent = self.input_step == self.channels && self.output_step == self.channels;
        match (self.window.kernel, self.window.dilation) {
            (3, 1) if adjacent => self.sliding::<S, 3, 1>(simd),
            (3, 2) if adjacent => self.sliding::<S, 3, 2>(simd),
            (5, 1) if adjacent => self.sliding::<S, 5, 1>(simd),
            (5, 2) if adjacent => self.sliding::<S, 5, 2>(simd),
            _ => self.any(simd),
        }
    }

    /// Stride 1: a loaded pixel serves all taps of its kernel row.
    #[inline(always)]
    fn sliding<S: Simd, const K: usize, const D: usize>(mut self, simd: S) {
        if self.pixels <= BLOCK / 2 {
            self.sliding_blocks::<S, K, D, { BLOCK / 2 }>(simd);
        } else {
            self.sliding_blocks::<S, K, D, BLOCK>(simd);
        }
    }

    #[inline(always)]
    fn sliding_blocks<S: Simd, const K: usize, const D: usize, const P: usize>(&mut self, simd: S) {
        let Self { channels, pixels, .. } = *self;
        for channel in (0..channels).step_by(S::LANES) {
            for row in 0..self.rows {
                for first in (0..pixels).step_by(P) {
                    // SAFETY: `run` asserted that the last block of the last row, overrun included, lies in `input`, that `weights` holds every tap and that
                    // the last pixel lies in `output`.
                    unsafe {
                        let base = self.input.as_ptr().add(row * self.input_row + first * channels + channel);
                        let mut sums = [simd.zero(); P];
                        for ky in 0..K {
                            let mut weights = [simd.zero(); K];
                            for (kx, weight) in weights.iter_mut().enumerate() {
                                let from = self.weights.as_ptr().add((ky * K + kx) * channels + channel);
                                *weight = simd.load(from);
                            }
                            let x = base.add(self.taps[ky * K]);
                            if S::REGISTERS == 32 {
                                // All the loads of this kernel row first, each serving up to K sums.
                                let mut values = [simd.zero(); BLOCK + 8];
                                for (at, value) in values[..P + (K - 1) * D].iter_mut().enumerate() {
                                    *value = simd.load(x.add(at * channels));
                                }
                                for (p, sum) in sums.iter_mut().enumerate() {
                                    for (kx, &weight) in weights.iter().enumerate() {
                                        *sum = simd.fma(values[p + kx * D], weight, *sum);
                                    }
                                }
                            } else {
                                for (p, sum) in sums.iter_mut().enumerate() {
                                    for (kx, &weight) in weights.iter().enumerate() {
                                        *sum = simd.fma(simd.load(x.add((p + kx * D) * channels)), weight, *sum);
                                    }
                                }
                            }
                        }
                        let to = self.output.as_mut_ptr().add(row * self.output_row + first * channels + channel);
                        for (p, &sum) in sums.iter().enumerate() {
                            if first + p < pixels {
                                simd.store(to.add(p * channels), sum);
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn any<S: Simd>(self, simd: S) {
        let Self { channels, pixels, input_step, output_step, .. } = self;
        for channel in (0..channels).step_by(S::LANES) {
            for row in 0..self.rows {
                for first in (0..pixels).step_by(BLOCK) {
                    // SAFETY: as in `sliding`.
                    unsafe {
                        let base = self.input.as_ptr().add(row * self.input_row + first * input_step + channel);
                        let mut sums = [simd.zero(); BLOCK];
                        for (tap, &offset) in self.taps.iter().enumerate() {
                            let weight = simd.load(self.weights.as_ptr().add(tap * channels + channel));
                            for (p, sum) in sums.iter_mut().enumerate() {
                                *sum = simd.fma(simd.load(base.add(offset + p * input_step)), weight, *sum);
                            }
                        }
                        let to = self.output.as_mut_ptr().add(row * self.output_row + first * output_step + channel);
                        for (p, &sum) in sums.iter().enumerate() {
                            if first + p < pixels {
                                simd.store(to.add(p * output_step), sum);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Kernel for Filter<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { rows, pixels, channels, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        let last_tap = self.taps.iter().max().copied().unwrap_or(0);
        let overrun = pixels.next_multiple_of(BLOCK);
        assert!(self.taps.len() == self.window.taps());
        assert!(
            self.input.len() >= (rows - 1) * self.input_row + (overrun - 1) * self.input_step + last_tap + channels
        );
        assert!(self.weights.len() >= self.taps.len() * channels);
        assert!(self.output.len() >= (rows - 1) * self.output_row + (pixels - 1) * self.output_step + channels);
        assert!(channels.is_multiple_of(8));
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
