//! What the stages share: how a stage reads its input (concatenation, normalization, ReLU), how its backward reads the gradient of its output and adds into the
//! gradients of its producers, and the partial statistics of batch normalization.
//!
//! A value is `[image][row][column][channel]`, channels padded to a multiple of 8 (network inputs: to 4). Padding channels hold zeros; so must, in padding
//! channels, `Normalize::mean` and `shift` and every array of [`NormalizeBackward`] but `rstd`.

mod epilogue;
mod gradient;
mod moments;
mod padded;
mod prologue;
#[cfg(test)]
mod tests;

pub use gradient::{GradientSums, NormalizeBackward, OutputGradient, SegmentGradient};
pub use moments::Moments;

pub(crate) use epilogue::{Epilogue, clear_sums};
pub(crate) use gradient::OutputGradientReader;
pub(crate) use padded::{Padded, Taps, spread_pixels};
pub(crate) use prologue::fill;

/// Batch normalization of a value that is stored before it: `z = (y - mean) * scale + shift`.
#[derive(Clone, Copy, Debug)]
pub struct Normalize<'a> {
    pub mean: &'a [f32],
    /// `gamma * rstd`
    pub scale: &'a [f32],
    /// `beta`
    pub shift: &'a [f32],
}

/// One source of a stage's input.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The chunk's images of that value.
    pub values: &'a [f32],
    /// Stored channels, with padding.
    pub channels: usize,
    pub normalize: Option<Normalize<'a>>,
}

/// A stage's input: its sources, concatenated by channel, normalized, then ReLU.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub segments: &'a [Segment<'a>],
    pub relu: bool,
}

impl Input<'_> {
    /// Stored channels of all segments.
    pub fn channels(&self) -> usize {
        self.segments.iter().map(|segment| segment.channels).sum()
    }
}

/// Rows of an image that are worked on together: few enough that their values stay in the first-level cache, enough that the work outweighs the calls.
pub(crate) fn strip_rows(width: usize) -> usize {
    (64 / width).max(1)
}

/// The strips of `height` rows: ranges of rows.
pub(crate) fn strips(height: usize, width: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let rows = strip_rows(width);
    (0..height).step_by(rows).map(move |first| first..(first + rows).min(height))
}
