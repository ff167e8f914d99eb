//! What a host backend must do: run lanes forward and backward, and graphs of many lanes forward.

use super::LanePlan;
use crate::device::{Device, DeviceError};
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

/// Statistics of a value over one mini-batch, per logical channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Values per channel: images times pixels.
    pub count: f64,
    pub mean: Vec<f64>,
    /// Biased: divided by the count.
    pub variance: Vec<f64>,
}

impl BatchStatistics {
    /// The variance divided by count - 1, which enters running statistics.
    pub fn unbiased_variance(&self) -> Vec<f64> {
        let correction = if self.count > 1.0 { self.count / (self.count - 1.0) } else { f64::NAN };
        self.variance.iter().map(|v| v * correction).collect()
    }
}

/// What a training lane leaves behind.
pub struct TrainResult<T> {
    /// Mean cross-entropy over the lane's images, before the update.
    pub loss: f64,
    pub correct: u32,
    /// Weight gradients in the order of the plan's row; empty where they are not wanted.
    pub row: Vec<T>,
    /// Statistics of every normalized value, by value.
    pub statistics: Vec<Option<BatchStatistics>>,
    /// Gradient of every gate (mixtures only; otherwise empty).
    pub gates: Vec<Vec<f64>>,
}

/// Which statistics normalize in evaluation.
#[derive(Clone, Copy)]
pub enum Regime<'a> {
    /// Running statistics of the bank; batch statistics where none are tracked.
    Running,
    /// Statistics of the mini-batch itself.
    Batch,
    /// Given for every normalized value of the graph.
    Given(&'a [Option<BatchStatistics>]),
}

/// One head of an evaluated graph.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadResult {
    /// Sum of the images' cross-entropies, in image order.
    pub loss_sum: f64,
    pub correct: u32,
    /// Predicted class of every image.
    pub predictions: Vec<u8>,
}

impl HeadResult {
    /// From the cross-entropy and the predicted class of every image.
    pub fn new(losses: impl Iterator<Item = f64>, predictions: Vec<u8>, labels: &[u8]) -> Self {
        let correct = predictions.iter().zip(labels).filter(|(prediction, label)| prediction == label).count() as u32;
        Self { loss_sum: losses.sum(), correct, predictions }
    }
}

/// What an evaluation leaves behind.
pub struct Evaluation {
    /// In the order of the graph's heads.
    pub heads: Vec<HeadResult>,
    /// Batch statistics of every value that was normalized by them.
    pub statistics: Vec<Option<BatchStatistics>>,
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

    /// The device that computes, where it is one of [`crate::device`].
    fn device(&self) -> Option<Device> {
        None
    }

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
