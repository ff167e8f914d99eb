//! One step after the other, for all replicas together.

use super::checkpoint::{Checkpoint, read_weights};
use super::children::ChildSchedule;
use super::config::MiniBatches;
use super::memory::{Workload, check_banks};
use super::rate::learning_rate;
use super::{Setup, TrainError};
use crate::backend::host::{Host, ReplicaStep};
use crate::backend::{Executor, MiniBatch};
use crate::data::{BatchStream, gather, image_length, labels};
use crate::network::State;
use crate::records::StepRecord;
use crate::space::Child;
use crate::tensor::Real;
use std::sync::Arc;

/// One supernet with its own banks, seeds, children and data stream.
pub struct Replica<T> {
    pub state: State<T>,
    /// Seed of mini-batches, crops and flips.
    pub data_seed: u64,
    stream: BatchStream,
    children: ChildSchedule,
}

/// All replicas of a run at one step.
pub struct Trainer<E: Executor> {
    pub setup: Arc<Setup>,
    pub host: Host<E>,
    pub replicas: Vec<Replica<E::Real>>,
    /// Updates done, those before the run's start included.
    pub step: u64,
    /// Mini-batches of each replica's stream that are used up.
    pub mini_batches: u64,
    /// Rate of the last step done.
    pub last_rate: Option<f64>,
}

/// What one step leaves.
pub struct StepResult {
    /// Replica by replica, lane by lane.
    pub records: Vec<StepRecord>,
    /// Images of all lanes.
    pub images: u64,
    /// FLOPs of the forward and backward passes, by the cost model.
    pub flops: u64,
}

/// Images of a lane, ready for a backend.
pub struct LoadedBatch<T> {
    pub images: Vec<T>,
    pub labels: Vec<u8>,
}

impl<T> LoadedBatch<T> {
    pub fn view(&self) -> MiniBatch<'_, T> {
        MiniBatch { images: &self.images, labels: &self.labels }
    }
}

impl Setup {
    /// Images as they are, without augmentation.
    pub fn load<T: Real>(&self, images: &[u32]) -> LoadedBatch<T> {
        self.load_placed(images, None)
    }

    fn load_placed<T: Real>(&self, images: &[u32], placements: Option<&[crate::data::Placement]>) -> LoadedBatch<T> {
        let mut pixels = vec![T::default(); images.len() * image_length(self.dataset.shape())];
        gather(&self.dataset, &self.table, images, placements, &mut pixels);
        LoadedBatch { images: pixels, labels: labels(&self.dataset, images) }
    }
}

impl<T> Replica<T> {
    fn new(setup: &Setup, number: u32, state: State<T>) -> Result<Self, TrainError> {
        let [_, data_seed, order] = setup.config.seed.of(number);
        let children = ChildSchedule::new(setup.space(), &setup.config.step, order)?;
        Ok(Self { state, data_seed, stream: setup.stream(data_seed)?, children })
    }
}

impl<E: Executor> Trainer<E> {
    /// Replicas with initial weights, or where `config.start` says.
    ///
    /// # Errors
    /// Children or weights that do not fit the network, mini-batches that do not fit the data, banks that do not fit the memory.
    pub fn new(setup: Arc<Setup>, executor: E) -> Result<Self, TrainError> {
        check_banks::<E::Real>(&setup)?;
        let config = setup.config.clone();
        let started = config.start.as_ref().map(|start| read_weights(&setup.model, &start.from, start.step > 0));
        let started: Option<State<E::Real>> = started.transpose()?;
        let state = |replica| match &started {
            Some(state) => state.clone(),
            None => {
                let [init, ..] = config.seed.of(replica);
                State::initial(&setup.model, init)
            }
        };
        let (step, mini_batches) = config.start.as_ref().map_or((0, 0), |start| (start.step, start.mini_batches));
        let first = vec![state(0)];
        let mut trainer = Self::with_states(setup.clone(), executor, first, step, mini_batches, None)?;
        if config.replicas > 1 {
            trainer.check_memory(&Workload::run(&trainer, None))?;
        }
        for replica in 1..config.replicas {
            trainer.replicas.push(Replica::new(&setup, replica, state(replica))?);
        }
        Ok(trainer)
    }

    /// Every replica where its checkpoint stands. The file that the run started from is not read: it may be gone.
    ///
    /// # Errors
    /// No checkpoint, or as [`Trainer::new`].
    pub fn at(setup: Arc<Setup>, executor: E, checkpoints: &[Checkpoint]) -> Result<Self, TrainError> {
        let states = checkpoints.iter().map(|checkpoint| checkpoint.state(&setup.model)).collect::<Result<_, _>>()?;
        let position = checkpoints.first().map(|first| (first.step, first.mini_batches, first.learning_rate));
        let (step, mini_batches, last_rate) = position.unwrap_or_default();
        Self::with_states(setup, executor, states, step, mini_batches, last_rate)
    }

    fn with_states(
        setup: Arc<Setup>,
        executor: E,
        states: Vec<State<E::Real>>,
        step: u64,
        mini_batches: u64,
        last_rate: Option<f64>,
    ) -> Result<Self, TrainError> {
        let replicas = (0..).zip(states).map(|(replica, state)| Replica::new(&setup, replica, state));
        let replicas = replicas.collect::<Result<_, _>>()?;
        Ok(Self { host: Host::new(executor), replicas, step, mini_batches, last_rate, setup })
    }

