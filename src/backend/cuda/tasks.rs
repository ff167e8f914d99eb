//! The tasks of one lane: what each of its kernels reads.

use super::lane_program::{GradientPlace, LaneGradient};
use super::layout::{LaneLayout, LaneShape, Sizes, classes};
use super::memory::Memory;
use super::pixels::DevicePixels;
use super::replica::DeviceReplica;
use super::tables::{Section, Tables};
use crate::device::Pointer;
use crate::network::{BankLayout, Network, ParameterRef};
use crate::ops::cuda::reduction::{GateParts, Term};
use crate::ops::cuda::{Source, SourceFlags, Stage as DeviceStage, StageKernel, Storage, Traffic};
use crate::ops::head::cuda::Head;
use crate::ops::sgd::cuda::Losses;
use crate::plan::{Graph, Slot, StageId, StageKind, ValueId};
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, padded_channels};
use bytemuck::Zeroable;

/// Turns places into pointers.
pub struct Tasks<'a> {
    pub lane: LaneShape<'a>,
    pub layout: &'a LaneLayout,
    /// Of every buffer, what lies before the lane.
    pub before: Sizes,
    pub network: &'a Network,
    pub bank_layout: &'a BankLayout,
    pub memory: &'a Memory,
    pub storage: Storage,
    pub replica: &'a DeviceReplica,
    pub pixels: &'a DevicePixels,
    /// The first of its labels.
    pub label: usize,
    pub sections: LaneSections,
}

/// Sections of a step's tables that all lanes of a wave share.
#[derive(Clone, Copy)]
pub struct LaneSections {
    pub sources: Section<Source>,
    pub constants: Section<u8>,
    pub gates: Section<f32>,
    /// Of all mini-batches.
    pub labels: Section<u8>,
}

