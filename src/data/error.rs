//! What can be wrong with a data set, its configuration, or a list of mini-batches.

use std::path::{Path, PathBuf};

/// One sentence each: where, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error(
        "unknown data source `{0}`: use `digits`, `cifar10:PATH` or `idx:FOLDER` (`crosstalk data list` explains them)"
    )]
    UnknownSource(String),

    #[error("{} cannot be read ({cause}): check the path and its permissions", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },

    #[error("{} has no {missing}: {remedy}", path.display())]
    Missing { path: PathBuf, missing: String, remedy: &'static str },

    #[error("{}: {problem}: {remedy}", path.display())]
    Malformed { path: PathBuf, problem: String, remedy: &'static str },

    #[error("{}: image {image} has label {label}, but labels go from 0 to {}: the file is damaged or of another kind",
        path.display(), classes - 1)]
    Label { path: PathBuf, image: usize, label: u8, classes: usize },

    #[error("data set `{name}`: {problem}")]
    Inconsistent { name: String, problem: String },

    #[error("data set `{name}` has no test file: set `validation = \"held_out\"`, or give a folder that has one")]
    NoTestFile { name: String },

    #[error("data set `{name}` has {images} training images, too few to hold some out: give more")]
    NothingToHoldOut { name: String, images: usize },

    #[error(
        "`{key} = {requested}`, but data set `{name}` has {available} such images: set 1 to {available}, or leave it out"
    )]
    Limit { key: &'static str, requested: usize, name: String, available: usize },

    #[error(
        "channel {channel}: mean {mean} and standard deviation {std} cannot normalize pixels: both must be finite and the deviation above zero"
    )]
    Normalization { channel: usize, mean: f64, std: f64 },

    #[error("{means} means, {stds} standard deviations and {channels} channels: give one of each for every channel")]
    NormalizationChannels { means: usize, stds: usize, channels: usize },

    #[error(
        "`data.shrink = {block}` does not divide the {height}x{width} images of data set `{name}`: set one that does, or leave it out"
    )]
    Shrink { block: usize, name: String, height: usize, width: usize },

    #[error("the batch size is 0: set at least 1")]
    EmptyBatch,

    #[error("there is no training image: choose a data set and limits that leave some")]
    NoTrainingImages,

    #[error(
        "the list of mini-batches ends after {steps} steps, but step {step} is due: list more, or train fewer steps"
    )]
    ListEnds { steps: usize, step: u64 },

    #[error("the mini-batch of step {step} is empty: list at least one image")]
    EmptyListedBatch { step: usize },

    #[error(
        "the mini-batch of step {step} names image {image}, but the training images are {first} to {last}: name one of those"
    )]
    ListedImage { step: usize, image: u32, first: u32, last: u32 },

    #[error(
        "`crop_padding = {padding}` is not smaller than the {height}x{width} images: a crop could hold no pixel, set less"
    )]
    CropPadding { padding: u16, height: usize, width: usize },

    #[error("`cutout = {side}` is larger than the {height}x{width} images: set at most {}", height.min(width))]
    Cutout { side: u16, height: usize, width: usize },
}

impl DataError {
    pub(super) fn unreadable(path: &Path, cause: std::io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), cause }
    }

    pub(super) fn malformed(path: &Path, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.into(), remedy }
    }
}
