//! What the fields of a layer mean together.

use super::model::Layer;
use crate::ops::LayerWindow;

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
