//! What an implementation of a device does, in bytes and addresses.

use super::{Argument, Command, DeviceError, DeviceMemory, Fetch, Launch, Properties};

/// Addresses are those that `allocate` returned, or inside such a buffer; [`super::Buffer`] checks lengths before it calls.
pub trait Driver: Send + Sync {
    /// What decides the bits of a kernel's results.
    fn architecture(&self) -> String;
    /// As its vendor calls it.
    fn name(&self) -> String;
    fn properties(&self) -> Properties;
    /// Whether someone looks at its memory after every launch.
    fn is_watched(&self) -> bool {
        false
    }
    /// `None` where buffers lie in host memory, or where the driver does not tell.
    fn memory(&self) -> Option<DeviceMemory>;
    fn allocate(&self, name: &str, bytes: usize) -> Result<u64, DeviceError>;
    /// Gives back what `allocate` returned, with its size.
    fn release(&self, address: u64, bytes: usize);
    fn upload(&self, to: u64, from: &[u8]) -> Result<(), DeviceError>;
    fn download(&self, to: &mut [u8], from: u64) -> Result<(), DeviceError>;
    /// A download behind what was asked for so far, which does not wait for it.
    fn fetch(&self, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError>;
    fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), DeviceError>;
    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError>;

    /// A sequence that may come again.
    fn run(&self, commands: &[Command]) -> Result<(), DeviceError>;

    fn synchronize(&self) -> Result<(), DeviceError>;
    fn start_profiler(&self) -> Result<(), DeviceError>;
    fn stop_profiler(&self) -> Result<(), DeviceError>;
}
