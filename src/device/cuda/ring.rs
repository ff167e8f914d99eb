//! Uploads that do not wait: a ring of pinned memory, each slot free again when its copy is done.

use super::pinned::Pinned;
use crate::device::DeviceError;
use cudarc::driver::CudaStream;

/// Copies that may be under way.
const SLOTS: usize = 4;

/// What is longer is copied at once, and waited for.
pub const LONGEST: usize = 16 << 20;

pub struct Ring {
    slots: [Pinned; SLOTS],
    next: usize,
}

impl Ring {
    /// # Errors
    /// Those of the driver.
    pub fn new() -> Result<Self, DeviceError> {
        Ok(Self { slots: [Pinned::new()?, Pinned::new()?, Pinned::new()?, Pinned::new()?], next: 0 })
    }

    /// As [`Pinned::upload`], from the next slot.
    ///
    /// # Errors
    /// No pinned memory, or an error of the driver.
    pub fn upload(&mut self, stream: &CudaStream, to: u64, from: &[u8]) -> Result<(), DeviceError> {
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        self.slots[slot].upload(stream, to, from)
    }
}
