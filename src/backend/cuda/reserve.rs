//! Before a run: whether the device can run every stage, and the memory that its lanes will take.

use super::lane_program::LanePrograms;
use super::layout::{LaneShape, Sizes};
use super::wave::WaveFiller;
use super::wave_planner::WavePlanner;
use crate::backend::{Demand, LanePlan};
use crate::device::DeviceError;
use crate::ops::cuda::Storage;
use crate::plan::{Graph, Stage, StageKind};

/// What the waves of a step need of every buffer, if all its lanes were of the plan that needs most of it.
pub fn training(demand: &Demand<'_>, planner: &WavePlanner, storage: Storage) -> Sizes {
    let steps = demand.training.iter().map(|plan| {
        let mut filler = WaveFiller::new(planner, Sizes::default());
        let program = LanePrograms::new(storage).of(&lane_shape(plan, demand.training_images, true));
        let together = planner.together(program.load, demand.lanes);
        (0..together).for_each(|_| drop(filler.place(program.clone())));
        // Waves use the same memory, but for their results.
        filler.all.with_results_of(demand.lanes.div_ceil(together.max(1)))
    });
    steps.fold(Sizes::default(), |all, step| all.or(&step))
}

/// The same of an evaluation.
pub fn evaluation(demand: &Demand<'_>, storage: Storage) -> Sizes {
    let graphs = demand
        .evaluation
        .iter()
        .map(|plan| LanePrograms::new(storage).of(&lane_shape(plan, demand.evaluation_images, false)).sizes);
    graphs.fold(Sizes::default(), |all, graph| all.or(&graph))
}

/// A lane that needs as much as any of its plan.
fn lane_shape(plan: &LanePlan, images: usize, training: bool) -> LaneShape<'_> {
    LaneShape { plan, images, training, weight_gradients: training, keeps_row: false, gated: training, given: &[] }
}

/// Whether every stage can run with so many bytes of shared memory.
///
/// # Errors
/// Says which cannot.
pub fn check(demand: &Demand<'_>, storage: Storage, shared_bytes: u32) -> Result<(), DeviceError> {
    let training = demand.training.iter().map(|plan| lane_shape(plan, demand.training_images, true));
    let evaluation = demand.evaluation.iter().map(|plan| lane_shape(plan, demand.evaluation_images, false));
    training.chain(evaluation).try_for_each(|lane| check_lane(&lane, storage, shared_bytes))
}

fn check_lane(lane: &LaneShape<'_>, storage: Storage, shared_bytes: u32) -> Result<(), DeviceError> {
    let program = LanePrograms::new(storage).of(lane);
    lane.plan.graph.stages.iter().zip(&program.layout.kernels).try_for_each(|(stage, kernels)| {
        if !reads_what_it_may(stage) {
            let stage = stage.name.clone();
            return Err(DeviceError::ReadsImage { stage });
        }
        if !kernels.geometry.is_counted() {
            let stage = stage.name.clone();
            return Err(DeviceError::Neighbourhood { stage });
        }
        let launches = kernels.backward.iter().chain([&kernels.forward]).map(|kernel| kernel.launch);
        match launches.max_by_key(|launch| launch.shared_bytes).filter(|launch| launch.shared_bytes > shared_bytes) {
            None => Ok(()),
            Some(launch) => Err(DeviceError::SharedMemory {
                stage: stage.name.clone(),
                kernel: launch.kernel,
                needed: launch.shared_bytes >> 10,
                most: shared_bytes >> 10,
            }),
        }
    })
}

/// The network's input is f32 with channels padded to four: only some kernels read it.
fn reads_what_it_may(stage: &Stage) -> bool {
    match &stage.kind {
        _ if !stage.inputs.contains(&Graph::IMAGE) => true,
        StageKind::Linear { operation, .. } => operation.linear().reads_images(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Model, Network, NetworkSize, Sharing};
    use crate::space::{Child, Space};
    use crate::tensor::Shape;
    use std::sync::Arc;

    #[test]
    fn stages_fit_the_shared_memory_of_a_gpu_and_not_less() {
        let space = Space::built_in("zhang64").expect("a built-in space");
        let size = NetworkSize { input: Shape::new(8, 8, 3), channels: 8, cells: 1, classes: 10 };
        let model = Model::new(Network::build(&space, size).expect("a valid size"), Sharing::All, &[]);
        let graph = Graph::of_children(&model, &[Child(vec![1, 2, 3])]);
        let plans = [Arc::new(LanePlan::training(&model.network, graph))];
        let demand = Demand { training: &plans, lanes: 3, training_images: 4, evaluation: &[], evaluation_images: 0 };
        let lane = LanePrograms::new(Storage::F32).of(&lane_shape(&plans[0], 4, true)).load;
        let [one, two] = [1, 2].map(|lanes| training(&demand, &WavePlanner::fixed(lanes), Storage::F32));
        assert_eq!([one, two].map(|sizes| sizes.arena.bytes() as u64), [lane.map_bytes, 2 * lane.map_bytes]);
        // Of three lanes, in three waves and in two.
        assert_eq!(4 * one.results.bytes(), 3 * two.results.bytes());
        check(&demand, Storage::F32, 99 << 10).expect("every GPU has that");
        let error = check(&demand, Storage::F32, 4 << 10).expect_err("too little").to_string();
        assert!(error.contains(" KiB of shared memory, but a block has at most 4;"), "{error}");
    }
}
