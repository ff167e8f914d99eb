//! The way between PyTorch's layout of feature maps and ours.

use crosstalk::network::Segments;

/// Where the channels of a stored pixel lie.
pub struct Channels {
    pub stored: usize,
    pub positions: Vec<usize>,
}

impl Channels {
    /// Without padding.
    pub fn plain(count: usize) -> Self {
        Self { stored: count, positions: (0..count).collect() }
    }

    pub fn padded(segments: &Segments) -> Self {
        Self { stored: segments.physical(), positions: segments.positions() }
    }

    /// Place in `[image][pixel][stored channel]` of a number that lies at `index` in `[image][channel][pixel]`.
    pub fn index(&self, index: usize, logical: usize, pixels: usize) -> usize {
        let (image, channel, pixel) = (index / pixels / logical, index / pixels % logical, index % pixels);
        (image * pixels + pixel) * self.stored + self.positions[channel]
    }

    /// `[pixel][stored channel]` without padding.
    pub fn logical(&self, values: &[f32]) -> Vec<f32> {
        values.chunks(self.stored).flat_map(|pixel| self.positions.iter().map(|at| pixel[*at])).collect()
    }

    /// Asserts that all padding of `[pixel][stored channel]` is zero.
    pub fn assert_padding_is_zero(&self, values: &[f32], label: &str) {
        let padding: Vec<usize> = (0..self.stored).filter(|at| !self.positions.contains(at)).collect();
        let zero = values.chunks(self.stored).all(|pixel| padding.iter().all(|at| pixel[*at] == 0.0));
        assert!(zero, "{label}: padding holds numbers");
    }
}
