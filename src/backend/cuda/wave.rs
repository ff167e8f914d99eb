//! Lanes that run together, and where everything of them lies.

use super::Cuda;
use super::layout::{LaneLayout, LaneShape, Sizes};
use super::memory::Memory;
use super::replica::DeviceReplica;
use crate::backend::{BatchStatistics, LanePlan, LoadedBatch};
use crate::device::Pointer;
use crate::network::{Bank, Model};
use crate::ops::cuda::Storage;
use crate::plan::Gates;

/// Lanes that run together at most: enough for small lanes to fill a large GPU.
pub const MOST_LANES: usize = 64;

/// One lane of a step or of an evaluation.
pub struct WaveLane<'a> {
    pub model: &'a Model,
    pub replica: &'a DeviceReplica,
    /// Of the replica in the step.
    pub number: usize,
    pub plan: &'a LanePlan,
    pub batch: &'a LoadedBatch<Cuda>,
    pub gates: Option<&'a Gates>,
    pub training: bool,
    pub weight_gradients: bool,
    pub keeps_row: bool,
    /// Weights as the host has them, where statistics are given.
    pub bank: Option<&'a Bank<f32>>,
    /// By value; none where the batch itself is measured. Empty: nowhere.
    pub given: Vec<Option<BatchStatistics>>,
}

impl WaveLane<'_> {
    pub fn images(&self) -> usize {
        self.batch.labels.len()
    }

    pub fn shape(&self) -> LaneShape<'_> {
        LaneShape {
            plan: self.plan,
            images: self.images(),
            training: self.training,
            weight_gradients: self.weight_gradients,
            keeps_row: self.keeps_row,
            gated: self.training && self.gates.is_some(),
            given: &self.given,
        }
    }
}

/// A wave.
pub struct Wave<'a> {
    pub lanes: Vec<WaveLane<'a>>,
    pub layouts: Vec<LaneLayout>,
    pub sizes: Sizes,
}

/// Lanes in waves that run one after the other. They use the same memory, but for their results.
pub struct Waves<'a> {
    pub waves: Vec<Wave<'a>>,
    /// `results`: of each replica a u32, whether all its losses are finite.
    is_finite: usize,
    /// `results`: of each replica an f32, what multiplies its gradients.
    factors: usize,
    /// What all of them need.
    pub sizes: Sizes,
}

impl<'a> Waves<'a> {
    /// Of so many replicas; `most` lanes run together at most.
    pub fn new(replicas: usize, lanes: impl IntoIterator<Item = WaveLane<'a>>, most: usize, storage: Storage) -> Self {
        let mut lanes = lanes.into_iter().peekable();
        let mut waves: Vec<Wave<'a>> = Vec::new();
        let mut all = Sizes::default();
        let [is_finite, factors] = [0, 1].map(|_| all.results.take::<u32>(replicas));
        while lanes.peek().is_some() {
            let lanes: Vec<WaveLane<'a>> = lanes.by_ref().take(most).collect();
            let mut sizes = all.next();
            let layouts = lanes.iter().map(|lane| LaneLayout::new(&lane.shape(), storage, &mut sizes)).collect();
            all = all.or(&sizes);
            waves.push(Wave { lanes, layouts, sizes });
        }
        Self { waves, is_finite, factors, sizes: all }
    }

    /// Whether all losses of a replica are finite.
    pub fn is_finite(&self, memory: &Memory, replica: usize) -> Pointer {
        memory.results.pointer(self.is_finite + replica * size_of::<u32>())
    }

    /// What multiplies the gradients of a replica.
    pub fn factor(&self, memory: &Memory, replica: usize) -> Pointer {
        memory.results.pointer(self.factors + replica * size_of::<f32>())
    }

    /// Lanes with their places, in order.
    pub fn lanes(&self) -> impl Iterator<Item = (&WaveLane<'a>, &LaneLayout)> {
        self.waves.iter().flat_map(|wave| wave.lanes.iter().zip(&wave.layouts))
    }
}
