//! Pinned host memory, from which and to which a GPU copies on its own.

use super::failure::failed;
use crate::device::DeviceError;
use crate::device::fetch::Fetch;
use cudarc::driver::{CudaContext, CudaStream, result, sys};
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

/// Memory that grows when more is asked for, and an event that tells when its copy is done.
pub struct Pinned {
    memory: *mut c_void,
    bytes: usize,
    /// Recorded after the copy.
    copied: sys::CUevent,
}

// SAFETY: pinned memory and events belong to no thread; one has them at a time.
unsafe impl Send for Pinned {}

impl Pinned {
    /// Without memory.
    ///
    /// # Errors
    /// Those of the driver.
    pub fn new() -> Result<Self, DeviceError> {
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
        let copied = result::event::create(flags).map_err(failed("making an event"))?;
        Ok(Self { memory: std::ptr::null_mut(), bytes: 0, copied })
    }

    /// Copies to the device behind what the stream has to do, once the copy before is done. The bytes may change when this returns.
    ///
    /// # Errors
    /// No pinned memory, or an error of the driver.
    pub fn upload(&mut self, stream: &CudaStream, to: u64, from: &[u8]) -> Result<(), DeviceError> {
        self.wait()?;
        self.reserve(from.len())?;
        // SAFETY: the memory holds so many bytes, and nothing reads it until the copy, which is asked for after it is written; the device's
        // bytes lie in one buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(from.as_ptr(), self.memory.cast(), from.len());
            let pinned = std::slice::from_raw_parts(self.memory.cast::<u8>(), from.len());
            result::memcpy_htod_async(to, pinned, stream.cu_stream()).map_err(failed("uploading"))?;
        }
        self.record(stream)
    }

    /// Asks for a copy from the device, behind what the stream has to do.
    ///
    /// # Errors
    /// No pinned memory, or an error of the driver.
    pub fn download(&mut self, stream: &CudaStream, from: u64, bytes: usize) -> Result<(), DeviceError> {
        self.wait()?;
        self.reserve(bytes)?;
        // SAFETY: the memory holds so many bytes, and is not read until the copy is done; the device's bytes lie in one buffer.
        unsafe {
            std::ptr::write_bytes(self.memory.cast::<u8>(), 0, bytes);
            let pinned = std::slice::from_raw_parts_mut(self.memory.cast::<u8>(), bytes);
            result::memcpy_dtoh_async(pinned, from, stream.cu_stream()).map_err(failed("downloading"))?;
        }
        self.record(stream)
    }

    /// What was copied from the device.
    fn copied(&self, bytes: usize) -> Result<Vec<u8>, DeviceError> {
        self.wait()?;
        // SAFETY: so many bytes were written by `download`, and the copy is done.
        Ok(unsafe { std::slice::from_raw_parts(self.memory.cast::<u8>(), bytes) }.to_vec())
    }

    fn record(&self, stream: &CudaStream) -> Result<(), DeviceError> {
        // SAFETY: both live.
        unsafe { result::event::record(self.copied, stream.cu_stream()) }.map_err(failed("recording an event"))
    }

    /// Until the last copy is done.
    fn wait(&self) -> Result<(), DeviceError> {
        // SAFETY: the event lives; one that was never recorded is done.
        unsafe { result::event::synchronize(self.copied) }.map_err(failed("waiting for a copy"))
    }

    /// Room for so many bytes. The last copy is done.
    fn reserve(&mut self, bytes: usize) -> Result<(), DeviceError> {
        if self.bytes >= bytes && !self.memory.is_null() {
            return Ok(());
        }
        self.release();
        let bytes = bytes.max(1).next_power_of_two();
        // SAFETY: it is written before it is read.
        self.memory = unsafe { result::malloc_host(bytes, 0) }.map_err(failed("allocating pinned memory"))?;
        self.bytes = bytes;
        Ok(())
    }

    fn release(&mut self) {
        if !self.memory.is_null() {
            // SAFETY: allocated by `reserve`, released once. A driver that failed before fails here too, and has nothing to say that was not
            // said.
            let _ = unsafe { result::free_host(self.memory) };
        }
        (self.memory, self.bytes) = (std::ptr::null_mut(), 0);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.wait();
        // SAFETY: made by `new`, destroyed once, when its copy is done; as above of a driver that failed.
        let _ = unsafe { result::event::destroy(self.copied) };
        self.release();
    }
}

/// Pinned memory that waits to be used again.
pub type Free = Arc<Mutex<Vec<Pinned>>>;

/// A copy from the device that may not be done.
pub struct PinnedFetch {
    /// None only while it is dropped.
    pinned: Option<Pinned>,
    bytes: usize,
    free: Free,
    context: Arc<CudaContext>,
}

impl PinnedFetch {
    /// # Errors
    /// No pinned memory, or an error of the driver.
    pub fn new(
        context: &Arc<CudaContext>,
        stream: &CudaStream,
        free: &Free,
        from: u64,
        bytes: usize,
    ) -> Result<Self, DeviceError> {
        let known = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut pinned = known.map_or_else(Pinned::new, Ok)?;
        pinned.download(stream, from, bytes)?;
        Ok(Self { pinned: Some(pinned), bytes, free: free.clone(), context: context.clone() })
    }
}

impl Fetch for PinnedFetch {
    fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        self.context.bind_to_thread().map_err(failed("binding the context"))?;
        self.pinned.as_ref().map_or_else(|| Ok(Vec::new()), |pinned| pinned.copied(self.bytes))
    }
}

impl Drop for PinnedFetch {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.pinned.take());
    }
}
