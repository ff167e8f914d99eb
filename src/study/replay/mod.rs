//! Repeats a PyTorch run from a trace folder and measures how far every recorded number is off.

mod compare;
mod trace;

pub use compare::{Deviation, ReplayError, replay};
pub use trace::{Trace, TraceError, TraceWeights};
