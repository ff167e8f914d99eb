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

pub(in crate::ops) use geometry::TILE_PIXELS;
pub(in crate::ops) use launch::{CHANNELS, GRADIENT_SUMS_BYTES, WEIGHT_TILES, right_bytes, slice_bytes, sums_bytes};
