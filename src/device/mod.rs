//! Device memory and launches of kernels: one interface, two implementations. [`cuda`] drives a GPU through the CUDA driver;
//! [`emulator`] runs the source of the same kernels on the CPU and checks every access. Knows nothing of networks.

mod absent;
mod buffer;
mod command;
pub mod cuda;
mod driver;
#[cfg(unix)]
pub mod emulator;
mod error;
pub mod facts;
mod fault;
mod fetch;
pub mod kernel_table;
mod launch;
pub mod modules;
mod pointer;
mod properties;
mod repeats;
mod watch;

pub use buffer::Buffer;
pub use command::Command;
pub use error::{DeviceError, Unusable};
pub use fault::{Fault, FaultAccess, FaultKind, Place};
pub use fetch::Fetch;
pub use launch::{Argument, Launch};
pub use pointer::Pointer;
pub use properties::{DeviceMemory, Properties};
pub use watch::Launched;

use bytemuck::Pod;
use driver::Driver;
use std::sync::Arc;

/// A device that holds buffers and runs kernels. Launches and copies happen in the order in which they are asked for. Clones share the device.
#[derive(Clone)]
pub struct Device {
    driver: Arc<dyn Driver>,
}

impl Device {
    fn new(driver: impl Driver + 'static) -> Self {
        Self { driver: Arc::new(driver) }
    }

    /// What decides the bits of results: `cuda sm_90`, or `emulator`.
    pub fn architecture(&self) -> String {
        self.driver.architecture()
    }

    /// As its vendor calls it: `NVIDIA H100 80GB HBM3`, or `emulator`.
    pub fn name(&self) -> String {
        self.driver.name()
    }

    pub fn properties(&self) -> Properties {
        self.driver.properties()
    }

    /// Whether someone looks at its memory after every launch ([`Device::watched`]).
    pub fn is_watched(&self) -> bool {
        self.driver.is_watched()
    }

    /// Its memory now. `None` where buffers lie in host memory, as the emulator's do, and where the driver does not tell.
    pub fn memory(&self) -> Option<DeviceMemory> {
        self.driver.memory()
    }

    /// A buffer of `len` elements, whose values are unspecified until they are written. `name` stands in errors.
    ///
    /// # Errors
    /// Not enough device memory.
    pub fn allocate<T: Pod>(&self, name: &str, len: usize) -> Result<Buffer<T>, DeviceError> {
        Buffer::new(Arc::clone(&self.driver), name, len)
    }

    /// A buffer with these values.
    ///
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn upload<T: Pod>(&self, name: &str, values: &[T]) -> Result<Buffer<T>, DeviceError> {
        let mut buffer = self.allocate(name, values.len())?;
        buffer.upload(values)?;
        Ok(buffer)
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn zeros<T: Pod>(&self, name: &str, len: usize) -> Result<Buffer<T>, DeviceError> {
        let mut buffer = self.allocate(name, len)?;
        buffer.fill_bytes(0)?;
        Ok(buffer)
    }

    /// Runs a kernel. A GPU may still be at it when this returns; the emulator has finished. What a kernel does wrong stays in
    /// device memory, whose buffers hold plain data, so that a launch with wrong arguments is an error or wrong numbers.
    ///
    /// # Errors
    /// An unknown kernel, arguments or sizes that the device refuses, a [`Fault`] found by the emulator.
    pub fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError> {
        self.driver.launch(launch, arguments)
    }

    /// Runs a sequence of commands, as launches one after the other would. A device may keep it, to run it faster when it comes again.
    ///
    /// # Errors
    /// As [`Self::launch`].
    pub fn run(&self, commands: &[Command]) -> Result<(), DeviceError> {
        self.driver.run(commands)
    }

    /// Waits until everything asked for so far is done.
    ///
    /// # Errors
    /// A launch that failed since the last call.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.driver.synchronize()
    }

    /// Begins the part that a profiler looks at, if one watches (`ncu --profile-from-start off`, `nsys --capture-range=cudaProfilerApi`).
    /// The emulator does nothing.
    ///
    /// # Errors
    /// An error of the driver.
    pub fn start_profiler(&self) -> Result<(), DeviceError> {
        self.driver.start_profiler()
    }

    /// Ends what [`Self::start_profiler`] began, when everything asked for so far is done.
    ///
    /// # Errors
    /// A launch that failed since the last call, or an error of the driver.
    pub fn stop_profiler(&self) -> Result<(), DeviceError> {
        self.driver.synchronize()?;
        self.driver.stop_profiler()
    }
}
