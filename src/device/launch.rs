//! What to launch: a kernel by its name, the shape of the grid, the arguments.

use super::{Buffer, Pointer};
use bytemuck::Pod;

/// A launch of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Launch {
    pub kernel: &'static str,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Shared memory of a block; all shared memory is dynamic.
    pub shared_bytes: u32,
    /// All blocks run at the same time and may use a grid barrier.
    pub cooperative: bool,
}

impl Launch {
    /// `blocks` blocks of `threads` threads in a row, without shared memory.
    pub const fn new(kernel: &'static str, blocks: u32, threads: u32) -> Self {
        Self { kernel, grid: [blocks, 1, 1], block: [threads, 1, 1], shared_bytes: 0, cooperative: false }
    }
}

/// One argument of a kernel, in the order of its parameters.
pub struct Argument {
    /// Aligned as any parameter may have to be.
    words: Vec<u128>,
    bytes: usize,
}

impl Argument {
    /// A pointer to the first element of a buffer.
    pub fn buffer<T>(buffer: &Buffer<T>) -> Self {
        Self::value(buffer.address())
    }

    /// A number, or a structure of the same layout as the kernel's.
    pub fn value<T: Pod>(value: T) -> Self {
        let bytes = size_of::<T>();
        let mut words = vec![0; bytes.div_ceil(size_of::<u128>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes].copy_from_slice(bytemuck::bytes_of(&value));
        Self { words, bytes }
    }

    /// One a pointer.
    pub(super) fn pointers(pointers: &[Pointer]) -> Vec<Self> {
        pointers.iter().map(|pointer| Self::value(*pointer)).collect()
    }

    /// The value again.
    ///
    /// # Panics
    /// If a `T` has another size.
    pub(super) fn read<T: Pod>(&self) -> T {
        assert_eq!(self.bytes, size_of::<T>(), "the size of the argument");
        bytemuck::pod_read_unaligned(&bytemuck::cast_slice(&self.words)[..self.bytes])
    }

    /// Size of the value.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the value lies, while this lives.
    pub(super) fn pointer(&self) -> *mut std::ffi::c_void {
        self.words.as_ptr().cast_mut().cast()
    }
}
