//! What an implementation of a device does, in bytes and addresses.

use super::{Argument, Command, DeviceError, Fetch, Launch};

/// Addresses are those that `allocate` returned, or inside such a buffer; [`super::Buffer`] checks lengths before it calls.
pub trait Driver: Send + Sync {
    /// What decides the bits of a kernel's results.
    fn architecture(&self) -> String;
    fn allocate(&self, name: &str, bytes: usize) -> Result<u64, DeviceError>;
    fn release(&self, address: u64);
    fn upload(&self, to: u64, from: &[u8]) -> Result<(), DeviceError>;
    fn download(&self, to: &mut [u8], from: u64) -> Result<(), DeviceError>;
    /// A download behind what was asked for so far, which does not wait for it.
    fn fetch(&self, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError>;
    fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), DeviceError>;
    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError>;

    /// A sequence that may come again.
    fn run(&self, commands: &[Command]) -> Result<(), DeviceError>;

    fn synchronize(&self) -> Result<(), DeviceError>;
}
