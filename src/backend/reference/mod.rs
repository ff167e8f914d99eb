//! The oracle: walks the graph in f64, holds every value, and uses the textbook formula of each operation. On other [`Numbers`] it is the oracle
//! of backends that round.

mod backward;
mod forward;
pub mod head;
pub mod linear;
pub mod node;
pub mod numbers;

use super::executor::{Demand, Executor, MiniBatch, TrainLane, WorkingMemory};
use super::{BatchStatistics, Evaluation, HeadResult, LanePlan, Regime, TrainResult};
use crate::device::DeviceError;
use crate::network::ParameterRef;
use crate::network::{Bank, Network};
use crate::ops::head::reference::Forward;
use crate::ops::normalization::reference::Rows;
use crate::plan::{GateRef, Gates, NormUse, ValueId};
use numbers::{Exact, Numbers};

/// The reference backend.
pub struct Reference;

/// Everything that a lane's forward pass computed. Feature maps are NHWC without channel padding.
struct Tape<'a> {
    network: &'a Network,
    plan: &'a LanePlan,
    bank: &'a Bank<f64>,
    labels: &'a [u8],
    /// Stored values.
    raw: Vec<Vec<f64>>,
    /// Values as their readers see them; empty where equal to the stored ones.
    normalized: Vec<Vec<f64>>,
    /// Statistics that normalized each value.
    statistics: Vec<Option<BatchStatistics>>,
    heads: Vec<Forward>,
}

impl Tape<'_> {
    /// A parameter in PyTorch's order.
    fn parameter(&self, reference: ParameterRef) -> Vec<f64> {
        let values = self.bank.get(reference.parameter, reference.copy);
        let layout = &self.network.parameters[reference.parameter].layout;
        layout.bank_positions().into_iter().map(|position| values[position]).collect()
    }

    /// What readers of a value see.
    fn seen(&self, value: ValueId) -> &[f64] {
        if self.plan.graph.values[value].norm.is_some() { &self.normalized[value] } else { &self.raw[value] }
    }

    fn channels(&self, value: ValueId) -> usize {
        self.plan.graph.values[value].shape.channels
    }

    /// A normalization as kernels have it.
    fn rows(&self, norm: &NormUse, statistics: &BatchStatistics) -> Rows {
        let epsilon = f64::from(self.network.norms[norm.norm].epsilon as f32);
        let affine = norm.affine.map(|pair| pair.map(|parameter| self.parameter(parameter)));
        let affine = affine.as_ref().map(|[gamma, beta]| (gamma.as_slice(), beta.as_slice()));
        Rows::new(&statistics.mean, &statistics.variance, epsilon, affine)
    }

    /// The concatenation of a stage's inputs.
    fn concatenated(&self, inputs: &[ValueId]) -> Vec<f64> {
        if let [only] = inputs {
            return self.seen(*only).to_vec();
        }
        let pixels = self.seen(inputs[0]).len() / self.channels(inputs[0]);
        let mut out = Vec::new();
        for pixel in 0..pixels {
            for &value in inputs {
                let channels = self.channels(value);
                out.extend_from_slice(&self.seen(value)[pixel * channels..][..channels]);
            }
        }
        out
    }
}

impl Executor for Reference {
    type Real = f64;

    fn arithmetic(&self) -> String {
        "reference f64".to_owned()
    }

    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory {
        // Every value stored, normalized and with its gradient, and as many again on the way; rows of all lanes and their sums.
        // What is too large for any machine must not wrap around.
        let held = (4 * demand.most_training(value_elements)).saturating_mul(demand.training_images);
        let rows = (2 * demand.most_training(|plan| plan.row_len)).saturating_mul(demand.lanes);
        let training = held.saturating_add(rows);
        let evaluation = (2 * demand.most_evaluation(value_elements)).saturating_mul(demand.evaluation_images);
        // Nothing is kept between lanes.
        let evaluation = evaluation.saturating_sub(training);
        let [training, evaluation] = [training, evaluation].map(|len| len.saturating_mul(size_of::<f64>()));
        WorkingMemory { training, evaluation, scratch: 0 }
    }

    fn train(&self, lanes: &[TrainLane<'_, f64>]) -> Result<Vec<TrainResult<f64>>, DeviceError> {
        let results = lanes.iter().map(|lane| {
            let mut result = train(&mut Exact, lane);
            if !lane.weight_gradients {
                result.row.clear();
            }
            result
        });
        Ok(results.collect())
    }

    fn evaluate(
        &self,
        network: &Network,
        plan: &LanePlan,
        batch: MiniBatch<'_, f64>,
        bank: &Bank<f64>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError> {
        let tape = forward::run(&mut Exact, network, plan, batch, bank, None, regime);
        let heads = tape.heads.iter().map(|head| result(head, batch.labels)).collect();
        Ok(Evaluation { heads, statistics: tape.statistics })
    }
}

/// Forward and backward of a lane on some numbers, with the gradients of its weights.
pub fn train<N: Numbers>(numbers: &mut N, lane: &TrainLane<'_, f64>) -> TrainResult<f64> {
    let TrainLane { network, plan, batch, bank, gates, weight_gradients: _ } = *lane;
    let tape = forward::run(numbers, network, plan, batch, bank, gates, Regime::Batch);
    backward::run(numbers, tape, gates)
}

/// What a term of a node is multiplied by.
fn gate<N: Numbers>(reference: Option<GateRef>, gates: Option<&Gates>) -> f64 {
    match (reference, gates) {
        (Some(gate), Some(gates)) if N::EXACT => gates.0[gate.slot][gate.candidate],
        (Some(gate), Some(gates)) => f64::from(gates.0[gate.slot][gate.candidate] as f32),
        _ => 1.0,
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

fn wide(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// Numbers of all values of one image.
fn value_elements(plan: &LanePlan) -> usize {
    plan.graph.values.iter().map(|value| value.shape.pixels() * value.shape.channels).sum()
}

fn result(head: &Forward, labels: &[u8]) -> HeadResult {
    HeadResult::new(head.losses.iter().copied(), head.predictions.clone(), labels)
}
