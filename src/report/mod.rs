//! Text tables and plots of recorded results.

mod axis;
mod canvas;
pub mod cell_graph;
mod color;
mod error;
mod heat_map;
mod layout;
mod scale;
mod scatter;
mod table;
mod tau_curve;

pub use error::ReportError;
pub use heat_map::{HeatMap, heat_map, heat_maps};
pub use scatter::{Scatter, scatter};
pub use table::Table;
pub use tau_curve::{CurvePoint, TauCurve, tau_curve};
