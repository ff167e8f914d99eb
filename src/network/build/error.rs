//! What does not fit together.

use crate::ops::Unfit;
use crate::tensor::Shape;

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("{space}: a {operation} in {place} {problem}")]
    Unfit { space: String, operation: &'static str, place: String, problem: Unfit },
    #[error("{space}: {place} sums feature maps of different shapes ({first} and {other}); mend the space's file")]
    Shapes { space: String, place: String, first: String, other: String },
    #[error("{space}: {place} reduces its input to nothing ({shape}); use larger images or fewer reductions")]
    TooSmall { space: String, place: String, shape: Shape },
    #[error("{space}: it has no {what} called `{name}`; mend the space's file")]
    Missing { space: String, what: &'static str, name: String },
    #[error("{what} must be at least {least} and at most {most}, not {found}; change it in [network]")]
    Size { what: &'static str, least: usize, most: usize, found: usize },
}
