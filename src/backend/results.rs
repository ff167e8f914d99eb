//! What lanes leave behind.

use super::LanePlan;
use crate::network::ParameterRef;

/// Loss and correct predictions of a lane, before the update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneLoss {
    /// Mean cross-entropy over the lane's images.
    pub loss: f64,
    pub correct: u32,
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
        let correction = unbiased_correction(self.count);
        self.variance.iter().map(|v| v * correction).collect()
    }
}

/// What makes a variance over so many values unbiased; there is none over one value.
pub fn unbiased_correction(count: f64) -> f64 {
    if count > 1.0 { count / (count - 1.0) } else { f64::NAN }
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

impl<T: Copy> TrainResult<T> {
    pub fn lane_loss(&self) -> LaneLoss {
        LaneLoss { loss: self.loss, correct: self.correct }
    }

    /// The gradient of every parameter of the lane, in ascending order.
    pub fn gradients(&self, plan: &LanePlan) -> Vec<(ParameterRef, Vec<T>)> {
        let gradient = |reference: &ParameterRef| (*reference, self.row[plan.row_range(*reference)].to_vec());
        plan.parameters.iter().map(gradient).collect()
    }
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

    /// As a training lane's only head.
    pub fn lane_loss(&self) -> LaneLoss {
        LaneLoss { loss: self.loss_sum / self.predictions.len() as f64, correct: self.correct }
    }
}

/// What an evaluation leaves behind.
pub struct Evaluation {
    /// In the order of the graph's heads.
    pub heads: Vec<HeadResult>,
    /// Batch statistics of every value that was normalized by them.
    pub statistics: Vec<Option<BatchStatistics>>,
}
