//! Initial weights: PyTorch's defaults, drawn on the host.

use super::{Bank, Copies, Network, Role};
use crate::rng::{Purpose, Stream};
use crate::tensor::Real;

/// Convolutions and linear layers uniform in +-1/sqrt(fan_in), scales and running variances 1, shifts and running means 0.
/// Every parameter draws from its own stream, rounded to f32 so that every backend starts from the same numbers; every copy
/// of a parameter starts alike.
pub fn initialize<T: Real>(bank: &mut Bank<T>, network: &Network, copies: &Copies, seed: u64) {
    for (id, parameter) in network.parameters.iter().enumerate() {
        let mut stream = Stream::new(seed, Purpose::InitialWeights, 0, id as u32);
        let mut draw = || match parameter.role {
            Role::Weight { fan_in } | Role::Bias { fan_in } => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                f64::from(((2.0 * stream.uniform_f64() - 1.0) * bound) as f32)
            }
            Role::Scale | Role::RunningVariance => 1.0,
            Role::Shift | Role::RunningMean => 0.0,
        };
        let values: Vec<f64> = (0..parameter.layout.len()).map(|_| draw()).collect();
        for copy in 0..copies.count(id) {
            let target = bank.get_mut(id, copy);
            for (position, value) in parameter.layout.bank_positions().into_iter().zip(&values) {
                target[position] = T::from_f64(*value);
            }
        }
    }
}
