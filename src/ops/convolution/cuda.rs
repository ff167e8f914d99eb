//! The kernels of dense convolutions and of the factorized reduction: kernels/convolution.cu.

use super::Convolution;
use crate::ops::Linear;
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, CudaLinear, DeviceWindow, Geometry, KernelFlops, StageKernel, StageKernels,
    StageLaunch, Storage, TILE_PIXELS, Traffic, right_bytes, slice_bytes, sums_bytes,
};

/// Taps whose weights are in shared memory together.
const TAPS: u32 = 9;

/// Left matrices of a weight gradient's block at most (`TapProduct::MOST`).
const fn most_matrices(storage: Storage) -> u32 {
    match storage {
        Storage::F32 => TAPS,
        Storage::Bf16 => MOST_MATRICES,
    }
}
const MOST_MATRICES: u32 = 32;

/// `LeftPlaces`, to a multiple of 16.
const LEFT_PLACES_BYTES: u32 = ((TILE_PIXELS + MOST_MATRICES) * 4).next_multiple_of(16);

/// Two `InputSlice`s, of the halves of a slice.
const INPUT_SLICES_BYTES: u32 = 64;

/// Room for weights beside a slice or a tile's sums.
const WEIGHTS_ROOM_BYTES: u32 = 96_256;

/// Room for the slices of a weight gradient.
const SLICES_ROOM_BYTES: u32 = 49_152;

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
    let slices = geometry.in_channels.div_ceil(CHANNELS);
    let tile = slice_bytes(storage, geometry.pixels_under_windows()).max(sums_bytes(columns));
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
        shared_bytes: CHANNEL_SUMS_BYTES
            + taps_bytes(geometry)
            + slices * INPUT_SLICES_BYTES
            + weights_bytes(geometry, storage, columns, slices, tile)
            + tile,
    }
}

fn input_gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let columns = Columns::of(geometry.in_channels);
    let slices = geometry.out_channels.div_ceil(CHANNELS);
    let tile = slice_bytes(storage, geometry.pixels_above()).max(sums_bytes(columns));
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
            + taps_bytes(geometry)
            + slices * 4 * CHANNELS * 4
            + CHANNELS * storage.bytes()
            + weights_bytes(geometry, storage, columns, slices, tile)
            + tile,
    }
}

/// Its parts are chunks for weights.
fn weight_gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    // In bf16 32 at most: the sums of more would leave no registers.
    let columns = Columns::of(match storage {
        Storage::F32 => geometry.out_channels,
        Storage::Bf16 => geometry.out_channels.min(32),
    });
    let slice = slice_bytes(storage, geometry.pixels_under_windows());
    let taps = geometry.window.taps.min(TAPS);
    // As many slices as there is room for, shared out evenly.
    let slices = geometry.in_channels.div_ceil(CHANNELS);
    let most = (most_matrices(storage) / taps).min(SLICES_ROOM_BYTES / slice).max(1);
    let together = slices.div_ceil(slices.div_ceil(most));
    let groups = geometry.out_channels.div_ceil(columns.count()) * slices.div_ceil(together);
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
                    "convolution_weight_gradient_bf16_32",
                ],
            ],
        ),
        parts: geometry.to.weight_chunks(),
        columns: groups * geometry.window.taps.div_ceil(TAPS),
        shared_bytes: LEFT_PLACES_BYTES
            + 4 * columns.count() * 4
            + right_bytes(storage, columns, TILE_PIXELS)
            + together * (INPUT_SLICES_BYTES + slice),
    }
}

/// A number of every tap and one more (`padded_taps`).
const fn taps_bytes(geometry: &Geometry) -> u32 {
    (geometry.window.taps + 1).next_multiple_of(4) * 4
}

/// Those of all slices where there is room beside a tile, else of a slice the taps that are there together (`KeptWeights`).
fn weights_bytes(geometry: &Geometry, storage: Storage, columns: Columns, slices: u32, tile: u32) -> u32 {
    let taps = geometry.window.taps;
    let all = right_bytes(storage, columns, slices * taps * CHANNELS);
    if all + tile <= WEIGHTS_ROOM_BYTES { all } else { right_bytes(storage, columns, taps.min(TAPS) * CHANNELS) }
}
