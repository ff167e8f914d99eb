//! The classifier.

use super::inputs::Inputs;
use super::{Stage, Weights, unwritten};
use crate::case::Case;
use crate::found::Found;
use crate::given::Given;
use crosstalk::ops::head;
use crosstalk::ops::input::Input;
use crosstalk::simd::{Level, Scratch};
use crosstalk::tensor::Shape;
use std::ops::Range;

pub struct Head<'a> {
    level: Level,
    case: &'a Case,
    shape: head::cpu::Head,
    inputs: Inputs<'a>,
    weights: Weights,
    labels: Vec<u32>,
    /// Stored channels of the concatenated input.
    count: usize,
    features: Vec<f32>,
    logits: Vec<f32>,
    losses: Vec<f32>,
    predictions: Vec<u32>,
    scratch: Scratch,
}

impl<'a> Head<'a> {
    pub fn prepare(level: Level, given: &'a Given) -> Self {
        let (case, images) = (given.case, given.case.batch);
        let (Shape { height, width, .. }, classes) = (case.input(), case.output().channels);
        let count = case.stored_input().physical();
        let mut head = Self {
            level,
            case,
            shape: head::cpu::Head { height, width, classes },
            inputs: Inputs::new(level, given),
            weights: Weights::new(given),
            labels: given.labels().into_iter().map(u32::from).collect(),
            count,
            features: unwritten(images * count),
            logits: unwritten(images * classes),
            losses: unwritten(images),
            predictions: vec![u32::MAX; images],
            scratch: Scratch::default(),
        };
        head.forward(0..images);
        head
    }
}

impl Stage for Head<'_> {
    fn forward(&mut self, images: Range<usize>) {
        let segments = Inputs::segments(&self.inputs.stored, images.clone());
        let input = Input { segments: &segments, relu: self.case.relu };
        let classes = self.shape.classes;
        let mut outputs = head::cpu::Outputs {
            features: &mut self.features[images.start * self.count..images.end * self.count],
            logits: &mut self.logits[images.start * classes..images.end * classes],
            losses: &mut self.losses[images.clone()],
            predictions: &mut self.predictions[images.clone()],
        };
        let [weights, bias] = &self.weights.values[..] else { unreachable!("weights and bias") };
        let (count, labels) = (images.len(), &self.labels[images]);
        let scratch = &mut self.scratch;
        head::cpu::forward(self.level, &self.shape, &input, count, weights, bias, labels, &mut outputs, scratch);
    }

    fn output(&self) -> &[f32] {
        &self.logits
    }

    fn backward(&mut self, accumulate: bool) {
        let Self {
            level, case, shape, inputs, weights, labels, features, logits, losses, predictions, scratch, ..
        } = self;
        let outputs = head::cpu::Outputs { features, logits, losses, predictions };
        let [dweights, dbias] = &mut weights.gradients[..] else { unreachable!("weights and bias") };
        let (wanted, values) = (head::cpu::ClassifierGradients { weights: dweights, bias: dbias }, &weights.values[0]);
        let (images, scale) = (case.batch, 1.0 / case.batch as f32);
        inputs.backward(accumulate, |input, mut targets| {
            head::cpu::backward(
                *level,
                shape,
                input,
                images,
                values,
                labels,
                &outputs,
                scale,
                &mut targets,
                wanted,
                scratch,
            );
        });
    }

    fn record(&self, found: &mut Found) {
        self.inputs.record(found);
        self.weights.record(found);
        let (images, classes) = (self.case.batch, self.shape.classes);
        let positions = self.case.stored_input().positions();
        let pooled = self.features.chunks(self.count).flat_map(|row| positions.iter().map(|at| f64::from(row[*at])));
        found.insert("pooled", vec![images, positions.len()], pooled);
        found.insert("logits", vec![images, classes], self.logits.iter().map(|logit| f64::from(*logit)));
        let total: f64 = self.losses.iter().map(|loss| f64::from(*loss)).sum();
        found.insert("loss", vec![1], [total / images as f64]);
        let correct = self.predictions.iter().zip(&self.labels).filter(|(prediction, label)| prediction == label);
        found.correct(correct.count());
    }
}
