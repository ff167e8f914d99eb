//! Launches that add the parts that blocks of stages leave: kernels/reduction.cu. Their arguments are the table of [`Parts`] and the number
//! of its entries, a u32 in device memory.

use super::StageLaunch;
use crate::device::{Launch, Pointer};
use bytemuck::{Pod, Zeroable};

/// Parts to be added, `from[part][len]`, and their sum, `to[len]`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Parts {
    /// f32
    pub from: Pointer,
    /// f32; f64 of a gate.
    pub to: Pointer,
    /// 1 for a gate.
    pub len: u32,
    pub parts: u32,
}

// kernels/reduction.cu asserts the same.
const _: () = assert!(size_of::<Parts>() == 24);

/// Adds weight gradients: up to `entries` entries, the longest of `longest` numbers.
pub fn add_parts(entries: u32, longest: u32) -> Launch {
    let blocks = longest.div_ceil(StageLaunch::THREADS);
    let launch = Launch::new("add_parts", blocks, StageLaunch::THREADS);
    Launch { grid: [blocks, entries, 1], ..launch }
}

/// Adds the sums of gates: up to `entries` entries, in f64.
pub fn add_gate_parts(entries: u32) -> Launch {
    Launch::new("add_gate_parts", entries.div_ceil(StageLaunch::THREADS / 32), StageLaunch::THREADS)
}
