//! Search spaces as data: the file format, children and their encodings.

mod model;

pub use model::*;
