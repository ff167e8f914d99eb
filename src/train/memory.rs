//! What a command will take, computed before it is allocated, and whether the machine has it.

use super::available::{available_bytes, resident_bytes};
use super::config::NormRegime;
use super::device_memory::DevicePlan;
use super::{Evaluator, Setup, TrainError, Trainer};
use crate::backend::{Backend, Demand, LanePlan};
use crate::data::image_length;
use crate::plan::Choice;
use crate::space::Child;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Pages of the program that are touched later, statistics, tables and plots.
const PROGRAM_BYTES: usize = 3 << 20;

/// A row of the record of steps, while its journal becomes a Parquet file: encoded, as a struct with its text, and in columns.
const ROW_BYTES: usize = 256;

/// What a command computes at most.
pub struct Workload<'a> {
    /// Children that bound what a lane takes; none for the mixture of all candidates.
    trained: Vec<Option<Child>>,
    /// Lanes of a step, all replicas together.
    lanes: usize,
    /// Training mini-batches held at once, and images of the largest.
    mini_batches: usize,
    images: usize,
    /// Copies of one replica's weights and momentum: for a checkpoint, or to step on.
    copies: usize,
    /// Of these, those that a device holds.
    device_copies: usize,
    /// Rows of the record of steps.
    rows: usize,
    evaluation: Option<(&'a Evaluator, &'a [NormRegime])>,
    /// Evaluations of all children whose results are held at once.
    results: usize,
    /// Replicas whose banks are still to be made.
    banks: usize,
}

impl<'a> Workload<'a> {
    /// Training to the end, with evaluations if there is an evaluator.
    pub fn run<B: Backend>(trainer: &'a Trainer<B>, evaluator: Option<&'a Evaluator>) -> Self {
        let replicas = trainer.setup.config.replicas as usize;
        let lanes = trainer.lanes() * replicas;
        Self {
            trained: trainer.planned_children(),
            lanes,
            mini_batches: trainer.mini_batches_per_step() as usize * replicas,
            images: trainer.most_images(),
            copies: 1,
            device_copies: 0,
            rows: product([(trainer.last_step() - trainer.step) as usize, lanes]),
            evaluation: evaluator.map(|evaluator| (evaluator, trainer.setup.config.evaluation.norm.as_slice())),
            results: 1,
            banks: replicas.saturating_sub(trainer.replicas.len()),
        }
    }

    /// Evaluating alone.
    pub fn evaluation(evaluator: &'a Evaluator, norms: &'a [NormRegime]) -> Self {
        let evaluation = Some((evaluator, norms));
        Self {
            trained: Vec::new(),
            lanes: 0,
            mini_batches: 0,
            images: 0,
            copies: 0,
            device_copies: 0,
            rows: 0,
            evaluation,
            results: norms.len(),
            banks: 0,
        }
    }

    /// Gradients of one child after the other on one mini-batch.
    pub fn gradients(children: Vec<Child>, images: usize) -> Self {
        Self {
            trained: children.into_iter().map(Some).collect(),
            lanes: 1,
            mini_batches: 1,
            images,
            copies: 1,
            device_copies: 0,
            rows: 0,
            evaluation: None,
            results: 0,
            banks: 0,
        }
    }

    /// A step on each of the evaluator's children, and an evaluation of all after each.
    pub fn interference<B: Backend>(trainer: &Trainer<B>, evaluator: &'a Evaluator, norms: &'a [NormRegime]) -> Self {
        let steps = Self::gradients(evaluator.children.clone(), trainer.most_images());
        // Before, after each step, and after the step with gradient zero.
        let results = (evaluator.children.len() + 2) * norms.len();
        Self { evaluation: Some((evaluator, norms)), results, device_copies: 1, ..steps }
    }
}

/// The graphs that some work runs.
struct Planned<'a> {
    training: Vec<Arc<LanePlan>>,
    lanes: usize,
    training_images: usize,
    evaluation: Vec<&'a LanePlan>,
    evaluation_images: usize,
}

impl<'a> Planned<'a> {
    fn new<B: Backend>(trainer: &Trainer<B>, work: &Workload<'a>) -> Self {
        let choices = work.trained.iter().map(|child| child.as_ref().map_or(Choice::Mixture, Choice::Child));
        Self {
            training: choices.map(|choice| trainer.backend.training_plan(&trainer.setup.model, choice)).collect(),
            lanes: work.lanes,
            training_images: work.images,
            evaluation: work.evaluation.iter().flat_map(|(evaluator, _)| evaluator.plan.graphs()).collect(),
            evaluation_images: work.evaluation.map_or(0, |(evaluator, norms)| evaluator.batch_images(norms)),
        }
    }

