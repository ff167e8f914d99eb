//! The gradients of a head on a backend's numbers, none of which it rounds.

use super::numbers::{Numbers, Sums};
use crate::ops::head::reference::{self, Forward};

/// Gradients of the input, the weights and the bias. Magnitudes are bounds: the gradient of a logit is at most 1 / images.
pub fn backward<N: Numbers>(forward: &Forward, pixels: usize, weights: &[f64], labels: &[u8]) -> [Sums; 3] {
    let (dx, dweights, dbias) = reference::backward(forward, pixels, weights, labels);
    let channels = forward.pooled.len() / labels.len();
    // Of each channel, the mean over the images of rows, times a factor.
    let mean = |rows: &[f64], factor: f64| {
        let mut sums = vec![0.0; channels];
        for row in rows.chunks(channels) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.abs() * factor / labels.len() as f64);
        }
        sums
    };
    [
        Sums::new::<N>(dx, || mean(weights, 1.0 / pixels as f64).repeat(labels.len() * pixels)),
        Sums::new::<N>(dweights, || mean(&forward.pooled, 1.0).repeat(dbias.len())),
        Sums::new::<N>(dbias.clone(), || vec![1.0; dbias.len()]),
    ]
}
