//! Sums of normalized, gated terms with vector instructions.

use crate::ops::input::{GradientSums, Segment, SegmentGradient};
use crate::simd::{Kernel, Level, Simd};

/// One term of a node: `gate * z`, `z` the normalized value.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a> {
    /// All terms have the same channels.
    pub source: Segment<'a>,
    /// `None` adds the term as it is.
    pub gate: Option<f32>,
}

/// Where a term's gradients go.
#[derive(Debug)]
pub struct TermGradient<'a> {
    /// `dz = gate * dnode`, or `+=`; `None` where no gradient is wanted.
    pub source: Option<SegmentGradient<'a>>,
    /// `sum dnode * z` over the chunk, overwritten.
    pub gate: Option<&'a mut f64>,
}

/// Pixels per pass over the terms: what stays in the first-level cache.
const STRIP: usize = 64;

/// `output = sum of terms`, in order, from 0, over `pixels` pixels of the chunk.
///
/// # Panics
/// If a slice is shorter than `pixels` times its channels.
pub fn forward(level: Level, terms: &[Term], pixels: usize, output: &mut [f32]) {
    let Some(channels) = terms.first().map(|term| term.source.channels) else {
        output.fill(0.0);
        return;
    };
    for (strip, rows) in output[..pixels * channels].chunks_mut(STRIP * channels).enumerate() {
        rows.fill(0.0);
        for term in terms {
            level.run(Add { term, start: strip * STRIP * channels, output: rows });
        }
    }
}

/// Gradients of every term from `dnode` over `pixels` pixels of the chunk.
///
/// # Panics
/// If a slice is shorter than `pixels` times its channels, or there are fewer gradients than terms.
pub fn backward(level: Level, terms: &[Term], pixels: usize, dnode: &[f32], gradients: &mut [TermGradient]) {
    for (term, gradient) in terms.iter().zip(gradients.iter_mut()) {
        let channels = term.source.channels;
        if let Some(sums) = gradient.source.as_mut().and_then(|source| source.sums.as_mut()) {
            sums.dz.fill(0.0);
            sums.dz_xhat.fill(0.0);
        }
        let mut gate = 0.0;
        for (strip, dnode) in dnode[..pixels * channels].chunks(STRIP * channels).enumerate() {
            let start = strip * STRIP * channels;
            if gradient.gate.is_some() {
                gate += level.run(Gate { term, start, dnode });
            }
            if let Some(source) = &mut gradient.source {
                level.run(Scale { term, start, dnode, gradient: source });
            }
        }
        if let Some(total) = &mut gradient.gate {
            **total = gate;
        }
    }
}

/// The normalization of one vector of channels.
#[inline(always)]
fn parameters<S: Simd>(simd: S, source: &Segment, channel: usize) -> (S::Vector, S::Vector, S::Vector) {
    let lanes = channel..channel + S::LANES;
    match source.normalize {
        // SAFETY: slices of `LANES` numbers.
        Some(normalize) => unsafe {
            (
                simd.load(normalize.mean[lanes.clone()].as_ptr()),
                simd.load(normalize.scale[lanes.clone()].as_ptr()),
                simd.load(normalize.shift[lanes].as_ptr()),
            )
        },
        None => (simd.zero(), simd.splat(1.0), simd.zero()),
    }
}

struct Add<'a> {
    term: &'a Term<'a>,
    start: usize,
    output: &'a mut [f32],
}

impl Add<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let channels = self.term.source.channels;
        let values = &self.term.source.values[self.start..self.start + self.output.len()];
        for channel in (0..channels).step_by(S::LANES) {
            let (mean, scale, shift) = parameters(simd, &self.term.source, channel);
            let gate = simd.splat(self.term.gate.unwrap_or(1.0));
            for at in (channel..values.len()).step_by(channels) {
                // SAFETY: the slices have the same length, a multiple of `channels`, and `channel + LANES <= channels`.
                unsafe {
                    let to = self.output.as_mut_ptr().add(at);
                    let z = simd.fma(simd.sub(simd.load(values.as_ptr().add(at)), mean), scale, shift);
                    // A gate of exactly 1 adds `z` itself: a product by 1 and a fused addition round as an addition does.
                    simd.store(to, simd.fma(gate, z, simd.load(to)));
                }
            }
        }
    }
}

