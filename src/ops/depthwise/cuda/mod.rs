//! The kernels of depthwise-separable convolutions: kernels/separable.cu and, in `whole`, kernels/separable_gradient.cu.

mod whole;

use super::DepthwiseSeparable;
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, CudaLinear, DeviceWindow, Geometry, KernelFlops, StageKernel, StageKernels,
    StageLaunch, Storage, TILE_PIXELS, Traffic, right_bytes, slice_bytes, sums_bytes,
};

/// Warps of a block.
const WARPS: u32 = StageLaunch::THREADS / 32;

/// Pixels of a thread (kernels/filter.cuh).
const RUN: u32 = 4;

/// Numbers between the pixels of a ring (kernels/ring.cuh).
const RING_PIXEL: u32 = CHANNELS + 4;

impl CudaLinear for DepthwiseSeparable {
    fn device_window(&self) -> DeviceWindow {
        DeviceWindow::of(&self.window)
    }

    fn device_scratch_len(&self, stored_inputs: usize) -> usize {
        self.output.pixels() * stored_inputs
    }

    fn kernels(&self, geometry: &Geometry, _from_image: bool, storage: Storage) -> StageKernels {
        use Traffic::{InputGradients, Inputs, Output, OutputGradient, Scratch, Weight, WeightParts, Weights};
        let (products, others) = (self.pointwise_flops(), self.depthwise_flops());
        let flops = KernelFlops { products, others };
        let forward = StageKernel::new(forward(geometry, storage), flops, &[Inputs, Weights, Output]);
        // The backward pass filters again, for the gradient of the pointwise weights.
        if let Some(launch) = whole::gradient(geometry, storage) {
            let flops = KernelFlops { products: 2 * products, others: 3 * others };
            let traffic = &[Inputs, Weights, OutputGradient, InputGradients, WeightParts(0), WeightParts(1)];
            let gradient = StageKernel::new(launch, flops, traffic);
            return StageKernels {
                geometry: *geometry,
                forward,
                gradient_parts: launch.parts,
                weight_parts: [launch.parts; 2],
                backward: vec![gradient],
            };
        }
        let pointwise = StageKernel::new(
            pointwise_gradient(geometry, storage),
            KernelFlops { products: 2 * products, others },
            &[Inputs, Weights, OutputGradient, Scratch, WeightParts(1)],
        );
        let depthwise = StageKernel::new(
            depthwise_gradient(geometry, storage),
            KernelFlops::of_others(2 * others),
            &[Inputs, Weight(0), Scratch, InputGradients, WeightParts(0)],
        );
        StageKernels {
            geometry: *geometry,
            forward,
            gradient_parts: depthwise.launch.parts,
            weight_parts: [depthwise.launch.parts, pointwise.launch.parts],
            backward: vec![pointwise, StageKernel { phase: 1, ..depthwise }],
        }
    }
}

fn forward(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let columns = Columns::of(geometry.out_channels);
    let weights = filter_bytes(geometry) + right_bytes(storage, columns, CHANNELS);
    let filtered = slice_bytes(storage, TILE_PIXELS);
    StageLaunch {
        kernel: columns.variant(
            storage,
            [
                ["separable_forward_f32_16", "separable_forward_f32_32", "separable_forward_f32_64"],
                ["separable_forward_bf16_16", "separable_forward_bf16_32", "separable_forward_bf16_64"],
            ],
        ),
        parts: geometry.to.chunks(),
        columns: geometry.out_channels.div_ceil(columns.count()),
        shared_bytes: CHANNEL_SUMS_BYTES + weights + filtered + beside_ring(geometry, storage, sums_bytes(columns)),
    }
}

/// The gradient of the pointwise weights, and that of the filtered maps into the scratch of the stage: as many numbers of the storage as
/// pixels of the output times channels of the input. Its parts, those of the gradient of the pointwise weights, are chunks for weights of
/// the output.
fn pointwise_gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let columns = Columns::of(geometry.out_channels);
    let filtered = slice_bytes(storage, TILE_PIXELS).max(sums_bytes(Columns::Sixteen));
    let transposed = right_bytes(storage, Columns::Sixteen, geometry.out_channels.next_multiple_of(CHANNELS));
    let rows = right_bytes(storage, columns, TILE_PIXELS);
    let sums_of_warps = WARPS * CHANNELS * columns.count() * 4;
    StageLaunch {
        kernel: columns.variant(
            storage,
            [
                [
                    "separable_pointwise_gradient_f32_16",
                    "separable_pointwise_gradient_f32_32",
                    "separable_pointwise_gradient_f32_64",
                ],
                [
                    "separable_pointwise_gradient_bf16_16",
                    "separable_pointwise_gradient_bf16_32",
                    "separable_pointwise_gradient_bf16_64",
                ],
            ],
        ),
        parts: geometry.to.weight_chunks(),
        columns: geometry.in_channels.div_ceil(CHANNELS) * geometry.out_channels.div_ceil(columns.count()),
        shared_bytes: (filter_bytes(geometry) + transposed + filtered + beside_ring(geometry, storage, rows))
            .max(sums_of_warps),
    }
}

