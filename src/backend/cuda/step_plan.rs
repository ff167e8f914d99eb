//! A step on a device that need not be there: its launches, its memory, and the times that a GPU takes at least.

use super::gradients::{Spread, WaveGradients};
use super::kernel_cost::KernelCost;
use super::lane_program::LanePrograms;
use super::launches::{LaunchKey, launch_tasks, with_backward};
use super::layout::{LaneShape, Sizes};
use super::wave::{PlacedProgram, WaveFiller};
use super::wave_planner::WavePlanner;
use crate::backend::LanePlan;
use crate::data::cuda::{PixelTask, gather_pixels};
use crate::device::Launch;
use crate::device::facts::DeviceFacts;
use crate::device::kernel_table::compiled_kernel;
use crate::network::ParameterRef;
use crate::ops::cuda::reduction::{GateParts, Gradient, Term, add_gate_parts, add_gradients};
use crate::ops::cuda::{Source, Stage, Storage};
use crate::ops::head::cuda::Head;
use crate::ops::normalization::cuda::{Move, Running, move_running_statistics};
use crate::ops::sgd::cuda::{SgdChunk, check_losses, clip_factors, sgd_update, sum_squares};
use crate::plan::Graph;
use crate::tensor::IMAGE_CHANNEL_MULTIPLE;
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
    /// Numbers of its replica and of its mini-batch: lanes may share both. Replicas come in order.
    pub replica: usize,
    pub mini_batch: usize,
}

/// Bytes of device memory by purpose.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StepMemory {
    /// With gradients.
    pub feature_maps: usize,
    pub partial_sums: usize,
    /// What comes back: losses and statistics.
    pub results: usize,
    /// What kernels read to know their tasks.
    pub tables: usize,
    /// Weights, momenta and gradients of all replicas.
    pub banks: usize,
    pub mini_batches: usize,
}

impl StepMemory {
    pub fn total(&self) -> usize {
        self.feature_maps + self.partial_sums + self.results + self.tables + self.banks + self.mini_batches
    }

    /// Of steps that use the same buffers.
    fn most(&self, other: &Self) -> Self {
        Self {
            feature_maps: self.feature_maps.max(other.feature_maps),
            partial_sums: self.partial_sums.max(other.partial_sums),
            results: self.results.max(other.results),
            tables: self.tables.max(other.tables),
            banks: self.banks.max(other.banks),
            mini_batches: self.mini_batches.max(other.mini_batches),
        }
    }

    /// Of waves of one step, one after the other: tables stand side by side.
    fn after(&self, next: &Self) -> Self {
        Self {
            feature_maps: self.feature_maps.max(next.feature_maps),
            partial_sums: self.partial_sums.max(next.partial_sums),
            results: self.results.max(next.results),
            tables: self.tables + next.tables,
            banks: self.banks.max(next.banks),
            mini_batches: self.mini_batches.max(next.mini_batches),
        }
    }
}

