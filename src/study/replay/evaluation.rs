//! Children evaluated: losses, counts and the class of every image.

use super::child::held_child;
use super::config::TraceConfig;
use super::{Comparison, EvaluatedWeights, Part, ReplayError};
use crate::backend::Backend;
use crate::backend::evaluation::ChildEvaluation;
use crate::device::DeviceError;
use crate::files::CsvFile;
use crate::space::Child;
use crate::tensors::{TensorFile, Values};
use crate::train::config::NormRegime;
use crate::train::{Evaluator, Setup};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A child under a regime of batch normalization.
type Case = (NormRegime, Child);

/// What the trace says of evaluations.
pub struct ExpectedEvaluation {
    pub weights: EvaluatedWeights,
    pub images: Range<u32>,
    pub rows: Vec<ExpectedRow>,
    /// Class of every image.
    pub predictions: Vec<(Case, Vec<i64>)>,
}

/// A row of `eval.csv`.
pub struct ExpectedRow {
    case: Case,
    loss: f64,
    accuracy: f64,
    correct: u32,
}

impl ExpectedEvaluation {
    pub fn read(folder: &Path, config: &TraceConfig, setup: &Setup) -> Result<Self, ReplayError> {
        let (table, predictions) = (folder.join("eval.csv"), folder.join("predictions.safetensors"));
        if !table.exists() && !predictions.exists() {
            let weights = config.weights.unwrap_or(EvaluatedWeights::Replayed);
            return Ok(Self { weights, images: 0..0, rows: Vec::new(), predictions: Vec::new() });
        }
        let missing = "is missing, but the trace has evaluations; write";
        let weights = config.weights.ok_or_else(|| {
            config.key("evaluation.weights", format!("{missing} \"init\", \"final\" or \"replayed\""))
        })?;
        let images = config.images.clone().ok_or_else(|| {
            config.key("evaluation.images", format!("{missing} the first image and the one after the last"))
        })?;
        let count = setup.dataset.len();
        if images.end as usize > count {
            let problem = format!("ends at {}, but the data set has {count} images; lower it", images.end);
            return Err(config.key("evaluation.images", problem));
        }
        if weights == EvaluatedWeights::Final && !folder.join("final.safetensors").exists() {
            let problem = "is \"final\", but there is no final.safetensors; add it, or choose \"replayed\"";
            return Err(config.key("evaluation.weights", problem));
        }
        let rows = if table.exists() { read_rows(&table, setup)? } else { Vec::new() };
        let predictions =
            if predictions.exists() { read_predictions(&predictions, setup, images.len())? } else { Vec::new() };
        Ok(Self { weights, images, rows, predictions })
    }

    /// Evaluators of all children that the rows and the predictions name, of those that are chosen, by regime.
    pub fn evaluators(&self, setup: &Arc<Setup>, parts: &[Part]) -> Vec<(NormRegime, Evaluator)> {
        let mut cases: Vec<Case> = Vec::new();
        if parts.contains(&Part::Evaluation) {
            cases.extend(self.rows.iter().map(|row| row.case.clone()));
        }
        if parts.contains(&Part::Predictions) {
            cases.extend(self.predictions.iter().map(|(case, _)| case.clone()));
        }
        cases.sort();
        cases.dedup();
        let groups = cases.chunk_by(|(a, _), (b, _)| a == b);
        let evaluator = |group: &[Case]| {
            let children = group.iter().map(|(_, child)| child.clone()).collect();
            (group[0].0, Evaluator::new(setup, children).with_images(self.images.clone()))
        };
        groups.map(evaluator).collect()
    }

    /// Evaluates everything that the evaluators are for.
    ///
    /// # Errors
    /// A device that fails.
    pub fn evaluate<B: Backend>(
        evaluators: &[(NormRegime, Evaluator)],
        backend: &B,
        replica: &B::Replica,
    ) -> Result<BTreeMap<Case, ChildEvaluation>, DeviceError> {
        let mut results = BTreeMap::new();
        for (norm, evaluator) in evaluators {
            let cases = evaluator.children.iter().map(|child| (*norm, child.clone()));
            results.extend(cases.zip(evaluator.evaluate(backend, replica, *norm, 0)?));
        }
        Ok(results)
    }

