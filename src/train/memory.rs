//! What a run will take, computed before it is allocated, and what it took.

use super::{Evaluator, Setup, TrainError, Trainer};
use crate::backend::{Demand, Executor};
use crate::data::image_length;
use crate::space::Child;
use std::collections::BTreeSet;

/// Pages of the program that are touched later, statistics, tables and plots.
const PROGRAM_BYTES: usize = 3 << 20;

/// A row of the record of steps, while its journal becomes a Parquet file: encoded, as a struct with its text, and in columns.
const ROW_BYTES: usize = 256;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlan {
    /// Of the process before: program, data set, banks, graphs.
    pub resident: usize,
    /// Pixels of the mini-batches of a step.
    pub mini_batches: usize,
    /// Feature maps and gradients of a step.
    pub training: usize,
    /// What an evaluation takes beyond that.
    pub evaluation: usize,
    /// Scratch of the kernels, checkpoints and records on their way to the disk, and whatever else the program will touch.
    pub other: usize,
}

impl MemoryPlan {
    /// For a trainer and, where there is one, an evaluator.
    pub fn new<E: Executor>(trainer: &Trainer<E>, evaluator: Option<&Evaluator>) -> Self {
        let model = &trainer.setup.model;
        let images = trainer.setup.config.data.batch as usize;
        let lanes = trainer.lanes() * trainer.replicas.len();
        let children = trainer.planned_children();
        let plans: Vec<_> = children.iter().map(|child| trainer.host.training_plan(model, child)).collect();
        let graphs: Vec<_> = evaluator.iter().flat_map(|evaluator| evaluator.plan.graphs()).collect();
        let evaluation_images = evaluator.map_or(0, Evaluator::batch_images);
        let working = trainer.host.executor.working_memory(&Demand {
            training: &plans,
            lanes,
            training_images: images,
            evaluation: &graphs,
            evaluation_images,
        });
        let pixel_bytes = image_length(trainer.setup.dataset.shape()) * size_of::<E::Real>();
        let mini_batches = lanes.max(1) * images * pixel_bytes;
        // Weights and momentum of one replica at a time, as named tensors.
        let checkpoint = 2 * model.layout.len() * size_of::<E::Real>();
        let rows = (trainer.last_step() - trainer.step) as usize * lanes;
        Self {
            resident: resident_bytes().unwrap_or(0),
            mini_batches,
            training: working.training,
            evaluation: working.evaluation + (evaluation_images * pixel_bytes).saturating_sub(mini_batches),
            other: working.scratch + checkpoint + rows * ROW_BYTES + PROGRAM_BYTES,
        }
    }

    /// Peak of the whole process.
    pub fn peak(&self) -> usize {
        self.resident + self.mini_batches + self.training + self.evaluation + self.other
    }
}

impl<E: Executor> Trainer<E> {
    /// Children that bound what the run takes: all that it trains if it is short or its children are few, otherwise also each edge's
    /// candidates in turn, the same on all edges.
    fn planned_children(&self) -> Vec<Child> {
        /// As many steps as are drawn to find the children; plans of children in a cycle are needed soon anyway.
        const STEPS: u64 = 256;
        let end = self.last_step().min(self.step + STEPS);
        let mut children: BTreeSet<Child> = (self.step..end).flat_map(|step| self.children_of(step)).collect();
        if end < self.last_step() {
            let choices = self.setup.space().choices();
            let most = choices.iter().copied().max().unwrap_or(1);
            let same = |candidate: usize| Child(choices.iter().map(|count| candidate.min(count - 1) as u8).collect());
            children.extend((0..most).map(same).filter(|child| self.setup.model.holds(child)));
        }
        children.into_iter().collect()
    }
}

/// Checks that the banks of all replicas fit into the memory that is free, where the system tells: taking too much would end the
/// process without a word.
///
/// # Errors
/// Says how much is needed and how much there is.
pub fn check_banks<T>(setup: &Setup) -> Result<(), TrainError> {
    let replicas = setup.config.replicas;
    let needed = 2 * u128::from(replicas) * setup.model.layout.len() as u128 * size_of::<T>() as u128;
    match kibibytes("/proc/meminfo", "MemAvailable:") {
        Some(available) if needed > available as u128 => {
            let [needed, available] = [needed, available as u128].map(|bytes| bytes >> 20);
            Err(TrainError::Memory { replicas, needed, available })
        }
        _ => Ok(()),
    }
}

/// Resident bytes of this process now, where the system tells.
pub fn resident_bytes() -> Option<usize> {
    kibibytes(STATUS, "VmRSS:")
}

/// Largest resident bytes of this process so far.
pub fn peak_bytes() -> Option<usize> {
    kibibytes(STATUS, "VmHWM:")
}

const STATUS: &str = "/proc/self/status";

/// A number of KiB in one of the kernel's lists, in bytes.
fn kibibytes(list: &str, key: &str) -> Option<usize> {
    const KIB: usize = 1024;
    let text = std::fs::read_to_string(list).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * KIB)
}
