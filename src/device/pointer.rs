//! Addresses in tables that kernels read.

use super::Buffer;
use bytemuck::{Pod, Zeroable};

/// The address of an element of a buffer, or null. It says nothing about how long the buffer lives: whoever launches a kernel that reads
/// it keeps the buffer.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Pointer(u64);

impl Pointer {
    pub const NULL: Self = Self(0);

    /// Of element `index` of a buffer; `index` may be its length.
    ///
    /// # Panics
    /// If the buffer is shorter.
    pub fn to<T>(buffer: &Buffer<T>, index: usize) -> Self {
        assert!(index <= buffer.len(), "an element of the buffer");
        Self(buffer.address() + (index * size_of::<T>()) as u64)
    }

    pub(super) fn address(self) -> u64 {
        self.0
    }
}