    pub fn compare_rows(
        &self,
        setup: &Setup,
        results: &BTreeMap<Case, ChildEvaluation>,
        tolerance: f64,
    ) -> [Comparison; 3] {
        let comparison = |quantity, tolerance| Comparison::new(Part::Evaluation, quantity, tolerance);
        let (mut loss, mut accuracy) = (comparison("loss", tolerance), comparison("accuracy", tolerance));
        let mut correct = comparison("correct", 0.0);
        for row in &self.rows {
            let Some(result) = results.get(&row.case) else { continue };
            let place = || case_name(setup, &row.case);
            loss.add_loss(result.loss(), row.loss, place);
            accuracy.add_accuracy(result.accuracy(), row.accuracy, result.images, place);
            correct.add_count(result.correct, row.correct, place);
        }
        [loss, accuracy, correct]
    }

    /// The deviation of a child is how many images it classifies otherwise.
    pub fn compare_predictions(&self, setup: &Setup, results: &BTreeMap<Case, ChildEvaluation>) -> Comparison {
        let mut comparison = Comparison::new(Part::Predictions, "class", 0.0);
        for (case, expected) in &self.predictions {
            let Some(result) = results.get(case) else { continue };
            let pairs = || self.images.clone().zip(result.predictions.iter().zip(expected));
            let differs = |(found, expected): (&u8, &i64)| i64::from(*found) != *expected;
            let different = pairs().filter(|(_, pair)| differs(*pair)).count();
            let detail = || match pairs().find(|(_, pair)| differs(*pair)) {
                Some((image, (found, expected))) => {
                    format!("{different} images, first image {image}: class {found} here, {expected} in the trace")
                }
                None => String::new(),
            };
            comparison.add(different as f64, || (case_name(setup, case), detail()));
        }
        comparison
    }
}

fn case_name(setup: &Setup, (norm, child): &Case) -> String {
    format!("child {}, {}", setup.space().format_child(child), norm.name())
}

/// A regime that a trace can have.
fn regime(text: &str) -> Result<NormRegime, String> {
    match text.parse()? {
        NormRegime::Recalibrated => {
            Err("`recalibrated` cannot be replayed: crosstalk draws its mini-batches; choose running or batch"
                .to_owned())
        }
        norm => Ok(norm),
    }
}

fn read_rows(path: &Path, setup: &Setup) -> Result<Vec<ExpectedRow>, ReplayError> {
    let file = CsvFile::read(path, ["child", "norm", "loss", "accuracy", "correct"])?;
    if file.is_empty() {
        let problem = "has no row; list what was evaluated, or remove the file".to_owned();
        return Err(ReplayError::Content { path: path.to_owned(), problem });
    }
    let read = file.rows().map(|row| {
        let child = held_child(setup, row.text(0)).map_err(|problem| row.problem(problem))?;
        let norm = regime(row.text(1)).map_err(|problem| row.problem(problem))?;
        let (loss, accuracy, correct) = (row.number(2)?, row.number(3)?, row.count(4)?);
        Ok(ExpectedRow { case: (norm, child), loss, accuracy, correct })
    });
    read.collect()
}

fn read_predictions(path: &Path, setup: &Setup, images: usize) -> Result<Vec<(Case, Vec<i64>)>, ReplayError> {
    let tensors = TensorFile::read(path)?.tensors;
    let wrong = |problem: String| ReplayError::Content { path: path.to_owned(), problem };
    if tensors.is_empty() {
        return Err(wrong("has no tensor; add CHILD/NORM, or remove the file".to_owned()));
    }
    let read = tensors.into_iter().map(|(name, tensor)| {
        let (child, norm) = name
            .split_once('/')
            .ok_or_else(|| wrong(format!("tensor `{name}` must be called CHILD/NORM, as in `111/running`")))?;
        let wrong_tensor = |problem: String| wrong(format!("tensor `{name}`: {problem}"));
        let case = (regime(norm).map_err(wrong_tensor)?, held_child(setup, child).map_err(wrong_tensor)?);
        match tensor.values {
            Values::I64(classes) if tensor.shape == [images] => Ok((case, classes)),
            values => Err(wrong_tensor(format!(
                "it is {} {:?}, but must be I64 [{images}]: a class for each of evaluation.images",
                values.dtype(),
                tensor.shape
            ))),
        }
    });
    read.collect()
}
