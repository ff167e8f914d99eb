//! Memory that kernels reuse from call to call.

use crate::tensor::Buffer;

/// Numbers on a cache line.
const LINE: usize = 16;

/// A growing arena of aligned numbers. It holds nothing between calls; keep one per thread.
pub struct Scratch {
    buffer: Buffer<f32>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { buffer: Buffer::zeroed(0) }
    }
}

impl Scratch {
    /// Disjoint slices of these lengths, each 64-byte aligned; their contents are whatever an earlier call left.
    pub fn split<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let total: usize = lengths.iter().map(|length| length.next_multiple_of(LINE)).sum();
        if self.buffer.len() < total {
            self.buffer = Buffer::zeroed(total.next_multiple_of(1 << 12));
        }
        let mut rest: &mut [f32] = &mut self.buffer;
        lengths.map(|length| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(length.next_multiple_of(LINE));
            rest = tail;
            &mut head[..length]
        })
    }
}
