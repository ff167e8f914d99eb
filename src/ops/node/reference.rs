//! `out = sum over terms, in order, from 0, of gate * term`.

/// Terms of equal shape, each with its gate (1 for a sampled child).
pub fn forward(terms: &[(&[f64], f64)], len: usize) -> Vec<f64> {
    let mut out = vec![0.0; len];
    for (term, gate) in terms {
        out.iter_mut().zip(*term).for_each(|(out, value)| *out += gate * value);
    }
    out
}

/// Gradients of a term and of its gate.
pub fn backward(term: &[f64], gate: f64, dout: &[f64]) -> (Vec<f64>, f64) {
    (dout.iter().map(|g| gate * g).collect(), dout.iter().zip(term).map(|(g, value)| g * value).sum())
}
