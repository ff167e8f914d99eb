//! What a run will take, computed before it is allocated, and what it took.

use super::{Evaluator, Trainer};
use crate::backend::Executor;
use crate::data::image_length;
use crate::space::Child;

/// Bytes by purpose.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlan {
    /// Of the process before: program, data set, banks.
    pub resident: usize,
    /// Pixels of the mini-batches of a step.
    pub mini_batches: usize,
    /// Feature maps, gradients and scratch of a step.
    pub training: usize,
    /// Likewise of an evaluation.
    pub evaluation: usize,
}

impl MemoryPlan {
    /// For a trainer and, where there is one, an evaluator.
    pub fn new<E: Executor>(trainer: &Trainer<E>, evaluator: Option<&Evaluator>) -> Self {
        let model = &trainer.setup.model;
        let images = trainer.setup.config.data.batch as usize;
        let lanes = trainer.lanes() * trainer.replicas.len();
        let executor = &trainer.host.executor;
        let plans: Vec<_> =
            trainer.largest_children().iter().map(|child| trainer.host.training_plan(model, child)).collect();
        let plans: Vec<_> = plans.iter().map(AsRef::as_ref).collect();
        let pixel_bytes = image_length(trainer.setup.dataset.shape()) * size_of::<E::Real>();
        let evaluated = evaluator.map_or(0, |evaluator| {
            let images = evaluator.batch_images();
            let graphs = evaluator.plan.graphs().map(|graph| executor.evaluation_bytes(graph, images));
            graphs.max().unwrap_or(0) + images * pixel_bytes
        });
        Self {
            resident: resident_bytes().unwrap_or(0),
            mini_batches: lanes * images * pixel_bytes,
            training: executor.training_bytes(&plans, lanes, images),
            evaluation: evaluated,
        }
    }

    /// Peak of the whole process. Arenas of training and evaluation are kept side by side.
    pub fn peak(&self) -> usize {
        self.resident + self.mini_batches + self.training + self.evaluation
    }
}

impl<E: Executor> Trainer<E> {
    /// Children whose plans bound those of all others: each edge's candidates in turn, the same on all edges.
    fn largest_children(&self) -> Vec<Child> {
        let choices = self.setup.space().choices();
        let most = choices.iter().copied().max().unwrap_or(1);
        let uniform = |candidate: usize| Child(choices.iter().map(|count| candidate.min(count - 1) as u8).collect());
        let children: Vec<Child> = (0..most).map(uniform).filter(|child| self.setup.model.holds(child)).collect();
        if children.is_empty() { self.next_children() } else { children }
    }
}

/// Resident bytes of this process now, where the system tells.
pub fn resident_bytes() -> Option<usize> {
    status("VmRSS:")
}

/// Largest resident bytes of this process so far.
pub fn peak_bytes() -> Option<usize> {
    status("VmHWM:")
}

fn status(key: &str) -> Option<usize> {
    const KIB: usize = 1024;
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * KIB)
}
