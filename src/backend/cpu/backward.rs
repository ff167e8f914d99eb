//! Backward pass: the stages in reverse, the chunks of a stage side by side.
//!
//! Every stage adds into the gradients of its inputs; the last to do so also leaves the sums that the producer's normalization
//! needs. Weight gradients are one partial a chunk, added in order into the lane's row.

use super::arena::disjoint;
use super::inputs::{Source, chunks};
use super::{LaneRun, tail, with_scratch};
use crate::backend::TrainResult;
use crate::network::ParameterRef;
use crate::ops::head::cpu::{ClassifierGradients, Outputs};
use crate::ops::input::{GradientSums, Input, OutputGradient, OutputGradientReader, Segment, SegmentGradient};
use crate::ops::node::cpu::{Term, TermGradient};
use crate::ops::{Images, head, node};
use crate::plan::{Graph, Stage, StageId, StageKind, ValueId, chunk_images};
use rayon::prelude::*;
use std::ops::Range;

/// One chunk's share of a stage's backward.
struct Chunk<'a> {
    images: Range<usize>,
    /// Gradient of each input, none for the image.
    dz: Vec<&'a mut [f32]>,
    weights: &'a mut [f32],
    /// Of each input: sums of `dz` and of `dz * xhat` where this stage finishes them.
    sums: Vec<[Vec<f64>; 2]>,
    /// Of each term of a node.
    gates: Vec<f64>,
}

