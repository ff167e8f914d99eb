//! Matrices of changes as pictures.

mod draw;
mod layout;
mod matrix;

pub use draw::{heat_map, heat_maps};
pub use matrix::HeatMap;
