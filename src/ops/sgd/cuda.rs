//! The update on a device: every parameter of every replica in one launch of `sgd_update` (kernels/optimizer.cu).

use super::{Sgd, Unsampled};
use crate::device::{Argument, Buffer, Device, DeviceError, Launch};
use crate::network::Model;
use crate::plan::ParameterRef;
use bytemuck::{Pod, Zeroable};

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

// kernels/optimizer.cu asserts the same.
const _: () = assert!(size_of::<SgdChunk>() == 16 && size_of::<SgdSettings>() == 20);

impl SgdSettings {
    /// `scale` multiplies gradients: that of [`super::clip_factor`], or 1.
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

/// What an update moves in a replica whose step used the copies `used` (ascending): these, and with [`Unsampled::Decay`] the
/// shared ones that had a gradient before. `started` is that of the replica's state, and is brought up to date.
///
/// # Panics
/// If the banks have 2^32 elements or more.
pub fn chunks(sgd: &Sgd, model: &Model, started: &mut [bool], used: &[ParameterRef], replica: u32) -> Vec<SgdChunk> {
    let offset = replica as usize * model.layout.len();
    let mut table = Vec::new();
    let mut add = |reference: ParameterRef, flags: u32| {
        let range = model.layout.range(reference.parameter, reference.copy);
        for first in range.clone().step_by(CHUNK_ELEMENTS) {
            let count = CHUNK_ELEMENTS.min(range.end - first) as u32;
            let first = u32::try_from(offset + first).expect("banks of less than 2^32 elements");
            table.push(SgdChunk { first, count, replica, flags });
        }
    };
    if sgd.unsampled == Unsampled::Decay {
        let unused = super::started_but_unused(model, started, |reference| used.binary_search(&reference).is_ok());
        unused.into_iter().for_each(|reference| add(reference, 0));
    }
    for &reference in used {
        let was_started = std::mem::replace(&mut started[model.layout.number(reference)], true);
        add(reference, HAS_GRADIENT | if was_started { 0 } else { FIRST_UPDATE });
    }
    table
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
