//! The cost of a graph: the sum over its stages.

use super::graph::{Graph, Stage, StageKind};
use crate::ops::{Cost, StageCost, Work};
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, padded_channels};

impl Graph {
    /// Cost of the forward pass of one image, at `element_bytes` a stored value.
    pub fn forward_cost(&self, element_bytes: u64) -> Cost {
        self.stage_costs(true, |_| true).map(|stage| stage.forward(element_bytes)).sum()
    }

    /// Cost of the forward and backward passes of one image.
    pub fn training_cost(&self, element_bytes: u64) -> Cost {
        let costs = self.stage_costs(true, |value| value != Self::IMAGE);
        costs.map(|stage| stage.forward(element_bytes) + stage.backward(element_bytes)).sum()
    }

    /// The same for the gradients of the gates alone.
    pub fn gate_cost(&self, element_bytes: u64) -> Cost {
        let follows = self.follows_gates();
        let costs = self.stage_costs(false, move |value| follows[value]);
        costs.map(|stage| stage.forward(element_bytes) + stage.backward(element_bytes)).sum()
    }

    /// `wanted`: whether the gradient of a value is.
    fn stage_costs(&self, weight_gradients: bool, wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = StageCost> {
        self.stages.iter().map(move |stage| StageCost {
            work: work(stage),
            read: stage.inputs.iter().map(|value| self.elements(*value)).sum(),
            written: stage.output.map_or(0, |value| self.elements(value)),
            input_gradients: stage.inputs.iter().any(|value| wanted(*value)),
            weight_gradients,
        })
    }

    /// Stored numbers of one image of a value.
    pub fn elements(&self, value: usize) -> u64 {
        let shape = self.values[value].shape;
        let channels = match value {
            Self::IMAGE => shape.channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE),
            _ => padded_channels(shape.channels),
        };
        (shape.pixels() * channels) as u64
    }
}

fn work(stage: &Stage) -> Work {
    match &stage.kind {
        StageKind::Linear { operation, .. } => Work::Linear(*operation),
        StageKind::Node { gates } => {
            Work::Node { terms: gates.len() as u64, gated: gates.iter().filter(|gate| gate.is_some()).count() as u64 }
        }
        StageKind::Head { .. } => Work::Head,
    }
}
