//! The kernels of pools: kernels/pool.cu, and kernels/pool_runs.cu for the windows of search spaces. Both kinds may share a launch.

use super::{Pool, PoolKind};
use crate::ops::Linear;
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, CudaLinear, DeviceWindow, Geometry, KernelFlops, StageKernel, StageKernels,
    StageLaunch, Storage, Tiling, Traffic, slice_bytes, sums_bytes,
};

impl CudaLinear for Pool {
    fn device_window(&self) -> DeviceWindow {
        DeviceWindow::of(&self.window)
    }

    fn stage_kind(&self) -> u32 {
        match self.kind {
            PoolKind::Max => 0,
            PoolKind::Average => 1,
        }
    }

    fn kernels(&self, geometry: &Geometry, _from_image: bool, storage: Storage) -> StageKernels {
        use Traffic::{InputGradients, Inputs, InputsBehindGradients, Output, OutputGradient};
        let flops = KernelFlops::of_others(self.flops());
        let backward: &[Traffic] = match self.kind {
            // It finds the largest taps again.
            PoolKind::Max => &[OutputGradient, Inputs, InputGradients],
            PoolKind::Average => &[OutputGradient, InputsBehindGradients, InputGradients],
        };
        let gradient = StageKernel::new(gradient(geometry, storage), flops, backward);
        let forward = StageKernel::new(forward(geometry, storage), flops, &[Inputs, Output]);
        StageKernels::without_weights(geometry, forward, gradient)
    }
}

/// Pixels of a row that a thread of kernels/pool_runs.cu takes (`RUN` of kernels/filter.cuh).
const RUN: u32 = 4;

/// Bytes of a pixel of kernels/pool_runs.cu (`PIXEL`): of numbers of so many bytes.
const fn pixel_bytes(number: u32) -> u32 {
    (CHANNELS + 4) * number
}

/// Whether kernels/pool_runs.cu has this pool.
fn in_runs(geometry: &Geometry, storage: Storage) -> bool {
    let Geometry { window, to, .. } = geometry;
    let keeps_the_size = (window.kernel, window.stride, window.dilation, window.padding) == (3, 1, 1, 1);
    storage == Storage::Bf16 && keeps_the_size && to.columns == to.width && to.width.is_multiple_of(RUN)
}

fn forward(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let slice = slice_bytes(storage, geometry.pixels_under_windows());
    let (kernel, shared) = match storage {
        Storage::F32 => ("pool_forward_f32", slice.max(sums_bytes(Columns::Sixteen))),
        Storage::Bf16 if in_runs(geometry, storage) => ("pool_runs_forward_bf16", slice),
        Storage::Bf16 => ("pool_forward_bf16", slice.max(sums_bytes(Columns::Sixteen))),
    };
    StageLaunch {
        kernel,
        parts: geometry.to.chunks(),
        columns: geometry.out_channels.div_ceil(CHANNELS),
        shared_bytes: CHANNEL_SUMS_BYTES + shared,
    }
}

fn gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let (kernel, shared) = match storage {
        Storage::F32 => ("pool_gradient_f32", shared_bytes_of_gradient(geometry, storage)),
        Storage::Bf16 if in_runs(geometry, storage) => ("pool_runs_gradient_bf16", shared_bytes_in_runs(geometry)),
        Storage::Bf16 => ("pool_gradient_bf16", shared_bytes_of_gradient(geometry, storage)),
    };
    StageLaunch {
        kernel,
        parts: geometry.from.chunks(),
        columns: geometry.in_channels.div_ceil(CHANNELS),
        shared_bytes: CHANNEL_SUMS_BYTES + shared,
    }
}

/// The largest taps, which are bytes; then the input, or gradients in f32.
fn shared_bytes_of_gradient(geometry: &Geometry, storage: Storage) -> u32 {
    let (windows, under) = geometry.pixels_of_windows();
    windows * CHANNELS + slice_bytes(storage, under).max(slice_bytes(Storage::F32, windows))
}

/// The lower halves of the largest keys; then keys, or gradients in f32 (`RunHalos` of kernels/pool_runs.cu).
fn shared_bytes_in_runs(geometry: &Geometry) -> u32 {
    let Tiling { together, rows, columns, height, .. } = geometry.from;
    let border = u32::from(rows < height);
    let windows = together * (rows + 2) * (columns + 2);
    let keys = together * (rows + 2 * border + 2) * (columns + 2);
    windows * pixel_bytes(2) + keys.max(windows) * pixel_bytes(4)
}
