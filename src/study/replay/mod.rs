//! Repeats a training run of another program from its trace and says how far every part deviates.
//!
//! A trace is a folder; `tests/pytorch/trace.py` makes such folders and describes them.

mod child;
mod config;
mod error;
mod evaluation;
mod part;
mod run;
mod tally;
mod trace;
mod weights;

pub use config::EvaluatedWeights;
pub use error::ReplayError;
pub use part::Part;
pub use run::{Replay, default_tolerance};
pub use tally::{Comparison, Deviation};
pub use trace::Trace;
