//! A run with its folder: records, checkpoints, evaluation, resume.

use super::checkpoint::{self, Checkpoint, Position};
use super::config::{DERIVED, RunConfig};
use super::run_folder::{CONFIG, RESULT};
use super::trainer::PendingStep;
use super::{Evaluator, Setup, TrainError, Trainer, Workload};
use crate::backend::Backend;
use crate::files::{FolderLock, create_new_folder, free_run_folder, remove_unfinished, write_bytes_atomically};
use crate::ops::Cost;
use crate::records::{AccuracyRecord, AlphaRecord, Journal, Record, Recovery, StepRecord, read_parquet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hears of a run while it goes on.
pub trait Observer {
    /// After every step: steps done and in all, images since this process began, mean loss of the step.
    fn step(&mut self, _done: u64, _all: u64, _images: u64, _loss: f64) {}

    /// While children are evaluated: passes ([`Evaluator::passes`]) done and in all.
    fn evaluation(&mut self, _done: u64, _all: u64) {}

    /// Of a search, after every epoch and at the end: steps done, and of every replica the child that its architecture parameters make.
    fn derived(&mut self, _done: u64, _children: &[String]) {}
}

/// Hears nothing.
impl Observer for () {}

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
    steps: Journal<StepRecord>,
    accuracy: Journal<AccuracyRecord>,
    /// Of a search.
    alphas: Option<Journal<AlphaRecord>>,
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

fn journal_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.journal"))
}

/// Goes on with a journal. A run that was killed while it ended may have turned one into its Parquet file already: that one becomes
/// a journal again.
fn resume_journal<R: Record>(
    folder: &Path,
    name: &str,
    keep: impl Fn(&R) -> bool,
) -> Result<(Journal<R>, Recovery), TrainError> {
    let (path, parquet) = (journal_path(folder, name), parquet_path(folder, name));
    if !path.is_file() && parquet.is_file() {
        let rows: Vec<R> = read_parquet(&parquet)?;
        Journal::create_with(&path, &rows)?;
    }
    Ok(Journal::resume(&path, keep)?)
}

/// A journal without rows, made unless it is there.
fn empty_journal<R: Record>(folder: &Path, name: &str) -> Result<Journal<R>, TrainError> {
    let path = journal_path(folder, name);
    Ok(if path.is_file() { Journal::resume(&path, |_| false)?.0 } else { Journal::create(&path)? })
}

/// The rows of a journal, or of the Parquet file that it became; none where there is neither.
fn recorded<R: Record>(folder: &Path, name: &str) -> Result<Vec<R>, TrainError> {
    let (path, parquet) = (journal_path(folder, name), parquet_path(folder, name));
    if path.is_file() {
        return Ok(Journal::read(&path)?);
    }
    Ok(if parquet.is_file() { read_parquet(&parquet)? } else { Vec::new() })
}

