//! Launches of pools: kernels/pool.cu. `Stage::kind` says which; both kinds may share a launch.

use crate::ops::PoolKind;
use crate::ops::cuda::{
    CHANNELS, Columns, GRADIENT_SUMS_BYTES, Geometry, StageLaunch, Storage, slice_bytes, sums_bytes,
};

/// `Stage::kind` of a pool.
pub const fn kind(pool: PoolKind) -> u32 {
    match pool {
        PoolKind::Max => 0,
        PoolKind::Average => 1,
    }
}

pub fn forward(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let slice = slice_bytes(storage, geometry.pixels_under_windows());
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "pool_forward_f32",
            Storage::Bf16 => "pool_forward_bf16",
        },
        parts: geometry.to.tiles(),
        columns: geometry.out_channels.div_ceil(CHANNELS),
        shared_bytes: 16 + slice.max(sums_bytes(Columns::Sixteen)),
    }
}

pub fn gradient(geometry: &Geometry, storage: Storage) -> StageLaunch {
    let (windows, under) = geometry.pixels_of_windows();
    let slices = slice_bytes(storage, under).max(slice_bytes(Storage::F32, windows));
    StageLaunch {
        kernel: match storage {
            Storage::F32 => "pool_gradient_f32",
            Storage::Bf16 => "pool_gradient_bf16",
        },
        parts: geometry.from.tiles(),
        columns: geometry.in_channels.div_ceil(CHANNELS),
        // The largest taps are bytes; gradients stand there in f32.
        shared_bytes: GRADIENT_SUMS_BYTES + windows * CHANNELS + slices,
    }
}
