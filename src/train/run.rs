//! A run with its folder: records, checkpoints, evaluation, resume.

use super::checkpoint::{self, Checkpoint, Position};
use super::checkpoint_folder::{keep_newest, newest_checkpoint};
use super::journals::{Journals, Resumed, recorded_rows};
use super::observer::Observer;
use super::run_evaluation::{evaluation_rows, planned_evaluator};
use super::run_folder::{CONFIG, RESULT};
use super::step::PendingStep;
use super::{Evaluator, Setup, TrainError, Trainer};
use crate::backend::Backend;
use crate::files::{FolderLock, create_new_folder, free_run_folder, remove_unfinished, write_bytes_atomically};
use crate::ops::Cost;
use crate::records::AccuracyRecord;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What was done since this process began, and who hears of it.
struct Progress<'a> {
    observer: &'a mut dyn Observer,
    first: u64,
    last: u64,
    images: u64,
    cost: Cost,
}

/// A run in its folder.
pub struct Run<B: Backend> {
    pub folder: PathBuf,
    pub trainer: Trainer<B>,
    pub evaluator: Option<Evaluator>,
    pub(super) journals: Journals,
    /// Rows of the last evaluation.
    pub last_evaluation: Vec<AccuracyRecord>,
    _lock: FolderLock,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunSummary {
    pub steps: u64,
    pub images: u64,
    /// Of training in f32, by the cost model.
    pub cost: Cost,
    /// Spent in training steps and in evaluations.
    pub training_seconds: f64,
    pub evaluation_seconds: f64,
    /// Of a search: the child of every replica's architecture parameters.
    pub derived: Vec<String>,
    pub state_hash: String,
}

impl<B: Backend> Run<B> {
    /// Starts a run in a folder of its own: `out`, which must not exist, or the first free of `runs/NAME`, `runs/NAME-2`, ...
    ///
    /// # Errors
    /// Children to evaluate or measure that the model does not hold, more memory than there is, a folder that exists or cannot be
    /// written.
    pub fn create(trainer: Trainer<B>, out: Option<&Path>) -> Result<Self, TrainError> {
        let evaluator = planned_evaluator(&trainer)?;
        let folder = match out {
            Some(path) => {
                create_new_folder(path)?;
                path.to_owned()
            }
            None => free_run_folder(&Path::new("runs").join(&trainer.setup.config.name))?,
        };
        // A folder without a first checkpoint is of no use, and its name shall be free when the same is tried again.
        Self::begin_in(&folder, trainer, evaluator).inspect_err(|_| drop(std::fs::remove_dir_all(&folder)))
    }

    fn begin_in(folder: &Path, trainer: Trainer<B>, evaluator: Option<Evaluator>) -> Result<Self, TrainError> {
        let lock = FolderLock::take(folder)?;
        write_bytes_atomically(&folder.join(CONFIG), trainer.setup.config.to_toml()?.as_bytes())?;
        Self::begin(folder.to_owned(), trainer, evaluator, lock)
    }

    /// Goes on with a run from its newest checkpoint, or from its start if it was stopped before the first.
    ///
    /// # Errors
    /// Another backend or instruction set than the run began with, rows that the disk has lost, a checkpoint that is damaged or
    /// was removed.
    pub fn resume(folder: &Path, setup: Arc<Setup>, backend: B) -> Result<Self, TrainError> {
        let lock = FolderLock::take(folder)?;
        remove_unfinished(folder)?;
        if newest_checkpoint(folder)?.is_none() {
            return Self::begin_again(folder, Trainer::new(setup, backend)?, lock);
        }
        if !setup.config.checkpoint.keep_all {
            keep_newest(folder)?;
        }
        let replicas = setup.config.replicas;
        let checkpoints: Vec<Checkpoint> =
            (0..replicas).map(|replica| Checkpoint::read(folder, replica)).collect::<Result<_, _>>()?;
        let first = &checkpoints[0];
        let problem = |problem: String| TrainError::Checkpoint { path: first.path.clone(), problem };
        let arithmetic = backend.arithmetic();
        if first.arithmetic != arithmetic {
            let began = &first.arithmetic;
            return Err(problem(format!(
                "was written by {began}, but this would go on with {arithmetic} and other bits; leave out --device and --simd to go on as it began"
            )));
        }
        let trainer = Trainer::at(setup, backend, &checkpoints)?;
        let evaluator = planned_evaluator(&trainer)?;
        let evaluation_rows = evaluation_rows(&trainer, evaluator.as_ref());
        let Resumed { journals, rows, last_evaluation } =
            Journals::resume(folder, trainer.setup.config.is_search(), trainer.step, evaluation_rows)?;
        if first.rows != rows {
            return Err(problem(format!(
                "knows of {:?} rows of steps, accuracy and alphas, but the journals hold {rows:?}; the disk has lost some, start the run anew",
                first.rows
            )));
        }
        Ok(Self { folder: folder.to_owned(), trainer, evaluator, journals, last_evaluation, _lock: lock })
    }

    /// A run that was stopped before its first checkpoint: its journals, if it has them, are empty.
    fn begin_again(folder: &Path, trainer: Trainer<B>, lock: FolderLock) -> Result<Self, TrainError> {
        // A search records its first architecture parameters before its first checkpoint.
        let recorded = recorded_rows(folder)?;
        if recorded > 0 {
            let problem = format!("has {recorded} recorded rows, but no checkpoint to go on from; start the run anew");
            return Err(TrainError::Checkpoint { path: folder.to_owned(), problem });
        }
        let evaluator = planned_evaluator(&trainer)?;
        Self::begin(folder.to_owned(), trainer, evaluator, lock)
    }

