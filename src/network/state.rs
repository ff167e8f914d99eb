//! Everything that training changes in one replica.

use super::{Bank, Model, Role, initialize};
use crate::network::ParameterRef;
use crate::tensor::Real;

/// Weights and buffers, momentum, and what the optimizer remembers of each copy.
#[derive(Clone)]
pub struct State<T> {
    pub weights: Bank<T>,
    pub momentum: Bank<T>,
    /// Whether a copy ever had a gradient, by [`super::BankLayout::number`].
    pub started: Vec<bool>,
    /// `num_batches_tracked`, by the number of the running mean's copy.
    pub batches_tracked: Vec<u64>,
}

impl<T: Real> State<T> {
    /// Initial weights, drawn from `seed`.
    pub fn initial(model: &Model, seed: u64) -> Self {
        let mut state = Self::zeroed(model);
        initialize(&mut state.weights, &model.network, &model.copies, seed);
        state
    }

    pub fn zeroed(model: &Model) -> Self {
        let bank = || Bank::zeroed(model.layout.clone());
        let count = model.layout.numbers();
        Self { weights: bank(), momentum: bank(), started: vec![false; count], batches_tracked: vec![0; count] }
    }

    /// The same state in another precision (exact from f32 to f64 and back).
    pub fn cast<U: Real>(&self) -> State<U> {
        State {
            weights: self.weights.cast(),
            momentum: self.momentum.cast(),
            started: self.started.clone(),
            batches_tracked: self.batches_tracked.clone(),
        }
    }

    /// A blake3 hash of every unpadded value in the order of names, copies in order: weights and buffers, then momentum, whether
    /// a copy has started, and the count of tracked batches.
    pub fn hash(&self, model: &Model) -> blake3::Hash {
        let mut names: Vec<usize> = (0..model.network.parameters.len()).collect();
        names.sort_by_key(|id| model.network.parameters[*id].name.as_str());
        let mut hasher = blake3::Hasher::new();
        for id in names {
            let parameter = &model.network.parameters[id];
            let positions = parameter.layout.bank_positions();
            for copy in 0..model.copies.count(id) {
                hasher.update(parameter.name.as_bytes());
                let mut values: Vec<T> = positions.iter().map(|p| self.weights.get(id, copy)[*p]).collect();
                let number = model.layout.number(ParameterRef { parameter: id, copy });
                match parameter.role {
                    Role::RunningMean => {
                        hasher.update(&self.batches_tracked[number].to_le_bytes());
                    }
                    Role::RunningVariance => {}
                    _ => {
                        values.extend(positions.iter().map(|p| self.momentum.get(id, copy)[*p]));
                        hasher.update(&[u8::from(self.started[number])]);
                    }
                }
                hasher.update(bytemuck::cast_slice(&values));
            }
        }
        hasher.finalize()
    }
}
