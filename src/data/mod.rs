//! Data sets on disk, resident pixels, splits, the order of mini-batches and augmentation.
//!
//! Pixels stay bytes, NHWC; they become numbers through a [`PixelTable`] when a mini-batch is gathered. Everything random
//! is a pure function of (seed, step), see [`crate::rng`].

mod augmentation;
mod batches;
mod cifar10;
mod compressed;
pub mod cuda;
mod dataset;
mod digits;
mod error;
pub mod fetch;
mod gather;
mod idx;
mod pixels;
mod shrink;
mod source;
mod split;

pub use augmentation::{Augmentation, Placement, Rectangle};
pub use batches::{BatchOrder, BatchStream, MiniBatch};
pub use dataset::{Dataset, Records};
pub use error::DataError;
pub use gather::{gather, image_length, labels};
pub use pixels::{Normalization, PixelTable};
pub use source::Source;
pub use split::{Split, SplitRanges, Validation};
