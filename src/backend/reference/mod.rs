//! The oracle: walks the graph in f64, holds every value, and uses the textbook formula of each operation.

mod backward;
mod forward;

use super::executor::{Demand, Executor, MiniBatch, TrainLane, WorkingMemory};
use super::{BatchStatistics, Evaluation, HeadResult, LanePlan, Regime, TrainResult};
use crate::device::DeviceError;
use crate::network::ParameterRef;
use crate::network::{Bank, Network};
use crate::ops::head::reference as head;
use crate::plan::ValueId;

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
    heads: Vec<head::Forward>,
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
        let results = lanes
            .iter()
            .map(|lane| {
                let tape = forward::run(lane.network, lane.plan, lane.batch, lane.bank, lane.gates, Regime::Batch);
                let mut result = backward::run(tape, lane.gates);
                if !lane.weight_gradients {
                    result.row.clear();
                }
                result
            })
            .collect();
        Ok(results)
    }

    fn evaluate(
        &self,
        network: &Network,
        plan: &LanePlan,
        batch: MiniBatch<'_, f64>,
        bank: &Bank<f64>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError> {
        let tape = forward::run(network, plan, batch, bank, None, regime);
        let heads = tape.heads.iter().map(|head| result(head, batch.labels)).collect();
        Ok(Evaluation { heads, statistics: tape.statistics })
    }
}

/// Numbers of all values of one image.
fn value_elements(plan: &LanePlan) -> usize {
    plan.graph.values.iter().map(|value| value.shape.pixels() * value.shape.channels).sum()
}

fn result(head: &head::Forward, labels: &[u8]) -> HeadResult {
    HeadResult::new(head.losses.iter().copied(), head.predictions.clone(), labels)
}
