//! Backward pass of the reference.

use super::Tape;
use crate::backend::TrainResult;
use crate::network::ParameterRef;
use crate::ops::{head, node, normalization};
use crate::plan::{Gates, Graph, StageKind, ValueId};

/// Gradients on their way back.
struct Gradients {
    /// Of values as their readers see them.
    values: Vec<Vec<f64>>,
    row: Vec<f64>,
    gates: Vec<Vec<f64>>,
}

pub(super) fn run(tape: Tape<'_>, gates: Option<&Gates>) -> TrainResult<f64> {
    let graph = &tape.plan.graph;
    let mut gradients = Gradients {
        values: tape.raw.iter().map(|_| Vec::new()).collect(),
        row: vec![0.0; tape.plan.row_len],
        gates: gates.map_or_else(Vec::new, |gates| gates.0.iter().map(|edge| vec![0.0; edge.len()]).collect()),
    };
    for stage in graph.stages.iter().rev() {
        match &stage.kind {
            StageKind::Head { relu, weight, bias } => {
                let pixels = graph.values[stage.inputs[0]].shape.pixels();
                let weights = tape.parameter(*weight);
                let (dx, dweight, dbias) = head::reference::backward(&tape.heads[0], pixels, &weights, tape.labels);
                tape.store(&mut gradients, *weight, &dweight);
                tape.store(&mut gradients, *bias, &dbias);
                tape.distribute(&mut gradients, &stage.inputs, *relu, dx);
            }
            StageKind::Linear { operation, relu, weights } => {
                let Some(value) = stage.output else { continue };
                let dy = tape.through_norm(&mut gradients, value);
                let x = tape.input(&stage.inputs, *relu);
                let values: Vec<Vec<f64>> = weights.iter().map(|weight| tape.parameter(*weight)).collect();
                let values: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
                let (dx, dw) = operation.linear().reference_backward(&x, &values, &dy);
                weights.iter().zip(dw).for_each(|(weight, dw)| tape.store(&mut gradients, *weight, &dw));
                tape.distribute(&mut gradients, &stage.inputs, *relu, dx);
            }
            StageKind::Node { gates: references } => {
                let Some(value) = stage.output else { continue };
                let dout = tape.through_norm(&mut gradients, value);
                for (&input, reference) in stage.inputs.iter().zip(references) {
                    let gate = match (reference, gates) {
                        (Some(r), Some(gates)) => gates.0[r.slot][r.candidate],
                        _ => 1.0,
                    };
                    let (dterm, dgate) = node::reference::backward(tape.seen(input), gate, &dout);
                    if let (Some(r), true) = (reference, gates.is_some()) {
                        gradients.gates[r.slot][r.candidate] += dgate;
                    }
                    accumulate(&mut gradients.values[input], &dterm);
                }
            }
        }
    }
    let head = super::result(&tape.heads[0], tape.labels);
    TrainResult {
        loss: head.loss_sum / tape.labels.len() as f64,
        correct: head.correct,
        row: gradients.row,
        statistics: tape.statistics,
        gates: gradients.gates,
    }
}

fn accumulate(sum: &mut Vec<f64>, term: &[f64]) {
    if sum.is_empty() {
        sum.resize(term.len(), 0.0);
    }
    sum.iter_mut().zip(term).for_each(|(s, t)| *s += t);
}

impl Tape<'_> {
    /// Writes a parameter's gradient, given in PyTorch's order, into the row.
    fn store(&self, gradients: &mut Gradients, reference: ParameterRef, values: &[f64]) {
        let layout = &self.network.parameters[reference.parameter].layout;
        let row = &mut gradients.row[self.plan.row_range(reference)];
        for (position, value) in layout.bank_positions().into_iter().zip(values) {
            row[position] = *value;
        }
    }

    /// From the gradient that a value's readers gave to that of the stored value; writes the affine parameters' gradients.
    fn through_norm(&self, gradients: &mut Gradients, value: ValueId) -> Vec<f64> {
        let mut dz = std::mem::take(&mut gradients.values[value]);
        if dz.is_empty() {
            // Nobody read it.
            dz.resize(self.raw[value].len(), 0.0);
        }
        let (Some(norm), Some(statistics)) = (self.plan.graph.values[value].norm, &self.statistics[value]) else {
            return dz;
        };
        let gamma = norm.affine.map(|[gamma, _]| self.parameter(gamma));
        let (dy, dgamma, dbeta) = normalization::reference::backward(
            &self.raw[value],
            &statistics.mean,
            &statistics.variance,
            self.network.norms[norm.norm].epsilon,
            gamma.as_deref(),
            &dz,
        );
        if let Some([gamma, beta]) = norm.affine {
            self.store(gradients, gamma, &dgamma);
            self.store(gradients, beta, &dbeta);
        }
        dy
    }

    /// Gives a stage's input gradient to the values that it concatenated, through its ReLU.
    fn distribute(&self, gradients: &mut Gradients, inputs: &[ValueId], relu: bool, mut dx: Vec<f64>) {
        if relu {
            let x = self.concatenated(inputs);
            dx.iter_mut().zip(&x).for_each(|(d, x)| *d = if *x > 0.0 { *d } else { 0.0 });
        }
        let total: usize = inputs.iter().map(|value| self.channels(*value)).sum();
        let mut start = 0;
        for &value in inputs {
            let channels = self.channels(value);
            if value != Graph::IMAGE {
                let part: Vec<f64> =
                    dx.chunks(total).flat_map(|pixel| &pixel[start..start + channels]).copied().collect();
                accumulate(&mut gradients.values[value], &part);
            }
            start += channels;
        }
    }
}
