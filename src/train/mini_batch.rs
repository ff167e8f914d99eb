//! Mini-batches ready for a backend.

use super::{Setup, TrainError};
use crate::backend::MiniBatch;
use crate::data::{BatchStream, Placement, gather, image_length, labels};
use crate::tensor::Real;

/// Images of a lane, ready for a backend.
pub struct LoadedBatch<T> {
    pub images: Vec<T>,
    pub labels: Vec<u8>,
}

impl<T> LoadedBatch<T> {
    pub fn view(&self) -> MiniBatch<'_, T> {
        MiniBatch { images: &self.images, labels: &self.labels }
    }
}

impl Setup {
    /// Images as they are, without augmentation.
    pub fn load<T: Real>(&self, images: &[u32]) -> LoadedBatch<T> {
        self.load_placed(images, None)
    }

    fn load_placed<T: Real>(&self, images: &[u32], placements: Option<&[Placement]>) -> LoadedBatch<T> {
        let mut pixels = vec![T::default(); images.len() * image_length(self.dataset.shape())];
        gather(&self.dataset, &self.table, images, placements, &mut pixels);
        LoadedBatch { images: pixels, labels: labels(&self.dataset, images) }
    }
}

/// A mini-batch of a stream, augmented as configured.
pub(super) fn load_batch<T: Real>(
    setup: &Setup,
    stream: &mut BatchStream,
    data_seed: u64,
    number: u64,
) -> Result<LoadedBatch<T>, TrainError> {
    let images = stream.mini_batch(number)?.images;
    let augmentation = &setup.config.augmentation;
    let draw = || augmentation.draw(data_seed, number, setup.dataset.shape(), images.len());
    let placements = (!augmentation.is_off()).then(draw);
    Ok(setup.load_placed(&images, placements.as_deref()))
}
