//! The backend for devices: lanes side by side, level by level, by the kernels of `kernels/` on a GPU or on the emulator.
//!
//! A step uploads banks, mini-batches and one table of tasks for every launch, and downloads losses, statistics and rows. Tiles and chunks
//! are functions of a stage's shape, so that no result depends on which lanes run together.

mod kernel_cost;
mod kernels;
mod launches;
mod layout;
mod memory;
mod places;
mod program;
mod results;
mod step_plan;
mod tasks;
pub mod update;
mod wave;

pub use step_plan::{KernelRow, LAUNCH_SECONDS, PlannedLane, StepMemory, StepPlan};

use super::LanePlan;
use super::executor::{Demand, Evaluation, Executor, MiniBatch, Regime, TrainLane, TrainResult, WorkingMemory};
use super::normalization::given_statistics;
use crate::device::{Device, DeviceError};
use crate::network::{Bank, Network};
use crate::ops::cuda::Storage;
use layout::{LaneLayout, LaneShape, Sizes};
use memory::Memory;
use std::sync::{Mutex, PoisonError};
use wave::{Lane, Wave};

/// Lanes that run together: enough for small lanes to fill a large GPU.
const MOST_LANES: usize = 64;

/// The CUDA backend.
pub struct Cuda {
    storage: Storage,
    arithmetic: String,
    memory: Mutex<Memory>,
}

impl Cuda {
    pub fn new(device: Device, storage: Storage) -> Self {
        let number = match storage {
            Storage::F32 => "f32",
            Storage::Bf16 => "bf16",
        };
        let arithmetic = format!("{} {number}", device.architecture());
        Self { storage, arithmetic, memory: Mutex::new(Memory::new(device)) }
    }
}

impl Executor for Cuda {
    type Real = f32;

    fn arithmetic(&self) -> String {
        self.arithmetic.clone()
    }

    fn device(&self) -> Option<Device> {
        Some(self.memory.lock().unwrap_or_else(PoisonError::into_inner).device.clone())
    }

    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory {
        let bytes = |plan: &LanePlan, images: usize, training: bool, lanes: usize| {
            let mut sizes = Sizes::default();
            let shape = LaneShape { plan, images, training, weight_gradients: training, gated: training, given: &[] };
            LaneLayout::new(&shape, self.storage, &mut sizes);
            sizes.bytes().saturating_mul(lanes)
        };
        let lanes = demand.lanes.min(MOST_LANES);
        let training = demand.most_training(|plan| bytes(plan, demand.training_images, true, lanes));
        let evaluation = demand.most_evaluation(|plan| bytes(plan, demand.evaluation_images, false, 1));
        // An evaluation uses what training has.
        WorkingMemory { training, evaluation: evaluation.saturating_sub(training), scratch: 0 }
    }

    fn train(&self, lanes: &[TrainLane<'_, f32>]) -> Result<Vec<TrainResult<f32>>, DeviceError> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut results = Vec::with_capacity(lanes.len());
        for lanes in lanes.chunks(MOST_LANES) {
            let lanes = lanes.iter().map(Lane::of_training).collect();
            results.extend(Wave::run(&mut memory, self.storage, lanes)?.training());
        }
        Ok(results)
    }

    fn evaluate(
        &self,
        network: &Network,
        plan: &LanePlan,
        batch: MiniBatch<'_, f32>,
        bank: &Bank<f32>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let values = plan.graph.values.iter().enumerate();
        let given = values.map(|(id, value)| given_statistics(bank, id, value, regime)).collect();
        let lane = Lane { network, plan, batch, bank, gates: None, training: false, weight_gradients: false, given };
        Ok(Wave::run(&mut memory, self.storage, vec![lane])?.evaluation())
    }
}
