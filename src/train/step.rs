//! One step of all replicas.

use super::alpha_step::step_alphas;
use super::{TrainError, Trainer};
use crate::backend::{Architecture, Backend, ReplicaStep};
use crate::ops::Cost;
use crate::records::StepRecord;

/// A step whose losses may not be known yet.
pub struct PendingStep<B: Backend> {
    pending: B::Pending,
    /// Replica by replica, lane by lane, without losses.
    records: Vec<StepRecord>,
    images: u64,
    cost: Cost,
}

/// What one step leaves.
pub struct StepResult {
    /// Replica by replica, lane by lane.
    pub records: Vec<StepRecord>,
    /// Images of all lanes, those on which architecture parameters stepped included.
    pub images: u64,
    /// Of the forward and backward passes in f32, by the cost model.
    pub cost: Cost,
}

impl<B: Backend> Trainer<B> {
    /// One update of every replica: of its architecture parameters if it has some, then of its weights.
    ///
    /// # Errors
    /// A loss that is not finite: that replica is not updated, and the trainer must not step again.
    pub fn step(&mut self) -> Result<StepResult, TrainError> {
        let step = self.begin_step()?;
        self.finish_step(step)
    }

    /// Begins a step; the next may begin before this one is finished. Until then nothing but steps is to be done with the replicas, and none once a
    /// step has failed.
    ///
    /// # Errors
    /// As [`Trainer::step`], for the loss on which architecture parameters step.
    pub fn begin_step(&mut self) -> Result<PendingStep<B>, TrainError> {
        let setup = self.setup.clone();
        let (number, rate) = (self.step, self.learning_rate());
        let searched =
            self.replicas.iter_mut().filter_map(|replica| Some((&mut replica.state, replica.search.as_mut()?)));
        let alpha_step = step_alphas(&self.backend, &setup, searched.collect(), self.mini_batches, number)?;
        let mut batches = Vec::new();
        let mut trained: Vec<Vec<Architecture>> = Vec::new();
        for index in 0..self.replicas.len() {
            let numbers = self.mini_batches..self.mini_batches + self.mini_batches_per_step();
            batches.push(numbers.map(|number| self.mini_batch(index, number)).collect::<Result<Vec<_>, _>>()?);
            let done = self.step - self.first_step();
            trained.push(self.replicas[index].architectures(setup.space(), done));
        }
        let mut steps: Vec<ReplicaStep<'_, B>> = (self.replicas.iter_mut().zip(&batches).zip(&trained))
            .map(|((replica, batches), trained)| ReplicaStep {
                model: &setup.model,
                replica: &mut replica.state,
                lanes: (trained.iter().enumerate())
                    .map(|(lane, trained)| (trained.clone(), &batches[lane.min(batches.len() - 1)]))
                    .collect(),
                reduce: setup.config.step.reduce(),
                sgd: setup.config.optimizer.sgd(),
                learning_rate: rate,
            })
            .collect();
        let pending = self.backend.begin_step(&mut steps)?;
        let mut records = Vec::new();
        let mut cost = alpha_step.cost;
        for (replica, step) in steps.iter().enumerate() {
            for (trained, batch) in &step.lanes {
                let child = match trained {
                    Architecture::Child(child) => Some(setup.space().format_child(child)),
                    Architecture::Mixture(_) => None,
                };
                let plan = self.backend.training_plan(&setup.model, trained.choice());
                cost = cost + plan.cost * batch.labels.len() as u64;
                records.push(StepRecord {
                    step: number,
                    replica: replica as u32,
                    child,
                    loss: f64::NAN,
                    accuracy: f64::NAN,
                    alpha_loss: alpha_step.losses.get(replica).map(|alpha| alpha.loss),
                    learning_rate: rate,
                    images: batch.labels.len() as u32,
                });
            }
        }
        let images = records.iter().map(|record| u64::from(record.images)).sum::<u64>() + alpha_step.images;
        self.step += 1;
        self.mini_batches += self.mini_batches_per_step();
        self.last_rate = Some(rate);
        Ok(PendingStep { pending, records, images, cost })
    }

    /// The losses of a step that was begun. Steps are finished in their order.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn finish_step(&self, step: PendingStep<B>) -> Result<StepResult, TrainError> {
        let PendingStep { pending, mut records, images, cost } = step;
        let losses = self.backend.losses(pending)?;
        for (record, lane) in records.iter_mut().zip(losses.into_iter().flatten()) {
            record.loss = lane.loss;
            record.accuracy = f64::from(lane.correct) / f64::from(record.images);
        }
        if let Some(record) = records.iter().find(|record| !record.loss.is_finite()) {
            let StepRecord { step, replica, loss, .. } = *record;
            let trained = record.child.as_ref().map_or("the mixture".to_owned(), |child| format!("child {child}"));
            return Err(TrainError::Loss { step, trained, replica, loss });
        }
        Ok(StepResult { records, images, cost })
    }
}
