//! What a backend whose banks lie in host memory must do: run lanes forward and backward, and graphs of many lanes forward.

use super::{Evaluation, LanePlan, Regime, TrainResult};
use crate::device::DeviceError;
use crate::network::{Bank, Network};
use crate::plan::Gates;
use crate::tensor::Real;
use std::sync::Arc;

/// Images and labels of one mini-batch.
#[derive(Clone, Copy)]
pub struct MiniBatch<'a, T> {
    /// `[image][row][column][channel]`, channels padded to 4.
    pub images: &'a [T],
    pub labels: &'a [u8],
}

/// One lane of a training step.
#[derive(Clone, Copy)]
pub struct TrainLane<'a, T> {
    pub network: &'a Network,
    pub plan: &'a LanePlan,
    pub batch: MiniBatch<'a, T>,
    /// Weights and buffers of the lane's replica.
    pub bank: &'a Bank<T>,
    /// Gate values, for a mixture.
    pub gates: Option<&'a Gates>,
    /// Whether the gradients of the weights are wanted, or those of the gates alone.
    pub weight_gradients: bool,
}

/// The largest that a run asks of a backend.
pub struct Demand<'a> {
    /// Of the children that are trained.
    pub training: &'a [Arc<LanePlan>],
    /// Lanes of a step, all replicas together.
    pub lanes: usize,
    /// Images of a training mini-batch.
    pub training_images: usize,
    pub evaluation: &'a [&'a LanePlan],
    /// Images of an evaluation mini-batch.
    pub evaluation_images: usize,
}

/// Bytes by purpose.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkingMemory {
    /// Feature maps and gradients of a step.
    pub training: usize,
    /// Feature maps of an evaluation, less what it takes over from training.
    pub evaluation: usize,
    /// Of the threads' kernels.
    pub scratch: usize,
}

impl Demand<'_> {
    /// The largest of the trained plans by some measure.
    pub fn most_training(&self, measure: impl Fn(&LanePlan) -> usize) -> usize {
        self.training.iter().map(|plan| measure(plan)).max().unwrap_or(0)
    }

    /// The largest of the evaluated plans by some measure.
    pub fn most_evaluation(&self, measure: impl Fn(&LanePlan) -> usize) -> usize {
        self.evaluation.iter().map(|plan| measure(plan)).max().unwrap_or(0)
    }
}

/// A backend that is given banks and mini-batches in host memory.
pub trait Executor: Sync {
    type Real: Real;

    /// What decides the bits of results: backend, precision, instruction set. A run resumes only under the same.
    fn arithmetic(&self) -> String;

    /// What a run takes at most beside banks and mini-batches.
    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory;

    /// Forward and backward of every lane. Lanes do not see each other; results come in their order.
    ///
    /// # Errors
    /// A device that fails.
    fn train(&self, lanes: &[TrainLane<'_, Self::Real>]) -> Result<Vec<TrainResult<Self::Real>>, DeviceError>;

    /// Forward of a graph of one or many lanes over one mini-batch.
    ///
    /// # Errors
    /// A device that fails.
    fn evaluate(
        &self,
        network: &Network,
        plan: &LanePlan,
        batch: MiniBatch<'_, Self::Real>,
        bank: &Bank<Self::Real>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError>;
}
