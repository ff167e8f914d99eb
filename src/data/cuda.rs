//! Mini-batches on a device, from bytes that stay there: `gather_pixels` (kernels/pixels.cu).

use super::{Dataset, PixelTable, Placement, image_length};
use crate::device::{Buffer, Device, DeviceError, Launch, Pointer};
use crate::tensor::Shape;
use bytemuck::{Pod, Zeroable};

const THREADS: u32 = 256;

/// An image of a mini-batch, and where it goes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct PixelTask {
    /// f32
    out: Pointer,
    /// Of the set.
    image: u32,
    dy: i32,
    dx: i32,
    flip: u32,
    /// Top, bottom, left, right.
    cutout: [u16; 4],
}

/// [`Shape`] in the kernel's layout.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct DeviceShape {
    height: u32,
    width: u32,
    channels: u32,
}

// kernels/pixels.cu asserts the same.
const _: () = assert!(size_of::<PixelTask>() == 32 && size_of::<DeviceShape>() == 12);

/// Of so many images. Arguments: tasks, [`ResidentPixels::pointers`], count.
pub fn gather_pixels(shape: Shape, images: u32) -> Launch {
    let blocks = (shape.pixels() as u32).div_ceil(THREADS);
    Launch { grid: [images, blocks, 1], ..Launch::new("gather_pixels", images, THREADS) }
}

/// A data set's bytes and pixel table in device memory.
pub struct ResidentPixels {
    pixels: Buffer<u8>,
    table: Buffer<f32>,
    device_shape: Buffer<DeviceShape>,
    pub shape: Shape,
    images: u32,
}

impl ResidentPixels {
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    ///
    /// # Panics
    /// If the channels of `table` are not those of the data set.
    pub fn new(device: &Device, dataset: &Dataset, table: &PixelTable) -> Result<Self, DeviceError> {
        let shape = dataset.shape();
        assert_eq!(table.channels(), shape.channels, "channels of the pixel table");
        let [height, width, channels] = [shape.height, shape.width, shape.channels].map(|extent| extent as u32);
        Ok(Self {
            pixels: device.upload("pixels", &dataset.images)?,
            table: device.upload("pixel table", table.as_flat())?,
            device_shape: device.upload("shape of images", &[DeviceShape { height, width, channels }])?,
            shape,
            images: dataset.len() as u32,
        })
    }

    /// Pixels, table and shape.
    pub fn pointers(&self) -> [Pointer; 3] {
        [Pointer::to(&self.pixels, 0), Pointer::to(&self.table, 0), Pointer::to(&self.device_shape, 0)]
    }

    /// What makes a mini-batch as [`super::gather`] does, in a buffer of its numbers.
    ///
    /// # Panics
    /// If the set has no such image, or lengths do not fit.
    pub fn tasks(&self, images: &[u32], placements: Option<&[Placement]>, out: &Buffer<f32>) -> Vec<PixelTask> {
        assert!(images.iter().all(|&image| image < self.images), "images of the set");
        let length = image_length(self.shape);
        assert_eq!(out.len(), images.len() * length, "numbers of the mini-batch");
        assert!(placements.is_none_or(|placements| placements.len() == images.len()), "one placement an image");
        let task = |(position, &image): (usize, &u32)| {
            let placement = placements.map_or_else(Placement::default, |placements| placements[position]);
            let Placement { dy, dx, flip, cutout } = placement;
            PixelTask {
                out: Pointer::to(out, position * length),
                image,
                dy,
                dx,
                flip: flip.into(),
                cutout: [cutout.top, cutout.bottom, cutout.left, cutout.right],
            }
        };
        images.iter().enumerate().map(task).collect()
    }
}
