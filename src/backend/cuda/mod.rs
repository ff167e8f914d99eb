//! The backend for devices: lanes side by side, level by level, by the kernels of `kernels/` on a GPU or on the emulator.
//!
//! Banks, pixels and the update stay on the device. A step uploads the tables of its launches and downloads losses and statistics. Tiles and chunks are functions of a
//! stage's shape, so that no result depends on which lanes run together.

mod batches;
mod gradients;
mod kernel_cost;
mod kernels;
mod lane_program;
mod launches;
mod layout;
mod memory;
mod pixels;
mod places;
mod program;
mod replica;
mod reserve;
mod results;
mod step_end;
mod step_plan;
mod table_builder;
mod tables;
mod tasks;
pub mod update;
mod wave;
mod wave_planner;
mod wave_program;

pub use pixels::DevicePixels;
pub use replica::DeviceReplica;
pub use results::PendingLosses;
pub use step_plan::{KernelRow, LAUNCH_SECONDS, PlannedLane, StepMemory, StepPlan};
pub use wave_planner::WavePlanner;

use super::normalization::given_statistics;
use super::{
    Backend, Demand, Evaluation, GateGradients, GateStep, Lane, LaneLoss, LanePlan, LoadedBatch, Regime, ReplicaStep,
    TrainResult, TrainingPlans, WorkingMemory,
};
use crate::data::{Dataset, PixelTable, Placement, labels};
use crate::device::{Device, DeviceError};
use crate::network::{Model, State};
use crate::ops::cuda::Storage;
use crate::plan::Choice;
use lane_program::LanePrograms;
use memory::Memory;
use pixels::PixelLoader;
use places::Growing;
use program::run;
use results::Results;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tables::Capacities;
use update::{Ending, Update};
use wave::{WaveLane, Waves};

/// The CUDA backend.
pub struct Cuda {
    storage: Storage,
    planner: WavePlanner,
    arithmetic: String,
    device: Device,
    plans: TrainingPlans,
    state: Mutex<DeviceState>,
}

/// What is on the device, but for replicas and mini-batches.
struct DeviceState {
    memory: Memory,
    tables: Growing<u8>,
    loader: PixelLoader,
    programs: LanePrograms,
    /// Of steps, and of steps of gates.
    steps: Capacities,
    gate_steps: Capacities,
}

impl Cuda {
    pub fn new(device: Device, storage: Storage) -> Self {
        let number = match storage {
            Storage::F32 => "f32",
            Storage::Bf16 => "bf16",
        };
        let arithmetic = format!("{} {number}", device.architecture());
        let state = DeviceState {
            memory: Memory::new(device.clone()),
            tables: Growing::new("tables"),
            loader: PixelLoader::new(device.clone()),
            programs: LanePrograms::new(storage),
            steps: Capacities::default(),
            gate_steps: Capacities::default(),
        };
        Self {
            storage,
            planner: WavePlanner::of_device(&device),
            arithmetic,
            device,
            plans: TrainingPlans::default(),
            state: Mutex::new(state),
        }
    }

    /// With waves that this plans; no result depends on it.
    pub fn with_planner(self, planner: WavePlanner) -> Self {
        Self { planner, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, DeviceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane that trains, its replica the `number`th of the step.
fn training_lane<'a>(
    number: usize,
    (model, replica): (&'a Model, &'a DeviceReplica),
    plan: &'a LanePlan,
    batch: &'a LoadedBatch<Cuda>,
) -> WaveLane<'a> {
    WaveLane {
        model,
        replica,
        number,
        plan,
        batch,
        gates: None,
        training: true,
        weight_gradients: true,
        keeps_row: false,
        bank: None,
        given: Vec::new(),
    }
}

impl Backend for Cuda {
    type Real = f32;
    type Replica = DeviceReplica;
    type Pixels = DevicePixels;
    type Pending = PendingLosses;

    fn arithmetic(&self) -> String {
        self.arithmetic.clone()
    }

    fn device(&self) -> Option<&Device> {
        Some(&self.device)
    }

    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory {
        let training = reserve::training(demand, &self.planner, self.storage);
        let both = training.or(&reserve::evaluation(demand, self.storage));
        // An evaluation uses what training has.
        WorkingMemory { training: training.bytes(), evaluation: both.bytes() - training.bytes(), scratch: 0 }
    }

    fn reserve(&self, demand: &Demand<'_>) -> Result<(), DeviceError> {
        let shared_bytes = self.device.properties().shared_bytes_per_block;
        reserve::check(demand, self.storage, shared_bytes)?;
        let training = reserve::training(demand, &self.planner, self.storage);
        let sizes = training.or(&reserve::evaluation(demand, self.storage));
        self.lock().memory.reserve(&sizes)
    }

    fn plans(&self) -> &TrainingPlans {
        &self.plans
    }

    fn replica(&self, model: &Arc<Model>, state: State<f32>) -> Result<DeviceReplica, DeviceError> {
        DeviceReplica::new(&self.device, model, state)
    }

