//! The sliding window that convolutions and pools share.

use crate::tensor::Shape;

/// A square window: taps `kernel x kernel`, `dilation` pixels apart, moved by `stride`, over an input padded by `padding` on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub padding: usize,
}

impl Window {
    /// The window of an odd kernel that keeps the size at stride 1: padding `dilation * (kernel / 2)`.
    pub const fn same(kernel: usize, stride: usize, dilation: usize) -> Self {
        Self { kernel, stride, dilation, padding: dilation * (kernel / 2) }
    }

    pub const fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Output height or width for an input of `size` pixels.
    pub const fn output_size(&self, size: usize) -> usize {
        (size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
    }

    /// Output shape with `channels` channels.
    pub const fn output_shape(&self, input: Shape, channels: usize) -> Shape {
        Shape::new(self.output_size(input.height), self.output_size(input.width), channels)
    }
}