/// After [`pointwise_gradient`]: the gradients of the inputs, with their sums, and of the depthwise weights. Its parts, those of the sums and
/// of the gradient of the depthwise weights, are chunks for weights of the input.
fn depthwise_gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let kernels = match storage {
        Storage::F32 => [
            "separable_depthwise_gradient_f32_3",
            "separable_depthwise_gradient_f32_5",
            "separable_depthwise_gradient_f32_any",
        ],
        Storage::Bf16 => [
            "separable_depthwise_gradient_bf16_3",
            "separable_depthwise_gradient_bf16_5",
            "separable_depthwise_gradient_bf16_any",
        ],
    };
    let slice = slice_bytes(storage, geometry.pixels_above());
    StageLaunch {
        kernel: match geometry.window.kernel {
            3 if in_runs(geometry) => kernels[0],
            5 if in_runs(geometry) => kernels[1],
            _ => kernels[2],
        },
        parts: geometry.from.weight_chunks(),
        columns: geometry.in_channels.div_ceil(CHANNELS),
        shared_bytes: CHANNEL_SUMS_BYTES + (1 + WARPS) * filter_bytes(geometry) + slice,
    }
}

/// Whether four pixels of a row, whose windows are one tap apart, fit every row of a tile of the input.
fn in_runs(geometry: &Geometry) -> bool {
    let Geometry { from, window, .. } = geometry;
    window.stride == 1 && [1, 2, 4].contains(&window.dilation) && from.columns.is_multiple_of(RUN * window.dilation)
}

/// Rows of input around a tile of output and `kept` more above them, a slice of 16 channels (kernels/ring.cuh).
fn ring_bytes(geometry: &Geometry, storage: Storage, kept: u32) -> u32 {
    let (together, rows) = (geometry.to.together, geometry.rows_under_windows());
    let slots = if keeps_rows(geometry) { (rows + kept).next_power_of_two().max(2) } else { rows };
    together * slots * geometry.columns_under_windows() * RING_PIXEL * storage.bytes()
}

/// Whether rows stay from tile to tile.
const fn keeps_rows(geometry: &Geometry) -> bool {
    geometry.to.together == 1 && geometry.window.stride == 1
}

/// A ring, and so many bytes beside it, or in its place where every tile fills it anew.
fn beside_ring(geometry: &Geometry, storage: Storage, bytes: u32) -> u32 {
    let ring = ring_bytes(geometry, storage, 0);
    if keeps_rows(geometry) { ring + bytes } else { ring.max(bytes) }
}

/// A slice of the depthwise weights.
fn filter_bytes(geometry: &Geometry) -> u32 {
    geometry.window.taps * CHANNELS * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Operation, Window};
    use crate::tensor::Shape;

    #[test]
    fn the_shared_memory_of_stages_of_darts_fits_99_kib_down_to_single_pixels() {
        for (extent, channels) in [(32, 16), (32, 32), (16, 32), (16, 64), (8, 64), (4, 64), (2, 64)] {
            for (kernel, dilation, stride) in [(3, 1, 1), (3, 2, 2), (5, 1, 2), (5, 2, 1), (5, 2, 2)] {
                let window = Window { kernel, stride, dilation, padding: dilation * (kernel / 2) };
                let input = Shape::new(extent, extent, channels);
                let output = window.output_shape(input, channels);
                let operation = Operation::DepthwiseSeparable(DepthwiseSeparable { window, input, output });
                let geometry = Geometry::of_operation(&operation, 64, channels);
                for storage in [Storage::F32, Storage::Bf16] {
                    let separate = [forward, pointwise_gradient, depthwise_gradient].map(|of| of(&geometry, storage));
                    for launch in separate.into_iter().chain(whole::gradient(&geometry, storage)) {
                        assert!(launch.shared_bytes <= 99 << 10, "{operation:?}: {launch:?}");
                    }
                }
            }
        }
    }
}
