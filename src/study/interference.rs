//! The interference matrix: how a step on one child changes the others.
//!
//! From one snapshot (weights, momentum, buffers) and one mini-batch for all: `I[i, j]` is the loss and accuracy of child j on the
//! evaluation images after a step on child i, minus before. One more row is a step with gradient zero: momentum and weight decay
//! alone; it runs no forward pass, so buffers stay.

use crate::backend::evaluation::ChildEvaluation;
use crate::backend::host::update;
use crate::backend::{Architecture, Backend, ReplicaStep};
use crate::device::DeviceError;
use crate::records::InterferenceRecord;
use crate::space::Child;
use crate::train::config::NormRegime;
use crate::train::{Evaluator, TrainError, Trainer};

/// The matrices of one snapshot under one or several regimes.
pub struct Interference {
    pub step: u64,
    pub replica: u32,
    pub mini_batch: u64,
    pub learning_rate: f64,
    pub children: Vec<Child>,
    /// Regime, evaluations before, and evaluations after a step on each child and after the step with gradient zero.
    pub norms: Vec<(NormRegime, Vec<ChildEvaluation>, Vec<Vec<ChildEvaluation>>)>,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean cross-entropy.
    Loss,
    Accuracy,
}

/// Mean changes over the pairs that share a number of candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedSummary {
    pub shared: usize,
    /// Ordered pairs of different children.
    pub pairs: usize,
    pub loss_change: f64,
    /// Less the change after the step with gradient zero.
    pub loss_change_beyond_zero: f64,
    pub accuracy_change: f64,
}

/// Measures the evaluator's children in one replica. The trainer's own state stays as it is. `stepped` hears after every row how
/// many are done.
///
/// # Errors
/// A mini-batch that is not there, a device that fails, or a loss that is not finite.
pub fn measure<B: Backend>(
    trainer: &mut Trainer<B>,
    replica: usize,
    evaluator: &Evaluator,
    norms: &[NormRegime],
    stepped: &mut dyn FnMut(usize),
) -> Result<Interference, TrainError> {
    let number = trainer.mini_batches;
    let batch = trainer.mini_batch(replica, number)?;
    let rate = trainer.last_rate.unwrap_or_else(|| trainer.learning_rate());
    let sgd = trainer.setup.config.optimizer.sgd();
    let (setup, backend) = (trainer.setup.clone(), &trainer.backend);
    let model = &setup.model;
    let snapshot = backend.state(model, &trainer.replicas[replica].state)?.into_owned();
    let data_seed = trainer.replicas[replica].data_seed;
    let evaluate = |state: &B::Replica| -> Result<Vec<Vec<ChildEvaluation>>, DeviceError> {
        norms.iter().map(|norm| evaluator.evaluate(backend, state, *norm, data_seed)).collect()
    };
    let before = evaluate(&trainer.replicas[replica].state)?;
    let mut after = Vec::new();
    for (row, child) in evaluator.children.iter().enumerate() {
        let mut state = backend.replica(model, snapshot.clone())?;
        let lanes = vec![(Architecture::Child(child.clone()), &batch)];
        let reduce = setup.config.step.reduce();
        let step = ReplicaStep { model, replica: &mut state, lanes, reduce, sgd, learning_rate: rate };
        let loss = backend.step(&mut [step])?[0][0].loss;
        if !loss.is_finite() {
            let (step, trained) = (trainer.step, format!("child {}", setup.space().format_child(child)));
            return Err(TrainError::Loss { step, trained, replica: replica as u32, loss });
        }
        after.push(evaluate(&state)?);
        stepped(row + 1);
    }
    let mut state = snapshot;
    update(&sgd, model, &mut state, Vec::new(), rate);
    after.push(evaluate(&backend.replica(model, state)?)?);
    let norms = (norms.iter().zip(before).enumerate())
        .map(|(index, (norm, before))| (*norm, before, after.iter().map(|row| row[index].clone()).collect()))
        .collect();
    let (step, children) = (trainer.step, evaluator.children.clone());
    Ok(Interference { step, replica: replica as u32, mini_batch: number, learning_rate: rate, children, norms })
}

