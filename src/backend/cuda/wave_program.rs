//! The passes of a wave's lanes: their launches and tables.

use super::batches::Batches;
use super::gradients::{Spread, WaveGradients, gradients};
use super::lane_program::{GradientPlace, LaneTask};
use super::launches::{LaunchKey, with_backward};
use super::memory::{Memory, zeros};
use super::table_builder::{Builder, Table};
use super::tables::{Section, TableName, Tables, TaskKind};
use super::tasks::{LaneSections, Tasks};
use super::update::Ending;
use super::wave::Wave;
use crate::backend::normalization::Normalization;
use crate::device::{Command, Pointer};
use crate::ops::cuda::reduction::{GateParts, Gradient, Term, add_gate_parts, add_gradients};
use crate::ops::cuda::{Source, Stage, Storage};
use crate::ops::head::cuda::Head;
use bytemuck::Pod;
use std::collections::BTreeMap;

/// A launch of stages or heads: its table, which is filled when its place is known.
struct TaskLaunch<T> {
    key: LaunchKey,
    section: Section<T>,
    /// Lane, and stage or number of the head.
    tasks: Vec<(usize, usize)>,
    count: usize,
}

impl<T: Pod> TaskLaunch<T> {
    fn command(&self, tables: &Tables<'_>, counts: &Section<u32>) -> (LaunchKey, Command) {
        let launch = self.key.launch(self.section.capacity() as u32);
        let arguments = vec![tables.pointer(&self.section, 0), tables.pointer(counts, self.count)];
        (self.key, Command::Launch { launch, arguments })
    }
}

/// The passes of a wave's lanes.
pub struct WaveProgram<'a> {
    pub tasks: Vec<Tasks<'a>>,
    stages: Vec<TaskLaunch<Stage>>,
    heads: Vec<TaskLaunch<Head>>,
    constants: Vec<u8>,
    gates: Vec<f32>,
    gradients: Table<Gradient>,
    /// Numbers of the longest gradient, or of the longest that there was.
    longest: usize,
    terms: Table<Term>,
    gate_parts: Table<GateParts>,
    /// What of the rows begins as zeros.
    zeros: Command,
}

impl<'a> WaveProgram<'a> {
    pub fn new(
        builder: &mut Builder<'_>,
        memory: &'a Memory,
        storage: Storage,
        (number, wave): (usize, &'a Wave<'a>),
        batches: &Batches<'_>,
        ending: &Ending<'_>,
        spread: &Spread,
    ) -> Self {
        let name = |name| TableName::OfWave(number, name);
        let sections = LaneSections {
            sources: builder.section::<Source>(name("sources"), wave.sizes.sources),
            constants: builder.section::<u8>(name("constants"), wave.sizes.constants.bytes()),
            gates: builder.section::<f32>(name("gates"), wave.sizes.gates),
            labels: batches.labels,
        };
        let tasks: Vec<Tasks<'a>> = (wave.lanes.iter().zip(&wave.placed))
            .map(|(lane, placed)| Tasks {
                lane: lane.shape(),
                layout: &placed.program.layout,
                before: placed.before,
                network: &lane.model.network,
                bank_layout: &lane.model.layout,
                memory,
                storage,
                replica: lane.replica,
                pixels: &lane.batch.pixels,
                label: batches.first_label(lane.batch),
                sections,
            })
            .collect();
        let programs = || wave.placed.iter().map(|placed| &*placed.program);
        let stages = by_launch(programs().map(|program| program.stages.as_slice()));
        let stages = task_launches(builder, (number, TaskKind::Stages), stages);
        let heads = by_launch(programs().map(|program| program.heads.as_slice()));
        let heads = task_launches(builder, (number, TaskKind::Heads), heads);
        let (entries, terms) = wave_gradients((number, wave), &tasks, ending, spread);
        let longest = entries.iter().map(|entry| entry.len as usize).max().unwrap_or(0);
        let gate_parts = tasks
            .iter()
            .flat_map(|tasks| with_backward(&tasks.lane).flat_map(|(stage, _)| tasks.gate_parts(stage)))
            .collect();
        let rows = builder.capacities.room(name("rows"), wave.sizes.rows.bytes());
        Self {
            stages,
            heads,
            constants: constants(wave),
            gates: gates(wave),
            gradients: builder.table(name("gradients"), entries),
            longest: builder.capacities.room(name("longest gradient"), longest),
            terms: builder.table(name("terms"), terms),
            gate_parts: builder.table(name("parts of gates"), gate_parts),
            zeros: zeros(&memory.rows, rows),
            tasks,
        }
    }

