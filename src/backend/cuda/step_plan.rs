//! A step on a device that need not be there: its launches, its memory, and the times that a GPU takes at least.

use super::MOST_LANES;
use super::kernel_cost::KernelCost;
use super::launches::{LaunchKey, launch_tasks, with_backward};
use super::layout::{LaneLayout, LaneShape, Sizes, weights};
use crate::backend::LanePlan;
use crate::device::Launch;
use crate::device::facts::DeviceFacts;
use crate::device::kernel_table::compiled_kernel;
use crate::ops::cuda::reduction::{Parts, add_gate_parts, add_parts};
use crate::ops::cuda::{Source, Stage, Storage};
use crate::ops::head::cuda::Head;
use crate::plan::Graph;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// From the start of a launch to that of the next where kernels are empty: an assumption, not measured.
pub const LAUNCH_SECONDS: f64 = 3e-6;

/// A lane of a step.
pub struct PlannedLane<'a> {
    pub plan: &'a LanePlan,
    pub images: usize,
    /// Whether it trains a mixture.
    pub gated: bool,
    /// Whether the gradients of the weights are wanted, or those of the gates alone.
    pub weight_gradients: bool,
    /// Numbers of its bank and of its mini-batch: lanes may share both.
    pub bank: usize,
    pub mini_batch: usize,
}

/// Bytes of device memory by purpose.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StepMemory {
    /// With gradients.
    pub feature_maps: usize,
    pub partial_sums: usize,
    /// What comes back: losses, statistics, rows of weight gradients.
    pub results: usize,
    /// What kernels read to know their tasks.
    pub tables: usize,
    pub banks: usize,
    pub mini_batches: usize,
}

impl StepMemory {
    pub fn total(&self) -> usize {
        self.feature_maps + self.partial_sums + self.results + self.tables + self.banks + self.mini_batches
    }

    /// Of one after the other: buffers are kept, and grow.
    fn after(&self, next: &Self) -> Self {
        Self {
            feature_maps: self.feature_maps.max(next.feature_maps),
            partial_sums: self.partial_sums.max(next.partial_sums),
            results: self.results.max(next.results),
            tables: self.tables.max(next.tables),
            banks: self.banks.max(next.banks),
            mini_batches: self.mini_batches.max(next.mini_batches),
        }
    }
}

/// A launch and its work.
struct PlannedLaunch {
    launch: Launch,
    cost: KernelCost,
}

/// The launches of one step, or of several one after the other.
#[derive(Default)]
pub struct StepPlan {
    pub memory: StepMemory,
    /// Levels with their phases: what of them is in different ones runs one after the other.
    pub phases: usize,
    launches: Vec<PlannedLaunch>,
}

/// All launches of a kernel.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    pub kernel: &'static str,
    pub launches: usize,
    pub blocks: u64,
    /// Of a thread.
    pub registers: u32,
    /// Of a block, at most.
    pub shared_bytes: u32,
    /// That a multiprocessor holds, at least: by threads, registers and shared memory.
    pub resident_blocks: u32,
    /// Moved at least.
    pub bytes: u64,
    pub flops: u64,
    /// Of these, on tensor cores.
    pub tensor_flops: u64,
    pub traffic_seconds: f64,
    pub arithmetic_seconds: f64,
    /// The larger of both of each launch.
    pub floor_seconds: f64,
    /// That, and [`LAUNCH_SECONDS`] a launch.
    pub predicted_seconds: f64,
}

