//! Before a run: whether the device can run every stage, and the memory that its lanes will take.

use super::layout::{LaneLayout, LaneShape, Sizes};
use super::wave::WaveFiller;
use super::wave_planner::{Load, WavePlanner};
use crate::backend::{Demand, LanePlan};
use crate::device::DeviceError;
use crate::ops::cuda::Storage;
use crate::plan::{Graph, Stage, StageKind};

/// What waves of the largest lanes need of every buffer.
///
/// # Errors
/// A stage that no kernel can run with so many bytes of shared memory.
pub fn sizes(
    demand: &Demand<'_>,
    planner: &WavePlanner,
    storage: Storage,
    shared_bytes: u32,
) -> Result<Sizes, DeviceError> {
    let mut all = Sizes::default();
    for plan in demand.training {
        let lane = lane_shape(plan, demand.training_images, true);
        all = all.or(&wave(&lane, demand.lanes, planner, storage, shared_bytes)?);
    }
    for plan in demand.evaluation {
        let lane = lane_shape(plan, demand.evaluation_images, false);
        all = all.or(&wave(&lane, 1, planner, storage, shared_bytes)?);
    }
    Ok(all)
}

/// A lane that needs as much as any of its plan.
pub fn lane_shape(plan: &LanePlan, images: usize, training: bool) -> LaneShape<'_> {
    LaneShape { plan, images, training, weight_gradients: training, keeps_row: false, gated: training, given: &[] }
}

/// What a lane puts on a device.
pub fn load(lane: &LaneShape<'_>, storage: Storage) -> (Load, LaneLayout) {
    let mut sizes = Sizes::default();
    let layout = LaneLayout::new(lane, storage, &mut sizes);
    (Load::of_lane(lane, &layout.kernels, storage, sizes.bytes()), layout)
}

/// Of so many equal lanes, what those that run together need.
fn wave(
    lane: &LaneShape<'_>,
    lanes: usize,
    planner: &WavePlanner,
    storage: Storage,
    shared_bytes: u32,
) -> Result<Sizes, DeviceError> {
    let (load, layout) = load(lane, storage);
    let graph = &lane.plan.graph;
    graph.stages.iter().zip(&layout.kernels).try_for_each(|(stage, kernels)| {
        if !reads_what_it_may(stage) {
            let stage = stage.name.clone();
            return Err(DeviceError::ReadsImage { stage });
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
    })?;
    let mut filler = WaveFiller::new(planner, storage, Sizes::default());
    for _ in 0..planner.together(load, lanes) {
        filler.place(lane);
    }
    Ok(filler.all)
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
        let sizes = |kibibytes: u32| sizes(&demand, &WavePlanner::fixed(2), Storage::F32, kibibytes << 10);
        let (lane, _) = load(&lane_shape(&plans[0], 4, true), Storage::F32);
        assert_eq!(sizes(99).expect("every GPU has that").arena.bytes() as u64, 2 * lane.map_bytes);
        let error = sizes(4).map(|_| ()).expect_err("too little").to_string();
        assert!(error.contains(" KiB of shared memory, but a block has at most 4;"), "{error}");
    }
}
