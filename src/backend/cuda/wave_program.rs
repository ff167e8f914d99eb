//! The passes of a wave's lanes: their launches and tables.

use super::batches::Batches;
use super::gradients::{Spread, WaveGradients, gradients};
use super::launches::{LaunchKey, launch_tasks, with_backward};
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
use crate::plan::StageId;
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
        let tasks: Vec<Tasks<'a>> = (wave.lanes.iter().zip(&wave.layouts))
            .map(|(lane, layout)| Tasks {
                lane: lane.shape(),
                layout,
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
        let (stages, heads) = wave_launches(&tasks);
        let stages = task_launches(builder, (number, TaskKind::Stages), stages);
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
        let all =
            self.tasks.iter().flat_map(|tasks| (0..tasks.lane.plan.graph.stages.len()).map(move |id| (tasks, id)));
        let all_sources: Vec<Source> = all.flat_map(|(tasks, id)| tasks.sources(tables, id)).collect();
        tables.write(&sources, &all_sources);
        tables.write(&constants, &self.constants);
        tables.write(&gates, &self.gates);
        for launch in &self.stages {
            let stage = |&(lane, id): &(usize, StageId)| self.tasks[lane].stage(tables, id);
            let entries: Vec<Stage> = launch.tasks.iter().map(stage).collect();
            tables.write(&launch.section, &entries);
        }
        for launch in &self.heads {
            let head = |&(lane, index): &(usize, usize)| {
                let tasks = &self.tasks[lane];
                tasks.head(tables, index, tasks.stage(tables, tasks.lane.plan.graph.heads[index]))
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
type LaunchTasks = BTreeMap<LaunchKey, Vec<(usize, usize)>>;

/// The launches of stages and of heads that lanes need.
fn wave_launches(lanes: &[Tasks<'_>]) -> (LaunchTasks, LaunchTasks) {
    let [mut stages, mut heads] = [LaunchTasks::new(), LaunchTasks::new()];
    for (lane, tasks) in lanes.iter().enumerate() {
        let graph_heads = &tasks.lane.plan.graph.heads;
        for task in launch_tasks(&tasks.lane, &tasks.layout.kernels) {
            match graph_heads.iter().position(|head| *head == task.stage) {
                Some(index) => heads.entry(task.key).or_default().push((lane, index)),
                None => stages.entry(task.key).or_default().push((lane, task.stage)),
            }
        }
    }
    (stages, heads)
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
    let training = || lanes.iter().zip(&wave.lanes).filter(|(tasks, _)| tasks.lane.weight_gradients);
    let terms = |tasks: &Tasks<'_>| -> BTreeMap<_, Term> {
        with_backward(&tasks.lane).flat_map(|(stage, _)| tasks.weight_terms(stage).collect::<Vec<_>>()).collect()
    };
    let Ending::Update(updates) = ending else {
        let of_lanes = training().flat_map(|(tasks, _)| terms(tasks).into_iter().map(move |term| (tasks, term)));
        let pairs = of_lanes.enumerate().map(|(index, (tasks, (parameter, term)))| {
            let len = tasks.lane.plan.row_range(parameter).len() as u32;
            let to = tasks.row(parameter);
            (Gradient { to, first: index as u32, terms: 1, len, accumulate: 0, scale: 1.0, unused: 0 }, term)
        });
        return pairs.unzip();
    };
    let mut sums = WaveGradients::default();
    let mut banks = BTreeMap::new();
    for (tasks, lane) in training() {
        let of_weights = terms(tasks);
        let whole = |parameter| {
            let row = tasks.row(parameter);
            (row != Pointer::NULL).then_some(Term { from: row, parts: 1 })
        };
        sums.add(lane.number, &tasks.lane, |parameter| {
            of_weights.get(&parameter).copied().or_else(|| whole(parameter))
        });
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
    for (lane, layout) in wave.lanes.iter().zip(&wave.layouts) {
        let Some(bank) = lane.bank else { continue };
        for ((value, places), given) in lane.plan.graph.values.iter().zip(&layout.norms).zip(&lane.given) {
            let (Some(norm), Some(places), Some(statistics)) = (value.norm, places, given) else { continue };
            let Normalization { mean, rstd, scale, shift } =
                Normalization::new(&lane.model.network, bank, &norm, statistics);
            // The rows of kernels/stage.cuh; those of a backward pass stay zero.
            let rows = [mean, scale, shift, rstd].concat();
            let bytes: &[u8] = bytemuck::cast_slice(&rows);
            constants[places.rows..places.rows + bytes.len()].copy_from_slice(bytes);
        }
    }
    constants
}

/// The gates of mixtures.
fn gates(wave: &Wave<'_>) -> Vec<f32> {
    let mut gates = vec![1.0; wave.sizes.gates];
    for (lane, layout) in wave.lanes.iter().zip(&wave.layouts) {
        let Some(values) = lane.gates else { continue };
        for (gate, (index, _)) in layout.gates(&lane.plan.graph) {
            gates[index] = values.0[gate.slot][gate.candidate] as f32;
        }
    }
    gates
}
