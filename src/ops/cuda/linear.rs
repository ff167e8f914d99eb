//! What the CUDA backend asks of every linear operation.

use super::{DeviceWindow, Geometry, StageKernels, Storage};

/// A linear operation as its CUDA kernels see it.
pub trait CudaLinear {
    fn device_window(&self) -> DeviceWindow;

    /// [`Stage::kind`](super::Stage::kind) of its tasks.
    fn stage_kind(&self) -> u32 {
        0
    }

    /// Numbers an image that one kernel of its backward pass hands over to the next.
    fn device_scratch_len(&self, _stored_inputs: usize) -> usize {
        0
    }

    /// Whether its kernels read the network's input, which is f32 with channels padded to 4.
    fn reads_images(&self) -> bool {
        false
    }

    /// Its kernels. Of the network's input, nobody wants the gradient: `from_image`.
    fn kernels(&self, geometry: &Geometry, from_image: bool, storage: Storage) -> StageKernels;
}
