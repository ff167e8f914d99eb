//! Forward pass of the reference.

use super::numbers::{Numbers, Operand, Stored, Sums};
use super::{Tape, linear, narrow, node, wide};
use crate::backend::LanePlan;
use crate::backend::{BatchStatistics, MiniBatch, Regime};
use crate::network::{Bank, Network};
use crate::ops::{head, normalization};
use crate::plan::{Gates, Graph, StageKind, ValueId};
use crate::tensor::IMAGE_CHANNEL_MULTIPLE;

pub(super) fn run<'a, N: Numbers>(
    numbers: &mut N,
    network: &'a Network,
    plan: &'a LanePlan,
    batch: MiniBatch<'a, f64>,
    bank: &'a Bank<f64>,
    gates: Option<&Gates>,
    regime: Regime,
) -> Tape<'a> {
    let count = plan.graph.values.len();
    let mut tape = Tape {
        network,
        plan,
        bank,
        labels: batch.labels,
        raw: vec![Vec::new(); count],
        normalized: vec![Vec::new(); count],
        statistics: vec![None; count],
        heads: Vec::new(),
    };
    let channels = network.input.channels;
    let stored = channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE);
    tape.raw[Graph::IMAGE] = batch.images.chunks(stored).flat_map(|pixel| &pixel[..channels]).copied().collect();
    for stage in &plan.graph.stages {
        let raw = match &stage.kind {
            StageKind::Linear { operation, relu, weights } => {
                let x = numbers.operand(Operand::Input, tape.input(&stage.inputs, *relu));
                let weights: Vec<Vec<f64>> = weights.iter().map(|weight| tape.parameter(*weight)).collect();
                linear::forward(numbers, operation, &x, &weights)
            }
            StageKind::Node { gates: references } => {
                let terms: Vec<(&[f64], f64)> = (stage.inputs.iter().zip(references))
                    .map(|(value, gate)| (tape.seen(*value), super::gate::<N>(*gate, gates)))
                    .collect();
                let shape = stage.output.map(|value| plan.graph.values[value].shape);
                let len = shape.map_or(0, |shape| batch.labels.len() * shape.pixels() * shape.channels);
                node::forward::<N>(&terms, len)
            }
            StageKind::Head { relu, weight, bias } => {
                let x = tape.input(&stage.inputs, *relu);
                let pixels = plan.graph.values[stage.inputs[0]].shape.pixels();
                let channels = x.len() / pixels / batch.labels.len();
                let (weight, bias) = (tape.parameter(*weight), tape.parameter(*bias));
                let head = head::reference::forward(&x, pixels, channels, &weight, &bias, batch.labels);
                tape.heads.push(head);
                continue;
            }
        };
        if let Some(value) = stage.output {
            tape.raw[value] = numbers.stored(Stored::Output(value), raw);
            tape.normalize(numbers, value, regime);
        }
    }
    tape
}

impl Tape<'_> {
    /// A stage's concatenated input after its ReLU.
    pub(super) fn input(&self, inputs: &[ValueId], relu: bool) -> Vec<f64> {
        let mut x = self.concatenated(inputs);
        if relu {
            // A NaN stays a NaN, as in PyTorch.
            x.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
        }
        x
    }

    fn normalize<N: Numbers>(&mut self, numbers: &mut N, value: ValueId, regime: Regime) {
        let Some(norm) = self.plan.graph.values[value].norm else { return };
        let raw = &self.raw[value];
        let statistics = match (regime, norm.running) {
            (Regime::Given(statistics), _) if statistics[value].is_some() => statistics[value].clone(),
            (Regime::Running, Some([mean, variance])) => {
                let mut mean = self.parameter(mean);
                if let Some(bias) = norm.bias {
                    mean.iter_mut().zip(self.parameter(bias)).for_each(|(mean, bias)| *mean -= bias);
                }
                Some(BatchStatistics { count: f64::NAN, mean, variance: self.parameter(variance) })
            }
            _ => None,
        };
        let statistics = statistics.unwrap_or_else(|| measured(numbers, value, raw, self.channels(value)));
        let affine = norm.affine.map(|pair| pair.map(|parameter| self.parameter(parameter)));
        let affine = affine.as_ref().map(|[gamma, beta]| (gamma.as_slice(), beta.as_slice()));
        self.normalized[value] = if N::EXACT {
            let epsilon = self.network.norms[norm.norm].epsilon;
            let mut z = normalization::reference::standardize(raw, &statistics.mean, &statistics.variance, epsilon);
            normalization::reference::scale_and_shift(&mut z, affine);
            z
        } else {
            wide(self.rows(&norm, &statistics).normalize(&narrow(raw)))
        };
        self.statistics[value] = Some(statistics);
    }
}

/// The statistics of a mini-batch.
fn measured<N: Numbers>(numbers: &mut N, value: ValueId, raw: &[f64], channels: usize) -> BatchStatistics {
    let (count, mut mean, squares) = normalization::reference::moments(raw, channels);
    let mut variance: Vec<f64> = squares.iter().map(|s| s / count).collect();
    let sums = Sums::new::<N>([&mean[..], &variance].concat(), || {
        let of_means = mean.iter().zip(&variance).map(|(mean, variance)| mean.abs() + variance.sqrt());
        of_means.chain(variance.iter().copied()).collect()
    });
    mean = numbers.stored(Stored::Statistics(value), sums);
    variance = mean.split_off(channels);
    BatchStatistics { count, mean, variance }
}
