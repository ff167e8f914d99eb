//! Reading a stage's input: normalization and ReLU on load, concatenation, border.

use super::{Input, Normalize, Padded, Segment};
use crate::simd::{Kernel, Level, Simd};

/// Writes one image of the input, normalized, into the interior of `target`. Rows `rows` of the image only.
pub(crate) fn fill(
    level: Level,
    input: &Input,
    image: usize,
    rows: std::ops::Range<usize>,
    (height, width): (usize, usize),
    target: &mut [f32],
    padded: &Padded,
) {
    let mut channel = 0;
    for segment in input.segments {
        let row = width * segment.channels;
        let start = (image * height + rows.start) * row;
        level.run(Prologue {
            values: &segment.values[start..start + rows.len() * row],
            target: &mut target[padded.interior() + channel..],
            rows: rows.len(),
            pixels: width,
            channels: segment.channels,
            target_row: padded.row(),
            target_step: padded.channels,
            normalize: segment.normalize,
            relu: input.relu,
        });
        channel += segment.channels;
    }
}

/// One number of a segment, normalized: what the vector code computes, for channel counts it does not handle.
fn normalized(segment: &Segment, channel: usize, value: f32, relu: bool) -> f32 {
    let z = match segment.normalize {
        Some(normalize) => (value - normalize.mean[channel]) * normalize.scale[channel] + normalize.shift[channel],
        None => value,
    };
    if relu && z <= 0.0 { 0.0 } else { z }
}

struct Prologue<'a> {
    values: &'a [f32],
    target: &'a mut [f32],
    rows: usize,
    pixels: usize,
    channels: usize,
    target_row: usize,
    target_step: usize,
    normalize: Option<Normalize<'a>>,
    relu: bool,
}

impl Prologue<'_> {
    /// Rows as they are: the network's input.
    fn copy(self) {
        let row = self.pixels * self.channels;
        for (values, target) in self.values.chunks_exact(row).zip(self.target.chunks_mut(self.target_row)) {
            target[..row].copy_from_slice(values);
        }
    }

    fn scalar(self) {
        let segment = Segment { values: self.values, channels: self.channels, normalize: self.normalize };
        for row in 0..self.rows {
            for pixel in 0..self.pixels {
                for channel in 0..self.channels {
                    let value = self.values[(row * self.pixels + pixel) * self.channels + channel];
                    self.target[row * self.target_row + pixel * self.target_step + channel] =
                        normalized(&segment, channel, value, self.relu);
                }
            }
        }
    }

    #[inline(always)]
    fn body<S: Simd, const RELU: bool>(self, simd: S) {
        let Self { rows, pixels, channels, target_row, target_step, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        assert!(self.values.len() >= rows * pixels * channels);
        assert!(self.target.len() >= (rows - 1) * target_row + (pixels - 1) * target_step + channels);
        for channel in (0..channels).step_by(S::LANES) {
            // SAFETY: `channel + LANES <= channels`; the last pixel of the last row lies in both slices, as asserted. Parameter slices are checked here.
            unsafe {
                let (mean, scale, shift) = match self.normalize {
                    Some(normalize) => (
                        simd.load(normalize.mean[channel..channel + S::LANES].as_ptr()),
                        simd.load(normalize.scale[channel..channel + S::LANES].as_ptr()),
                        simd.load(normalize.shift[channel..channel + S::LANES].as_ptr()),
                    ),
                    None => (simd.zero(), simd.splat(1.0), simd.zero()),
                };
                for row in 0..rows {
                    let from = self.values.as_ptr().add(row * pixels * channels + channel);
                    let to = self.target.as_mut_ptr().add(row * target_row + channel);
                    for pixel in 0..pixels {
                        let value = simd.load(from.add(pixel * channels));
                        let mut z = simd.fma(simd.sub(value, mean), scale, shift);
                        if RELU {
                            z = simd.max(simd.zero(), z);
                        }
                        simd.store(to.add(pixel * target_step), z);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn width<S: Simd>(self, simd: S) {
        if self.relu { self.body::<S, true>(simd) } else { self.body::<S, false>(simd) }
    }
}

impl Kernel for Prologue<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if self.channels.is_multiple_of(S::LANES) {
            self.width(simd);
        } else if self.channels.is_multiple_of(8) {
            self.width(simd.narrow());
        } else if self.normalize.is_none() && !self.relu && self.channels == self.target_step {
            self.copy();
        } else {
            self.scalar();
        }
    }
}
