//! The journals of a run: rows of steps, of evaluations and of architecture parameters.

use super::TrainError;
use crate::records::{AccuracyRecord, AlphaRecord, Journal, Record, Recovery, StepRecord, read_parquet};
use std::path::{Path, PathBuf};

pub struct Journals {
    pub steps: Journal<StepRecord>,
    pub accuracy: Journal<AccuracyRecord>,
    /// Of a search.
    pub alphas: Option<Journal<AlphaRecord>>,
}

/// Rows of steps, accuracy and alphas.
pub type Rows = [u64; 3];

/// What was recorded up to a checkpoint.
pub struct Resumed {
    pub journals: Journals,
    /// Before the evaluation that follows the checkpoint.
    pub rows: Rows,
    /// The rows of that evaluation, if it was recorded to its end.
    pub last_evaluation: Vec<AccuracyRecord>,
}

impl Journals {
    /// Journals without rows, made unless they are there.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn empty(folder: &Path, is_search: bool) -> Result<Self, TrainError> {
        let alphas = is_search.then(|| empty_journal(folder, "alphas")).transpose()?;
        Ok(Self { steps: empty_journal(folder, "steps")?, accuracy: empty_journal(folder, "accuracy")?, alphas })
    }

    /// Goes on after the checkpoint of a step, whose evaluation has `evaluation_rows` rows.
    ///
    /// # Errors
    /// Names the file that cannot be read or written.
    pub fn resume(folder: &Path, is_search: bool, step: u64, evaluation_rows: usize) -> Result<Resumed, TrainError> {
        let (steps, found) = resume_journal(folder, "steps", |row: &StepRecord| row.step < step)?;
        // The evaluation of a step comes after its checkpoint: it counts if it was recorded to its end.
        let mut last_evaluation: Vec<AccuracyRecord> = recorded(folder, "accuracy")?;
        last_evaluation.retain(|row| row.step == step);
        if last_evaluation.len() != evaluation_rows {
            last_evaluation.clear();
        }
        let end = if last_evaluation.is_empty() { step } else { step + 1 };
        let (accuracy, evaluated) = resume_journal(folder, "accuracy", |row: &AccuracyRecord| row.step < end)?;
        let earlier = evaluated.kept_rows - last_evaluation.len() as u64;
        let alphas =
            is_search.then(|| resume_journal(folder, "alphas", |row: &AlphaRecord| row.step <= step)).transpose()?;
        let (alphas, alpha_rows) = alphas.map_or((None, 0), |(journal, found)| (Some(journal), found.kept_rows));
        let rows = [found.kept_rows, earlier, alpha_rows];
        Ok(Resumed { journals: Self { steps, accuracy, alphas }, rows, last_evaluation })
    }

    pub fn rows(&self) -> Rows {
        [self.steps.rows(), self.accuracy.rows(), self.alphas.as_ref().map_or(0, Journal::rows)]
    }

    /// # Errors
    /// Names the file that cannot be written.
    pub fn sync(&self) -> Result<(), TrainError> {
        self.steps.sync()?;
        self.alphas.iter().try_for_each(Journal::sync)?;
        Ok(self.accuracy.sync()?)
    }

    /// Turns them into Parquet files.
    ///
    /// # Errors
    /// Names the file that cannot be written; calling it again after a resume is safe.
    pub fn finish(self, folder: &Path) -> Result<(), TrainError> {
        self.steps.finish(&parquet_path(folder, "steps"))?;
        self.accuracy.finish(&parquet_path(folder, "accuracy"))?;
        self.alphas.map(|alphas| alphas.finish(&parquet_path(folder, "alphas"))).transpose()?;
        Ok(())
    }
}

/// Rows of steps and evaluations that a folder holds.
///
/// # Errors
/// Names the file that cannot be read.
pub fn recorded_rows(folder: &Path) -> Result<usize, TrainError> {
    Ok(recorded::<StepRecord>(folder, "steps")?.len() + recorded::<AccuracyRecord>(folder, "accuracy")?.len())
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