    fn state<'a>(&self, model: &Arc<Model>, replica: &'a DeviceReplica) -> Result<Cow<'a, State<f32>>, DeviceError> {
        Ok(Cow::Owned(replica.state(model)?))
    }

    fn load(
        &self,
        dataset: &Arc<Dataset>,
        table: &Arc<PixelTable>,
        images: &[u32],
        placements: Option<&[Placement]>,
    ) -> Result<LoadedBatch<Self>, DeviceError> {
        let pixels = self.lock().loader.gather(dataset, table, images, placements)?;
        Ok(LoadedBatch { pixels, labels: labels(dataset, images) })
    }

    fn load_numbers(&self, images: Vec<f32>, labels: Vec<u8>) -> Result<LoadedBatch<Self>, DeviceError> {
        Ok(LoadedBatch { pixels: self.lock().loader.upload(&images)?, labels })
    }

    fn begin_step(&self, replicas: &mut [ReplicaStep<'_, Self>]) -> Result<PendingLosses, DeviceError> {
        let plans: Vec<Vec<Arc<LanePlan>>> = (replicas.iter())
            .map(|step| {
                step.lanes.iter().map(|(trained, _)| self.training_plan(step.model, trained.choice())).collect()
            })
            .collect();
        let pending = {
            let lanes = replicas.iter().zip(&plans).enumerate().flat_map(|(number, (step, plans))| {
                let bank = (&**step.model, &*step.replica);
                step.lanes.iter().zip(plans).map(move |((trained, batch), plan)| WaveLane {
                    gates: trained.gates(),
                    ..training_lane(number, bank, plan, batch)
                })
            });
            let updates: Vec<Update> = replicas.iter().map(Update::of).collect();
            let DeviceState { memory, tables, programs, steps, .. } = &mut *self.lock();
            let waves = Waves::new(replicas.len(), lanes, &self.planner, programs);
            run(memory, tables, self.storage, &waves, &Ending::Update(&updates), steps)?;
            PendingLosses::new(memory, &waves)?
        };
        // As if all losses were finite: where one is not, the run ends.
        for (step, plans) in replicas.iter_mut().zip(&plans) {
            for plan in plans {
                step.replica.note_gradients(step.model, plan);
                step.replica.note_running_statistics(step.model, plan);
            }
        }
        Ok(pending)
    }

    fn losses(&self, step: PendingLosses) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        step.wait()
    }

    fn gate_gradients(&self, replicas: &mut [GateStep<'_, Self>]) -> Result<Vec<GateGradients>, DeviceError> {
        let plans: Vec<_> = replicas.iter().map(|step| self.training_plan(step.model, Choice::Mixture)).collect();
        let results: Vec<GateGradients> = {
            let lanes = replicas.iter().zip(&plans).enumerate().map(|(number, (step, plan))| WaveLane {
                gates: Some(step.gates),
                weight_gradients: false,
                ..training_lane(number, (step.model, &*step.replica), plan, step.batch)
            });
            let DeviceState { memory, tables, programs, gate_steps, .. } = &mut *self.lock();
            let waves = Waves::new(replicas.len(), lanes, &self.planner, programs);
            run(memory, tables, self.storage, &waves, &Ending::Running, gate_steps)?;
            let results = Results::download(memory, &waves)?;
            results.losses().zip(results.gates()).map(|(loss, gradients)| GateGradients { loss, gradients }).collect()
        };
        for ((step, plan), result) in replicas.iter_mut().zip(&plans).zip(&results) {
            if result.loss.loss.is_finite() {
                step.replica.note_running_statistics(step.model, plan);
            }
        }
        Ok(results)
    }

    fn gradients(&self, lanes: &[Lane<'_, Self>]) -> Result<Vec<TrainResult<f32>>, DeviceError> {
        let gradients = |lane: &Lane<'_, Self>| {
            let only = WaveLane {
                gates: lane.gates,
                weight_gradients: lane.weight_gradients,
                keeps_row: true,
                ..training_lane(0, (lane.model, lane.replica), lane.plan, lane.batch)
            };
            let DeviceState { memory, tables, programs, .. } = &mut *self.lock();
            let waves = Waves::new(1, [only], &self.planner, programs);
            run(memory, tables, self.storage, &waves, &Ending::Nothing, &mut Capacities::default())?;
            Results::download(memory, &waves)?.training(memory)
        };
        lanes.iter().map(gradients).collect()
    }

    fn evaluate(
        &self,
        model: &Arc<Model>,
        replica: &DeviceReplica,
        plan: &LanePlan,
        batch: &LoadedBatch<Self>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError> {
        // Statistics of the batch need nothing of the host.
        let bank = match regime {
            Regime::Batch => None,
            _ => Some(replica.host_weights(model)?),
        };
        let values = plan.graph.values.iter().enumerate();
        let given = |bank| values.map(|(id, value)| given_statistics(bank, id, value, regime)).collect();
        let given = bank.map_or_else(Vec::new, given);
        let lane = WaveLane {
            training: false,
            weight_gradients: false,
            bank,
            given,
            ..training_lane(0, (model, replica), plan, batch)
        };
        let DeviceState { memory, tables, programs, .. } = &mut *self.lock();
        let waves = Waves::new(1, [lane], &self.planner, programs);
        run(memory, tables, self.storage, &waves, &Ending::Nothing, &mut Capacities::default())?;
        Ok(Results::download(memory, &waves)?.evaluation())
    }
}
