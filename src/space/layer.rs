//! A layer as the file writes it, and what its fields mean together.

use crate::ops::{Kind, LayerWindow};
use serde::{Deserialize, Serialize};

/// One stage: a ReLU (if any), a linear operation, batch normalization (if it has a name).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// By its name.
    pub operation: &'static Kind,
    #[serde(default)]
    pub relu: bool,
    /// Width of the square window: odd, padded so that stride 1 keeps the size; or, for a pool, even and equal to the
    /// stride, without padding. A factorized reduction says nothing of its window: its kernel is 1, its stride 2.
    #[serde(default = "one")]
    pub kernel: usize,
    #[serde(default = "one")]
    pub dilation: usize,
    #[serde(default = "one")]
    pub stride: usize,
    /// This layer takes the stride of the edge that it stands on.
    #[serde(default)]
    pub edge_stride: bool,
    /// Output channels as a multiple of the place's C; 1 unless given. A pool keeps the channels that it is given.
    #[serde(default = "one")]
    pub channels: usize,
    /// Parameter names without `.weight`, below the prefix: one for a convolution, two for a depthwise separable one
    /// (depthwise, pointwise) and for a factorized reduction; none for a pool.
    #[serde(default)]
    pub weights: Vec<String>,
    /// Name of its batch normalization below the prefix, if it has one.
    pub norm: Option<String>,
}

impl Layer {
    /// The stride on an edge of stride `edge_stride`; outside a candidate that is 1.
    pub const fn stride_on(&self, edge_stride: usize) -> usize {
        match self.operation.window {
            LayerWindow::Fixed { stride } => stride,
            _ if self.edge_stride => edge_stride,
            _ => self.stride,
        }
    }

    /// Zero pixels around the input, on each side. An odd kernel keeps the size at stride 1; an even one (a pool whose
    /// kernel is its stride) tiles the input without padding.
    pub const fn padding(&self) -> usize {
        if self.kernel.is_multiple_of(2) { 0 } else { self.dilation * (self.kernel / 2) }
    }
}

/// Stride of layers one after the other, on an edge of stride `edge_stride`.
pub(super) fn total_stride(layers: &[Layer], edge_stride: usize) -> usize {
    layers.iter().map(|layer| layer.stride_on(edge_stride)).product()
}

/// Output channels of layers one after the other as a multiple of C; none if all of them keep their input's.
pub(super) fn channel_multiple(layers: &[Layer]) -> Option<usize> {
    layers.iter().rev().find(|layer| !layer.operation.keeps_channels).map(|layer| layer.channels)
}

const fn one() -> usize {
    1
}
