//! Where everything of one lane lies in device memory, from the lane's first place in every buffer on.

use super::kernels::{stage_kernels, stored_channels};
use super::places::Places;
use crate::backend::{BatchStatistics, LanePlan};
use crate::network::ParameterRef;
use crate::ops::cuda::{Source, Stage as DeviceStage, StageKernels, Storage};
use crate::plan::{GateRef, Graph, Stage, StageKind, ValueId};
use crate::tensor::padded_channels;
use std::ops::AddAssign;

/// What a lane asks for.
pub struct LaneShape<'a> {
    pub plan: &'a LanePlan,
    pub images: usize,
    pub training: bool,
    pub weight_gradients: bool,
    /// Whether they are wanted one by one, not added to those of other lanes.
    pub keeps_row: bool,
    /// Whether the gradients of its gates are wanted.
    pub gated: bool,
    /// By value; none where the batch itself is measured.
    pub given: &'a [Option<BatchStatistics>],
}

impl LaneShape<'_> {
    pub fn is_given(&self, value: ValueId) -> bool {
        self.given.get(value).is_some_and(Option::is_some)
    }

    /// Elements of its row.
    fn row_len(&self) -> usize {
        match (self.weight_gradients, self.keeps_row) {
            (true, true) => self.plan.row_len,
            (true, false) => self.plan.levels().whole_gradients_len,
            (false, _) => 0,
        }
    }

    /// Its element in the row where a gradient begins; none if it has no place there.
    pub fn row_place(&self, reference: ParameterRef) -> Option<usize> {
        let range = match (self.weight_gradients, self.keeps_row) {
            (true, true) => Some(self.plan.row_range(reference)),
            (true, false) => self.plan.levels().whole_gradients.get(&reference).cloned(),
            (false, _) => None,
        };
        range.map(|range| range.start)
    }
}

/// Places of one normalized value. Offsets are bytes in the buffer named.
pub struct NormPlaces {
    /// `work`: the rows of the normalization; `constants` where the statistics are given.
    pub rows: usize,
    /// `work`: moments of the producer's parts.
    pub moments: usize,
    /// `results`: mean and variance in f64.
    pub statistics: usize,
    /// `work`: sums of the parts of the last stage that adds to the gradient.
    pub sums: usize,
}

/// Places of one stage.
pub struct StagePlaces {
    /// `work`: parts of the gradients of its weights.
    pub weight_parts: [usize; 2],
    /// Index in `counters`.
    pub counter: usize,
    /// First in `sources`.
    pub sources: usize,
    /// Of each gate of a node: index in `gates`, `work`: parts of its gradient.
    pub gates: Vec<(usize, usize)>,
}

/// Places of one head.
#[derive(Clone, Copy)]
pub struct HeadPlaces {
    /// `work`
    pub features: usize,
    pub dfeatures: usize,
    pub logits: usize,
    pub dlogits: usize,
    /// `losses`
    pub losses: usize,
    pub predictions: usize,
}

/// Sizes of the buffers that lanes share.
#[derive(Clone, Copy, Default)]
pub struct Sizes {
    /// Feature maps and gradients.
    pub arena: Places,
    /// What kernels leave for each other.
    pub work: Places,
    /// Gradients of lanes that come in one piece, or all of them.
    pub rows: Places,
    /// What comes back of every step: losses and predictions.
    pub losses: Places,
    /// What comes back where it is wanted.
    pub results: Places,
    /// Normalizations that the host computes.
    pub constants: Places,
    pub counters: usize,
    pub sources: usize,
    pub gates: usize,
}

pub struct LaneLayout {
    pub norms: Vec<Option<NormPlaces>>,
    pub stages: Vec<StagePlaces>,
    pub kernels: Vec<StageKernels>,
    pub heads: Vec<HeadPlaces>,
    /// `results`: gradients of all gates, one f64 each, in the order of `StagePlaces::gates`.
    pub gate_results: usize,
}

