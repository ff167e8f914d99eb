//! Gradients of the gates of mixtures, of several replicas side by side.

use super::Host;
use super::step::move_running_statistics;
use crate::backend::{Backend, Executor, GateGradients, GateStep, TrainLane};
use crate::device::DeviceError;
use crate::plan::Choice;
use rayon::prelude::*;

impl<E: Executor> Host<E> {
    pub(super) fn step_gates(&self, replicas: &mut [GateStep<'_, Self>]) -> Result<Vec<GateGradients>, DeviceError> {
        let plans: Vec<_> = replicas.iter().map(|replica| self.training_plan(replica.model, Choice::Mixture)).collect();
        let lanes: Vec<TrainLane<'_, E::Real>> = (replicas.iter().zip(&plans))
            .map(|(replica, plan)| TrainLane {
                network: &replica.model.network,
                plan,
                batch: replica.batch.view(),
                bank: &replica.replica.weights,
                gates: Some(replica.gates),
                weight_gradients: false,
            })
            .collect();
        let results = self.executor.train(&lanes)?;
        let results = (replicas.par_iter_mut().zip(results).zip(&plans))
            .map(|((replica, result), plan)| {
                let loss = result.lane_loss();
                if loss.loss.is_finite() {
                    move_running_statistics(replica.model, replica.replica, &result, plan);
                }
                GateGradients { loss, gradients: result.gates }
            })
            .collect();
        Ok(results)
    }
}
