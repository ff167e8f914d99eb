//! Typed device memory.

use super::driver::Driver;
use super::{DeviceError, Fetch};
use bytemuck::Pod;
use std::marker::PhantomData;
use std::sync::Arc;

/// `len` elements of device memory, freed when dropped. It starts at a multiple of 256 bytes.
pub struct Buffer<T> {
    driver: Arc<dyn Driver>,
    name: String,
    address: u64,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    pub(super) fn new(driver: Arc<dyn Driver>, name: &str, len: usize) -> Result<Self, DeviceError> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .ok_or_else(|| DeviceError::out_of_memory(name, usize::MAX, driver.memory()))?;
        let address = driver.allocate(name, at_least_one(bytes))?;
        Ok(Self { driver, name: name.to_owned(), address, len, element: PhantomData })
    }

    /// Writes all elements.
    ///
    /// # Errors
    /// Another number of values than the buffer holds, or an error of the driver.
    pub fn upload(&mut self, values: &[T]) -> Result<(), DeviceError> {
        self.check_len(values.len())?;
        self.driver.upload(self.address, bytemuck::cast_slice(values))
    }

    /// Writes some elements, from element `first` on.
    ///
    /// # Errors
    /// More values than the buffer holds there, or an error of the driver.
    pub fn write(&mut self, first: usize, values: &[T]) -> Result<(), DeviceError> {
        self.check_range(first, values.len())?;
        self.driver.upload(self.address + (first * size_of::<T>()) as u64, bytemuck::cast_slice(values))
    }

    /// Elements `first` to `first + values.len()`, as [`Self::download`].
    ///
    /// # Errors
    /// Fewer elements than that, a launch before that failed, or an error of the driver.
    pub fn read(&self, first: usize, values: &mut [T]) -> Result<(), DeviceError> {
        self.check_range(first, values.len())?;
        self.driver.download(bytemuck::cast_slice_mut(values), self.address + (first * size_of::<T>()) as u64)
    }

    /// Elements `first` to `first + len` as bytes, after everything asked of the device before; [`Fetch::wait`] waits for them.
    ///
    /// # Errors
    /// Fewer elements than that, or an error of the driver.
    pub fn fetch(&self, first: usize, len: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        self.check_range(first, len)?;
        self.driver.fetch(self.address + (first * size_of::<T>()) as u64, len * size_of::<T>())
    }

    /// All elements, after everything asked of the device before.
    ///
    /// # Errors
    /// A launch before that failed, or an error of the driver.
    pub fn download(&self) -> Result<Vec<T>, DeviceError> {
        let mut values = vec![T::zeroed(); self.len];
        self.driver.download(bytemuck::cast_slice_mut(&mut values), self.address)?;
        Ok(values)
    }

    /// Sets every byte.
    ///
    /// # Errors
    /// An error of the driver.
    pub fn fill_bytes(&mut self, byte: u8) -> Result<(), DeviceError> {
        self.driver.fill(self.address, byte, self.len * size_of::<T>())
    }

    fn check_len(&self, values: usize) -> Result<(), DeviceError> {
        let name = || self.name.clone();
        if values == self.len { Ok(()) } else { Err(DeviceError::Length { name: name(), values, len: self.len }) }
    }

    fn check_range(&self, first: usize, values: usize) -> Result<(), DeviceError> {
        let room = self.len.saturating_sub(first);
        if values <= room { Ok(()) } else { Err(DeviceError::Length { name: self.name.clone(), values, len: room }) }
    }
}

impl<T> Buffer<T> {
    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it begins in device memory.
    pub(super) fn address(&self) -> u64 {
        self.address
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.driver.release(self.address, at_least_one(self.len * size_of::<T>()));
    }
}

/// No device allocates nothing.
fn at_least_one(bytes: usize) -> usize {
    bytes.max(1)
}
