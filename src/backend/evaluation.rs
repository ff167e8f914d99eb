//! Evaluation of many children on the same mini-batches, common prefixes computed once.

use super::{Backend, BatchStatistics, LanePlan, LoadedBatch, Regime};
use crate::device::DeviceError;
use crate::network::Model;
use crate::plan::Graph;
use crate::space::Child;
use std::sync::Arc;

/// Children of one graph; more are evaluated in several graphs.
const CHILDREN_PER_GRAPH: usize = 64;

/// Graphs of chosen children, made once and used for many evaluations.
pub struct EvaluationPlan {
    model: Arc<Model>,
    /// Graph of each group, and how many children it has.
    groups: Vec<(LanePlan, usize)>,
}

impl EvaluationPlan {
    /// # Panics
    /// If the model does not hold one of the children.
    pub fn new(model: &Arc<Model>, children: &[Child]) -> Self {
        let groups = children
            .chunks(CHILDREN_PER_GRAPH)
            .map(|group| (LanePlan::evaluation(&model.network, Graph::of_children(model, group)), group.len()))
            .collect();
        Self { model: model.clone(), groups }
    }

    /// How many children it evaluates.
    pub fn children(&self) -> usize {
        self.groups.iter().map(|(_, children)| children).sum()
    }

    /// The graphs.
    pub fn graphs(&self) -> impl Iterator<Item = &LanePlan> {
        self.groups.iter().map(|(plan, _)| plan)
    }
}

/// Statistics re-estimated for every child of a plan.
pub struct Recalibrated {
    /// By group, by value.
    sums: Vec<Vec<Option<BatchStatistics>>>,
}

impl Recalibrated {
    pub fn new(plan: &EvaluationPlan) -> Self {
        Self { sums: plan.groups.iter().map(|(lane_plan, _)| vec![None; lane_plan.graph.values.len()]).collect() }
    }
}

/// Which statistics an evaluation uses.
#[derive(Clone, Copy)]
pub enum EvaluationRegime<'a> {
    Running,
    Batch,
    Recalibrated(&'a Recalibrated),
}

/// One child's evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChildEvaluation {
    /// Sum of the images' cross-entropies.
    pub loss_sum: f64,
    pub correct: u32,
    pub images: u32,
    /// Predicted class of every image.
    pub predictions: Vec<u8>,
}

impl ChildEvaluation {
    /// Mean cross-entropy over the images.
    pub fn loss(&self) -> f64 {
        self.loss_sum / f64::from(self.images)
    }

    /// Share of the images that were classified correctly.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.correct) / f64::from(self.images)
    }
}

impl EvaluationPlan {
    /// Evaluates the children on one mini-batch and adds to their results, in their order. `done` hears of
    /// every graph.
    ///
    /// # Errors
    /// A device that fails.
    pub fn evaluate<B: Backend>(
        &self,
        backend: &B,
        replica: &B::Replica,
        batch: &LoadedBatch<B>,
        regime: EvaluationRegime<'_>,
        results: &mut [ChildEvaluation],
        done: &mut dyn FnMut(),
    ) -> Result<(), DeviceError> {
        let mut results = results.iter_mut();
        for (group, (lane_plan, children)) in self.groups.iter().enumerate() {
            let regime = match regime {
                EvaluationRegime::Running => Regime::Running,
                EvaluationRegime::Batch => Regime::Batch,
                EvaluationRegime::Recalibrated(statistics) => Regime::Given(&statistics.sums[group]),
            };
            let evaluation = backend.evaluate(&self.model, replica, lane_plan, batch, regime)?;
            for (child, head) in results.by_ref().take(*children).zip(evaluation.heads) {
                child.loss_sum += head.loss_sum;
                child.correct += head.correct;
                child.images += batch.labels.len() as u32;
                child.predictions.extend(head.predictions);
            }
            done();
        }
        Ok(())
    }

    /// Adds one of `batches` mini-batches to the plain means of the batch means and of the unbiased batch variances. `done` hears of
    /// every graph.
    ///
    /// # Errors
    /// A device that fails.
    pub fn recalibrate<B: Backend>(
        &self,
        backend: &B,
        replica: &B::Replica,
        batch: &LoadedBatch<B>,
        batches: usize,
        recalibrated: &mut Recalibrated,
        done: &mut dyn FnMut(),
    ) -> Result<(), DeviceError> {
        let share = 1.0 / batches as f64;
        for ((lane_plan, _), sums) in self.groups.iter().zip(&mut recalibrated.sums) {
            let evaluation = backend.evaluate(&self.model, replica, lane_plan, batch, Regime::Batch)?;
            for (sum, statistics) in sums.iter_mut().zip(evaluation.statistics) {
                let Some(statistics) = statistics else { continue };
                let channels = statistics.mean.len();
                let sum = sum.get_or_insert_with(|| BatchStatistics {
                    count: 0.0,
                    mean: vec![0.0; channels],
                    variance: vec![0.0; channels],
                });
                sum.count += statistics.count;
                let add = |to: &mut [f64], from: &[f64]| to.iter_mut().zip(from).for_each(|(t, f)| *t += f * share);
                add(&mut sum.mean, &statistics.mean);
                add(&mut sum.variance, &statistics.unbiased_variance());
            }
            done();
        }
        Ok(())
    }
}
