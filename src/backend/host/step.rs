//! One training step of several replicas.

use super::{Gradients, Host, update};
use crate::backend::{Backend, Executor, LaneLoss, LanePlan, Reduce, ReplicaStep, TrainLane, TrainResult};
use crate::device::DeviceError;
use crate::network::{Model, ParameterRef, State};
use crate::tensor::Real;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

impl<E: Executor> Host<E> {
    pub(super) fn step_replicas(
        &self,
        replicas: &mut [ReplicaStep<'_, Self>],
    ) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
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
                    batch: batch.view(),
                    bank: &replica.replica.weights,
                    gates: trained.gates(),
                    weight_gradients: true,
                })
            })
            .collect();
        let mut results = self.executor.train(&lanes)?.into_iter();
        let results: Vec<Vec<_>> = plans.iter().map(|plans| results.by_ref().take(plans.len()).collect()).collect();
        let updates = replicas.par_iter_mut().zip(results).zip(&plans);
        Ok(updates.map(|((replica, results), plans)| apply(replica, &results, plans)).collect())
    }
}

/// Moves the running statistics and the weights of a replica; nothing where a loss is not finite.
fn apply<E: Executor>(
    step: &mut ReplicaStep<'_, Host<E>>,
    results: &[TrainResult<E::Real>],
    plans: &[Arc<LanePlan>],
) -> Vec<LaneLoss> {
    let losses: Vec<LaneLoss> = results.iter().map(TrainResult::lane_loss).collect();
    if losses.iter().all(|lane| lane.loss.is_finite()) {
        for (result, plan) in results.iter().zip(plans) {
            move_running_statistics(step.model, step.replica, result, plan);
        }
        let gradients = combine(results, plans, step.reduce);
        update(&step.sgd, step.model, step.replica, gradients, step.learning_rate);
    }
    losses
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
        let share = T::from_f64(reduce.share(results.len()));
        sums.values_mut().flatten().for_each(|value| *value = *value * share);
    }
    sums.into_iter().collect()
}
