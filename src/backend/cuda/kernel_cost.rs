//! The cost model of the kernels of a stage: FLOPs, and the bytes that each moves at least.

use super::kernels::{Pass, StageKernels, stored_channels};
use super::launches::LaunchTask;
use super::layout::{LaneShape, classes};
use crate::ops::cuda::Storage;
use crate::ops::{Operation, PoolKind};
use crate::plan::{Graph, Stage, StageId, StageKind, ValueId};
use crate::tensor::padded_channels;
use std::ops::AddAssign;

/// Work of a kernel's tasks. Bytes: what it reads, once, and what it writes; that of other launches does not stay on the chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    pub bytes: u64,
    /// Of products on tensor cores.
    pub tensor_flops: u64,
    /// In f32 outside them.
    pub vector_flops: u64,
}

impl AddAssign for KernelCost {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.tensor_flops += other.tensor_flops;
        self.vector_flops += other.vector_flops;
    }
}

/// Bytes of an f32.
const WORD: u64 = size_of::<f32>() as u64;

impl KernelCost {
    /// Of adding parts: of each sum how many there are, and their length.
    pub fn of_sums(sums: impl Iterator<Item = (u32, usize)>) -> Self {
        let mut cost = Self::default();
        for (parts, len) in sums {
            let (parts, len) = (u64::from(parts), len as u64);
            cost += Self { bytes: (parts + 1) * len * WORD, tensor_flops: 0, vector_flops: parts * len };
        }
        cost
    }

    /// Of one task of a lane. `kernels`: of its stage.
    pub fn of_task(lane: &LaneShape<'_>, kernels: &StageKernels, task: &LaunchTask, storage: Storage) -> Self {
        let stage = &lane.plan.graph.stages[task.stage];
        let traffic = Traffic { lane, kernels, stage, id: task.stage, storage };
        let (products, others) = flops(lane, stage, task.pass);
        let images = lane.images as u64;
        let (tensor_flops, vector_flops) = match storage {
            Storage::F32 => (0, products + others),
            Storage::Bf16 => (products, others),
        };
        Self {
            bytes: traffic.bytes(task.pass),
            tensor_flops: tensor_flops * images,
            vector_flops: vector_flops * images,
        }
    }
}

/// FLOPs of an image: of products, and others.
fn flops(lane: &LaneShape<'_>, stage: &Stage, pass: Pass) -> (u64, u64) {
    let read: u64 = stage.inputs.iter().map(|input| lane.plan.graph.elements(*input)).sum();
    match &stage.kind {
        StageKind::Linear { operation: Operation::DepthwiseSeparable(operation), .. } => {
            let (depthwise, pointwise) = (operation.depthwise_flops(), operation.pointwise_flops());
            match pass {
                // Filters again, for the gradient of the pointwise weights.
                Pass::Pointwise => (2 * pointwise, depthwise),
                Pass::Depthwise => (0, 2 * depthwise),
                _ => (pointwise, depthwise),
            }
        }
        StageKind::Linear { operation: operation @ Operation::Pool(_), .. } => (0, operation.linear().flops()),
        StageKind::Linear { operation, .. } => (operation.linear().flops(), 0),
        StageKind::Node { gates } => {
            let written = stage.output.map_or(0, |output| lane.plan.graph.elements(output));
            (0, written * (gates.len() + gates.iter().flatten().count()) as u64)
        }
        StageKind::Head { weight, .. } => match pass {
            Pass::Weights => (0, 2 * lane.plan.row_range(*weight).len() as u64),
            _ => (0, read),
        },
    }
}

/// What the kernels of a stage read and write.
struct Traffic<'a> {
    lane: &'a LaneShape<'a>,
    kernels: &'a StageKernels,
    stage: &'a Stage,
    id: StageId,
    storage: Storage,
}

