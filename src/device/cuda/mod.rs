//! A GPU through the CUDA driver, which is loaded when it is first asked for: a program without a GPU needs none.

mod failure;
mod gpu;
mod graph;
mod pinned;
mod probe;
mod ring;

pub use probe::{DeviceInfo, Probe, probe};

use super::{Device, DeviceError};

impl Device {
    /// GPU number `ordinal`, with the kernels of this program.
    ///
    /// # Errors
    /// No driver, no such GPU, one older than the kernels, a program without kernels, an error of the driver.
    pub fn cuda(ordinal: usize) -> Result<Self, DeviceError> {
        gpu::Gpu::open(ordinal).map(Self::new)
    }
}
