//! The cost model of the kernels of a stage: FLOPs, and the bytes that each moves at least.

use super::kernels::stored_channels;
use super::launches::LaunchTask;
use super::layout::{LaneShape, classes};
use crate::ops::cuda::{KernelFlops, StageKernels, Storage, Traffic};
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
    pub fn of_task(lane: &LaneShape<'_>, kernels: &StageKernels, task: &LaunchTask<'_>, storage: Storage) -> Self {
        let stage = &lane.plan.graph.stages[task.stage];
        let numbers = StageTraffic { lane, kernels, stage, id: task.stage, storage };
        let images = lane.images as u64;
        let KernelFlops { products, others } = task.kernel.flops;
        let (tensor_flops, vector_flops) = match storage {
            Storage::F32 => (0, products + others),
            Storage::Bf16 => (products, others),
        };
        Self {
            bytes: task.kernel.traffic.iter().map(|traffic| numbers.bytes(*traffic)).sum(),
            tensor_flops: tensor_flops * images,
            vector_flops: vector_flops * images,
        }
    }
}

/// What the kernels of a stage read and write.
struct StageTraffic<'a> {
    lane: &'a LaneShape<'a>,
    kernels: &'a StageKernels,
    stage: &'a Stage,
    id: StageId,
    storage: Storage,
}

impl StageTraffic<'_> {
    fn bytes(&self, traffic: Traffic) -> u64 {
        let in_training = |bytes: u64| if self.lane.training { bytes } else { 0 };
        match traffic {
            Traffic::Inputs => self.inputs(),
            Traffic::InputsBehindGradients => self.inputs_behind_gradients(),
            Traffic::InputGradients => self.input_gradients(),
            Traffic::Output => self.output() + self.moments(),
            Traffic::OutputGradient => self.output_gradient(),
            Traffic::Weights => self.weight(0) + self.weight(1),
            Traffic::Weight(index) => self.weight(index),
            Traffic::WeightParts(index) => self.weight_parts(index),
            Traffic::Scratch => self.scratch(),
            Traffic::Features => self.features(),
            Traffic::FeatureGradients => in_training(self.features()),
            Traffic::Logits => self.logits(),
            Traffic::LogitGradients => in_training(self.logits()),
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

    fn output_gradient(&self) -> u64 {
        let normalized = self.stage.output.is_some_and(|output| self.graph().values[output].norm.is_some());
        self.output() * (1 + u64::from(normalized))
    }

    /// Parts of so many sums of every channel of a value, written and read again by the last block.
    fn parts(&self, value: ValueId, parts: u32, sums: u64) -> u64 {
        let channels = padded_channels(self.graph().values[value].shape.channels) as u64;
        2 * sums * u64::from(parts) * channels * WORD
    }

    fn moments(&self) -> u64 {
        let measured = |value: &ValueId| self.graph().values[*value].norm.is_some() && !self.lane.is_given(*value);
        self.stage.output.filter(measured).map_or(0, |value| self.parts(value, self.kernels.forward.launch.parts, 3))
    }

    /// Whether a stage leaves the sums of the gradient of input number `term`.
    fn leaves_sums(&self, term: usize) -> bool {
        let is_normalized = self.graph().values[self.stage.inputs[term]].norm.is_some();
        is_normalized && self.lane.plan.levels().schedule.finishes(self.id, self.stage, term)
    }

    fn input_gradients(&self) -> u64 {
        let schedule = &self.lane.plan.levels().schedule;
        let of_term = |(term, input): (usize, &ValueId)| {
            let added = u64::from(schedule.accumulates(self.id, self.stage, term));
            let sums = if self.leaves_sums(term) { self.parts(*input, self.kernels.gradient_parts, 2) } else { 0 };
            self.value(*input) * (1 + added) + sums
        };
        let terms = self.stage.inputs.iter().enumerate();
        terms.filter(|(_, input)| **input != Graph::IMAGE).map(of_term).sum()
    }

    fn inputs_behind_gradients(&self) -> u64 {
        let (relu, gates) = match &self.stage.kind {
            StageKind::Linear { relu, .. } | StageKind::Head { relu, .. } => (*relu, None),
            StageKind::Node { gates } => (false, Some(gates)),
        };
        let gated = |term: usize| self.lane.gated && gates.is_some_and(|gates| gates[term].is_some());
        let terms = self.stage.inputs.iter().enumerate();
        let read = terms.filter(|(term, _)| relu || gated(*term) || self.leaves_sums(*term));
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
