//! The one random generator of the program: Philox4x32-10, drawn on the host as a pure function of
//! (seed, purpose, step, item). Nothing has to be saved for an exact resume.

mod philox;
mod stream;

pub use philox::Philox;
pub use stream::{Purpose, Stream};