    /// Empty journals and the first checkpoint; from then on the run goes on from where it was stopped.
    fn begin(
        folder: PathBuf,
        trainer: Trainer<B>,
        evaluator: Option<Evaluator>,
        lock: FolderLock,
    ) -> Result<Self, TrainError> {
        let journals = Journals::empty(&folder, trainer.setup.config.is_search())?;
        let mut run = Self { folder, trainer, evaluator, journals, last_evaluation: Vec::new(), _lock: lock };
        run.record_alphas()?;
        run.checkpoint()?;
        Ok(run)
    }

    /// Trains to the end and evaluates. The checkpoint of a step is there before its evaluation begins, so that a run that is killed while it
    /// evaluates goes on with the evaluation.
    ///
    /// # Errors
    /// A loss that is not finite, a disk that is full: what was recorded before is kept, and the run can be resumed.
    pub fn train(mut self, observer: &mut dyn Observer) -> Result<(Self, RunSummary), TrainError> {
        let (first, last) = (self.trainer.step, self.trainer.last_step());
        let checkpoint_every =
            self.trainer.setup.config.checkpoint.every_steps.unwrap_or_else(|| self.trainer.steps_per_epoch());
        let mut progress = Progress { observer, first, last, images: 0, cost: Cost::default() };
        let [mut training, mut evaluation] = [Duration::ZERO; 2];
        // While a device is at a step, the one before is recorded.
        let mut pending: Option<(u64, PendingStep<B>)> = None;
        loop {
            if self.evaluation_is_due() {
                let began = Instant::now();
                self.evaluate(progress.observer)?;
                evaluation += began.elapsed();
            }
            if self.trainer.step == last {
                break;
            }
            let began = Instant::now();
            let begun = self.trainer.begin_step();
            pending.take().map(|before| self.record_step(before, &mut progress)).transpose()?;
            let step = self.trainer.step;
            let begun = (step, begun?);
            let ends_epoch = step == last || step.is_multiple_of(self.trainer.steps_per_epoch());
            let checkpoints = step == last || step.is_multiple_of(checkpoint_every);
            let on_device = self.trainer.backend.device().is_some();
            if !on_device || ends_epoch || checkpoints || self.evaluation_is_due() {
                self.record_step(begun, &mut progress)?;
            } else {
                pending = Some(begun);
            }
            training += began.elapsed();
            if ends_epoch {
                self.record_alphas()?;
                let derived = self.trainer.derived();
                if !derived.is_empty() {
                    progress.observer.derived(step, &derived);
                }
            }
            if checkpoints {
                self.checkpoint()?;
            }
        }
        let Progress { images, cost, .. } = progress;
        let state_hash = self.trainer.hash()?.to_string();
        let summary = RunSummary {
            steps: self.trainer.step,
            images,
            cost,
            training_seconds: training.as_secs_f64(),
            evaluation_seconds: evaluation.as_secs_f64(),
            derived: self.trainer.derived(),
            state_hash,
        };
        self.journals.sync()?;
        Ok((self, summary))
    }

    /// Waits for a step, the `done`th of the run and those before it, and records it.
    fn record_step(
        &mut self,
        (done, step): (u64, PendingStep<B>),
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let result = self.trainer.finish_step(step)?;
        self.journals.steps.append(&result.records)?;
        progress.images += result.images;
        progress.cost = progress.cost + result.cost;
        let loss = result.records.iter().map(|record| record.loss).sum::<f64>() / result.records.len() as f64;
        let Progress { first, last, images, .. } = *progress;
        progress.observer.step(done - first, last - first, images, loss);
        Ok(())
    }

    /// Turns the journals into Parquet files and writes `result.toml`.
    ///
    /// # Errors
    /// Names the file that cannot be written; calling it again after a resume is safe.
    pub fn finish(self, summary: &RunSummary) -> Result<(), TrainError> {
        let Self { folder, trainer, journals, .. } = self;
        let mut result = format!("steps = {}\nstate_hash = \"{}\"\n", summary.steps, summary.state_hash);
        let hashes: Vec<String> = trainer.replica_hashes()?.iter().map(|hash| format!("\"{hash}\"")).collect();
        result.push_str(&format!("replica_hashes = [{}]\n", hashes.join(", ")));
        if !summary.derived.is_empty() {
            result.push_str(&format!("derived = {:?}\n", summary.derived));
        }
        journals.finish(&folder)?;
        write_bytes_atomically(&folder.join(RESULT), result.as_bytes())?;
        Ok(())
    }

    /// Records the architecture parameters of every replica, if there are any.
    fn record_alphas(&mut self) -> Result<(), TrainError> {
        let Some(journal) = &mut self.journals.alphas else { return Ok(()) };
        let (step, space) = (self.trainer.step, self.trainer.setup.space());
        let searches =
            self.trainer.replicas.iter().enumerate().filter_map(|(at, replica)| Some((at, replica.search.as_ref()?)));
        for (replica, search) in searches {
            journal.append(&search.alphas.records(space, step, replica as u32))?;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), TrainError> {
        self.journals.sync()?;
        let trainer = &self.trainer;
        let position = Position {
            step: trainer.step,
            mini_batches: trainer.mini_batches,
            learning_rate: trainer.last_rate,
            arithmetic: trainer.backend.arithmetic(),
            rows: self.journals.rows(),
        };
        let snapshots = trainer.replicas.iter().map(|replica| trainer.snapshot(replica));
        checkpoint::write(&self.folder, &trainer.setup, &position, snapshots)?;
        if !trainer.setup.config.checkpoint.keep_all {
            keep_newest(&self.folder)?;
        }
        Ok(())
    }
}
