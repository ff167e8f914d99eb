//! A data set in memory.

use std::ops::Range;

use super::{DataError, Normalization};
use crate::tensor::Shape;

/// Images and labels of one or more files, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// `[image, row, column, channel]`.
    pub images: Vec<u8>,
    /// One class an image.
    pub labels: Vec<u8>,
}

/// A data set: the images of the training file, then those of the test file, if it has one.
///
/// Image numbers (`u32`) count through both. [`Dataset::from_records`] checks every count and label.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub name: String,
    /// `[image, row, column, channel]`.
    pub images: Vec<u8>,
    /// The class of each image, below `classes`.
    pub labels: Vec<u8>,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub classes: usize,
    /// Images `0..training_file` come from the training file, the others from the test file.
    pub training_file: u32,
    /// Images at the end of the training file that [`super::Validation::HeldOut`] evaluates: the last tenth, or 360 digits.
    pub held_out: u32,
    /// The set's own constants, or the statistics of the training file without its held-out images; whatever the split,
    /// so that a checkpoint sees the same numbers wherever it is evaluated.
    pub normalization: Normalization,
}

impl Dataset {
    /// Joins the records of the training file and of the test file; holds out the last tenth of the training file
    /// (rounded down, at least one image where there are two) and normalizes by the statistics of the others.
    ///
    /// # Errors
    /// A part without images, a count of bytes or labels that does not fit, or a label not below `classes`.
    pub fn from_records(
        name: impl Into<String>,
        shape: Shape,
        classes: usize,
        training: Records,
        test: Option<Records>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        let image_bytes = shape.pixels() * shape.channels;
        let parts = [("training", Some(&training)), ("test", test.as_ref())];
        for (part, records) in parts.into_iter().filter_map(|(part, records)| Some((part, records?))) {
            let problem = if records.labels.is_empty() || image_bytes == 0 {
                format!("its {part} file holds no pixels")
            } else if records.labels.len().checked_mul(image_bytes) != Some(records.images.len()) {
                format!("{} bytes and {} labels are not {shape} images", records.images.len(), records.labels.len())
            } else if let Some(label) = records.labels.iter().find(|&&label| usize::from(label) >= classes) {
                format!("label {label} in its {part} file, but it has {classes} classes")
            } else {
                continue;
            };
            return Err(DataError::Inconsistent { name, problem });
        }
        let Ok(training_file) = u32::try_from(training.labels.len()) else {
            return Err(DataError::Inconsistent { name, problem: "it has more than 2^32 images".into() });
        };
        let Records { mut images, mut labels } = training;
        if let Some(test) = test {
            images.extend_from_slice(&test.images);
            labels.extend_from_slice(&test.labels);
        }
        if u32::try_from(labels.len()).is_err() {
            return Err(DataError::Inconsistent { name, problem: "it has more than 2^32 images".into() });
        }
        let held_out = (training_file / 10).max(u32::from(training_file >= 2));
        let Shape { height, width, channels } = shape;
        let normalization = Normalization { mean: Vec::new(), std: Vec::new() };
        let set =
            Self { name, images, labels, height, width, channels, classes, training_file, held_out, normalization };
        Ok(set.with_held_out(held_out))
    }

    /// Holds out the last `held_out` images of the training file, and normalizes by the statistics of the others.
    pub(super) fn with_held_out(mut self, held_out: u32) -> Self {
        self.held_out = held_out;
        self.normalization = self.statistics(0..self.training_file - held_out);
        self
    }

    /// Images of both files.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never: a data set has images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of an image, without channel padding.
    pub fn shape(&self) -> Shape {
        Shape::new(self.height, self.width, self.channels)
    }

    /// Bytes of an image.
    pub fn image_bytes(&self) -> usize {
        self.shape().pixels() * self.channels
    }

    /// The numbers of the test file's images, if there is one.
    pub fn test_file(&self) -> Option<Range<u32>> {
        let all = self.len() as u32;
        (self.training_file < all).then_some(self.training_file..all)
    }

    /// The bytes of one image, `[row, column, channel]`.
    ///
    /// # Panics
    /// If the set has no such image.
    pub fn image(&self, image: u32) -> &[u8] {
        let bytes = self.image_bytes();
        &self.images[image as usize * bytes..][..bytes]
    }

    /// How many of `images` belong to each class.
    ///
    /// # Panics
    /// If the range leaves the set.
    pub fn class_counts(&self, images: Range<u32>) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in &self.labels[images.start as usize..images.end as usize] {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Mean and (population) standard deviation of each channel over `images`, in byte / 255.
    ///
    /// # Panics
    /// If the range leaves the set.
    pub fn statistics(&self, images: Range<u32>) -> Normalization {
        let bytes = self.image_bytes();
        let pixels = &self.images[images.start as usize * bytes..images.end as usize * bytes];
        Normalization::of_pixels(pixels, self.channels)
    }
}
