//! Smaller images: the mean of square blocks of pixels.

use super::{DataError, Dataset};

impl Dataset {
    /// Every `block x block` pixels become one: their mean, halves rounded up. Pixels are then normalized by the statistics of the
    /// smaller training images; 1 leaves the set as it is.
    ///
    /// # Errors
    /// A block of 0, or one that does not divide the images' height and width.
    pub fn shrunk(mut self, block: usize) -> Result<Self, DataError> {
        if block == 1 {
            return Ok(self);
        }
        let Self { height, width, channels, .. } = self;
        let divides = block > 0 && height.is_multiple_of(block) && width.is_multiple_of(block);
        if !divides {
            return Err(DataError::Shrink { block, name: self.name, height, width });
        }
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
        (self.images, self.height, self.width) = (images, height / block, width / block);
        let held_out = self.held_out;
        Ok(self.with_held_out(held_out))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Records;
    use super::*;
    use crate::tensor::Shape;

    fn dataset() -> Dataset {
        // Two images of 2 x 4 pixels with 2 channels; the second channel is 100 more.
        let image = |first: u8| (0..8).flat_map(move |pixel| [first + pixel, first + pixel + 100]);
        let records = Records { images: image(0).chain(image(10)).collect(), labels: vec![0, 1] };
        Dataset::from_records("two", Shape::new(2, 4, 2), 2, records, None).expect("a data set")
    }

    #[test]
    fn every_block_becomes_its_mean() {
        let small = dataset().shrunk(2).expect("blocks that fit");
        assert_eq!(small.shape(), Shape::new(1, 2, 2));
        // 0, 1, 4, 5 have the mean 2.5, and 2, 3, 6, 7 have 4.5.
        assert_eq!(small.images, [3, 103, 5, 105, 13, 113, 15, 115]);
        assert_eq!(small.normalization, small.statistics(0..1));
    }

    #[test]
    fn blocks_that_do_not_fit_are_refused() {
        assert_eq!(dataset().shrunk(1).expect("nothing to do"), dataset());
        for block in [0, 3, 4] {
            let error = dataset().shrunk(block).expect_err("no such block").to_string();
            assert!(error.contains(&format!("`data.shrink = {block}` does not divide the 2x4 images")), "{error}");
        }
    }
}