impl Traffic<'_> {
    fn bytes(&self, pass: Pass) -> u64 {
        let weights = self.weight(0) + self.weight(1);
        let is_head = matches!(self.stage.kind, StageKind::Head { .. });
        match pass {
            Pass::Forward if is_head => {
                let passes = 1 + u64::from(self.lane.training);
                self.inputs() + weights + passes * (self.features() + self.logits())
            }
            Pass::Forward => self.inputs() + weights + self.output() + self.moments(),
            Pass::Inputs if is_head => self.features() + self.values_behind_gradients() + self.gradients(),
            Pass::Inputs => weights + self.output_gradient() + self.values_behind_gradients() + self.gradients(),
            Pass::Weights if is_head => self.features() + self.logits() + self.weight_parts(0) + self.weight_parts(1),
            Pass::Weights => self.inputs() + self.output_gradient() + self.weight_parts(0),
            Pass::Pointwise => self.inputs() + weights + self.output_gradient() + self.scratch() + self.weight_parts(1),
            Pass::Depthwise => {
                self.inputs() + self.weight(0) + self.scratch() + self.gradients() + self.weight_parts(0)
            }
        }
    }

    fn graph(&self) -> &Graph {
        &self.lane.plan.graph
    }

    fn images(&self) -> u64 {
        self.lane.images as u64
    }

    fn number(&self) -> u64 {
        u64::from(self.storage.bytes())
    }

    /// Of all images of a value.
    fn value(&self, value: ValueId) -> u64 {
        let number = if value == Graph::IMAGE { WORD } else { self.number() };
        self.images() * self.graph().elements(value) * number
    }

    fn inputs(&self) -> u64 {
        self.stage.inputs.iter().map(|input| self.value(*input)).sum()
    }

    fn output(&self) -> u64 {
        self.stage.output.map_or(0, |output| self.value(output))
    }

    /// The gradient of the output, and the output where the gradient is that of its normalized value.
    fn output_gradient(&self) -> u64 {
        let normalized = self.stage.output.is_some_and(|output| self.graph().values[output].norm.is_some());
        self.output() * (1 + u64::from(normalized))
    }

    /// Parts of two sums of every channel of a value, written and read again by the last block.
    fn parts(&self, value: ValueId, parts: u32) -> u64 {
        let channels = padded_channels(self.graph().values[value].shape.channels) as u64;
        2 * 2 * u64::from(parts) * channels * WORD
    }

    fn moments(&self) -> u64 {
        let measured = |value: &ValueId| self.graph().values[*value].norm.is_some() && !self.lane.is_given(*value);
        self.stage.output.filter(measured).map_or(0, |value| self.parts(value, self.kernels.forward.parts))
    }

    /// Whether a stage leaves the sums of the gradient of input number `term`.
    fn leaves_sums(&self, term: usize) -> bool {
        let is_normalized = self.graph().values[self.stage.inputs[term]].norm.is_some();
        is_normalized && self.lane.plan.levels().schedule.finishes(self.id, self.stage, term)
    }

    /// The gradients of the inputs, and what they are added to.
    fn gradients(&self) -> u64 {
        let schedule = &self.lane.plan.levels().schedule;
        let of_term = |(term, input): (usize, &ValueId)| {
            let added = u64::from(schedule.accumulates(self.id, self.stage, term));
            let sums = if self.leaves_sums(term) { self.parts(*input, self.kernels.gradient_parts) } else { 0 };
            self.value(*input) * (1 + added) + sums
        };
        let terms = self.stage.inputs.iter().enumerate();
        terms.filter(|(_, input)| **input != Graph::IMAGE).map(of_term).sum()
    }

    /// The inputs on whose values their gradients depend: through a ReLU, a maximum, the gradient of a gate, or the sums of a normalization.
    fn values_behind_gradients(&self) -> u64 {
        let all = match &self.stage.kind {
            StageKind::Linear { operation: Operation::Pool(pool), relu, .. } => *relu || pool.kind == PoolKind::Max,
            StageKind::Linear { relu, .. } | StageKind::Head { relu, .. } => *relu,
            StageKind::Node { .. } => false,
        };
        let gated = |term: usize| match &self.stage.kind {
            StageKind::Node { gates } => self.lane.gated && gates[term].is_some(),
            _ => false,
        };
        let terms = self.stage.inputs.iter().enumerate();
        let read = terms.filter(|(term, _)| all || gated(*term) || self.leaves_sums(*term));
        read.map(|(_, input)| self.value(*input)).sum()
    }

    fn scratch(&self) -> u64 {
        self.images() * self.lane.plan.levels().order.scratch[self.id] as u64 * self.number()
    }

    fn weight(&self, index: usize) -> u64 {
        self.stage.weights().get(index).map_or(0, |weight| self.lane.plan.row_range(*weight).len() as u64 * WORD)
    }

    fn weight_parts(&self, index: usize) -> u64 {
        if self.lane.weight_gradients { u64::from(self.kernels.weight_parts[index]) * self.weight(index) } else { 0 }
    }

    fn features(&self) -> u64 {
        self.images() * stored_channels(self.graph(), self.stage) as u64 * WORD
    }

    fn logits(&self) -> u64 {
        self.images() * classes(self.lane.plan, self.stage) as u64 * WORD
    }
}
