//! Chosen children on the evaluation images, under a regime of batch normalization.

use super::Setup;
use super::config::NormRegime;
use crate::backend::Backend;
use crate::backend::evaluation::{ChildEvaluation, EvaluationPlan, EvaluationRegime, Recalibrated};
use crate::device::DeviceError;
use crate::records::AccuracyRecord;
use crate::rng::{Purpose, Stream};
use crate::space::Child;
use std::ops::Range;
use std::sync::Arc;

/// What is evaluated: made once, used for many replicas.
pub struct Evaluator {
    setup: Arc<Setup>,
    pub children: Vec<Child>,
    pub plan: EvaluationPlan,
    images: Range<u32>,
    batch: u32,
    recalibration_batches: u32,
}

impl Evaluator {
    /// Evaluates `children`, which the model must hold, as the configuration says.
    pub fn new(setup: &Arc<Setup>, children: Vec<Child>) -> Self {
        let config = &setup.config.evaluation;
        let plan = EvaluationPlan::new(&setup.model, &children);
        let images = setup.split.evaluation.clone();
        let (batch, recalibration_batches) = (config.batch, config.recalibration_batches);
        Self { setup: setup.clone(), children, plan, images, batch, recalibration_batches }
    }

    /// The same on other images.
    pub fn with_images(self, images: Range<u32>) -> Self {
        Self { images, ..self }
    }

    /// Images that are evaluated.
    pub fn image_count(&self) -> usize {
        self.images.len()
    }

    /// Images of the largest mini-batch under these regimes.
    pub fn batch_images(&self, norms: &[NormRegime]) -> usize {
        let evaluated = (self.batch as usize).min(self.images.len());
        match norms.contains(&NormRegime::Recalibrated) {
            true => evaluated.max(self.recalibration_images()),
            false => evaluated,
        }
    }

    /// Images of a mini-batch of the recalibration. As in training, it is never larger than the training part.
    fn recalibration_images(&self) -> usize {
        (self.setup.config.data.batch as usize).min(self.setup.split.training.len())
    }

    /// Passes over one mini-batch, of one graph of children each, that an evaluation under this regime takes.
    pub fn passes(&self, norm: NormRegime) -> u64 {
        let recalibration = if norm == NormRegime::Recalibrated { self.recalibration_batches as usize } else { 0 };
        let batches = self.images.len().div_ceil(self.batch as usize) + recalibration;
        (self.plan.graphs().count() * batches) as u64
    }

    /// One result a child. `data_seed` draws the mini-batches of the recalibration.
    ///
    /// # Errors
    /// A device that fails.
    pub fn evaluate<B: Backend>(
        &self,
        backend: &B,
        replica: &B::Replica,
        norm: NormRegime,
        data_seed: u64,
    ) -> Result<Vec<ChildEvaluation>, DeviceError> {
        self.evaluate_observed(backend, replica, norm, data_seed, &mut || {})
    }

    /// As [`Evaluator::evaluate`]; `passed` hears of every pass.
    ///
    /// # Errors
    /// A device that fails.
    pub fn evaluate_observed<B: Backend>(
        &self,
        backend: &B,
        replica: &B::Replica,
        norm: NormRegime,
        data_seed: u64,
        passed: &mut dyn FnMut(),
    ) -> Result<Vec<ChildEvaluation>, DeviceError> {
        let recalibrated = (norm == NormRegime::Recalibrated)
            .then(|| self.recalibrate(backend, replica, data_seed, passed))
            .transpose()?;
        let regime = match (&recalibrated, norm) {
            (Some(statistics), _) => EvaluationRegime::Recalibrated(statistics),
            (None, NormRegime::Batch) => EvaluationRegime::Batch,
            (None, _) => EvaluationRegime::Running,
        };
        let mut results = vec![ChildEvaluation::default(); self.children.len()];
        let images: Vec<u32> = self.images.clone().collect();
        for images in images.chunks(self.batch as usize) {
            let batch = self.setup.load(backend, images)?;
            self.plan.evaluate(backend, replica, &batch, regime, &mut results, passed)?;
        }
        Ok(results)
    }

    /// Statistics over fixed, unaugmented, training-size mini-batches of training images.
    fn recalibrate<B: Backend>(
        &self,
        backend: &B,
        replica: &B::Replica,
        data_seed: u64,
        passed: &mut dyn FnMut(),
    ) -> Result<Recalibrated, DeviceError> {
        let training = &self.setup.split.training;
        let order = Stream::new(data_seed, Purpose::Recalibration, 0, 0).permutation(training.len() as u32);
        let mut images = order.iter().cycle().map(|index| training.start + index);
        let mut recalibrated = Recalibrated::new(&self.plan);
        let size = self.recalibration_images();
        for _ in 0..self.recalibration_batches {
            let chosen: Vec<u32> = images.by_ref().take(size).collect();
            let batch = self.setup.load(backend, &chosen)?;
            let batches = self.recalibration_batches as usize;
            self.plan.recalibrate(backend, replica, &batch, batches, &mut recalibrated, passed)?;
        }
        Ok(recalibrated)
    }

    /// Rows for the record of an evaluation.
    pub fn records(
        &self,
        step: u64,
        replica: u32,
        norm: NormRegime,
        results: &[ChildEvaluation],
    ) -> Vec<AccuracyRecord> {
        (self.children.iter().zip(results))
            .map(|(child, result)| AccuracyRecord {
                step,
                replica,
                child: self.setup.space().format_child(child),
                norm: norm.name().to_owned(),
                loss: result.loss(),
                accuracy: result.accuracy(),
                correct: result.correct,
                images: result.images,
            })
            .collect()
    }
}