impl Kernel for Add<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let channels = self.term.source.channels;
        assert!(channels.is_multiple_of(8) && self.output.len().is_multiple_of(channels));
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}

struct Gate<'a> {
    term: &'a Term<'a>,
    start: usize,
    dnode: &'a [f32],
}

impl Gate<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) -> f64 {
        let channels = self.term.source.channels;
        let values = &self.term.source.values[self.start..self.start + self.dnode.len()];
        let mut total = 0.0;
        for channel in (0..channels).step_by(S::LANES) {
            let (mean, scale, shift) = parameters(simd, &self.term.source, channel);
            let mut sum = simd.zero();
            let mut lanes = [0f32; 16];
            // SAFETY: the slices have the same length, a multiple of `channels`, and `channel + LANES <= channels`; the array holds the widest vector.
            unsafe {
                for at in (channel..values.len()).step_by(channels) {
                    let z = simd.fma(simd.sub(simd.load(values.as_ptr().add(at)), mean), scale, shift);
                    sum = simd.fma(simd.load(self.dnode.as_ptr().add(at)), z, sum);
                }
                simd.store(lanes.as_mut_ptr(), sum);
            }
            total += lanes[..S::LANES].iter().map(|&lane| f64::from(lane)).sum::<f64>();
        }
        total
    }
}

impl Kernel for Gate<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let channels = self.term.source.channels;
        assert!(channels.is_multiple_of(8) && self.dnode.len().is_multiple_of(channels));
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}

struct Scale<'a, 'b> {
    term: &'a Term<'a>,
    start: usize,
    dnode: &'a [f32],
    gradient: &'a mut SegmentGradient<'b>,
}

impl Scale<'_, '_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let channels = self.term.source.channels;
        let range = self.start..self.start + self.dnode.len();
        let values = &self.term.source.values[range.clone()];
        let dz = &mut self.gradient.dz[range];
        let accumulate = self.gradient.accumulate;
        let gate = simd.splat(self.term.gate.unwrap_or(1.0));
        for channel in (0..channels).step_by(S::LANES) {
            let lanes = channel..channel + S::LANES;
            let (mut sum, mut sum_xhat) = ([0f32; 16], [0f32; 16]);
            // SAFETY: the slices have the same length, a multiple of `channels`, and `channel + LANES <= channels`; the arrays hold the widest vector.
            unsafe {
                let (center, rstd) = match &self.gradient.sums {
                    Some(sums) => {
                        (simd.load(sums.mean[lanes.clone()].as_ptr()), simd.load(sums.rstd[lanes.clone()].as_ptr()))
                    }
                    None => (simd.zero(), simd.zero()),
                };
                let (mut total, mut total_xhat) = (simd.zero(), simd.zero());
                for at in (channel..values.len()).step_by(channels) {
                    let to = dz.as_mut_ptr().add(at);
                    let mut gradient = simd.mul(gate, simd.load(self.dnode.as_ptr().add(at)));
                    if accumulate {
                        gradient = simd.add(simd.load(to), gradient);
                    }
                    simd.store(to, gradient);
                    let deviation = simd.sub(simd.load(values.as_ptr().add(at)), center);
                    total = simd.add(total, gradient);
                    total_xhat = simd.fma(gradient, deviation, total_xhat);
                }
                simd.store(sum.as_mut_ptr(), total);
                simd.store(sum_xhat.as_mut_ptr(), simd.mul(total_xhat, rstd));
            }
            if let Some(GradientSums { dz, dz_xhat, .. }) = &mut self.gradient.sums {
                let (to, to_xhat) = (&mut dz[lanes.clone()], &mut dz_xhat[lanes]);
                for lane in 0..S::LANES {
                    to[lane] += f64::from(sum[lane]);
                    to_xhat[lane] += f64::from(sum_xhat[lane]);
                }
            }
        }
    }
}

impl Kernel for Scale<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let channels = self.term.source.channels;
        assert!(channels.is_multiple_of(8) && self.dnode.len().is_multiple_of(channels));
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
