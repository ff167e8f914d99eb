//! The kernels of heads: kernels/head.cu. Their tables hold [`Head`]s.

use crate::device::Pointer;
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, Geometry, KernelFlops, Stage, StageKernel, StageKernels, StageLaunch, Storage, Traffic,
};
use bytemuck::{Pod, Zeroable};

/// One task of a launch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Head {
    /// Of it `sources`, `source_count`, `relu`, `from`, `in_channels` (features), `counter` and, of classifier and bias, `weights` and
    /// `weight_parts` are read; classifier rows are `[class][feature]`.
    pub stage: Stage,
    /// u8 of each image.
    pub labels: Pointer,
    /// `[image][feature]`, written forward and read by the weights' gradient.
    pub features: Pointer,
    /// `[image][class]`
    pub logits: Pointer,
    /// Of each image.
    pub losses: Pointer,
    /// u32 of each image.
    pub predictions: Pointer,
    /// `[image][class]`, written forward and read by the weights' gradient; null: no training.
    pub dlogits: Pointer,
    /// `[image][feature]`, written forward in training: the gradient of each pixel's activation.
    pub dfeatures: Pointer,
    pub classes: u32,
    /// 1 / images of the lane.
    pub scale: f32,
}

// kernels/head.cu asserts the same.
const _: () = assert!(size_of::<Head>() == 288);

/// Channels of a block of the gradient at most.
const COLUMNS: u32 = 64;

/// Weights of a block of their gradient.
const WEIGHTS: u32 = StageLaunch::THREADS * 4;

/// Images of a part of the weights' gradient.
const IMAGES: u32 = 32;

/// `HeadSums`: eight channels of every thread; a sum, a logit and a class of every warp.
const HEAD_SUMS_BYTES: u32 = StageLaunch::THREADS * 8 * 4 + 8 * (8 + 4 + 4);

/// Of a head that tells so many classes apart.
pub fn kernels(geometry: &Geometry, classes: u32, storage: Storage) -> StageKernels {
    use Traffic::{
        FeatureGradients, Features, InputGradients, Inputs, InputsBehindGradients, LogitGradients, Logits, WeightParts,
        Weights,
    };
    let kernel = |launch, flops, traffic| StageKernel::new(launch, KernelFlops::of_others(flops), traffic);
    // The average; the classifier's few products do not count.
    let read = geometry.input_numbers();
    let gradient =
        kernel(gradient(geometry, storage), read, &[FeatureGradients, InputsBehindGradients, InputGradients]);
    let weights = kernel(
        weight_gradient(geometry, classes),
        u64::from(2 * classes * geometry.in_channels),
        &[Features, LogitGradients, WeightParts(0), WeightParts(1)],
    );
    StageKernels {
        geometry: *geometry,
        forward: kernel(
            forward(geometry, classes, storage),
            read,
            &[Inputs, Weights, Features, Logits, FeatureGradients, LogitGradients],
        ),
        gradient_parts: gradient.launch.parts,
        weight_parts: [weights.launch.parts; 2],
        backward: vec![gradient, StageKernel { only_weights: true, ..weights }],
    }
}

/// A part is an image.
fn forward(geometry: &Geometry, classes: u32, storage: Storage) -> StageLaunch {
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "head_forward_f32",
            Storage::Bf16 => "head_forward_bf16",
        },
        parts: geometry.from.images,
        columns: 1,
        shared_bytes: HEAD_SUMS_BYTES + (geometry.in_channels + classes) * 4,
    }
}

/// Gradients of the sources; after `forward`.
fn gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "head_gradient_f32",
            Storage::Bf16 => "head_gradient_bf16",
        },
        parts: geometry.from.chunks(),
        columns: geometry.in_channels.div_ceil(COLUMNS),
        shared_bytes: CHANNEL_SUMS_BYTES,
    }
}

/// Gradients of classifier and bias; after `forward`. Its parts are chunks of images.
fn weight_gradient(geometry: &Geometry, classes: u32) -> StageLaunch {
    StageLaunch {
        kernel: "head_weight_gradient",
        parts: geometry.from.images.div_ceil(IMAGES),
        columns: (classes * geometry.in_channels).div_ceil(WEIGHTS),
        shared_bytes: 0,
    }
}