impl LaneLayout {
    /// With what the lane takes.
    pub fn new(lane: &LaneShape<'_>, storage: Storage) -> (Self, Sizes) {
        let mut sizes = Sizes::default();
        let (plan, images) = (lane.plan, lane.images);
        let graph = &plan.graph;
        let schedule = &plan.levels().schedule;
        let elements = schedule.elements_per_image * images;
        sizes.arena.take::<u8>(elements * storage.bytes() as usize);
        let kernels: Vec<StageKernels> =
            graph.stages.iter().map(|stage| stage_kernels(plan, stage, images, storage)).collect();

        let mut producer = vec![None; graph.values.len()];
        for (id, stage) in graph.stages.iter().enumerate() {
            stage.output.into_iter().for_each(|output| producer[output] = Some(id));
        }
        let norms = (graph.values.iter().enumerate())
            .map(|(id, value)| {
                value.norm?;
                let channels = padded_channels(value.shape.channels);
                let parts = producer[id].map_or(0, |stage: usize| kernels[stage].forward.launch.parts);
                let writer = if lane.training { schedule.last_writer[id] } else { None };
                let sums = writer.map_or(0, |stage| kernels[stage].gradient_parts);
                let rows = if lane.is_given(id) { &mut sizes.constants } else { &mut sizes.work };
                Some(NormPlaces {
                    rows: rows.take::<f32>(DeviceStage::NORMALIZATION_ROWS * channels),
                    moments: sizes.work.take::<f32>(3 * parts as usize * channels),
                    statistics: sizes.results.take::<f64>(2 * channels),
                    sums: sizes.work.take::<f32>(2 * sums as usize * channels),
                })
            })
            .collect();

        let stages = (graph.stages.iter().zip(&kernels))
            .map(|(stage, kernels)| {
                let weights = stage.weights();
                let len = |index: usize| weights.get(index).map_or(0, |weight| plan.row_range(*weight).len());
                let parts = |index: usize| if lane.weight_gradients { kernels.weight_parts[index] as usize } else { 0 };
                let weight_parts = [0, 1].map(|index| sizes.work.take::<f32>(parts(index) * len(index)));
                let gates = match &stage.kind {
                    StageKind::Node { gates } if lane.gated => gates.iter().flatten().count(),
                    _ => 0,
                };
                let gradient = kernels.backward[0].launch;
                let gate_parts = gradient.parts * gradient.columns;
                let gates = (0..gates)
                    .map(|_| {
                        sizes.gates += 1;
                        (sizes.gates - 1, sizes.work.take::<f32>(gate_parts as usize))
                    })
                    .collect();
                sizes.counters += 1;
                sizes.sources += stage.inputs.len();
                let (counter, sources) = (sizes.counters - 1, sizes.sources - stage.inputs.len());
                StagePlaces { weight_parts, counter, sources, gates }
            })
            .collect();

        let heads = (graph.heads.iter())
            .map(|id| {
                let stage = &graph.stages[*id];
                let (features, classes) = (stored_channels(graph, stage), classes(plan, stage));
                let training = usize::from(lane.training);
                HeadPlaces {
                    features: sizes.work.take::<f32>(images * features),
                    dfeatures: sizes.work.take::<f32>(training * images * features),
                    logits: sizes.work.take::<f32>(images * classes),
                    dlogits: sizes.work.take::<f32>(training * images * classes),
                    losses: sizes.losses.take::<f32>(images),
                    predictions: sizes.losses.take::<u32>(images),
                }
            })
            .collect();
        sizes.rows.take::<f32>(lane.row_len());
        let gate_results = sizes.results.take::<f64>(sizes.gates);
        (Self { norms, stages, kernels, heads, gate_results }, sizes)
    }
}

impl AddAssign for Sizes {
    /// Others behind these.
    fn add_assign(&mut self, others: Self) {
        self.arena += others.arena;
        self.work += others.work;
        self.rows += others.rows;
        self.losses += others.losses;
        self.results += others.results;
        self.constants += others.constants;
        self.counters += others.counters;
        self.sources += others.sources;
        self.gates += others.gates;
    }
}

impl Sizes {
    /// Of the next lanes, which use the same memory again but for losses and results.
    pub fn next(&self) -> Self {
        Self { losses: self.losses, results: self.results, ..Self::default() }
    }

    /// With the losses and results of so many waves.
    pub fn with_results_of(self, waves: usize) -> Self {
        Self { losses: self.losses.times(waves), results: self.results.times(waves), ..self }
    }

    /// Of both, one after the other.
    pub fn or(&self, other: &Self) -> Self {
        let larger = |of: fn(&Self) -> Places| of(self).or(of(other));
        Self {
            arena: larger(|sizes| sizes.arena),
            work: larger(|sizes| sizes.work),
            rows: larger(|sizes| sizes.rows),
            losses: larger(|sizes| sizes.losses),
            results: larger(|sizes| sizes.results),
            constants: larger(|sizes| sizes.constants),
            counters: self.counters.max(other.counters),
            sources: self.sources.max(other.sources),
            gates: self.gates.max(other.gates),
        }
    }

    /// Of all buffers.
    pub fn bytes(&self) -> usize {
        let places =
            [&self.arena, &self.work, &self.rows, &self.losses, &self.results, &self.constants].map(Places::bytes);
        places.iter().sum::<usize>() + self.sources * size_of::<Source>()
    }
}

impl LaneLayout {
    /// The gates of a mixture with their places.
    pub fn gates(&self, graph: &Graph) -> impl Iterator<Item = (GateRef, (usize, usize))> {
        let of_stage = |(stage, places): (&Stage, &StagePlaces)| {
            let gates: Vec<GateRef> = match &stage.kind {
                StageKind::Node { gates } => gates.iter().flatten().copied().collect(),
                _ => Vec::new(),
            };
            gates.into_iter().zip(places.gates.clone()).collect::<Vec<_>>()
        };
        graph.stages.iter().zip(&self.stages).flat_map(of_stage).collect::<Vec<_>>().into_iter()
    }
}

/// Classes that a head tells apart.
pub fn classes(plan: &LanePlan, head: &Stage) -> usize {
    match head.kind {
        StageKind::Head { bias, .. } => plan.row_range(bias).len(),
        _ => 0,
    }
}
