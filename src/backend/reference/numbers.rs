//! What becomes of the numbers that a lane computes: nothing in exact arithmetic; roundings in that of a backend that stores bf16.

use crate::network::ParameterRef;
use crate::plan::{StageId, ValueId};
use half::bf16;

/// What a product multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A stage's input, normalized and after its ReLU; pools and filters take it, too.
    Input,
    /// What an operation filters before it multiplies (`ops::Filtering`).
    Filtered,
    /// Of products; those of filters are not rounded.
    Weights,
    /// The gradient of the raw output of a stage that multiplies; others take it as it is.
    OutputGradient,
}

/// What a stage leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    Output(ValueId),
    /// Means, then biased variances of a normalized output.
    Statistics(ValueId),
    /// The gradient of a stage's input number `term`, with all that was there.
    Gradient {
        stage: StageId,
        term: usize,
    },
    /// Of what a stage filters.
    FilteredGradient(StageId),
    /// Of the gradient of a normalized value: means of dz, then of dz * xhat.
    Means(ValueId),
    ParameterGradient(ParameterRef),
    /// Of a node's input number `term`.
    GateGradient {
        stage: StageId,
        term: usize,
    },
}

/// Sums with those of their terms' magnitudes, by which errors of sums in f32 are measured; exact arithmetic has none of the latter.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub values: Vec<f64>,
    pub magnitudes: Vec<f64>,
}

/// The numbers of a backend.
pub trait Numbers {
    /// Whether everything is f64; otherwise sums are, and what the kernels compute number by number (normalizations, depthwise filters) is
    /// f32 as in them.
    const EXACT: bool;

    /// What a product takes for these values.
    fn operand(&self, operand: Operand, values: Vec<f64>) -> Vec<f64>;

    /// What later stages read for these values.
    fn stored(&mut self, what: Stored, sums: Sums) -> Vec<f64>;
}

/// f64 throughout.
pub struct Exact;

impl Numbers for Exact {
    const EXACT: bool = true;

    fn operand(&self, _: Operand, values: Vec<f64>) -> Vec<f64> {
        values
    }

    fn stored(&mut self, _: Stored, sums: Sums) -> Vec<f64> {
        sums.values
    }
}

/// Rounded to bf16 where the kernels do.
pub struct Bf16;

/// To the nearest number of bf16, ties to even, from f32 as the kernels do.
pub fn to_bf16(value: f64) -> f64 {
    bf16::from_f32(value as f32).to_f64()
}

impl Numbers for Bf16 {
    const EXACT: bool = false;

    fn operand(&self, _: Operand, values: Vec<f64>) -> Vec<f64> {
        values.into_iter().map(to_bf16).collect()
    }

    fn stored(&mut self, what: Stored, sums: Sums) -> Vec<f64> {
        let values = sums.values.into_iter();
        match what {
            Stored::Output(_) | Stored::Gradient { .. } | Stored::FilteredGradient(_) => values.map(to_bf16).collect(),
            Stored::Means(_) => values.map(|value| f64::from(value as f32)).collect(),
            Stored::Statistics(_) | Stored::ParameterGradient(_) | Stored::GateGradient { .. } => values.collect(),
        }
    }
}

impl Sums {
    /// `magnitudes` are computed where these numbers need them.
    pub fn new<N: Numbers>(values: Vec<f64>, magnitudes: impl FnOnce() -> Vec<f64>) -> Self {
        let magnitudes = if N::EXACT { Vec::new() } else { magnitudes() };
        Self { values, magnitudes }
    }

    /// Without those numbers that do not pass.
    pub fn masked(mut self, passes: impl Fn(usize) -> bool) -> Self {
        for numbers in [&mut self.values, &mut self.magnitudes] {
            numbers.iter_mut().enumerate().filter(|(index, _)| !passes(*index)).for_each(|(_, number)| *number = 0.0);
        }
        self
    }

    /// One term more each; nothing where there are none.
    pub fn plus(mut self, terms: &[f64]) -> Self {
        self.values.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        self.magnitudes.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term.abs());
        self
    }

    /// Some channels of `[pixel][channel]`.
    pub fn channels(&self, channels: std::ops::Range<usize>, of: usize) -> Self {
        let part = |numbers: &[f64]| numbers.chunks(of).flat_map(|pixel| &pixel[channels.clone()]).copied().collect();
        Self { values: part(&self.values), magnitudes: part(&self.magnitudes) }
    }
}

pub fn magnitudes(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.abs()).collect()
}
