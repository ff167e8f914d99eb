//! Gradients at a stage's two ends.

use crate::simd::{Kernel, Level, Simd};

/// Batch normalization's backward, per channel: `dy = k * (dz - m1 - xhat * m2)` with `xhat = (y - mean) * rstd`.
#[derive(Clone, Copy, Debug)]
pub struct NormalizeBackward<'a> {
    pub mean: &'a [f32],
    pub rstd: &'a [f32],
    /// `gamma * rstd`
    pub k: &'a [f32],
    /// Mean of `dz`; 0 where the statistics are constants.
    pub m1: &'a [f32],
    /// Mean of `dz * xhat`; 0 where the statistics are constants.
    pub m2: &'a [f32],
}

/// How a backward reads the gradient `dy` of its raw output `y`: through the normalization, or `dy = dz`.
#[derive(Clone, Copy, Debug)]
pub struct OutputGradient<'a> {
    pub dz: &'a [f32],
    /// Read only where `normalize` is given.
    pub y: &'a [f32],
    pub normalize: Option<NormalizeBackward<'a>>,
}

/// Where the gradient of one segment goes: `dz = mask * du`, or `dz += mask * du` where `accumulate`; the mask is the ReLU's.
#[derive(Debug)]
pub struct SegmentGradient<'a> {
    pub dz: &'a mut [f32],
    pub accumulate: bool,
    /// Given by the last consumer: sums of the finished `dz`.
    pub sums: Option<GradientSums<'a>>,
}

/// The two reductions of a finished `dz` over the chunk, per channel, overwritten. `xhat = (y - mean) * rstd`, `y` the segment's values.
#[derive(Debug)]
pub struct GradientSums<'a> {
    pub mean: &'a [f32],
    pub rstd: &'a [f32],
    /// `sum dz`
    pub dz: &'a mut [f64],
    /// `sum dz * xhat`
    pub dz_xhat: &'a mut [f64],
}

/// Reads rows of an [`OutputGradient`] as `dy = k * dz + slope * (y - mean) + offset`.
pub(crate) struct OutputGradientReader<'a> {
    gradient: OutputGradient<'a>,
    channels: usize,
    slope: &'a [f32],
    offset: &'a [f32],
}

impl<'a> OutputGradientReader<'a> {
    /// `coefficients`: scratch of `coefficients(channels)` numbers.
    pub fn new(gradient: OutputGradient<'a>, channels: usize, coefficients: &'a mut [f32]) -> Self {
        let (slope, offset) = coefficients.split_at_mut(channels);
        if let Some(normalize) = gradient.normalize {
            for channel in 0..channels {
                slope[channel] = -normalize.k[channel] * normalize.rstd[channel] * normalize.m2[channel];
                offset[channel] = -normalize.k[channel] * normalize.m1[channel];
            }
        }
        Self { gradient, channels, slope, offset }
    }

    /// Numbers of scratch that `new` needs.
    pub const fn coefficients(channels: usize) -> usize {
        2 * channels
    }

    /// Writes `rows` rows of `pixels` pixels, starting at pixel `start` of the chunk, into `target` with the given distances.
    pub fn read(
        &self,
        level: Level,
        start: usize,
        (rows, pixels): (usize, usize),
        target: &mut [f32],
        row: usize,
        step: usize,
    ) {
        level.run(Read { reader: self, start, rows, pixels, target, row, step });
    }
}

struct Read<'a, 'b> {
    reader: &'a OutputGradientReader<'b>,
    start: usize,
    rows: usize,
    pixels: usize,
    target: &'a mut [f32],
    row: usize,
    step: usize,
}

impl Read<'_, '_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let Self { rows, pixels, row, step, .. } = self;
        let channels = self.reader.channels;
        let range = self.start * channels..(self.start + rows * pixels) * channels;
        let dz = &self.reader.gradient.dz[range.clone()];
        assert!(rows > 0 && pixels > 0);
        assert!(self.target.len() >= (rows - 1) * row + (pixels - 1) * step + channels);
        let to = self.target.as_mut_ptr();
        for channel in (0..channels).step_by(S::LANES) {
            let lanes = channel..channel + S::LANES;
            // SAFETY: all offsets stay below those of the last channel of the last pixel, asserted for the target and checked by slicing for `dz` and `y`.
            unsafe {
                let Some(normalize) = self.reader.gradient.normalize else {
                    for r in 0..rows {
                        for p in 0..pixels {
                            let value = simd.load(dz.as_ptr().add((r * pixels + p) * channels + channel));
                            simd.store(to.add(r * row + p * step + channel), value);
                        }
                    }
                    continue;
                };
                let y = &self.reader.gradient.y[range.clone()];
                let k = simd.load(normalize.k[lanes.clone()].as_ptr());
                let mean = simd.load(normalize.mean[lanes.clone()].as_ptr());
                let slope = simd.load(self.reader.slope[lanes.clone()].as_ptr());
                let offset = simd.load(self.reader.offset[lanes].as_ptr());
                for r in 0..rows {
                    for p in 0..pixels {
                        let at = (r * pixels + p) * channels + channel;
                        let deviation = simd.sub(simd.load(y.as_ptr().add(at)), mean);
                        let dy = simd.fma(simd.load(dz.as_ptr().add(at)), k, simd.fma(deviation, slope, offset));
                        simd.store(to.add(r * row + p * step + channel), dy);
                    }
                }
            }
        }
    }
}

impl Kernel for Read<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(self.reader.channels.is_multiple_of(8));
        if self.reader.channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
