//! Stages and values by name: *what* is computed, independent of the device and of how many lanes run.

use crate::network::{NormId, ParameterRef};
use crate::ops::Operation;
use crate::tensor::Shape;

/// Index into [`Graph::values`]; value 0 is the image.
pub type ValueId = usize;
/// Index into [`Graph::stages`].
pub type StageId = usize;

/// The gate of a candidate on an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GateRef {
    /// Position of the edge in a child.
    pub slot: usize,
    pub candidate: usize,
}

/// Batch normalization of a value, applied by whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormUse {
    pub norm: NormId,
    /// Scale and shift.
    pub affine: Option<[ParameterRef; 2]>,
    /// Running mean and variance.
    pub running: Option<[ParameterRef; 2]>,
    /// Bias of the convolution before it, which the stored value lacks: batch statistics cancel it, so its gradient is zero, and
    /// running means include it.
    pub bias: Option<ParameterRef>,
}

/// A feature map that is stored: the raw output of a stage. Readers see it normalized where it has a normalization.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub shape: Shape,
    pub norm: Option<NormUse>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// `[ReLU] . linear operation`; the inputs are concatenated.
    Linear { operation: Operation, relu: bool, weights: Vec<ParameterRef> },
    /// Sum of the inputs in order, from 0, each times its gate where it has one.
    Node { gates: Vec<Option<GateRef>> },
    /// Global average pool of the concatenated inputs, linear classifier, softmax cross-entropy.
    Head { relu: bool, weight: ParameterRef, bias: ParameterRef },
}

#[derive(Clone, Debug)]
pub struct Stage {
    pub name: String,
    pub kind: StageKind,
    pub inputs: Vec<ValueId>,
    /// `None` for a head.
    pub output: Option<ValueId>,
}

impl Stage {
    /// Its weights, in the order of their layer.
    pub fn weights(&self) -> Vec<ParameterRef> {
        match &self.kind {
            StageKind::Linear { weights, .. } => weights.clone(),
            StageKind::Head { weight, bias, .. } => vec![*weight, *bias],
            StageKind::Node { .. } => Vec::new(),
        }
    }
}

/// Stages in an order in which they can run. With several heads it holds several children that share their common prefixes.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub values: Vec<Value>,
    pub stages: Vec<Stage>,
    /// The head of each lane, in the order in which the lanes were added.
    pub heads: Vec<StageId>,
    /// Parameters that lanes use without effect: they count as used, with gradient zero.
    pub idle: Vec<ParameterRef>,
}

impl Graph {
    pub const IMAGE: ValueId = 0;

    /// Of every value, whether gates stand before it: the gradients of the others lead to no gate.
    pub fn follows_gates(&self) -> Vec<bool> {
        let mut follows = vec![false; self.values.len()];
        for stage in &self.stages {
            let Some(output) = stage.output else { continue };
            let gated = matches!(&stage.kind, StageKind::Node { gates } if gates.iter().any(Option::is_some));
            follows[output] = gated || stage.inputs.iter().any(|input| follows[*input]);
        }
        follows
    }

    /// Every trained parameter that the graph uses, in ascending order.
    pub fn parameters(&self) -> Vec<ParameterRef> {
        let mut parameters = self.idle.clone();
        parameters.extend(self.stages.iter().flat_map(Stage::weights));
        let norms = || self.values.iter().filter_map(|value| value.norm);
        parameters.extend(norms().filter_map(|norm| norm.affine).flatten());
        parameters.extend(norms().filter_map(|norm| norm.bias));
        parameters.sort_unstable();
        parameters.dedup();
        parameters
    }
}