impl Interference {
    /// One record an entry, regime by regime, row by row, the step with gradient zero last.
    pub fn records(&self, format: impl Fn(&Child) -> String) -> Vec<InterferenceRecord> {
        let mut records = Vec::new();
        for (index, (norm, before, rows)) in self.norms.iter().enumerate() {
            let (losses, accuracies) = (self.changes(index, Measure::Loss), self.changes(index, Measure::Accuracy));
            let zero = self.children.len();
            for (row, after) in rows.iter().enumerate() {
                let stepped = self.children.get(row);
                for (column, evaluated) in self.children.iter().enumerate() {
                    let (before, after) = (&before[column], &after[column]);
                    let beyond = |changes: &[Vec<f64>]| changes[row][column] - changes[zero][column];
                    records.push(InterferenceRecord {
                        step: self.step,
                        replica: self.replica,
                        mini_batch: self.mini_batch,
                        learning_rate: self.learning_rate,
                        stepped_child: stepped.map(&format),
                        evaluated_child: format(evaluated),
                        norm: norm.name().to_owned(),
                        shared_candidates: stepped.map_or(0, |child| child.shared_candidates(evaluated)) as u32,
                        loss_before: before.loss(),
                        loss_after: after.loss(),
                        loss_change: losses[row][column],
                        loss_change_beyond_zero: beyond(&losses),
                        accuracy_before: before.accuracy(),
                        accuracy_after: after.accuracy(),
                        accuracy_change: accuracies[row][column],
                        accuracy_change_beyond_zero: beyond(&accuracies),
                        images: after.images,
                    });
                }
            }
        }
        records
    }

    /// Changes under a regime, `[row][column]`, the step with gradient zero last.
    pub fn changes(&self, norm: usize, measure: Measure) -> Vec<Vec<f64>> {
        let value = |evaluation: &ChildEvaluation| match measure {
            Measure::Loss => evaluation.loss(),
            Measure::Accuracy => evaluation.accuracy(),
        };
        let (_, before, rows) = &self.norms[norm];
        rows.iter().map(|row| row.iter().zip(before).map(|(a, b)| value(a) - value(b)).collect()).collect()
    }

    /// The same less the row of the step with gradient zero, which is left out.
    pub fn changes_beyond_zero(&self, norm: usize, measure: Measure) -> Vec<Vec<f64>> {
        let mut changes = self.changes(norm, measure);
        let zero = changes.pop().unwrap_or_default();
        changes.iter_mut().flat_map(|row| row.iter_mut().zip(&zero)).for_each(|(change, zero)| *change -= zero);
        changes
    }

    /// Mean changes by number of shared candidates, fewest first; the diagonal (a child's own step) comes last.
    pub fn by_shared_candidates(&self, norm: usize) -> Vec<SharedSummary> {
        let (loss, accuracy) = (self.changes(norm, Measure::Loss), self.changes(norm, Measure::Accuracy));
        let zero = &loss[self.children.len()];
        let edges = self.children[0].0.len();
        let mut summaries = Vec::new();
        for shared in 0..=edges {
            let pairs: Vec<(usize, usize)> = (0..self.children.len())
                .flat_map(|i| (0..self.children.len()).map(move |j| (i, j)))
                .filter(|(i, j)| self.children[*i].shared_candidates(&self.children[*j]) == shared)
                .collect();
            if pairs.is_empty() {
                continue;
            }
            let mean = |value: &dyn Fn(usize, usize) -> f64| {
                pairs.iter().map(|(i, j)| value(*i, *j)).sum::<f64>() / pairs.len() as f64
            };
            summaries.push(SharedSummary {
                shared,
                pairs: pairs.len(),
                loss_change: mean(&|i, j| loss[i][j]),
                loss_change_beyond_zero: mean(&|i, j| loss[i][j] - zero[j]),
                accuracy_change: mean(&|i, j| accuracy[i][j]),
            });
        }
        summaries
    }
}
