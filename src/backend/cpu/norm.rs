//! Batch normalization of one value in one lane.

use super::LaneRun;
use crate::backend::BatchStatistics;
use crate::backend::normalization::Normalization;
use crate::ops::input::{Moments, Normalize, NormalizeBackward};
use crate::plan::{NormUse, ValueId};
use crate::tensor::padded_channels;

/// What readers and the backward pass need, per stored channel.
pub struct NormState {
    normalization: Normalization,
    /// Over logical channels.
    pub statistics: Option<BatchStatistics>,
    /// Values per channel.
    count: f64,
    /// Sums of `dz` and of `dz * xhat`, once the value's last consumer has run backward.
    pub sums: [Vec<f64>; 2],
    /// Their means.
    m1: Vec<f32>,
    m2: Vec<f32>,
}

impl NormState {
    pub fn read(&self) -> Normalize<'_> {
        let Normalization { mean, scale, shift, .. } = &self.normalization;
        Normalize { mean, scale, shift }
    }

    pub fn backward(&self) -> NormalizeBackward<'_> {
        let Normalization { mean, rstd, scale, .. } = &self.normalization;
        NormalizeBackward { mean, rstd, k: scale, m1: &self.m1, m2: &self.m2 }
    }

    pub fn mean(&self) -> &[f32] {
        &self.normalization.mean
    }

    pub fn rstd(&self) -> &[f32] {
        &self.normalization.rstd
    }

    /// Takes the finished sums over the chunks.
    pub fn finish_sums(&mut self, sums: [Vec<f64>; 2]) {
        let mean = |sums: &[f64]| sums.iter().map(|sum| (sum / self.count) as f32).collect();
        (self.m1, self.m2) = (mean(&sums[0]), mean(&sums[1]));
        self.sums = sums;
    }
}

impl LaneRun<'_> {
    /// Statistics of the batch from the moments of its chunks, merged in order.
    pub(super) fn batch_statistics(&self, value: ValueId, chunks: &[Moments]) -> BatchStatistics {
        let shape = self.plan.graph.values[value].shape;
        let mut moments = Moments::new(padded_channels(shape.channels));
        chunks.iter().for_each(|chunk| moments.merge(chunk));
        let variance = moments.m2[..shape.channels].iter().map(|m2| m2 / moments.count).collect();
        moments.mean.truncate(shape.channels);
        BatchStatistics { count: moments.count, mean: moments.mean, variance }
    }

    pub(super) fn norm_state(&self, norm: &NormUse, statistics: BatchStatistics) -> NormState {
        let normalization = Normalization::new(self.network, self.bank, norm, &statistics);
        let zeros = || vec![0.0; normalization.mean.len()];
        NormState {
            count: statistics.count,
            statistics: Some(statistics),
            sums: [Vec::new(), Vec::new()],
            m1: zeros(),
            m2: zeros(),
            normalization,
        }
    }
}
