//! One training step of several replicas.

use super::{Architecture, Gradients, Host, update};
use crate::backend::{Executor, LanePlan, MiniBatch, TrainLane, TrainResult};
use crate::device::DeviceError;
use crate::network::ParameterRef;
use crate::network::{Model, State};
use crate::ops::sgd::Sgd;
use crate::plan::Choice;
use crate::space::Child;
use crate::tensor::Real;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the gradients of a step's lanes become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduce {
    #[default]
    Mean,
    Sum,
}

/// One replica's part of a step.
pub struct ReplicaStep<'a, T> {
    pub model: &'a Arc<Model>,
    pub state: &'a mut State<T>,
    /// Child, or mixture, and mini-batch of each lane.
    pub lanes: Vec<(Architecture, MiniBatch<'a, T>)>,
    pub reduce: Reduce,
    pub sgd: Sgd,
    pub learning_rate: f64,
}

/// What a lane of a step leaves in the record, before the update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneLoss {
    pub loss: f64,
    pub correct: u32,
}

impl<E: Executor> Host<E> {
    /// Forward and backward of all lanes of all replicas, then one update of each replica whose losses are finite.
    /// Losses come replica by replica, in the order of the lanes.
    ///
    /// # Errors
    /// A device that fails; nothing is updated then.
    pub fn step(&self, replicas: &mut [ReplicaStep<'_, E::Real>]) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        let plans: Vec<_> = (replicas.iter())
            .map(|r| {
                r.lanes.iter().map(|(trained, _)| self.training_plan(r.model, trained.choice())).collect::<Vec<_>>()
            })
            .collect();
        let lanes: Vec<TrainLane<'_, E::Real>> = (replicas.iter().zip(&plans))
            .flat_map(|(replica, plans)| {
                replica.lanes.iter().zip(plans).map(|((trained, batch), plan)| TrainLane {
                    network: &replica.model.network,
                    plan,
                    batch: *batch,
                    bank: &replica.state.weights,
                    gates: trained.gates(),
                    weight_gradients: true,
                })
            })
            .collect();
        let mut results = self.executor.train(&lanes)?.into_iter();
        let results: Vec<Vec<_>> = plans.iter().map(|plans| results.by_ref().take(plans.len()).collect()).collect();
        let updates = replicas.par_iter_mut().zip(results).zip(&plans);
        Ok(updates.map(|((replica, results), plans)| replica.apply(&results, plans)).collect())
    }

    /// Raw weight gradients of one child on one mini-batch; nothing is updated.
    ///
    /// # Errors
    /// A device that fails.
    pub fn gradients(
        &self,
        model: &Arc<Model>,
        state: &State<E::Real>,
        child: &Child,
        batch: MiniBatch<'_, E::Real>,
    ) -> Result<(LaneLoss, Gradients<E::Real>), DeviceError> {
        let plan = self.training_plan(model, Choice::Child(child));
        let (network, bank) = (&model.network, &state.weights);
        let lane = TrainLane { network, plan: &plan, batch, bank, gates: None, weight_gradients: true };
        let results = self.executor.train(&[lane])?;
        Ok((results[0].lane_loss(), combine(&results, &[plan], Reduce::Sum)))
    }
}

impl<T: Real> TrainResult<T> {
    pub(super) fn lane_loss(&self) -> LaneLoss {
        LaneLoss { loss: self.loss, correct: self.correct }
    }
}

impl<T: Real> ReplicaStep<'_, T> {
    fn apply(&mut self, results: &[TrainResult<T>], plans: &[Arc<LanePlan>]) -> Vec<LaneLoss> {
        let losses: Vec<LaneLoss> = results.iter().map(TrainResult::lane_loss).collect();
        if losses.iter().all(|lane| lane.loss.is_finite()) {
            for (result, plan) in results.iter().zip(plans) {
                move_running_statistics(self.model, self.state, result, plan);
            }
            let gradients = combine(results, plans, self.reduce);
            update(&self.sgd, self.model, self.state, gradients, self.learning_rate);
        }
        losses
    }
}

/// `running = (1 - momentum) * running + momentum * batch`, with the unbiased variance.
pub(super) fn move_running_statistics<T: Real>(
    model: &Model,
    state: &mut State<T>,
    result: &TrainResult<T>,
    plan: &LanePlan,
) {
    for (value, statistics) in plan.graph.values.iter().zip(&result.statistics) {
        let (Some(norm), Some(statistics)) = (value.norm, statistics) else { continue };
        let Some(running) = norm.running else { continue };
        let momentum = model.network.norms[norm.norm].momentum;
        let mut mean = statistics.mean.clone();
        if let Some(bias) = norm.bias {
            let positions = &model.running_positions[norm.norm];
            let bias = state.weights.get(bias.parameter, bias.copy);
            mean.iter_mut().zip(positions).for_each(|(mean, position)| *mean += bias[*position].to_f64());
        }
        for (reference, batch) in running.into_iter().zip([&mean, &statistics.unbiased_variance()]) {
            let target = state.weights.get_mut(reference.parameter, reference.copy);
            for (position, batch) in model.running_positions[norm.norm].iter().zip(batch) {
                let moved = (1.0 - momentum) * target[*position].to_f64() + momentum * batch;
                target[*position] = T::from_f64(moved);
            }
        }
        state.batches_tracked[model.layout.number(running[0])] += 1;
    }
}

/// Adds the lanes' rows in lane order, parameter by parameter.
fn combine<T: Real>(results: &[TrainResult<T>], plans: &[Arc<LanePlan>], reduce: Reduce) -> Gradients<T> {
    let mut sums: BTreeMap<ParameterRef, Vec<T>> = BTreeMap::new();
    for (result, plan) in results.iter().zip(plans) {
        for &reference in &plan.parameters {
            let row = &result.row[plan.row_range(reference)];
            match sums.entry(reference) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(row.to_vec());
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().iter_mut().zip(row).for_each(|(sum, value)| *sum += *value);
                }
            }
        }
    }
    if reduce == Reduce::Mean && results.len() > 1 {
        let share = T::from_f64(1.0 / results.len() as f64);
        sums.values_mut().flatten().for_each(|value| *value = *value * share);
    }
    sums.into_iter().collect()
}
