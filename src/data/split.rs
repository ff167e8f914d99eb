//! Which images train and which evaluate.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{DataError, Dataset};

/// Where the evaluation images come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The end of the training file (its last tenth; 360 of the digits), which is then not trained on.
    #[default]
    HeldOut,
    /// The test file; the whole training file trains. This is what "Deeper Insights into Weight Sharing" does.
    Test,
}

/// The split of a run, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    pub validation: Validation,
    /// Trains on the first so many of the training images only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
    /// Evaluates the first so many of the evaluation images only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_images: Option<usize>,
}

/// Image numbers of a [`Dataset`]; neither range is empty, and they do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRanges {
    pub training: Range<u32>,
    pub evaluation: Range<u32>,
}

impl Split {
    /// The images of each part.
    ///
    /// # Errors
    /// [`Validation::Test`] without a test file, a training file too small to hold images out, a limit of 0 or beyond
    /// the images that are there.
    pub fn ranges(&self, dataset: &Dataset) -> Result<SplitRanges, DataError> {
        let name = || dataset.name.clone();
        let (training, evaluation) = match self.validation {
            Validation::HeldOut if dataset.held_out == 0 => {
                return Err(DataError::NothingToHoldOut { name: name(), images: dataset.training_file as usize });
            }
            Validation::HeldOut => {
                let border = dataset.training_file - dataset.held_out;
                (0..border, border..dataset.training_file)
            }
            Validation::Test => {
                let test = dataset.test_file().ok_or_else(|| DataError::NoTestFile { name: name() })?;
                (0..dataset.training_file, test)
            }
        };
        let limited = |key, range: Range<u32>, limit: Option<usize>| match limit {
            None => Ok(range),
            Some(images) if (1..=range.len()).contains(&images) => Ok(range.start..range.start + images as u32),
            Some(requested) => Err(DataError::Limit { key, requested, name: name(), available: range.len() }),
        };
        Ok(SplitRanges {
            training: limited("train_images", training, self.train_images)?,
            evaluation: limited("evaluation_images", evaluation, self.evaluation_images)?,
        })
    }
}
