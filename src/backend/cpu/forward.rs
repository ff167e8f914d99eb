//! Forward pass: stage after stage, the chunks of a stage side by side.

use super::arena::disjoint;
use super::inputs::{Source, chunks};
use super::{HeadState, LaneRun, with_scratch};
use crate::backend::Regime;
use crate::backend::normalization::given_statistics;
use crate::network::ParameterRef;
use crate::ops::head::cpu::Outputs;
use crate::ops::input::{Input, Moments, Segment};
use crate::ops::node::cpu::Term;
use crate::ops::{Images, head, node};
use crate::plan::{GateRef, Graph, Slot, Stage, StageKind, ValueId, chunk_images};
use crate::tensor::padded_channels;
use rayon::prelude::*;
use std::ops::Range;

impl LaneRun<'_> {
    pub(super) fn forward(&mut self, regime: Regime) {
        let plan = self.plan;
        for stage in &plan.graph.stages {
            match (&stage.kind, stage.output) {
                (StageKind::Head { relu, weight, bias }, _) => {
                    let state = self.head_forward(stage, *relu, *weight, *bias);
                    self.heads.push(state);
                }
                (_, Some(output)) => self.stage_forward(stage, output, regime),
                (_, None) => {}
            }
        }
    }

    /// Arena range of a slot.
    pub(super) fn range(&self, slot: Slot) -> Range<usize> {
        let images = self.images();
        slot.offset * images..(slot.offset + slot.len) * images
    }

    /// Arena range of a value; none for the image.
    pub(super) fn value_range(&self, value: ValueId) -> Option<Range<usize>> {
        self.plan.schedule.values[value].map(|slot| self.range(slot))
    }

    pub(super) fn gate(&self, gate: Option<GateRef>) -> Option<f32> {
        gate.map(|gate| self.gates.map_or(1.0, |gates| gates.0[gate.slot][gate.candidate] as f32))
    }

    pub(super) fn weights(&self, reference: ParameterRef) -> &[f32] {
        self.bank.get(reference.parameter, reference.copy)
    }

    pub(super) fn all_weights(&self, references: &[ParameterRef]) -> Vec<&[f32]> {
        references.iter().map(|reference| self.weights(*reference)).collect()
    }

    fn stage_forward(&mut self, stage: &Stage, output: ValueId, regime: Regime) {
        let graph = &self.plan.graph;
        let value = &graph.values[output];
        let given = given_statistics(self.bank, output, value, regime);
        let wants_moments = value.norm.is_some() && given.is_none();
        let channels = padded_channels(value.shape.channels);
        let (chunk, image_len) = (chunk_images(value.shape), value.shape.pixels() * channels);
        let mut arena = std::mem::take(&mut self.arena);
        let mut distinct: Vec<ValueId> = Vec::new();
        for input in stage.inputs.iter().filter(|input| **input != Graph::IMAGE) {
            if !distinct.contains(input) {
                distinct.push(*input);
            }
        }
        let ranges: Vec<Range<usize>> =
            distinct.iter().chain([&output]).filter_map(|value| self.value_range(*value)).collect();
        let mut slices = disjoint(&mut arena, &ranges);
        let out = slices.pop().unwrap_or_default();
        let source = |input: &ValueId| {
            let values = distinct.iter().position(|value| value == input).map(|index| &*slices[index]);
            Source::new(graph, *input, values.unwrap_or(self.batch.images), &self.norms)
        };
        let sources: Vec<Source> = stage.inputs.iter().map(source).collect();
        let images: Vec<Range<usize>> = chunks(self.images(), chunk).collect();
        let moments: Vec<Moments> = out
            .par_chunks_mut(chunk * image_len)
            .zip(images)
            .map(|(out, images)| {
                let mut moments = Moments::new(if wants_moments { channels } else { 0 });
                let segments: Vec<Segment> = sources.iter().map(|source| source.segment(&images)).collect();
                self.chunk_forward(stage, &segments, images.len(), out, wants_moments.then_some(&mut moments));
                moments
            })
            .collect();
        drop(sources);
        if let Some(norm) = value.norm {
            let statistics = given.unwrap_or_else(|| self.batch_statistics(output, &moments));
            let state = self.norm_state(&norm, statistics);
            self.norms[output] = Some(state);
        }
        self.arena = arena;
    }

    fn chunk_forward(
        &self,
        stage: &Stage,
        segments: &[Segment],
        images: usize,
        out: &mut [f32],
        moments: Option<&mut Moments>,
    ) {
        let level = self.level;
        match &stage.kind {
            StageKind::Linear { operation, relu, weights } => with_scratch(|scratch| {
                let input = &Input { segments, relu: *relu };
                let weights = self.all_weights(weights);
                let images = Images { level, input, count: images, scratch };
                operation.linear().cpu_forward(images, &weights, out, moments);
            }),
            StageKind::Node { gates } => {
                let terms: Vec<Term> = (segments.iter().zip(gates))
                    .map(|(source, gate)| Term { source: *source, gate: self.gate(*gate) })
                    .collect();
                // A node without terms is zero in as many channels.
                let channels =
                    stage.output.map_or(1, |value| padded_channels(self.plan.graph.values[value].shape.channels));
                node::cpu::forward(level, &terms, out.len() / channels, out);
                if let Some(moments) = moments {
                    const STRIP_PIXELS: usize = 64;
                    out.chunks(STRIP_PIXELS * channels).for_each(|strip| moments.add_strip(level, strip));
                }
            }
            StageKind::Head { .. } => {}
        }
    }

    fn head_forward(&self, stage: &Stage, relu: bool, weight: ParameterRef, bias: ParameterRef) -> HeadState {
        let graph = &self.plan.graph;
        let values = |value: ValueId| self.value_range(value).map_or(self.batch.images, |range| &self.arena[range]);
        let sources: Vec<Source> =
            stage.inputs.iter().map(|value| Source::new(graph, *value, values(*value), &self.norms)).collect();
        let shape = self.head(&stage.inputs);
        let features: usize = sources.iter().map(Source::channels).sum();
        let images = self.images();
        let chunk = chunk_images(graph.values[stage.inputs[0]].shape);
        let mut state = HeadState {
            features: vec![0.0; images * features],
            logits: vec![0.0; images * shape.classes],
            losses: vec![0.0; images],
            predictions: vec![0; images],
        };
        let labels: Vec<u32> = self.batch.labels.iter().copied().map(u32::from).collect();
        let (weights, bias) = (self.weights(weight), self.weights(bias));
        (state.features.par_chunks_mut(chunk * features))
            .zip(state.logits.par_chunks_mut(chunk * shape.classes))
            .zip(state.losses.par_chunks_mut(chunk))
            .zip(state.predictions.par_chunks_mut(chunk))
            .zip(chunks(images, chunk).collect::<Vec<_>>())
            .for_each(|((((features, logits), losses), predictions), images)| {
                let segments: Vec<Segment> = sources.iter().map(|source| source.segment(&images)).collect();
                let input = Input { segments: &segments, relu };
                let labels = &labels[images.clone()];
                let mut outputs = Outputs { features, logits, losses, predictions };
                with_scratch(|scratch| {
                    head::cpu::forward(
                        self.level,
                        &shape,
                        &input,
                        images.len(),
                        weights,
                        bias,
                        labels,
                        &mut outputs,
                        scratch,
                    );
                });
            });
        state
    }
}
