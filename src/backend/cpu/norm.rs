//! Batch normalization of one value in one lane.

use super::LaneRun;
use crate::backend::executor::{BatchStatistics, Regime};
use crate::ops::input::{Moments, Normalize, NormalizeBackward};
use crate::plan::{NormUse, ValueId};
use crate::tensor::padded_channels;

/// What readers and the backward pass need, per stored channel; zero in padding channels but for `rstd`.
pub struct NormState {
    pub mean: Vec<f32>,
    pub rstd: Vec<f32>,
    /// `gamma * rstd`
    pub scale: Vec<f32>,
    /// `beta`
    pub shift: Vec<f32>,
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
        Normalize { mean: &self.mean, scale: &self.scale, shift: &self.shift }
    }

    pub fn backward(&self) -> NormalizeBackward<'_> {
        NormalizeBackward { mean: &self.mean, rstd: &self.rstd, k: &self.scale, m1: &self.m1, m2: &self.m2 }
    }

    /// Takes the finished sums over the chunks.
    pub fn finish_sums(&mut self, sums: [Vec<f64>; 2]) {
        let mean = |sums: &[f64]| sums.iter().map(|sum| (sum / self.count) as f32).collect();
        (self.m1, self.m2) = (mean(&sums[0]), mean(&sums[1]));
        self.sums = sums;
    }
}

impl LaneRun<'_> {
    /// The statistics that the regime gives without looking at the batch, if it does.
    pub(super) fn given_statistics(&self, value: ValueId, norm: &NormUse, regime: Regime) -> Option<BatchStatistics> {
        match (regime, norm.running) {
            (Regime::Given(statistics), _) => statistics[value].clone(),
            (Regime::Running, Some([mean, variance])) => {
                let channels = self.plan.graph.values[value].shape.channels;
                let read = |reference: crate::network::ParameterRef| -> Vec<f64> {
                    let values = &self.bank.get(reference.parameter, reference.copy)[..channels];
                    values.iter().copied().map(f64::from).collect()
                };
                let mut mean = read(mean);
                if let Some(bias) = norm.bias {
                    mean.iter_mut().zip(read(bias)).for_each(|(mean, bias)| *mean -= bias);
                }
                Some(BatchStatistics { count: f64::NAN, mean, variance: read(variance) })
            }
            _ => None,
        }
    }

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
        let channels = statistics.mean.len();
        let stored = padded_channels(channels);
        let epsilon = self.network.norms[norm.norm].epsilon;
        let padded = |values: &mut dyn Iterator<Item = f64>| -> Vec<f32> {
            let mut padded: Vec<f32> = values.map(|value| value as f32).collect();
            padded.resize(stored, 0.0);
            padded
        };
        let rstd: Vec<f64> = statistics.variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
        let affine = norm.affine.map(|pair| pair.map(|r| &self.bank.get(r.parameter, r.copy)[..channels]));
        let (scale, shift) = match affine {
            Some([gamma, beta]) => (
                padded(&mut rstd.iter().zip(gamma).map(|(rstd, gamma)| rstd * f64::from(*gamma))),
                padded(&mut beta.iter().copied().map(f64::from)),
            ),
            None => (padded(&mut rstd.iter().copied()), vec![0.0; stored]),
        };
        NormState {
            mean: padded(&mut statistics.mean.iter().copied()),
            rstd: padded(&mut rstd.iter().copied()),
            scale,
            shift,
            count: statistics.count,
            statistics: Some(statistics),
            sums: [Vec::new(), Vec::new()],
            m1: vec![0.0; stored],
            m2: vec![0.0; stored],
        }
    }
}
