//! The kernels of nodes: kernels/node.cu. A source's gate sums are `[part][column]`: parts times columns of the gradient's launch.

use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, Geometry, KernelFlops, StageKernel, StageKernels, StageLaunch, Storage,
    Traffic, sums_bytes,
};

/// Channels of a block of the gradient at most.
const COLUMNS: u32 = 64;

/// `NodeSums`: of the gradients, and of a gate from every warp.
const NODE_SUMS_BYTES: u32 = CHANNEL_SUMS_BYTES + 8 * 4;

/// Of a node with so many terms, some of them times a gate.
pub fn kernels(geometry: &Geometry, terms: usize, gated: usize, storage: Storage) -> StageKernels {
    use Traffic::{InputGradients, Inputs, InputsBehindGradients, Output, OutputGradient};
    let flops = KernelFlops::of_others(geometry.output_numbers() * (terms + gated) as u64);
    let backward = &[OutputGradient, InputsBehindGradients, InputGradients];
    let gradient = StageKernel::new(gradient(geometry, storage), flops, backward);
    let forward = StageKernel::new(forward(geometry, storage), flops, &[Inputs, Output]);
    StageKernels::without_weights(geometry, forward, gradient)
}

fn forward(geometry: &Geometry, storage: Storage) -> StageLaunch {
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "node_forward_f32",
            Storage::Bf16 => "node_forward_bf16",
        },
        parts: geometry.to.chunks(),
        columns: geometry.out_channels.div_ceil(CHANNELS),
        shared_bytes: CHANNEL_SUMS_BYTES + sums_bytes(Columns::Sixteen),
    }
}

fn gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "node_gradient_f32",
            Storage::Bf16 => "node_gradient_bf16",
        },
        parts: geometry.to.chunks(),
        columns: geometry.out_channels.div_ceil(COLUMNS),
        shared_bytes: NODE_SUMS_BYTES,
    }
}
