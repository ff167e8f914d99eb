//! Stochastic gradient descent as PyTorch defines it, and its options.

pub mod cuda;

use crate::tensor::Real;
use serde::{Deserialize, Serialize};

/// What happens to a parameter that no lane of a step used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsampled {
    /// Once a parameter has had a gradient, every later step updates it, with gradient zero where it was not used: momentum and
    /// weight decay go on moving it (PyTorch 1.x, whose `zero_grad` fills zeros).
    #[default]
    Decay,
    /// Only steps that use it move it (PyTorch 2).
    Skip,
}

/// Options of the update, without the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    pub momentum: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
    /// Largest norm of the gradient of all parameters together, before weight decay.
    pub clip_norm: Option<f64>,
    pub unsampled: Unsampled,
}

impl Sgd {
    /// `g += weight_decay * w`; first update `m = g`, then `m = momentum * m + g`; `w -= rate * m`, with Nesterov
    /// `w -= rate * (g + momentum * m)`. Slices of one length; without a gradient it is zero.
    pub fn update<T: Real>(
        &self,
        weights: &mut [T],
        momenta: &mut [T],
        gradient: Option<&[T]>,
        first: bool,
        rate: f64,
    ) {
        let [rate, decay] = [rate, self.weight_decay].map(T::from_f64);
        let momentum = T::from_f64(if first { 0.0 } else { self.momentum });
        let ahead = T::from_f64(self.momentum);
        for (index, (w, m)) in weights.iter_mut().zip(momenta).enumerate() {
            let g = gradient.map_or(T::default(), |gradient| gradient[index]) + decay * *w;
            *m = momentum * *m + g;
            let step = if self.nesterov { g + ahead * *m } else { *m };
            *w = *w - rate * step;
        }
    }

    /// What clipping multiplies gradients of this norm by: `min(1, limit / (norm + 1e-6))`.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        self.clip_norm.map_or(1.0, |limit| limit / (norm + 1e-6)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SGD: Sgd =
        Sgd { momentum: 0.5, weight_decay: 0.25, nesterov: false, clip_norm: None, unsampled: Unsampled::Decay };

    #[test]
    fn two_updates_are_as_by_hand() {
        for (nesterov, expected) in [(false, [0.25, -0.8125]), (true, [-0.125, -1.203125])] {
            let (mut weight, mut momentum) = ([1.0_f64], [9.0]);
            let sgd = Sgd { nesterov, ..SGD };
            // g = 0.5 + 0.25; m = g, whatever stood there.
            sgd.update(&mut weight, &mut momentum, Some(&[0.5]), true, 1.0);
            assert_eq!((weight[0], momentum[0]), (expected[0], 0.75));
            sgd.update(&mut weight, &mut momentum, Some(&[0.625]), false, 1.0);
            assert_eq!(weight[0], expected[1]);
        }
    }

    #[test]
    fn clipping_only_makes_gradients_smaller() {
        let clipped = Sgd { clip_norm: Some(2.0), ..SGD };
        assert_eq!((SGD.clip_factor(1e9), clipped.clip_factor(1.0)), (1.0, 1.0));
        assert_eq!(clipped.clip_factor(8.0), 2.0 / 8.000_001);
    }
}
