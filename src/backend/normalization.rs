//! What normalizes a value: statistics that were not measured in the batch, and scale and shift by statistics.

use super::{BatchStatistics, Regime};
use crate::network::{Bank, Network, ParameterRef};
use crate::plan::{NormUse, Value};
use crate::tensor::padded_channels;

/// The statistics that the regime gives for value number `id` without looking at the batch, if it does.
pub fn given_statistics(bank: &Bank<f32>, id: usize, value: &Value, regime: Regime<'_>) -> Option<BatchStatistics> {
    let norm = value.norm?;
    match (regime, norm.running) {
        (Regime::Given(statistics), _) => statistics[id].clone(),
        (Regime::Running, Some([mean, variance])) => {
            let read = |reference: ParameterRef| -> Vec<f64> {
                let values = &bank.get(reference.parameter, reference.copy)[..value.shape.channels];
                values.iter().copied().map(f64::from).collect()
            };
            let mut mean = read(mean);
            // The running mean includes the bias that the stored value lacks.
            if let Some(bias) = norm.bias {
                mean.iter_mut().zip(read(bias)).for_each(|(mean, bias)| *mean -= bias);
            }
            Some(BatchStatistics { count: f64::NAN, mean, variance: read(variance) })
        }
        _ => None,
    }
}

/// Per stored channel, zero in padding: `z = (y - mean) * scale + shift`, `xhat = (y - mean) * rstd`.
pub struct Normalization {
    pub mean: Vec<f32>,
    pub rstd: Vec<f32>,
    /// `gamma * rstd`
    pub scale: Vec<f32>,
    /// `beta`
    pub shift: Vec<f32>,
}

impl Normalization {
    pub fn new(network: &Network, bank: &Bank<f32>, norm: &NormUse, statistics: &BatchStatistics) -> Self {
        let channels = statistics.mean.len();
        let stored = padded_channels(channels);
        let epsilon = network.norms[norm.norm].epsilon;
        let padded = |values: &mut dyn Iterator<Item = f64>| -> Vec<f32> {
            let mut padded: Vec<f32> = values.map(|value| value as f32).collect();
            padded.resize(stored, 0.0);
            padded
        };
        let rstd: Vec<f64> = statistics.variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
        let affine = norm.affine.map(|pair| pair.map(|r| &bank.get(r.parameter, r.copy)[..channels]));
        let (scale, shift) = match affine {
            Some([gamma, beta]) => (
                padded(&mut rstd.iter().zip(gamma).map(|(rstd, gamma)| rstd * f64::from(*gamma))),
                padded(&mut beta.iter().copied().map(f64::from)),
            ),
            None => (padded(&mut rstd.iter().copied()), vec![0.0; stored]),
        };
        Self {
            mean: padded(&mut statistics.mean.iter().copied()),
            rstd: padded(&mut rstd.iter().copied()),
            scale,
            shift,
        }
    }
}