impl LaneRun<'_> {
    pub(super) fn backward(&mut self) -> TrainResult<f32> {
        let plan = self.plan;
        let tail = tail(plan, self.images());
        let mut row = vec![0.0; if self.weight_gradients { plan.row_len } else { 0 }];
        let wanted =
            if self.weight_gradients { vec![true; plan.graph.values.len()] } else { plan.graph.follows_gates() };
        let mut gates: Vec<Vec<f64>> =
            self.gates.map_or_else(Vec::new, |gates| gates.0.iter().map(|edge| vec![0.0; edge.len()]).collect());
        for (id, stage) in plan.graph.stages.iter().enumerate().rev() {
            let repeated = (1..stage.inputs.len()).any(|i| stage.inputs[..i].contains(&stage.inputs[i]));
            // A node that adds one value twice gives its gradient twice, one after the other.
            let part = if repeated { 1 } else { stage.inputs.len() };
            for first in (0..stage.inputs.len()).step_by(part.max(1)) {
                self.stage_backward(id, stage, first..first + part, &wanted, tail, &mut row, &mut gates);
            }
        }
        for (value, norm) in plan.graph.values.iter().zip(&self.norms) {
            // The sums stay empty where nobody read the value: its gradients are zero.
            let (Some([gamma, beta]), Some(norm)) = (value.norm.and_then(|norm| norm.affine), norm) else { continue };
            if !self.weight_gradients {
                continue;
            }
            for (reference, sums) in [(beta, &norm.sums[0]), (gamma, &norm.sums[1])] {
                let target = &mut row[plan.row_range(reference)];
                target.iter_mut().zip(sums).for_each(|(target, sum)| *target = *sum as f32);
            }
        }
        let result = self.heads[0].result(self.batch.labels);
        TrainResult {
            loss: result.loss_sum / self.images() as f64,
            correct: result.correct,
            row,
            statistics: self.statistics(),
            gates,
        }
    }

    /// Backward of the inputs `part` of a stage, as far as gradients are wanted: of which values, `wanted` says.
    #[allow(clippy::too_many_arguments)]
    fn stage_backward(
        &mut self,
        id: StageId,
        stage: &Stage,
        part: Range<usize>,
        wanted: &[bool],
        [prepared_len, partials_len]: [usize; 2],
        row: &mut [f32],
        gates: &mut [Vec<f64>],
    ) {
        let (plan, images) = (self.plan, self.images());
        let graph = &plan.graph;
        let inputs = &stage.inputs[part.clone()];
        let wants_inputs = inputs.iter().any(|input| *input != Graph::IMAGE && wanted[*input]);
        let is_node = matches!(stage.kind, StageKind::Node { .. });
        if !(wants_inputs || self.weight_gradients || is_node && self.gates.is_some()) {
            return;
        }
        let shape = stage.output.map_or(graph.values[stage.inputs[0]].shape, |output| graph.values[output].shape);
        let parameters: Vec<ParameterRef> = match &stage.kind {
            StageKind::Linear { weights, .. } if self.weight_gradients => weights.clone(),
            StageKind::Linear { .. } => Vec::new(),
            StageKind::Head { weight, bias, .. } => vec![*weight, *bias],
            StageKind::Node { .. } => Vec::new(),
        };
        let lens: Vec<usize> = parameters.iter().map(|parameter| plan.row_range(*parameter).len()).collect();
        let weight_len: usize = lens.iter().sum();
        let chunk_len = chunk_images(shape);
        let ranges: Vec<Range<usize>> = chunks(images, chunk_len).collect();

        let mut arena = std::mem::take(&mut self.arena);
        let values_len = arena.len().min(plan.schedule.elements_per_image * images);
        let (values, rest) = arena.split_at_mut(values_len);
        let (prepared, partials) = rest.split_at_mut(prepared_len);
        let partials = &mut partials[..partials_len][..weight_len * ranges.len()];
        self.prepare(stage, prepared);

        // The places of this stage in the arena: stored inputs, stored output and its gradient, gradients of inputs.
        let stored: Vec<ValueId> = inputs.iter().copied().filter(|value| *value != Graph::IMAGE).collect();
        let gradient = |value: ValueId| plan.schedule.gradients[value].map(|slot| self.range(slot));
        let own: Vec<Range<usize>> =
            stage.output.iter().flat_map(|output| [self.value_range(*output), gradient(*output)]).flatten().collect();
        let mut places: Vec<Range<usize>> = stored.iter().filter_map(|value| self.value_range(*value)).collect();
        places.extend(own.iter().cloned());
        places.extend(stored.iter().filter(|_| wants_inputs).filter_map(|value| gradient(*value)));
        let mut slices = disjoint(values, &places);
        let mut dz = slices.split_off(stored.len() + own.len());
        let mut own = slices.split_off(stored.len());
        if let (Some(output), [_, dz]) = (stage.output, own.as_mut_slice())
            && plan.schedule.first_writer[output].is_none()
        {
            // Nobody read the output.
            dz.fill(0.0);
        }
        let read = |value: ValueId| {
            let slice = stored.iter().position(|other| *other == value).map(|index| &*slices[index]);
            Source::new(graph, value, slice.unwrap_or(self.batch.images), &self.norms)
        };
        let sources: Vec<Source> = inputs.iter().map(|value| read(*value)).collect();

        let mut work: Vec<Chunk> = (ranges.into_iter().zip(split(partials, weight_len)))
            .map(|(images, weights)| Chunk { images, dz: Vec::new(), weights, sums: Vec::new(), gates: Vec::new() })
            .collect();
        for dz in &mut dz {
            let chunk = dz.len() / images * chunk_len;
            for (work, part) in work.iter_mut().zip(dz.chunks_mut(chunk)) {
                work.dz.push(part);
            }
        }
        let last: Vec<bool> = stored
            .iter()
            .enumerate()
            .map(|(position, value)| {
                let again = inputs[position + 1..].contains(value) || stage.inputs[part.end..].contains(value);
                wants_inputs && plan.schedule.last_writer[*value] == Some(id) && self.norms[*value].is_some() && !again
            })
            .collect();
        let accumulate: Vec<bool> = stored
            .iter()
            .map(|value| plan.schedule.first_writer[*value] != Some(id) || stage.inputs[..part.start].contains(value))
            .collect();
        work.par_iter_mut().for_each(|work| {
            let images = work.images.clone();
            work.sums = sources
                .iter()
                .zip(&last)
                .map(|(source, last)| {
                    let zeros = || vec![0.0; if *last { source.channels() } else { 0 }];
                    [zeros(), zeros()]
                })
                .collect();
            let segments: Vec<Segment> = sources.iter().map(|source| source.segment(&images)).collect();
            let mut gradients: Vec<SegmentGradient> = (work.dz.iter_mut().zip(&mut work.sums))
                .enumerate()
                .map(|(index, (dz, [dz_sum, dz_xhat]))| {
                    let norm = sources[index].norm().filter(|_| last[index]);
                    let sums =
                        norm.map(|norm| GradientSums { mean: norm.mean(), rstd: norm.rstd(), dz: dz_sum, dz_xhat });
                    SegmentGradient { dz, accumulate: accumulate[index], sums }
                })
                .collect();
            let output = output_gradient(stage, &own, &self.norms, &images, self.images());
            match &stage.kind {
                StageKind::Linear { .. } => {
                    self.linear_backward(
                        stage,
                        &segments,
                        images.len(),
                        prepared,
                        output,
                        &mut gradients,
                        work.weights,
                    );
                }
                StageKind::Node { gates } => {
                    work.gates = self.node_backward(&gates[part.clone()], &segments, output, gradients);
                }
                StageKind::Head { relu, .. } => {
                    let input = Input { segments: &segments, relu: *relu };
                    self.head_backward(stage, &input, &images, &mut gradients, work.weights, lens[0]);
                }
            }
        });

        let finished: Vec<Option<[Vec<f64>; 2]>> = (0..stored.len())
            .map(|input| last[input].then(|| add_chunks(work.iter().map(|work| &work.sums[input]))))
            .collect();
        if let StageKind::Node { gates: references } = &stage.kind {
            for (term, reference) in references[part].iter().enumerate() {
                if let (Some(r), true) = (reference, self.gates.is_some()) {
                    gates[r.slot][r.candidate] += work.iter().map(|work| work.gates[term]).sum::<f64>();
                }
            }
        }
        drop(work);
        drop(sources);
        let mut start = 0;
        for (parameter, len) in parameters.iter().zip(&lens).filter(|_| self.weight_gradients) {
            let target = &mut row[plan.row_range(*parameter)];
            for partial in partials.chunks(weight_len) {
                target.iter_mut().zip(&partial[start..start + len]).for_each(|(sum, value)| *sum += value);
            }
            start += len;
        }
        for (value, sums) in stored.iter().zip(finished) {
            if let (Some(norm), Some(sums)) = (&mut self.norms[*value], sums) {
                norm.finish_sums(sums);
            }
        }
        self.arena = arena;
    }

    /// Transposed weights of a stage, once for all its chunks.
    fn prepare(&self, stage: &Stage, prepared: &mut [f32]) {
        let StageKind::Linear { operation, weights, .. } = &stage.kind else { return };
        operation.linear().cpu_prepare_backward(&self.all_weights(weights), prepared);
    }

    #[allow(clippy::too_many_arguments)]
    fn linear_backward(
        &self,
        stage: &Stage,
        segments: &[Segment],
        images: usize,
        prepared: &[f32],
        output: OutputGradient,
        gradients: &mut [SegmentGradient],
        partial: &mut [f32],
    ) {
        let StageKind::Linear { operation, relu, weights } = &stage.kind else { return };
        let (level, input, weights) = (self.level, Input { segments, relu: *relu }, self.all_weights(weights));
        // The image wants no gradient.
        let gradients = (!gradients.is_empty()).then_some(gradients);
        let mut rest = partial;
        let parts = weights.iter().filter(|_| self.weight_gradients).map(|weight| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(weight.len());
            rest = after;
            part
        });
        let mut parts: Vec<&mut [f32]> = parts.collect();
        let parts = self.weight_gradients.then_some(&mut parts[..]);
        with_scratch(|scratch| {
            let images = Images { level, input: &input, count: images, scratch };
            operation.linear().cpu_backward(images, &weights, prepared, output, gradients, parts);
        });
    }

    /// Gradients of some terms of a node, and of their gates.
    fn node_backward(
        &self,
        gates: &[Option<crate::plan::GateRef>],
        segments: &[Segment],
        output: OutputGradient,
        gradients: Vec<SegmentGradient>,
    ) -> Vec<f64> {
        let terms: Vec<Term> = (segments.iter().zip(gates))
            .map(|(source, gate)| Term { source: *source, gate: self.gate(*gate) })
            .collect();
        let mut sums = vec![0.0; terms.len()];
        let mut gradients = gradients.into_iter();
        let mut term_gradients: Vec<TermGradient> = (sums.iter_mut().zip(gates))
            .map(|(sum, gate)| TermGradient { source: gradients.next(), gate: gate.map(|_| sum) })
            .collect();
        let channels = segments.first().map_or(1, |segment| segment.channels);
        let pixels = output.dz.len() / channels;
        if output.normalize.is_none() {
            node::cpu::backward(self.level, &terms, pixels, output.dz, &mut term_gradients);
            return sums;
        }
        with_scratch(|scratch| {
            let [dnode, coefficients] = scratch.split([output.dz.len(), OutputGradientReader::coefficients(channels)]);
            let reader = OutputGradientReader::new(output, channels, coefficients);
            reader.read(self.level, 0, (1, pixels), dnode, 0, channels);
            node::cpu::backward(self.level, &terms, pixels, dnode, &mut term_gradients);
        });
        sums
    }

    fn head_backward(
        &self,
        stage: &Stage,
        input: &Input,
        images: &Range<usize>,
        gradients: &mut [SegmentGradient],
        partial: &mut [f32],
        weight_len: usize,
    ) {
        let StageKind::Head { weight, .. } = &stage.kind else { return };
        let shape = self.head(&stage.inputs);
        let state = &self.heads[0];
        let features = state.features.len() / self.images();
        let part = |values: &[f32], len: usize| values[images.start * len..images.end * len].to_vec();
        let (mut features, mut logits) = (part(&state.features, features), part(&state.logits, shape.classes));
        let mut losses = part(&state.losses, 1);
        let mut predictions = state.predictions[images.clone()].to_vec();
        let outputs = Outputs {
            features: &mut features,
            logits: &mut logits,
            losses: &mut losses,
            predictions: &mut predictions,
        };
        let labels: Vec<u32> = self.batch.labels[images.clone()].iter().copied().map(u32::from).collect();
        let scale = (1.0 / self.images() as f64) as f32;
        let (weights, bias) = partial.split_at_mut(weight_len);
        let classifier = ClassifierGradients { weights, bias };
        with_scratch(|scratch| {
            head::cpu::backward(
                self.level,
                &shape,
                input,
                images.len(),
                self.weights(*weight),
                &labels,
                &outputs,
                scale,
                gradients,
                classifier,
                scratch,
            );
        });
    }
}

