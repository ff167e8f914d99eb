//! Smaller images: the mean of square blocks of pixels.

use super::{DataError, Records};
use crate::tensor::Shape;

/// The shape of images of `shape` when every `block x block` pixels have become one; `name` is their data set's in errors.
///
/// # Errors
/// A block of 0, or one that does not divide the images' height and width.
pub fn shrunk_shape(name: &str, shape: Shape, block: usize) -> Result<Shape, DataError> {
    let Shape { height, width, channels } = shape;
    if block > 0 && height.is_multiple_of(block) && width.is_multiple_of(block) {
        Ok(Shape::new(height / block, width / block, channels))
    } else {
        Err(DataError::Shrink { block, name: name.to_owned(), height, width })
    }
}

impl Records {
    /// Images of `shape` whose every `block x block` pixels become one: their mean, halves rounded up. The block must fit.
    pub(super) fn shrunk(mut self, shape: Shape, block: usize) -> Self {
        if block == 1 {
            return self;
        }
        let Shape { width, channels, .. } = shape;
        let (row, area) = (width * channels, block * block);
        let mut images = Vec::with_capacity(self.images.len() / area);
        for rows in self.images.chunks_exact(block * row) {
            for column in 0..width / block {
                for channel in 0..channels {
                    let pixel = |y: usize, x: usize| rows[y * row + (column * block + x) * channels + channel];
                    let sum: usize = (0..area).map(|at| usize::from(pixel(at / block, at % block))).sum();
                    images.push(((2 * sum + area) / (2 * area)) as u8);
                }
            }
        }
        self.images = images;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_becomes_its_mean() {
        // Two images of 2 x 4 pixels with 2 channels; the second channel is 100 more.
        let shape = Shape::new(2, 4, 2);
        let image = |first: u8| (0..8).flat_map(move |pixel| [first + pixel, first + pixel + 100]);
        let records = Records { images: image(0).chain(image(10)).collect(), labels: vec![0, 1] };
        assert_eq!(records.clone().shrunk(shape, 1), records);
        // 0, 1, 4, 5 have the mean 2.5, and 2, 3, 6, 7 have 4.5.
        assert_eq!(records.shrunk(shape, 2).images, [3, 103, 5, 105, 13, 113, 15, 115]);
        assert_eq!(shrunk_shape("two", shape, 2).expect("blocks that fit"), Shape::new(1, 2, 2));
    }

    #[test]
    fn blocks_that_do_not_fit_are_refused() {
        for block in [0, 3, 4] {
            let error = shrunk_shape("two", Shape::new(2, 4, 2), block).expect_err("no such block").to_string();
            assert!(error.contains(&format!("`data.shrink = {block}` does not divide the 2x4 images")), "{error}");
        }
    }
}
