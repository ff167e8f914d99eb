//! Interpreters of a plan. `reference` (plain loops, f64) is the oracle; `cpu` (rayon, SIMD, f32) and `cuda` are for use.

mod architecture;
pub mod cpu;
pub mod cuda;
pub mod evaluation;
mod executor;
pub mod host;
mod interface;
mod lane;
mod normalization;
pub mod reference;
mod results;
mod training_plans;
mod unsampled;

pub use architecture::Architecture;
pub use executor::{Demand, Executor, MiniBatch, TrainLane, WorkingMemory};
pub use interface::{Backend, GateGradients, GateStep, Lane, LoadedBatch, Reduce, ReplicaStep};
pub use lane::{LanePlan, Levels};
pub use results::{BatchStatistics, Evaluation, HeadResult, LaneLoss, Regime, TrainResult};
pub use training_plans::TrainingPlans;