impl Tasks<'_> {
    fn graph(&self) -> &Graph {
        &self.lane.plan.graph
    }

    fn work(&self, place: usize) -> Pointer {
        self.memory.work.pointer(self.before.work.bytes() + place)
    }

    fn result(&self, place: usize) -> Pointer {
        self.memory.results.pointer(self.before.results.bytes() + place)
    }

    fn loss(&self, place: usize) -> Pointer {
        self.memory.losses.pointer(self.before.losses.bytes() + place)
    }

    fn slot(&self, slot: Option<Slot>) -> Pointer {
        slot.map_or(Pointer::NULL, |slot| {
            let place = slot.offset * self.lane.images * self.storage.bytes() as usize;
            self.memory.arena.pointer(self.before.arena.bytes() + place)
        })
    }

    pub fn weight(&self, reference: ParameterRef) -> Pointer {
        Pointer::to(&self.replica.weights, self.bank_layout.range(reference.parameter, reference.copy).start)
    }

    /// Where a kernel, or the sum of its parts, leaves a parameter's gradient; null if it has no place in the row.
    pub fn row(&self, reference: ParameterRef) -> Pointer {
        self.lane.row_place(reference).map_or(Pointer::NULL, |element| {
            self.memory.rows.pointer(self.before.rows.bytes() + element * size_of::<f32>())
        })
    }

    fn rows(&self, tables: &Tables<'_>, value: ValueId) -> Pointer {
        self.layout.norms[value].as_ref().map_or(Pointer::NULL, |places| {
            if self.lane.is_given(value) {
                tables.pointer(&self.sections.constants, self.before.constants.bytes() + places.rows)
            } else {
                self.work(places.rows)
            }
        })
    }

    /// The sources of a stage.
    pub fn sources(&self, tables: &Tables<'_>, id: StageId) -> impl Iterator<Item = Source> {
        let stage = &self.graph().stages[id];
        let schedule = &self.lane.plan.levels().schedule;
        let mut gates = self.layout.stages[id].gates.iter();
        let of_stage = move |term: usize| match &stage.kind {
            StageKind::Node { gates } => gates[term],
            _ => None,
        };
        let backward = self.lane.plan.levels().order.backward.get(id).copied().flatten();
        (stage.inputs.iter().enumerate()).map(move |(term, &input)| {
            let value = &self.graph().values[input];
            let channels = value.shape.channels;
            if input == Graph::IMAGE {
                return Source {
                    values: Pointer::to(self.pixels.images(), 0),
                    channels: channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE) as u32,
                    flags: SourceFlags::IMAGE,
                    ..Source::zeroed()
                };
            }
            let mut source = Source {
                values: self.slot(schedule.values[input]),
                normalization: self.rows(tables, input),
                channels: padded_channels(channels) as u32,
                ..Source::zeroed()
            };
            if of_stage(term).is_some()
                && let Some((gate, parts)) = gates.next()
            {
                source.gate = tables.pointer(&self.sections.gates, self.before.gates + gate);
                source.gate_sums = self.work(*parts);
            }
            if self.lane.training && backward.is_some() {
                source.gradient = self.slot(schedule.gradients[input]);
                if schedule.accumulates(id, stage, term) {
                    source.flags = SourceFlags::ACCUMULATE;
                }
                if let (Some(places), true) = (&self.layout.norms[input], schedule.finishes(id, stage, term)) {
                    source.sums = self.work(places.sums);
                    if let Some([scale, shift]) = value.norm.and_then(|norm| norm.affine) {
                        source.scale_gradient = self.row(scale);
                        source.shift_gradient = self.row(shift);
                    }
                }
            }
            source
        })
    }

    /// The task of a stage, for all its kernels; of a head, the part that it shares with stages.
    pub fn stage(&self, tables: &Tables<'_>, id: StageId) -> DeviceStage {
        let stage = &self.graph().stages[id];
        let (places, geometry) = (&self.layout.stages[id], &self.layout.kernels[id].geometry);
        let schedule = &self.lane.plan.levels().schedule;
        let mut task = DeviceStage {
            sources: tables.pointer(&self.sections.sources, self.before.sources + places.sources),
            source_count: stage.inputs.len() as u32,
            from: geometry.from,
            to: geometry.to,
            window: geometry.window,
            in_channels: geometry.in_channels,
            out_channels: geometry.out_channels,
            scratch: self.slot(schedule.scratch[id].filter(|_| self.keeps_scratch(id))),
            counter: self.memory.counters.pointer(self.before.counters + places.counter),
            ..DeviceStage::zeroed()
        };
        for (index, weight) in stage.weights().into_iter().enumerate() {
            task.weights[index] = self.weight(weight);
            if self.lane.weight_gradients {
                task.weight_parts[index] = self.work(places.weight_parts[index]);
            }
        }
        match &stage.kind {
            StageKind::Linear { operation, relu, .. } => {
                task.relu = (*relu).into();
                task.kind = operation.linear().stage_kind();
            }
            StageKind::Head { relu, .. } => task.relu = (*relu).into(),
            StageKind::Node { .. } => {}
        }
        if let Some(output) = stage.output {
            task.output = self.slot(schedule.values[output]);
            task.output_gradient = self.slot(schedule.gradients.get(output).copied().flatten());
            self.normalize(tables, &mut task, output);
        }
        task
    }

    /// Whether one kernel of a stage's backward pass hands something over to another, or someone looks at what it would be.
    fn keeps_scratch(&self, id: StageId) -> bool {
        let hands_over = |kernel: &StageKernel| kernel.traffic.contains(&Traffic::Scratch);
        self.layout.kernels[id].backward.iter().any(hands_over) || self.memory.device.is_watched()
    }

    /// Adds the normalization of its output to a task.
    fn normalize(&self, tables: &Tables<'_>, task: &mut DeviceStage, output: ValueId) {
        let (Some(norm), Some(places)) = (self.graph().values[output].norm, &self.layout.norms[output]) else { return };
        task.normalization = self.rows(tables, output);
        task.epsilon = self.network.norms[norm.norm].epsilon as f32;
        if !self.lane.is_given(output) {
            task.moments = self.work(places.moments);
            task.statistics = self.result(places.statistics);
        }
        if let Some([scale, shift]) = norm.affine {
            (task.scale, task.shift) = (self.weight(scale), self.weight(shift));
        }
    }

    /// The task of head `index` of the graph, whose part that it shares with stages is `stage`.
    pub fn head(&self, tables: &Tables<'_>, index: usize, stage: DeviceStage) -> Head {
        let id = self.graph().heads[index];
        let places = &self.layout.heads[index];
        let training = |place: usize| if self.lane.training { self.work(place) } else { Pointer::NULL };
        Head {
            stage,
            labels: tables.pointer(&self.sections.labels, self.label),
            features: self.work(places.features),
            logits: self.work(places.logits),
            losses: self.loss(places.losses),
            predictions: self.loss(places.predictions),
            dlogits: training(places.dlogits),
            dfeatures: training(places.dfeatures),
            classes: classes(self.lane.plan, &self.graph().stages[id]) as u32,
            scale: 1.0 / self.lane.images as f32,
        }
    }

    /// What a gradient is the sum of; none where it is zero.
    pub fn term(&self, gradient: &LaneGradient) -> Option<Term> {
        match gradient.place {
            GradientPlace::Parts(place, parts) => Some(Term { from: self.work(place), parts: parts.into() }),
            GradientPlace::Row => Some(Term { from: self.row(gradient.parameter), parts: 1 }),
            GradientPlace::Nowhere => None,
        }
    }

    /// Parts of the gradients of a node's gates.
    pub fn gate_parts(&self, id: StageId) -> impl Iterator<Item = GateParts> {
        let gradient = self.layout.kernels[id].backward[0].launch;
        let place = |gate: usize| self.layout.gate_results + gate * size_of::<f64>();
        self.layout.stages[id].gates.iter().map(move |(gate, from)| GateParts {
            from: self.work(*from),
            to: self.result(place(*gate)),
            parts: (gradient.parts * gradient.columns).into(),
        })
    }

    /// Statistics that the mini-batch had of a value.
    pub fn statistics(&self, value: ValueId) -> Pointer {
        self.layout.norms[value].as_ref().map_or(Pointer::NULL, |places| self.result(places.statistics))
    }

    /// Losses of the images of a training lane.
    pub fn losses(&self) -> Losses {
        Losses { losses: self.loss(self.layout.heads[0].losses), images: self.lane.images as u64 }
    }
}
