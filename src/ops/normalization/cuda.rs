//! Running statistics on a device: kernels/running.cu.

use crate::device::{Launch, Pointer};
use bytemuck::{Pod, Zeroable};

/// The running statistics of one normalization of a replica.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Running {
    pub mean: Pointer,
    pub variance: Pointer,
    /// Of the convolution before it, which the stored value lacks; null: none.
    pub bias: Pointer,
    /// u32: where each channel lies from `mean`, `variance` and `bias` on.
    pub positions: Pointer,
    /// u32: nothing moves where it is 0.
    pub is_finite: Pointer,
    /// 1 - momentum
    pub kept: f64,
    pub momentum: f64,
    pub channels: u32,
    /// In the table of moves.
    pub first: u32,
    pub moves: u32,
    pub unused: u32,
}

/// The statistics of one lane.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Move {
    /// f64: mean and biased variance of every stored channel.
    pub statistics: Pointer,
    /// What makes the variance unbiased.
    pub correction: f64,
    /// Channels.
    pub stored: u64,
}

// kernels/running.cu asserts the same.
const _: () = assert!(size_of::<Running>() == 72 && size_of::<Move>() == 24);

/// Moves up to `entries` normalizations. Arguments: entries, moves, count.
pub fn move_running_statistics(entries: u32) -> Launch {
    Launch::new("move_running_statistics", entries, 256)
}