    /// Lanes of a step of one replica.
    pub fn lanes(&self) -> usize {
        self.replicas[0].children.lanes()
    }

    /// Children of a step, of all replicas.
    pub fn children_of(&self, step: u64) -> impl Iterator<Item = Child> {
        let done = step - self.first_step();
        self.replicas.iter().flat_map(move |replica| replica.children.children(self.setup.space(), done))
    }

    /// Images of the largest mini-batch.
    pub fn most_images(&self) -> usize {
        self.replicas[0].stream.most_images()
    }

    /// Mini-batches that one step uses up.
    pub(super) fn mini_batches_per_step(&self) -> u64 {
        match self.setup.config.step.minibatch {
            MiniBatches::Shared => 1,
            MiniBatches::Independent => self.lanes() as u64,
        }
    }

    pub fn steps_per_epoch(&self) -> u64 {
        self.replicas[0].stream.steps_per_epoch().div_ceil(self.mini_batches_per_step())
    }

    /// Where the run began.
    fn first_step(&self) -> u64 {
        self.setup.config.start.as_ref().map_or(0, |start| start.step)
    }

    /// The step at which the run ends.
    pub fn last_step(&self) -> u64 {
        let config = &self.setup.config;
        let epochs = config.epochs.unwrap_or(0);
        self.first_step() + config.steps.unwrap_or(epochs * self.steps_per_epoch())
    }

    /// Rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let (first, last) = (self.first_step(), self.last_step());
        learning_rate(&self.setup.config.optimizer, self.step - first, last - first, self.steps_per_epoch())
    }

    /// Mini-batch `number` of a replica's stream, augmented as configured.
    ///
    /// # Errors
    /// A list of mini-batches that has run out.
    pub fn mini_batch(&mut self, replica: usize, number: u64) -> Result<LoadedBatch<E::Real>, TrainError> {
        let replica = &mut self.replicas[replica];
        let images = replica.stream.mini_batch(number)?.images;
        let augmentation = &self.setup.config.augmentation;
        let shape = self.setup.dataset.shape();
        let draw = || augmentation.draw(replica.data_seed, number, shape, images.len());
        let placements = (!augmentation.is_off()).then(draw);
        Ok(self.setup.load_placed(&images, placements.as_deref()))
    }

    /// One update of every replica.
    ///
    /// # Errors
    /// A loss that is not finite: that replica is not updated, and the trainer must not step again.
    pub fn step(&mut self) -> Result<StepResult, TrainError> {
        let setup = self.setup.clone();
        let rate = self.learning_rate();
        let mut batches = Vec::new();
        let mut children: Vec<Vec<Child>> = Vec::new();
        for index in 0..self.replicas.len() {
            let numbers = self.mini_batches..self.mini_batches + self.mini_batches_per_step();
            batches.push(numbers.map(|number| self.mini_batch(index, number)).collect::<Result<Vec<_>, _>>()?);
            let done = self.step - self.first_step();
            children.push(self.replicas[index].children.children(setup.space(), done));
        }
        let mut steps: Vec<ReplicaStep<'_, E::Real>> = (self.replicas.iter_mut().zip(&batches).zip(&children))
            .map(|((replica, batches), children)| ReplicaStep {
                model: &setup.model,
                state: &mut replica.state,
                lanes: (children.iter().enumerate())
                    .map(|(lane, child)| (child.clone(), batches[lane.min(batches.len() - 1)].view()))
                    .collect(),
                reduce: setup.config.step.reduce(),
                sgd: setup.config.optimizer.sgd(),
                learning_rate: rate,
            })
            .collect();
        let losses = self.host.step(&mut steps);
        let mut records = Vec::new();
        for (replica, (step, losses)) in steps.iter().zip(&losses).enumerate() {
            for ((child, batch), lane) in step.lanes.iter().zip(losses) {
                let images = batch.labels.len() as u32;
                records.push(StepRecord {
                    step: self.step,
                    replica: replica as u32,
                    child: setup.space().format_child(child),
                    loss: lane.loss,
                    accuracy: f64::from(lane.correct) / f64::from(images),
                    learning_rate: rate,
                    images,
                });
            }
        }
        if let Some(record) = records.iter().find(|record| !record.loss.is_finite()) {
            let StepRecord { step, replica, loss, .. } = *record;
            return Err(TrainError::Loss { step, child: record.child.clone(), replica, loss });
        }
        let images = records.iter().map(|record| u64::from(record.images)).sum();
        let lanes = steps.iter().flat_map(|step| &step.lanes);
        let flops = |child: &Child| self.host.training_plan(&setup.model, child).cost.flops;
        let flops = lanes.map(|(child, batch)| flops(child) * batch.labels.len() as u64).sum();
        self.step += 1;
        self.mini_batches += self.mini_batches_per_step();
        self.last_rate = Some(rate);
        Ok(StepResult { records, images, flops })
    }

    /// Hash of the state: a replica's own, or of all replicas' in order.
    pub fn hash(&self) -> blake3::Hash {
        let hashes = self.replica_hashes();
        if let [only] = hashes.as_slice() {
            return *only;
        }
        let mut hasher = blake3::Hasher::new();
        for hash in hashes {
            hasher.update(hash.as_bytes());
        }
        hasher.finalize()
    }

    pub fn replica_hashes(&self) -> Vec<blake3::Hash> {
        self.replicas.iter().map(|replica| replica.state.hash(&self.setup.model)).collect()
    }
}
