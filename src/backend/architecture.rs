//! What a lane trains.

use crate::plan::{Choice, Gates};
use crate::space::Child;

#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    Child(Child),
    /// Every candidate of every edge, weighted by its gate.
    Mixture(Gates),
}

impl Architecture {
    pub fn choice(&self) -> Choice<'_> {
        match self {
            Self::Child(child) => Choice::Child(child),
            Self::Mixture(_) => Choice::Mixture,
        }
    }

    /// The gates of a mixture.
    pub fn gates(&self) -> Option<&Gates> {
        match self {
            Self::Child(_) => None,
            Self::Mixture(gates) => Some(gates),
        }
    }
}
