//! Gradients of the gates of mixtures, of several replicas side by side.

use super::step::move_running_statistics;
use super::{Host, LaneLoss};
use crate::backend::{Executor, MiniBatch, TrainLane};
use crate::device::DeviceError;
use crate::network::{Model, State};
use crate::plan::{Choice, Gates};
use rayon::prelude::*;
use std::sync::Arc;

/// One replica's mixture and mini-batch.
pub struct GateStep<'a, T> {
    pub model: &'a Arc<Model>,
    pub state: &'a mut State<T>,
    pub gates: &'a Gates,
    pub batch: MiniBatch<'a, T>,
}

/// What it leaves.
#[derive(Clone, Debug)]
pub struct GateGradients {
    pub loss: LaneLoss,
    /// By choice of a child, by candidate.
    pub gradients: Vec<Vec<f64>>,
}

impl<E: Executor> Host<E> {
    /// Forward and backward of every replica's mixture, weights as they are. The forward pass moves running statistics where the loss
    /// is finite, as every one in training does.
    ///
    /// # Errors
    /// A device that fails; nothing is moved then.
    pub fn gate_gradients(&self, replicas: &mut [GateStep<'_, E::Real>]) -> Result<Vec<GateGradients>, DeviceError> {
        let plans: Vec<_> = replicas.iter().map(|replica| self.training_plan(replica.model, Choice::Mixture)).collect();
        let lanes: Vec<TrainLane<'_, E::Real>> = (replicas.iter().zip(&plans))
            .map(|(replica, plan)| TrainLane {
                network: &replica.model.network,
                plan,
                batch: replica.batch,
                bank: &replica.state.weights,
                gates: Some(replica.gates),
                weight_gradients: false,
            })
            .collect();
        let results = self.executor.train(&lanes)?;
        let results = (replicas.par_iter_mut().zip(results).zip(&plans))
            .map(|((replica, result), plan)| {
                let loss = result.lane_loss();
                if loss.loss.is_finite() {
                    move_running_statistics(replica.model, replica.state, &result, plan);
                }
                GateGradients { loss, gradients: result.gates }
            })
            .collect();
        Ok(results)
    }
}
