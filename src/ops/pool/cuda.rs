//! The kernels of pools: kernels/pool.cu. Both kinds may share a launch.

use super::{Pool, PoolKind};
use crate::ops::Linear;
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, CudaLinear, DeviceWindow, Geometry, KernelFlops, StageKernel, StageKernels,
    StageLaunch, Storage, Traffic, slice_bytes, sums_bytes,
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

fn forward(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let slice = slice_bytes(storage, geometry.pixels_under_windows());
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "pool_forward_f32",
            Storage::Bf16 => "pool_forward_bf16",
        },
        parts: geometry.to.chunks(),
        columns: geometry.out_channels.div_ceil(CHANNELS),
        shared_bytes: CHANNEL_SUMS_BYTES + slice.max(sums_bytes(Columns::Sixteen)),
    }
}

fn gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let (windows, under) = geometry.pixels_of_windows();
    let slices = slice_bytes(storage, under).max(slice_bytes(Storage::F32, windows));
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "pool_gradient_f32",
            Storage::Bf16 => "pool_gradient_bf16",
        },
        parts: geometry.from.chunks(),
        columns: geometry.in_channels.div_ceil(CHANNELS),
        // The largest taps are bytes; gradients stand there in f32.
        shared_bytes: CHANNEL_SUMS_BYTES + windows * CHANNELS + slices,
    }
}
