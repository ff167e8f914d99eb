//! Which kernels run a stage.

use crate::backend::LanePlan;
use crate::ops::cuda::{Geometry, StageLaunch, Storage};
use crate::ops::{Operation, convolution, depthwise, head, node, pool};
use crate::plan::{Graph, Stage, StageKind, ValueId};
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, padded_channels};

/// What a kernel computes of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Forward,
    /// Gradients of its inputs.
    Inputs,
    /// Gradients of its weights and nothing else.
    Weights,
    /// Of a separable convolution: gradients of the pointwise weights and of the filtered maps.
    Pointwise,
    /// Then: gradients of its inputs and of the depthwise weights.
    Depthwise,
}

/// A kernel of a stage's backward pass.
pub struct Backward {
    /// Those of phase 1 wait for those of phase 0.
    pub phase: u8,
    pub pass: Pass,
    pub launch: StageLaunch,
}

/// The kernels of a stage.
pub struct StageKernels {
    pub geometry: Geometry,
    pub forward: StageLaunch,
    pub backward: Vec<Backward>,
    /// Parts of the sums that its backward leaves of its inputs' gradients; 0 if nobody wants these.
    pub gradient_parts: u32,
    /// Parts of the gradients of its weights.
    pub weight_parts: [u32; 2],
}

const fn of_inputs(launch: StageLaunch) -> Backward {
    Backward { phase: 0, pass: Pass::Inputs, launch }
}

const fn of_weights(launch: StageLaunch) -> Backward {
    Backward { phase: 0, pass: Pass::Weights, launch }
}

/// Stored channels of a stage's inputs.
pub fn stored_channels(graph: &Graph, stage: &Stage) -> usize {
    let channels = |input: &usize| match *input {
        Graph::IMAGE => graph.values[Graph::IMAGE].shape.channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE),
        value => padded_channels(graph.values[value].shape.channels),
    };
    stage.inputs.iter().map(channels).sum()
}

impl StageKernels {
    pub fn of(plan: &LanePlan, stage: &Stage, images: usize, storage: Storage) -> Self {
        let graph = &plan.graph;
        let shape = |value: ValueId| graph.values[value].shape;
        match (&stage.kind, stage.output) {
            (StageKind::Linear { operation, .. }, _) => {
                let from_image = stage.inputs.contains(&Graph::IMAGE);
                Self::linear(operation, images, stored_channels(graph, stage), from_image, storage)
            }
            (StageKind::Head { bias, .. }, _) => {
                let geometry = Geometry::of_pixels(shape(stage.inputs[0]), images, stored_channels(graph, stage));
                let classes = plan.row_range(*bias).len() as u32;
                let gradient = head::cuda::gradient(&geometry, storage);
                let weights = head::cuda::weight_gradient(&geometry, classes);
                Self {
                    geometry,
                    forward: head::cuda::forward(&geometry, classes, storage),
                    backward: vec![of_inputs(gradient), of_weights(weights)],
                    gradient_parts: gradient.parts,
                    weight_parts: [weights.parts; 2],
                }
            }
            (StageKind::Node { .. }, output) => {
                let shape = shape(output.unwrap_or(Graph::IMAGE));
                let geometry = Geometry::of_pixels(shape, images, padded_channels(shape.channels));
                let gradient = node::cuda::gradient(&geometry, storage);
                Self {
                    geometry,
                    forward: node::cuda::forward(&geometry, storage),
                    backward: vec![of_inputs(gradient)],
                    gradient_parts: gradient.parts,
                    weight_parts: [0; 2],
                }
            }
        }
    }

    fn linear(operation: &Operation, images: usize, in_channels: usize, from_image: bool, storage: Storage) -> Self {
        let geometry = Geometry::of_operation(operation, images, in_channels);
        match operation {
            Operation::Convolution(_) | Operation::FactorizedReduce(_) => {
                let weights = convolution::cuda::weight_gradient(&geometry, storage);
                let mut backward = vec![of_weights(weights)];
                let mut gradient_parts = 0;
                if !from_image {
                    let input = convolution::cuda::input_gradient(&geometry, storage);
                    gradient_parts = input.parts;
                    backward.push(of_inputs(input));
                }
                let forward = convolution::cuda::forward(&geometry, storage);
                Self { geometry, forward, backward, gradient_parts, weight_parts: [weights.parts; 2] }
            }
            Operation::DepthwiseSeparable(_) => {
                let pointwise = depthwise::cuda::pointwise_gradient(&geometry, storage);
                let depthwise = depthwise::cuda::depthwise_gradient(&geometry, storage);
                Self {
                    geometry,
                    forward: depthwise::cuda::forward(&geometry, storage),
                    backward: vec![
                        Backward { phase: 0, pass: Pass::Pointwise, launch: pointwise },
                        Backward { phase: 1, pass: Pass::Depthwise, launch: depthwise },
                    ],
                    gradient_parts: depthwise.parts,
                    weight_parts: [depthwise.parts, pointwise.parts],
                }
            }
            Operation::Pool(_) => {
                let gradient = pool::cuda::gradient(&geometry, storage);
                Self {
                    geometry,
                    forward: pool::cuda::forward(&geometry, storage),
                    backward: vec![of_inputs(gradient)],
                    gradient_parts: gradient.parts,
                    weight_parts: [0; 2],
                }
            }
        }
    }
}
