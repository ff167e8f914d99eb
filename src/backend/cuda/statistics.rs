//! Normalizations by statistics that are given, not measured in the batch.

use crate::backend::{BatchStatistics, LanePlan, Regime};
use crate::network::{Bank, Network, ParameterRef};
use crate::ops::cuda::Stage;
use crate::plan::{NormUse, Value};
use crate::tensor::padded_channels;

/// What the regime gives for every value; none where the batch is measured.
pub fn given(plan: &LanePlan, bank: &Bank<f32>, regime: Regime<'_>) -> Vec<Option<BatchStatistics>> {
    match regime {
        Regime::Batch => Vec::new(),
        Regime::Given(statistics) => statistics.to_vec(),
        Regime::Running => plan.graph.values.iter().map(|value| running(bank, value, &value.norm?)).collect(),
    }
}

/// The running statistics, if there are any; a bias before the normalization is in the running mean, not in the stored value.
fn running(bank: &Bank<f32>, value: &Value, norm: &NormUse) -> Option<BatchStatistics> {
    let read = |reference: ParameterRef| -> Vec<f64> {
        let values = &bank.get(reference.parameter, reference.copy)[..value.shape.channels];
        values.iter().copied().map(f64::from).collect()
    };
    let [mut mean, variance] = norm.running?.map(read);
    if let Some(bias) = norm.bias {
        mean.iter_mut().zip(read(bias)).for_each(|(mean, bias)| *mean -= bias);
    }
    Some(BatchStatistics { count: f64::NAN, mean, variance })
}

/// The rows of a normalization (kernels/stage.cuh).
pub fn rows(network: &Network, bank: &Bank<f32>, value: &Value, statistics: &BatchStatistics) -> Vec<f32> {
    let stored = padded_channels(value.shape.channels);
    let mut rows = vec![0.0; Stage::NORMALIZATION_ROWS * stored];
    let Some(norm) = value.norm else { return rows };
    let epsilon = network.norms[norm.norm].epsilon;
    let affine = norm.affine.map(|pair| pair.map(|reference| bank.get(reference.parameter, reference.copy)));
    for (channel, (mean, variance)) in statistics.mean.iter().zip(&statistics.variance).enumerate() {
        let rstd = 1.0 / (variance + epsilon).sqrt();
        let (scale, shift) =
            affine.map_or((rstd, 0.0), |[gamma, beta]| (rstd * f64::from(gamma[channel]), beta[channel]));
        let [mean_row, scale_row, shift_row, rstd_row] = [0, 1, 2, 3].map(|row| row * stored + channel);
        rows[mean_row] = *mean as f32;
        rows[scale_row] = scale as f32;
        rows[shift_row] = shift;
        rows[rstd_row] = rstd as f32;
    }
    rows
}
