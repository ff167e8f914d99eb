//! Interpreters of a plan. `reference` (plain loops, f64) is the oracle; `cpu` (rayon, SIMD, f32) is for use.

pub mod cpu;
pub mod cuda;
mod executor;
pub mod host;
mod lane;
mod normalization;
pub mod reference;
mod unsampled;

pub use executor::{
    BatchStatistics, Demand, Evaluation, Executor, HeadResult, MiniBatch, Regime, TrainLane, TrainResult, WorkingMemory,
};
pub use lane::{LanePlan, Levels};
