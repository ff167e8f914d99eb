//! Convolutions and pools, and the normalization behind them.

use super::inputs::{Inputs, Parameters, Stored, record_moments};
use super::{Stage, Weights, record_maps, unwritten};
use crate::case::{Case, Normalization};
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::ops::input::{GradientSums, Input, Moments, NormalizeBackward, OutputGradient, SegmentGradient};
use crosstalk::ops::{Images, Operation, node};
use crosstalk::simd::{Level, Scratch};
use std::ops::Range;

pub struct Linear<'a> {
    level: Level,
    case: &'a Case,
    operation: Operation,
    inputs: Inputs<'a>,
    weights: Weights,
    /// What the backward pass wants instead of the weights.
    prepared: Vec<f32>,
    moments: Moments,
    output: Stored,
    output_gradient: Vec<f32>,
    normalized: Option<Normalized>,
    scratch: Scratch,
}

/// The output behind its normalization, and the gradient on its way through that.
struct Normalized {
    values: Vec<f32>,
    /// Sums of `dz` and of `dz * xhat` over all pixels, and their means.
    sums: [Vec<f64>; 2],
    means: [Vec<f32>; 2],
}

impl<'a> Linear<'a> {
    pub fn prepare(level: Level, given: &'a Given) -> Self {
        let case = given.case;
        let operation = case.linear().expect("an operation of this kind");
        let weights = Weights::new(given);
        let mut prepared = vec![0.0; weights.values.iter().map(Vec::len).sum()];
        operation.linear().cpu_prepare_backward(&slices(&weights.values), &mut prepared);
        let (shape, channels) = (case.output(), Channels::padded(&case.stored_output()));
        let values = unwritten(case.batch * shape.pixels() * channels.stored);
        let mut linear = Self {
            level,
            case,
            operation,
            inputs: Inputs::new(level, given),
            weights,
            prepared,
            moments: Moments::new(channels.stored),
            output_gradient: given.maps("output_gradient", &channels),
            output: Stored { shape, channels, values, normalization: None },
            normalized: None,
            scratch: Scratch::default(),
        };
        linear.forward(0..case.batch);
        if case.normalization() != Normalization::None {
            linear.normalize(given);
        }
        linear
    }

    /// The stage's consumer, a node of one term: it reads the normalized output, and its backward sums the gradient of that for the normalization.
    fn normalize(&mut self, given: &Given) {
        let (affine, channels) = (self.case.normalization() == Normalization::Affine, &self.output.channels);
        let affine = affine.then(|| ["gamma", "beta"].map(|name| given.vector(name)));
        let parameters = Parameters::new(&self.moments, self.case.epsilon, channels, affine.as_ref());
        self.output.normalization = Some(parameters);
        let Some(Parameters { mean, rstd, .. }) = &self.output.normalization else { unreachable!("it was just set") };
        let pixels = self.case.batch * self.output.shape.pixels();
        let terms = [node::cpu::Term { source: self.output.segment(0..self.case.batch), gate: None }];
        let mut values = unwritten(self.output.values.len());
        node::cpu::forward(self.level, &terms, pixels, &mut values);
        let mut sums = [0; 2].map(|_| vec![f64::NAN; channels.stored]);
        let [sum, sum_xhat] = &mut sums;
        let wanted = GradientSums { mean, rstd, dz: sum, dz_xhat: sum_xhat };
        let mut passed = unwritten(values.len());
        let source = SegmentGradient { dz: &mut passed, accumulate: false, sums: Some(wanted) };
        let gradient = node::cpu::TermGradient { source: Some(source), gate: None };
        node::cpu::backward(self.level, &terms, pixels, &self.output_gradient, &mut [gradient]);
        assert_eq!(passed, self.output_gradient);
        let means = sums.each_ref().map(|sums| sums.iter().map(|sum| (sum / pixels as f64) as f32).collect());
        self.normalized = Some(Normalized { values, sums, means });
    }
}

fn slices(weights: &[Vec<f32>]) -> Vec<&[f32]> {
    weights.iter().map(Vec::as_slice).collect()
}

impl Stage for Linear<'_> {
    fn forward(&mut self, images: Range<usize>) {
        let Self { level, case, operation, inputs, weights, moments, output, scratch, .. } = self;
        let segments = Inputs::segments(&inputs.stored, images.clone());
        let (input, count) = (Input { segments: &segments, relu: case.relu }, images.len());
        let image = output.values.len() / case.batch;
        let output = &mut output.values[images.start * image..images.end * image];
        let weights = slices(&weights.values);
        let images = Images { level: *level, input: &input, count, scratch };
        operation.linear().cpu_forward(images, &weights, output, Some(moments));
    }

    fn output(&self) -> &[f32] {
        &self.output.values
    }

    fn backward(&mut self, accumulate: bool) {
        let Self {
            level,
            case,
            operation,
            inputs,
            weights,
            prepared,
            output,
            output_gradient,
            normalized,
            scratch,
            ..
        } = self;
        let parameters = output.normalization.as_ref().zip(normalized.as_ref());
        let normalize = parameters.map(|(Parameters { mean, rstd, scale, .. }, Normalized { means: [m1, m2], .. })| {
            NormalizeBackward { mean, rstd, k: scale, m1, m2 }
        });
        let dy = OutputGradient { dz: output_gradient, y: &output.values, normalize };
        let Weights { values, gradients, .. } = weights;
        let (level, count) = (*level, case.batch);
        let weights = slices(values);
        let mut gradients: Vec<&mut [f32]> = gradients.iter_mut().map(Vec::as_mut_slice).collect();
        inputs.backward(accumulate, |input, mut targets| {
            let wanted = (!case.image).then_some(&mut targets[..]);
            let dw = Some(&mut gradients[..]);
            let images = Images { level, input, count, scratch };
            operation.linear().cpu_backward(images, &weights, prepared, dy, wanted, dw);
        });
    }

    fn record(&self, found: &mut Found) {
        let Stored { shape, channels, values, .. } = &self.output;
        self.inputs.record(found);
        self.weights.record(found);
        record_maps(found, "raw", self.case, *shape, channels, values);
        let Some(normalized) = &self.normalized else { return };
        record_moments(&self.moments, channels, ["mean".into(), "variance".into()], found);
        record_maps(found, "normalized", self.case, *shape, channels, &normalized.values);
        if self.case.normalization() == Normalization::Affine {
            let [sums, sums_xhat] = &normalized.sums;
            found.vector("gamma_gradient", channels, sums_xhat);
            found.vector("beta_gradient", channels, sums);
        }
    }
}
