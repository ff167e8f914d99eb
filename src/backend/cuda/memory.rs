//! The buffers of a device that all steps use.

use super::layout::Sizes;
use super::places::Growing;
use crate::device::{Command, Device, DeviceError};

pub struct Memory {
    pub device: Device,
    pub arena: Growing<u8>,
    pub work: Growing<u8>,
    pub rows: Growing<u8>,
    pub losses: Growing<u8>,
    pub results: Growing<u8>,
    pub counters: Growing<u32>,
}

impl Memory {
    pub fn new(device: Device) -> Self {
        Self {
            device,
            arena: Growing::new("feature maps"),
            work: Growing::new("partial sums"),
            rows: Growing::new("rows of gradients"),
            losses: Growing::new("losses"),
            results: Growing::new("results"),
            counters: Growing::new("counters"),
        }
    }

    /// Room for some lanes.
    ///
    /// # Errors
    /// Not enough device memory.
    pub fn reserve(&mut self, sizes: &Sizes) -> Result<(), DeviceError> {
        self.arena.reserve(&self.device, sizes.arena.bytes())?;
        self.work.reserve(&self.device, sizes.work.bytes())?;
        self.rows.reserve(&self.device, sizes.rows.bytes())?;
        self.losses.reserve(&self.device, sizes.losses.bytes())?;
        self.results.reserve(&self.device, sizes.results.bytes())?;
        self.counters.reserve(&self.device, sizes.counters)?;
        Ok(())
    }
}

/// Sets the first bytes of a buffer to zero.
pub fn zeros(buffer: &Growing<u8>, bytes: usize) -> Command {
    Command::Fill { to: buffer.pointer(0), byte: 0, bytes }
}
