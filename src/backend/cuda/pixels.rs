//! Mini-batches in device memory.

use crate::data::cuda::{PixelTask, ResidentPixels};
use crate::data::{Dataset, PixelTable, Placement, image_length};
use crate::device::{Buffer, Device, DeviceError};
use std::sync::{Arc, Mutex, PoisonError};

/// Images as numbers. Their memory goes back to where it came from when dropped.
pub struct DevicePixels {
    /// None only while it is dropped.
    images: Option<Buffer<f32>>,
    /// What makes the numbers; none where they are there.
    gather: Mutex<Option<Gather>>,
    pool: Pool,
}

/// Free mini-batches that are kept when one of another size is asked for.
const MOST_FREE: usize = 8;

/// Memory of mini-batches that are gone. Work on the device is done in the order in which it is asked for, so what still reads it comes before
/// what writes it anew.
type Pool = Arc<Mutex<Vec<Buffer<f32>>>>;

/// A mini-batch that the next step or evaluation makes of a data set.
#[derive(Clone)]
pub struct Gather {
    pub set: Arc<ResidentPixels>,
    pub tasks: Vec<PixelTask>,
}

impl DevicePixels {
    pub fn images(&self) -> &Buffer<f32> {
        self.images.as_ref().expect("there until it is dropped")
    }

    /// What is still to be done to have the numbers.
    pub fn to_gather(&self) -> Option<Gather> {
        self.gather.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that it was done.
    pub fn note_gathered(&self) {
        self.gather.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for DevicePixels {
    fn drop(&mut self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).extend(self.images.take());
    }
}

/// Makes mini-batches, from a data set that stays on the device.
pub struct PixelLoader {
    device: Device,
    pool: Pool,
    resident: Option<Resident>,
}

struct Resident {
    dataset: Arc<Dataset>,
    table: Arc<PixelTable>,
    pixels: Arc<ResidentPixels>,
}

impl PixelLoader {
    pub fn new(device: Device) -> Self {
        Self { device, pool: Pool::default(), resident: None }
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
    ) -> Result<DevicePixels, DeviceError> {
        let set = self.resident(dataset, table)?;
        let buffer = self.buffer(images.len() * image_length(dataset.shape()))?;
        let gather = Gather { tasks: set.tasks(images, placements, &buffer), set };
        Ok(self.pixels(buffer, Some(gather)))
    }

    /// These numbers.
    ///
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn upload(&mut self, numbers: &[f32]) -> Result<DevicePixels, DeviceError> {
        let mut buffer = self.buffer(numbers.len())?;
        buffer.upload(numbers)?;
        Ok(self.pixels(buffer, None))
    }

    fn pixels(&self, images: Buffer<f32>, gather: Option<Gather>) -> DevicePixels {
        DevicePixels { images: Some(images), gather: Mutex::new(gather), pool: self.pool.clone() }
    }

    /// The data set on the device; another one makes room first.
    fn resident(
        &mut self,
        dataset: &Arc<Dataset>,
        table: &Arc<PixelTable>,
    ) -> Result<Arc<ResidentPixels>, DeviceError> {
        if let Some(known) = &self.resident
            && Arc::ptr_eq(&known.dataset, dataset)
            && Arc::ptr_eq(&known.table, table)
        {
            return Ok(known.pixels.clone());
        }
        self.resident = None;
        let pixels = Arc::new(ResidentPixels::new(&self.device, dataset, table)?);
        let (dataset, table) = (dataset.clone(), table.clone());
        self.resident = Some(Resident { dataset, table, pixels: pixels.clone() });
        Ok(pixels)
    }

    /// Memory of exactly so many numbers.
    fn buffer(&self, numbers: usize) -> Result<Buffer<f32>, DeviceError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = pool.iter().position(|buffer| buffer.len() == numbers) {
            return Ok(pool.swap_remove(found));
        }
        // Sizes come in turns, but not many of them.
        if pool.len() >= MOST_FREE {
            pool.remove(0);
        }
        self.device.allocate("mini-batch", numbers)
    }
}
