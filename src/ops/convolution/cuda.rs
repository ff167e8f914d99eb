//! The kernels of dense convolutions and of the factorized reduction: kernels/convolution.cu.

use super::Convolution;
use crate::ops::Linear;
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, CudaLinear, DeviceWindow, Geometry, KernelFlops, StageKernel, StageKernels,
    StageLaunch, Storage, TILE_PIXELS, Traffic, right_bytes, slice_bytes, sums_bytes,
};

/// Taps whose weights are in shared memory together.
const TAPS: u32 = 9;

/// `WindowPlaces`, to a multiple of 16.
const WINDOW_PLACES_BYTES: u32 = ((TILE_PIXELS + TAPS) * 4).next_multiple_of(16);

impl CudaLinear for Convolution {
    fn device_window(&self) -> DeviceWindow {
        DeviceWindow::of(&self.window)
    }

    fn reads_images(&self) -> bool {
        true
    }

    fn kernels(&self, geometry: &Geometry, from_image: bool, storage: Storage) -> StageKernels {
        kernels(geometry, self.flops(), from_image, storage)
    }
}

/// Each computes as many FLOPs as the forward pass.
pub(in crate::ops) fn kernels(geometry: &Geometry, flops: u64, from_image: bool, storage: Storage) -> StageKernels {
    use Traffic::{InputGradients, Inputs, InputsBehindGradients, Output, OutputGradient, WeightParts, Weights};
    let flops = KernelFlops::of_products(flops);
    let kernel = |launch, traffic| StageKernel::new(launch, flops, traffic);
    let of_weights = kernel(weight_gradient(geometry, storage), &[Inputs, OutputGradient, WeightParts(0)]);
    let weight_parts = [of_weights.launch.parts; 2];
    let mut backward = vec![StageKernel { only_weights: true, ..of_weights }];
    let mut gradient_parts = 0;
    if !from_image {
        let launch = input_gradient(geometry, storage);
        gradient_parts = launch.parts;
        backward.push(kernel(launch, &[Weights, OutputGradient, InputsBehindGradients, InputGradients]));
    }
    let forward = kernel(forward(geometry, storage), &[Inputs, Weights, Output]);
    StageKernels { geometry: *geometry, forward, backward, gradient_parts, weight_parts }
}

fn forward(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let columns = Columns::of(geometry.out_channels);
    let slice = slice_bytes(storage, geometry.pixels_under_windows());
    StageLaunch {
        kernel: columns.variant(
            storage,
            [
                ["convolution_forward_f32_16", "convolution_forward_f32_32", "convolution_forward_f32_64"],
                ["convolution_forward_bf16_16", "convolution_forward_bf16_32", "convolution_forward_bf16_64"],
            ],
        ),
        parts: geometry.to.chunks(),
        columns: geometry.out_channels.div_ceil(columns.count()),
        shared_bytes: CHANNEL_SUMS_BYTES + weights_bytes(geometry, storage, columns) + slice.max(sums_bytes(columns)),
    }
}

fn input_gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let columns = Columns::of(geometry.in_channels);
    let slice = slice_bytes(storage, geometry.pixels_above());
    StageLaunch {
        kernel: columns.variant(
            storage,
            [
                [
                    "convolution_input_gradient_f32_16",
                    "convolution_input_gradient_f32_32",
                    "convolution_input_gradient_f32_64",
                ],
                [
                    "convolution_input_gradient_bf16_16",
                    "convolution_input_gradient_bf16_32",
                    "convolution_input_gradient_bf16_64",
                ],
            ],
        ),
        parts: geometry.from.chunks(),
        columns: geometry.in_channels.div_ceil(columns.count()),
        shared_bytes: CHANNEL_SUMS_BYTES
            + CHANNELS * storage.bytes()
            + weights_bytes(geometry, storage, columns)
            + slice.max(sums_bytes(columns)),
    }
}

/// Its parts are chunks for weights.
fn weight_gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let columns = Columns::of(geometry.out_channels);
    let groups = geometry.out_channels.div_ceil(columns.count()) * geometry.in_channels.div_ceil(CHANNELS);
    StageLaunch {
        kernel: columns.variant(
            storage,
            [
                [
                    "convolution_weight_gradient_f32_16",
                    "convolution_weight_gradient_f32_32",
                    "convolution_weight_gradient_f32_64",
                ],
                [
                    "convolution_weight_gradient_bf16_16",
                    "convolution_weight_gradient_bf16_32",
                    "convolution_weight_gradient_bf16_64",
                ],
            ],
        ),
        parts: geometry.to.weight_chunks(),
        columns: groups * geometry.window.taps.div_ceil(TAPS),
        shared_bytes: WINDOW_PLACES_BYTES
            + right_bytes(storage, columns, TILE_PIXELS)
            + slice_bytes(storage, geometry.pixels_under_windows()),
    }
}

/// A slice of the weights of the taps that are there together.
fn weights_bytes(geometry: &Geometry, storage: Storage, columns: Columns) -> u32 {
    right_bytes(storage, columns, geometry.window.taps.min(TAPS) * CHANNELS)
}
