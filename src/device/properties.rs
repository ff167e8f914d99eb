//! What a device is and what it has left: for planning waves, and for refusing what does not fit.

/// What does not change while a device is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    pub multiprocessors: u32,
    pub l2_bytes: u64,
    pub memory_bytes: u64,
    /// That a block may ask for.
    pub shared_bytes_per_block: u32,
}

/// A device's memory at one moment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    pub free: usize,
    pub total: usize,
    /// In buffers of this program.
    pub own: usize,
}

impl DeviceMemory {
    /// What this program's buffers can hold together: what is free, and what they hold already.
    pub fn available(&self) -> usize {
        self.free.saturating_add(self.own)
    }

    /// Neither free nor in this program's buffers: contexts, the driver, other processes.
    pub fn taken(&self) -> usize {
        self.total.saturating_sub(self.available())
    }
}
