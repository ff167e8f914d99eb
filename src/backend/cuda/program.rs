//! The launches of a step, with the tables that they read.

use super::launches::{LaunchKey, LaunchTask, launch_tasks, with_backward};
use super::memory::Memory;
use super::places::Growing;
use super::tasks::Tasks;
use crate::device::{Argument, DeviceError, Launch, Pointer};
use crate::ops::cuda::reduction::{Parts, add_gate_parts, add_parts};
use crate::ops::cuda::{Source, Stage};
use crate::ops::head::cuda::Head;
use bytemuck::Pod;
use std::collections::BTreeMap;

/// Collects the tasks of some lanes.
#[derive(Default)]
pub struct Program {
    sources: Vec<Source>,
    stages: BTreeMap<LaunchKey, Vec<Stage>>,
    heads: BTreeMap<LaunchKey, Vec<Head>>,
    weights: Vec<Parts>,
    gates: Vec<Parts>,
}

/// A launch whose table stands at some element of its buffer.
struct Placed {
    key: LaunchKey,
    table: Pointer,
    tasks: usize,
}

impl Program {
    /// Adds the passes of a lane.
    pub fn add(&mut self, tasks: &Tasks<'_>) {
        let graph = &tasks.lane.plan.graph;
        self.sources.extend((0..graph.stages.len()).flat_map(|id| tasks.sources(id)));
        let stages: Vec<Stage> = (0..graph.stages.len()).map(|id| tasks.stage(id)).collect();
        for LaunchTask { key, stage, .. } in launch_tasks(&tasks.lane, &tasks.layout.kernels) {
            match graph.heads.iter().position(|head| *head == stage) {
                Some(index) => self.heads.entry(key).or_default().push(tasks.head(index, stages[stage])),
                None => self.stages.entry(key).or_default().push(stages[stage]),
            }
        }
        for (stage, _) in with_backward(&tasks.lane) {
            if tasks.lane.weight_gradients {
                self.weights.extend(tasks.weight_parts(stage));
            }
            self.gates.extend(tasks.gate_parts(stage));
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
        for (index, Placed { key, table, tasks }) in placed.iter().enumerate() {
            let arguments = [Argument::value(*table), Argument::value(memory.counts.pointer(index))];
            device.launch(&key.launch(*tasks as u32), &arguments)?;
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
fn place<T: Pod>(launches: &BTreeMap<LaunchKey, Vec<T>>, buffer: &Growing<T>) -> Vec<Placed> {
    let mut first = 0;
    let placed = launches.iter().map(|(key, tasks)| {
        let placed = Placed { key: *key, table: buffer.pointer(first), tasks: tasks.len() };
        first += tasks.len();
        placed
    });
    placed.collect()
}
