//! Adam (D. Kingma and J. Ba, arXiv 1412.6980, algorithm 1) as PyTorch defines it, for architecture parameters: weight decay is added to the
//! gradient, and both moments are corrected for their start at zero.
//!
//! An update works on the slices of one parameter. Whoever keeps them counts its updates, because a parameter that a step leaves out does not
//! count that step.

pub mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

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

impl Default for Adam {
    /// PyTorch's; first-order DARTS (arXiv 1806.09055) takes 0.5 and 0.999, weight decay 1e-3, rate 3e-4.
    fn default() -> Self {
        Self { first_decay: 0.9, second_decay: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// One parameter, its gradient and its moments: slices of one length. Moments start at zero.
#[derive(Debug)]
pub struct Parameter<'a, T> {
    pub values: &'a mut [T],
    pub gradient: &'a [T],
    /// Mean of gradients.
    pub first: &'a mut [T],
    /// Mean of squared gradients.
    pub second: &'a mut [T],
}

impl<T> Parameter<'_, T> {
    /// # Panics
    /// If the slices differ in length.
    fn check(&self) {
        let length = self.values.len();
        let lengths = [self.gradient.len(), self.first.len(), self.second.len()];
        assert!(
            lengths.iter().all(|&other| other == length),
            "{length} values, but gradient and moments of {lengths:?}"
        );
    }
}

/// What makes up for moments that started at zero.
#[derive(Clone, Copy, Debug)]
struct Correction {
    /// `rate / (1 - first_decay^update)`
    step_size: f64,
    /// `sqrt(1 - second_decay^update)`
    second_root: f64,
}

impl Adam {
    /// `update` counts the updates of this parameter from 1.
    fn correction(&self, rate: f64, update: u64) -> Correction {
        let bias = |decay: f64| 1.0 - decay.powf(update as f64);
        Correction { step_size: rate / bias(self.first_decay), second_root: bias(self.second_decay).sqrt() }
    }
}
