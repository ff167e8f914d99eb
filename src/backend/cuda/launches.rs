//! Which tasks share a launch: those of all lanes by level, and by kernel within a level.

use super::kernels::{Pass, StageKernels};
use super::layout::LaneShape;
use crate::device::Launch;
use crate::ops::cuda::StageLaunch;
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
pub struct LaunchTask {
    pub key: LaunchKey,
    pub stage: StageId,
    pub pass: Pass,
}

/// The tasks of a lane: forward, and backward where it trains. `kernels`: of each stage.
pub fn launch_tasks(lane: &LaneShape<'_>, kernels: &[StageKernels]) -> Vec<LaunchTask> {
    let order = &lane.plan.levels().order;
    let forward = (kernels.iter().zip(&order.forward).enumerate()).map(|(stage, (kernels, &level))| LaunchTask {
        key: LaunchKey { level, phase: 0, launch: kernels.forward },
        stage,
        pass: Pass::Forward,
    });
    let backward = with_backward(lane).flat_map(|(stage, level)| {
        let wanted =
            kernels[stage].backward.iter().filter(|kernel| lane.weight_gradients || kernel.pass != Pass::Weights);
        wanted.map(move |kernel| LaunchTask {
            key: LaunchKey { level, phase: kernel.phase, launch: kernel.launch },
            stage,
            pass: kernel.pass,
        })
    });
    forward.chain(backward).collect()
}

/// The stages of a lane that have a backward pass, with its level.
pub fn with_backward(lane: &LaneShape<'_>) -> impl Iterator<Item = (StageId, usize)> {
    let levels = if lane.training { lane.plan.levels().order.backward.as_slice() } else { &[] };
    levels.iter().enumerate().filter_map(|(stage, level)| Some((stage, (*level)?)))
}