fn parquet_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.parquet"))
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
        if checkpoint::newest_checkpoint(folder)?.is_none() {
            return Self::begin_again(folder, Trainer::new(setup, backend)?, lock);
        }
        if !setup.config.checkpoint.keep_all {
            checkpoint::keep_newest(folder)?;
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
        let step = trainer.step;
        let evaluator = planned_evaluator(&trainer)?;
        let (steps, found) = resume_journal(folder, "steps", |row: &StepRecord| row.step < step)?;
        // The evaluation of a step comes after its checkpoint: it counts if it was recorded to its end.
        let mut last_evaluation: Vec<AccuracyRecord> = recorded(folder, "accuracy")?;
        last_evaluation.retain(|row| row.step == step);
        if last_evaluation.len() != evaluation_rows(&trainer, evaluator.as_ref()) {
            last_evaluation.clear();
        }
        let end = if last_evaluation.is_empty() { step } else { step + 1 };
        let (accuracy, evaluated) = resume_journal(folder, "accuracy", |row: &AccuracyRecord| row.step < end)?;
        let earlier = evaluated.kept_rows - last_evaluation.len() as u64;
        let searched = trainer.setup.config.is_search();
        let alphas =
            searched.then(|| resume_journal(folder, "alphas", |row: &AlphaRecord| row.step <= step)).transpose()?;
        let (alphas, alpha_rows) = alphas.map_or((None, 0), |(journal, found)| (Some(journal), found.kept_rows));
        let [known, found] =
            [[first.step_rows, first.accuracy_rows, first.alpha_rows], [found.kept_rows, earlier, alpha_rows]];
        if known != found {
            return Err(problem(format!(
                "knows of {known:?} rows of steps, accuracy and alphas, but the journals hold {found:?}; the disk has lost some, start the run anew",
            )));
        }
        let folder = folder.to_owned();
        Ok(Self { folder, trainer, evaluator, steps, accuracy, alphas, last_evaluation, _lock: lock })
    }

    /// A run that was stopped before its first checkpoint: its journals, if it has them, are empty.
    fn begin_again(folder: &Path, trainer: Trainer<B>, lock: FolderLock) -> Result<Self, TrainError> {
        // A search records its first architecture parameters before its first checkpoint.
        let recorded =
            recorded::<StepRecord>(folder, "steps")?.len() + recorded::<AccuracyRecord>(folder, "accuracy")?.len();
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
        let steps = empty_journal(&folder, "steps")?;
        let accuracy = empty_journal(&folder, "accuracy")?;
        let alphas = trainer.setup.config.is_search().then(|| empty_journal(&folder, "alphas")).transpose()?;
        let last_evaluation = Vec::new();
        let mut run = Self { folder, trainer, evaluator, steps, accuracy, alphas, last_evaluation, _lock: lock };
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
        self.sync()?;
        Ok((self, summary))
    }

    /// Waits for a step, the `done`th of the run and those before it, and records it.
    fn record_step(
        &mut self,
        (done, step): (u64, PendingStep<B>),
        progress: &mut Progress<'_>,
    ) -> Result<(), TrainError> {
        let result = self.trainer.finish_step(step)?;
        self.steps.append(&result.records)?;
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
        let Self { folder, trainer, steps, accuracy, alphas, .. } = self;
        let mut result = format!("steps = {}\nstate_hash = \"{}\"\n", summary.steps, summary.state_hash);
        let hashes: Vec<String> = trainer.replica_hashes()?.iter().map(|hash| format!("\"{hash}\"")).collect();
        result.push_str(&format!("replica_hashes = [{}]\n", hashes.join(", ")));
        if !summary.derived.is_empty() {
            result.push_str(&format!("derived = {:?}\n", summary.derived));
        }
        steps.finish(&parquet_path(&folder, "steps"))?;
        accuracy.finish(&parquet_path(&folder, "accuracy"))?;
        alphas.map(|alphas| alphas.finish(&parquet_path(&folder, "alphas"))).transpose()?;
        write_bytes_atomically(&folder.join(RESULT), result.as_bytes())?;
        Ok(())
    }

    /// Whether the configuration asks for an evaluation after the present step, and it is not recorded yet.
    fn evaluation_is_due(&self) -> bool {
        let (step, config) = (self.trainer.step, &self.trainer.setup.config);
        let every_epochs = config.evaluation.every_epochs;
        let every =
            [config.evaluation.every_steps, every_epochs.map(|n| n.saturating_mul(self.trainer.steps_per_epoch()))];
        let trained = step > config.start.as_ref().map_or(0, |start| start.step);
        let on_the_way = trained && every.iter().flatten().any(|every| step.is_multiple_of(*every));
        let at_end = config.evaluation.at_end && step == self.trainer.last_step();
        (on_the_way || at_end) && self.last_evaluation.first().is_none_or(|row| row.step != step)
    }

    /// Evaluates every replica under every configured regime and records it.
    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let Some(evaluator) = &self.evaluator else { return Ok(()) };
        let norms = &self.trainer.setup.config.evaluation.norm;
        let all = norms.iter().map(|norm| evaluator.passes(*norm)).sum::<u64>() * self.trainer.replicas.len() as u64;
        let mut done = 0;
        let mut passed = || {
            done += 1;
            observer.evaluation(done, all);
        };
        let mut rows = Vec::new();
        let setup = &self.trainer.setup;
        for (number, replica) in self.trainer.replicas.iter().enumerate() {
            // Architecture parameters have made another child since the evaluator was.
            let derived = replica.derived(setup.space()).filter(|_| setup.config.evaluation.children == DERIVED);
            let derived = derived.map(|child| Evaluator::new(setup, vec![child]));
            let evaluator = derived.as_ref().unwrap_or(evaluator);
            for norm in norms {
                let (backend, state, seed) = (&self.trainer.backend, &replica.state, replica.data_seed);
                let results = evaluator.evaluate_observed(backend, state, *norm, seed, &mut passed)?;
                rows.extend(evaluator.records(self.trainer.step, number as u32, *norm, &results));
            }
        }
        self.accuracy.append(&rows)?;
        self.last_evaluation = rows;
        Ok(())
    }

    /// Records the architecture parameters of every replica, if there are any.
    fn record_alphas(&mut self) -> Result<(), TrainError> {
        let Some(journal) = &mut self.alphas else { return Ok(()) };
        let (step, space) = (self.trainer.step, self.trainer.setup.space());
        let searches =
            self.trainer.replicas.iter().enumerate().filter_map(|(at, replica)| Some((at, replica.search.as_ref()?)));
        for (replica, search) in searches {
            journal.append(&search.alphas.records(space, step, replica as u32))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), TrainError> {
        self.steps.sync()?;
        self.alphas.iter().try_for_each(Journal::sync)?;
        Ok(self.accuracy.sync()?)
    }

    fn checkpoint(&mut self) -> Result<(), TrainError> {
        self.sync()?;
        let trainer = &self.trainer;
        let position = Position {
            step: trainer.step,
            mini_batches: trainer.mini_batches,
            learning_rate: trainer.last_rate,
            arithmetic: trainer.backend.arithmetic(),
            step_rows: self.steps.rows(),
            accuracy_rows: self.accuracy.rows(),
            alpha_rows: self.alphas.as_ref().map_or(0, Journal::rows),
        };
        let snapshots = trainer.replicas.iter().map(|replica| trainer.snapshot(replica));
        checkpoint::write(&self.folder, &trainer.setup, &position, snapshots)?;
        if !trainer.setup.config.checkpoint.keep_all {
            checkpoint::keep_newest(&self.folder)?;
        }
        Ok(())
    }
}

