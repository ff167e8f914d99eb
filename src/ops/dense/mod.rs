//! Dense products over pixels: the sums over taps and input channels, blocked in registers, and the convolutions made of them.

mod convolution;
mod forward;
mod weights;
mod winograd;

pub(crate) use convolution::{DenseConvolution, WindowTap};
pub(crate) use forward::{Dense, Tap};
pub(crate) use weights::DenseWeights;
pub(crate) use winograd::Winograd;
