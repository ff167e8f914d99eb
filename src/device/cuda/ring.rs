//! Uploads that do not wait: a ring of pinned memory, each slot free again when its copy is done.

use super::gpu::failed;
use crate::device::DeviceError;
use cudarc::driver::{CudaStream, result, sys};
use std::ffi::c_void;

/// Copies that may be under way.
const SLOTS: usize = 4;

/// What is longer is copied at once, and waited for.
pub const LONGEST: usize = 16 << 20;

pub struct Ring {
    slots: [Slot; SLOTS],
    next: usize,
}

struct Slot {
    memory: *mut c_void,
    bytes: usize,
    /// Recorded after the slot's copy.
    copied: sys::CUevent,
}

// SAFETY: pinned memory and events belong to no thread; the ring is used behind a mutex.
unsafe impl Send for Ring {}

impl Ring {
    /// # Errors
    /// Those of the driver.
    pub fn new() -> Result<Self, DeviceError> {
        let slot = || {
            let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
            let copied = result::event::create(flags).map_err(failed("making an event"))?;
            Ok::<_, DeviceError>(Slot { memory: std::ptr::null_mut(), bytes: 0, copied })
        };
        Ok(Self { slots: [slot()?, slot()?, slot()?, slot()?], next: 0 })
    }

    /// Copies to the device behind what the stream has to do. The bytes may change when this returns.
    ///
    /// # Errors
    /// No pinned memory, or an error of the driver.
    pub fn upload(&mut self, stream: &CudaStream, to: u64, from: &[u8]) -> Result<(), DeviceError> {
        let slot = &mut self.slots[self.next];
        self.next = (self.next + 1) % SLOTS;
        // SAFETY: the event lives; one that was never recorded is done.
        unsafe { result::event::synchronize(slot.copied) }.map_err(failed("waiting for an upload"))?;
        slot.reserve(from.len())?;
        // SAFETY: the slot holds so many bytes, and nothing reads it until the copy, which is asked for after it is written; the device's
        // bytes lie in one buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(from.as_ptr(), slot.memory.cast(), from.len());
            let pinned = std::slice::from_raw_parts(slot.memory.cast::<u8>(), from.len());
            result::memcpy_htod_async(to, pinned, stream.cu_stream()).map_err(failed("uploading"))?;
            result::event::record(slot.copied, stream.cu_stream()).map_err(failed("recording an event"))
        }
    }
}

impl Slot {
    /// Room for so many bytes. The slot's last copy is done.
    fn reserve(&mut self, bytes: usize) -> Result<(), DeviceError> {
        if self.bytes >= bytes {
            return Ok(());
        }
        self.release();
        let bytes = bytes.next_power_of_two();
        // SAFETY: it is written before it is read.
        self.memory = unsafe { result::malloc_host(bytes, 0) }.map_err(failed("allocating pinned memory"))?;
        self.bytes = bytes;
        Ok(())
    }

    fn release(&mut self) {
        if !self.memory.is_null() {
            // SAFETY: allocated by `reserve`, released once.
            let _ = unsafe { result::free_host(self.memory) };
        }
        (self.memory, self.bytes) = (std::ptr::null_mut(), 0);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the event was made by `Ring::new`, and is destroyed once; pinned memory is released when its copy is done. A driver that
        // failed before fails here too, and has nothing to say that was not said.
        unsafe {
            let _ = result::event::synchronize(self.copied);
            let _ = result::event::destroy(self.copied);
        }
        self.release();
    }
}
