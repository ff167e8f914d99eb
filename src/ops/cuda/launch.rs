//! What a stage asks of a launch.

/// The type in which feature maps are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    F32,
    /// Every stored number and every operand of a product is rounded to bf16; sums, statistics and weights are f32.
    Bf16,
}

impl Storage {
    /// Bytes of a number.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// One kernel's part of a stage. Tasks of the same kernel, parts and columns may share a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageLaunch {
    pub kernel: &'static str,
    /// Blocks along x: tiles of pixels, or chunks of tiles.
    pub parts: u32,
    /// Blocks along z: groups of channels.
    pub columns: u32,
    pub shared_bytes: u32,
}

impl StageLaunch {
    /// Threads of a block.
    pub const THREADS: u32 = 256;
}

/// Channels that one block computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    Sixteen,
    ThirtyTwo,
    SixtyFour,
}

impl Columns {
    /// The smallest that holds `channels`, or the largest.
    pub const fn of(channels: u32) -> Self {
        match channels {
            0..=16 => Self::Sixteen,
            17..=32 => Self::ThirtyTwo,
            _ => Self::SixtyFour,
        }
    }

    pub const fn count(self) -> u32 {
        match self {
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
            Self::SixtyFour => 64,
        }
    }

    /// The kernel's variant for a storage: f32 and bf16, each with 16, 32 and 64 columns.
    pub const fn variant(self, storage: Storage, kernels: [[&'static str; 3]; 2]) -> &'static str {
        let row = match storage {
            Storage::F32 => kernels[0],
            Storage::Bf16 => kernels[1],
        };
        match self {
            Self::Sixteen => row[0],
            Self::ThirtyTwo => row[1],
            Self::SixtyFour => row[2],
        }
    }
}

/// Channels of a slice (kernels/input.cuh).
pub(in crate::ops) const CHANNELS: u32 = 16;

/// `ChannelSums` of kernels/sums.cuh, to a multiple of 16: of every warp, two sums of 64 channels; pivots; a flag.
pub(in crate::ops) const CHANNEL_SUMS_BYTES: u32 = (8 * 2 * 64 * 4 + 64 * 4 + 4_u32).next_multiple_of(16);

/// A slice of some pixels.
pub(in crate::ops) const fn slice_bytes(storage: Storage, pixels: u32) -> u32 {
    pixels * (CHANNELS * storage.bytes() + 16)
}

/// Rows of a right matrix of a product.
pub(in crate::ops) const fn right_bytes(storage: Storage, columns: Columns, rows: u32) -> u32 {
    rows * (columns.count() * storage.bytes() + 16)
}

/// A tile of sums.
pub(in crate::ops) const fn sums_bytes(columns: Columns) -> u32 {
    super::TILE_PIXELS * (columns.count() + 1) * 4
}
