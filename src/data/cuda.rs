//! Mini-batches on a device, from bytes that stay there: `gather_pixels` (kernels/pixels.cu).

use super::{Dataset, PixelTable, Placement, image_length};
use crate::device::{Argument, Buffer, Device, DeviceError, Launch};
use crate::tensor::Shape;
use bytemuck::{Pod, Zeroable};

const THREADS: u32 = 256;

/// [`Placement`] in the kernel's layout.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct DevicePlacement {
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
const _: () = assert!(size_of::<DevicePlacement>() == 20 && size_of::<DeviceShape>() == 12);

impl From<Placement> for DevicePlacement {
    fn from(Placement { dy, dx, flip, cutout }: Placement) -> Self {
        Self { dy, dx, flip: flip.into(), cutout: [cutout.top, cutout.bottom, cutout.left, cutout.right] }
    }
}

/// Of a mini-batch of so many images.
pub fn gather_launch(shape: Shape, images: usize) -> Launch {
    let blocks = (shape.pixels() as u32).div_ceil(THREADS);
    Launch { grid: [blocks, images as u32, 1], ..Launch::new("gather_pixels", blocks, THREADS) }
}

/// What a mini-batch is gathered from, in device memory.
pub struct GatherLists {
    images: Buffer<u32>,
    placements: Buffer<DevicePlacement>,
}

impl GatherLists {
    /// For so many images.
    ///
    /// # Errors
    /// Not enough device memory.
    pub fn new(device: &Device, images: usize) -> Result<Self, DeviceError> {
        Ok(Self {
            images: device.allocate("images of the mini-batch", images)?,
            placements: device.allocate("placements", images)?,
        })
    }
}

/// A data set's bytes and pixel table in device memory.
pub struct ResidentPixels {
    device: Device,
    pixels: Buffer<u8>,
    table: Buffer<f32>,
    shape: Shape,
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
        let images = dataset.len() as u32;
        let pixels = device.upload("pixels", &dataset.images)?;
        Ok(Self {
            device: device.clone(),
            pixels,
            table: device.upload("pixel table", table.as_flat())?,
            shape,
            images,
        })
    }

    /// As [`super::gather`], into a buffer of the mini-batch's numbers; `lists` are for as many images.
    ///
    /// # Errors
    /// Those of uploads and launches.
    ///
    /// # Panics
    /// If the set has no such image, or lengths do not fit.
    pub fn gather(
        &self,
        images: &[u32],
        placements: Option<&[Placement]>,
        lists: &mut GatherLists,
        out: &Buffer<f32>,
    ) -> Result<(), DeviceError> {
        assert!(images.iter().all(|&image| image < self.images), "images of the set");
        assert_eq!(out.len(), images.len() * image_length(self.shape), "numbers of the mini-batch");
        let placements = placements.map_or_else(|| vec![Placement::default(); images.len()], <[Placement]>::to_vec);
        assert_eq!(placements.len(), images.len(), "one placement an image");
        if images.is_empty() {
            return Ok(());
        }
        let placements: Vec<DevicePlacement> = placements.into_iter().map(DevicePlacement::from).collect();
        let Shape { height, width, channels } = self.shape;
        let [height, width, channels] = [height, width, channels].map(|extent| extent as u32);
        lists.images.upload(images)?;
        lists.placements.upload(&placements)?;
        let launch = gather_launch(self.shape, images.len());
        let arguments = [
            Argument::buffer(out),
            Argument::buffer(&self.pixels),
            Argument::buffer(&self.table),
            Argument::buffer(&lists.images),
            Argument::buffer(&lists.placements),
            Argument::value(DeviceShape { height, width, channels }),
        ];
        self.device.launch(&launch, &arguments)
    }
}
