//! Mini-batches of a run, where a backend computes.

use super::{Setup, TrainError};
use crate::backend::{Backend, LoadedBatch};
use crate::data::BatchStream;
use crate::device::DeviceError;

impl Setup {
    /// Images as they are, without augmentation.
    ///
    /// # Errors
    /// A device that fails.
    pub fn load<B: Backend>(&self, backend: &B, images: &[u32]) -> Result<LoadedBatch<B>, DeviceError> {
        backend.load(&self.dataset, &self.table, images, None)
    }
}

/// A mini-batch of a stream, augmented as configured.
pub(super) fn load_batch<B: Backend>(
    backend: &B,
    setup: &Setup,
    stream: &mut BatchStream,
    data_seed: u64,
    number: u64,
) -> Result<LoadedBatch<B>, TrainError> {
    let images = stream.mini_batch(number)?.images;
    let augmentation = &setup.config.augmentation;
    let draw = || augmentation.draw(data_seed, number, setup.dataset.shape(), images.len());
    let placements = (!augmentation.is_off()).then(draw);
    Ok(backend.load(&setup.dataset, &setup.table, &images, placements.as_deref())?)
}