    pub fn fill(&self, tables: &mut Tables<'_>) {
        let LaneSections { sources, constants, gates, .. } = self.tasks[0].sections;
        let ids = |tasks: &Tasks<'_>| 0..tasks.lane.plan.graph.stages.len();
        let mut all_sources: Vec<Source> = Vec::with_capacity(sources.capacity());
        for tasks in &self.tasks {
            ids(tasks).for_each(|id| all_sources.extend(tasks.sources(tables, id)));
        }
        tables.write(&sources, &all_sources);
        // All kernels of a stage read the same.
        let stages: Vec<Vec<Stage>> =
            self.tasks.iter().map(|tasks| ids(tasks).map(|id| tasks.stage(tables, id)).collect()).collect();
        tables.write(&constants, &self.constants);
        tables.write(&gates, &self.gates);
        for launch in &self.stages {
            tables.write_each(&launch.section, launch.tasks.iter().map(|&(lane, id)| &stages[lane][id]));
        }
        for launch in &self.heads {
            let head = |&(lane, index): &(usize, usize)| {
                let tasks = &self.tasks[lane];
                tasks.head(tables, index, stages[lane][tasks.lane.plan.graph.heads[index]])
            };
            let entries: Vec<Head> = launch.tasks.iter().map(head).collect();
            tables.write(&launch.section, &entries);
        }
        self.gradients.fill(tables);
        self.terms.fill(tables);
        self.gate_parts.fill(tables);
    }

    pub fn commands(&self, tables: &Tables<'_>, counts: &Section<u32>, commands: &mut Vec<Command>) {
        commands.push(self.zeros.clone());
        let stages = self.stages.iter().map(|launch| launch.command(tables, counts));
        let mut launches: Vec<(LaunchKey, Command)> =
            stages.chain(self.heads.iter().map(|launch| launch.command(tables, counts))).collect();
        launches.sort_by_key(|(key, _)| *key);
        commands.extend(launches.into_iter().map(|(_, command)| command));
        let arguments = [self.gradients.pointer(tables), self.terms.pointer(tables)];
        let longest = self.longest as u32;
        self.gradients.launch(tables, counts, commands, |entries| add_gradients(entries, longest), &arguments);
        self.gate_parts.launch(tables, counts, commands, add_gate_parts, &[self.gate_parts.pointer(tables)]);
    }
}

/// Of a launch, its tasks: lane, and stage or number of the head.
type LaunchTasks = BTreeMap<LaunchKey, LaneTasks>;

type LaneTasks = Vec<(usize, usize)>;

/// The launches that the tasks of lanes need.
fn by_launch<'a>(lanes: impl Iterator<Item = &'a [LaneTask]>) -> LaunchTasks {
    // By the number of the launch's key.
    let mut launches: Vec<Option<(LaunchKey, LaneTasks)>> = Vec::new();
    for (lane, tasks) in lanes.enumerate() {
        for &LaneTask { key, number, index } in tasks {
            if launches.len() <= number {
                launches.resize(number + 1, None);
            }
            launches[number].get_or_insert_with(|| (key, Vec::new())).1.push((lane, index));
        }
    }
    launches.into_iter().flatten().collect()
}

