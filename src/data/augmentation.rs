//! Random crops, flips and cutouts, drawn on the host as a small table for each mini-batch.

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
    /// Side of a square at a random place that becomes 0 after the normalization (DeVries and Taylor, arXiv 1708.04552); 0 = off.
    pub cutout: u16,
}

/// Where one image of a mini-batch is read: pixel (y, x) comes from (y + dy, x' + dx), where x' = x, or width - 1 - x
/// when flipped; positions outside the image are byte 0 of every channel. Then the pixels of the cutout become 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    pub dy: i32,
    pub dx: i32,
    pub flip: bool,
    pub cutout: Rectangle,
}

/// Rows `top..bottom` and columns `left..right` of an image; empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rectangle {
    pub top: u16,
    pub bottom: u16,
    pub left: u16,
    pub right: u16,
}

impl Augmentation {
    /// True if images are used as they are.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// A padding as large as the image, a cutout larger than it.
    pub fn check(&self, image: Shape) -> Result<(), DataError> {
        let Shape { height, width, .. } = image;
        let padding = self.crop_padding;
        if padding > 0 && usize::from(padding) >= height.min(width) {
            return Err(DataError::CropPadding { padding, height, width });
        }
        if usize::from(self.cutout) > height.min(width) {
            return Err(DataError::Cutout { side: self.cutout, height, width });
        }
        Ok(())
    }

    /// The placements of a mini-batch of `count` images of size `image` at `step`. Image i draws its row offset, then its
    /// column offset from the stream (crop, step, i), its flip from (flip, step, i), and the row, then the column of its
    /// cutout from (cutout, step, i): none depends on the other images.
    pub fn draw(&self, seed: u64, step: u64, image: Shape, count: usize) -> Vec<Placement> {
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
            if self.cutout > 0 {
                let mut stream = Stream::new(seed, Purpose::Cutout, step, item);
                let (top, bottom) = around(stream.bounded(image.height as u32), self.cutout, image.height);
                let (left, right) = around(stream.bounded(image.width as u32), self.cutout, image.width);
                placement.cutout = Rectangle { top, bottom, left, right };
            }
            placement
        };
        (0..count as u32).map(place).collect()
    }
}

/// `side` positions around `center`, those inside `0..extent`. As in DARTS, an even side has one more before the center
/// than after it.
fn around(center: u32, side: u16, extent: usize) -> (u16, u16) {
    let first = i64::from(center) - i64::from(side / 2);
    let inside = |position: i64| position.clamp(0, extent as i64) as u16;
    (inside(first), inside(first + i64::from(side)))
}
