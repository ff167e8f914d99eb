//! What a replica has of its own.

use super::alpha_step::AlphaSearch;
use super::children::ChildSchedule;
use super::{Setup, TrainError};
use crate::backend::Architecture;
use crate::data::BatchStream;
use crate::search::{Alphas, derive};
use crate::space::{Child, Space};

/// One supernet with its own banks, seeds, children and data stream.
pub struct Replica<R> {
    /// Weights, buffers and momentum, where the backend keeps them.
    pub state: R,
    /// Seed of mini-batches, crops and flips.
    pub data_seed: u64,
    /// Of a search.
    pub search: Option<AlphaSearch>,
    pub(super) stream: BatchStream,
    pub(super) children: ChildSchedule,
}

impl<R> Replica<R> {
    /// `alphas` of a search.
    pub(super) fn new(setup: &Setup, number: u32, (state, alphas): (R, Option<Alphas>)) -> Result<Self, TrainError> {
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
    pub(super) fn architectures(&self, space: &Space, step: u64) -> Vec<Architecture> {
        match &self.search {
            Some(search) => vec![Architecture::Mixture(search.alphas.gates())],
            None => self.children.children(space, step).into_iter().map(Architecture::Child).collect(),
        }
    }
}
