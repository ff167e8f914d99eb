//! A factorized reduction on the kernels of dense convolutions: two taps on a diagonal, each with half of the output channels.

use super::FactorizedReduce;
use crate::ops::cuda::{CudaLinear, DeviceWindow, Geometry, StageKernels, Storage};
use crate::ops::{Linear, convolution};

impl CudaLinear for FactorizedReduce {
    fn device_window(&self) -> DeviceWindow {
        let diagonal = self.output.channels as u32 / 2;
        DeviceWindow { kernel: 1, stride: 2, dilation: 1, padding: 0, taps: 2, diagonal }
    }

    fn reads_images(&self) -> bool {
        true
    }

    fn kernels(&self, geometry: &Geometry, from_image: bool, storage: Storage) -> StageKernels {
        convolution::cuda::kernels(geometry, self.flops(), from_image, storage)
    }
}
