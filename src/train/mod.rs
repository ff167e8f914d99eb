//! The thin loop: draw lanes, run the plan, update, schedule, checkpoints, evaluation.

mod checkpoint;
mod children;
pub mod config;
mod error;
mod evaluator;
mod memory;
mod rate;
mod run;
mod setup;
mod trainer;

pub use checkpoint::{Checkpoint, newest_checkpoint, read_weights};
pub use children::ChildSchedule;
pub use error::TrainError;
pub use evaluator::Evaluator;
pub use memory::{MemoryPlan, peak_bytes, resident_bytes};
pub use run::{Observer, Run, RunSummary};
pub use setup::Setup;
pub use trainer::{Replica, StepResult, Trainer};
