//! Text tables and plots of recorded results.

pub mod cell_graph;
mod color;
mod error;
mod heat_map;
mod layout;
mod scale;
mod table;

pub use error::ReportError;
pub use heat_map::{HeatMap, heat_map};
pub use table::Table;
