//! Sums of gated terms.

use super::inputs::{Inputs, Stored};
use super::{Stage, record_maps, unwritten};
use crate::case::Case;
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::ops::node::cpu::{Term, TermGradient, backward, forward};
use crosstalk::simd::Level;
use std::ops::Range;

pub struct Node<'a> {
    level: Level,
    case: &'a Case,
    inputs: Inputs<'a>,
    gates: Vec<f32>,
    gate_gradients: Vec<f64>,
    output: Vec<f32>,
    output_gradient: Vec<f32>,
}

impl<'a> Node<'a> {
    pub fn prepare(level: Level, given: &'a Given) -> Self {
        let (case, inputs, gates) = (given.case, Inputs::new(level, given), given.vector("gate"));
        let output_gradient: Vec<f32> = given.maps("output_gradient", &inputs.stored[0].channels);
        let (output, gate_gradients) = (unwritten(output_gradient.len()), vec![f64::NAN; gates.len()]);
        let mut node = Self { level, case, inputs, gates, gate_gradients, output, output_gradient };
        node.forward(0..case.batch);
        node
    }
}

fn terms<'a>(stored: &'a [Stored], gates: &'a [f32], images: Range<usize>) -> Vec<Term<'a>> {
    let gated = stored.iter().zip(gates);
    gated.map(|(value, gate)| Term { source: value.segment(images.clone()), gate: Some(*gate) }).collect()
}

impl Stage for Node<'_> {
    fn forward(&mut self, images: Range<usize>) {
        let image = self.output.len() / self.case.batch;
        let pixels = images.len() * self.case.output().pixels();
        let output = &mut self.output[images.start * image..images.end * image];
        forward(self.level, &terms(&self.inputs.stored, &self.gates, images), pixels, output);
    }

    fn output(&self) -> &[f32] {
        &self.output
    }

    fn backward(&mut self, accumulate: bool) {
        let Self { level, case, inputs, gates, gate_gradients, output_gradient, .. } = self;
        let pixels = case.batch * case.output().pixels();
        inputs.backward(accumulate, |input, targets| {
            let terms: Vec<Term> = (input.segments.iter().zip(&*gates))
                .map(|(&source, gate)| Term { source, gate: Some(*gate) })
                .collect();
            let mut gradients: Vec<TermGradient> = (targets.into_iter().zip(gate_gradients))
                .map(|(target, gate)| TermGradient { source: Some(target), gate: Some(gate) })
                .collect();
            backward(*level, &terms, pixels, output_gradient, &mut gradients);
        });
    }

    fn record(&self, found: &mut Found) {
        self.inputs.record(found);
        let channels = &self.inputs.stored[0].channels;
        record_maps(found, "raw", self.case, self.case.output(), channels, &self.output);
        found.vector("gate_gradient", &Channels::plain(self.gates.len()), &self.gate_gradients);
    }
}
