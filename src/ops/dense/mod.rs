//! The dense product inside convolutions and pointwise convolutions: sums over taps and input channels, blocked in registers.

mod forward;
mod weights;

pub(crate) use forward::Dense;
pub(crate) use weights::DenseWeights;
