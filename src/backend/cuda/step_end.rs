//! What follows all waves: the launches and tables of finite losses, running statistics and the update.

use super::gradients::Spread;
use super::memory::Memory;
use super::table_builder::{Builder, Table};
use super::tables::{Section, TableName, Tables};
use super::update::{Ending, StepTables};
use super::wave::Waves;
use super::wave_program::WaveProgram;
use crate::device::Command;
use crate::ops::normalization::cuda::{Move, Running, move_running_statistics};
use crate::ops::sgd::cuda::{
    ClipTask, LossTask, Losses, SgdChunk, SgdSettings, check_losses, clip_factors, sgd_update, sum_squares,
};

/// What moves after all lanes have run.
pub struct End {
    losses: Table<Losses>,
    loss_tasks: Table<LossTask>,
    running: Table<Running>,
    moves: Table<Move>,
    chunks: Table<SgdChunk>,
    settings: Table<SgdSettings>,
    clips: Table<ClipTask>,
    /// Squares of the gradients of every chunk.
    squares: Section<f64>,
}

impl End {
    pub fn new(
        builder: &mut Builder<'_>,
        memory: &Memory,
        waves: &Waves<'_>,
        programs: &[WaveProgram<'_>],
        ending: &Ending<'_>,
        spread: &Spread,
    ) -> Self {
        let tasks = programs.iter().flat_map(|program| &program.tasks);
        let lanes: Vec<_> = waves.waves.iter().flat_map(|wave| &wave.lanes).zip(tasks).collect();
        let mut step = match ending {
            Ending::Nothing => StepTables::default(),
            _ => StepTables::of_lanes(&lanes, |replica| waves.is_finite(memory, replica)),
        };
        if let Ending::Update(updates) = ending {
            for lanes in lanes.chunk_by(|a, b| a.0.number == b.0.number) {
                let (lane, _) = lanes[0];
                let number = lane.number;
                let flags = [waves.is_finite(memory, number), waves.factor(memory, number)];
                step.add_update(&updates[number], (lane.model, lane.replica), &spread.used(number), flags);
            }
        }
        let StepTables { losses, loss_tasks, running, moves, chunks, settings, clips } = step;
        let name = TableName::OfStep;
        let clipped = if clips.is_empty() { 0 } else { chunks.len() };
        Self {
            losses: builder.table(name("losses"), losses),
            loss_tasks: builder.table(name("tasks of losses"), loss_tasks),
            running: builder.table(name("running statistics"), running),
            moves: builder.table(name("moves"), moves),
            chunks: builder.table(name("chunks"), chunks),
            settings: builder.table(name("settings"), settings),
            clips: builder.table(name("clips"), clips),
            squares: builder.section(name("squares"), clipped),
        }
    }

    pub fn fill(&self, tables: &mut Tables<'_>) {
        self.losses.fill(tables);
        self.loss_tasks.fill(tables);
        self.running.fill(tables);
        self.moves.fill(tables);
        self.chunks.fill(tables);
        self.settings.fill(tables);
        self.clips.fill(tables);
    }

    pub fn commands(&self, tables: &Tables<'_>, counts: &Section<u32>, commands: &mut Vec<Command>) {
        let [chunks, settings] = [self.chunks.pointer(tables), self.settings.pointer(tables)];
        let losses = [self.loss_tasks.pointer(tables), self.losses.pointer(tables)];
        self.loss_tasks.launch(tables, counts, commands, check_losses, &losses);
        let running = [self.running.pointer(tables), self.moves.pointer(tables)];
        self.running.launch(tables, counts, commands, move_running_statistics, &running);
        if self.squares.capacity() > 0 {
            let squares = tables.pointer(&self.squares, 0);
            self.chunks.launch(tables, counts, commands, sum_squares, &[squares, chunks, settings]);
            let clips = [self.clips.pointer(tables), squares];
            self.clips.launch(tables, counts, commands, clip_factors, &clips);
        }
        self.chunks.launch(tables, counts, commands, sgd_update, &[chunks, settings]);
    }
}
