//! One step after the other, for all replicas together.

use super::alpha_step::{AlphaSearch, step_alphas};
use super::checkpoint::{Checkpoint, Snapshot, read_alphas, read_weights};
use super::children::ChildSchedule;
use super::config::{DERIVED, MiniBatches};
use super::memory::{Workload, check_banks};
use super::mini_batch::load_batch;
use super::rate::learning_rate;
use super::{Setup, TrainError};
use crate::backend::{Architecture, Backend, LoadedBatch, ReplicaStep};
use crate::data::BatchStream;
use crate::device::DeviceError;
use crate::network::State;
use crate::ops::Cost;
use crate::records::StepRecord;
use crate::search::{Alphas, derive};
use crate::space::{Child, Space};
use std::sync::Arc;

/// One supernet with its own banks, seeds, children and data stream.
pub struct Replica<R> {
    /// Weights, buffers and momentum, where the backend keeps them.
    pub state: R,
    /// Seed of mini-batches, crops and flips.
    pub data_seed: u64,
    /// Of a search.
    pub search: Option<AlphaSearch>,
    stream: BatchStream,
    children: ChildSchedule,
}

impl<R> Replica<R> {
    /// `alphas` of a search.
    fn new(setup: &Setup, number: u32, (state, alphas): (R, Option<Alphas>)) -> Result<Self, TrainError> {
        let [_, data_seed, order] = setup.config.seed.of(number);
        let children = ChildSchedule::new(setup.space(), &setup.config.step, order)?;
        let search = alphas.map(|alphas| AlphaSearch::new(setup, alphas, data_seed)).transpose()?.flatten();
        Ok(Self { state, data_seed, search, stream: setup.stream(data_seed)?, children })
    }

    /// The child that the architecture parameters make.
    pub fn derived(&self, space: &Space) -> Option<Child> {
        self.search.as_ref().map(|search| derive(space, &search.alphas.gates()))
    }

    /// What the lanes of a step train.
    fn architectures(&self, space: &Space, step: u64) -> Vec<Architecture> {
        match &self.search {
            Some(search) => vec![Architecture::Mixture(search.alphas.gates())],
            None => self.children.children(space, step).into_iter().map(Architecture::Child).collect(),
        }
    }
}

/// All replicas of a run at one step.
pub struct Trainer<B: Backend> {
    pub setup: Arc<Setup>,
    pub backend: B,
    pub replicas: Vec<Replica<B::Replica>>,
    /// Updates done, those before the run's start included.
    pub step: u64,
    /// Mini-batches of each replica's stream that are used up.
    pub mini_batches: u64,
    /// Rate of the last step done.
    pub last_rate: Option<f64>,
}

/// A step whose losses may not be known yet.
pub struct PendingStep<B: Backend> {
    pending: B::Pending,
    /// Replica by replica, lane by lane, without losses.
    records: Vec<StepRecord>,
    images: u64,
    cost: Cost,
}

/// What one step leaves.
pub struct StepResult {
    /// Replica by replica, lane by lane.
    pub records: Vec<StepRecord>,
    /// Images of all lanes, those on which architecture parameters stepped included.
    pub images: u64,
    /// Of the forward and backward passes in f32, by the cost model.
    pub cost: Cost,
}

impl<B: Backend> Trainer<B> {
    /// Replicas with initial weights, or where `config.start` says.
    ///
    /// # Errors
    /// Children or weights that do not fit the network, mini-batches that do not fit the data, banks that do not fit the memory.
    pub fn new(setup: Arc<Setup>, backend: B) -> Result<Self, TrainError> {
        check_banks::<B::Real>(&setup)?;
        let config = setup.config.clone();
        let started = config.start.as_ref().map(|start| read_weights(&setup.model, &start.from, start.step > 0));
        let started: Option<State<B::Real>> = started.transpose()?;
        let searched = config.start.as_ref().filter(|_| config.is_search());
        let searched =
            searched.map(|start| read_alphas(&setup.model, &start.from, start.step > 0)).transpose()?.flatten();
        let state = |replica| {
            let [init, ..] = config.seed.of(replica);
            let state = started.clone().unwrap_or_else(|| State::initial(&setup.model, init));
            let alphas = || searched.clone().unwrap_or_else(|| Alphas::initial(setup.space(), init));
            (state, config.is_search().then(alphas))
        };
        let (step, mini_batches) = config.start.as_ref().map_or((0, 0), |start| (start.step, start.mini_batches));
        let first = vec![state(0)];
        let mut trainer = Self::with_states(setup.clone(), backend, first, step, mini_batches, None)?;
        if config.replicas > 1 {
            trainer.check_memory(&Workload::run(&trainer, None))?;
        }
        for replica in 1..config.replicas {
            trainer.add_replica(state(replica))?;
        }
        Ok(trainer)
    }

