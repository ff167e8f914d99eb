//! Writing a stage's input gradient: ReLU mask, accumulation, and the reductions of the finished gradient.

use super::{Input, Segment, SegmentGradient};
use crate::simd::{Kernel, Level, Simd};

/// Sets the sums of all segments to zero: the epilogues of the chunk add to them.
pub(crate) fn clear_sums(gradients: &mut [SegmentGradient]) {
    for sums in gradients.iter_mut().filter_map(|gradient| gradient.sums.as_mut()) {
        sums.dz.fill(0.0);
        sums.dz_xhat.fill(0.0);
    }
}

/// Takes `du`, the gradient of a stage's normalized input after ReLU, to its segments.
pub(crate) struct Epilogue<'a, 'b> {
    pub input: &'a Input<'a>,
    pub gradients: &'a mut [SegmentGradient<'b>],
}

impl Epilogue<'_, '_> {
    /// `du = [pixel][channel of all segments]` for `pixels` pixels from pixel `start` of the chunk.
    pub fn write(&mut self, level: Level, du: &[f32], start: usize, pixels: usize) {
        let step = self.input.channels();
        let mut channel = 0;
        for (segment, gradient) in self.input.segments.iter().zip(self.gradients.iter_mut()) {
            level.run(Write { segment, gradient, relu: self.input.relu, du: &du[channel..], step, start, pixels });
            channel += segment.channels;
        }
    }
}

struct Write<'a, 'b> {
    segment: &'a Segment<'a>,
    gradient: &'a mut SegmentGradient<'b>,
    relu: bool,
    du: &'a [f32],
    step: usize,
    start: usize,
    pixels: usize,
}

impl Write<'_, '_> {
    #[inline(always)]
    fn body<S: Simd, const RELU: bool, const ACCUMULATE: bool, const SUMS: bool>(self, simd: S) {
        let Self { step, pixels, .. } = self;
        let channels = self.segment.channels;
        assert!(pixels > 0 && self.du.len() >= (pixels - 1) * step + channels);
        let range = self.start * channels..(self.start + pixels) * channels;
        let values = &self.segment.values[range.clone()];
        let dz = &mut self.gradient.dz[range];
        for channel in (0..channels).step_by(S::LANES) {
            let lanes = channel..channel + S::LANES;
            let (mut sum, mut sum_xhat) = ([0f32; 16], [0f32; 16]);
            // SAFETY: offsets stay below that of the last channel of the last pixel, which lies in the three slices; the arrays hold the widest vector.
            unsafe {
                let (mean, scale, shift) = match self.segment.normalize {
                    Some(normalize) => (
                        simd.load(normalize.mean[lanes.clone()].as_ptr()),
                        simd.load(normalize.scale[lanes.clone()].as_ptr()),
                        simd.load(normalize.shift[lanes.clone()].as_ptr()),
                    ),
                    None => (simd.zero(), simd.splat(1.0), simd.zero()),
                };
                let (center, rstd) = match &self.gradient.sums {
                    Some(sums) => {
                        (simd.load(sums.mean[lanes.clone()].as_ptr()), simd.load(sums.rstd[lanes.clone()].as_ptr()))
                    }
                    None => (simd.zero(), simd.zero()),
                };
                let (mut total, mut total_xhat) = (simd.zero(), simd.zero());
                let du = self.du.as_ptr().add(channel);
                let from = values.as_ptr().add(channel);
                let to = dz.as_mut_ptr().add(channel);
                for pixel in 0..pixels {
                    let mut gradient = simd.load(du.add(pixel * step));
                    let at = pixel * channels;
                    if RELU {
                        let z = simd.fma(simd.sub(simd.load(from.add(at)), mean), scale, shift);
                        gradient = simd.select(simd.greater(z, simd.zero()), gradient, simd.zero());
                    }
                    if ACCUMULATE {
                        gradient = simd.add(simd.load(to.add(at)), gradient);
                    }
                    simd.store(to.add(at), gradient);
                    if SUMS {
                        let deviation = simd.sub(simd.load(from.add(at)), center);
                        total = simd.add(total, gradient);
                        total_xhat = simd.fma(gradient, deviation, total_xhat);
                    }
                }
                simd.store(sum.as_mut_ptr(), total);
                simd.store(sum_xhat.as_mut_ptr(), simd.mul(total_xhat, rstd));
            }
            if let Some(sums) = &mut self.gradient.sums {
                let (to, to_xhat) = (&mut sums.dz[lanes.clone()], &mut sums.dz_xhat[lanes]);
                for lane in 0..S::LANES {
                    to[lane] += f64::from(sum[lane]);
                    to_xhat[lane] += f64::from(sum_xhat[lane]);
                }
            }
        }
    }

    #[inline(always)]
    fn width<S: Simd>(self, simd: S) {
        match (self.relu, self.gradient.accumulate, self.gradient.sums.is_some()) {
            (false, false, false) => self.body::<S, false, false, false>(simd),
            (false, false, true) => self.body::<S, false, false, true>(simd),
            (false, true, false) => self.body::<S, false, true, false>(simd),
            (false, true, true) => self.body::<S, false, true, true>(simd),
            (true, false, false) => self.body::<S, true, false, false>(simd),
            (true, false, true) => self.body::<S, true, false, true>(simd),
            (true, true, false) => self.body::<S, true, true, false>(simd),
            (true, true, true) => self.body::<S, true, true, true>(simd),
        }
    }
}

impl Kernel for Write<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert!(self.segment.channels.is_multiple_of(8));
        if self.segment.channels.is_multiple_of(S::LANES) { self.width(simd) } else { self.width(simd.narrow()) }
    }
}
