//! The replay itself, part by part.

use super::trace::{Trace, TraceError, TraceWeights};
use crate::backend::Executor;
use crate::network::{State, Tensors, export_gradients, export_parameters, import_parameters};
use crate::tensors::{TensorFile, Values, compare};
use crate::train::config::NormRegime;
use crate::train::{Evaluator, Setup, TrainError, Trainer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far one recorded thing is off.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// `gradients`, `steps`, `final`, `evaluation` or `predictions`.
    pub part: &'static str,
    /// Step, parameter or child.
    pub place: String,
    /// Relative error; infinite where counts, names or shapes differ.
    pub error: f64,
}

type Deviations = Vec<Deviation>;

/// Repeats the trace and returns the deviation of everything in it, in the order in which it was computed.
///
/// # Errors
/// A trace that does not fit itself: unknown children, images or regimes.
pub fn replay<E: Executor>(trace: &Trace, setup: Arc<Setup>, executor: E) -> Result<Deviations, ReplayError> {
    let mut trainer = Trainer::new(setup.clone(), executor)?;
    let initial = trainer.replicas[0].state.clone();
    let mut deviations = gradients(trace, &mut trainer)?;
    for expected in &trace.steps {
        let found = trainer.step()?.records.remove(0);
        let place = format!("step {} (child {})", expected.step, expected.child);
        let images = f64::from(found.images);
        // Accuracies are counts in disguise: they agree or they do not.
        let same = (found.accuracy * images).round() == (expected.accuracy * images).round();
        let error = if same { relative(found.loss, expected.loss) } else { f64::INFINITY };
        deviations.push(Deviation { part: "steps", place, error });
    }
    let replayed = &trainer.replicas[0].state;
    if let Some(last) = &trace.last {
        let found = file(export_parameters(&setup.model, replayed));
        deviations.extend(tensors("final", "", &found, last));
    }
    let state = match trace.evaluated_weights {
        TraceWeights::Init => initial,
        TraceWeights::Replayed => replayed.clone(),
        TraceWeights::Final => {
            let mut state = State::zeroed(&setup.model);
            if let Some(last) = &trace.last {
                let path = trace.folder.join("final.safetensors");
                import_parameters(&setup.model, &last.tensors, &mut state)
                    .map_err(|cause| TrainError::Weights { path, cause })?;
            } else if !trace.evaluations.is_empty() {
                return Err(content(trace, "trace.toml", "evaluation.weights = \"final\" needs final.safetensors"));
            }
            state
        }
    };
    deviations.extend(evaluations(trace, &trainer, &state)?);
    Ok(deviations)
}

/// A replay that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error(transparent)]
    Train(Box<TrainError>),
}

impl From<TrainError> for ReplayError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

fn content(trace: &Trace, file: &str, problem: impl Into<String>) -> ReplayError {
    TraceError::Content { path: trace.folder.join(file), problem: problem.into() }.into()
}

fn relative(found: f64, expected: f64) -> f64 {
    let error = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
    if error.is_nan() { f64::INFINITY } else { error }
}

fn file(tensors: Tensors) -> TensorFile {
    TensorFile { metadata: BTreeMap::new(), tensors }
}

/// Deviations of every tensor of two files; one that only one of them has is off without bound.
fn tensors(part: &'static str, prefix: &str, found: &TensorFile, expected: &TensorFile) -> Deviations {
    let comparison = compare(found, expected);
    let whole = |name: &String| Deviation { part, place: format!("{prefix}{name}"), error: f64::INFINITY };
    let mut deviations: Deviations = (comparison.differences.iter())
        .map(|difference| Deviation {
            part,
            place: format!("{prefix}{}", difference.name),
            error: if difference.relative_error.is_nan() { f64::INFINITY } else { difference.relative_error },
        })
        .collect();
    deviations.extend(comparison.other_shape.iter().map(|(name, _, _)| whole(name)));
    deviations.extend(comparison.only_in_first.iter().chain(&comparison.only_in_second).map(whole));
    deviations
}

/// Raw gradients at the initial weights.
fn gradients<E: Executor>(trace: &Trace, trainer: &mut Trainer<E>) -> Result<Deviations, ReplayError> {
    if trace.gradients.is_empty() {
        return Ok(Vec::new());
    }
    let setup = trainer.setup.clone();
    let batch = match &trace.gradient_images {
        Some(images) => {
            if let Some(image) = images.iter().find(|image| **image as usize >= setup.dataset.len()) {
                let problem = format!("image {image} is not in the data set, which has {}", setup.dataset.len());
                return Err(content(trace, "gradients/batch.csv", problem));
            }
            setup.load(images)
        }
        None => trainer.mini_batch(0, 0)?,
    };
    let mut deviations = Vec::new();
    for (name, expected) in &trace.gradients {
        let child = setup.space().parse_child(name).map_err(TrainError::from)?;
        let (_, found) = trainer.host.gradients(&setup.model, &trainer.replicas[0].state, &child, batch.view());
        let found = file(export_gradients(&setup.model, &found));
        deviations.extend(tensors("gradients", &format!("child {name}, "), &found, expected));
    }
    Ok(deviations)
}

/// Losses, counts and predictions of the recorded children.
fn evaluations<E: Executor>(
    trace: &Trace,
    trainer: &Trainer<E>,
    state: &State<E::Real>,
) -> Result<Deviations, ReplayError> {
    let setup = &trainer.setup;
    let mut deviations = Vec::new();
    for norm in NormRegime::ALL {
        let rows: Vec<_> = trace.evaluations.iter().filter(|row| row.norm == norm.name()).collect();
        if rows.is_empty() {
            continue;
        }
        if norm == NormRegime::Recalibrated {
            let problem =
                "has recalibrated rows, but their mini-batches are drawn by crosstalk; record running or batch";
            return Err(content(trace, "eval.csv", problem));
        }
        let children = rows.iter().map(|row| setup.space().parse_child(&row.child));
        let children = children.collect::<Result<_, _>>().map_err(TrainError::from)?;
        let mut evaluator = Evaluator::new(setup, children);
        if let Some([first, end]) = trace.evaluated_images {
            if first >= end || end as usize > setup.dataset.len() {
                let problem = format!("evaluation.images = [{first}, {end}] is no range of {}", setup.dataset.len());
                return Err(content(trace, "trace.toml", problem));
            }
            evaluator = evaluator.with_images(first..end);
        }
        let results = evaluator.evaluate(&trainer.host, state, norm, trainer.replicas[0].data_seed);
        for (row, result) in rows.iter().zip(results) {
            let key = format!("{}/{}", row.child, row.norm);
            let place = format!("child {} under {} statistics", row.child, row.norm);
            let same = result.correct == row.correct;
            let error = if same { relative(result.loss(), row.loss) } else { f64::INFINITY };
            deviations.push(Deviation { part: "evaluation", place: place.clone(), error });
            if let Some(expected) = trace.predictions.as_ref().and_then(|file| file.tensors.get(&key)) {
                let found = Values::I64(result.predictions.iter().copied().map(i64::from).collect());
                let error = if found == expected.values { 0.0 } else { f64::INFINITY };
                deviations.push(Deviation { part: "predictions", place, error });
            }
        }
    }
    let known: usize = deviations.iter().filter(|deviation| deviation.part == "evaluation").count();
    if known < trace.evaluations.len() {
        return Err(content(trace, "eval.csv", "names a regime other than running and batch; mend its norm column"));
    }
    Ok(deviations)
}