/// These launches of a wave, and those that steps before had, unless they are so many more that leaving them out is faster than a step like
/// the one before.
fn task_launches<T>(
    builder: &mut Builder<'_>,
    (wave, kind): (usize, TaskKind),
    mut launches: LaunchTasks,
) -> Vec<TaskLaunch<T>> {
    let known = builder.capacities.launches(wave, kind);
    if known.len() <= 2 * launches.len() {
        known.into_iter().for_each(|key| {
            launches.entry(key).or_default();
        });
    }
    (launches.into_iter())
        .map(|(key, tasks)| TaskLaunch {
            key,
            section: builder.section(TableName::Tasks(wave, kind, key), tasks.len()),
            count: builder.count(tasks.len()),
            tasks,
        })
        .collect()
}

/// What a wave leaves of gradients: each lane's own, or those of its replica.
fn wave_gradients(
    (number, wave): (usize, &Wave<'_>),
    lanes: &[Tasks<'_>],
    ending: &Ending<'_>,
    spread: &Spread,
) -> (Vec<Gradient>, Vec<Term>) {
    let gradients_of = |lane: usize| wave.placed[lane].program.gradients.as_slice();
    let Ending::Update(updates) = ending else {
        let in_parts = lanes.iter().enumerate().flat_map(|(lane, tasks)| {
            let parts = gradients_of(lane).iter().filter(|gradient| matches!(gradient.place, GradientPlace::Parts(..)));
            parts.filter_map(move |gradient| Some((tasks.row(gradient.parameter), gradient.len, tasks.term(gradient)?)))
        });
        let pairs = in_parts.enumerate().map(|(index, (to, len, term))| {
            let (first, len) = (index as u32, len as u32);
            (Gradient { to, first, terms: 1, len, accumulate: 0, scale: 1.0, unused: 0 }, term)
        });
        return pairs.unzip();
    };
    let mut sums = WaveGradients::default();
    let mut banks = BTreeMap::new();
    for (number, (tasks, lane)) in lanes.iter().zip(&wave.lanes).enumerate() {
        sums.add(lane.number, gradients_of(number), |gradient| tasks.term(gradient));
        banks.insert(lane.number, (lane.model, lane.replica));
    }
    gradients(number, spread, sums, updates, |(replica, parameter)| {
        let (model, replica) = banks[replica];
        Pointer::to(&replica.gradients, model.layout.range(parameter.parameter, parameter.copy).start)
    })
}

/// Given statistics as rows of normalizations.
fn constants(wave: &Wave<'_>) -> Vec<u8> {
    let mut constants = vec![0; wave.sizes.constants.bytes()];
    for (lane, placed) in wave.lanes.iter().zip(&wave.placed) {
        let Some(bank) = lane.bank else { continue };
        let before = placed.before.constants.bytes();
        for ((value, places), given) in lane.plan.graph.values.iter().zip(&placed.program.layout.norms).zip(&lane.given)
        {
            let (Some(norm), Some(places), Some(statistics)) = (value.norm, places, given) else { continue };
            let Normalization { mean, rstd, scale, shift } =
                Normalization::new(&lane.model.network, bank, &norm, statistics);
            // The rows of kernels/stage.cuh; those of a backward pass stay zero.
            let rows = [mean, scale, shift, rstd].concat();
            let bytes: &[u8] = bytemuck::cast_slice(&rows);
            let first = before + places.rows;
            constants[first..first + bytes.len()].copy_from_slice(bytes);
        }
    }
    constants
}

/// The gates of mixtures.
fn gates(wave: &Wave<'_>) -> Vec<f32> {
    let mut gates = vec![1.0; wave.sizes.gates];
    for (lane, placed) in wave.lanes.iter().zip(&wave.placed) {
        let Some(values) = lane.gates else { continue };
        for (gate, (index, _)) in placed.program.layout.gates(&lane.plan.graph) {
            gates[placed.before.gates + index] = values.0[gate.slot][gate.candidate] as f32;
        }
    }
    gates
}
