//! Recorded results: rows with named columns, in a journal while a trial runs and in Parquet when it has ended.
//!
//! A table is declared once, with the macro `record!`; journal and Parquet follow from it.

mod cell;
mod error;
mod frame;
mod journal;
mod parquet;
mod record;
mod tables;

pub use cell::{Cell, Column};
pub use error::RecordError;
pub use journal::{Journal, Recovery};
pub use parquet::{read_parquet, write_parquet};
pub use record::Record;
pub(crate) use record::record;
pub use tables::{AccuracyRecord, AlphaRecord, InterferenceRecord, StepRecord};
