//! The tables of a step's end: finite losses, running statistics, the update.

use super::Cuda;
use super::replica::{DeviceReplica, first_position};
use super::tasks::Tasks;
use super::wave::WaveLane;
use crate::backend::ReplicaStep;
use crate::backend::results::unbiased_correction;
use crate::backend::unsampled::started_but_unused;
use crate::device::Pointer;
use crate::network::{Model, ParameterRef};
use crate::ops::normalization::cuda::{Move, Running};
use crate::ops::sgd::cuda::{ClipTask, LossTask, Losses, SgdChunk, SgdSettings};
use crate::ops::sgd::{Sgd, Unsampled};
use crate::plan::ValueId;
use crate::tensor::padded_channels;

/// What follows the passes of all lanes.
pub enum Ending<'a> {
    /// Nothing; the gradients of lanes stay apart.
    Nothing,
    /// Running statistics move.
    Running,
    /// And weights, of replicas in the order of their numbers.
    Update(&'a [Update]),
}

/// How a replica is updated.
pub struct Update {
    pub sgd: Sgd,
    pub learning_rate: f64,
    /// What the sum of its lanes' gradients is multiplied by.
    pub share: f64,
}

impl Update {
    pub fn of(step: &ReplicaStep<'_, Cuda>) -> Self {
        Self { sgd: step.sgd, learning_rate: step.learning_rate, share: step.reduce.share(step.lanes.len()) }
    }
}

/// What moves after all lanes have run.
#[derive(Default)]
pub struct StepTables {
    pub losses: Vec<Losses>,
    pub loss_tasks: Vec<LossTask>,
    pub running: Vec<Running>,
    pub moves: Vec<Move>,
    pub chunks: Vec<SgdChunk>,
    pub settings: Vec<SgdSettings>,
    pub clips: Vec<ClipTask>,
}

/// A lane with its places.
pub type PlacedLane<'a> = (&'a WaveLane<'a>, &'a Tasks<'a>);

impl StepTables {
    /// Losses and running statistics of lanes, whose replicas come in order. `is_finite`: of a replica.
    pub fn of_lanes(lanes: &[PlacedLane<'_>], is_finite: impl Fn(usize) -> Pointer) -> Self {
        let mut step = Self::default();
        for lanes in lanes.chunk_by(|a, b| a.0.number == b.0.number) {
            let is_finite = is_finite(lanes[0].0.number);
            step.loss_tasks.push(LossTask { is_finite, first: step.losses.len() as u32, lanes: lanes.len() as u32 });
            step.losses.extend(lanes.iter().map(|(_, tasks)| tasks.losses()));
            step.add_running(lanes, is_finite);
        }
        step
    }

    /// Running statistics of the lanes of one replica.
    fn add_running(&mut self, lanes: &[PlacedLane<'_>], is_finite: Pointer) {
        let mut moved: Vec<([ParameterRef; 2], (usize, ValueId))> = Vec::new();
        for (number, (lane, _)) in lanes.iter().enumerate() {
            let norms = lane.plan.graph.values.iter().enumerate();
            moved.extend(norms.filter_map(|(id, value)| Some((value.norm?.running?, (number, id)))));
        }
        // Of each copy in the order of the lanes.
        moved.sort_by_key(|([mean, _], _)| *mean);
        for moved in moved.chunk_by(|([a, _], _), ([b, _], _)| a == b) {
            let ([mean, variance], (first, id)) = moved[0];
            let (lane, tasks) = &lanes[first];
            let value = &lane.plan.graph.values[id];
            let Some(norm) = value.norm else { continue };
            let momentum = lane.model.network.norms[norm.norm].momentum;
            self.running.push(Running {
                mean: tasks.weight(mean),
                variance: tasks.weight(variance),
                bias: norm.bias.map_or(Pointer::NULL, |bias| tasks.weight(bias)),
                positions: Pointer::to(&lane.replica.positions, first_position(lane.model, norm.norm)),
                is_finite,
                kept: 1.0 - momentum,
                momentum,
                channels: value.shape.channels as u32,
                first: self.moves.len() as u32,
                moves: moved.len() as u32,
                unused: 0,
            });
            self.moves.extend(moved.iter().map(|&(_, (number, id))| {
                let (lane, tasks) = &lanes[number];
                let shape = lane.plan.graph.values[id].shape;
                Move {
                    statistics: tasks.statistics(id),
                    correction: unbiased_correction((lane.images() * shape.pixels()) as f64),
                    stored: padded_channels(shape.channels) as u64,
                }
            }));
        }
    }

    /// The update of a replica whose lanes use the copies `used`, ascending. Replicas come in order.
    pub fn add_update(
        &mut self,
        update: &Update,
        (model, replica): (&Model, &DeviceReplica),
        used: &[ParameterRef],
        [is_finite, factor]: [Pointer; 2],
    ) {
        let number = self.settings.len();
        let first = self.chunks.len();
        self.chunks.extend(chunks(&update.sgd, model, &replica.started, used, number as u32));
        if let Some(limit) = update.sgd.clip_norm {
            let chunks = (self.chunks.len() - first) as u32;
            self.clips.push(ClipTask { factor, limit, first: first as u32, chunks });
        }
        self.settings.push(SgdSettings {
            weights: Pointer::to(&replica.weights, 0),
            momenta: Pointer::to(&replica.momenta, 0),
            gradients: Pointer::to(&replica.gradients, 0),
            is_finite,
            factor: if update.sgd.clip_norm.is_some() { factor } else { Pointer::NULL },
            ..SgdSettings::new(&update.sgd, update.learning_rate)
        });
    }
}

/// What an update moves in a replica whose step used the copies `used`: these, and with [`Unsampled::Decay`] the shared ones that had a gradient
/// before (`started`).
pub fn chunks(sgd: &Sgd, model: &Model, started: &[bool], used: &[ParameterRef], replica: u32) -> Vec<SgdChunk> {
    let place = |reference: ParameterRef| model.layout.range(reference.parameter, reference.copy);
    let mut table = Vec::new();
    if sgd.unsampled == Unsampled::Decay {
        for reference in started_but_unused(model, started, |reference| used.binary_search(&reference).is_ok()) {
            table.extend(SgdChunk::of_parameter(place(reference), replica, false, false));
        }
    }
    for &reference in used {
        let was_started = started[model.layout.number(reference)];
        table.extend(SgdChunk::of_parameter(place(reference), replica, true, !was_started));
    }
    table
}
