//! Which kernels run a stage.

use crate::backend::LanePlan;
use crate::ops::cuda::{Geometry, StageKernels, Storage};
use crate::ops::{head, node};
use crate::plan::{Graph, Stage, StageKind, ValueId};
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, padded_channels};

/// Stored channels of a stage's inputs.
pub fn stored_channels(graph: &Graph, stage: &Stage) -> usize {
    let channels = |input: &usize| match *input {
        Graph::IMAGE => graph.values[Graph::IMAGE].shape.channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE),
        value => padded_channels(graph.values[value].shape.channels),
    };
    stage.inputs.iter().map(channels).sum()
}

/// The kernels of a stage, for so many images.
pub fn stage_kernels(plan: &LanePlan, stage: &Stage, images: usize, storage: Storage) -> StageKernels {
    let graph = &plan.graph;
    let shape = |value: ValueId| graph.values[value].shape;
    match &stage.kind {
        StageKind::Linear { operation, .. } => {
            let geometry = Geometry::of_operation(operation, images, stored_channels(graph, stage));
            operation.linear().kernels(&geometry, stage.inputs.contains(&Graph::IMAGE), storage)
        }
        StageKind::Head { bias, .. } => {
            let geometry = Geometry::of_pixels(shape(stage.inputs[0]), images, stored_channels(graph, stage));
            head::cuda::kernels(&geometry, plan.row_range(*bias).len() as u32, storage)
        }
        StageKind::Node { gates } => {
            let shape = shape(stage.output.unwrap_or(Graph::IMAGE));
            let geometry = Geometry::of_pixels(shape, images, padded_channels(shape.channels));
            node::cuda::kernels(&geometry, gates.len(), gates.iter().flatten().count(), storage)
        }
    }
}
