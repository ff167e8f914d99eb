//! All replicas of a run, one step after the other.

use super::alpha_step::AlphaSearch;
use super::checkpoint::{Checkpoint, Snapshot, read_alphas, read_weights};
use super::config::{DERIVED, MiniBatches};
use super::memory::{Workload, check_banks};
use super::mini_batch::load_batch;
use super::rate::learning_rate;
use super::{Replica, Setup, TrainError};
use crate::backend::{Backend, LoadedBatch};
use crate::device::DeviceError;
use crate::network::State;
use crate::search::Alphas;
use crate::space::Child;
use std::sync::Arc;

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
    pub(super) fn first_step(&self) -> u64 {
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