    /// Every replica where its checkpoint stands. The file that the run started from is not read: it may be gone.
    ///
    /// # Errors
    /// No checkpoint, or as [`Trainer::new`].
    pub fn at(setup: Arc<Setup>, backend: B, checkpoints: &[Checkpoint]) -> Result<Self, TrainError> {
        let states = checkpoints
            .iter()
            .map(|checkpoint| Ok((checkpoint.state(&setup.model)?, checkpoint.alphas(setup.space())?)));
        let states = states.collect::<Result<_, TrainError>>()?;
        let position = checkpoints.first().map(|first| (first.step, first.mini_batches, first.learning_rate));
        let (step, mini_batches, last_rate) = position.unwrap_or_default();
        Self::with_states(setup, backend, states, step, mini_batches, last_rate)
    }

    fn with_states(
        setup: Arc<Setup>,
        backend: B,
        states: Vec<(State<B::Real>, Option<Alphas>)>,
        step: u64,
        mini_batches: u64,
        last_rate: Option<f64>,
    ) -> Result<Self, TrainError> {
        let mut trainer = Self { backend, replicas: Vec::new(), step, mini_batches, last_rate, setup };
        states.into_iter().try_for_each(|state| trainer.add_replica(state))?;
        Ok(trainer)
    }

    /// Adds the next replica.
    fn add_replica(&mut self, (state, alphas): (State<B::Real>, Option<Alphas>)) -> Result<(), TrainError> {
        let number = self.replicas.len() as u32;
        let state = self.backend.replica(&self.setup.model, state)?;
        self.replicas.push(Replica::new(&self.setup, number, (state, alphas))?);
        Ok(())
    }

    /// What a checkpoint holds of a replica.
    ///
    /// # Errors
    /// A device that fails.
    pub fn snapshot<'a>(&'a self, replica: &'a Replica<B::Replica>) -> Result<Snapshot<'a, B::Real>, DeviceError> {
        let state = self.backend.state(&self.setup.model, &replica.state)?;
        Ok(Snapshot { state, alphas: replica.search.as_ref().map(|search| &search.alphas) })
    }

    /// Lanes of a step of one replica.
    pub fn lanes(&self) -> usize {
        self.replicas[0].children.lanes()
    }

    /// Children from text: `derived`, those that the replica's architecture parameters make, or as [`Setup::children`].
    ///
    /// # Errors
    /// As [`Setup::children`].
    pub fn children(&self, replica: usize, key: &'static str, text: &str) -> Result<Vec<Child>, TrainError> {
        match self.replicas[replica].derived(self.setup.space()) {
            Some(child) if text == DERIVED => Ok(vec![child]),
            _ => self.setup.children(key, text),
        }
    }

    /// Children of a step, of all replicas.
    pub fn children_of(&self, step: u64) -> impl Iterator<Item = Child> {
        let done = step - self.first_step();
        self.replicas.iter().flat_map(move |replica| replica.children.children(self.setup.space(), done))
    }