    fn demand(&self) -> Demand<'_> {
        Demand {
            training: &self.training,
            lanes: self.lanes,
            training_images: self.training_images,
            evaluation: &self.evaluation,
            evaluation_images: self.evaluation_images,
        }
    }
}

/// Bytes by purpose.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlan {
    /// Of the process before: program, data set, banks, graphs.
    pub resident: usize,
    /// Weights and momentum of replicas that are still to be made.
    pub banks: usize,
    /// Pixels of the mini-batches of a step.
    pub mini_batches: usize,
    /// Feature maps and gradients of a step; where a GPU holds them, the gradients of weights that come back.
    pub training: usize,
    /// What an evaluation takes beyond that.
    pub evaluation: usize,
    /// The record of steps, on its way to the disk.
    pub records: usize,
    /// Scratch of the kernels, copies of banks, and whatever else the program will touch.
    pub other: usize,
    /// Of a GPU, beside all this in host memory.
    pub device: Option<DevicePlan>,
}

impl MemoryPlan {
    pub fn new<B: Backend>(trainer: &Trainer<B>, work: &Workload<'_>) -> Self {
        Self::of(trainer, work, &Planned::new(trainer, work))
    }

    fn of<B: Backend>(trainer: &Trainer<B>, work: &Workload<'_>, planned: &Planned<'_>) -> Self {
        let model = &trainer.setup.model;
        let working = trainer.backend.working_memory(&planned.demand());
        let evaluation_images = planned.evaluation_images;
        let number_bytes = size_of::<B::Real>();
        let pixel_bytes = image_length(trainer.setup.dataset.shape()) * number_bytes;
        let mini_batches = product([work.mini_batches, work.images, pixel_bytes]);
        let evaluated_pixels = product([evaluation_images, pixel_bytes]).saturating_sub(mini_batches);
        // The predicted class of every image is one byte.
        let results = work
            .evaluation
            .map_or(0, |(evaluator, _)| product([work.results, evaluator.children.len(), evaluator.image_count()]));
        let bank = product([2, model.layout.len(), number_bytes]);
        let memory = trainer.backend.device().and_then(|device| device.memory());
        let device = memory.map(|memory| DevicePlan {
            data: trainer.setup.dataset.images.len(),
            // Gradients stand beside weights and momenta.
            banks: product([trainer.replicas.len() + work.banks + work.device_copies, bank]) / 2 * 3,
            mini_batches,
            training: working.training,
            evaluation: sum([working.evaluation, evaluated_pixels]),
            memory,
        });
        // What a GPU holds, the host does not; a replica passes through it.
        let on_host = |bytes: usize| if device.is_some() { 0 } else { bytes };
        Self {
            resident: resident_bytes().unwrap_or(0),
            banks: product([if device.is_some() { work.banks.min(1) } else { work.banks }, bank]),
            mini_batches: on_host(mini_batches),
            training: on_host(working.training),
            evaluation: sum([on_host(sum([working.evaluation, evaluated_pixels])), results]),
            records: product([work.rows, ROW_BYTES]),
            other: sum([working.scratch, product([work.copies, bank]), PROGRAM_BYTES]),
            device,
        }
    }

    /// Peak of the whole process in host memory.
    pub fn peak(&self) -> usize {
        sum([self.resident, self.banks, self.mini_batches, self.training, self.evaluation, self.records, self.other])
    }

    /// Checks that the peak fits into what the process holds and `available` more bytes; nothing is checked where those are not known.
    fn check(&self, available: Option<usize>) -> Result<(), TrainError> {
        let Some(available) = available else { return Ok(()) };
        let [planned, available] = [self.peak(), sum([available, self.resident])];
        if planned <= available {
            return Ok(());
        }
        let [planned, available] = [planned, available].map(|bytes| bytes >> 20);
        Err(TrainError::Plan { planned, available, remedy: self.remedy() })
    }

