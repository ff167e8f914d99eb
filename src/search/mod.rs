//! Search over architecture parameters: a number (alpha) for every candidate of every edge, whose softmax is the candidate's gate,
//! and the child that they make.

mod alphas;
mod derive;
mod exchange;

pub use alphas::{Alphas, Table};
pub use derive::derive;
pub use exchange::{AlphaError, export_alphas, export_table, import_alphas};
