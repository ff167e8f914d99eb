//! What does not change of a lane from step to step, wherever it lies: its places, its tasks and what its gradients are the sums of.

use super::launches::{LaunchKey, launch_tasks, with_backward};
use super::layout::{LaneLayout, LaneShape, Sizes};
use super::wave_planner::Load;
use crate::network::ParameterRef;
use crate::ops::cuda::Storage;
use crate::plan::StageId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Programs that are kept; mixtures have long ones, but there are few of these.
const MOST_PROGRAMS: usize = 4096;

pub struct LaneProgram {
    /// From the lane's first place in every buffer on.
    pub layout: LaneLayout,
    /// What the lane takes of every buffer.
    pub sizes: Sizes,
    pub load: Load,
    /// Of its stages but heads.
    pub stages: Vec<LaneTask>,
    /// Of its heads, by their number.
    pub heads: Vec<LaneTask>,
    /// Of all parameters that the lane uses, ascending; empty where they are not wanted.
    pub gradients: Vec<LaneGradient>,
}

/// A task of a lane.
pub struct LaneTask {
    pub key: LaunchKey,
    /// Of the key, among all that were seen.
    pub number: usize,
    /// Stage, or number of the head.
    pub index: usize,
}

/// The gradient of a parameter.
pub struct LaneGradient {
    pub parameter: ParameterRef,
    pub len: usize,
    pub place: GradientPlace,
}

/// Where a gradient is.
#[derive(Clone, Copy)]
pub enum GradientPlace {
    /// `work`: so many parts.
    Parts(usize, u32),
    /// In the lane's row.
    Row,
    /// It is zero.
    Nowhere,
}

impl GradientPlace {
    /// What is added to have the whole gradient.
    pub const fn parts(self) -> Option<u32> {
        match self {
            Self::Parts(_, parts) => Some(parts),
            Self::Row => Some(1),
            Self::Nowhere => None,
        }
    }
}

/// What a program depends on.
type ProgramKey = (u64, usize, [bool; 4]);

/// Programs by lane, made when they are first asked for.
pub struct LanePrograms {
    storage: Storage,
    known: HashMap<ProgramKey, Arc<LaneProgram>>,
    numbers: BTreeMap<LaunchKey, usize>,
}

impl LanePrograms {
    pub fn new(storage: Storage) -> Self {
        Self { storage, known: HashMap::new(), numbers: BTreeMap::new() }
    }

    /// Of a lane. Where statistics are given, it is made anew.
    pub fn of(&mut self, lane: &LaneShape<'_>) -> Arc<LaneProgram> {
        if !lane.given.is_empty() {
            return Arc::new(self.make(lane));
        }
        let key = (lane.plan.number, lane.images, [lane.training, lane.weight_gradients, lane.keeps_row, lane.gated]);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        if self.known.len() >= MOST_PROGRAMS {
            self.known.clear();
        }
        let program = Arc::new(self.make(lane));
        self.known.insert(key, program.clone());
        program
    }

    fn make(&mut self, lane: &LaneShape<'_>) -> LaneProgram {
        let (layout, sizes) = LaneLayout::new(lane, self.storage);
        let (mut stages, mut heads) = (Vec::new(), Vec::new());
        for task in launch_tasks(lane, &layout.kernels) {
            let next = self.numbers.len();
            let number = *self.numbers.entry(task.key).or_insert(next);
            match lane.plan.graph.heads.iter().position(|head| *head == task.stage) {
                Some(index) => heads.push(LaneTask { key: task.key, number, index }),
                None => stages.push(LaneTask { key: task.key, number, index: task.stage }),
            }
        }
        LaneProgram {
            load: Load::of_lane(lane, &layout.kernels, self.storage, sizes.bytes()),
            gradients: gradients(lane, &layout),
            layout,
            sizes,
            stages,
            heads,
        }
    }
}

fn gradients(lane: &LaneShape<'_>, layout: &LaneLayout) -> Vec<LaneGradient> {
    if !lane.weight_gradients {
        return Vec::new();
    }
    let of_stage = |(stage, _): (StageId, usize)| {
        let weights = lane.plan.graph.stages[stage].weights().into_iter();
        let (places, kernels) = (&layout.stages[stage], &layout.kernels[stage]);
        let parts = places.weight_parts.into_iter().zip(kernels.weight_parts);
        weights.zip(parts.map(|(place, parts)| GradientPlace::Parts(place, parts)))
    };
    let parts: BTreeMap<ParameterRef, GradientPlace> = with_backward(lane).flat_map(of_stage).collect();
    let place = |parameter: ParameterRef| match (parts.get(&parameter), lane.row_place(parameter)) {
        (Some(parts), _) => *parts,
        (None, Some(_)) => GradientPlace::Row,
        (None, None) => GradientPlace::Nowhere,
    };
    let parameters = lane.plan.parameters.iter();
    parameters
        .map(|&parameter| LaneGradient {
            parameter,
            len: lane.plan.row_range(parameter).len(),
            place: place(parameter),
        })
        .collect()
}
