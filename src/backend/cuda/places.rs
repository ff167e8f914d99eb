//! Places in device memory, laid out before the memory is there.

use crate::device::{Buffer, Device, DeviceError, Pointer};
use bytemuck::Pod;
use std::ops::AddAssign;

/// A vector load's worth, so that nothing shares one with its neighbour.
const ALIGNMENT: usize = 64;

/// Hands out places one after another.
#[derive(Clone, Copy, Default)]
pub struct Places {
    bytes: usize,
}

impl AddAssign for Places {
    fn add_assign(&mut self, others: Self) {
        self.bytes += others.bytes;
    }
}

impl Places {
    /// The offset of so many elements.
    pub fn take<T>(&mut self, elements: usize) -> usize {
        let place = self.bytes;
        self.bytes = (place + elements * size_of::<T>()).next_multiple_of(ALIGNMENT);
        place
    }

    /// Bytes handed out.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many, one after another.
    pub fn times(self, count: usize) -> Self {
        Self { bytes: self.bytes.saturating_mul(count) }
    }

    /// The longer one.
    pub fn or(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes) }
    }
}

/// Device memory that grows when more is asked for; it is used again and again.
pub struct Growing<T> {
    name: &'static str,
    buffer: Option<Buffer<T>>,
}

impl<T: Pod> Growing<T> {
    pub const fn new(name: &'static str) -> Self {
        Self { name, buffer: None }
    }

    /// A buffer of at least `len` elements. Where it has to grow, what was there is lost and every byte becomes zero.
    ///
    /// # Errors
    /// Not enough device memory.
    pub fn reserve(&mut self, device: &Device, len: usize) -> Result<&mut Buffer<T>, DeviceError> {
        if self.buffer.as_ref().is_none_or(|buffer| buffer.len() < len) {
            self.buffer = None;
            self.buffer = Some(device.zeros(self.name, len)?);
        }
        Ok(self.buffer.as_mut().expect("just made"))
    }

    /// Writes these values to the start of a buffer that holds them.
    ///
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn fill_with(&mut self, device: &Device, values: &[T]) -> Result<(), DeviceError> {
        self.reserve(device, values.len())?.write(0, values)
    }

    pub fn buffer(&self) -> &Buffer<T> {
        self.buffer.as_ref().expect("reserved before it is used")
    }

    /// Of an element.
    pub fn pointer(&self, index: usize) -> Pointer {
        Pointer::to(self.buffer(), index)
    }
}
