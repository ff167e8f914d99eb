//! The backend for use: f32, NHWC, SIMD by run-time dispatch, rayon.
//!
//! Work is cut into fixed chunks of images, whatever the number of threads; every reduction adds its chunks in order. Lanes of a
//! wave run side by side, and the chunks of a lane's stage too.

mod arena;
mod backward;
mod forward;
mod inputs;
mod norm;

use super::executor::{Demand, Executor, MiniBatch, TrainLane, WorkingMemory};
use super::{BatchStatistics, Evaluation, HeadResult, LanePlan, Regime, TrainResult};
use crate::device::DeviceError;
use crate::network::{Bank, Network};
use crate::ops::head::cpu::Head;
use crate::plan::{StageKind, chunk_images};
use crate::simd::{Level, Scratch};
use crate::tensor::{Buffer, padded_channels};
use arena::Arenas;
use inputs::stored_channels;
use norm::NormState;
use rayon::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// Scratch of this thread's kernels. A kernel never waits for another, so it is never taken twice.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(work)
}

/// Copies of the largest image of a feature map that a kernel's scratch holds at most: its input and output gradient with their
/// borders, and strips.
const SCRATCH_IMAGES: usize = 4;

/// The CPU backend.
pub struct Cpu {
    level: Level,
    arenas: Arenas,
}

/// One lane (or one graph of lanes) in flight.
struct LaneRun<'a> {
    level: Level,
    network: &'a Network,
    plan: &'a LanePlan,
    batch: MiniBatch<'a, f32>,
    bank: &'a Bank<f32>,
    gates: Option<&'a crate::plan::Gates>,
    /// Whether the gradients of the weights are wanted.
    weight_gradients: bool,
    arena: Buffer<f32>,
    /// Of every normalized value.
    norms: Vec<Option<NormState>>,
    /// In the order of the graph's heads.
    heads: Vec<HeadState>,
}

/// What a head's forward pass leaves, image by image.
struct HeadState {
    features: Vec<f32>,
    logits: Vec<f32>,
    losses: Vec<f32>,
    predictions: Vec<u32>,
}

impl Cpu {
    pub fn new(level: Level) -> Self {
        Self { level, arenas: Arenas::default() }
    }

    /// Lanes that run side by side: as many as threads, so that each keeps its working set in its core's cache.
    fn wave() -> usize {
        rayon::current_num_threads()
    }

    fn start<'a>(
        &self,
        network: &'a Network,
        plan: &'a LanePlan,
        batch: MiniBatch<'a, f32>,
        bank: &'a Bank<f32>,
        len: usize,
    ) -> LaneRun<'a> {
        let norms = plan.graph.values.iter().map(|_| None).collect();
        let arena = self.arenas.take(len);
        let (level, heads) = (self.level, Vec::new());
        LaneRun { level, network, plan, batch, bank, gates: None, weight_gradients: true, arena, norms, heads }
    }
}

impl Executor for Cpu {
    type Real = f32;

    fn arithmetic(&self) -> String {
        format!("cpu {} f32", self.level)
    }

    fn working_memory(&self, demand: &Demand<'_>) -> WorkingMemory {
        let arena = demand.most_training(|plan| training_len(plan, demand.training_images));
        let evaluation = demand.most_evaluation(|plan| evaluation_len(plan, demand.evaluation_images));
        let row = demand.most_training(|plan| plan.row_len);
        let scratch = demand.most_training(scratch_len).max(demand.most_evaluation(scratch_len));
        // A row of gradients for every lane, and their sums. What is too large for any machine must not wrap around.
        let lanes = arena.saturating_mul(Self::wave().min(demand.lanes));
        let training = lanes.saturating_add((2 * row).saturating_mul(demand.lanes));
        // An evaluation takes over a lane's arena, or has a larger one in its place.
        let evaluation = evaluation.saturating_sub(arena);
        let scratch = scratch * rayon::current_num_threads();
        let [training, evaluation, scratch] =
            [training, evaluation, scratch].map(|len| len.saturating_mul(size_of::<f32>()));
        WorkingMemory { training, evaluation, scratch }
    }

