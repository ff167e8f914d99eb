//! Lanes that run together, and where everything of them lies.

use super::Cuda;
use super::lane_program::{LaneProgram, LanePrograms};
use super::layout::{LaneShape, Sizes};
use super::memory::Memory;
use super::replica::DeviceReplica;
use super::wave_planner::{Load, WavePlanner};
use crate::backend::{BatchStatistics, LanePlan, LoadedBatch};
use crate::device::Pointer;
use crate::network::{Bank, Model};
use crate::plan::Gates;
use std::sync::Arc;

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
    pub placed: Vec<PlacedProgram>,
    pub sizes: Sizes,
}

/// A lane's program, and what of every buffer lies before the lane.
pub struct PlacedProgram {
    pub program: Arc<LaneProgram>,
    pub before: Sizes,
}

/// Puts lanes into waves, one after another.
pub struct WaveFiller<'a> {
    planner: &'a WavePlanner,
    load: Load,
    /// What the last wave needs.
    pub sizes: Sizes,
    /// What all of them need.
    pub all: Sizes,
}

impl<'a> WaveFiller<'a> {
    /// `first`: what the first wave's results come after.
    pub fn new(planner: &'a WavePlanner, first: Sizes) -> Self {
        Self { planner, load: Load::default(), sizes: first, all: first }
    }

    /// Where the next lane lies, and whether it begins a wave.
    pub fn place(&mut self, program: Arc<LaneProgram>) -> (PlacedProgram, bool) {
        let is_new = self.load.lanes == 0 || !self.planner.admits(self.load, program.load);
        if is_new {
            self.sizes = self.sizes.next();
            self.load = Load::default();
        }
        let before = self.sizes;
        self.load = self.load + program.load;
        self.sizes += program.sizes;
        self.all = self.all.or(&self.sizes);
        (PlacedProgram { program, before }, is_new)
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
        programs: &mut LanePrograms,
    ) -> Self {
        let mut first = Sizes::default();
        let [is_finite, factors] = [0, 1].map(|_| first.results.take::<u32>(replicas));
        let mut filler = WaveFiller::new(planner, first);
        let mut waves: Vec<Wave<'a>> = Vec::new();
        for lane in lanes {
            let (placed, is_new) = filler.place(programs.of(&lane.shape()));
            if is_new {
                waves.push(Wave { lanes: Vec::new(), placed: Vec::new(), sizes: Sizes::default() });
            }
            let wave = waves.last_mut().expect("the first lane begins a wave");
            wave.lanes.push(lane);
            wave.placed.push(placed);
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
    pub fn lanes(&self) -> impl Iterator<Item = (&WaveLane<'a>, &PlacedProgram)> {
        self.waves.iter().flat_map(|wave| wave.lanes.iter().zip(&wave.placed))
    }
}
