//! Training and evaluation in host memory, for any executor: gathers lanes, runs them, adds their rows, updates the banks.

mod gates;
mod step;
mod update;

use super::{
    Backend, Demand, Evaluation, Executor, GateGradients, GateStep, Lane, LaneLoss, LanePlan, LoadedBatch, MiniBatch,
    Regime, ReplicaStep, TrainLane, TrainResult, TrainingPlans, WorkingMemory,
};
use crate::data::{Dataset, PixelTable, Placement, gather, image_length, labels};
use crate::device::DeviceError;
use crate::network::{Model, State};
use std::borrow::Cow;
use std::sync::Arc;

pub use update::{Gradients, update};

/// A backend whose banks lie in host memory.
pub struct Host<E> {
    executor: E,
    plans: TrainingPlans,
}

impl<E: Executor> Host<E> {
    pub fn new(executor: E) -> Self {
        Self { executor, plans: TrainingPlans::default() }
    }
}

impl<E: Executor> LoadedBatch<Host<E>> {
    fn view(&self) -> MiniBatch<'_, E::Real> {
        MiniBatch { images: &self.pixels, labels: &self.labels }
    }
}

impl<E: Executor> Backend for Host<E> {
    type Real = E::Real;
    type Replica = State<E::Real>;
    type Pixels = Vec<E::Real>;
    /// All is known at once.
    type Pending = Vec<Vec<LaneLoss>>;

    fn arithmetic(&self) -> String {
        self.executor.arithmetic()
    }

    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory {
        self.executor.working_memory(demand)
    }

    fn plans(&self) -> &TrainingPlans {
        &self.plans
    }

    fn replica(&self, _model: &Arc<Model>, state: State<E::Real>) -> Result<State<E::Real>, DeviceError> {
        Ok(state)
    }

    fn state<'a>(
        &self,
        _model: &Arc<Model>,
        replica: &'a State<E::Real>,
    ) -> Result<Cow<'a, State<E::Real>>, DeviceError> {
        Ok(Cow::Borrowed(replica))
    }

    fn load(
        &self,
        dataset: &Arc<Dataset>,
        table: &Arc<PixelTable>,
        images: &[u32],
        placements: Option<&[Placement]>,
    ) -> Result<LoadedBatch<Self>, DeviceError> {
        let mut pixels = vec![E::Real::default(); images.len() * image_length(dataset.shape())];
        gather(dataset, table, images, placements, &mut pixels);
        Ok(LoadedBatch { pixels, labels: labels(dataset, images) })
    }

    fn load_numbers(&self, images: Vec<E::Real>, labels: Vec<u8>) -> Result<LoadedBatch<Self>, DeviceError> {
        Ok(LoadedBatch { pixels: images, labels })
    }

    fn begin_step(&self, replicas: &mut [ReplicaStep<'_, Self>]) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        self.step_replicas(replicas)
    }

    fn losses(&self, step: Vec<Vec<LaneLoss>>) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        Ok(step)
    }

    fn gate_gradients(&self, replicas: &mut [GateStep<'_, Self>]) -> Result<Vec<GateGradients>, DeviceError> {
        self.step_gates(replicas)
    }

    fn gradients(&self, lanes: &[Lane<'_, Self>]) -> Result<Vec<TrainResult<E::Real>>, DeviceError> {
        let lanes: Vec<TrainLane<'_, E::Real>> = (lanes.iter())
            .map(|lane| TrainLane {
                network: &lane.model.network,
                plan: lane.plan,
                batch: lane.batch.view(),
                bank: &lane.replica.weights,
                gates: lane.gates,
                weight_gradients: lane.weight_gradients,
            })
            .collect();
        self.executor.train(&lanes)
    }

    fn evaluate(
        &self,
        model: &Arc<Model>,
        replica: &State<E::Real>,
        plan: &LanePlan,
        batch: &LoadedBatch<Self>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError> {
        self.executor.evaluate(&model.network, plan, batch.view(), &replica.weights, regime)
    }
}