    /// Images of the largest mini-batch.
    pub fn most_images(&self) -> usize {
        let replica = &self.replicas[0];
        replica.stream.most_images().max(replica.search.as_ref().map_or(0, AlphaSearch::most_images))
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
    pub fn mini_batch(&mut self, replica: usize, number: u64) -> Result<LoadedBatch<B>, TrainError> {
        let Replica { stream, data_seed, .. } = &mut self.replicas[replica];
        load_batch(&self.backend, &self.setup, stream, *data_seed, number)
    }

    /// One update of every replica: of its architecture parameters if it has some, then of its weights.
    ///
    /// # Errors
    /// A loss that is not finite: that replica is not updated, and the trainer must not step again.
    pub fn step(&mut self) -> Result<StepResult, TrainError> {
        let step = self.begin_step()?;
        self.finish_step(step)
    }

    /// Begins a step; the next may begin before this one is finished. Until then nothing but steps is to be done with the replicas, and none once a
    /// step has failed.
    ///
    /// # Errors
    /// As [`Trainer::step`], for the loss on which architecture parameters step.
    pub fn begin_step(&mut self) -> Result<PendingStep<B>, TrainError> {
        let setup = self.setup.clone();
        let (number, rate) = (self.step, self.learning_rate());
        let searched =
            self.replicas.iter_mut().filter_map(|replica| Some((&mut replica.state, replica.search.as_mut()?)));
        let alpha_step = step_alphas(&self.backend, &setup, searched.collect(), self.mini_batches, number)?;
        let mut batches = Vec::new();
        let mut trained: Vec<Vec<Architecture>> = Vec::new();
        for index in 0..self.replicas.len() {
            let numbers = self.mini_batches..self.mini_batches + self.mini_batches_per_step();
            batches.push(numbers.map(|number| self.mini_batch(index, number)).collect::<Result<Vec<_>, _>>()?);
            let done = self.step - self.first_step();
            trained.push(self.replicas[index].architectures(setup.space(), done));
        }
        let mut steps: Vec<ReplicaStep<'_, B>> = (self.replicas.iter_mut().zip(&batches).zip(&trained))
            .map(|((replica, batches), trained)| ReplicaStep {
                model: &setup.model,
                replica: &mut replica.state,
                lanes: (trained.iter().enumerate())
                    .map(|(lane, trained)| (trained.clone(), &batches[lane.min(batches.len() - 1)]))
                    .collect(),
                reduce: setup.config.step.reduce(),
                sgd: setup.config.optimizer.sgd(),
                learning_rate: rate,
            })
            .collect();
        let pending = self.backend.begin_step(&mut steps)?;
        let mut records = Vec::new();
        let mut cost = alpha_step.cost;
        for (replica, step) in steps.iter().enumerate() {
            for (trained, batch) in &step.lanes {
                let child = match trained {
                    Architecture::Child(child) => Some(setup.space().format_child(child)),
                    Architecture::Mixture(_) => None,
                };
                let plan = self.backend.training_plan(&setup.model, trained.choice());
                cost = cost + plan.cost * batch.labels.len() as u64;
                records.push(StepRecord {
                    step: number,
                    replica: replica as u32,
                    child,
                    loss: f64::NAN,
                    accuracy: f64::NAN,
                    alpha_loss: alpha_step.losses.get(replica).map(|alpha| alpha.loss),
                    learning_rate: rate,
                    images: batch.labels.len() as u32,
                });
            }
        }
        let images = records.iter().map(|record| u64::from(record.images)).sum::<u64>() + alpha_step.images;
        self.step += 1;
        self.mini_batches += self.mini_batches_per_step();
        self.last_rate = Some(rate);
        Ok(PendingStep { pending, records, images, cost })
    }

    /// The losses of a step that was begun. Steps are finished in their order.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn finish_step(&self, step: PendingStep<B>) -> Result<StepResult, TrainError> {
        let PendingStep { pending, mut records, images, cost } = step;
        let losses = self.backend.losses(pending)?;
        for (record, lane) in records.iter_mut().zip(losses.into_iter().flatten()) {
            record.loss = lane.loss;
            record.accuracy = f64::from(lane.correct) / f64::from(record.images);
        }
        if let Some(record) = records.iter().find(|record| !record.loss.is_finite()) {
            let StepRecord { step, replica, loss, .. } = *record;
            let trained = record.child.as_ref().map_or("the mixture".to_owned(), |child| format!("child {child}"));
            return Err(TrainError::Loss { step, trained, replica, loss });
        }
        Ok(StepResult { records, images, cost })
    }

    /// Of a search: the child that each replica's architecture parameters make, as a genotype, or as the space writes it.
    pub fn derived(&self) -> Vec<String> {
        let space = self.setup.space();
        let written = |child: Child| match space.genotype(&child) {
            Some(Ok(genotype)) => genotype,
            _ => space.format_child(&child),
        };
        self.replicas.iter().filter_map(|replica| replica.derived(space).map(written)).collect()
    }

    /// Hash of the state: a replica's own, or of all replicas' in order.
    ///
    /// # Errors
    /// A device that fails.
    pub fn hash(&self) -> Result<blake3::Hash, DeviceError> {
        let hashes = self.replica_hashes()?;
        if let [only] = hashes.as_slice() {
            return Ok(*only);
        }
        let mut hasher = blake3::Hasher::new();
        for hash in hashes {
            hasher.update(hash.as_bytes());
        }
        Ok(hasher.finalize())
    }

    /// # Errors
    /// A device that fails.
    pub fn replica_hashes(&self) -> Result<Vec<blake3::Hash>, DeviceError> {
        self.replicas.iter().map(|replica| Ok(self.snapshot(replica)?.hash(&self.setup.model))).collect()
    }
}
