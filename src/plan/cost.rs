//! FLOPs and minimum bytes of a graph: the two floors of the cost model.

use super::graph::{Graph, Stage, StageKind};
use crate::ops::Operation;
use crate::tensor::padded_channels;

/// Work of one image. A multiply-add counts as two FLOPs. Bytes: every stage's inputs read once and outputs written once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub flops: u64,
    pub bytes: u64,
}

impl std::ops::Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |a, b| a + b)
    }
}

impl Graph {
    /// Cost of the forward pass of one image, at `element_bytes` a stored value.
    pub fn forward_cost(&self, element_bytes: u64) -> Cost {
        self.stages.iter().map(|stage| self.forward(stage, element_bytes)).sum()
    }

    /// Cost of the forward and backward passes of one image.
    pub fn training_cost(&self, element_bytes: u64) -> Cost {
        self.stages.iter().map(|stage| self.forward(stage, element_bytes) + self.backward(stage, element_bytes)).sum()
    }

    fn elements(&self, value: usize) -> u64 {
        let shape = self.values[value].shape;
        let channels = if value == Self::IMAGE {
            shape.channels.next_multiple_of(crate::tensor::IMAGE_CHANNEL_MULTIPLE)
        } else {
            padded_channels(shape.channels)
        };
        (shape.pixels() * channels) as u64
    }

    fn forward(&self, stage: &Stage, element_bytes: u64) -> Cost {
        let read: u64 = stage.inputs.iter().map(|v| self.elements(*v)).sum();
        let written: u64 = stage.output.map_or(0, |v| self.elements(v));
        let flops = match &stage.kind {
            StageKind::Linear { operation, .. } => operation.flops(),
            StageKind::Node { gates } => {
                let gated = gates.iter().filter(|gate| gate.is_some()).count() as u64;
                written * (gates.len() as u64 + gated)
            }
            StageKind::Head { .. } => read,
        };
        Cost { flops, bytes: (read + written) * element_bytes }
    }

    /// Inputs, output and output gradient are read, input gradients written; input and weight gradients cost a forward pass each.
    fn backward(&self, stage: &Stage, element_bytes: u64) -> Cost {
        let from_image = stage.inputs.contains(&Self::IMAGE);
        let read: u64 = stage.inputs.iter().map(|v| self.elements(*v)).sum();
        let output: u64 = stage.output.map_or(0, |v| self.elements(v));
        let written = if from_image { 0 } else { read };
        let forward = self.forward(stage, element_bytes).flops;
        let products = match &stage.kind {
            StageKind::Linear { operation: Operation::Pool(_), .. } | StageKind::Node { .. } => 1,
            _ => 2 - u64::from(from_image),
        };
        Cost { flops: forward * products, bytes: (read + 2 * output + written) * element_bytes }
    }
}
