//! What can go wrong with a plot.

use crate::files::FileError;

/// A plot that cannot be drawn or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "heat map `{title}` has {labels} {axis} labels for {values} {axis}s of values; give one label each, and at least one"
    )]
    Labels { title: String, axis: &'static str, labels: usize, values: usize },
    #[error("heat map `{title}` cannot be drawn: {reason}")]
    Drawing { title: String, reason: String },
}
