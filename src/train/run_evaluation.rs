//! When a run evaluates, and what it needs for it.

use super::config::{DERIVED, RunConfig};
use super::observer::Observer;
use super::{Evaluator, Run, TrainError, Trainer, Workload};
use crate::backend::Backend;

impl<B: Backend> Run<B> {
    /// Whether the configuration asks for an evaluation after the present step, and it is not recorded yet.
    pub(super) fn evaluation_is_due(&self) -> bool {
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
    pub(super) fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
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
        self.journals.accuracy.append(&rows)?;
        self.last_evaluation = rows;
        Ok(())
    }
}

/// Rows of one evaluation of all replicas under all configured regimes.
pub fn evaluation_rows<B: Backend>(trainer: &Trainer<B>, evaluator: Option<&Evaluator>) -> usize {
    let children = evaluator.map_or(0, |evaluator| evaluator.children.len());
    trainer.replicas.len() * trainer.setup.config.evaluation.norm.len() * children
}

/// The evaluator that a run needs, once it is known that the run has the memory for it, for its training, and for the interference
/// measured at its end. What is checked here would otherwise come to light with a run folder already made, or after hours of training.
pub fn planned_evaluator<B: Backend>(trainer: &Trainer<B>) -> Result<Option<Evaluator>, TrainError> {
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
