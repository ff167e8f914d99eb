//! What the launches of all stages share: the structures that their kernels read (kernels/stage.cuh), tiles, sizes of shared memory, and what the backend
//! asks of an operation.

mod geometry;
mod kernels;
mod launch;
mod linear;
pub mod reduction;
mod stage;

pub use geometry::{Geometry, Tiling};
pub use kernels::{KernelFlops, StageKernel, StageKernels, Traffic};
pub use launch::{Columns, StageLaunch, Storage};
pub use linear::CudaLinear;
pub use stage::{DeviceWindow, Source, SourceFlags, Stage};

pub(in crate::ops) use geometry::{MOST_TILES, TILE_PIXELS};
pub(in crate::ops) use launch::{CHANNEL_SUMS_BYTES, CHANNELS, right_bytes, slice_bytes, sums_bytes};
