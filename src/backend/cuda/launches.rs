//! Which tasks share a launch: those of all lanes by level, and by kernel within a level.

use super::layout::LaneShape;
use crate::device::Launch;
use crate::ops::cuda::{StageKernel, StageKernels, StageLaunch};
use crate::plan::StageId;

/// Which launch a task belongs to, in the order of the launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaunchKey {
    pub level: usize,
    /// Within the level.
    pub phase: u8,
    pub launch: StageLaunch,
}

impl LaunchKey {
    /// The launch of so many tasks.
    pub const fn launch(&self, tasks: u32) -> Launch {
        Launch {
            kernel: self.launch.kernel,
            grid: [self.launch.parts, tasks, self.launch.columns],
            block: [StageLaunch::THREADS, 1, 1],
            shared_bytes: self.launch.shared_bytes,
            cooperative: false,
        }
    }
}

/// One stage's part in a launch.
pub struct LaunchTask<'a> {
    pub key: LaunchKey,
    pub stage: StageId,
    pub kernel: &'a StageKernel,
}

/// The tasks of a lane: forward, and backward where it trains. `kernels`: of each stage.
pub fn launch_tasks<'a>(lane: &LaneShape<'_>, kernels: &'a [StageKernels]) -> Vec<LaunchTask<'a>> {
    let task = |stage: StageId, level: usize, kernel: &'a StageKernel| LaunchTask {
        key: LaunchKey { level, phase: kernel.phase, launch: kernel.launch },
        stage,
        kernel,
    };
    let levels = lane.plan.levels().order.forward.iter().enumerate();
    let forward = levels.map(|(stage, level)| task(stage, *level, &kernels[stage].forward));
    let backward = with_backward(lane).flat_map(|(stage, level)| {
        let wanted = kernels[stage].backward.iter().filter(|kernel| lane.weight_gradients || !kernel.only_weights);
        wanted.map(move |kernel| task(stage, level, kernel))
    });
    forward.chain(backward).collect()
}

/// The stages of a lane that have a backward pass, with its level.
pub fn with_backward(lane: &LaneShape<'_>) -> impl Iterator<Item = (StageId, usize)> {
    let levels = if lane.training { lane.plan.levels().order.backward.as_slice() } else { &[] };
    levels.iter().enumerate().filter_map(|(stage, level)| Some((stage, (*level)?)))
}
