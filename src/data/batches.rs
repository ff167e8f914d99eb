//! Which images make up the mini-batch of a step.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::DataError;
use crate::rng::{Purpose, Stream};

/// The order in which training images are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchOrder {
    /// A new permutation each epoch; the last mini-batch of an epoch may be short.
    #[default]
    Shuffled,
    /// File order; the mini-batch of step s starts at position s * batch size and wraps at the end, never short.
    File,
    /// The image numbers of each step.
    Explicit(Vec<Vec<u32>>),
}

/// The images of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiniBatch {
    /// `step / steps_per_epoch`, whatever the order.
    pub epoch: u64,
    /// Image numbers of the data set.
    pub images: Vec<u32>,
}

/// Mini-batches as a pure function of (order, seed, training images, batch size, step); only the permutation of the
/// current epoch is remembered, to save drawing it again.
#[derive(Clone, Debug)]
pub struct BatchStream {
    order: BatchOrder,
    seed: u64,
    training: Range<u32>,
    batch_size: u32,
    /// Images that an epoch counts.
    epoch_images: u64,
    permutation: Option<(u64, Vec<u32>)>,
}

impl BatchStream {
    /// `seed` is `seed.data`; an explicit order ignores the batch size except for [`BatchStream::steps_per_epoch`].
    ///
    /// # Errors
    /// No training images, a batch size of 0, a listed mini-batch that is empty or names an image outside `training`.
    pub fn new(order: BatchOrder, seed: u64, training: Range<u32>, batch_size: u32) -> Result<Self, DataError> {
        if training.is_empty() {
            return Err(DataError::NoTrainingImages);
        }
        if batch_size == 0 {
            return Err(DataError::EmptyBatch);
        }
        if let BatchOrder::Explicit(lists) = &order {
            for (step, list) in lists.iter().enumerate() {
                if list.is_empty() {
                    return Err(DataError::EmptyListedBatch { step });
                }
                if let Some(&image) = list.iter().find(|image| !training.contains(image)) {
                    let (first, last) = (training.start, training.end - 1);
                    return Err(DataError::ListedImage { step, image, first, last });
                }
            }
        }
        let epoch_images = training.len() as u64;
        Ok(Self { order, seed, training, batch_size, epoch_images, permutation: None })
    }

    /// The same mini-batches, but of an explicit order an epoch counts so many of the training images.
    pub fn with_epoch_of(self, images: usize) -> Self {
        match self.order {
            BatchOrder::Explicit(_) => Self { epoch_images: images as u64, ..self },
            _ => self,
        }
    }

    /// Steps that see every training image once, the last mini-batch short or (in file order) wrapped.
    pub fn steps_per_epoch(&self) -> u64 {
        self.epoch_images.div_ceil(u64::from(self.batch_size))
    }

    /// How many images the largest mini-batch has.
    pub fn most_images(&self) -> usize {
        match &self.order {
            BatchOrder::Shuffled => (self.batch_size as usize).min(self.training.len()),
            BatchOrder::File => self.batch_size as usize,
            BatchOrder::Explicit(lists) => lists.iter().map(Vec::len).max().unwrap_or(0),
        }
    }

    /// The images of `step`.
    ///
    /// # Errors
    /// [`DataError::ListEnds`] where an explicit list is too short.
    pub fn mini_batch(&mut self, step: u64) -> Result<MiniBatch, DataError> {
        let epoch = step / self.steps_per_epoch();
        let within_epoch = step % self.steps_per_epoch();
        let (count, size) = (self.training.len() as u64, u64::from(self.batch_size));
        let first = self.training.start;
        let images = match &self.order {
            BatchOrder::Shuffled => {
                if self.permutation.as_ref().is_none_or(|(drawn, _)| *drawn != epoch) {
                    let mut stream = Stream::new(self.seed, Purpose::ImagePermutation, epoch, 0);
                    self.permutation = Some((epoch, stream.permutation(count as u32)));
                }
                let permutation = self.permutation.as_ref().map_or(&[][..], |(_, permutation)| permutation);
                let positions = within_epoch * size..count.min((within_epoch + 1) * size);
                permutation[positions.start as usize..positions.end as usize]
                    .iter()
                    .map(|image| first + image)
                    .collect()
            }
            BatchOrder::File => {
                // The remainder first, so that no step number can overflow.
                let start = (u128::from(step) * u128::from(size) % u128::from(count)) as u64;
                (start..start + size).map(|position| first + (position % count) as u32).collect()
            }
            BatchOrder::Explicit(lists) => usize::try_from(step)
                .ok()
                .and_then(|step| lists.get(step))
                .cloned()
                .ok_or(DataError::ListEnds { steps: lists.len(), step })?,
        };
        Ok(MiniBatch { epoch, images })
    }
}
