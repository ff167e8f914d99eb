//! Backward pass of the reference.

use super::numbers::{Numbers, Operand, Stored, Sums};
use super::{Tape, head, linear, narrow, node, wide};
use crate::backend::TrainResult;
use crate::network::ParameterRef;
use crate::ops::normalization;
use crate::ops::normalization::reference::GradientSums;
use crate::plan::{Gates, Graph, StageId, StageKind, ValueId};

/// Gradients on their way back.
struct Gradients {
    /// Of values as their readers see them.
    values: Vec<Vec<f64>>,
    row: Vec<f64>,
    gates: Vec<Vec<f64>>,
}

pub(super) fn run<N: Numbers>(numbers: &mut N, tape: Tape<'_>, gates: Option<&Gates>) -> TrainResult<f64> {
    let graph = &tape.plan.graph;
    let mut gradients = Gradients {
        values: tape.raw.iter().map(|_| Vec::new()).collect(),
        row: vec![0.0; tape.plan.row_len],
        gates: gates.map_or_else(Vec::new, |gates| gates.0.iter().map(|edge| vec![0.0; edge.len()]).collect()),
    };
    // The order in which devices add to the gradient of a value, too.
    for (id, stage) in graph.stages.iter().enumerate().rev() {
        if stage.output.is_some_and(|value| gradients.values[value].is_empty()) {
            // Nobody read it: no gradient passes.
            continue;
        }
        match (&stage.kind, stage.output) {
            (StageKind::Head { relu, weight, bias }, _) => {
                let pixels = graph.values[stage.inputs[0]].shape.pixels();
                let weights = tape.parameter(*weight);
                let (forward, labels) = (&tape.heads[0], tape.labels);
                let [dx, dweight, dbias] = head::backward::<N>(forward, pixels, &weights, labels);
                tape.store(numbers, &mut gradients, *weight, dweight);
                tape.store(numbers, &mut gradients, *bias, dbias);
                tape.distribute(numbers, &mut gradients, id, *relu, &dx);
            }
            (StageKind::Linear { operation, relu, weights }, Some(value)) => {
                let dy = tape.through_norm(numbers, &mut gradients, value);
                let x = numbers.operand(Operand::Input, tape.input(&stage.inputs, *relu));
                let values: Vec<Vec<f64>> = weights.iter().map(|weight| tape.parameter(*weight)).collect();
                let (dx, dw) = linear::backward(numbers, id, operation, &x, &values, dy);
                for (weight, dw) in weights.iter().zip(dw) {
                    tape.store(numbers, &mut gradients, *weight, dw);
                }
                tape.distribute(numbers, &mut gradients, id, *relu, &dx);
            }
            (StageKind::Node { gates: references }, Some(value)) => {
                let dout = tape.through_norm(numbers, &mut gradients, value);
                for (term, (&input, reference)) in stage.inputs.iter().zip(references).enumerate() {
                    let gate = super::gate::<N>(*reference, gates);
                    let [dterm, dgate] = node::backward::<N>(tape.seen(input), gate, &dout);
                    if let (Some(gate), true) = (reference, gates.is_some()) {
                        let dgate = numbers.stored(Stored::GateGradient { stage: id, term }, dgate);
                        gradients.gates[gate.slot][gate.candidate] += dgate[0];
                    }
                    gradients.add(numbers, input, Stored::Gradient { stage: id, term }, dterm);
                }
            }
            (_, None) => {}
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

impl Gradients {
    fn add<N: Numbers>(&mut self, numbers: &mut N, value: ValueId, what: Stored, part: Sums) {
        let before = std::mem::take(&mut self.values[value]);
        self.values[value] = numbers.stored(what, part.plus(&before));
    }
}

impl Tape<'_> {
    /// Writes a parameter's gradient, given in PyTorch's order, into the row.
    fn store<N: Numbers>(&self, numbers: &mut N, gradients: &mut Gradients, reference: ParameterRef, sums: Sums) {
        let values = numbers.stored(Stored::ParameterGradient(reference), sums);
        let layout = &self.network.parameters[reference.parameter].layout;
        let row = &mut gradients.row[self.plan.row_range(reference)];
        for (position, value) in layout.bank_positions().into_iter().zip(values) {
            row[position] = value;
        }
    }

    /// From the gradient that a value's readers gave to that of the stored value; writes the affine parameters' gradients.
    fn through_norm<N: Numbers>(&self, numbers: &mut N, gradients: &mut Gradients, value: ValueId) -> Vec<f64> {
        let dz = std::mem::take(&mut gradients.values[value]);
        let (Some(norm), Some(statistics)) = (self.plan.graph.values[value].norm, &self.statistics[value]) else {
            return dz;
        };
        let raw = &self.raw[value];
        let (dy, dgamma, dbeta) = if N::EXACT {
            let gamma = norm.affine.map(|[gamma, _]| self.parameter(gamma));
            let (dy, dgamma, dbeta) = normalization::reference::backward(
                raw,
                &statistics.mean,
                &statistics.variance,
                self.network.norms[norm.norm].epsilon,
                gamma.as_deref(),
                &dz,
            );
            let exact = |values| Sums { values, magnitudes: Vec::new() };
            (dy, exact(dgamma), exact(dbeta))
        } else {
            let (dz, y, mut rows) = (narrow(&dz), narrow(raw), self.rows(&norm, statistics));
            let sums = rows.gradient_sums(&dz, &y);
            let per_value = |numbers: fn(&GradientSums) -> &[f64]| {
                sums.iter().flat_map(numbers).map(|number| number / statistics.count).collect()
            };
            let means = Sums { values: per_value(|sums| &sums.sums), magnitudes: per_value(|sums| &sums.magnitudes) };
            let means = narrow(&numbers.stored(Stored::Means(value), means));
            let (m1, m2) = means.split_at(rows.channels());
            rows.set_means([m1, m2]);
            let [dbeta, dgamma] = sums.map(|GradientSums { sums: values, magnitudes }| Sums { values, magnitudes });
            (wide(rows.raw_gradient(&dz, &y)), dgamma, dbeta)
        };
        if let Some([gamma, beta]) = norm.affine {
            self.store(numbers, gradients, gamma, dgamma);
            self.store(numbers, gradients, beta, dbeta);
        }
        dy
    }

    /// Gives a stage's input gradient to the values that it concatenated, through its ReLU.
    fn distribute<N: Numbers>(
        &self,
        numbers: &mut N,
        gradients: &mut Gradients,
        stage: StageId,
        relu: bool,
        dx: &Sums,
    ) {
        let inputs = &self.plan.graph.stages[stage].inputs;
        let x = if relu { self.concatenated(inputs) } else { Vec::new() };
        let total: usize = inputs.iter().map(|value| self.channels(*value)).sum();
        let mut start = 0;
        let masked = dx.clone().masked(|index| !relu || x[index] > 0.0);
        for (term, &value) in inputs.iter().enumerate() {
            let channels = start..start + self.channels(value);
            start = channels.end;
            if value != Graph::IMAGE {
                gradients.add(numbers, value, Stored::Gradient { stage, term }, masked.channels(channels, total));
            }
        }
    }
}
