//! What a trace can hold to compare with.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Raw gradients at the initial weights.
    Gradients,
    /// Loss and accuracy of every step.
    Steps,
    /// Architecture parameters after every step.
    Alphas,
    /// Weights and buffers after the last step.
    Final,
    /// Loss, accuracy and count of correct images of children.
    Evaluation,
    /// Predicted class of every evaluation image.
    Predictions,
}

/// The file of the architecture parameters, with those before the first step too.
pub const ALPHAS: &str = "alphas.safetensors";

impl Part {
    pub const ALL: [Self; 6] =
        [Self::Gradients, Self::Steps, Self::Alphas, Self::Final, Self::Evaluation, Self::Predictions];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gradients => "gradients",
            Self::Steps => "steps",
            Self::Alphas => "alphas",
            Self::Final => "final",
            Self::Evaluation => "evaluation",
            Self::Predictions => "predictions",
        }
    }

    /// What holds it in the trace's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Gradients => "gradients/CHILD.safetensors",
            Self::Steps => "steps.csv",
            Self::Alphas => ALPHAS,
            Self::Final => "final.safetensors",
            Self::Evaluation => "eval.csv",
            Self::Predictions => "predictions.safetensors",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|part| part.name() == text);
        found.ok_or_else(|| format!("`{text}` is no part of a trace; choose from {}", names()))
    }
}