/// Rows of one evaluation of all replicas under all configured regimes.
fn evaluation_rows<B: Backend>(trainer: &Trainer<B>, evaluator: Option<&Evaluator>) -> usize {
    let children = evaluator.map_or(0, |evaluator| evaluator.children.len());
    trainer.replicas.len() * trainer.setup.config.evaluation.norm.len() * children
}

/// The evaluator that a run needs, once it is known that the run has the memory for it, for its training, and for the interference
/// measured at its end. What is checked here would otherwise come to light with a run folder already made, or after hours of training.
fn planned_evaluator<B: Backend>(trainer: &Trainer<B>) -> Result<Option<Evaluator>, TrainError> {
    let setup = &trainer.setup;
    let RunConfig { evaluation, interference, .. } = &setup.config;
    let evaluator = |children| Evaluator::new(setup, children);
    let evaluated = || trainer.children(0, "evaluation.children", &evaluation.children).map(evaluator);
    let evaluated = evaluation.wanted().then(evaluated).transpose()?;
    trainer.check_memory(&Workload::run(trainer, evaluated.as_ref()))?;
    if let Some(children) = &interference.children {
        let norms = interference.norm.as_ref().unwrap_or(&evaluation.norm);
        let measured = evaluator(setup.children("interference.children", children)?);
        trainer.check_memory(&Workload::interference(trainer, &measured, norms))?;
    }
    Ok(evaluated)
}
