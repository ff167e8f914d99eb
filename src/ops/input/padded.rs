//! One image with a border, in scratch memory.

use crate::ops::Window;

/// Geometry of a bordered image, `[height][width][channels]`, whose interior starts at row `top`, column `left`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Padded {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub top: usize,
    pub left: usize,
    /// Size of the interior.
    inner: (usize, usize),
}

/// Pixels that a block of pixels may read (and ignore) beyond the last one.
const OVERRUN_PIXELS: usize = 16;

impl Padded {
    pub fn new((height, width): (usize, usize), channels: usize, border: usize) -> Self {
        let (top, left) = (border, border);
        Self { height: height + 2 * border, width: width + 2 * border, channels, top, left, inner: (height, width) }
    }

    /// The bordered output gradient `[dilated by the stride]` from which a stride-1 correlation with flipped taps gives the gradient of an input of this size.
    pub fn transposed(window: &Window, (height, width): (usize, usize), channels: usize) -> Self {
        let reach = window.dilation * (window.kernel - 1);
        let border = reach.saturating_sub(window.padding);
        let output = (window.output_size(height), window.output_size(width));
        let inner = ((output.0 - 1) * window.stride + 1, (output.1 - 1) * window.stride + 1);
        Self { height: height + reach, width: width + reach, channels, top: border, left: border, inner }
    }

    /// The bordered output gradient in which every pixel of an input of this size finds the output pixels that its taps reach, at any stride.
    pub fn output_gradient(window: &Window, (height, width): (usize, usize), channels: usize) -> Self {
        let reach = window.dilation * (window.kernel - 1);
        let border = reach.saturating_sub(window.padding).div_ceil(window.stride);
        let reached = |size: usize| border + (size - 1 + window.padding) / window.stride + 1;
        let inner = (window.output_size(height), window.output_size(width));
        Self { height: reached(height), width: reached(width), channels, top: border, left: border, inner }
    }

    /// Numbers in a row.
    pub fn row(&self) -> usize {
        self.width * self.channels
    }

    /// Numbers, with room for blocks of pixels `step` pixels apart that overrun.
    pub fn len(&self, step: usize) -> usize {
        self.height * self.row() + OVERRUN_PIXELS * step * self.channels
    }

    /// Where the interior starts.
    pub fn interior(&self) -> usize {
        self.top * self.row() + self.left * self.channels
    }

    /// Sets everything outside the interior.
    pub fn fill_border(&self, target: &mut [f32], value: f32) {
        let (height, width) = self.inner;
        let row = self.row();
        target[..self.top * row].fill(value);
        for interior_row in target[self.top * row..].chunks_exact_mut(row).take(height) {
            interior_row[..self.left * self.channels].fill(value);
            interior_row[(self.left + width) * self.channels..].fill(value);
        }
        target[(self.top + height) * row..].fill(value);
    }

    /// Offsets of the window's taps from the first, in row-major order.
    ///
    /// # Panics
    /// If the kernel is larger than 7.
    pub fn taps(&self, window: &Window) -> Taps {
        let kernel = window.kernel;
        let mut offsets = [0; MOST_TAPS];
        for (tap, offset) in offsets[..kernel * kernel].iter_mut().enumerate() {
            *offset = window.dilation * ((tap / kernel) * self.row() + (tap % kernel) * self.channels);
        }
        Taps { offsets, count: kernel * kernel }
    }
}

const MOST_TAPS: usize = 49;

/// Offsets of taps.
pub(crate) struct Taps {
    offsets: [usize; MOST_TAPS],
    count: usize,
}

impl std::ops::Deref for Taps {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.offsets[..self.count]
    }
}

/// Spreads contiguous pixels over rows `row` and pixels `step` numbers apart.
pub(crate) fn spread_pixels(from: &[f32], width: usize, channels: usize, target: &mut [f32], row: usize, step: usize) {
    for (values, target) in from.chunks_exact(width * channels).zip(target.chunks_mut(row)) {
        if step == channels {
            target[..width * channels].copy_from_slice(values);
            continue;
        }
        for (pixel, target) in values.chunks_exact(channels).zip(target.chunks_mut(step)) {
            target[..channels].copy_from_slice(pixel);
        }
    }
}
