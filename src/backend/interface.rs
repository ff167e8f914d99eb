//! What training and evaluation ask of a backend, which keeps replicas and mini-batches where it computes.

use super::{Architecture, Demand, Evaluation, LaneLoss, LanePlan, Regime, TrainResult, TrainingPlans, WorkingMemory};
use crate::data::{Dataset, PixelTable, Placement};
use crate::device::{Device, DeviceError};
use crate::network::{Model, State};
use crate::ops::sgd::Sgd;
use crate::plan::{Choice, Gates};
use crate::tensor::Real;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A mini-batch where the backend computes.
pub struct LoadedBatch<B: Backend + ?Sized> {
    pub pixels: B::Pixels,
    pub labels: Vec<u8>,
}

/// A lane whose gradients are wanted.
pub struct Lane<'a, B: Backend + ?Sized> {
    pub model: &'a Arc<Model>,
    pub replica: &'a B::Replica,
    pub plan: &'a LanePlan,
    pub batch: &'a LoadedBatch<B>,
    /// Gate values, for a mixture.
    pub gates: Option<&'a Gates>,
    /// Whether the gradients of the weights are wanted, or those of the gates alone.
    pub weight_gradients: bool,
}

/// How the gradients of a step's lanes become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduce {
    #[default]
    Mean,
    Sum,
}

impl Reduce {
    /// What the sum over so many lanes is multiplied by.
    pub fn share(self, lanes: usize) -> f64 {
        match self {
            Self::Mean => 1.0 / lanes as f64,
            Self::Sum => 1.0,
        }
    }
}

/// One replica's part of a step.
pub struct ReplicaStep<'a, B: Backend + ?Sized> {
    pub model: &'a Arc<Model>,
    pub replica: &'a mut B::Replica,
    /// Child, or mixture, and mini-batch of each lane.
    pub lanes: Vec<(Architecture, &'a LoadedBatch<B>)>,
    pub reduce: Reduce,
    pub sgd: Sgd,
    pub learning_rate: f64,
}

/// One replica's mixture and mini-batch.
pub struct GateStep<'a, B: Backend + ?Sized> {
    pub model: &'a Arc<Model>,
    pub replica: &'a mut B::Replica,
    pub gates: &'a Gates,
    pub batch: &'a LoadedBatch<B>,
}

/// What it leaves.
#[derive(Clone, Debug)]
pub struct GateGradients {
    pub loss: LaneLoss,
    /// By choice of a child, by candidate.
    pub gradients: Vec<Vec<f64>>,
}

/// Trains and evaluates replicas.
pub trait Backend: Sync {
    type Real: Real;

    /// A replica's weights, buffers and momentum.
    type Replica: Send + Sync;

    /// Images of a mini-batch, as numbers, and whatever of the labels the backend needs beside them.
    type Pixels: Send + Sync;

    /// A step whose losses may not be known yet.
    type Pending: Send;

    /// What decides the bits of results: backend, precision, instruction set. A run resumes only under the same.
    fn arithmetic(&self) -> String;

    /// The device that computes, where it is one of [`crate::device`].
    fn device(&self) -> Option<&Device> {
        None
    }

    /// What a run takes at most beside banks and mini-batches.
    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory;

    /// Checks that it can run what is asked of it, and takes the memory for it.
    ///
    /// # Errors
    /// Not enough device memory, or a stage that the device cannot run.
    fn reserve(&self, _demand: &Demand<'_>) -> Result<(), DeviceError> {
        Ok(())
    }

    fn plans(&self) -> &TrainingPlans;

    /// The training plan of one child of a model, or of its mixture.
    fn training_plan(&self, model: &Arc<Model>, choice: Choice<'_>) -> Arc<LanePlan> {
        self.plans().of(model, choice)
    }

    /// A replica that starts from a state.
    ///
    /// # Errors
    /// A device that fails.
    fn replica(&self, model: &Arc<Model>, state: State<Self::Real>) -> Result<Self::Replica, DeviceError>;

    /// The state of a replica as it is now.
    ///
    /// # Errors
    /// A device that fails.
    fn state<'a>(
        &self,
        model: &Arc<Model>,
        replica: &'a Self::Replica,
    ) -> Result<Cow<'a, State<Self::Real>>, DeviceError>;

    /// A mini-batch of images of a data set, cropped, flipped and cut out as `placements` says, as numbers of `table`.
    ///
    /// # Errors
    /// A device that fails.
    fn load(
        &self,
        dataset: &Arc<Dataset>,
        table: &Arc<PixelTable>,
        images: &[u32],
        placements: Option<&[Placement]>,
    ) -> Result<LoadedBatch<Self>, DeviceError>;

    /// A mini-batch of these numbers, `[image][row][column][channel]`, channels padded to 4.
    ///
    /// # Errors
    /// A device that fails.
    fn load_numbers(&self, images: Vec<Self::Real>, labels: Vec<u8>) -> Result<LoadedBatch<Self>, DeviceError>;

    /// Forward and backward of all lanes of all replicas, then one update of each replica whose losses are finite. Running statistics
    /// move lane by lane, as they would one after the other. Whether all losses are finite is known from [`Backend::losses`], which is to be
    /// asked before a replica's state is used for anything but the next step.
    ///
    /// # Errors
    /// A device that fails; nothing is updated then.
    fn begin_step(&self, replicas: &mut [ReplicaStep<'_, Self>]) -> Result<Self::Pending, DeviceError>;

    /// Losses of a step, replica by replica, in the order of the lanes.
    ///
    /// # Errors
    /// A device that fails.
    fn losses(&self, step: Self::Pending) -> Result<Vec<Vec<LaneLoss>>, DeviceError>;

    /// Both, one after the other.
    ///
    /// # Errors
    /// As theirs.
    fn step(&self, replicas: &mut [ReplicaStep<'_, Self>]) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        self.losses(self.begin_step(replicas)?)
    }

    /// Forward and backward of every replica's mixture, weights as they are. The forward pass moves running statistics where the loss
    /// is finite, as every one in training does.
    ///
    /// # Errors
    /// A device that fails; nothing is moved then.
    fn gate_gradients(&self, replicas: &mut [GateStep<'_, Self>]) -> Result<Vec<GateGradients>, DeviceError>;

    /// Forward and backward of some lanes; nothing is updated. Lanes do not see each other; results come in their order.
    ///
    /// # Errors
    /// A device that fails.
    fn gradients(&self, lanes: &[Lane<'_, Self>]) -> Result<Vec<TrainResult<Self::Real>>, DeviceError>;

    /// Forward of a graph of one or many children over one mini-batch.
    ///
    /// # Errors
    /// A device that fails.
    fn evaluate(
        &self,
        model: &Arc<Model>,
        replica: &Self::Replica,
        plan: &LanePlan,
        batch: &LoadedBatch<Self>,
        regime: Regime<'_>,
    ) -> Result<Evaluation, DeviceError>;
}
