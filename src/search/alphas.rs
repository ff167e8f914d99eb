//! Architecture parameters and their update. They are few and belong to the host: f64 on every backend.

use crate::ops::adam::{Adam, Parameter};
use crate::plan::Gates;
use crate::records::AlphaRecord;
use crate::rng::{Purpose, Stream};
use crate::space::Space;

/// Standard deviation of the initial values, as in DARTS.
const INITIAL_DEVIATION: f64 = 1e-3;

/// A number for every candidate of every choice of a child, `[choice][candidate]`.
pub type Table = Vec<Vec<f64>>;

/// The architecture parameters of one replica, and what Adam remembers of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Alphas {
    pub values: Table,
    /// Mean of gradients.
    pub first: Table,
    /// Mean of squared gradients.
    pub second: Table,
    /// Updates done.
    pub updates: u64,
}

impl Alphas {
    /// These values, never updated.
    pub fn new(values: Table) -> Self {
        let zeros: Table = values.iter().map(|edge| vec![0.0; edge.len()]).collect();
        Self { values, first: zeros.clone(), second: zeros, updates: 0 }
    }

    /// Drawn from `1e-3 * N(0, 1)`.
    pub fn initial(space: &Space, seed: u64) -> Self {
        let draw = |(slot, candidates): (usize, usize)| {
            let mut stream = Stream::new(seed, Purpose::InitialAlphas, 0, slot as u32);
            (0..candidates).map(|_| INITIAL_DEVIATION * stream.normal()).collect()
        };
        Self::new(space.choices().into_iter().enumerate().map(draw).collect())
    }

    /// The softmax of every choice's values.
    pub fn gates(&self) -> Gates {
        Gates(self.values.iter().map(|edge| softmax(edge)).collect())
    }

    /// Gradients of the values from those of their gates p: `p * (g - sum of p * g)` over the candidates of a choice.
    pub fn gradients(&self, of_gates: &Table) -> Table {
        let choice = |(gates, of_gates): (Vec<f64>, &Vec<f64>)| {
            let mean: f64 = gates.iter().zip(of_gates).map(|(p, g)| p * g).sum();
            gates.iter().zip(of_gates).map(|(p, g)| p * (g - mean)).collect()
        };
        self.gates().0.into_iter().zip(of_gates).map(choice).collect()
    }

    /// One update by Adam from the gradients of the gates.
    pub fn update(&mut self, of_gates: &Table, adam: &Adam, rate: f64) {
        let gradients = self.gradients(of_gates);
        self.updates += 1;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((values, gradient), (first, second)) in self.values.iter_mut().zip(&gradients).zip(moments) {
            adam.update(Parameter { values, gradient, first, second }, rate, self.updates);
        }
    }

    /// A row for every candidate of every edge, in order, after `step` steps.
    pub fn records(&self, space: &Space, step: u64, replica: u32) -> Vec<AlphaRecord> {
        let cells = space.searched_cells();
        let edges =
            cells.iter().flat_map(|(name, cell)| cell.edge_list().into_iter().map(move |edge| (name, *cell, edge)));
        let rows = edges.zip(self.values.iter().zip(self.gates().0)).flat_map(
            |((name, cell, (source, target)), (alphas, gates))| {
                let candidates = cell.candidates.iter().zip(alphas).zip(gates);
                candidates
                    .map(move |((candidate, alpha), gate)| AlphaRecord {
                        step,
                        replica,
                        cell: name.clone(),
                        source: source as u32,
                        target: target as u32,
                        candidate: candidate.clone(),
                        alpha: *alpha,
                        gate,
                    })
                    .collect::<Vec<_>>()
            },
        );
        rows.collect()
    }

    /// Adds everything that an update changes to a hash.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.updates.to_le_bytes());
        for edge in [&self.values, &self.first, &self.second].into_iter().flatten() {
            hasher.update(bytemuck::cast_slice(edge));
        }
    }
}

fn softmax(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = values.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_positive_and_add_up_to_one_for_every_choice() {
        let alphas = Alphas::new(vec![vec![0.0, 1.0, -2.0], vec![800.0, 0.0], vec![-3.0; 4]]);
        let Gates(gates) = alphas.gates();
        for edge in &gates {
            assert!((edge.iter().sum::<f64>() - 1.0).abs() < 1e-15 && edge.iter().all(|gate| *gate >= 0.0));
        }
        assert_eq!((gates[1][0], gates[2][3]), (1.0, 0.25));
        assert!((gates[0][1] / gates[0][0] - 1f64.exp()).abs() < 1e-14);
    }

    #[test]
    fn gradients_are_the_slopes_of_what_depends_on_the_gates() {
        // f = sum of squares of the gates, weighted: its gradient of gate k is 2 * k * p.
        let weighted = |alphas: &Alphas| -> f64 {
            alphas.gates().0.iter().flat_map(|edge| edge.iter().enumerate()).map(|(k, p)| k as f64 * p * p).sum()
        };
        let alphas = Alphas::new(vec![vec![0.3, -1.1, 0.8, 0.1], vec![2.0, 1.0, -1.0]]);
        let gates = alphas.gates();
        let of_gates: Table =
            gates.0.iter().map(|edge| edge.iter().enumerate().map(|(k, p)| 2.0 * k as f64 * p).collect()).collect();
        for (slot, edge) in alphas.gradients(&of_gates).iter().enumerate() {
            for (candidate, gradient) in edge.iter().enumerate() {
                let at = |distance: f64| {
                    let mut moved = alphas.clone();
                    moved.values[slot][candidate] += distance;
                    weighted(&moved)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - gradient).abs() < 1e-9, "{slot}/{candidate}: {slope} measured, {gradient} computed");
            }
        }
    }

    #[test]
    fn initial_values_are_small_and_each_seed_has_its_own() {
        let space = Space::built_in("nasbench201").expect("a built-in space");
        let [first, second] = [1, 2].map(|seed| Alphas::initial(&space, seed));
        assert_ne!(first.values, second.values);
        let values = || first.values.iter().flatten();
        let deviation = (values().map(|value| value * value).sum::<f64>() / 30.0).sqrt();
        assert!((0.5e-3..1.6e-3).contains(&deviation) && first.values.len() == 6, "{deviation}");
    }
}
