//! The kernels of a stage, each with what it computes and moves.

use super::{Geometry, StageLaunch};

/// A kernel of a stage.
#[derive(Clone, Debug)]
pub struct StageKernel {
    pub launch: StageLaunch,
    /// In the backward pass: those of phase 1 wait for those of phase 0.
    pub phase: u8,
    /// Whether it computes gradients of weights and nothing else.
    pub only_weights: bool,
    pub flops: KernelFlops,
    /// What it reads, once, and writes.
    pub traffic: &'static [Traffic],
}

impl StageKernel {
    /// A kernel of a forward pass, or of the first phase of a backward pass.
    pub const fn new(launch: StageLaunch, flops: KernelFlops, traffic: &'static [Traffic]) -> Self {
        Self { launch, phase: 0, only_weights: false, flops, traffic }
    }
}

/// FLOPs of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelFlops {
    /// Of products, which bf16 computes on tensor cores.
    pub products: u64,
    pub others: u64,
}

impl KernelFlops {
    pub const fn of_products(products: u64) -> Self {
        Self { products, others: 0 }
    }

    pub const fn of_others(others: u64) -> Self {
        Self { products: 0, others }
    }
}

/// Numbers that a kernel moves, of all images of its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// The values of its inputs.
    Inputs,
    /// Of them those on which their gradients depend: through a ReLU, the gradient of a gate, or the sums of a normalization.
    InputsBehindGradients,
    /// Gradients of its inputs, what they are added to, and their sums.
    InputGradients,
    /// The output, and its statistics.
    Output,
    /// The gradient of the output, and the output where the gradient is that of its normalized value.
    OutputGradient,
    /// All weights.
    Weights,
    Weight(usize),
    /// Parts of the gradient of a weight.
    WeightParts(usize),
    /// What one kernel of the backward pass hands over to the next.
    Scratch,
    /// Of a head.
    Features,
    FeatureGradients,
    Logits,
    LogitGradients,
}

/// The kernels of a stage.
#[derive(Clone, Debug)]
pub struct StageKernels {
    pub geometry: Geometry,
    pub forward: StageKernel,
    pub backward: Vec<StageKernel>,
    /// Parts of the sums that its backward leaves of its inputs' gradients; 0 if nobody wants these.
    pub gradient_parts: u32,
    /// Parts of the gradients of its weights.
    pub weight_parts: [u32; 2],
}

impl StageKernels {
    /// Of a stage without weights: one kernel forward, and one of its inputs' gradients.
    pub fn without_weights(geometry: &Geometry, forward: StageKernel, gradient: StageKernel) -> Self {
        Self {
            geometry: *geometry,
            forward,
            gradient_parts: gradient.launch.parts,
            backward: vec![gradient],
            weight_parts: [0; 2],
        }
    }
}
