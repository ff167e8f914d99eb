//! The launches of a step: tasks of all lanes by level, and by kernel within a level.

use super::memory::Memory;
use super::places::Growing;
use super::tasks::Tasks;
use crate::device::{Argument, DeviceError, Launch, Pointer};
use crate::ops::cuda::reduction::{Parts, add_gate_parts, add_parts};
use crate::ops::cuda::{Source, Stage, StageLaunch};
use crate::ops::head::cuda::Head;
use crate::plan::StageId;
use bytemuck::Pod;
use std::collections::BTreeMap;

/// Which launch a task belongs to: the level, the phase within it, the kernel with its blocks.
type Key = (usize, u8, StageLaunch);

/// Collects the tasks of some lanes.
#[derive(Default)]
pub struct Program {
    sources: Vec<Source>,
    stages: BTreeMap<Key, Vec<Stage>>,
    heads: BTreeMap<Key, Vec<Head>>,
    weights: Vec<Parts>,
    gates: Vec<Parts>,
}

/// A launch whose table stands at some element of its buffer.
struct Placed {
    key: Key,
    table: Pointer,
    tasks: usize,
}

impl Program {
    /// Adds the forward pass of a lane.
    pub fn forward(&mut self, tasks: &Tasks<'_>) {
        let plan = tasks.lane.plan;
        let key = |id: StageId| (plan.levels().order.forward[id], 0, tasks.layout.kernels[id].forward);
        for (id, stage) in plan.graph.stages.iter().enumerate() {
            self.sources.extend(tasks.sources(id));
            if stage.output.is_some() {
                self.stages.entry(key(id)).or_default().push(tasks.stage(id));
            }
        }
        for (index, id) in plan.graph.heads.iter().enumerate() {
            self.heads.entry(key(*id)).or_default().push(tasks.head(index));
        }
    }

    /// Adds the backward pass of a lane.
    pub fn backward(&mut self, tasks: &Tasks<'_>) {
        let plan = tasks.lane.plan;
        for (id, time) in plan.levels().order.backward.iter().enumerate() {
            let Some(time) = *time else { continue };
            let kernels = tasks.layout.kernels[id].backward.iter();
            for kernel in kernels.filter(|kernel| tasks.lane.weight_gradients || !kernel.only_weights) {
                let key = (time, kernel.phase, kernel.launch);
                match plan.graph.heads.iter().position(|head| *head == id) {
                    Some(index) => self.heads.entry(key).or_default().push(tasks.head(index)),
                    None => self.stages.entry(key).or_default().push(tasks.stage(id)),
                }
            }
            if tasks.lane.weight_gradients {
                self.weights.extend(tasks.weight_parts(id));
            }
            self.gates.extend(tasks.gate_parts(id));
        }
    }

    /// Uploads the tables and launches everything, level after level.
    ///
    /// # Errors
    /// Not enough device memory, or a launch that fails.
    pub fn run(self, memory: &mut Memory) -> Result<(), DeviceError> {
        let device = memory.device.clone();
        let stages: Vec<Stage> = self.stages.values().flatten().copied().collect();
        let heads: Vec<Head> = self.heads.values().flatten().copied().collect();
        memory.sources.fill_with(&device, &self.sources)?;
        memory.stages.fill_with(&device, &stages)?;
        memory.heads.fill_with(&device, &heads)?;
        let mut placed = place(&self.stages, &memory.stages);
        placed.extend(place(&self.heads, &memory.heads));
        placed.sort_by_key(|launch| launch.key);
        let mut counts: Vec<u32> = placed.iter().map(|launch| launch.tasks as u32).collect();
        counts.extend([self.weights.len() as u32, self.gates.len() as u32]);
        memory.counts.fill_with(&device, &counts)?;
        for (index, Placed { key: (_, _, launch), table, tasks }) in placed.iter().enumerate() {
            let launch = Launch {
                kernel: launch.kernel,
                grid: [launch.parts, *tasks as u32, launch.columns],
                block: [StageLaunch::THREADS, 1, 1],
                shared_bytes: launch.shared_bytes,
                cooperative: false,
            };
            device.launch(&launch, &[Argument::value(*table), Argument::value(memory.counts.pointer(index))])?;
        }
        let parts: Vec<Parts> = self.weights.iter().chain(&self.gates).copied().collect();
        memory.parts.fill_with(&device, &parts)?;
        let add = |launch: Launch, first: usize, count: usize| {
            let table = Argument::value(memory.parts.pointer(first));
            device.launch(&launch, &[table, Argument::value(memory.counts.pointer(count))])
        };
        if let Some(longest) = self.weights.iter().map(|parts| parts.len).max() {
            add(add_parts(self.weights.len() as u32, longest), 0, placed.len())?;
        }
        if !self.gates.is_empty() {
            add(add_gate_parts(self.gates.len() as u32), self.weights.len(), placed.len() + 1)?;
        }
        Ok(())
    }
}

/// Where each launch's tasks begin in a buffer that holds them all.
fn place<T: Pod>(launches: &BTreeMap<Key, Vec<T>>, buffer: &Growing<T>) -> Vec<Placed> {
    let mut first = 0;
    let placed = launches.iter().map(|(key, tasks)| {
        let placed = Placed { key: *key, table: buffer.pointer(first), tasks: tasks.len() };
        first += tasks.len();
        placed
    });
    placed.collect()
}
