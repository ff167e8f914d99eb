//! Adam (D. Kingma and J. Ba, arXiv 1412.6980, algorithm 1) as PyTorch defines it, for architecture parameters: weight decay is added to the
//! gradient, and both moments are corrected for their start at zero.
//!
//! Architecture parameters are few and belong to the host: they are f64 on every backend.

/// Options of the update, without the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the mean of gradients, at least 0 and below 1.
    pub first_decay: f64,
    /// Decay of the mean of squared gradients, likewise.
    pub second_decay: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// One parameter, its gradient and its moments: slices of one length. Moments start at zero.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub values: &'a mut [f64],
    pub gradient: &'a [f64],
    /// Mean of gradients.
    pub first: &'a mut [f64],
    /// Mean of squared gradients.
    pub second: &'a mut [f64],
}

impl Adam {
    /// `g += weight_decay * w`; `m += (1 - b1) * (g - m)`; `v = b2 * v + (1 - b2) * g^2`;
    /// `w -= rate / (1 - b1^n) * m / (sqrt(v) / sqrt(1 - b2^n) + epsilon)`. `update` is n, from 1: whoever keeps the parameter counts its
    /// updates, because a parameter that a step leaves out does not count that step.
    pub fn update(&self, parameter: Parameter, rate: f64, update: u64) {
        let bias = |decay: f64| 1.0 - decay.powf(update as f64);
        let (step_size, second_root) = (rate / bias(self.first_decay), bias(self.second_decay).sqrt());
        let Parameter { values, gradient, first, second } = parameter;
        for (((w, gradient), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
            let g = gradient + self.weight_decay * *w;
            *m += (1.0 - self.first_decay) * (g - *m);
            *v = self.second_decay * *v + (1.0 - self.second_decay) * g * g;
            *w -= step_size * *m / (v.sqrt() / second_root + self.epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_update_moves_every_value_by_the_rate_against_its_gradient() {
        let adam = Adam { first_decay: 0.5, second_decay: 0.999, epsilon: 0.0, weight_decay: 0.0 };
        let (mut values, mut first, mut second) = ([1.0; 3], [0.0; 3], [0.0; 3]);
        let gradient = [1e-3, -5.0, 70.0];
        let parameter = Parameter { values: &mut values, gradient: &gradient, first: &mut first, second: &mut second };
        adam.update(parameter, 0.25, 1);
        for (value, expected) in values.iter().zip([0.75, 1.25, 0.75]) {
            assert!((value - expected).abs() < 1e-12, "{values:?}");
        }
    }
}