    fn train(&self, lanes: &[TrainLane<'_, f32>]) -> Result<Vec<TrainResult<f32>>, DeviceError> {
        let mut results = Vec::with_capacity(lanes.len());
        for wave in lanes.chunks(Self::wave()) {
            let run = |lane: &TrainLane<'_, f32>| {
                let len = training_len(lane.plan, lane.batch.labels.len());
                let mut run = self.start(lane.network, lane.plan, lane.batch, lane.bank, len);
                run.gates = lane.gates;
                run.weight_gradients = lane.weight_gradients;
                run.forward(Regime::Batch);
                let result = run.backward();
                self.arenas.give(run.arena);
                result
            };
            results.par_extend(wave.par_iter().map(run));
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
        let len = evaluation_len(plan, batch.labels.len());
        let mut run = self.start(network, plan, batch, bank, len);
        run.forward(regime);
        let heads = run.heads.iter().map(|head| head.result(batch.labels)).collect();
        let statistics = run.statistics();
        self.arenas.give(run.arena);
        Ok(Evaluation { heads, statistics })
    }
}

impl HeadState {
    fn result(&self, labels: &[u8]) -> HeadResult {
        let predictions: Vec<u8> = self.predictions.iter().map(|class| *class as u8).collect();
        HeadResult::new(self.losses.iter().copied().map(f64::from), predictions, labels)
    }
}

impl LaneRun<'_> {
    fn images(&self) -> usize {
        self.batch.labels.len()
    }

    /// Statistics of every normalized value over its logical channels.
    fn statistics(&mut self) -> Vec<Option<BatchStatistics>> {
        self.norms.iter_mut().map(|norm| norm.as_mut().and_then(|norm| norm.statistics.take())).collect()
    }

    /// Shape of a head.
    fn head(&self, inputs: &[usize]) -> Head {
        let shape = self.plan.graph.values[inputs[0]].shape;
        Head { height: shape.height, width: shape.width, classes: self.network.classes }
    }
}

/// Elements of a training lane's arena: values and gradients, prepared weights of one stage, and one stage's weight gradients of
/// every chunk.
fn training_len(plan: &LanePlan, images: usize) -> usize {
    let [prepared, partials] = tail(plan, images);
    evaluation_len(plan, images).saturating_add(prepared).saturating_add(partials)
}

/// Elements of the arena of an evaluation.
fn evaluation_len(plan: &LanePlan, images: usize) -> usize {
    plan.schedule.elements_per_image.saturating_mul(images)
}

/// Elements of a thread's scratch at most.
fn scratch_len(plan: &LanePlan) -> usize {
    let graph = &plan.graph;
    let images = graph.values.iter().map(|value| value.shape.pixels() * padded_channels(value.shape.channels));
    let beside_images = graph.stages.iter().map(|stage| match &stage.kind {
        StageKind::Linear { operation, .. } => {
            let stored = stage.inputs.iter().map(|value| stored_channels(graph, *value));
            operation.linear().cpu_scratch_len(stored.sum())
        }
        _ => 0,
    });
    SCRATCH_IMAGES * images.max().unwrap_or(0) + beside_images.max().unwrap_or(0)
}

/// Elements after the values: prepared weights, weight gradients by chunk.
fn tail(plan: &LanePlan, images: usize) -> [usize; 2] {
    let (mut prepared, mut partials) = (0, 0);
    for stage in &plan.graph.stages {
        let (weights, shape) = match &stage.kind {
            StageKind::Linear { weights, operation, .. } => (weights.clone(), operation.output()),
            StageKind::Head { weight, bias, .. } => (vec![*weight, *bias], plan.graph.values[stage.inputs[0]].shape),
            StageKind::Node { .. } => continue,
        };
        let len: usize = weights.iter().map(|weight| plan.row_range(*weight).len()).sum();
        prepared = prepared.max(len);
        partials = partials.max(len.saturating_mul(images.div_ceil(chunk_images(shape))));
    }
    [prepared.next_multiple_of(16), partials]
}