/// One part of `len` elements after the other, without end where they are empty.
fn split(buffer: &mut [f32], len: usize) -> Box<dyn Iterator<Item = &mut [f32]> + '_> {
    if len == 0 { Box::new(std::iter::repeat_with(|| &mut [][..])) } else { Box::new(buffer.chunks_mut(len)) }
}

/// Sums over chunks, in order.
fn add_chunks<'a>(mut chunks: impl Iterator<Item = &'a [Vec<f64>; 2]>) -> [Vec<f64>; 2] {
    let mut total = chunks.next().cloned().unwrap_or_default();
    for chunk in chunks {
        for (total, part) in total.iter_mut().zip(chunk) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
    total
}

/// How a chunk reads the gradient of its stage's output.
fn output_gradient<'a>(
    stage: &Stage,
    own: &'a [&mut [f32]],
    norms: &'a [Option<super::NormState>],
    images: &Range<usize>,
    all: usize,
) -> OutputGradient<'a> {
    let (Some(output), [y, dz]) = (stage.output, own) else {
        return OutputGradient { dz: &[], y: &[], normalize: None };
    };
    let part = |slice: &'a [f32]| {
        let len = slice.len() / all;
        &slice[images.start * len..images.end * len]
    };
    OutputGradient { dz: part(dz), y: part(y), normalize: norms[output].as_ref().map(super::NormState::backward) }
}
