//! Trains what the trace trained, and compares.

use super::evaluation::ExpectedEvaluation;
use super::weights::{add_tensors, without_counters_of_old};
use super::{Comparison, EvaluatedWeights, Part, ReplayError, Trace};
use crate::backend::{Backend, Lane};
use crate::network::{State, export_gradients, export_parameters, is_alpha};
use crate::plan::Choice;
use crate::search::{export_table, import_alphas};
use crate::tensor::Real;
use crate::train::config::NormRegime;
use crate::train::{Evaluator, TrainError, Trainer, Workload, read_weights};
use std::borrow::Cow;

/// What to replay, and how sharply to compare.
pub struct Replay<'a> {
    pub trace: &'a Trace,
    parts: Vec<Part>,
    pub tolerance: f64,
}

/// 1e-8 for a backend that computes in f64, 1e-4 for f32.
pub fn default_tolerance<B: Backend>(_: &B) -> f64 {
    if B::Real::BITS == 64 { 1e-8 } else { 1e-4 }
}

impl<'a> Replay<'a> {
    /// Compares `only` these parts, or all that the trace has.
    ///
    /// # Errors
    /// A part that the trace lacks.
    pub fn new(trace: &'a Trace, only: Option<&[Part]>, tolerance: f64) -> Result<Self, ReplayError> {
        if let Some(part) = only.and_then(|only| only.iter().copied().find(|part| !trace.has(*part))) {
            return Err(ReplayError::NoPart { path: trace.folder.clone(), part });
        }
        let chosen = |part: &Part| only.map_or_else(|| trace.has(*part), |only| only.contains(part));
        Ok(Self { trace, parts: Part::ALL.into_iter().filter(chosen).collect(), tolerance })
    }

