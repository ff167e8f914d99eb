//! The tables of a launch, in the kernels' layout.

use super::Tiling;
use crate::device::Pointer;
use crate::ops::Window;
use bytemuck::{Pod, Zeroable};

/// A value that a stage reads, and where its gradient goes. Null pointers mean absent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Source {
    /// `[image][pixel][channel]`
    pub values: Pointer,
    /// Rows of the normalization, [`super::Stage::NORMALIZATION_ROWS`] times `channels` numbers; null: read as it is stored.
    pub normalization: Pointer,
    /// As `values`; null: not wanted.
    pub gradient: Pointer,
    /// Of each part, the sums of dz and of dz * xhat of every channel; null unless the stage is the last to add to the gradient.
    pub sums: Pointer,
    /// Gradients of an affine normalization's scale and shift, written where `sums` are.
    pub scale_gradient: Pointer,
    pub shift_gradient: Pointer,
    /// The gate of a mixture's term; null: 1.
    pub gate: Pointer,
    /// Of each part, the gate's gradient.
    pub gate_sums: Pointer,
    /// Stored.
    pub channels: u32,
    pub flags: SourceFlags,
}

/// What is special about a source.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct SourceFlags(u32);

impl SourceFlags {
    pub const NONE: Self = Self(0);
    /// Add to the gradient that is there.
    pub const ACCUMULATE: Self = Self(1);
    /// The network's input: f32, channels padded to 4.
    pub const IMAGE: Self = Self(2);
}

/// A window with its taps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct DeviceWindow {
    pub kernel: u32,
    pub stride: u32,
    pub dilation: u32,
    pub padding: u32,
    pub taps: u32,
    /// Not 0 in a factorized reduction, whose tap t reads pixel (t, t) with `weights[t]`: the output channels of the first tap.
    pub diagonal: u32,
}

impl DeviceWindow {
    pub fn of(window: &Window) -> Self {
        let [kernel, stride, dilation, padding, taps] =
            [window.kernel, window.stride, window.dilation, window.padding, window.taps()].map(|extent| extent as u32);
        Self { kernel, stride, dilation, padding, taps, diagonal: 0 }
    }
}

/// One task of a launch.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Stage {
    /// [`Source`]s.
    pub sources: Pointer,
    pub source_count: u32,
    pub relu: u32,
    pub from: Tiling,
    pub to: Tiling,
    pub window: DeviceWindow,
    /// Stored channels of all sources.
    pub in_channels: u32,
    pub out_channels: u32,
    pub weights: [Pointer; 2],
    /// Of each chunk, as the weights.
    pub weight_parts: [Pointer; 2],
    pub output: Pointer,
    pub output_gradient: Pointer,
    /// Rows of the output's normalization.
    pub normalization: Pointer,
    /// Of each part, pixels, mean and sum of squared deviations of every channel; null: the normalization is given.
    pub moments: Pointer,
    /// f64: mean and biased variance of every channel.
    pub statistics: Pointer,
    pub scale: Pointer,
    pub shift: Pointer,
    /// What a backward in two kernels hands over; of one kernel, where it stands for those who look at it, or null.
    pub scratch: Pointer,
    /// 0 between launches.
    pub counter: Pointer,
    pub epsilon: f32,
    /// Of a pool: 0 largest, 1 mean.
    pub kind: u32,
}

impl Stage {
    /// Numbers of a normalization per stored channel.
    pub const NORMALIZATION_ROWS: usize = 8;
}

// kernels/stage.cuh asserts the same.
const _: () = assert!(size_of::<Source>() == 72 && size_of::<DeviceWindow>() == 24 && size_of::<Stage>() == 224);
