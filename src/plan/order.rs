//! When the stages of a graph run.

use super::graph::{Graph, StageId, StageKind};
use crate::tensor::padded_channels;

/// Times of the stages, counted from 0; the backward pass follows the forward pass. Stages of one time run side by side, in any order.
#[derive(Clone, Debug)]
pub struct Order {
    pub forward: Vec<usize>,
    /// `None` for a stage without a backward pass. Empty in evaluation.
    pub backward: Vec<Option<usize>>,
    /// Elements an image that a stage's backward pass needs for itself.
    pub scratch: Vec<usize>,
}

impl Order {
    /// One stage after the other, and back.
    pub fn sequential(graph: &Graph, training: bool) -> Self {
        let stages = graph.stages.len();
        let backward =
            if training { (0..stages).map(|stage| Some(2 * stages - 1 - stage)).collect() } else { Vec::new() };
        Self { forward: (0..stages).collect(), backward, scratch: vec![0; stages] }
    }

    /// Every stage as soon as what it reads is there. In the backward pass, stages that add to the gradient of one value run one after
    /// the other, the last reader first; those on whose output nothing depends have none.
    pub fn levels(graph: &Graph, training: bool) -> Self {
        let mut producer = vec![None; graph.values.len()];
        let mut forward = Vec::with_capacity(graph.stages.len());
        for (id, stage) in graph.stages.iter().enumerate() {
            let made =
                stage.inputs.iter().filter_map(|input| producer[*input]).map(|stage: StageId| forward[stage] + 1);
            forward.push(made.max().unwrap_or(0));
            if let Some(output) = stage.output {
                producer[output] = Some(id);
            }
        }
        if !training {
            return Self { scratch: vec![0; forward.len()], forward, backward: Vec::new() };
        }
        let turn = forward.iter().max().map_or(0, |last| last + 1);
        let mut backward = vec![None; graph.stages.len()];
        // The time at which a value's gradient has its last contribution so far.
        let mut written: Vec<Option<usize>> = vec![None; graph.values.len()];
        for (id, stage) in graph.stages.iter().enumerate().rev() {
            let finished = match stage.output {
                Some(output) => written[output],
                None => Some(turn - 1),
            };
            let Some(finished) = finished else { continue };
            let others = stage.inputs.iter().filter_map(|input| written[*input]);
            let time = others.chain([finished]).max().unwrap_or(finished) + 1;
            backward[id] = Some(time);
            stage.inputs.iter().filter(|input| **input != Graph::IMAGE).for_each(|input| written[*input] = Some(time));
        }
        let scratch = (graph.stages.iter())
            .map(|stage| match &stage.kind {
                StageKind::Linear { operation, .. } => {
                    let channels =
                        stage.inputs.iter().map(|input| padded_channels(graph.values[*input].shape.channels));
                    operation.linear().device_scratch_len(channels.sum())
                }
                StageKind::Head { .. } | StageKind::Node { .. } => 0,
            })
            .collect();
        Self { forward, backward, scratch }
    }
}