    fn compares(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    fn evaluates(&self) -> bool {
        self.compares(Part::Evaluation) || self.compares(Part::Predictions)
    }

    /// Steps that must be trained for the chosen parts.
    pub fn steps(&self) -> u64 {
        let evaluates_replayed = self.evaluates() && self.trace.evaluation.weights == EvaluatedWeights::Replayed;
        let trains = [Part::Steps, Part::Alphas, Part::Final].into_iter().any(|part| self.compares(part));
        if trains || evaluates_replayed { self.trace.steps.len() as u64 } else { 0 }
    }

    /// Replays; `done` hears the number of every step done.
    ///
    /// # Errors
    /// Weights that do not fit the network, mini-batches that do not fit the data or run out, a loss that is not finite, a length
    /// other than that of `steps.csv`.
    pub fn run<B: Backend>(&self, backend: B, mut done: impl FnMut(u64)) -> Result<Vec<Comparison>, ReplayError> {
        let trace = self.trace;
        let mut trainer = Trainer::new(trace.setup.clone(), backend)?;
        if trainer.last_step() != trace.steps.len() as u64 {
            let (rows, steps) = (trace.steps.len(), trainer.last_step());
            let problem = format!("has {rows} rows, but trace.toml makes {steps} steps; make them the same");
            return Err(ReplayError::Content { path: trace.folder.join("steps.csv"), problem });
        }
        if let (Some(search), Some(initial)) = (&mut trainer.replicas[0].search, trace.alphas.first()) {
            let path = trace.folder.join(Part::Alphas.file());
            let read = import_alphas(trainer.setup.space(), initial, false);
            search.alphas =
                read.map_err(|cause| TrainError::Alphas { path, cause })?.unwrap_or_else(|| search.alphas.clone());
        }
        let evaluators = trace.evaluation.evaluators(&trainer.setup, &self.parts);
        self.check_memory(&trainer, &evaluators)?;
        let mut comparisons = Vec::new();
        if self.compares(Part::Gradients) {
            comparisons.extend(self.gradients(&mut trainer)?);
        }
        let initial = (self.evaluates() && trace.evaluation.weights == EvaluatedWeights::Init)
            .then(|| trainer.backend.state(&trainer.setup.model, &trainer.replicas[0].state).map(Cow::into_owned))
            .transpose()
            .map_err(TrainError::from)?;
        let [mut loss, mut accuracy, mut alpha_loss] =
            ["loss", "accuracy", "alpha_loss"].map(|quantity| Comparison::new(Part::Steps, quantity, self.tolerance));
        let mut alphas = Comparison::new(Part::Alphas, "tensors", self.tolerance);
        for (step, expected) in (0..self.steps()).zip(&trace.steps) {
            let result = trainer.step()?;
            let place = || {
                format!(
                    "step {step}{}",
                    expected.child.as_ref().map_or(String::new(), |child| format!(", child {child}"))
                )
            };
            for record in &result.records {
                loss.add_loss(record.loss, expected.loss, place);
                accuracy.add_accuracy(record.accuracy, expected.accuracy, record.images, place);
                if let (Some(found), Some(expected)) = (record.alpha_loss, expected.alpha_loss) {
                    alpha_loss.add_loss(found, expected, place);
                }
            }
            if let (Some(search), Some(expected)) = (&trainer.replicas[0].search, trace.alphas.get(step as usize + 1)) {
                let network = &trainer.setup.model.network;
                let found = export_table(&network.space, &search.alphas.values);
                add_tensors(&mut alphas, network, found, expected.clone(), &format!(", after step {step}"));
            }
            done(step + 1);
        }
        if self.compares(Part::Steps) {
            comparisons.extend([loss, accuracy]);
            comparisons.extend((alpha_loss.compared > 0).then_some(alpha_loss));
        }
        if self.compares(Part::Alphas) {
            comparisons.push(alphas);
        }
        if self.compares(Part::Final) {
            comparisons.extend(self.last(&trainer)?);
        }
        if self.evaluates() {
            comparisons.extend(self.evaluation(&trainer, initial, &evaluators)?);
        }
        Ok(comparisons)
    }

    /// Checks that there is memory for all parts, before the first is computed.
    fn check_memory<B: Backend>(
        &self,
        trainer: &Trainer<B>,
        evaluators: &[(NormRegime, Evaluator)],
    ) -> Result<(), ReplayError> {
        if self.steps() > 0 {
            trainer.check_memory(&Workload::run(trainer, None))?;
        }
        if let (true, Some(expected)) = (self.compares(Part::Gradients), &self.trace.gradients) {
            let images = expected.images.as_ref().map_or_else(|| trainer.most_images(), Vec::len);
            let children = expected.children.iter().map(|(child, _)| child.clone()).collect();
            trainer.check_memory(&Workload::gradients(children, images))?;
        }
        for (norm, evaluator) in evaluators {
            trainer.check_memory(&Workload::evaluation(evaluator, &[*norm]))?;
        }
        Ok(())
    }

    fn gradients<B: Backend>(&self, trainer: &mut Trainer<B>) -> Result<Option<Comparison>, ReplayError> {
        let Some(expected) = &self.trace.gradients else { return Ok(None) };
        let batch = match &expected.images {
            Some(images) => trainer.setup.load(&trainer.backend, images).map_err(TrainError::from)?,
            None => trainer.mini_batch(0, 0)?,
        };
        let model = &trainer.setup.model;
        let mut comparison = Comparison::new(Part::Gradients, "tensors", self.tolerance);
        for (child, expected) in &expected.children {
            let plan = trainer.backend.training_plan(model, Choice::Child(child));
            let replica = &trainer.replicas[0].state;
            let lane = Lane { model, replica, plan: &plan, batch: &batch, gates: None, weight_gradients: true };
            let found = trainer.backend.gradients(&[lane]).map_err(TrainError::from)?.remove(0).gradients(&plan);
            let suffix = format!(", child {}", model.network.space.format_child(child));
            let found = export_gradients(model, &found);
            add_tensors(&mut comparison, &model.network, found, expected.clone(), &suffix);
        }
        Ok(Some(comparison))
    }

    fn last<B: Backend>(&self, trainer: &Trainer<B>) -> Result<Option<Comparison>, TrainError> {
        let model = &trainer.setup.model;
        let Some(mut expected) = self.trace.last.clone() else { return Ok(None) };
        expected.retain(|name, _| !is_alpha(&model.network.space, name));
        let state = trainer.backend.state(model, &trainer.replicas[0].state)?;
        let found = without_counters_of_old(export_parameters(model, &state), &expected);
        let mut comparison = Comparison::new(Part::Final, "tensors", self.tolerance);
        add_tensors(&mut comparison, &model.network, found, expected, "");
        Ok(Some(comparison))
    }

    fn evaluation<B: Backend>(
        &self,
        trainer: &Trainer<B>,
        initial: Option<State<B::Real>>,
        evaluators: &[(NormRegime, Evaluator)],
    ) -> Result<Vec<Comparison>, ReplayError> {
        let (expected, setup) = (&self.trace.evaluation, &trainer.setup);
        let stored = match expected.weights {
            EvaluatedWeights::Final => {
                Some(read_weights(&setup.model, &self.trace.folder.join("final.safetensors"), false)?)
            }
            _ => initial,
        };
        let backend = &trainer.backend;
        let stored = stored.map(|state| backend.replica(&setup.model, state)).transpose().map_err(TrainError::from)?;
        let replica = stored.as_ref().unwrap_or(&trainer.replicas[0].state);
        let results = ExpectedEvaluation::evaluate(evaluators, backend, replica).map_err(TrainError::from)?;
        let mut comparisons = Vec::new();
        if self.compares(Part::Evaluation) {
            comparisons.extend(expected.compare_rows(setup, &results, self.tolerance));
        }
        if self.compares(Part::Predictions) {
            comparisons.push(expected.compare_predictions(setup, &results));
        }
        Ok(comparisons)
    }
}
