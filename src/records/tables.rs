//! The tables of a run. A loss is a mean cross-entropy in nats an image; an accuracy is a fraction between 0 and 1.

use super::record;

record! {
    /// One lane of one step, before that step's update: `steps.parquet`.
    pub struct StepRecord {
        /// Counted from 0 over the whole run.
        pub step: u64,
        pub replica: u32,
        /// As the search space writes it; null for the mixture of all candidates.
        pub child: Option<String>,
        pub loss: f64,
        pub accuracy: f64,
        /// Of the mixture, on the mini-batch on which the architecture parameters stepped, before they did; null where there are none.
        pub alpha_loss: Option<f64>,
        pub learning_rate: f64,
        /// Images of the mini-batch.
        pub images: u32,
    }
}

record! {
    /// One candidate of an edge in a search: `alphas.parquet`.
    pub struct AlphaRecord {
        /// Steps done before.
        pub step: u64,
        pub replica: u32,
        /// Name of the searched cell.
        pub cell: String,
        /// Nodes of the edge, inputs first.
        pub source: u32,
        pub target: u32,
        pub candidate: String,
        /// Architecture parameter.
        pub alpha: f64,
        /// The candidate's share in the softmax over the edge.
        pub gate: f64,
    }
}

record! {
    /// One child on the evaluation set: `accuracy/*.parquet`.
    pub struct AccuracyRecord {
        /// Steps done before.
        pub step: u64,
        pub replica: u32,
        pub child: String,
        /// Regime of batch normalization: `running`, `batch` or `recalibrated`.
        pub norm: String,
        pub loss: f64,
        pub accuracy: f64,
        /// Images classified correctly.
        pub correct: u32,
        /// Images evaluated.
        pub images: u32,
    }
}

record! {
    /// One entry of an interference matrix: `interference/*.parquet`. Changes are after minus before.
    pub struct InterferenceRecord {
        /// Steps done before the snapshot was taken.
        pub step: u64,
        pub replica: u32,
        /// Number of the mini-batch, the same one for every stepped child, in the run's stream.
        pub mini_batch: u64,
        pub learning_rate: f64,
        /// Child on which the step was taken; null for the step with gradient zero.
        pub stepped_child: Option<String>,
        pub evaluated_child: String,
        /// Regime of batch normalization: `running`, `batch` or `recalibrated`.
        pub norm: String,
        /// Edges on which both children take the same candidate; 0 for the step with gradient zero.
        pub shared_candidates: u32,
        pub loss_before: f64,
        pub loss_after: f64,
        pub loss_change: f64,
        /// Less the change after the step with gradient zero.
        pub loss_change_beyond_zero: f64,
        pub accuracy_before: f64,
        pub accuracy_after: f64,
        pub accuracy_change: f64,
        /// Less the change after the step with gradient zero.
        pub accuracy_change_beyond_zero: f64,
        /// Images evaluated.
        pub images: u32,
    }
}
