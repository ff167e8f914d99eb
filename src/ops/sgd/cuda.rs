//! The update on a device: kernels/optimizer.cu. The last argument of every launch is the number of entries of its table, a u32 in device memory.

use super::Sgd;
use crate::device::{Launch, Pointer};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// Threads of a block, and elements that each moves.
const THREADS: u32 = 256;
const ELEMENTS_PER_THREAD: u32 = 4;
const CHUNK_ELEMENTS: usize = (THREADS * ELEMENTS_PER_THREAD) as usize;

/// Shared memory: a flag; an f64 of every warp.
const FLAG_BYTES: u32 = 4;
const WARP_SUMS_BYTES: u32 = THREADS / 32 * 8;

const HAS_GRADIENT: u32 = 1;
const FIRST_UPDATE: u32 = 2;

/// Elements of one parameter that one block moves.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct SgdChunk {
    first: u32,
    count: u32,
    replica: u32,
    flags: u32,
}

/// A replica's banks, and how they move.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SgdSettings {
    pub weights: Pointer,
    pub momenta: Pointer,
    pub gradients: Pointer,
    /// u32: nothing moves where it is 0.
    pub is_finite: Pointer,
    /// f32 that multiplies gradients; null: 1.
    pub factor: Pointer,
    pub rate: f32,
    pub weight_decay: f32,
    pub momentum: f32,
    pub nesterov: u32,
}

/// What the norm of a replica's gradients is limited to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct ClipTask {
    /// f32
    pub factor: Pointer,
    pub limit: f64,
    /// In the table of chunks.
    pub first: u32,
    pub chunks: u32,
}

/// Losses of a lane's images.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Losses {
    /// f32
    pub losses: Pointer,
    pub images: u64,
}

/// A replica's lanes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct LossTask {
    /// u32: 1 if all losses are finite, else 0.
    pub is_finite: Pointer,
    /// In the table of losses.
    pub first: u32,
    pub lanes: u32,
}

// kernels/optimizer.cu asserts the same.
const _: () = assert!(size_of::<SgdChunk>() == 16 && size_of::<SgdSettings>() == 56 && size_of::<ClipTask>() == 24);
const _: () = assert!(size_of::<Losses>() == 16 && size_of::<LossTask>() == 16);

impl SgdChunk {
    /// The chunks of a parameter whose elements lie in `range` of the bank; without a gradient it is zero, and momentum is what `first` begins.
    ///
    /// # Panics
    /// If the bank has 2^32 elements or more.
    pub fn of_parameter(
        range: Range<usize>,
        replica: u32,
        has_gradient: bool,
        first: bool,
    ) -> impl Iterator<Item = Self> {
        let flags = if has_gradient { HAS_GRADIENT } else { 0 } | if first { FIRST_UPDATE } else { 0 };
        range.clone().step_by(CHUNK_ELEMENTS).map(move |start| Self {
            first: u32::try_from(start).expect("a bank of less than 2^32 elements"),
            count: CHUNK_ELEMENTS.min(range.end - start) as u32,
            replica,
            flags,
        })
    }
}

impl SgdSettings {
    /// Without banks.
    pub fn new(sgd: &Sgd, rate: f64) -> Self {
        let [rate, weight_decay, momentum] = [rate, sgd.weight_decay, sgd.momentum].map(|x| x as f32);
        Self { rate, weight_decay, momentum, nesterov: sgd.nesterov.into(), ..Self::zeroed() }
    }
}

/// Arguments: tasks, losses, count.
pub fn check_losses(replicas: u32) -> Launch {
    Launch { shared_bytes: FLAG_BYTES, ..Launch::new("check_losses", replicas, THREADS) }
}

/// Squares of the gradients of every chunk. Arguments: sums (f64, one a chunk), chunks, settings, count.
pub fn sum_squares(chunks: u32) -> Launch {
    Launch { shared_bytes: WARP_SUMS_BYTES, ..Launch::new("sum_squares", chunks, THREADS) }
}

/// Arguments: tasks, sums, count.
pub fn clip_factors(replicas: u32) -> Launch {
    Launch { shared_bytes: WARP_SUMS_BYTES, ..Launch::new("clip_factors", replicas, THREADS) }
}

/// Moves what chunks list. Arguments: chunks, settings, count.
pub fn sgd_update(chunks: u32) -> Launch {
    Launch::new("sgd_update", chunks, THREADS)
}