/// A lane with its places.
struct PlacedLane<'a> {
    lane: &'a PlannedLane<'a>,
    shape: LaneShape<'a>,
    placed: PlacedProgram,
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
    /// Groups of lanes that run together, one after the other, of the step that has most.
    pub waves: usize,
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
    /// Adds a step of lanes whose banks have `bank_len` numbers. `clips`: whether the norm of gradients is limited. What earlier steps moved and this
    /// one does not use is not in it.
    pub fn add_step(
        &mut self,
        lanes: &[PlannedLane<'_>],
        bank_len: usize,
        storage: Storage,
        clips: bool,
        planner: &WavePlanner,
    ) {
        let mut step = Self::default();
        step.add_mini_batches(lanes);
        let mut programs = LanePrograms::new(storage);
        let mut filler = WaveFiller::new(planner, Sizes::default());
        let mut waves: Vec<(Vec<PlacedLane<'_>>, Sizes)> = Vec::new();
        for lane in lanes {
            let shape = LaneShape {
                plan: lane.plan,
                images: lane.images,
                training: true,
                weight_gradients: lane.weight_gradients,
                keeps_row: false,
                gated: lane.gated,
                given: &[],
            };
            let (placed, is_new) = filler.place(programs.of(&shape));
            if is_new {
                waves.push((Vec::new(), Sizes::default()));
            }
            if let Some((lanes, sizes)) = waves.last_mut() {
                lanes.push(PlacedLane { lane, shape, placed });
                *sizes = filler.sizes;
            }
        }
        let spread = Spread::new(waves.iter().enumerate().flat_map(|(wave, (lanes, _))| {
            lanes
                .iter()
                .map(move |PlacedLane { lane, placed, .. }| (wave, lane.replica, placed.program.gradients.as_slice()))
        }));
        for (lanes, sizes) in &waves {
            step.add_wave(lanes, sizes, storage);
        }
        step.memory.results = filler.all.losses.bytes() + filler.all.results.bytes();
        step.waves = waves.len();
        step.add_end(lanes, &spread, clips);
        let replicas: BTreeSet<usize> = lanes.iter().map(|lane| lane.replica).collect();
        step.memory.banks = replicas.len() * 3 * bank_len * size_of::<f32>();
        self.memory = self.memory.most(&step.memory);
        self.phases += step.phases;
        self.waves = self.waves.max(step.waves);
        self.launches.extend(step.launches);
    }

    /// Adds what makes the mini-batches.
    fn add_mini_batches(&mut self, lanes: &[PlannedLane<'_>]) {
        let Some(first) = lanes.first() else { return };
        let images: BTreeMap<usize, usize> = lanes.iter().map(|lane| (lane.mini_batch, lane.images)).collect();
        let images: usize = images.into_values().sum();
        let shape = first.plan.graph.values[Graph::IMAGE].shape;
        let written = images * shape.pixels() * shape.channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE);
        self.memory.mini_batches = written * size_of::<f32>();
        self.memory.tables += images * (size_of::<PixelTask>() + 1);
        let bytes = images * shape.pixels() * shape.channels + self.memory.mini_batches;
        self.add(gather_pixels(shape, images as u32), KernelCost { bytes: bytes as u64, ..KernelCost::default() });
    }

    /// Adds lanes that run together.
    fn add_wave(&mut self, lanes: &[PlacedLane<'_>], sizes: &Sizes, storage: Storage) {
        let mut launches: BTreeMap<LaunchKey, (u32, KernelCost)> = BTreeMap::new();
        let (mut gradients, mut gate_sums) = (WaveGradients::default(), Vec::new());
        let (mut stage_tasks, mut head_tasks) = (0, 0);
        for lane in lanes {
            let PlacedLane { lane, shape, placed } = lane;
            let (plan, layout) = (lane.plan, &placed.program.layout);
            for task in launch_tasks(shape, &layout.kernels) {
                let (tasks, cost) = launches.entry(task.key).or_default();
                *tasks += 1;
                *cost += KernelCost::of_task(shape, &layout.kernels[task.stage], &task, storage);
                let is_head = plan.graph.heads.contains(&task.stage);
                *(if is_head { &mut head_tasks } else { &mut stage_tasks }) += 1;
            }
            for (id, _) in with_backward(shape) {
                let gradient = layout.kernels[id].backward[0].launch;
                gate_sums.extend(layout.stages[id].gates.iter().map(|_| gradient.parts * gradient.columns));
            }
            gradients.add(lane.replica, &placed.program.gradients, |gradient| gradient.place.parts());
        }
        let phases: BTreeSet<_> = launches.keys().map(|key| (key.level, key.phase)).collect();
        let gradients = gradients.by_target();
        let terms: usize = gradients.iter().map(|(.., terms)| terms.len()).sum();
        let tables = [
            sizes.sources * size_of::<Source>(),
            stage_tasks * size_of::<Stage>(),
            head_tasks * size_of::<Head>(),
            gradients.len() * size_of::<Gradient>(),
            terms * size_of::<Term>(),
            gate_sums.len() * size_of::<GateParts>(),
            (launches.len() + 2 + sizes.counters + sizes.gates) * size_of::<u32>(),
        ];
        self.launches
            .extend(launches.into_iter().map(|(key, (tasks, cost))| PlannedLaunch { launch: key.launch(tasks), cost }));
        self.phases += phases.len();
        if let Some(longest) = gradients.iter().map(|(_, len, _)| *len).max() {
            let launch = add_gradients(gradients.len() as u32, longest as u32);
            let sums = gradients.iter().map(|(_, len, terms)| (terms.iter().sum(), *len));
            self.add(launch, KernelCost::of_sums(sums));
        }
        if !gate_sums.is_empty() {
            let launch = add_gate_parts(gate_sums.len() as u32);
            self.add(launch, KernelCost::of_sums(gate_sums.into_iter().map(|parts| (parts, 1))));
        }
        self.memory = self.memory.after(&StepMemory {
            feature_maps: sizes.arena.bytes(),
            partial_sums: sizes.work.bytes() + sizes.rows.bytes(),
            tables: tables.iter().sum(),
            ..StepMemory::default()
        });
    }

    /// Adds what follows all lanes.
    fn add_end(&mut self, lanes: &[PlannedLane<'_>], spread: &Spread, clips: bool) {
        let losses: usize = lanes.iter().map(|lane| lane.images).sum();
        let replicas: Vec<&PlannedLane<'_>> =
            lanes.chunk_by(|a, b| a.replica == b.replica).map(|lanes| &lanes[0]).collect();
        let read = |numbers: usize| KernelCost { bytes: (numbers * size_of::<f32>()) as u64, ..KernelCost::default() };
        self.add(check_losses(replicas.len() as u32), read(losses));

        // Of each normalization that tracks: its replica, and what lanes move of it.
        let mut running: BTreeSet<(usize, ParameterRef)> = BTreeSet::new();
        let (mut moves, mut channels) = (0, 0);
        for lane in lanes {
            let values = lane.plan.graph.values.iter();
            for (value, [mean, _]) in values.filter_map(|value| Some((value, value.norm?.running?))) {
                running.insert((lane.replica, mean));
                moves += 1;
                channels += value.shape.channels;
            }
        }
        self.memory.tables += moves * size_of::<Move>() + running.len() * size_of::<Running>();
        if !running.is_empty() {
            // Mean and variance in f64.
            self.add(move_running_statistics(running.len() as u32), read(4 * channels));
        }
        let (mut chunks, mut elements) = (0, 0);
        if replicas.iter().all(|lane| !lane.weight_gradients) {
            return;
        }
        for lane in &replicas {
            for len in spread.lens(lane.replica) {
                chunks += SgdChunk::of_parameter(0..len, 0, true, true).count();
                elements += len;
            }
        }
        self.memory.tables += chunks * size_of::<SgdChunk>();
        if clips {
            self.add(sum_squares(chunks as u32), read(elements));
            self.add(clip_factors(replicas.len() as u32), read(2 * chunks));
        }
        // Weights and momenta are written too.
        let vector_flops = 7 * elements as u64;
        self.add(sgd_update(chunks as u32), KernelCost { vector_flops, ..read(5 * elements) });
    }

    /// Adds a launch that waits for those before.
    fn add(&mut self, launch: Launch, cost: KernelCost) {
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