    /// What makes the largest part smaller.
    fn remedy(&self) -> &'static str {
        let parts = [
            (self.banks, "lower replicas, network.channels or network.cells"),
            (self.mini_batches, "lower data.batch, step.lanes or replicas"),
            (self.training, "lower data.batch, network.channels, step.lanes, replicas or --threads"),
            (self.evaluation, "lower evaluation.batch (for `recalibrated` data.batch) or evaluate fewer children"),
            (self.records, "train fewer steps, or fewer lanes or replicas"),
            (self.other, "lower --threads, network.channels or network.cells"),
            (self.resident, "take a smaller data set, or lower network.channels or replicas"),
        ];
        parts.iter().max_by_key(|(bytes, _)| bytes).map_or("", |(_, remedy)| remedy)
    }
}

impl<B: Backend> Trainer<B> {
    /// Checks that the memory that is available, the host's and a GPU's, suffices for some work, where the system tells: taking too much would end the process
    /// without a word. A GPU's is taken.
    ///
    /// # Errors
    /// Says how much is planned, how much there is, and what to lower.
    pub fn check_memory(&self, work: &Workload<'_>) -> Result<(), TrainError> {
        let planned = Planned::new(self, work);
        let plan = MemoryPlan::of(self, work, &planned);
        plan.check(available_bytes())?;
        plan.device.map_or(Ok(()), |plan| plan.check())?;
        Ok(self.backend.reserve(&planned.demand())?)
    }

    /// Children that bound what the run takes, or its mixture: all that it trains if it is short or its children are few, otherwise also each edge's
    /// candidates in turn, the same on all edges.
    fn planned_children(&self) -> Vec<Option<Child>> {
        /// As many steps and lanes as are drawn to find the children; plans of children in a cycle are needed soon anyway.
        const STEPS: u64 = 256;
        const LANES: usize = 4096;
        if self.setup.config.is_search() {
            return vec![None];
        }
        let end = self.last_step().min(self.step + STEPS);
        let drawn = (self.step..end).flat_map(|step| self.children_of(step));
        let mut children: BTreeSet<Child> = drawn.take(LANES).collect();
        if self.step + STEPS < self.last_step() || self.lanes() * self.replicas.len() * STEPS as usize > LANES {
            let choices = self.setup.space().choices();
            let most = choices.iter().copied().max().unwrap_or(1);
            let same = |candidate: usize| Child(choices.iter().map(|count| candidate.min(count - 1) as u8).collect());
            children.extend((0..most).map(same).filter(|child| self.setup.model.holds(child)));
        }
        children.into_iter().map(Some).collect()
    }
}

/// Checks that the banks of all replicas fit into the memory that is available, where the system tells.
///
/// # Errors
/// Says how much is needed and how much there is.
pub fn check_banks<T>(setup: &Setup) -> Result<(), TrainError> {
    let replicas = setup.config.replicas;
    let needed = 2 * u128::from(replicas) * setup.model.layout.len() as u128 * size_of::<T>() as u128;
    match available_bytes() {
        Some(available) if needed > available as u128 => {
            let [needed, available] = [needed, available as u128].map(|bytes| bytes >> 20);
            Err(TrainError::Memory { replicas, needed, available })
        }
        _ => Ok(()),
    }
}

/// A product, or the largest number where it is larger.
fn product<const N: usize>(factors: [usize; N]) -> usize {
    factors.into_iter().fold(1, usize::saturating_mul)
}

/// A sum, or the largest number where it is larger.
fn sum<const N: usize>(terms: [usize; N]) -> usize {
    terms.into_iter().fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_may_take_what_is_available_and_what_the_process_holds_already() {
        const MIB: usize = 1 << 20;
        let plan = MemoryPlan {
            resident: 10 * MIB,
            banks: 0,
            mini_batches: MIB,
            training: 2 * MIB,
            evaluation: 5 * MIB,
            records: 0,
            other: MIB,
            device: None,
        };
        assert!(plan.check(None).is_ok() && plan.check(Some(9 * MIB)).is_ok());
        let error = plan.check(Some(8 * MIB)).expect_err("a refusal").to_string();
        assert!(error.contains("takes 19 MiB of memory, but 18 MiB are available; "), "{error}");
        let evaluation = MemoryPlan { resident: MIB, evaluation: usize::MAX, ..plan };
        let error = evaluation.check(Some(8 * MIB)).expect_err("a refusal").to_string();
        assert!(error.ends_with("lower evaluation.batch (for `recalibrated` data.batch) or evaluate fewer children"));
    }
}
