//! Evaluation of many children on the same mini-batches, common prefixes computed once.

use super::Host;
use crate::backend::{BatchStatistics, Executor, LanePlan, MiniBatch, Regime};
use crate::network::{Model, State};
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
            .map(|group| (LanePlan::evaluation(&model.network, model.graph(group)), group.len()))
            .collect();
        Self { model: model.clone(), groups }
    }

    /// Arena elements an image of the largest graph.
    pub fn elements_per_image(&self) -> usize {
        self.groups.iter().map(|(plan, _)| plan.schedule.elements_per_image).max().unwrap_or(0)
    }
}

/// Which statistics an evaluation uses; mini-batches to recalibrate on where it does.
#[derive(Clone, Copy)]
pub enum EvaluationRegime<'a, T> {
    Running,
    Batch,
    Recalibrated(&'a [MiniBatch<'a, T>]),
}

/// One child's evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildEvaluation {
    /// Mean cross-entropy over the images.
    pub loss: f64,
    pub correct: u32,
    pub images: u32,
    pub predictions: Vec<u8>,
}

impl ChildEvaluation {
    pub fn accuracy(&self) -> f64 {
        f64::from(self.correct) / f64::from(self.images)
    }
}

impl<E: Executor> Host<E> {
    /// Evaluates the plan's children on all mini-batches, in the plan's order of children.
    pub fn evaluate(
        &self,
        plan: &EvaluationPlan,
        state: &State<E::Real>,
        batches: &[MiniBatch<'_, E::Real>],
        regime: EvaluationRegime<'_, E::Real>,
    ) -> Vec<ChildEvaluation> {
        let mut evaluations = Vec::new();
        for (lane_plan, children) in &plan.groups {
            let recalibrated = match regime {
                EvaluationRegime::Recalibrated(batches) => Some(self.recalibrate(plan, lane_plan, state, batches)),
                _ => None,
            };
            let regime = match (&recalibrated, regime) {
                (Some(statistics), _) => Regime::Given(statistics),
                (None, EvaluationRegime::Batch) => Regime::Batch,
                (None, _) => Regime::Running,
            };
            let empty = ChildEvaluation { loss: 0.0, correct: 0, images: 0, predictions: Vec::new() };
            let mut group = vec![empty; *children];
            for batch in batches {
                let network = &plan.model.network;
                let evaluation = self.executor.evaluate(network, lane_plan, *batch, &state.weights, regime);
                for (child, head) in group.iter_mut().zip(evaluation.heads) {
                    child.loss += head.loss_sum;
                    child.correct += head.correct;
                    child.images += batch.labels.len() as u32;
                    child.predictions.extend(head.predictions);
                }
            }
            group.iter_mut().for_each(|child| child.loss /= f64::from(child.images));
            evaluations.extend(group);
        }
        evaluations
    }

    /// Plain means of the batch means and of the unbiased batch variances over the mini-batches.
    fn recalibrate(
        &self,
        plan: &EvaluationPlan,
        lane_plan: &LanePlan,
        state: &State<E::Real>,
        batches: &[MiniBatch<'_, E::Real>],
    ) -> Vec<Option<BatchStatistics>> {
        let mut sums: Vec<Option<BatchStatistics>> = vec![None; lane_plan.graph.values.len()];
        let share = 1.0 / batches.len() as f64;
        for batch in batches {
            let network = &plan.model.network;
            let evaluation = self.executor.evaluate(network, lane_plan, *batch, &state.weights, Regime::Batch);
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
        }
        sums
    }
}
