//! Shapes, channel padding and aligned buffers. Everything is laid out NHWC: image, row, column, channel.

mod buffer;
mod real;

pub use buffer::Buffer;
pub use real::Real;

/// Stored feature maps have a channel count that is a multiple of this (16 bytes of bf16, half a 512-bit vector of f32).
pub const CHANNEL_MULTIPLE: usize = 8;

/// Network inputs (pixels) pad their channels to a multiple of this.
pub const IMAGE_CHANNEL_MULTIPLE: usize = 4;

/// The channel count of a stored feature map of `channels` channels; the channels between are always zero.
pub const fn padded_channels(channels: usize) -> usize {
    channels.next_multiple_of(CHANNEL_MULTIPLE)
}

/// Shape of one image of a feature map; `channels` is the logical count, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Pixels of one channel.
    pub const fn pixels(&self) -> usize {
        self.height * self.width
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}
