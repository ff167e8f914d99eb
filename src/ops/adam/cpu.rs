//! The formula in f32 with vector instructions.
//!
//! Scalars are computed in f64 and rounded once. The last numbers go through a padded vector too, so a value's bits do not depend on where it stands.

use super::{Adam, Correction, Parameter};
use crate::simd::{Kernel, Level, Simd};

/// As [`super::reference::update`].
///
/// # Panics
/// If the slices differ in length.
pub fn update(level: Level, adam: &Adam, parameter: Parameter<f32>, rate: f64, update: u64) {
    parameter.check();
    level.run(Update { adam, parameter, correction: adam.correction(rate, update) });
}

struct Update<'a> {
    adam: &'a Adam,
    parameter: Parameter<'a, f32>,
    correction: Correction,
}

/// Numbers in the widest vector.
const WIDEST: usize = 16;

/// The scalars of an update in every lane.
#[derive(Clone, Copy)]
struct Scalars<S: Simd> {
    weight_decay: S::Vector,
    first_weight: S::Vector,
    second_decay: S::Vector,
    second_weight: S::Vector,
    second_root: S::Vector,
    epsilon: S::Vector,
    negative_step: S::Vector,
}

impl<S: Simd> Scalars<S> {
    #[inline(always)]
    fn new(simd: S, adam: &Adam, correction: Correction) -> Self {
        Self {
            weight_decay: simd.splat(adam.weight_decay as f32),
            first_weight: simd.splat((1.0 - adam.first_decay) as f32),
            second_decay: simd.splat(adam.second_decay as f32),
            second_weight: simd.splat((1.0 - adam.second_decay) as f32),
            second_root: simd.splat(correction.second_root as f32),
            epsilon: simd.splat(adam.epsilon as f32),
            negative_step: simd.splat(-correction.step_size as f32),
        }
    }

    /// Moves `LANES` numbers.
    #[inline(always)]
    fn move_lanes(self, simd: S, values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let lanes = S::LANES;
        assert!(values.len() >= lanes && gradient.len() >= lanes && first.len() >= lanes && second.len() >= lanes);
        // SAFETY: every slice holds `LANES` numbers, as just asserted.
        unsafe {
            let w = simd.load(values.as_ptr());
            let m = simd.load(first.as_ptr());
            let v = simd.load(second.as_ptr());
            let g = simd.fma(self.weight_decay, w, simd.load(gradient.as_ptr()));
            let m = simd.fma(self.first_weight, simd.sub(g, m), m);
            let v = simd.fma(simd.mul(self.second_weight, g), g, simd.mul(self.second_decay, v));
            let root = simd.div(simd.sqrt(v), self.second_root);
            let step = simd.div(m, simd.add(root, self.epsilon));
            simd.store(first.as_mut_ptr(), m);
            simd.store(second.as_mut_ptr(), v);
            simd.store(values.as_mut_ptr(), simd.fma(self.negative_step, step, w));
        }
    }
}

impl Kernel for Update<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { adam, parameter: Parameter { values, gradient, first, second }, correction } = self;
        let scalars = Scalars::new(simd, adam, correction);
        let whole = values.len() / S::LANES * S::LANES;
        for at in (0..whole).step_by(S::LANES) {
            scalars.move_lanes(simd, &mut values[at..], &gradient[at..], &mut first[at..], &mut second[at..]);
        }
        let rest = values.len() - whole;
        if rest > 0 {
            let padded = |from: &[f32]| {
                let mut lanes = [0.0; WIDEST];
                lanes[..rest].copy_from_slice(&from[whole..]);
                lanes
            };
            let (mut w, g, mut m, mut v) = (padded(values), padded(gradient), padded(first), padded(second));
            scalars.move_lanes(simd, &mut w, &g, &mut m, &mut v);
            values[whole..].copy_from_slice(&w[..rest]);
            first[whole..].copy_from_slice(&m[..rest]);
            second[whole..].copy_from_slice(&v[..rest]);
        }
    }
}