impl StepPlan {
    /// Adds a step of lanes whose banks have `bank_len` numbers.
    pub fn add_step(&mut self, lanes: &[PlannedLane<'_>], bank_len: usize, storage: Storage) {
        for wave in lanes.chunks(MOST_LANES) {
            self.add_wave(wave, bank_len, storage);
        }
    }

    /// Adds lanes that run together.
    fn add_wave(&mut self, lanes: &[PlannedLane<'_>], bank_len: usize, storage: Storage) {
        let mut sizes = Sizes::default();
        let mut launches: BTreeMap<LaunchKey, (u32, KernelCost)> = BTreeMap::new();
        let (mut sums, mut gate_sums) = (Vec::new(), Vec::new());
        let (mut stage_tasks, mut head_tasks) = (0, 0);
        for lane in lanes {
            let PlannedLane { plan, images, gated, weight_gradients, .. } = *lane;
            let shape = LaneShape { plan, images, training: true, weight_gradients, gated, given: &[] };
            let layout = LaneLayout::new(&shape, storage, &mut sizes);
            for task in launch_tasks(&shape, &layout.kernels) {
                let (tasks, cost) = launches.entry(task.key).or_default();
                *tasks += 1;
                *cost += KernelCost::of_task(&shape, &layout.kernels[task.stage], &task, storage);
                let is_head = plan.graph.heads.contains(&task.stage);
                *(if is_head { &mut head_tasks } else { &mut stage_tasks }) += 1;
            }
            for (id, _) in with_backward(&shape) {
                let kernels = &layout.kernels[id];
                if weight_gradients {
                    let weights = weights(&plan.graph.stages[id]).into_iter();
                    sums.extend(
                        weights.zip(kernels.weight_parts).map(|(weight, parts)| (parts, plan.row_range(weight).len())),
                    );
                }
                let gradient = kernels.backward[0].launch;
                gate_sums.extend(layout.stages[id].gates.iter().map(|_| (gradient.parts * gradient.columns, 1)));
            }
        }
        let phases: BTreeSet<_> = launches.keys().map(|key| (key.level, key.phase)).collect();
        let tables = [
            sizes.sources * size_of::<Source>(),
            stage_tasks * size_of::<Stage>(),
            head_tasks * size_of::<Head>(),
            (sums.len() + gate_sums.len()) * size_of::<Parts>(),
            (launches.len() + 2 + sizes.counters + sizes.gates) * size_of::<u32>(),
        ];
        self.launches
            .extend(launches.into_iter().map(|(key, (tasks, cost))| PlannedLaunch { launch: key.launch(tasks), cost }));
        self.phases += phases.len();
        if let Some(longest) = sums.iter().map(|(_, len)| *len).max() {
            let launch = add_parts(sums.len() as u32, longest as u32);
            self.add_sums(launch, &sums);
        }
        if !gate_sums.is_empty() {
            self.add_sums(add_gate_parts(gate_sums.len() as u32), &gate_sums);
        }
        let banks: BTreeSet<usize> = lanes.iter().map(|lane| lane.bank).collect();
        let mini_batches: BTreeMap<usize, usize> = (lanes.iter())
            .map(|lane| {
                (
                    lane.mini_batch,
                    lane.images * (lane.plan.graph.elements(Graph::IMAGE) as usize * size_of::<f32>() + 1),
                )
            })
            .collect();
        self.memory = self.memory.after(&StepMemory {
            feature_maps: sizes.arena.bytes(),
            partial_sums: sizes.work.bytes(),
            results: sizes.results.bytes(),
            tables: tables.iter().sum(),
            banks: banks.len() * bank_len * size_of::<f32>(),
            mini_batches: mini_batches.values().sum(),
        });
    }

    /// Adds the launch that adds parts: of each entry how many, and their length.
    fn add_sums(&mut self, launch: Launch, sums: &[(u32, usize)]) {
        let mut cost = KernelCost::default();
        sums.iter().for_each(|(parts, len)| cost += KernelCost::of_sum(*parts, *len));
        self.phases += 1;
        self.launches.push(PlannedLaunch { launch, cost });
    }

    pub fn launches(&self) -> usize {
        self.launches.len()
    }

    /// One row a kernel, the longest first.
    ///
    /// # Panics
    /// If `kernels/table.csv` lacks a kernel.
    pub fn rows(&self, device: &DeviceFacts) -> Vec<KernelRow> {
        let mut rows: BTreeMap<&'static str, KernelRow> = BTreeMap::new();
        for PlannedLaunch { launch, cost } in &self.launches {
            let compiled = compiled_kernel(launch.kernel, device.architecture).expect("the table has every kernel");
            let row = rows.entry(launch.kernel).or_insert_with(|| KernelRow {
                kernel: launch.kernel,
                launches: 0,
                blocks: 0,
                registers: compiled.registers,
                shared_bytes: 0,
                resident_blocks: compiled.blocks,
                bytes: 0,
                flops: 0,
                tensor_flops: 0,
                traffic_seconds: 0.0,
                arithmetic_seconds: 0.0,
                floor_seconds: 0.0,
                predicted_seconds: 0.0,
            });
            let traffic = cost.bytes as f64 / device.memory_rate;
            // Both units work at the same time.
            let tensor = cost.tensor_flops as f64 / device.tensor_rate;
            let arithmetic = tensor.max(cost.vector_flops as f64 / device.vector_rate);
            row.launches += 1;
            row.blocks += launch.grid.iter().map(|blocks| u64::from(*blocks)).product::<u64>();
            row.shared_bytes = row.shared_bytes.max(launch.shared_bytes);
            row.resident_blocks = row.resident_blocks.min(device.resident_blocks(compiled.blocks, launch.shared_bytes));
            row.bytes += cost.bytes;
            row.flops += cost.tensor_flops + cost.vector_flops;
            row.tensor_flops += cost.tensor_flops;
            row.traffic_seconds += traffic;
            row.arithmetic_seconds += arithmetic;
            row.floor_seconds += traffic.max(arithmetic);
            row.predicted_seconds += traffic.max(arithmetic) + LAUNCH_SECONDS;
        }
        let mut rows: Vec<KernelRow> = rows.into_values().collect();
        rows.sort_by(|a, b| b.predicted_seconds.total_cmp(&a.predicted_seconds));
        rows
    }
}
