//! The backward pass in one kernel: kernels/separable_gradient.cu.

use super::{WARPS, filter_bytes, in_runs, ring_bytes};
use crate::ops::cuda::{
    CHANNEL_SUMS_BYTES, CHANNELS, Columns, Geometry, MOST_TILES, StageLaunch, Storage, TILE_PIXELS, right_bytes,
    slice_bytes, sums_bytes,
};

/// Shared memory that every device has for a block.
const SHARED_BYTES: u32 = 99 << 10;

/// All gradients of a stage; none where the kernel does not fit it.
pub fn gradient(geometry: &Geometry, storage: Storage) -> Option<StageLaunch> {
    let Geometry { from, to, window, .. } = geometry;
    let tiles_of_image = to.height.div_ceil(to.rows);
    let fits = storage == Storage::Bf16
        && in_runs(geometry)
        && [3, 5].contains(&window.kernel)
        && from == to
        && to.columns == to.width
        && window.padding <= to.rows
        && tiles_of_image <= MOST_TILES
        && geometry.out_channels <= Columns::SixtyFour.count();
    if !fits {
        return None;
    }
    let columns = Columns::of(geometry.out_channels);
    let kernels = match window.kernel {
        3 => ["separable_gradient_bf16_3_16", "separable_gradient_bf16_3_32", "separable_gradient_bf16_3_64"],
        _ => ["separable_gradient_bf16_5_16", "separable_gradient_bf16_5_32", "separable_gradient_bf16_5_64"],
    };
    let transposed = right_bytes(storage, Columns::Sixteen, columns.count());
    let tiles = slice_bytes(storage, TILE_PIXELS)
        + right_bytes(storage, columns, TILE_PIXELS)
        + sums_bytes(Columns::Sixteen)
        + 2 * ring_bytes(geometry, storage, to.rows);
    let sums_of_warps = WARPS * CHANNELS * columns.count() * 4;
    let launch = StageLaunch {
        kernel: columns.variant(storage, [kernels; 2]),
        parts: to.tiles.div_ceil(MOST_TILES / tiles_of_image * tiles_of_image),
        columns: geometry.in_channels.div_ceil(CHANNELS),
        shared_bytes: CHANNEL_SUMS_BYTES + (1 + WARPS) * filter_bytes(geometry) + transposed + tiles.max(sums_of_warps),
    };
    (launch.shared_bytes <= SHARED_BYTES).then_some(launch)
}
