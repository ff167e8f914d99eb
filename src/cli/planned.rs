//! What steps of a configuration would launch on a GPU, with the children that `train` draws for them.

use crate::backend::LanePlan;
use crate::backend::cuda::{PlannedLane, StepPlan, WavePlanner};
use crate::device::facts::{DEVICES, DeviceFacts};
use crate::network::Model;
use crate::ops::cuda::Storage;
use crate::plan::Graph;
use crate::train::ChildSchedule;
use crate::train::config::{MiniBatches, RunConfig};
use std::ops::Range;

/// A GPU's facts, by its name on the command line.
pub fn device_facts(name: &str) -> Result<DeviceFacts, String> {
    let found = DEVICES.into_iter().find(|device| device.name == name);
    found.ok_or_else(|| format!("choose {}", DEVICES.map(|device| device.name).join(", ")))
}

/// A lane of a step.
pub struct StepLane {
    /// None of a mixture.
    pub child: Option<String>,
    pub plan: LanePlan,
    /// Whether weights step on it, or architecture parameters.
    pub weight_gradients: bool,
    bank: usize,
    mini_batch: usize,
}

/// Steps with their lanes, all replicas together: of a search first those on which the architecture parameters step.
pub struct PlannedSteps {
    pub steps: Vec<Vec<StepLane>>,
    pub plan: StepPlan,
    /// Of all lanes.
    pub images: u64,
}

impl PlannedSteps {
    /// Steps counted from the beginning of a run, whose mini-batches are all as large as configured.
    ///
    /// # Errors
    /// Children that the space does not have.
    pub fn new(
        config: &RunConfig,
        model: &Model,
        steps: Range<u64>,
        storage: Storage,
        device: &DeviceFacts,
    ) -> anyhow::Result<Self> {
        let steps = steps.map(|step| lanes(config, model, step)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut plan = StepPlan::default();
        let planner = WavePlanner::of_facts(device);
        for lanes in steps.iter().flat_map(|step| step.chunk_by(|a, b| a.weight_gradients == b.weight_gradients)) {
            let planned: Vec<PlannedLane<'_>> = (lanes.iter())
                .map(|lane| PlannedLane {
                    plan: &lane.plan,
                    images: config.data.batch as usize,
                    gated: lane.child.is_none(),
                    weight_gradients: lane.weight_gradients,
                    replica: lane.bank,
                    mini_batch: lane.mini_batch,
                })
                .collect();
            plan.add_step(&planned, model.layout.len(), storage, config.optimizer.clip_norm.is_some(), &planner);
        }
        let images = steps.iter().map(Vec::len).sum::<usize>() as u64 * u64::from(config.data.batch);
        Ok(Self { steps, plan, images })
    }
}

/// The lanes of a step, as `train` would draw them.
fn lanes(config: &RunConfig, model: &Model, step: u64) -> anyhow::Result<Vec<StepLane>> {
    if config.is_search() {
        let mixture = |weight_gradients, replica: u32| StepLane {
            child: None,
            plan: LanePlan::training(&model.network, Graph::of_mixture(model)),
            weight_gradients,
            bank: replica as usize,
            mini_batch: replica as usize,
        };
        let of_replicas =
            |weight_gradients| (0..config.replicas).map(move |replica| mixture(weight_gradients, replica));
        return Ok([false, true].into_iter().flat_map(of_replicas).collect());
    }
    let space = &model.network.space;
    let mut lanes = Vec::new();
    let mut mini_batch = 0;
    for replica in 0..config.replicas {
        let [.., order] = config.seed.of(replica);
        let schedule = ChildSchedule::new(space, &config.step, order)?;
        for (lane, child) in schedule.children(space, step).iter().enumerate() {
            if lane == 0 || config.step.minibatch == MiniBatches::Independent {
                mini_batch += 1;
            }
            lanes.push(StepLane {
                child: Some(space.format_child(child)),
                plan: LanePlan::training(&model.network, Graph::of_children(model, std::slice::from_ref(child))),
                weight_gradients: true,
                bank: replica as usize,
                mini_batch,
            });
        }
    }
    Ok(lanes)
}
