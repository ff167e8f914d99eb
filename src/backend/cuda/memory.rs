//! The buffers of a device that all steps use.

use super::layout::Sizes;
use super::places::Growing;
use crate::device::{Device, DeviceError};
use crate::ops::cuda::reduction::Parts;
use crate::ops::cuda::{Source, Stage};
use crate::ops::head::cuda::Head;

pub struct Memory {
    pub device: Device,
    pub arena: Growing<u8>,
    pub work: Growing<u8>,
    pub results: Growing<u8>,
    pub counters: Growing<u32>,
    pub constants: Growing<u8>,
    pub gates: Growing<f32>,
    pub sources: Growing<Source>,
    pub stages: Growing<Stage>,
    pub heads: Growing<Head>,
    /// Tasks of each launch.
    pub counts: Growing<u32>,
    /// Gradients of weights and gates to be added.
    pub parts: Growing<Parts>,
    /// Of all replicas, one after another.
    pub banks: Growing<f32>,
    /// Of all mini-batches, one after another.
    pub images: Growing<f32>,
    pub labels: Growing<u8>,
}

impl Memory {
    pub fn new(device: Device) -> Self {
        Self {
            device,
            arena: Growing::new("feature maps"),
            work: Growing::new("partial sums"),
            results: Growing::new("results"),
            counters: Growing::new("counters"),
            constants: Growing::new("given statistics"),
            gates: Growing::new("gates"),
            sources: Growing::new("sources"),
            stages: Growing::new("stages"),
            heads: Growing::new("heads"),
            counts: Growing::new("numbers of tasks"),
            parts: Growing::new("parts"),
            banks: Growing::new("banks"),
            images: Growing::new("images"),
            labels: Growing::new("labels"),
        }
    }

    /// Room for some lanes. Results begin as zeros.
    ///
    /// # Errors
    /// Not enough device memory.
    pub fn reserve(&mut self, sizes: &Sizes) -> Result<(), DeviceError> {
        self.arena.reserve(&self.device, sizes.arena.bytes())?;
        self.work.reserve(&self.device, sizes.work.bytes())?;
        self.results.reserve(&self.device, sizes.results.bytes())?.fill_bytes(0)?;
        self.counters.reserve(&self.device, sizes.counters)?;
        self.constants.reserve(&self.device, sizes.constants.bytes())?;
        self.gates.reserve(&self.device, sizes.gates)?;
        self.sources.reserve(&self.device, sizes.sources)?;
        Ok(())
    }
}
