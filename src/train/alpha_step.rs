//! The step of the architecture parameters, which comes before that of the weights (first-order DARTS, arXiv 1806.09055, algorithm 1 with xi = 0).

use super::mini_batch::load_batch;
use super::{Setup, TrainError};
use crate::backend::{Backend, GateStep, LaneLoss};
use crate::data::BatchStream;
use crate::ops::Cost;
use crate::plan::{Choice, Gates};
use crate::rng::{Purpose, Stream};
use crate::search::Alphas;

/// The architecture parameters of a replica, and the mini-batches on which they step.
pub struct AlphaSearch {
    pub alphas: Alphas,
    /// Seed of these mini-batches, crops and flips.
    data_seed: u64,
    stream: BatchStream,
}

/// What a step of the architecture parameters leaves; empty where there are none.
#[derive(Default)]
pub struct AlphaStep {
    /// Of every replica, before the step.
    pub losses: Vec<LaneLoss>,
    pub images: u64,
    /// In f32, by the cost model.
    pub cost: Cost,
}

impl AlphaSearch {
    /// `None` where nothing is searched. `data_seed` is that of the replica's other mini-batches.
    ///
    /// # Errors
    /// Listed mini-batches that name images outside the training part.
    pub fn new(setup: &Setup, alphas: Alphas, data_seed: u64) -> Result<Option<Self>, TrainError> {
        let mut words = Stream::new(data_seed, Purpose::AlphaMiniBatches, 0, 0);
        let data_seed = u64::from(words.next_u32()) << 32 | u64::from(words.next_u32());
        Ok(setup.alpha_stream(data_seed)?.map(|stream| Self { alphas, data_seed, stream }))
    }

    /// Images of the largest mini-batch.
    pub fn most_images(&self) -> usize {
        self.stream.most_images()
    }
}

/// Moves the architecture parameters of some replicas, each beside its weights, by their mini-batch `number`.
///
/// # Errors
/// A device that fails, or a loss that is not finite at this `step`: no architecture parameter moves then.
pub fn step_alphas<B: Backend>(
    backend: &B,
    setup: &Setup,
    mut replicas: Vec<(&mut B::Replica, &mut AlphaSearch)>,
    number: u64,
    step: u64,
) -> Result<AlphaStep, TrainError> {
    let Some(options) = &setup.config.architecture else { return Ok(AlphaStep::default()) };
    let mut batches = Vec::new();
    for (_, search) in &mut replicas {
        batches.push(load_batch(backend, setup, &mut search.stream, search.data_seed, number)?);
    }
    let gates: Vec<Gates> = replicas.iter().map(|(_, search)| search.alphas.gates()).collect();
    let mut steps: Vec<_> = (replicas.iter_mut().zip(&gates).zip(&batches))
        .map(|(((replica, _), gates), batch)| GateStep { model: &setup.model, replica: &mut **replica, gates, batch })
        .collect();
    let results = backend.gate_gradients(&mut steps)?;
    if let Some((replica, result)) = results.iter().enumerate().find(|(_, result)| !result.loss.loss.is_finite()) {
        let trained = "the mixture on the mini-batch of the architecture parameters".to_owned();
        return Err(TrainError::Loss { step, trained, replica: replica as u32, loss: result.loss.loss });
    }
    for ((_, search), result) in replicas.iter_mut().zip(&results) {
        search.alphas.update(&result.gradients, &options.adam(), options.learning_rate);
    }
    let images: u64 = batches.iter().map(|batch| batch.labels.len() as u64).sum();
    let graph = &backend.training_plan(&setup.model, Choice::Mixture).graph;
    let cost = graph.gate_cost(size_of::<f32>() as u64) * images;
    Ok(AlphaStep { losses: results.into_iter().map(|result| result.loss).collect(), images, cost })
}
