//! The thin loop: draw lanes, run the plan, update, schedule, checkpoints, evaluation.

mod alpha_step;
mod available;
mod checkpoint;
mod children;
pub mod config;
mod device_memory;
mod error;
mod evaluator;
mod memory;
mod mini_batch;
mod rate;
mod run;
mod run_folder;
mod setup;
mod trainer;

pub use alpha_step::AlphaSearch;
pub use available::{available_bytes, peak_bytes, resident_bytes};
pub use checkpoint::{Checkpoint, newest_checkpoint, read_weights};
pub use children::ChildSchedule;
pub use device_memory::DevicePlan;
pub use error::TrainError;
pub use evaluator::Evaluator;
pub use memory::{MemoryPlan, Workload};
pub use run::{Observer, Run, RunSummary};
pub use run_folder::{has_ended, recorded_arithmetic, run_config};
pub use setup::{Setup, build_model, listed_batches};
pub use trainer::{Replica, StepResult, Trainer};
