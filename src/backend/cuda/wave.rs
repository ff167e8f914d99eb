//! Lanes that run together, and where everything of them lies.

use super::Cuda;
use super::layout::{LaneLayout, LaneShape, Sizes};
use super::memory::Memory;
use super::replica::DeviceReplica;
use super::wave_planner::{Load, WavePlanner};
use crate::backend::{BatchStatistics, LanePlan, LoadedBatch};
use crate::device::Pointer;
use crate::network::{Bank, Model};
use crate::ops::cuda::Storage;
use crate::plan::Gates;

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

/// Puts lanes into waves, one after another.
pub struct WaveFiller<'a> {
    planner: &'a WavePlanner,
    storage: Storage,
    load: Load,
    /// What the last wave needs.
    pub sizes: Sizes,
    /// What all of them need.
    pub all: Sizes,
}

impl<'a> WaveFiller<'a> {
    /// `first`: what the first wave's results come after.
    pub fn new(planner: &'a WavePlanner, storage: Storage, first: Sizes) -> Self {
        Self { planner, storage, load: Load::default(), sizes: first, all: first }
    }

    /// Where the next lane lies, and whether it begins a wave.
    pub fn place(&mut self, lane: &LaneShape<'_>) -> (LaneLayout, bool) {
        let mut sizes = self.sizes;
        let mut layout = LaneLayout::new(lane, self.storage, &mut sizes);
        let load = Load::of_lane(lane, &layout.kernels, self.storage, sizes.bytes() - self.sizes.bytes());
        let is_new = self.load.lanes == 0 || !self.planner.admits(self.load, load);
        if is_new {
            sizes = self.sizes.next();
            layout = LaneLayout::new(lane, self.storage, &mut sizes);
            self.load = Load::default();
        }
        self.load = self.load + load;
        self.sizes = sizes;
        self.all = self.all.or(&sizes);
        (layout, is_new)
    }
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
    /// Of so many replicas.
    pub fn new(
        replicas: usize,
        lanes: impl IntoIterator<Item = WaveLane<'a>>,
        planner: &WavePlanner,
        storage: Storage,
    ) -> Self {
        let mut first = Sizes::default();
        let [is_finite, factors] = [0, 1].map(|_| first.results.take::<u32>(replicas));
        let mut filler = WaveFiller::new(planner, storage, first);
        let mut waves: Vec<Wave<'a>> = Vec::new();
        for lane in lanes {
            let (layout, is_new) = filler.place(&lane.shape());
            if is_new {
                waves.push(Wave { lanes: Vec::new(), layouts: Vec::new(), sizes: Sizes::default() });
            }
            let wave = waves.last_mut().expect("the first lane begins a wave");
            wave.lanes.push(lane);
            wave.layouts.push(layout);
            wave.sizes = filler.sizes;
        }
        Self { waves, is_finite, factors, sizes: filler.all }
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
