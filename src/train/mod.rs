//! The thin loop: draw lanes, run the plan, update, schedule, checkpoints, evaluation.

pub mod config;
