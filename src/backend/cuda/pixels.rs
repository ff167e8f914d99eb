//! Mini-batches in device memory.

use crate::data::cuda::{GatherLists, ResidentPixels};
use crate::data::{Dataset, PixelTable, Placement, image_length};
use crate::device::{Buffer, Device, DeviceError};
use std::sync::{Arc, Mutex, PoisonError};

/// Images as numbers, and labels. Goes back to where it came from when dropped.
pub struct DevicePixels {
    /// None only while it is dropped.
    buffers: Option<Buffers>,
    pool: Arc<Mutex<Vec<Buffers>>>,
}

struct Buffers {
    images: Buffer<f32>,
    labels: Buffer<u8>,
    /// Where it is gathered, not uploaded.
    lists: Option<GatherLists>,
}

impl DevicePixels {
    pub fn images(&self) -> &Buffer<f32> {
        &self.buffers().images
    }

    pub fn labels(&self) -> &Buffer<u8> {
        &self.buffers().labels
    }

    fn buffers(&self) -> &Buffers {
        self.buffers.as_ref().expect("there until it is dropped")
    }
}

impl Drop for DevicePixels {
    fn drop(&mut self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).extend(self.buffers.take());
    }
}

/// Makes mini-batches, from a data set that stays on the device.
pub struct PixelLoader {
    device: Device,
    /// Memory of mini-batches that are gone. Work on the device is done in the order in which it is asked for, so what still reads it
    /// comes before what writes it anew.
    pool: Arc<Mutex<Vec<Buffers>>>,
    resident: Option<(Arc<Dataset>, Arc<PixelTable>, ResidentPixels)>,
}

impl PixelLoader {
    pub fn new(device: Device) -> Self {
        Self { device, pool: Arc::default(), resident: None }
    }

    /// Images of a data set, as numbers of `table`.
    ///
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn gather(
        &mut self,
        dataset: &Arc<Dataset>,
        table: &Arc<PixelTable>,
        images: &[u32],
        placements: Option<&[Placement]>,
        labels: &[u8],
    ) -> Result<DevicePixels, DeviceError> {
        let is_known = |known: &(Arc<Dataset>, Arc<PixelTable>, ResidentPixels)| {
            Arc::ptr_eq(&known.0, dataset) && Arc::ptr_eq(&known.1, table)
        };
        if !self.resident.as_ref().is_some_and(is_known) {
            // The old one makes room first, and mini-batches of its shape.
            self.resident = None;
            self.pool.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let pixels = ResidentPixels::new(&self.device, dataset, table)?;
            self.resident = Some((dataset.clone(), table.clone(), pixels));
        }
        let mut buffers = self.buffers(images.len() * image_length(dataset.shape()), labels.len())?;
        if let Some((_, _, pixels)) = &self.resident {
            let lists = match buffers.lists.take() {
                Some(lists) => lists,
                None => GatherLists::new(&self.device, images.len())?,
            };
            pixels.gather(images, placements, buffers.lists.insert(lists), &buffers.images)?;
        }
        buffers.labels.write(0, labels)?;
        Ok(DevicePixels { buffers: Some(buffers), pool: self.pool.clone() })
    }

    /// These numbers.
    ///
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn upload(&mut self, numbers: &[f32], labels: &[u8]) -> Result<DevicePixels, DeviceError> {
        let mut buffers = self.buffers(numbers.len(), labels.len())?;
        buffers.images.write(0, numbers)?;
        buffers.labels.write(0, labels)?;
        Ok(DevicePixels { buffers: Some(buffers), pool: self.pool.clone() })
    }

    /// Memory of exactly so many numbers and labels.
    fn buffers(&self, numbers: usize, labels: usize) -> Result<Buffers, DeviceError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffers: &Buffers| buffers.images.len() == numbers && buffers.labels.len() == labels;
        if let Some(found) = pool.iter().position(fits) {
            return Ok(pool.swap_remove(found));
        }
        // Mini-batches of another size are over, or will be made again.
        pool.clear();
        Ok(Buffers {
            images: self.device.allocate("mini-batch", numbers)?,
            labels: self.device.allocate("labels", labels)?,
            lists: None,
        })
    }
}
