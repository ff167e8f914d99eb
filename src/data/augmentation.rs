//! Random crops and flips, drawn on the host as a small table for each mini-batch.

use serde::{Deserialize, Serialize};

use super::DataError;
use crate::rng::{Purpose, Stream};
use crate::tensor::Shape;

/// What is done to training images. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Pads every side with so many pixels of byte 0 and crops the image's size at random; 0 = off.
    pub crop_padding: u16,
    /// Mirrors left and right with probability 1/2, after the crop.
    pub flip: bool,
}

/// Where one image of a mini-batch is read: pixel (y, x) comes from (y + dy, x' + dx), where x' = x, or width - 1 - x
/// when flipped; positions outside the image are byte 0 of every channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    pub dy: i32,
    pub dx: i32,
    pub flip: bool,
}

impl Augmentation {
    /// True if images are used as they are.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// A padding as large as the image.
    pub fn check(&self, image: Shape) -> Result<(), DataError> {
        let padding = self.crop_padding;
        if padding > 0 && usize::from(padding) >= image.height.min(image.width) {
            return Err(DataError::CropPadding { padding, height: image.height, width: image.width });
        }
        Ok(())
    }

    /// The placements of a mini-batch of `count` images at `step`. Image i draws its row offset, then its column offset
    /// from the stream (crop, step, i), and its flip from (flip, step, i): neither depends on the other images.
    pub fn draw(&self, seed: u64, step: u64, count: usize) -> Vec<Placement> {
        let padding = i32::from(self.crop_padding);
        let place = |item: u32| {
            let mut placement = Placement::default();
            if self.crop_padding > 0 {
                let mut stream = Stream::new(seed, Purpose::Crop, step, item);
                let mut offset = || stream.bounded(2 * u32::from(self.crop_padding) + 1) as i32 - padding;
                placement.dy = offset();
                placement.dx = offset();
            }
            if self.flip {
                placement.flip = Stream::new(seed, Purpose::Flip, step, item).bounded(2) == 1;
            }
            placement
        };
        (0..count as u32).map(place).collect()
    }
}
