//! What a lane computes (`graph`) and how it runs in memory (`schedule`).

mod build;
mod cost;
mod graph;
mod model;
mod order;
mod prune;
mod schedule;

pub use build::{Choice, Gates, GraphBuilder};
pub use graph::{GateRef, Graph, NormUse, Stage, StageId, StageKind, Value, ValueId};
pub use order::Order;
pub use schedule::{Schedule, Slot, chunk_images};
