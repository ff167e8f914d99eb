//! Sums of gated terms on a backend's numbers.

use super::numbers::{Numbers, Sums, magnitudes};
use crate::ops::node::reference;

/// The sum of terms of `len` numbers, each with its gate.
pub fn forward<N: Numbers>(terms: &[(&[f64], f64)], len: usize) -> Sums {
    Sums::new::<N>(reference::forward(terms, len), || {
        let absolute: Vec<(Vec<f64>, f64)> = terms.iter().map(|(term, gate)| (magnitudes(term), gate.abs())).collect();
        let absolute: Vec<(&[f64], f64)> = absolute.iter().map(|(term, gate)| (term.as_slice(), *gate)).collect();
        reference::forward(&absolute, len)
    })
}

/// Gradients of a term and of its gate.
pub fn backward<N: Numbers>(term: &[f64], gate: f64, dout: &[f64]) -> [Sums; 2] {
    let (dterm, dgate) = reference::backward(term, gate, dout);
    let absolute = || reference::backward(&magnitudes(term), gate.abs(), &magnitudes(dout));
    let (large_dterm, large_dgate) = if N::EXACT { Default::default() } else { absolute() };
    [Sums { values: dterm, magnitudes: large_dterm }, Sums { values: vec![dgate], magnitudes: vec![large_dgate] }]
}
