//! Launches that add the parts that blocks of stages leave: kernels/reduction.cu. Their last argument is the number of entries, a u32 in
//! device memory.

use super::StageLaunch;
use crate::device::{Launch, Pointer};
use bytemuck::{Pod, Zeroable};

/// A gradient, the sum of its terms.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Gradient {
    /// f32
    pub to: Pointer,
    /// In the table of terms.
    pub first: u32,
    pub terms: u32,
    /// Numbers.
    pub len: u32,
    /// Not 0: the sum goes on from what is there.
    pub accumulate: u32,
    /// What the sum is multiplied by.
    pub scale: f32,
    pub unused: u32,
}

/// A lane's part of a gradient: its own parts, `from[part][len]`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
pub struct Term {
    /// f32
    pub from: Pointer,
    pub parts: u64,
}

/// Parts of the gradient of a gate.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct GateParts {
    /// f32
    pub from: Pointer,
    /// f64
    pub to: Pointer,
    pub parts: u64,
}

// kernels/reduction.cu asserts the same.
const _: () = assert!(size_of::<Gradient>() == 32 && size_of::<Term>() == 16 && size_of::<GateParts>() == 24);

/// Adds gradients: up to `entries`, the longest of `longest` numbers. Arguments: gradients, terms, count.
pub fn add_gradients(entries: u32, longest: u32) -> Launch {
    let blocks = longest.div_ceil(StageLaunch::THREADS);
    let launch = Launch::new("add_gradients", entries, StageLaunch::THREADS);
    Launch { grid: [entries, blocks, 1], ..launch }
}

/// Adds the sums of gates: up to `entries` entries, in f64. Arguments: entries, count.
pub fn add_gate_parts(entries: u32) -> Launch {
    Launch::new("add_gate_parts", entries.div_ceil(StageLaunch::THREADS / 32), StageLaunch::THREADS)
}
