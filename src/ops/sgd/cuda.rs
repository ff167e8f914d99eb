//! The update on a device: every parameter of every replica in one launch of `sgd_update` (kernels/optimizer.cu).

use super::Sgd;
use crate::device::{Argument, Buffer, Device, DeviceError, Launch};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// Threads of a block, and elements that each moves.
const THREADS: u32 = 256;
const ELEMENTS_PER_THREAD: u32 = 4;
const CHUNK_ELEMENTS: usize = (THREADS * ELEMENTS_PER_THREAD) as usize;

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

/// What changes from step to step, for one replica.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SgdSettings {
    rate: f32,
    weight_decay: f32,
    momentum: f32,
    scale: f32,
    nesterov: u32,
}

impl SgdChunk {
    /// The chunks of a parameter whose elements lie in `range` of the banks; without a gradient it is zero, and momentum is what `first` begins.
    ///
    /// # Panics
    /// If the banks have 2^32 elements or more.
    pub fn of_parameter(
        range: Range<usize>,
        replica: u32,
        has_gradient: bool,
        first: bool,
    ) -> impl Iterator<Item = Self> {
        let flags = if has_gradient { HAS_GRADIENT } else { 0 } | if first { FIRST_UPDATE } else { 0 };
        range.clone().step_by(CHUNK_ELEMENTS).map(move |start| Self {
            first: u32::try_from(start).expect("banks of less than 2^32 elements"),
            count: CHUNK_ELEMENTS.min(range.end - start) as u32,
            replica,
            flags,
        })
    }
}

// kernels/optimizer.cu asserts the same.
const _: () = assert!(size_of::<SgdChunk>() == 16 && size_of::<SgdSettings>() == 20);

impl SgdSettings {
    /// `scale` multiplies gradients: [`Sgd::clip_factor`].
    pub fn new(sgd: &Sgd, rate: f64, scale: f64) -> Self {
        let [rate, weight_decay, momentum, scale] = [rate, sgd.weight_decay, sgd.momentum, scale].map(|x| x as f32);
        Self { rate, weight_decay, momentum, scale, nesterov: sgd.nesterov.into() }
    }
}

/// Banks of one layout in device memory; those of several replicas stand one after another.
pub struct SgdBanks {
    pub weights: Buffer<f32>,
    pub momenta: Buffer<f32>,
    pub gradients: Buffer<f32>,
}

/// Moves what `chunks` lists; `settings` has one entry a replica.
///
/// # Errors
/// Those of the launch.
pub fn update(
    device: &Device,
    banks: &SgdBanks,
    chunks: &Buffer<SgdChunk>,
    settings: &Buffer<SgdSettings>,
) -> Result<(), DeviceError> {
    if chunks.is_empty() {
        return Ok(());
    }
    let arguments = [
        Argument::buffer(&banks.weights),
        Argument::buffer(&banks.momenta),
        Argument::buffer(&banks.gradients),
        Argument::buffer(chunks),
        Argument::buffer(settings),
    ];
    device.launch(&Launch::new("sgd_update", chunks.len() as u32, THREADS), &arguments)
}
